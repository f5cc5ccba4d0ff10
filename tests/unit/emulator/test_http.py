"""HTTP and WebSockets on one port: openai-python unmodified, a browser, and strangers."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web
from standardwebhooks import Webhook
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from antiphon.emulator import Behaviour, EmulatorServer, Script, ThreadedServer, say
from antiphon.emulator.engine.call import CallState
from antiphon.emulator.running.webhook import DEFAULT_SECRET
from antiphon.models import DEFAULT_MODEL
from tests.unit.emulator.test_rest import OFFER

__all__: list[str] = []

Json = dict[str, Any]
LONG = say("One two three four five six seven eight nine ten.", ms=4000)


@pytest.fixture
async def server() -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(script=Script([LONG.always()])) as running:
        yield running


def sdk(server: EmulatorServer, key: str = "any") -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=server.http_url, api_key=key, max_retries=0)


async def events_until(socket: Any, kind: str) -> list[str]:
    kinds: list[str] = []
    while kind not in kinds:
        kinds.append(json.loads(await socket.recv())["type"])
    return kinds


# openai-python


async def test_openai_makes_an_ephemeral_key_and_lists_models(server: EmulatorServer) -> None:
    async with sdk(server) as client:
        secret = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 600},
            session={"type": "realtime", "model": "gpt-realtime"},
        )
        assert secret.value.startswith("ek_")
        assert secret.session.type == "realtime"
        other = await client.realtime.client_secrets.create(session={"type": "transcription"})
        assert other.session.type == "transcription"
        names = [model.id async for model in client.models.list()]
        assert DEFAULT_MODEL in names


async def test_openai_places_a_call_joins_it_and_hangs_up(server: EmulatorServer) -> None:
    async with sdk(server) as client:
        reply = await client.realtime.calls.create(
            sdp=OFFER, session={"type": "realtime", "model": "gpt-realtime"}
        )
        assert reply.text.startswith("v=0")
        call_id = reply.response.headers["location"].rpartition("/")[2]
        async with client.realtime.connect(call_id=call_id) as sideband:
            await sideband.response.create()
            async for event in sideband:
                assert event.type != "response.output_audio.delta"
                if event.type == "output_audio_buffer.started":
                    await sideband.output_audio_buffer.clear()
                elif event.type == "conversation.item.truncated":
                    break
            await client.realtime.calls.hangup(call_id)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await sideband.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1000
        with pytest.raises(openai.BadRequestError) as gone:
            await client.realtime.calls.hangup(call_id)
        assert gone.value.code == "call_id_not_found"
    assert len(server.calls) == 0


async def test_openai_answers_a_telephone(server: EmulatorServer) -> None:
    async with sdk(server) as client:
        ringing = await server.ring({"From": "sip:+15550100@example.com"})
        await client.realtime.calls.accept(ringing.id, type="realtime", instructions="Be brief.")
        assert ringing.state is CallState.UP
        with pytest.raises(openai.BadRequestError) as again:
            await client.realtime.calls.accept(ringing.id, type="realtime")
        assert again.value.code == "call_already_answered"
        await client.realtime.calls.refer(ringing.id, target_uri="tel:+15550199")
        assert ringing.referred_to == "tel:+15550199"
        other = await server.ring()
        await client.realtime.calls.reject(other.id, status_code=486)
        assert other.declined_with == 486
        with pytest.raises(openai.NotFoundError):
            await client.realtime.calls.accept(other.id, type="realtime")


async def test_a_key_is_asked_for_everywhere() -> None:
    async with EmulatorServer(api_key="sk-right") as server:
        async with sdk(server, "sk-wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
            with pytest.raises(openai.AuthenticationError):
                await client.realtime.client_secrets.create()
        async with sdk(server, "sk-right") as client:
            secret = await client.realtime.client_secrets.create(
                session={"type": "realtime", "instructions": "Be brief."}
            )
        # P-338: the key opens sessions by WebSocket too, as a browser would.
        protocol = f"openai-insecure-api-key.{secret.value}"
        async with connect(server.url, subprotocols=["realtime", protocol]) as socket:  # type: ignore[list-item]
            created = json.loads(await socket.recv())
            assert created["session"]["instructions"] == "Be brief."


# Sidebands over real sockets


async def test_a_sideband_of_no_call_is_refused(server: EmulatorServer) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.url}?call_id=rtc_nobody")
    assert refused.value.response.status_code == 404
    error = json.loads(refused.value.response.body or b"")["error"]
    assert error["code"] == "call_id_not_found"


async def test_a_client_that_keeps_its_connections_gets_its_socket(server: EmulatorServer) -> None:
    async with aiohttp.ClientSession() as session:
        kind = {"Content-Type": "application/sdp"}
        path = f"{server.http_url}/realtime/calls"
        async with session.post(path, data=OFFER.encode(), headers=kind) as reply:
            call_id = reply.headers["Location"].rpartition("/")[2]
            await reply.read()
        async with session.ws_connect(f"{server.url}?call_id={call_id}") as sideband:
            await sideband.send_json({"type": "session.update", "session": {"type": "realtime"}})
            assert (await sideband.receive_json())["type"] == "session.updated"


async def test_a_refusal_may_be_empty() -> None:
    behaviour = Behaviour().but(sideband_unknown_call="http_404_empty")
    async with EmulatorServer(behaviour) as server:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}?call_id=rtc_nobody")
    assert refused.value.response.status_code == 404
    assert not refused.value.response.body


async def test_a_caller_who_hangs_up_cuts_the_sockets(server: EmulatorServer) -> None:
    ringing = await server.ring()
    ringing.accept({"type": "realtime"})
    async with connect(f"{server.url}?call_id={ringing.id}") as socket:
        ringing.press("5")
        assert await events_until(socket, "input_audio_buffer.dtmf_event_received")
        ringing.hang_up()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is None


async def test_stopping_the_server_ends_calls_and_connections() -> None:
    server = EmulatorServer()
    await server.start()
    placed = server.calls.place()
    socket = await connect(f"{server.url}?call_id={placed.id}")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{server.http_url}/models") as reply:
            assert reply.status == 200
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /v1/mod")  # and this one says no more
        await writer.drain()
        await server.stop()
        assert await reader.read() == b""
        writer.close()
    assert placed.state is CallState.OVER
    with pytest.raises(ConnectionClosed):
        await socket.recv()


# As a browser and as a stranger sees it


async def test_a_browser_may_read_its_call_id(server: EmulatorServer) -> None:
    # P-333
    async with aiohttp.ClientSession() as session:
        path = f"{server.http_url}/realtime/calls"
        async with session.options(path) as asked:
            assert asked.status == 204
            assert asked.headers["Access-Control-Allow-Origin"] == "*"
            assert "POST" in asked.headers["Access-Control-Allow-Methods"]
        kind = {"Content-Type": "application/sdp"}
        async with session.post(path, data=OFFER.encode(), headers=kind) as reply:
            assert reply.status == 201
            assert reply.content_type == "application/sdp"
            assert reply.headers["Access-Control-Allow-Origin"] == "*"
            assert reply.headers["Access-Control-Expose-Headers"] == "Location, X-Request-Id"
            assert reply.headers["Location"].startswith("/v1/realtime/calls/rtc_")
            assert reply.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("PUT", "/v1/models", 404),
        ("GET", "/v1/realtime", 426),
        ("POST", "/v1/realtime/sessions", 404),
        ("GET", "/v1/live", 501),
    ],
)
async def test_anything_else_is_json(
    server: EmulatorServer, method: str, path: str, status: int
) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{server.port}{path}") as reply,
    ):
        assert reply.status == status
        assert reply.content_type == "application/json"
        assert set((await reply.json())["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("path", ["/v1/realtime/translations", "/v1/live/sessions/1/attach"])
async def test_a_socket_for_another_protocol_is_told_so(server: EmulatorServer, path: str) -> None:
    # P-465: GPT-Live is another protocol
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://127.0.0.1:{server.port}{path}?model=gpt-realtime")
    assert refused.value.response.status_code == 501
    error = json.loads(refused.value.response.body or b"")["error"]
    assert error["code"] == "not_emulated"
    assert "not emulated" in error["message"]


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"\x16\x03\x01\x02\x00\x01",  # a TLS hello
        b"hello there\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000,
    ],
)
async def test_what_is_no_request_is_sent_away(server: EmulatorServer, bytes_sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(bytes_sent)
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        pass
    writer.close()
    async with connect(server.url) as socket:  # and nobody else minds
        assert json.loads(await socket.recv())["type"] == "session.created"


async def test_a_head_may_come_byte_by_byte(server: EmulatorServer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = (
        "GET /v1/realtime?model=gpt-realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    for byte in request.encode():
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")
    writer.close()


async def test_a_body_that_is_too_large_is_refused(server: EmulatorServer) -> None:
    large = io.BytesIO(b" " * (5 * 1024 * 1024))
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.http_url}/realtime/client_secrets", data=large) as reply,
    ):
        assert reply.status == 413
        assert (await reply.json())["error"]["code"] == "request_too_large"


async def test_without_aiohttp_every_request_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    async with EmulatorServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 501 ")
        assert "antiphon[calls]" in json.loads(body)["error"]["message"]
        async with connect(server.url) as socket:
            assert json.loads(await socket.recv())["type"] == "session.created"


async def test_without_aiortc_an_offer_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "antiphon.emulator.running.webrtc", None)
    async with EmulatorServer(Behaviour().but(call_media="webrtc")) as server:
        kind = {"Content-Type": "application/sdp"}
        path = f"{server.http_url}/realtime/calls"
        async with (
            aiohttp.ClientSession() as session,
            session.post(path, data=OFFER.encode(), headers=kind) as reply,
        ):
            assert reply.status == 501
            assert "antiphon[webrtc]" in (await reply.json())["error"]["message"]
        assert len(server.calls) == 0


# Webhooks


class Endpoint:
    """Somebody's webhook endpoint, which answers as it is told to."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.url = ""

    async def __aenter__(self) -> "Endpoint":
        application = web.Application()
        application.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/hook"
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


