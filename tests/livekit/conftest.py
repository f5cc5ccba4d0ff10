"""What can be tested depends on the livekit-agents that is installed."""

from importlib.util import find_spec

import pytest

__all__: list[str] = []

pytest.importorskip("livekit.agents")

# The comparison is with one version of the stock plugin, the newest; older ones had other bugs.
_COMPARES = find_spec("livekit.plugins.openai") is not None
# `python -m livekit.agents` came with 1.8.
_RUNS_AGENTS = find_spec("livekit.agents.__main__") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # What the stock plugin leaves behind (sockets of aiohttp) is no failure of ours.
    forgive = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    no_stock = pytest.mark.skip(reason="the stock plugin is compared in its newest version only")
    no_agents = pytest.mark.skip(reason="this livekit-agents does not run agents by itself yet")
    for item in items:
        if "[stock" in item.name or "-stock" in item.name or "the_same" in item.name:
            item.add_marker(forgive if _COMPARES else no_stock)
        if item.path.name in ("test_console.py", "test_workers.py") and not _RUNS_AGENTS:
            item.add_marker(no_agents)
