"""`antiphon serve`, as a process, with real clients."""

import asyncio
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

import antiphon
import antiphon.cli.demo
from antiphon.models import DEFAULT_MODEL
from tests.helpers.command import COMMAND, environment
from tests.helpers.command import antiphon as run_antiphon
from tests.voice.chat_server import chat_server, finish, said, streams
from tests.voice.talk import talk

__all__: list[str] = []

SECONDS = 20
SPOKEN = Path(antiphon.cli.demo.__file__).parent / "spoken.wav"


@asynccontextmanager
async def serving(
    *arguments: str, told: list[str] | None = None, complaint: str = ""
) -> AsyncIterator[str]:
    """The server's address; Ctrl-C ends it, and it must end well.

    What it says goes to `told`: how to reach it at first, and at the end the rest.
    """
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        "serve",
        "--port",
        "0",
        *arguments,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(SECONDS):
        try:
            first = (await process.stdout.readline()).decode()
            found = re.search(r"wss?://\S+", first)
            assert found is not None, first
            banner = first
            while not banner.endswith("Ctrl-C stops it.\n"):
                line = (await process.stdout.readline()).decode()
                assert line, banner
                banner += line
            if told is not None:
                told.append(banner)
            yield found[0]
        finally:
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
            if told is not None:
                told.append(out.decode())
    assert complaint in err.decode() if complaint else err.decode() == ""
    assert process.returncode == 0
    assert out.decode().endswith("stopped\n")


