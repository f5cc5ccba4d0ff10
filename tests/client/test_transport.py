"""The real transport over real sockets: frames in pieces, refusals, closes, pings, cancellation."""

import asyncio
import base64
import contextlib
import gc
import json
import struct
from typing import Any, Self

import pytest

import antiphon
from antiphon.emulator import Behaviour, EmulatorServer, Faults, Pace, Script, on, say
from tests.client.peer import soon
from tests.client.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HELLO,
    PING,
    PONG,
    TEXT,
    RawServer,
    RawWebSocket,
    frame,
)

__all__: list[str] = []

NEVER_AGAIN = antiphon.ReconnectPolicy(attempts=0)


async def talk_to(server: RawServer, **settings: object) -> antiphon.Session:
    settings.setdefault("reconnect", NEVER_AGAIN)
    return await antiphon.connect(url=server.url, **settings)  # type: ignore[arg-type]


GO = {"type": "x.go"}


async def _first_event(session: antiphon.Session) -> Any:
    """The first event after the server was told to go on."""
    seen: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def see(event: Any) -> None:
        if not seen.done():
            seen.set_result(event)

    session.on("server_event", see)
    session.send_raw(GO)
    return await seen


# --- frames ---------------------------------------------------------------------------------------


async def test_messages_in_fragments_with_control_frames_between_them() -> None:
    delta = json.dumps({"type": "brand.new", "text": "x" * 5000}).encode()

    async def play(ws: RawWebSocket) -> None:
        await ws.send(frame(HELLO[:9], fin=False), frame(HELLO[9:], CONTINUATION))
        await ws.read()
        await ws.send(frame(delta[:1], fin=False))
        for place in range(1, 4001, 1000):
            await ws.send(frame(b"?", PING), frame(delta[place : place + 1000], 0, fin=False))
        await ws.send(frame(delta[4001:], CONTINUATION))
        while (await ws.read())[0] == PONG:
            pass

    async with RawServer(play) as server:
        session = await talk_to(server)
        event = await soon(_first_event(session))
        assert (event.type, len(event.fields["text"])) == ("brand.new", 5000)
        assert session.counters.total() == 0
        await session.close()


async def test_a_frame_that_arrives_byte_by_byte() -> None:
    async def play(ws: RawWebSocket) -> None:
        await ws.send_bytewise(frame(HELLO))
        await ws.read_to_end()

    async with RawServer(play) as server:
        session = await talk_to(server)
        assert session.config == {"type": "realtime"}
        await session.close()


async def test_text_in_binary_frames_and_invalid_utf8_do_not_end_the_session() -> None:
    async def play(ws: RawWebSocket) -> None:
        await ws.begin()
        await ws.send(frame(b"\xff\xfe", TEXT), frame(b"\x00\x01", BINARY))
        await ws.send(frame(b'{"type":"brand.new"}'))
        await ws.read_to_end()

    async with RawServer(play) as server:
        session = await talk_to(server)
        assert (await soon(_first_event(session))).type == "brand.new"
        assert session.counters["malformed"] == 2
        await session.close()


async def test_an_item_is_retrieved_with_all_its_audio() -> None:
    # P-229: 2 MB in one message, twice as much as WebSocket libraries take by default.
    sound = base64.b64encode(bytes(48 * 32_000)).decode()
    part = antiphon.ContentPart(type="input_audio", audio=sound)
    async with EmulatorServer() as server, antiphon.connect(url=server.url) as session:
        item = antiphon.Item(type="message", role="user", content=[part])
        made = await soon(session.create_item(item))
        told = await soon(session.retrieve_item(made.id or ""))
        assert told.content and told.content[0].audio == sound


@pytest.mark.parametrize("whole", [True, False])
async def test_a_message_over_the_transports_limit_ends_the_connection(whole: bool) -> None:
    async def play(ws: RawWebSocket) -> None:
        await ws.begin()
        if whole:
            await ws.send(frame(b"x" * 200_000))
        else:
            await ws.send(frame(b"x" * 90_000, fin=False), frame(b"x" * 90_000, CONTINUATION))
        await ws.read_to_end()

    connector = antiphon.PicowsConnector(max_message_bytes=100_000)
    async with RawServer(play) as server:
        session = await talk_to(server, connector=connector)
        handle = session.create_response()
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
        assert (await soon(session.closed)).code in (None, 1009)


