"""Every scenario can be passed and can be failed: on virtual time, without sockets.

What passes is antiphon, or, where its plain session does not have what a scenario is about, a user
of it who does that right. What must fail is the client that was spoilt for it.
"""

import re
from pathlib import Path

import pytest

from antiphon.bench.prove.adapters.antiphon_session import AntiphonClient
from antiphon.bench.prove.scenario import GROUPS, Result, Scenario, Verdict
from antiphon.bench.prove.scenarios import SCENARIOS
from antiphon.emulator import run_virtual
from tests.prove.control import RIGHT, WRONG
from tests.prove.here import play_here

__all__: list[str] = []

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
# The plain session has no tools of its own, and no chat context to write back.
NOT_FOR_THE_PLAIN_SESSION = set(RIGHT)
ALL = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)


def told(result: Result) -> str:
    lines = [f"{line.at_ms:7.0f} {line.side:6} {line.text}" for line in result.trace]
    return "\n".join([f"{result.verdict}: {result.says} ({result.because})", *lines])


def wanted_of_antiphon(name: str) -> Verdict:
    return Verdict.NOT_APPLICABLE if name in NOT_FOR_THE_PLAIN_SESSION else Verdict.PASS


@ALL
def test_antiphon_passes(scenario: Scenario) -> None:
    result = run_virtual(play_here(scenario, AntiphonClient))
    assert result.verdict is wanted_of_antiphon(scenario.name), told(result)


@ALL
def test_a_client_spoilt_for_it_fails(scenario: Scenario) -> None:
    result = run_virtual(play_here(scenario, WRONG[scenario.control]))
    assert result.verdict is Verdict.FAIL, told(result)
    assert result.says and result.trace
    # It is caught for what it does, not for what could not be judged.
    assert "could not be judged" not in result.says, told(result)


@pytest.mark.parametrize("name", RIGHT)
def test_a_user_who_does_it_right_passes(name: str) -> None:
    result = run_virtual(play_here(SCENARIOS[name], RIGHT[name]))
    assert result.verdict is Verdict.PASS, told(result)


def test_each_spoilt_client_is_for_some_scenario() -> None:
    assert set(WRONG) == {one.control for one in SCENARIOS.values()}


@ALL
def test_it_says_what_it_is_about(scenario: Scenario) -> None:
    assert scenario.expects.endswith(".") and "\n" not in scenario.expects
    assert scenario.group in GROUPS
    for issue in scenario.reproduces:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+#\d+|community\.openai\.com/t/\d+", issue), issue
    known = set(re.findall(r"^\| ([PR]-\d+) ", PROTOCOL.read_text(), re.MULTILINE))
    assert scenario.facts and set(scenario.facts.split(", ")) <= known
