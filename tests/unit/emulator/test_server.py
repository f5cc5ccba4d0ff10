"""The emulator on a real socket, met by a client library that is not ours."""

import asyncio
import contextlib
import json
import socket
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.emulator import Behaviour, EmulatorServer, Faults, Pace, Script, after, on, say
from antiphon.emulator.audio import speech

__all__: list[str] = []

WAIT_S = 20
QUICK = Behaviour(pace=Pace(first_output_ms=1, speed=100))


async def read(client: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), WAIT_S))
    return event


async def read_until(client: ClientConnection, kind: str) -> list[dict[str, Any]]:
    events = [await read(client)]
    while events[-1]["type"] != kind:
        events.append(await read(client))
    return events


async def send(client: ClientConnection, kind: str, **fields: Any) -> None:
    await client.send(json.dumps({"type": kind, **fields}))


async def end_of(client: ClientConnection) -> ConnectionClosed:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await asyncio.wait_for(client.recv(), WAIT_S)
    return caught.value


async def test_a_whole_response_over_a_socket() -> None:
    async with EmulatorServer(QUICK, Script([say("Hello.", ms=1000)])) as server:
        async with connect(f"{server.url}?model=gpt-realtime") as client:
            assert (await read(client))["type"] == "session.created"
            await send(client, "response.create")
            events = await read_until(client, "response.done")
        assert events[-1]["response"]["status"] == "completed"
        (engine,) = server.sessions
        assert [event["type"] for event in engine.received if isinstance(event, dict)] == [
            "response.create"
        ]
    server.script.assert_consumed()


async def test_what_those_had_sent_who_left_is_bounded_together() -> None:
    url = "data:image/png;base64," + "A" * (7 * 1024 * 1024)
    content = [{"type": "input_image", "image_url": url}]
    item = {"type": "message", "role": "user", "content": content}
    async with EmulatorServer(QUICK) as server:
        for _ in range(3):
            async with connect(f"{server.url}?model=gpt-realtime", max_size=None) as client:
                await send(client, "conversation.item.create", item=item)
                await read_until(client, "conversation.item.added")
            await server.wait_idle()
        sizes = [engine.received.size_bytes > 0 for engine in server.sessions]
        assert sizes == [False, True, True]


async def test_address_is_on_the_loopback() -> None:
    async with EmulatorServer() as server:
        assert server.url == f"ws://127.0.0.1:{server.port}/v1/realtime"
        assert server.http_url == f"http://127.0.0.1:{server.port}/v1"
        with pytest.raises(RuntimeError, match="running already"):
            await server.start()
    with pytest.raises(RuntimeError, match="not running"):
        assert server.port
    await server.stop()


async def test_permessage_deflate_is_declined() -> None:
    async with EmulatorServer() as server, connect(server.url, compression="deflate") as client:
        assert client.protocol.extensions == []
        assert (await read(client))["type"] == "session.created"


async def test_subprotocol_is_answered() -> None:
    protocols = ["realtime", "openai-insecure-api-key.good"]
    async with EmulatorServer(api_key="good") as server:
        async with connect(server.url, subprotocols=protocols) as client:  # type: ignore[arg-type]
            assert client.subprotocol == "realtime"
            assert (await read(client))["type"] == "session.created"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/v1/realtime", {}, 401),
        ("/v1/elsewhere", {"Authorization": "Bearer good"}, 404),
    ],
)
async def test_refusals_are_http(path: str, headers: dict[str, str], status: int) -> None:
    async with EmulatorServer(api_key="good") as server:
        url = f"ws://127.0.0.1:{server.port}{path}"
        with pytest.raises(InvalidStatus) as caught:
            async with connect(url, additional_headers=headers):
                pass
        assert caught.value.response.status_code == status
        assert json.loads(caught.value.response.body)["error"]["code"]
        assert server.sessions == []


async def test_wrong_key_is_told_on_the_socket() -> None:
    async with EmulatorServer(api_key="good") as server:
        async with connect(
            server.url, additional_headers={"Authorization": "Bearer bad"}
        ) as client:
            assert (await read(client))["error"]["code"] == "invalid_api_key"
            closed = await end_of(client)
        assert closed.rcvd is not None
        assert (closed.rcvd.code, closed.rcvd.reason) == (
            3000,
            "invalid_request_error.invalid_api_key",
        )


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        (Faults(after(0.01).close(1001, "bye")), 1001),
        (Faults(after(0.01).close(4000, "x.y")), 4000),
        (Faults(after(0.01).close(None)), 1005),
        (Faults(after(0.01).abort()), 1006),
        (Faults(on("session.created").half_frame()), 1006),
    ],
)
async def test_every_way_to_end(faults: Faults, code: int) -> None:
    async with EmulatorServer(faults=faults) as server, connect(server.url) as client:
        await end_of(client)
        assert client.close_code == code


async def test_client_close_is_answered() -> None:
    async with EmulatorServer() as server:
        async with connect(server.url) as client:
            await read(client)
            await client.close(4321, "bye")
            assert client.close_code == 4321
        await server.wait_idle(WAIT_S)
        assert server.connections == 0
        assert server.sessions[0].closed