async def test_reserved_bits_are_a_violation() -> None:
    async def play(ws: RawWebSocket) -> None:
        await ws.begin()
        await ws.send(frame(b"{}", rsv=4))
        assert await ws.read() == (CLOSE, struct.pack("!H", 1002) + b"reserved bits are set")

    async with RawServer(play) as server:
        session = await talk_to(server)
        session.send_raw(GO)
        assert (await soon(session.closed)).code == 1002


async def test_a_connection_made_and_lost_in_one_read_is_a_connect_error_with_its_code() -> None:
    async def play(ws: RawWebSocket) -> None:
        closing = struct.pack("!H", 4000) + b"invalid_request_error.missing_model"
        await ws.send(frame(HELLO) + frame(closing, CLOSE))
        await ws.read_to_end()

    async with RawServer(play) as server:
        with pytest.raises(antiphon.ConnectError, match="missing_model") as caught:
            await talk_to(server)
    assert (caught.value.code, caught.value.retryable) == ("missing_model", False)


# --- closes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "code", "reason", "echo"),
    [
        (struct.pack("!H", 1000) + b"bye", 1000, "bye", 1000),
        (struct.pack("!H", 1001) + "für immer".encode(), 1001, "für immer", 1001),
        (struct.pack("!H", 3000) + b"a.invalid_api_key", 3000, "a.invalid_api_key", 3000),
        (struct.pack("!H", 4999), 4999, "", 4999),
        (b"", 1005, "", 1000),
    ],
)
async def test_the_servers_close_is_told_and_answered(
    payload: bytes, code: int, reason: str, echo: int
) -> None:
    # P-271
    answers: list[tuple[int, bytes]] = []

    async def play(ws: RawWebSocket) -> None:
        await ws.begin()
        await ws.send(frame(payload, CLOSE))
        answers.append(await ws.read())

    async with RawServer(play) as server:
        session = await talk_to(server)
        session.send_raw(GO)
        end = await soon(session.closed)
        assert (end.code, end.reason) == (code, reason)
        assert end.by == ("network" if code == 1005 else "server")
        await soon(server.ended.wait())
        assert answers == [(CLOSE, struct.pack("!H", echo))], "1005 must never be sent"


async def test_a_cut_has_no_code() -> None:
    # P-271
    async def play(ws: RawWebSocket) -> None:
        await ws.begin()
        ws.cut()

    async with RawServer(play) as server:
        session = await talk_to(server)
        session.send_raw(GO)
        end = await soon(session.closed)
        assert (end.code, end.by) == (None, "network")


async def test_half_a_frame_and_then_nothing() -> None:
    faults = Faults(on("response.output_audio.delta", nth=2).half_frame())
    async with EmulatorServer(script=Script([say("x", ms=1000)]), faults=faults) as server:
        session = await antiphon.connect(url=server.url, reconnect=NEVER_AGAIN)
        handle = session.create_response()
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST


async def test_our_close_says_so_and_comes_to_an_end_though_the_peer_reads_nothing() -> None:
    stuck = asyncio.Event()

    async def play(ws: RawWebSocket) -> None:
        await ws.send(frame(HELLO))
        await stuck.wait()

    async with RawServer(play) as server:
        session = await talk_to(server)
        transport = session._lifeline.link.transport  # type: ignore[union-attr]
        while session.pending_bytes < 4_000_000:
            session.append_audio(bytes(1_000_000))
        waiting = asyncio.ensure_future(session.drain())
        await soon(session.close())
        await soon(waiting)
        assert transport is not None and transport.pending_bytes() == 0, "the socket is gone"
        stuck.set()


async def test_drain_waits_for_a_slow_peer_and_ends_with_the_connection() -> None:
    go = asyncio.Event()

    async def play(ws: RawWebSocket) -> None:
        await ws.send(frame(HELLO))
        await go.wait()
        await ws.read_to_end()

    async with RawServer(play) as server:
        session = await talk_to(server)
        for _ in range(8):
            session.append_audio(bytes(1_000_000))
        waiting = asyncio.ensure_future(session.drain())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        go.set()
        await soon(waiting)
        assert session.pending_bytes < 1_000_000
        await session.close()
        await soon(session.drain())


