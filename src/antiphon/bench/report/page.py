"""A report as one HTML page: no script, nothing loaded from anywhere, light and dark."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib import resources
from itertools import groupby

from antiphon.bench.report.model import Case, Line, Mark, Report, Role, Setting, Side, Subject
from antiphon.bench.report.picture import swimlanes
from antiphon.bench.report.text import SIGNS, differs, matrix_of, shown_value
from antiphon.bench.report.trace import fold

__all__ = ["html_page"]

_LANES_IN_SIGHT = 8
_LEGEND = (
    "Each bar is one response from <code>response.created</code> to <code>response.done</code>; "
    "the darker stripe is its output. ✕ on the upper line is a cancel; its red line ends at the "
    "response it names, and is dashed if it names none. | is the fence, a harmless "
    "<code>session.update</code>; ! is an error. A dotted line is a remark; behind the probe's, "
    "what still runs is only brought to its end. Point at a sign to read it."
)


def html_page(report: Report) -> str:
    """The page as text."""
    style = resources.files("antiphon.bench.report").joinpath("page.css").read_text("utf-8")
    several = len(report.subjects) > 1
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(report.title)}</title><style>{style}</style></head><body><main>",
        f'<h1>{escape(report.title)}</h1><p class="lead">{escape(report.lead)}</p>',
    ]
    if several:
        parts.append(_matrix(report))
    for index, subject in enumerate(report.subjects):
        parts += _subject(subject, f"s{index}", several)
    parts.append(f"<footer>Made {escape(report.made)} by {escape(report.by)}.</footer>")
    parts.append("</main></body></html>\n")
    return "".join(parts)


def _subject(subject: Subject, anchor: str, several: bool) -> list[str]:
    parts = []
    if several:
        parts.append(f"<h2>{escape(subject.name)} {escape(subject.version)}</h2>")
    parts.append(_pairs(subject.about))
    parts.append(_tally(subject.cases))
    parts.append(_tiles(subject.cases, anchor))
    unlike = [setting for setting in subject.settings if differs(setting)]
    if unlike:
        parts.append("<h2>Where it is not as documented, or guessed</h2>")
        parts.append(_settings(unlike))
    if not several:
        parts.append("<h2>What was asked, and what came</h2>")
    parts.append(f'<p class="legend">{_LEGEND}</p>')
    for group, cases in groupby(subject.cases, key=lambda case: case.group):
        parts.append(f"<h3>{escape(group)}</h3>")
        parts += [_case(case, anchor, several) for case in cases]
    if subject.settings:
        parts.append("<h2>Every knob</h2>")
        parts.append(_settings(subject.settings))
    return parts


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    if not pairs:
        return ""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="about">{rows}</dl>'


def _tally(cases: Sequence[Case]) -> str:
    counted = Counter(case.mark for case in cases)
    items = "".join(
        f'<li><span class="{_css(mark)}">{SIGNS[mark]}</span> {counted[mark]} {mark}</li>'
        for mark in Mark
        if counted[mark]
    )
    return f'<ul class="tally">{items}</ul>'


def _tiles(cases: Sequence[Case], anchor: str) -> str:
    tiles = "".join(
        f'<a class="tile {_css(case.mark)}" href="#{anchor}-{escape(case.key)}" '
        f'title="{escape(case.question)} {escape(case.mark)}">{SIGNS[case.mark]}</a>'
        for case in cases
    )
    return f'<nav class="tiles" aria-label="results">{tiles}</nav>'


def _matrix(report: Report) -> str:
    heads = "".join(f"<th>{escape(subject.name)}</th>" for subject in report.subjects)
    rows = []
    group = ""
    for now, key, question, cases in matrix_of(report):
        if now != group:
            group = now
            span = len(report.subjects) + 1
            rows.append(f'<tr class="group"><th colspan="{span}">{escape(group)}</th></tr>')
        cells = "".join(_cell(case, f"s{index}", key) for index, case in enumerate(cases))
        rows.append(f"<tr><td>{escape(question)}</td>{cells}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(case: Case | None, anchor: str, key: str) -> str:
    if case is None:
        return "<td></td>"
    return (
        f'<td class="cell {_css(case.mark)}"><a href="#{anchor}-{escape(key)}" '
        f'title="{escape(case.verdict)}">{SIGNS[case.mark]} {case.mark}</a></td>'
    )


def _settings(settings: Sequence[Setting]) -> str:
    rows = []
    for setting in settings:
        style = ' class="differs"' if differs(setting) else ""
        rows.append(
            f"<tr{style}><td>{escape(setting.name)}</td>"
            f'<td class="value">{escape(shown_value(setting))}</td>'
            f'<td class="value">{escape(setting.documented) or "(none)"}</td>'
            f'<td class="cell {_css(setting.mark)}">{SIGNS[setting.mark]} {setting.mark}</td>'
            f'<td class="why">{escape(setting.why)}</td></tr>'
        )
    return (
        '<div class="scroll"><table class="knobs"><thead><tr><th>knob</th><th>this server</th>'
        "<th>documented, or guessed</th><th></th><th>how it is known</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _case(case: Case, anchor: str, several: bool) -> str:
    """One case: closed where there are many subjects, with its picture in sight where there is one.

    A picture of a great many responses is only shown when it is asked for.
    """
    facts = f' <span class="facts">{escape(case.facts)}</span>' if case.facts else ""
    head = (
        f'<span class="sign {_css(case.mark)}">{SIGNS[case.mark]}</span>'
        f'<span class="question">{escape(case.question)}{facts}</span>'
        f'<span class="word {_css(case.mark)}">{escape(case.mark)}</span>'
        f'<span class="verdict">{escape(case.verdict)}</span>'
    )
    picture = swimlanes(case.trace)
    inside = _pairs(case.details)
    trace = _trace(fold(case.trace))
    place = f'id="{anchor}-{escape(case.key)}"'
    lanes = len({line.lane for line in case.trace if line.lane})
    if several or lanes > _LANES_IN_SIGHT:
        return (
            f'<details class="case" {place}><summary>{head}</summary>'
            f'<div class="body">{inside}{picture}{trace}</div></details>'
        )
    frames = sum(line.count for line in case.trace)
    every = (
        f'<details class="frames"><summary>every frame ({frames})</summary>{trace}</details>'
        if trace
        else ""
    )
    return (
        f'<article class="case" {place}><header>{head}</header>'
        f'<div class="body">{inside}{picture}{every}</div></article>'
    )


def _trace(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    return f'<div class="trace">{"".join(_line(line) for line in lines)}</div>'


_SIDES = {Side.CLIENT: "C&gt;", Side.SERVER: "S&lt;", Side.NOTE: ""}


def _line(line: Line) -> str:
    role = line.role if line.role is not Role.OTHER else ("note" if line.side is Side.NOTE else "")
    times = f" × {line.count}" if line.count > 1 else ""
    until = f" until {line.until_ms:.1f}" if line.count > 1 and line.until_ms else ""
    return (
        f'<div class="is-{role}"><span class="at">{line.at_ms:.1f}</span>'
        f'<span class="{line.side}">{_SIDES[line.side]}</span>'
        f'<span class="lane">{escape(line.lane)}</span>'
        f'<span class="text">{escape(line.text)}{times}{until}</span></div>'
    )


def _css(mark: Mark) -> str:
    return mark.value.replace(" ", "-")
