"""Whatever a connector's libraries raise is a `ConnectError`, without secrets, retryable or not."""

import asyncio
import contextlib
import logging
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import picows
import pytest
from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError

import antiphon
from antiphon.client.connect_errors import connect_error
from antiphon.client.endpoint import resolve, without_secrets
from antiphon.emulator import EmulatorServer, MemoryConnector, run_virtual
from tests.client.peer import Peer, soon, virtual
from tests.client.raw import RawServer

__all__: list[str] = []

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[int]:
    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(through, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Moody:
    """An HTTP proxy that answers its first, third, … CONNECT, and does something else between."""

    def __init__(self, port: int, mood: bytes) -> None:
        self._port = port
        self._mood = mood
        self.asked = 0
        self.through: list[asyncio.StreamWriter] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        if self.asked % 2 == 0:
            writer.write(self._mood)
            return
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"HTTP/1.1 200 Fine\r\n\r\n")
        self.through.append(writer)
        await asyncio.gather(_pump(reader, forth), _pump(back, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
    sink.close()


@pytest.mark.parametrize(
    "mood",
    [b"HTTP/1.1 503 Service Unavailable\r\n\r\n", b"HTTP/1.1 429 Later\r\n\r\n", b""],
    ids=["503", "429", "hangs up"],
)
async def test_a_proxys_bad_moment_does_not_end_the_session(mood: bytes) -> None:
    async with EmulatorServer() as server:
        proxy = Moody(server.port, mood)
        async with listening(proxy) as port:
            session = await antiphon.connect(
                url=server.url,
                connector=antiphon.PicowsConnector(proxy=f"http://127.0.0.1:{port}"),
                reconnect=antiphon.ReconnectPolicy(first_delay=0.01),
            )
            failed: list[antiphon.ConnectError] = []
            session.on("connect_failed", failed.append)
            back = asyncio.Event()
            session.on("reconnected", lambda _: back.set())
            proxy.through[0].transport.abort()
            await soon(back.wait())
            assert proxy.asked == 3
            (error,) = failed
            assert error.retryable and "ProxyError" not in str(error)
            await session.close()


@pytest.mark.parametrize(
    ("raised", "retryable"),
    [
        (ProxyError("HTTP proxy rejected connection with status 407"), False),
        (ProxyError("HTTP proxy rejected connection with status 403"), False),
        (ProxyError("HTTP proxy rejected connection with status 502"), True),
        (ProxyError("HTTP proxy returned an invalid response"), True),
        (ProxyError("HTTP proxy closed the connection before replying"), True),
        (ProxyError("Username and password authentication failure"), False),
        (ProxyError("No acceptable authentication methods were offered"), False),
        (ProxyError("Connection closed unexpectedly"), True),
        (ProxyError("General SOCKS server failure", error_code=1), True),
        (ProxyError("Connection not allowed by ruleset", error_code=2), False),
        (ProxyError("Host unreachable", error_code=4), True),
        (ProxyError("Address type not supported", error_code=8), False),
        (ProxyError("Request rejected or failed", error_code=0x5B), True),
        (ProxyError("no identd", error_code=0x5C), False),
        (ProxyConnectionError(111, "Could not connect to proxy"), True),
        (ProxyTimeoutError("Proxy connection timed out: 60"), True),
        (ConnectionResetError(104, "reset"), True),
        (asyncio.IncompleteReadError(b"", 1), True),
        (TimeoutError(), True),
        (OSError(-2, "Name or service not known"), True),
        (ssl.SSLError(1, "handshake failure"), True),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), False),
        (UnicodeError("label too long"), False),
        (ValueError("Invalid scheme component: ftp"), False),
        (TypeError("extra_headers key/value must be str types"), False),
        (AssertionError(), False),
        (picows.WSHandshakeError("hung up"), True),
        (picows.WSInvalidMessageError("no HTTP"), True),
        (picows.WSError("something"), True),
        (picows.WSInvalidURL("nonsense", "scheme isn't ws or wss"), False),
    ],
    ids=repr,
)
def test_what_is_worth_another_attempt(raised: Exception, retryable: bool) -> None:
    error = connect_error(raised, "ws://host/v1/realtime")
    assert error.retryable is retryable
    assert str(error).startswith("no connection to ws://host/v1/realtime: ")
    assert not str(error).endswith(": ")


async def test_who_finds_nobody_on_this_machine_is_told_how_to_run_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(antiphon.ConnectError, match=r"nobody listens there; `antiphon serve`"):
        async with antiphon.connect(url=f"ws://127.0.0.1:{port}/v1/realtime", api_key="any"):
            pass
    elsewhere = connect_error(ConnectionRefusedError(111, "refused"), "wss://host/v1/realtime")
    assert "antiphon serve" not in str(elsewhere)


