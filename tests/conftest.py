"""Settings for every test: how Hypothesis searches, and when live tests run."""

import os

import pytest
from hypothesis import HealthCheck, settings

__all__: list[str] = []

# No deadline: on a busy machine it measures the neighbours. CI replays the same examples every
# time, so that it fails only for a reason in the change; a local run searches afresh.
settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live", action="store_true", help="run tests that need a real endpoint and a key, too"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--live"):
        return
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.skip(reason="needs a real endpoint; run with --live"))
