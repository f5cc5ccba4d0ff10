"""A bar chart as SVG, without a plotting library."""

import math
from html import escape

__all__ = ["bars"]

_COLOURS = ["#3b6fb6", "#d08a2e", "#5c9a5b", "#9a5c94"]
_WIDTH, _BAR, _GAP, _TOP = 560, 10, 9, 46
_LETTER = 7.2  # the mean width of one, at most: bold, at 12 pixels


def bars(rows: list[tuple[str, list[float | None]]], names: list[str]) -> str:
    """Return a chart of horizontal bars on a logarithmic scale, one colour per name.

    Readable on light and on dark ground: text and lines are a middle grey.
    """
    values = [value for _, series in rows for value in series if value]
    low, high = min(values, default=1.0), max(values, default=10.0)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)

    # The labels' column is as wide as the longest of them.
    start = round(_LETTER * max((len(label) for label, _ in rows), default=0)) + 8

    def x(value: float) -> float:
        return start + _WIDTH * (math.log10(value) - first) / (last - first)

    step = _BAR * len(names) + _GAP
    height = _TOP + step * len(rows) + 48
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {start + _WIDTH + 30} {height}"',
        'font-family="sans-serif" font-size="12" fill="#808080">',
    ]
    for number, name in enumerate(names):
        left = start + 120 * number
        colour = _COLOURS[number % len(_COLOURS)]
        out.append(f'<rect x="{left}" y="10" width="12" height="12" fill="{colour}"/>')
        out.append(f'<text x="{left + 18}" y="20">{escape(name)}</text>')
    for power in range(first, last + 1):
        at = x(10.0**power)
        out.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP - 14}" y2="{height - 44}" '
            'stroke="#808080" stroke-opacity="0.35"/>'
        )
        place = f'x="{at:.1f}" y="{height - 28}" text-anchor="middle"'
        out.append(f"<text {place}>{10.0**power:g}</text>")
    for row, (label, series) in enumerate(rows):
        top = _TOP + row * step
        middle = top + _BAR * len(names) / 2 + 4
        weight = "bold" if label.startswith("antiphon") else "normal"
        style = f'text-anchor="end" font-weight="{weight}"'
        out.append(f'<text x="{start - 8}" y="{middle:.1f}" {style}>{escape(label)}</text>')
        for number, value in enumerate(series):
            if not value:
                continue
            y = top + number * _BAR
            width = max(1.0, x(value) - start)
            box = f'x="{start}" y="{y}" width="{width:.1f}" height="{_BAR - 1}"'
            out.append(f'<rect {box} fill="{_COLOURS[number % len(_COLOURS)]}"/>')
            place = f'x="{start + width + 4:.1f}" y="{y + _BAR - 1}"'
            out.append(f'<text {place} font-size="10">{value:.3g}</text>')
    out.append(
        f'<text x="{start + _WIDTH}" y="{height - 10}" text-anchor="end">'
        "µs of CPU per server event (logarithmic)</text>"
    )
    out.append("</svg>")
    return "\n".join(out) + "\n"
