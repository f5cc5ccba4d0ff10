"""The probe with a server that is not ours, and the emulator's profile of its name.

The others are heavy, and are probed by `make conformance`.
"""

import pytest

from antiphon.bench.report import Mark, Report
from tests.bench.probe.bench import settings
from tests.conformance.__main__ import probed
from tests.conformance.harness import CACHE, SERVERS
from tests.conformance.judging import unlike

__all__: list[str] = []

AIMOCK = SERVERS["aimock"]
# It is probed in real time, and first installed, by whichever test comes first.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def report() -> Report:
    """What the probe says of it."""
    assert AIMOCK.environment is not None
    if (why := AIMOCK.environment.unusable()) is not None:
        pytest.skip(why)
    AIMOCK.environment.build(CACHE)
    return probed(AIMOCK)


def test_what_it_does_is_found(report: Report) -> None:
    found = settings(report)
    assert found["reads_while_responding"].value == "no"
    assert found["cancel_target"].value == "nothing"
    assert found["items_announced"].value == "halves"
    cases = {case.key: case for case in report.subjects[0].cases}
    assert cases["bare-beside-two"].mark is Mark.HIDDEN
    assert "response.cancelled" in cases["cancel-by-id"].verdict


def test_the_profile_of_its_name_behaves_like_it(report: Report) -> None:
    assert unlike(report, AIMOCK.profile) == []
