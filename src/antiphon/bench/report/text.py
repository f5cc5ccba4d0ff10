"""A report as plain text, for a terminal or a pipe."""

from textwrap import wrap

from antiphon.bench.report.model import Case, Mark, Report, Subject

__all__ = ["SIGNS", "matrix_of", "text_report"]

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


def _subject(subject: Subject, width: int) -> list[str]:
    lines: list[str] = []
    group = ""
    for case in subject.cases:
        if case.group != group:
            group = case.group
            lines += ["", group]
        lines.append(f"  {SIGNS[case.mark]} {case.question}  [{case.mark}]")
        lines += [f"      {line}" for line in wrap(case.verdict, width - 6)]
    if subject.settings:
        lines += ["", "Knobs (as `antiphon serve --knobs` names them)"]
        widest = max(len(one.name) for one in subject.settings)
        for one in subject.settings:
            value = one.value if one.value is not None else " or ".join(one.candidates) or "?"
            differs = one.value is not None and one.value != one.documented
            aside = f"  (documented or guessed: {one.documented})" if differs else ""
            if one.mark is not Mark.SEEN:
                aside = f"  {one.mark}: {one.why}"
            told = wrap(f"{value}{aside}", max(20, width - widest - 6))
            lines.append(f"  {SIGNS[one.mark]} {one.name:<{widest}}  {told[0]}")
            lines += [f"    {'':<{widest}}  {line}" for line in told[1:]]
    return lines


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
