"""A report as plain text, for a terminal or a pipe."""

from collections import Counter
from collections.abc import Sequence
from textwrap import wrap

from antiphon.bench.report.model import Case, Mark, Report, Setting, Subject

__all__ = ["SIGNS", "differs", "matrix_of", "reason", "shown_value", "text_report"]

# A sign beside each word: colour alone does not tell everybody.
SIGNS = {
    Mark.PASS: "✓",
    Mark.FAIL: "✗",
    Mark.SEEN: "●",
    Mark.MIXED: "◐",
    Mark.INCONCLUSIVE: "?",
    Mark.HIDDEN: "◌",
    Mark.NOT_POSSIBLE: "–",
    Mark.NOT_APPLICABLE: "–",
}


# So many knobs that are unknown for one reason are told in one line.
_MANY = 6


def text_report(report: Report, width: int = 100) -> str:
    """The whole report as lines of at most `width` characters."""
    lines = [report.title, "", *wrap(report.lead, width), ""]
    if len(report.subjects) > 1:
        lines += _matrix(report, width)
    else:
        for subject in report.subjects:
            lines += _subject(subject, width)
    return "\n".join(lines)


def matrix_of(report: Report) -> list[tuple[str, str, str, list[Case | None]]]:
    """Rows of (group, key, question, the case of each subject), in order of first appearance."""
    rows: dict[str, tuple[str, str]] = {}
    for subject in report.subjects:
        for case in subject.cases:
            rows.setdefault(case.key, (case.group, case.question))
    found = [{case.key: case for case in subject.cases} for subject in report.subjects]
    return [
        (group, key, question, [cases.get(key) for cases in found])
        for key, (group, question) in rows.items()
    ]


def shown_value(setting: Setting) -> str:
    """A knob's value for a reader; an empty list is told as such."""
    if setting.value is None:
        return " or ".join(setting.candidates) or "?"
    return setting.value or "(none)"


def differs(setting: Setting) -> bool:
    """Whether a knob was found otherwise than documented; measured times have a tolerance."""
    if setting.value is None or setting.value == setting.documented:
        return False
    if not setting.name.endswith("_ms"):
        return True
    try:
        found, documented = float(setting.value), float(setting.documented)
    except ValueError:
        return True
    return abs(found - documented) > 5 + 0.25 * documented


def reason(setting: Setting) -> str:
    """Why a knob is not known, beginning with the mark."""
    return (
        setting.why
        if setting.why.startswith(str(setting.mark))
        else f"{setting.mark}: {setting.why}"
    )


def _subject(subject: Subject, width: int) -> list[str]:
    lines: list[str] = []
    group = ""
    for case in subject.cases:
        if case.group != group:
            group = case.group
            lines += ["", group]
        lines.append(f"  {SIGNS[case.mark]} {case.question}  [{case.mark}]")
        if case.mark is not Mark.PASS:  # which says all there is to say
            lines += [f"      {line}" for line in wrap(case.verdict, width - 6)]
    failed = [case for case in subject.cases if case.mark is Mark.FAIL]
    if failed:
        lines += ["", "What failed"]  # again, where a reader of a terminal is
    for case in failed:
        lines += wrap(f"  {SIGNS[case.mark]} {case.question}", width, subsequent_indent="    ")
        lines += [f"      {line}" for line in wrap(case.verdict, width - 6)]
    if subject.settings:
        lines += ["", "Knobs (as `antiphon serve --knobs` names them)"]
        lines += _knobs(subject.settings, width)
    return lines


def _knobs(settings: Sequence[Setting], width: int) -> list[str]:
    widest = max(len(setting.name) for setting in settings)
    unknown = Counter(reason(setting) for setting in settings if _is_unknown(setting))
    many = [why for why, count in unknown.items() if count >= _MANY]
    lines = []
    for setting in sorted(settings, key=_is_unknown):  # what was found comes first
        if _is_unknown(setting) and reason(setting) in many:
            continue
        documented = setting.documented or "(none)"
        aside = f"  (documented or guessed: {documented})" if differs(setting) else ""
        if setting.mark is not Mark.SEEN:
            aside = f"  {reason(setting)}"
        told = wrap(f"{shown_value(setting)}{aside}", max(20, width - widest - 6))
        lines.append(f"  {SIGNS[setting.mark]} {setting.name:<{widest}}  {told[0]}")
        lines += [f"    {'':<{widest}}  {line}" for line in told[1:]]
    for why in many:
        rest = f"{unknown[why]} more: {why}"
        lines += wrap(rest, width, initial_indent="    ", subsequent_indent="      ")
    return lines


def _is_unknown(setting: Setting) -> bool:
    return setting.value is None and not setting.candidates


def _matrix(report: Report, width: int) -> list[str]:
    names = [subject.name for subject in report.subjects]
    columns = [max(len(name), len("not applicable") + 2) for name in names]
    room = max(24, width - sum(columns) - 2 * len(columns))
    head = "  ".join(f"{name:<{size}}" for name, size in zip(names, columns, strict=True))
    lines = [f"{'':<{room}}  {head}"]
    group = ""
    for now, _, question, cases in matrix_of(report):
        if now != group:
            group = now
            lines += ["", group]
        told = wrap(question, room) or [""]
        cells = "  ".join(
            f"{_cell(case):<{size}}" for case, size in zip(cases, columns, strict=True)
        )
        lines.append(f"{told[0]:<{room}}  {cells}".rstrip())
        lines += told[1:]
    return lines


def _cell(case: Case | None) -> str:
    return "" if case is None else f"{SIGNS[case.mark]} {case.mark}"