async def test_a_peer_that_answers_no_ping_is_gone() -> None:
    async def play(ws: RawWebSocket) -> None:
        await ws.send(frame(HELLO))
        assert (await ws.read())[0] == PING
        await ws.read_to_end()

    connector = antiphon.PicowsConnector(ping_interval=0.2)
    async with RawServer(play) as server:
        session = await talk_to(server, connector=connector)
        handle = session.create_response()
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
        assert (await soon(session.closed)).by == "network"


async def test_a_peer_that_answers_pings_stays() -> None:
    async def play(ws: RawWebSocket) -> None:
        await ws.send(frame(HELLO))
        await ws.read()
        for _ in range(3):
            opcode, payload = await ws.read()
            assert opcode == PING
            await ws.send(frame(payload, PONG))
        await ws.send(frame(b'{"type":"brand.new"}'))
        await ws.read_to_end()

    connector = antiphon.PicowsConnector(ping_interval=0.1)
    async with RawServer(play) as server:
        session = await talk_to(server, connector=connector)
        assert (await soon(_first_event(session))).type == "brand.new"
        await session.close()


# --- handshakes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (401, b'{"error":{"code":"invalid_api_key","message":"no"}}', "invalid_api_key", False),
        (401, b"<html>", None, False),
        (403, b"", None, False),
        (404, b'{"error":"nothing here"}', None, False),
        (429, b'{"error":{"code":"rate_limit_exceeded"}}', "rate_limit_exceeded", True),
        (500, b'{"error":{"code":null}}', None, True),
        (503, b"\xff", None, True),
    ],
)
async def test_a_refused_handshake_tells_status_and_code(
    status: int, body: bytes, code: str | None, retryable: bool
) -> None:
    async with RawServer(status=status, body=body) as server:
        with pytest.raises(antiphon.ConnectError) as caught:
            await talk_to(server)
    error = caught.value
    assert (error.status, error.code, error.retryable) == (status, code, retryable)
    assert str(status) in str(error)


async def test_a_redirect_is_not_followed_for_it_would_take_the_key_along() -> None:
    async with RawServer() as elsewhere:
        headers = f"Location: {elsewhere.url}\r\n"
        async with RawServer(status=302, headers=headers) as server:
            with pytest.raises(antiphon.ConnectError) as caught:
                await talk_to(server, api_key="sk-secret")
        assert elsewhere.requests == []
    assert not caught.value.retryable


async def test_the_emulators_own_refusals() -> None:
    async with EmulatorServer(api_key="right") as server:
        for key, status, code in (("", 401, "missing_api_key"), ("wrong", None, "invalid_api_key")):
            with pytest.raises(antiphon.ConnectError) as caught:
                await antiphon.connect(url=server.url, api_key=key or None)
            error = caught.value
            assert (error.status, error.code, error.retryable) == (status, code, False)
        async with antiphon.connect(url=server.url, api_key="right") as session:
            assert session.config
        with pytest.raises(antiphon.ConnectError) as caught:
            await antiphon.connect(url=server.url.replace("realtime", "elsewhere"), api_key="right")
        assert caught.value.status == 404


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:9/v1/realtime", "ws://nowhere.invalid/v1/realtime"]
)
async def test_nobody_there(url: str) -> None:
    with pytest.raises(antiphon.ConnectError) as caught:
        await soon(_connect(url, api_key="sk-secret"))
    assert caught.value.retryable
    assert "sk-secret" not in str(caught.value)


async def test_a_server_that_never_answers_the_handshake() -> None:
    async with RawServer(silent=True) as server:
        connector = antiphon.PicowsConnector(handshake_timeout=0.2)
        with pytest.raises(antiphon.ConnectError) as caught:
            await soon(_connect(server.url, connector=connector))
        assert caught.value.retryable
        await soon(server.ended.wait())


async def test_a_server_that_speaks_another_protocol() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(antiphon.ConnectError):
        await soon(_connect(f"ws://127.0.0.1:{port}/v1/realtime"))
    server.close()
    await server.wait_closed()


