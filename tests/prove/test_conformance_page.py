"""The clients' table of docs/conformance.md is what `antiphon prove all` prints now."""

import re
from pathlib import Path

import pytest

from antiphon.bench.prove.clients import CLIENTS
from antiphon.bench.prove.outcome import question_of
from antiphon.bench.prove.scenario import Verdict
from antiphon.bench.prove.scenarios import SCENARIOS
from tests.prove.test_scenarios import wanted_of_antiphon

__all__: list[str] = []

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
_SHOWN = {
    Verdict.PASS: "✓ pass",
    Verdict.NOT_APPLICABLE: "– not applicable",
}
AGAIN = "run `make conformance`"


@pytest.fixture(scope="module")
def section() -> str:
    found = re.search(
        r"<!-- drawn: clients -->\n(.*?)<!-- end of clients -->", PAGE.read_text(), re.DOTALL
    )
    assert found is not None
    return found[1]


def rows(section: str) -> dict[str, list[str]]:
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in section.splitlines()
        if line.startswith("| ")
    ]
    return {row[0].strip("| "): row[1:] for row in cells}


def test_it_has_every_client_in_the_version_that_is_pinned(section: str) -> None:
    for client in CLIENTS.values():
        assert f"- **{client.name}** {client.version()}\n" in section, AGAIN


def test_it_has_every_scenario(section: str) -> None:
    found = rows(section)
    assert [one for one in SCENARIOS.values() if question_of(one) not in found] == [], AGAIN


def test_antiphons_own_column_is_what_the_tests_find(section: str) -> None:
    found = rows(section)
    place = list(CLIENTS).index("antiphon")
    for name, scenario in SCENARIOS.items():
        wanted = _SHOWN[wanted_of_antiphon(name)]
        assert found[question_of(scenario)][place] == wanted, (name, AGAIN)
