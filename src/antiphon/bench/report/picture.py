"""The exchange of one case as a picture: a bar for each response, and what was sent above them."""

from collections.abc import Sequence
from html import escape

from antiphon.bench.report.model import Line, Role, Side

__all__ = ["swimlanes"]

_WIDTH, _LEFT, _RIGHT = 960, 108, 190
_ROW, _TOP = 26, 26
_SIGNS = {
    Role.CANCEL: ("cancel", "✕"),
    Role.ERROR: ("error", "!"),
    Role.FENCE: ("fence", "|"),
    Role.BEGIN: ("sent", "▾"),
    Role.OTHER: ("sent", "▾"),
}


def swimlanes(lines: Sequence[Line]) -> str:
    """The picture as an SVG element, or "" where no response ran.

    Args:
        lines: the trace, in order; several deltas may be one line.
    """
    ran = (line.lane for line in lines if line.lane and line.side is Side.SERVER)
    lanes = list(dict.fromkeys(ran))
    if not lanes:
        return ""
    last = max((line.until_ms or line.at_ms) for line in lines)
    scale = _Scale(last)
    height = _TOP + _ROW * (len(lanes) + 2) + 18
    size, told = f"0 0 {_WIDTH} {height}", f"{len(lanes)} responses over {last:.0f} ms"
    parts = [f'<svg class="lanes" viewBox="{size}" role="img" aria-label="{told}">']
    parts += _axis(scale, height)
    rows = {"": _TOP + _ROW / 2}
    rows |= {lane: _TOP + _ROW * (index + 1.5) for index, lane in enumerate(lanes)}
    replies = _TOP + _ROW * (len(lanes) + 1.5)
    parts.append(_label(rows[""], "sent"))
    parts.append(_label(replies, "answered"))
    for lane in lanes:
        parts.append(_label(rows[lane], lane))
        parts += _bar(lines, lane, rows[lane], scale)
    for line in lines:
        if line.side is Side.NOTE:
            parts += _note(scale.x(line.at_ms), height, line)
        elif line.side is Side.CLIENT:
            parts += _sent(line, rows, scale, replies)
        elif not line.lane:
            kind, sign = _SIGNS.get(line.role, ("came", "▴"))
            kind = "came" if kind == "sent" else kind
            parts.append(_mark(scale.x(line.at_ms), replies, kind, sign, line))
    parts.append("</svg>")
    return "".join(parts)


class _Scale:
    def __init__(self, last_ms: float) -> None:
        self.last_ms = max(last_ms, 1.0)

    def x(self, at_ms: float) -> float:
        return _LEFT + max(0.0, at_ms) / self.last_ms * (_WIDTH - _LEFT - _RIGHT)

    def step(self) -> float:
        # A round number that gives at most eight divisions.
        step = 1.0
        while self.last_ms / step > 8:
            step *= 2 if str(step)[0] == "1" else 2.5 if str(step)[0] == "2" else 2
        return step


def _axis(scale: _Scale, height: float) -> list[str]:
    parts = []
    at, step = 0.0, scale.step()
    while at <= scale.last_ms:
        x = scale.x(at)
        place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - 16}"'
        parts.append(f'<line class="grid" {place}/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 4}">{at:g} ms</text>')
        at += step
    return parts


def _label(y: float, text: str) -> str:
    return f'<text class="label" x="{_LEFT - 10}" y="{y + 4:.1f}">{escape(text)}</text>'


def _bar(lines: Sequence[Line], lane: str, y: float, scale: _Scale) -> list[str]:
    own = [line for line in lines if line.lane == lane and line.side is Side.SERVER]
    if not own:
        return []
    begin = next((line for line in own if line.role is Role.BEGIN), None)
    end = next((line for line in own if line.role is Role.END), None)
    left = scale.x(begin.at_ms) if begin else _LEFT
    right = scale.x(end.at_ms) if end else scale.x(scale.last_ms)
    said = end.text.removeprefix("response.done ") if end else "no response.done"
    kind = "cancelled" if "cancelled" in said else "completed" if "completed" in said else "other"
    opened = "" if end else " open"
    place = f'x="{left:.1f}" y="{y - 7:.1f}" width="{max(3.0, right - left):.1f}"'
    title = f"<title>{escape(lane)}: {escape(said)}</title>"
    parts = [f'<rect class="bar {kind}{opened}" {place} height="14" rx="3">{title}</rect>']
    for line in own:
        if line.role is Role.DELTA:
            first, until = scale.x(line.at_ms), scale.x(line.until_ms or line.at_ms)
            parts.append(
                f'<rect class="delta" x="{first:.1f}" y="{y - 3:.1f}" '
                f'width="{max(1.5, until - first):.1f}" height="6"><title>'
                f"{line.count} × {escape(line.text)}</title></rect>"
            )
    place = f'x="{right + 6:.1f}" y="{y + 4:.1f}"'
    parts.append(f'<text class="end {kind}" {place}>{escape(said)}</text>')
    return parts


def _sent(line: Line, rows: dict[str, float], scale: _Scale, bottom: float) -> list[str]:
    x = scale.x(line.at_ms)
    kind, sign = _SIGNS.get(line.role, ("sent", "▾"))
    parts = []
    if line.role is Role.CANCEL:
        # By id it reaches down to one response; without an id to nobody in particular.
        target = rows.get(line.lane) if line.lane else bottom - _ROW
        loose = "" if line.lane else " loose"
        parts.append(
            f'<line class="aim{loose}" x1="{x:.1f}" x2="{x:.1f}" y1="{rows[""] + 6:.1f}" '
            f'y2="{(target or bottom) - 7:.1f}"/>'
        )
    parts.append(_mark(x, rows[""], kind, sign, line))
    return parts


def _note(x: float, height: float, line: Line) -> list[str]:
    """Where the probe or the player says something: a dotted line, its words when pointed at."""
    title = f"<title>{line.at_ms:.0f} ms: {escape(line.text)}</title>"
    place = f'x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{height - 16}"'
    return [f'<line class="note" {place}>{title}</line>']


def _mark(x: float, y: float, kind: str, sign: str, line: Line) -> str:
    return (
        f'<text class="mark {kind}" x="{x:.1f}" y="{y + 5:.1f}">{sign}'
        f"<title>{line.at_ms:.0f} ms: {escape(line.text)}</title></text>"
    )
