"""docs/protocol.md, the code that cites it and the emulator's knobs do not drift apart."""

import dataclasses
import re
from pathlib import Path

import pytest

from antiphon.emulator.knobs.behaviour import Behaviour
from docs.generate import DRAWN, redraw

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "protocol.md"

FACT = re.compile(r"^\| P-(\d+) \| (.*) \|$", re.MULTILINE)
RACE = re.compile(r"^\| R-(\d+) \| (.*) \|$", re.MULTILINE)
CITED = re.compile(r"\bP-(\d+)(?: to P-(\d+))?")
RACES = re.compile(r"\bR-(\d+)(?: to R-(\d+))?")
GRADES = {"D", "O", "I", "U", "D/O", "D/U", "D/I", "O/I", "O/U"}


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row)]


def facts() -> dict[int, list[str]]:
    rows = FACT.findall(PAGE.read_text())
    numbers = [int(number) for number, _ in rows]
    assert len(numbers) == len(set(numbers)), "a number is given twice"
    return {int(number): cells(row) for number, row in rows}


def citing_files() -> list[Path]:
    return [
        path
        for name in ("src", "tests", "docs", "examples", "benchmarks")
        for path in sorted((ROOT / name).rglob("*"))
        if path.suffix in {".py", ".md"} and "/." not in str(path.relative_to(ROOT))
    ]


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


def varied_by_knobs() -> set[int]:
    return {
        number
        for spec in dataclasses.fields(Behaviour)
        for number in numbers_in(CITED, str(spec.metadata["facts"]))
    }


def numbers_in(pattern: re.Pattern[str], text: str) -> set[int]:
    pairs = pattern.findall(text)
    return {n for first, last in pairs for n in range(int(first), int(last or first) + 1)}


def test_every_fact_names_a_test_that_cites_it_or_says_why_there_is_none() -> None:
    played = varied_by_knobs()
    wrong = []
    for number, row in facts().items():
        names = re.findall(r"[\w/]+\.py", row[3])
        cites = any(
            number in numbers_in(CITED, (ROOT / "tests" / name).read_text())
            or (number in played and ("knob_cases/" in name or name.endswith("test_knobs.py")))
            for name in names
        )
        if not cites and not re.match("none: .", row[3]):
            wrong.append(f"P-{number}: {row[3] or 'empty'}")
    assert wrong == []


def test_every_race_names_the_tests_that_play_it() -> None:
    races = {int(number): cells(row) for number, row in RACE.findall(PAGE.read_text())}
    assert list(races) == list(range(1, 43))
    for number, (_race, cited, tests) in races.items():
        assert CITED.search(cited), f"R-{number} names no fact"
        names = re.findall(r"[\w/]+\.py", tests)
        theirs = [name for name in names if not name.startswith("unit/emulator")]
        assert theirs, f"R-{number} has no test of the client"
        for name in names:
            text = (ROOT / "tests" / name).read_text()
            said = numbers_in(RACES, text)
            said |= {int(n) for n in re.findall(r"def test_r(\d+)_", text)}
            assert number in said, f"{name} does not play R-{number}"


def test_every_fact_cited_exists() -> None:
    known = facts().keys()
    unknown = [
        f"{path.relative_to(ROOT)}: P-{number}"
        for path in citing_files()
        for pair in CITED.findall(path.read_text())
        for number in pair
        if number and int(number) not in known
    ]
    assert unknown == []


@pytest.mark.parametrize(("document", "name"), DRAWN)
def test_drawn_parts_are_up_to_date(document: str, name: str) -> None:
    text = (ROOT / "docs" / document).read_text()
    assert redraw(text, name, DRAWN[document, name]()) == text, "run `make docs`"


def test_a_document_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places"):
        redraw("no place here", "knobs", "| K |")


def test_every_knob_names_facts_that_exist() -> None:
    known = facts().keys()
    for spec in dataclasses.fields(Behaviour):
        cited = numbers_in(CITED, spec.metadata["facts"])
        assert cited, f"{spec.name} names no fact"
        assert cited <= known, f"{spec.name} names facts that do not exist"
