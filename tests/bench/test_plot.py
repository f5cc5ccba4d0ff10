"""The chart of docs/performance.svg: nothing is cut off, whatever the labels are."""

import re

from benchmarks.plot import bars

__all__: list[str] = []

LONG = "antiphon, with a label that goes on for quite a while"


def test_the_longest_label_and_the_highest_value_are_within_the_picture() -> None:
    drawn = bars([(LONG, [0.5, None]), ("short", [2.0, 999.0])], ["one", "two"])
    (width,) = map(int, re.findall(r'viewBox="0 0 (\d+) \d+"', drawn))
    (end,) = (float(x) for x in re.findall(rf'<text x="(\d+)"[^>]*>{LONG}<', drawn))
    assert end >= 6.5 * len(LONG)  # pixels of a bold letter of 12, on average
    (value,) = (float(x) for x in re.findall(r'<text x="([\d.]+)"[^>]*>999<', drawn))
    assert value + 6 * len("999") <= width


def test_what_was_not_measured_has_no_bar() -> None:
    drawn = bars([("a", [1.0, None])], ["one", "two"])
    assert drawn.count("<rect") == 2 + 1  # the legend, and one value
