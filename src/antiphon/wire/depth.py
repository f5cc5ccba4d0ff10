"""How deeply JSON may be nested.

A limit of our own: what a decoder bears depends on the version of Python and on how deep the
caller's own stack is, and what is decoded is walked through later, by code that recurses too.
"""

import re
from itertools import accumulate

__all__ = ["MAX_DEPTH", "SHALLOW_BYTES", "is_too_deep"]

MAX_DEPTH = 256
"""Objects and arrays within one another; far more than any event or JSON schema has."""

SHALLOW_BYTES = 2 * MAX_DEPTH
"""A frame of no more bytes cannot be nested too deeply: each level opens and closes."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = dict(zip(b"[{]}", (1, 1, -1, -1), strict=True))


def is_too_deep(frame: bytes) -> bool:
    """Whether JSON is nested more than `MAX_DEPTH` deep.

    Args:
        frame: JSON, or something that pretends to be.

    In time that follows the size of the frame, without recursion. Nearly every frame is answered
    by a count of its brackets.
    """
    if frame.count(b"{") + frame.count(b"[") <= MAX_DEPTH:
        return False
    brackets = _STRING.sub(b"", frame).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MAX_DEPTH
