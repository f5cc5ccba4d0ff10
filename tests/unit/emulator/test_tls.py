"""The server over TLS: clients of four libraries, certificates made and given, and strangers."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import ssl
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from websockets.asyncio.client import connect

import antiphon
from antiphon.emulator import CertificateError, EmulatorServer, Script, ThreadedServer, say
from antiphon.emulator.running import door
from antiphon.exceptions import MissingDependency
from antiphon.models import DEFAULT_MODEL
from tests.unit.emulator.test_rest import OFFER

__all__: list[str] = []

WAIT_S = 20
HELLO = say("Hello.", ms=400).always()
NEVER_AGAIN = antiphon.ReconnectPolicy(attempts=0)


@pytest.fixture
async def server() -> AsyncIterator[EmulatorServer]:
    async with EmulatorServer(script=Script([HELLO]), tls=True) as running:
        yield running


def trusting(server: EmulatorServer | ThreadedServer) -> ssl.SSLContext:
    assert server.ca_file is not None
    return ssl.create_default_context(cafile=server.ca_file)


async def answer_over(url: str, context: ssl.SSLContext) -> str:
    """What a client of antiphon's own is answered."""
    connector = antiphon.PicowsConnector(ssl_context=context)
    async with antiphon.connect(url=url, connector=connector, reconnect=NEVER_AGAIN) as session:
        return await session.create_response().text()


# Clients


async def test_antiphon_trusts_it_by_its_ca_file(server: EmulatorServer) -> None:
    assert server.url == f"wss://127.0.0.1:{server.port}/v1/realtime"
    assert server.http_url == f"https://127.0.0.1:{server.port}/v1"
    assert await answer_over(server.url, trusting(server)) == "Hello."


async def test_antiphon_says_how_to_trust_an_authority_of_ones_own(server: EmulatorServer) -> None:
    with pytest.raises(antiphon.ConnectError, match="SSL_CERT_FILE=FILE.*ssl_context") as caught:
        await antiphon.connect(url=server.url, reconnect=NEVER_AGAIN)
    assert not caught.value.retryable


async def test_openai_python_places_a_call_and_joins_it(server: EmulatorServer) -> None:
    context = trusting(server)
    http = openai.DefaultAsyncHttpxClient(verify=context)
    async with openai.AsyncOpenAI(
        base_url=server.http_url, api_key="any", max_retries=0, http_client=http
    ) as client:
        assert DEFAULT_MODEL in [model.id async for model in client.models.list()]
        reply = await client.realtime.calls.create(
            sdp=OFFER, session={"type": "realtime", "model": "gpt-realtime"}
        )
        call_id = reply.response.headers["location"].rpartition("/")[2]
        options: Any = {"ssl": context}  # which its type leaves out, and websockets takes
        async with client.realtime.connect(
            call_id=call_id, websocket_connection_options=options
        ) as sideband:
            await sideband.response.create()
            kinds = [event.type async for event in _until(sideband, "response.done")]
        assert "output_audio_buffer.started" in kinds
        await client.realtime.calls.hangup(call_id)


async def _until(connection: Any, kind: str) -> AsyncIterator[Any]:
    async for event in connection:
        yield event
        if event.type == kind:
            return


async def test_it_serves_in_a_loop_that_agrees_on_tls_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "_hands_over", lambda loop: False)  # as for uvloop's
    async with EmulatorServer(script=Script([HELLO]), tls=True) as server:
        assert await answer_over(server.url, trusting(server)) == "Hello."
        http = openai.DefaultAsyncHttpxClient(verify=trusting(server))
        async with openai.AsyncOpenAI(
            base_url=server.http_url, api_key="any", http_client=http
        ) as client:
            assert DEFAULT_MODEL in [model.id async for model in client.models.list()]


