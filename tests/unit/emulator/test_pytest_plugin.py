"""The fixtures `realtime_server` and `realtime_url`, as another project meets them."""

import asyncio
from pathlib import Path

import pytest

import antiphon
from antiphon.emulator import EmulatorServer, Script, say

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


async def test_coroutines_can_use_it(realtime_server: EmulatorServer) -> None:
    realtime_server.script = Script([say("as written")])
    assert await reply_of(realtime_server.url) == "as written"
    (engine,) = realtime_server.sessions
    assert len(engine.received_of("response.create")) == 1


def test_plain_functions_can_use_it(realtime_url: str) -> None:
    assert asyncio.run(reply_of(realtime_url)) == "Hello. What can I do for you?"


@pytest.mark.realtime_server("openai-2025-06-03", voice="cedar", api_key="right", seed=3)
async def test_the_mark_says_how_it_behaves(realtime_server: EmulatorServer) -> None:
    async with antiphon.connect(url=realtime_server.url, api_key="right") as session:
        assert session.config["audio"]["output"]["voice"] == "cedar"
    assert realtime_server.behaviour.cancel_no_id_scope == "only_if_single"
    with pytest.raises(antiphon.ConnectError):
        await antiphon.connect(url=realtime_server.url, api_key="wrong")


def inner(pytester: pytest.Pytester, body: str) -> pytest.RunResult:
    pytester.makepyfile(
        f"import pytest\nimport antiphon\nfrom antiphon.emulator import Script, say\n{body}"
    )
    return pytester.runpytest_inprocess(*INNER)


def test_steps_left_over_fail_a_test_that_passed(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "def test_it(realtime_server):\n    realtime_server.script = Script([say('never')])\n",
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*ScriptNotConsumed: the script was not played as written:*"])


def test_steps_left_over_do_not_hide_why_a_test_failed(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "def test_it(realtime_server):\n"
        "    realtime_server.script = Script([say('never')])\n"
        "    assert 1 == 2\n",
    )
    result.assert_outcomes(failed=1)


CLIENT = """\
import socket


@pytest.fixture
def client():
    with socket.socket() as made:
        yield made


def test_it(client, realtime_server):  # the client outlives the server
    client.settimeout(5)
    client.connect(("127.0.0.1", realtime_server.port))
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


def test_a_mark_with_a_knob_that_is_none_is_an_error(pytester: pytest.Pytester) -> None:
    result = inner(
        pytester,
        "@pytest.mark.realtime_server(no_such_knob=1)\ndef test_it(realtime_url): pass\n",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no_such_knob*"])


def test_the_mark_is_listed(pytester: pytest.Pytester, tmp_path: Path) -> None:
    result = pytester.runpytest_inprocess(*INNER, "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.realtime_server(profile=*"])
