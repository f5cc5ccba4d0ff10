"""Sections of docs/conformance.md, from the reports that the commands wrote.

    python -m antiphon.bench.report docs/conformance.md REPORT.json ...

A section stands between `<!-- drawn: NAME -->` and `<!-- end of NAME -->`, where NAME is `servers`
or `clients`: the kind of the report. Reports of one kind become one table, a column for each
subject.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from antiphon.bench.report.model import Case, Mark, Report, Setting, Subject
from antiphon.bench.report.text import SIGNS, differs, matrix_of, shown_value

__all__ = ["section", "write_conformance"]

_WORDS = 120  # characters of a verdict in a cell


def write_conformance(page: Path, reports: Sequence[Report]) -> None:
    """Write the sections of these reports into a page; the other sections stay as they are.

    Raises:
        ValueError: the page has no place for a section.
    """
    text = page.read_text(encoding="utf-8")
    for kind in dict.fromkeys(report.kind for report in reports):
        drawn = section([report for report in reports if report.kind == kind])
        begin, end = f"<!-- drawn: {kind} -->", f"<!-- end of {kind} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} has no place for {kind}: it lacks {begin} and {end}")
        text = pattern.sub(lambda _, new=f"{begin}\n\n{drawn}\n\n{end}": new, text)  # type: ignore[misc]
    page.write_text(text, encoding="utf-8")


def section(reports: Sequence[Report]) -> str:
    """One section: what was looked at, the matrix and, for servers, their knobs."""
    subjects = tuple(subject for report in reports for subject in report.subjects)
    whole = msgspec.structs.replace(reports[0], subjects=subjects)
    made = max(report.made for report in reports)[:10]
    by = ", ".join(sorted({report.by for report in reports}))
    parts = [f"Drawn on {made} by {by}.", _subjects(subjects)]
    if any(subject.settings for subject in subjects):
        parts.append(_settings(subjects))
    parts.append(_matrix(whole))
    failed = _failures(subjects)
    if failed:
        parts.append(failed)
    return "\n\n".join(parts)


def _subjects(subjects: Sequence[Subject]) -> str:
    rows = [
        f"- **{subject.name}**{subject.version and ' ' + _plain(subject.version)}"
        for subject in subjects
    ]
    return "\n".join(rows)


def _matrix(report: Report) -> str:
    names = " | ".join(subject.name for subject in report.subjects)
    rows = [f"| | {names} |", f"| --- |{' --- |' * len(report.subjects)}"]
    group = ""
    for now, _, question, cases in matrix_of(report):
        if now != group:
            group = now
            rows.append(f"| **{_plain(group)}** |{' |' * len(report.subjects)}")
        rows.append(f"| {_plain(question)} | {' | '.join(_cell(case) for case in cases)} |")
    return "\n".join(rows)


def _cell(case: Case | None) -> str:
    if case is None:
        return ""
    if case.mark in (Mark.PASS, Mark.FAIL, Mark.NOT_APPLICABLE):
        return f"{SIGNS[case.mark]} {case.mark}"
    # Of a server, that something was seen says nothing yet: what was seen does.
    first = case.verdict.split(". ")[0].rstrip(".")
    shown = first if len(first) <= _WORDS else first[: _WORDS - 1] + "…"
    return f"{SIGNS[case.mark]} {_plain(shown)}"


def _settings(subjects: Sequence[Subject]) -> str:
    found = [{setting.name: setting for setting in subject.settings} for subject in subjects]
    rows = [
        f"| knob | documented or guessed | {' | '.join(subject.name for subject in subjects)} |",
        f"| --- | --- |{' --- |' * len(subjects)}",
    ]
    names = dict.fromkeys(setting.name for subject in subjects for setting in subject.settings)
    for name in names:
        values = [settings.get(name) for settings in found]
        if not any(
            setting and (setting.value is not None or setting.candidates) for setting in values
        ):
            continue  # nobody's is known: a row of dashes would say nothing
        documented = next(setting.documented for setting in values if setting is not None)
        rows.append(f"| {name} | {documented or '(none)'} | {' | '.join(map(_value, values))} |")
    return "What was found of each knob; **bold** where it is not as documented or guessed.\n\n" + (
        "\n".join(rows)
    )


def _value(setting: Setting | None) -> str:
    if setting is None:
        return ""
    if setting.value is not None:
        shown = re.sub(r",(?! )", ", ", shown_value(setting))  # or the cell could not be broken
        return f"**{shown}**" if differs(setting) else shown
    if setting.candidates:
        return " or ".join(setting.candidates)
    return f"{SIGNS[setting.mark]} {setting.mark}"


def _failures(subjects: Sequence[Subject]) -> str:
    rows = [
        f"- **{subject.name}**, {_plain(case.question)}: {_plain(case.verdict)}"
        for subject in subjects
        for case in subject.cases
        if case.mark is Mark.FAIL
    ]
    return "What failed:\n\n" + "\n".join(rows) if rows else ""


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