async def test_frames_of_any_size_come_whole(server: EmulatorServer) -> None:
    async with connect(server.url, ssl=trusting(server)) as client:
        first = json.loads(await asyncio.wait_for(client.recv(), WAIT_S))
        assert first["type"] == "session.created"
        session = {"type": "realtime", "instructions": "x" * 1_000_000}
        await client.send(json.dumps({"type": "session.update", "session": session}))
        updated = json.loads(await asyncio.wait_for(client.recv(), WAIT_S))
    assert updated["session"]["instructions"] == session["instructions"]


async def test_a_thread_of_its_own_has_the_same() -> None:
    with ThreadedServer(script=Script([HELLO]), tls=True) as server:
        assert server.url.startswith("wss://")
        assert server.http_url.startswith("https://")
        assert await answer_over(server.url, trusting(server)) == "Hello."
    assert server.ca_file is None


async def test_it_may_be_called_localhost_where_it_listens_everywhere() -> None:
    async with EmulatorServer(script=Script([HELLO]), host="0.0.0.0", tls=True) as server:
        url = f"wss://localhost:{server.port}/v1/realtime"
        assert await answer_over(url, trusting(server)) == "Hello."


async def test_a_host_whose_name_no_certificate_has_can_listen_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my_host")
    async with EmulatorServer(script=Script([HELLO]), host="0.0.0.0", tls=True) as server:
        url = f"wss://localhost:{server.port}/v1/realtime"
        assert await answer_over(url, trusting(server)) == "Hello."
    with pytest.raises(CertificateError, match="'my_host'"):
        EmulatorServer(host="my_host", tls=True)


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(
    server: EmulatorServer,
) -> None:
    # TLS 1.3: the client may speak in the same packet that ends the handshake.
    came, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(server).wrap_bio(came, going, server_hostname="127.0.0.1")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(going.read())
            came.write(await asyncio.wait_for(reader.read(65536), WAIT_S))
    client.write(b"GET /v1/models HTTP/1.1\r\nHost: here\r\n\r\n")
    writer.write(going.read())
    answer = b""
    while b"\r\n" not in answer:
        try:
            answer += client.read(65536)
        except ssl.SSLWantReadError:
            came.write(await asyncio.wait_for(reader.read(65536), WAIT_S))
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 200 ")


# What lies on the disk


def files_in(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


async def test_the_key_is_nobody_elses_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read: list[tuple[Path, int]] = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, file: str, *rest: Any, **options: Any) -> None:
        assert "PRIVATE KEY" in Path(file).read_text()
        read.append((Path(file), stat.S_IMODE(os.stat(file).st_mode)))
        load(context, file, *rest, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    before = os.umask(0)
    try:
        server = EmulatorServer(tls=True)
    finally:
        os.umask(before)
    ((key, mode),) = read
    assert mode == 0o600
    assert not key.exists()
    assert files_in(tmp_path) == []
    async with server:
        assert server.ca_file is not None
        assert files_in(tmp_path) == [server.ca_file.parent, server.ca_file]
        assert "PRIVATE" not in server.ca_file.read_text()
    assert files_in(tmp_path) == []
    assert server.ca_file is None


async def test_a_server_that_cannot_listen_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="in use"):
            await EmulatorServer(port=taken.getsockname()[1], tls=True).start()
    assert files_in(tmp_path) == []


async def test_who_trusted_it_before_a_restart_trusts_it_after() -> None:
    server = EmulatorServer(script=Script([HELLO]), tls=True)
    async with server:
        context = trusting(server)
    async with server:
        assert await answer_over(server.url, context) == "Hello."


# Certificates of one's own


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    return written(authority.issue_cert("127.0.0.1"), tmp_path, "own")


def written(certificate: trustme.LeafCert, folder: Path, name: str) -> tuple[Path, Path]:
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    key.write_bytes(certificate.private_key_pem.bytes())
    return chain, key


async def test_a_certificate_may_be_given(
    authority: trustme.CA, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)  # which needs no trustme
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with EmulatorServer(script=Script([HELLO]), tls=files) as server:
        assert server.ca_file is None
        assert await answer_over(server.url, context) == "Hello."


async def test_a_context_may_be_given(authority: trustme.CA) -> None:
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(own)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with EmulatorServer(script=Script([HELLO]), tls=own) as server:
        assert await answer_over(server.url, context) == "Hello."


