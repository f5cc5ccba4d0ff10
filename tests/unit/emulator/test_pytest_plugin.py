"""The fixtures `realtime_server` and `realtime_url`, as another project meets them."""

import asyncio
import subprocess
import sys
import threading

import pytest

import antiphon
from antiphon.emulator import Behaviour, ThreadedServer, say

__all__: list[str] = []

pytest_plugins = ["pytester"]

INNER = (
    "-p",
    "no:cacheprovider",
    "-o",
    "asyncio_mode=auto",
    "-o",
    "asyncio_default_fixture_loop_scope=function",
)


async def reply_of(url: str) -> str:
    async with antiphon.connect(url=url) as session:
        return await session.create_response(output_modalities=["text"]).text()


async def test_coroutines_can_use_it(realtime_server: ThreadedServer) -> None:
    realtime_server.play(say("as written"))
    assert await reply_of(realtime_server.url) == "as written"
    assert len(realtime_server.sessions) == 1
    assert len(realtime_server.received("response.create")) == 1


def test_plain_functions_can_use_it(realtime_url: str) -> None:
    assert asyncio.run(reply_of(realtime_url)) == "Hello. What can I do for you?"


@pytest.mark.realtime_server("openai-2025-06-03", voice="cedar", api_key="right")
async def test_the_mark_says_how_it_behaves(realtime_server: ThreadedServer) -> None:
    async with antiphon.connect(url=realtime_server.url, api_key="right") as session:
        assert session.config["audio"]["output"]["voice"] == "cedar"
    assert realtime_server.behaviour.cancel_no_id_scope == "only_if_single"
    with pytest.raises(antiphon.ConnectError):
        await antiphon.connect(url=realtime_server.url, api_key="wrong")


async def test_every_test_meets_it_as_new(realtime_server: ThreadedServer) -> None:
    # Whatever the tests before did to it.
    assert not realtime_server.sessions
    assert not realtime_server.received()
    assert realtime_server.behaviour == Behaviour()
    assert await reply_of(realtime_server.url) == "Hello. What can I do for you?"


def inner(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makepyfile(f"import pytest\nfrom antiphon.emulator import say\n{body}")
    return pytester.runpytest_inprocess(*INNER)


def test_steps_left_over_fail_a_test_that_passed(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester, "def test_it(realtime_server):\n    realtime_server.play(say('never'))\n"
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ScriptNotConsumed: the script was not played as written:*"])


def test_steps_left_over_do_not_hide_why_a_test_failed(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "def test_it(realtime_server):\n"
        "    realtime_server.play(say('never'))\n"
        "    assert 1 == 2\n",
    )
    result.assert_outcomes(failed=1)


def test_loading_the_plugin_imports_no_engine() -> None:
    program = (
        "import sys, antiphon.emulator.pytest_plugin\n"
        "heavy = {'engine', 'server', 'threaded', 'shapes', 'vad', 'speech'}\n"
        "print(sorted(heavy & {name.rpartition('.')[2] for name in sys.modules "
        "if name.startswith('antiphon.emulator.')}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


CLIENT = """\
import socket
from urllib.parse import urlsplit


@pytest.fixture
def client():
    with socket.socket() as made:
        yield made


def test_it(client, realtime_server):  # the client outlives the server
    client.settimeout(5)
    client.connect(("127.0.0.1", urlsplit(realtime_server.url).port))
    client.sendall(
        b"GET /v1/realtime HTTP/1.1\\r\\nHost: localhost\\r\\nUpgrade: websocket\\r\\n"
        b"Connection: Upgrade\\r\\nSec-WebSocket-Version: 13\\r\\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n"
    )
    assert client.recv(12) == b"HTTP/1.1 101"
"""


def test_a_client_left_connected_does_not_hold_up_the_end(pytester: pytest.Pytester) -> None:
    before = set(threading.enumerate())
    result = inner(pytester, CLIENT)
    result.assert_outcomes(passed=1)
    # A server that waited for its client would have been given up, and its thread left behind.
    assert set(threading.enumerate()) - before == set()
