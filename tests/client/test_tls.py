"""Connections over TLS, against certificates of our own."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

import antiphon
from antiphon.client import picows_socket
from tests.client.peer import soon
from tests.client.raw import HELLO, RawServer, RawWebSocket, frame

__all__: list[str] = []

NEVER_AGAIN = antiphon.ReconnectPolicy(attempts=0)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def stores_read(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[ssl.SSLContext]]:
    """The system trusts the authority; here is what was read of the system's trust store."""
    authority.cert_pem.write_to_path(tmp_path / "trusted.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "trusted.pem"))
    picows_socket._trust_store.cache_clear()
    read: list[ssl.SSLContext] = []
    create = ssl.create_default_context

    def watched() -> ssl.SSLContext:
        read.append(create())
        return read[-1]

    monkeypatch.setattr(ssl, "create_default_context", watched)
    yield read
    picows_socket._trust_store.cache_clear()


async def greet(ws: RawWebSocket) -> None:
    await ws.send(frame(HELLO))
    await ws.read_to_end()


async def test_the_system_trust_store_is_read_once_for_all_connections(
    tls: ssl.SSLContext, stores_read: list[ssl.SSLContext]
) -> None:
    async with RawServer(greet, tls=tls) as server:
        for _ in range(3):
            session = await antiphon.connect(url=server.url, reconnect=NEVER_AGAIN)
            assert session.pending_bytes == 0
            await session.close()
    assert len(stores_read) == 1


async def test_an_unknown_authority_is_refused(tls: ssl.SSLContext) -> None:
    picows_socket._trust_store.cache_clear()
    async with RawServer(greet, tls=tls) as server:
        with pytest.raises(antiphon.ConnectError, match="certificate"):
            await antiphon.connect(url=server.url, reconnect=NEVER_AGAIN)


async def test_a_context_of_the_users_own_is_used(
    tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    connector = antiphon.PicowsConnector(ssl_context=trusting)
    async with RawServer(greet, tls=tls) as server:
        session = await antiphon.connect(url=server.url, connector=connector, reconnect=NEVER_AGAIN)
        await session.close()


async def test_messages_that_leave_together_arrive_each_by_itself(
    tls: ssl.SSLContext, stores_read: list[ssl.SSLContext]
) -> None:
    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(ws: RawWebSocket) -> None:
        await ws.send(frame(HELLO))
        while True:
            arrived.put_nowait((await ws.read())[1])

    async with RawServer(listen, tls=tls) as server:
        session = await antiphon.connect(url=server.url, reconnect=NEVER_AGAIN)
        handles = [session.create_response(conversation="none") for _ in range(8)]
        created = [await soon(arrived.get()) for _ in handles]
        assert all(b'"response.create"' in one for one in created)
        session._lifeline.link.transport.send_text(b"{}", b"[]", b'""')  # type: ignore[union-attr]
        assert [await soon(arrived.get()) for _ in range(3)] == [b"{}", b"[]", b'""']
        await session.close()