@pytest.mark.parametrize("proxy", ["ftp://127.0.0.1:1", "me:hush-hush@", "http://me:hush-hush@"])
async def test_a_proxys_address_that_is_none(proxy: str) -> None:
    with pytest.raises(antiphon.ConnectError) as caught:
        await antiphon.connect(
            url="ws://host.invalid/v1/realtime",
            api_key="x",
            connector=antiphon.PicowsConnector(proxy=proxy),
        )
    assert not caught.value.retryable
    causes: traceback.TracebackException | None
    causes = traceback.TracebackException.from_exception(caught.value)
    while causes is not None:
        assert "hush-hush" not in str(causes)
        causes = causes.__cause__ or (None if causes.__suppress_context__ else causes.__context__)


async def test_a_proxy_of_the_environment_may_be_host_and_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    asked: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 407 No\r\n\r\n")

    async with listening(talk) as port:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{port}")
        with pytest.raises(antiphon.ConnectError, match="user and a password") as caught:
            await antiphon.connect(url="ws://host.invalid/v1/realtime", api_key="x")
    assert asked == [b"CONNECT host.invalid:80 HTTP/1.1\r\n"]
    assert not caught.value.retryable


async def test_a_server_that_hangs_up_during_the_handshake_is_known_at_once() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with listening(talk) as port:
        with pytest.raises(antiphon.ConnectError, match="hung up") as caught:
            async with asyncio.timeout(5):  # connect_timeout would be fifteen
                await antiphon.connect(url=f"ws://127.0.0.1:{port}/v1/realtime")
    assert caught.value.retryable


@pytest.mark.parametrize(
    ("raised", "retryable"),
    [
        (OSError("Bearer sk-secret"), True),
        (EOFError("Bearer sk-secret"), True),
        (RuntimeError("Bearer sk-secret"), False),
        (ssl.SSLCertVerificationError("Bearer sk-secret"), False),
    ],
)
def test_a_connector_of_the_users_own_is_not_quoted(raised: Exception, retryable: bool) -> None:
    @virtual
    async def play() -> None:
        with pytest.raises(antiphon.ConnectError, match=type(raised).__name__) as caught:
            await Peer(refusals=[raised]).connect()
        assert caught.value.retryable is retryable
        assert "sk-secret" not in str(caught.value)
        assert caught.value.__cause__ is raised

    play()


# --- what is in the address -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "authorization"),
    [
        ({}, "Basic YWxpY2U6cEB3"),
        ({"api_key": "k"}, "Bearer k"),
        ({"headers": {"authorization": "Mine"}}, "Mine"),
    ],
)
async def test_user_and_password_of_the_address_are_credentials_and_nothing_else(
    settings: dict[str, Any], authorization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "of-the-environment")
    async with RawServer(status=403) as server:
        host = server.url.split("/")[2]
        url = server.url.replace("://", "://alice:p%40w@")
        with pytest.raises(antiphon.ConnectError):
            await antiphon.connect(url=url, **settings)
        (request,) = server.requests
    lines = [line.partition(": ") for line in request.split("\r\n")]
    sent = {name.lower(): value for name, _, value in lines}
    assert sent["host"] == host
    assert sent["authorization"] == authorization
    assert "alice" not in request and "p%40w" not in request and "p@w" not in request


@pytest.mark.parametrize("address", ["api.openai.com/v1", "host:99/v1/realtime"])
def test_an_address_without_a_scheme_is_quoted_as_it_was_given(address: str) -> None:
    with pytest.raises(antiphon.ConnectError) as caught:
        resolve(url=address, api_key="k")
    assert repr(address) in str(caught.value)
    assert without_secrets(f"me:pw@{address}?api-key=k") == address


def test_a_port_that_is_none_is_said_before_anything_is_tried() -> None:
    with pytest.raises(antiphon.ConnectError, match="no address"):
        resolve(url="ws://host:99999/v1/realtime", api_key="k")


def test_the_emulator_in_memory_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    async def main() -> None:
        for settings in (
            {"url": "ws://emulator/v1/realtime"},
            {},
            {"azure_endpoint": "https://name.openai.azure.com"},
        ):
            connector = MemoryConnector()
            async with antiphon.connect(connector=connector, **settings) as session:  # type: ignore[arg-type]
                assert session.config["type"] == "realtime"
        with pytest.raises(antiphon.ConnectError) as caught:
            await antiphon.connect(connector=MemoryConnector(api_key="right"))
        assert caught.value.status == 401, "and whoever wants one is refused as elsewhere"

    run_virtual(main())


# --- what is logged -------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [1, 9, logging.DEBUG, logging.INFO])
async def test_picows_logs_no_header_at_any_level_and_nothing_at_info(
    level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(level, logger="antiphon.picows")
    caplog.set_level(level, logger="picows")
    async with EmulatorServer() as server:
        async with antiphon.connect(url=server.url, api_key="sk-secret") as session:
            await soon(session.send_text("My words."))
    assert "sk-secret" not in caplog.text and "My words" not in caplog.text
    records = [one for one in caplog.records if "picows" in one.name]
    assert [one for one in records if one.levelno >= logging.INFO] == []
    assert bool(records) is (level <= logging.DEBUG)
