"""Pytest fixtures: a Realtime server for a test, without importing anything before it is needed.

    async def test_my_client(realtime_server):
        realtime_server.play(say("Hello."))
        async with my_client(realtime_server.url) as client: ...

    @pytest.mark.realtime_server("openai-2025-06-03", cancel_latency_ms=300)
    def test_another(realtime_url): ...

`realtime_server` is a `ThreadedServer`. It is started once per run and looks new to each test. It
runs in a thread of its own, so that clients of any kind can be tested. Steps of a script that a
test played and that were left over fail that test. `realtime_url` is its URL, for tests that need
no more.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from antiphon.emulator.running.threaded import ThreadedServer

__all__ = ["pytest_configure", "pytest_runtest_makereport", "realtime_server", "realtime_url"]

_PASSED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark."""
    config.addinivalue_line(
        "markers",
        "realtime_server(profile=None, *, api_key=None, **knobs): how the fixtures of antiphon's "
        "emulator behave in this test.",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself passed."""
    report = yield
    if report.when == "call":
        item.stash[_PASSED] = report.passed
    return report


@pytest.fixture(scope="session")
def _antiphon_server() -> Iterator["ThreadedServer"]:
    # Imported here: loading the plugin must cost nothing where no test uses it.
    from antiphon.emulator.running.threaded import ThreadedServer

    with ThreadedServer() as server:
        yield server


@pytest.fixture
def realtime_server(
    request: pytest.FixtureRequest, _antiphon_server: "ThreadedServer"
) -> Iterator["ThreadedServer"]:
    """An emulated Realtime server, as new: default behaviour, no script, no sessions."""
    server = _antiphon_server
    server.reset()
    mark = request.node.get_closest_marker("realtime_server")
    if mark is not None:
        knobs = dict(mark.kwargs)
        server.admit(knobs.pop("api_key", None))
        server.behave(*mark.args, **knobs)
    yield server
    script = server.script
    server.reset()
    # A test that failed already has its reason; what it left over would only hide that.
    if request.node.stash.get(_PASSED, False):
        script.assert_consumed()


@pytest.fixture
def realtime_url(realtime_server: "ThreadedServer") -> str:
    """Its URL: `ws://127.0.0.1:PORT/v1/realtime`."""
    return realtime_server.url