def test_a_context_for_clients_is_refused_at_once() -> None:
    with pytest.raises(CertificateError, match="Purpose.CLIENT_AUTH"):
        EmulatorServer(tls=ssl.create_default_context())


@pytest.mark.parametrize("wrong", ["cert.pem", ("cert.pem",), 1, None, object()])
def test_what_is_no_choice_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a pair of files"):
        EmulatorServer(tls=wrong)


def test_files_that_cannot_be_read_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    with pytest.raises(CertificateError, match="the certificate '.*none.pem' cannot be read: No"):
        EmulatorServer(tls=(tmp_path / "none.pem", key))
    with pytest.raises(CertificateError, match="the private key '.*' cannot be read: Is a dir"):
        EmulatorServer(tls=(certificate, str(tmp_path)))


def test_files_the_wrong_way_round_are_told(files: tuple[Path, Path]) -> None:
    certificate, key = files
    with pytest.raises(CertificateError, match=r"own\.key' holds no certificate in PEM form"):
        EmulatorServer(tls=(key, certificate))
    with pytest.raises(CertificateError, match=r"own\.pem' holds no private key in PEM form"):
        EmulatorServer(tls=(certificate, certificate))


def test_a_key_of_another_certificate_is_told(
    authority: trustme.CA, files: tuple[Path, Path], tmp_path: Path
) -> None:
    _, other = written(authority.issue_cert("127.0.0.1"), tmp_path, "other")
    with pytest.raises(CertificateError, match=r"other\.key' does not belong to the certificate"):
        EmulatorServer(tls=(files[0], other))


def test_a_garbled_file_is_told(files: tuple[Path, Path]) -> None:
    certificate, key = files
    certificate.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with pytest.raises(CertificateError, match=r"own\.pem' and .* cannot be used"):
        EmulatorServer(tls=files)


def test_an_encrypted_key_is_told_and_nobody_is_asked(files: tuple[Path, Path]) -> None:
    key = serialization.load_pem_private_key(files[1].read_bytes(), None)
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match=r"own\.key' is encrypted"):
        EmulatorServer(tls=files)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(MissingDependency, match=r"pip install 'antiphon\[tls\]'"):
        EmulatorServer(tls=True)


# Strangers


@pytest.fixture
def told() -> Iterator["asyncio.Queue[str]"]:
    """What an operator is told."""
    words: asyncio.Queue[str] = asyncio.Queue()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            words.put_nowait(record.getMessage())

    handler = Handler()
    logging.getLogger("antiphon.emulator").addHandler(handler)
    yield words
    logging.getLogger("antiphon.emulator").removeHandler(handler)


async def next_of(told: "asyncio.Queue[str]") -> str:
    return await asyncio.wait_for(told.get(), WAIT_S)


async def gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait until the other side has ended it."""
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_who_does_not_trust_it_is_told_of(
    server: EmulatorServer, told: "asyncio.Queue[str]"
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(server.url)
    assert "does not trust the certificate" in await next_of(told)


async def test_who_leaves_when_tls_is_agreed_upon_is_told_of(
    server: EmulatorServer, told: "asyncio.Queue[str]"
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(server))
    writer.close()
    assert "perhaps it does not trust the certificate" in await next_of(told)
    await gone(reader, writer)


async def test_who_speaks_no_tls_is_told_of(
    server: EmulatorServer, told: "asyncio.Queue[str]"
) -> None:
    async with aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            await client.get(server.http_url.replace("https", "http"))
    assert "should begin with wss: or https:" in await next_of(told)


async def test_who_says_nothing_is_sent_away_at_the_end_without_a_word(
    told: "asyncio.Queue[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 1000.0)  # so that it is the end that ends them
    async with EmulatorServer(tls=True) as server:
        silent = await asyncio.open_connection("127.0.0.1", server.port)
        # The server has met the silent one, too, when it has agreed with this one.
        agreed = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting(server))
    await gone(*silent)
    await gone(*agreed)
    assert told.empty()