async def test_a_client_gets_what_the_script_says(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text('[[answer]]\nsay = "as written"\n')
    async with (
        serving("--script", str(script), "--pace", "instant") as url,
        antiphon.connect(url=url) as session,
    ):
        assert await session.create_response(output_modalities=["text"]).text() == "as written"


async def test_knobs_and_profile_are_those_given() -> None:
    arguments = ("--profile", "openai-2025-06-03", "--set", "voice=cedar", "--seed", "7")
    async with serving(*arguments) as url, antiphon.connect(url=url) as session:
        assert session.config["audio"]["output"]["voice"] == "cedar"
        assert session.config["model"] == DEFAULT_MODEL  # named by the client


async def test_only_the_given_key_is_let_in() -> None:
    async with serving("--api-key", "right") as url:
        with pytest.raises(antiphon.ConnectError):
            async with antiphon.connect(url=url, api_key="wrong"):
                pass
        async with antiphon.connect(url=url, api_key="right") as session:
            assert session.config["model"] == DEFAULT_MODEL


@pytest.mark.parametrize(
    ("option", "seen"), [((), "created, default"), (("-v",), "response.created {"), (("-q",), None)]
)
async def test_what_goes_on_is_told_unless_nobody_wants_it(
    option: tuple[str, ...], seen: str | None
) -> None:
    told: list[str] = []
    async with serving("--pace", "instant", *option, told=told) as url:
        async with antiphon.connect(url=url) as session:
            await session.create_response(output_modalities=["text"]).text()
    _, journal = told
    assert (seen in journal) if seen else ("#1" not in journal)


async def test_stopping_closes_connected_clients() -> None:
    async with serving() as url:
        session = await antiphon.connect(url=url, reconnect=antiphon.ReconnectPolicy(attempts=0))
    async with asyncio.timeout(SECONDS):
        closed = await session.closed
    assert closed.code == 1001


TALKS = """
import asyncio, sys, antiphon
async def main():
    async with antiphon.connect(url=sys.argv[1]) as session:
        print(await session.create_response(instructions="Say hello.").text())
asyncio.run(main())
"""


async def test_with_tls_it_says_what_makes_clients_trust_it() -> None:
    told: list[str] = []
    async with serving("--tls", "--pace", "instant", told=told) as url:
        assert url.startswith("wss://127.0.0.1:")
        assert (
            f"OPENAI_BASE_URL=https:{url.removeprefix('wss:').removesuffix('/realtime')} "
            in (told[0])
        )
        assert "ws://" not in told[0] and "http://" not in told[0]
        (ca_file,) = set(re.findall(r"export (?:SSL_CERT_FILE|NODE_EXTRA_CA_CERTS)=(\S+)", told[0]))
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", TALKS, url),
            env=environment(SSL_CERT_FILE=ca_file),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(client.communicate(), SECONDS)
    assert out == b"Hello.\n"
    with pytest.raises(FileNotFoundError):
        os.stat(ca_file)


async def test_a_certificate_of_ones_own_is_shown(tmp_path: Path) -> None:
    authority = trustme.CA()
    chain, key = tmp_path / "own.pem", tmp_path / "own.key"
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    connector = antiphon.PicowsConnector(ssl_context=trusting)
    told: list[str] = []
    files = ("--tls-cert", str(chain), "--tls-key", str(key))
    async with serving(*files, "--pace", "instant", told=told) as url:
        assert "CA_CERTS" not in told[0]
        async with antiphon.connect(url=url, connector=connector) as session:
            assert await session.create_response(instructions="Say hello.").text() == "Hello."


async def test_the_operator_learns_of_a_client_that_does_not_trust_it() -> None:
    async with serving("--tls", complaint="does not trust the certificate") as url:
        with pytest.raises(antiphon.ConnectError, match="SSL_CERT_FILE"):
            await antiphon.connect(url=url, reconnect=antiphon.ReconnectPolicy(attempts=0))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (("--tls-cert", "own.pem"), "--tls-cert FILE and --tls-key FILE go together"),
        (("--tls", "--tls-key", "own.key"), "--tls-cert FILE and --tls-key FILE go together"),
        (("--tls-cert", "none.pem", "--tls-key", "k"), "certificate 'none.pem' cannot be read"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_told_in_one_line(
    files: tuple[str, ...], said: str
) -> None:
    done = run_antiphon("serve", "--port", "0", *files)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_package_for_tls_that_is_not_installed_is_named(tmp_path: Path) -> None:
    # A package of this name that cannot be imported stands in for one that is not installed.
    (tmp_path / "trustme.py").write_text("raise ImportError\n")
    path = f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    done = run_antiphon("serve", "--tls", "--port", "0", PYTHONPATH=path)
    assert done.returncode == 1
    assert "pip install 'antiphon[tls]'" in done.stderr


def test_a_port_that_is_taken_is_told_with_a_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_antiphon("serve", "--port", str(port))
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in done.stderr
    assert "--port 0" in done.stderr


@pytest.mark.parametrize("port", ["99999", "-1", "65536", "http", ""])
def test_what_is_no_port_is_told_in_one_line(port: str) -> None:
    done = run_antiphon("serve", f"--port={port}")
    assert done.returncode == 2
    assert f"{port!r} is no port; ports are 0 to 65535" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as nobody:
        done = subprocess.run(
            [*COMMAND, "serve", "--knobs"],
            env=environment(PYTHONUNBUFFERED=""),
            stdout=nobody,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"")


async def test_with_a_voice_and_a_brain_it_hears_thinks_and_speaks() -> None:
    async with chat_server() as chat:
        chat.answers = [streams(said("It is in the cellar."), finish())]
        arguments = ("--voice", "--brain", chat.url, "--brain-model", "small", "--pace", "instant")
        async with serving(*arguments) as url, talk(url) as client:
            with wave.open(str(SPOKEN)) as file:
                await client.speak(file.readframes(file.getnframes()))
            response = await client.done()
    assert response["output"][0]["content"][0]["transcript"] == "It is in the cellar."
    assert len(client.audio(response["id"])) > 48_000
    heard = chat.asked[0]["messages"][-1]
    assert heard["role"] == "user"
    assert "bicycle" in heard["content"]


def test_a_brain_without_a_model_is_a_mistake() -> None:
    done = run_antiphon("serve", "--brain", "http://127.0.0.1:1/v1")
    assert done.returncode == 2
    assert "--brain URL and --brain-model NAME go together" in done.stderr


def test_a_voice_that_is_not_installed_is_named(tmp_path: Path) -> None:
    # A package of this name that cannot be found stands in for one that is not installed.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'pocketsphinx' else found(name, *a)\n"
    )
    done = run_antiphon("serve", "--voice", "--port", "0", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "pip install 'antiphon[voice]'" in done.stderr
