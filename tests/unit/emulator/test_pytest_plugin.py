"""The fixtures `realtime_server` and `realtime_url`, as another project meets them."""

import asyncio

import pytest

import antiphon
from antiphon.emulator import say
from antiphon.emulator.threaded import ThreadedServer

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


async def test_it_behaves_as_told(realtime_server: ThreadedServer) -> None:
    realtime_server.behave("openai-2025-06-03", voice="cedar")
    async with antiphon.connect(url=realtime_server.url) as session:
        assert session.config["audio"]["output"]["voice"] == "cedar"


def test_each_test_finds_it_as_new(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "async def test_one(realtime_server):\n"
        "    realtime_server.behave(voice='cedar')\n"
        "    async with antiphon.connect(url=realtime_server.url) as session:\n"
        "        assert session.config['audio']['output']['voice'] == 'cedar'\n"
        "\n"
        "async def test_two(realtime_server):\n"
        "    assert realtime_server.sessions == []\n"
        "    async with antiphon.connect(url=realtime_server.url) as session:\n"
        "        assert session.config['audio']['output']['voice'] == 'marin'\n",
    )
    result.assert_outcomes(passed=2)


def inner(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makepyfile(
        f"import pytest\nimport antiphon\nfrom antiphon.emulator import Script, say\n{body}"
    )
    return pytester.runpytest_inprocess(*INNER)


def test_steps_left_over_fail_a_test_that_passed(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "def test_it(realtime_server):\n    realtime_server.play(say('never'))\n",
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
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["*assert 1 == 2*"])


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
    result = inner(pytester, CLIENT)
    result.assert_outcomes(passed=1)
    assert result.duration < 5