class Proxy:
    """An HTTP proxy that tunnels everything to one port of this machine."""

    def __init__(self, port: int, *, status: int = 200) -> None:
        self._port = port
        self._status = status
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked.append((await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[0])
        writer.write(f"HTTP/1.1 {self._status} Because\r\n\r\n".encode())
        if self._status == 200:
            back, forth = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.gather(self._pump(reader, forth), self._pump(back, writer))
        writer.close()

    @staticmethod
    async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()


@pytest.mark.parametrize("how", ["environment", "argument"])
async def test_through_a_proxy(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with EmulatorServer(script=Script([say("Hello.", ms=100)])) as server:
        proxy = Proxy(server.port)
        listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        monkeypatch.setenv("http_proxy", address if how == "environment" else "http://x.invalid")
        connector = antiphon.PicowsConnector(proxy=address if how == "argument" else None)
        async with antiphon.connect(
            url="ws://realtime.invalid/v1/realtime", api_key="x", connector=connector
        ) as session:
            assert await soon(session.create_response().text()) == "Hello."
        assert proxy.asked == ["CONNECT realtime.invalid:80 HTTP/1.1"]
        # This machine's own loopback is beyond any proxy.
        async with antiphon.connect(url=server.url) as session:
            assert session.config
        assert len(proxy.asked) == 1
        listening.close()
        await listening.wait_closed()


async def test_a_proxy_that_refuses() -> None:
    proxy = Proxy(9, status=407)
    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    address = f"http://me:hush-hush@127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    with pytest.raises(antiphon.ConnectError) as caught:
        await soon(
            _connect(
                "ws://realtime.invalid/v1/realtime",
                api_key="x",
                connector=antiphon.PicowsConnector(proxy=address),
            )
        )
    assert "407" in str(caught.value) and "hush-hush" not in str(caught.value)
    listening.close()
    await listening.wait_closed()


async def _connect(url: str, **settings: object) -> antiphon.Session:
    return await antiphon.connect(url=url, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("moment", range(6))
async def test_connect_cancelled_over_a_socket_leaves_no_connection(moment: int) -> None:
    async with EmulatorServer() as server:
        opening = asyncio.ensure_future(_connect(server.url))
        for _ in range(2 * moment):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled():
            await opening.result().close()
        async with asyncio.timeout(5):
            while server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    gc.collect()


@pytest.mark.parametrize("given_up_by", ["cancellation", "connect_timeout", "close"])
async def test_a_connect_that_was_given_up_leaves_no_socket(given_up_by: str) -> None:
    # Of its own the handshake would be given up after ten seconds; this one never is.
    connector = antiphon.PicowsConnector(handshake_timeout=3600)
    async with HungUp() as server:
        if given_up_by == "connect_timeout":
            with pytest.raises(antiphon.ConnectError):
                await _connect(server.url, connector=connector, connect_timeout=0.1)
        elif given_up_by == "close":
            session = antiphon.connect(url=server.url, connector=connector).begin()
            await soon(server.asked.wait())
            await session.close()
        else:
            opening = asyncio.ensure_future(_connect(server.url, connector=connector))
            await soon(server.asked.wait())
            opening.cancel()
            await asyncio.wait([opening], timeout=5)
            assert opening.cancelled()
        async with asyncio.timeout(5):
            await server.gone.wait()


class HungUp:
    """Takes connections, reads what comes, answers nothing, and sees when the peer has gone."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.gone = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked.set()
        while await reader.read(65536):
            pass
        self.gone.set()
        writer.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/realtime"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


async def test_a_session_over_a_socket_reconnects_and_closes() -> None:
    faults = Faults(on("response.output_audio.delta", nth=3).abort())
    behaviour = Behaviour(pace=Pace(speed=1.0))
    policy = antiphon.ReconnectPolicy(attempts=2, first_delay=0.01)
    script = Script([say("Long.", ms=10_000).always()])
    async with EmulatorServer(behaviour, script, faults=faults) as server:
        session = await antiphon.connect(url=server.url, reconnect=policy)
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        handle = session.create_response()
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
        await soon(back.wait())
        await soon(session.close())
        async with asyncio.timeout(5):
            while server.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
