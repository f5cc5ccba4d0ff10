"""Pytest fixtures: a Realtime server for a test, without importing anything before it is needed.

    async def test_my_client(realtime_server):
        realtime_server.play(say("Hello."))
        async with my_client(realtime_server.url) as client: ...

`realtime_server` is started once per run and looks new to each test; steps of a script that a test
played and that were left over fail that test. `realtime_url` is its URL, for tests that need no
more. The server runs in a thread of its own, so that clients of any kind can be tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from antiphon.emulator.threaded import ThreadedServer

__all__ = ["realtime_server", "realtime_url"]


@pytest.fixture(scope="session")
def _antiphon_server() -> Iterator[ThreadedServer]:
    # Imported here: loading the plugin must cost nothing where no test uses it.
    from antiphon.emulator.threaded import ThreadedServer

    with ThreadedServer() as server:
        yield server


@pytest.fixture
def realtime_server(_antiphon_server: ThreadedServer) -> Iterator[ThreadedServer]:
    """An emulated Realtime server, as new: default behaviour, no script, no sessions."""
    _antiphon_server.reset()
    yield _antiphon_server
    script = _antiphon_server.script
    _antiphon_server.reset()
    script.assert_consumed()


@pytest.fixture
def realtime_url(realtime_server: ThreadedServer) -> str:
    """Its URL: `ws://127.0.0.1:PORT/v1/realtime`."""
    return realtime_server.url