async def test_a_telephone_that_rings_posts_a_signed_webhook() -> None:
    async with Endpoint() as endpoint, EmulatorServer(webhook_url=endpoint.url) as server:
        ringing = await server.ring([("From", "sip:a@example.com"), ("Via", "1"), ("Via", "2")])
        ((headers, body),) = endpoint.got
        event = Webhook(DEFAULT_SECRET).verify(body, headers)
        assert event["data"]["call_id"] == ringing.id
        assert [one["name"] for one in event["data"]["sip_headers"]] == ["From", "Via", "Via"]
        assert ringing.webhook_statuses == [200]


async def test_a_webhook_may_come_twice_with_one_id() -> None:
    # P-360
    async with Endpoint() as endpoint, EmulatorServer(webhook_url=endpoint.url) as server:
        await server.ring(deliveries=2)
        first, second = endpoint.got
        assert first[0]["webhook-id"] == second[0]["webhook-id"]
        assert first[1] == second[1]


async def test_a_webhook_that_is_not_taken_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # P-360
    monkeypatch.setattr("antiphon.emulator.running.courier.PAUSES_S", (0.0, 0.0, 0.0))
    async with Endpoint(500, 302, 200) as endpoint:
        async with EmulatorServer(webhook_url=endpoint.url) as server:
            ringing = await server.ring()
            await ringing.webhook_taken.wait()
            assert ringing.webhook_statuses == [500, 302, 200]
    assert len({headers["webhook-id"] for headers, _ in endpoint.got}) == 1


async def test_nobody_at_the_webhooks_address_is_no_error() -> None:
    async with EmulatorServer(webhook_url="http://127.0.0.1:9/hook") as server:
        ringing = await server.ring()
        assert ringing.webhook_statuses == [None]
        assert ringing.state is CallState.RINGING


def test_calls_from_another_thread() -> None:
    with ThreadedServer(script=Script([LONG])) as server:
        placed = server.place({"instructions": "Be brief."})
        ringing = server.ring({"From": "sip:a@example.com"})
        server.in_loop(lambda: ringing.accept({"type": "realtime"}))
        client = openai.OpenAI(base_url=server.http_url, api_key="any", max_retries=0)
        for call in (placed, ringing):
            client.realtime.calls.hangup(call.id)
            assert call.state is CallState.OVER
        client.close()