async def test_close_frame_without_a_code_is_answered_alike() -> None:
    async with EmulatorServer() as server:
        reader, writer = await raw_connection(server)
        writer.write(b"\x88\x80\0\0\0\0")
        assert (await asyncio.wait_for(reader.read(), WAIT_S)).endswith(b"\x88\x00")
        writer.close()
        await writer.wait_closed()


async def test_waiting_for_idleness_is_bounded() -> None:
    async with EmulatorServer() as server, connect(server.url) as client:
        await read(client)
        with pytest.raises(TimeoutError):
            await server.wait_idle(0.01)


async def test_stop_says_goodbye() -> None:
    server = EmulatorServer()
    await server.start()
    async with connect(server.url) as client:
        await read(client)
        await server.stop()
        closed = await end_of(client)
        assert closed.rcvd is not None
        assert closed.rcvd.code == 1001


async def test_stop_does_not_wait_for_a_dead_peer() -> None:
    server = EmulatorServer()
    await server.start()
    reader, writer = await raw_connection(server)
    await asyncio.wait_for(reader.readuntil(b"session.created"), WAIT_S)
    await asyncio.wait_for(server.stop(), 10)
    assert server.connections == 0
    writer.close()


async def raw_connection(
    server: EmulatorServer,
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 24)
    writer.write(
        b"GET /v1/realtime?model=m HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def test_fragmented_message_is_put_together() -> None:
    async with EmulatorServer(QUICK) as server, connect(server.url) as client:
        await read(client)
        await client.send(iter(['{"type":', '"input_audio_buffer', '.clear"}']))
        assert (await read(client))["type"] == "input_audio_buffer.cleared"
        await client.send([b'{"type":', b'"input_audio_buffer.clear"}'])
        assert (await read(client))["type"] == "error"


async def test_frames_too_large_close_with_1009() -> None:
    async with EmulatorServer(max_frame_bytes=10_000) as server:
        for message in ("x" * 20_000, iter(["x" * 6000, "x" * 6000, "x"])):
            async with connect(server.url) as client:
                await read(client)
                await client.send(message)
                await end_of(client)
                assert client.close_code == 1009


async def test_too_many_connections_are_refused() -> None:
    async with EmulatorServer(max_connections=1) as server, connect(server.url) as client:
        await read(client)
        with pytest.raises(InvalidStatus) as caught:
            async with connect(server.url):
                pass
        assert caught.value.response.status_code == 503


async def test_slow_reader_is_closed_and_delays_nobody() -> None:
    script = Script([say("A flood.", ms=200_000).always()])
    behaviour = Behaviour(pace=Pace(first_output_ms=0, speed=0, audio_ms_per_delta=1000))
    async with EmulatorServer(behaviour, script, max_buffer_bytes=200_000) as server:
        reader, writer = await raw_connection(server)
        slow = writer.get_extra_info("socket")
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        payload = b'{"type":"response.create"}'
        writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        async with connect(server.url, max_size=None) as client:
            await read(client)
            await send(client, "input_audio_buffer.clear")
            assert (await read(client))["type"] == "input_audio_buffer.cleared"
            assert server.sessions[0].closed
            assert not server.sessions[1].closed
        # It never answers the close frame: the socket is cut when its grace is over.
        await server.wait_idle(WAIT_S)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_pings_are_answered_and_silence_is_pinged() -> None:
    async with EmulatorServer(ping_interval_s=0.05) as server:
        async with connect(server.url, ping_interval=None) as client:
            await read(client)
            await asyncio.wait_for(await client.ping(), WAIT_S)
        # A peer that answers no ping is cut.
        reader, writer = await raw_connection(server)
        assert b"session.created" in await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()


async def test_real_audio_starts_a_turn() -> None:
    import pybase64

    async with EmulatorServer(QUICK) as server, connect(server.url) as client:
        await read(client)
        voice = speech.user_voice(400) + bytes(48 * 400)
        for at in range(0, len(voice), 4800):
            audio = pybase64.b64encode_as_string(voice[at : at + 4800])
            await send(client, "input_audio_buffer.append", audio=audio)
        kinds = [event["type"] for event in await read_until(client, "response.created")]
        assert kinds[0] == "input_audio_buffer.speech_started"


async def test_clear_forgets_sessions() -> None:
    async with EmulatorServer() as server, connect(server.url) as client:
        await read(client)
        server.clear()
        assert server.sessions == []
        await end_of(client)
        assert client.close_code == 1006


async def test_sessions_kept_are_bounded() -> None:
    async with EmulatorServer(keep_sessions=2) as server:
        for _ in range(4):
            async with connect(server.url) as client:
                await read(client)
        assert len(server.sessions) == 2


async def test_connections_do_not_share_a_session() -> None:
    async with EmulatorServer() as server:
        async with connect(server.url) as one, connect(server.url) as two:
            ids = {(await read(client))["session"]["id"] for client in (one, two)}
        assert len(ids) == 2


async def test_ipv6_address_is_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    server = EmulatorServer(host="::1")
    try:
        await server.start()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    try:
        assert server.url.startswith("ws://[::1]:")
        async with connect(server.url) as client:
            assert (await read(client))["type"] == "session.created"
    finally:
        await server.stop()
