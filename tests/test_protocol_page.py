"""docs/protocol.md, the code that cites it and the emulator's knobs do not drift apart."""

import dataclasses
import re
from pathlib import Path

import pytest

from antiphon.emulator.behaviour import Behaviour

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "protocol.md"

FACT = re.compile(r"^\| P-(\d+) \| (.*) \|$", re.MULTILINE)
KNOB = re.compile(r"^\| K-(\w+) \| (.*) \|$", re.MULTILINE)
CITED = re.compile(r"\bP-(\d+)(?: to P-(\d+))?")
GRADES = {"D", "O", "I", "U", "D/O", "D/U", "O/I"}


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]


def facts() -> dict[int, list[str]]:
    rows = FACT.findall(PAGE.read_text())
    numbers = [int(number) for number, _ in rows]
    assert len(numbers) == len(set(numbers)), "a number is given twice"
    return {int(number): cells(row) for number, row in rows}


def knob_rows() -> dict[str, list[str]]:
    return {name: cells(row) for name, row in KNOB.findall(PAGE.read_text())}


def citing_files() -> list[Path]:
    places = [ROOT / name for name in ("src", "tests", "docs", "examples", "benchmarks")]
    return sorted(
        path for place in places for path in place.rglob("*") if path.suffix in {".py", ".md"}
    )


def test_every_fact_has_a_sentence_a_grade_and_a_source() -> None:
    known = facts()
    assert len(known) > 200
    for number, row in known.items():
        assert len(row) == 4, f"P-{number} has {len(row)} cells"
        sentence, grade, source, _test = row
        assert sentence.endswith((".", ".`", '."')), f"P-{number}: {sentence[-20:]}"
        assert grade in GRADES, f"P-{number}: {grade}"
        assert source, f"P-{number} has no source"


def test_tests_named_on_the_page_exist() -> None:
    missing = [
        (number, name)
        for number, row in facts().items()
        for name in re.findall(r"[\w/]+\.py", row[3])
        if not (ROOT / "tests" / name).is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("path", citing_files(), ids=str)
def test_every_fact_cited_exists(path: Path) -> None:
    known = facts()
    cited = {int(n) for pair in CITED.findall(path.read_text()) for n in pair if n}
    assert cited - known.keys() == set()


def test_knobs_on_the_page_are_the_knobs_of_the_emulator() -> None:
    assert list(knob_rows()) == [spec.name for spec in dataclasses.fields(Behaviour)]


@pytest.mark.parametrize("spec", dataclasses.fields(Behaviour), ids=lambda spec: spec.name)
def test_knob_varies_the_facts_that_the_page_says(spec: "dataclasses.Field[object]") -> None:
    row = knob_rows()[spec.name]
    assert row[-1] == spec.metadata["facts"]
