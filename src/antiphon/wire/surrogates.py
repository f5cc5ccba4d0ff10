"""Halves of characters, which JavaScript cuts off strings and UTF-8 has no form for.

A backend that shortens text by UTF-16 units may leave half an emoji at the end of it. JSON's
grammar lets it pass as an escape (``\\ud83d``) where the decoder does not, and the encoder refuses
the character. Neither is worth an event, let alone a response: U+FFFD takes the place of each half.
"""

import re
from typing import Any

__all__ = ["mend_json", "mend_text", "mended"]

# One escape at a time, so that an escaped backslash before a "u" is not taken for one. A whole
# character is two.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend_json(frame: bytes) -> bytes | None:
    """The same JSON without halves of characters in it; None where there are none."""
    if b"\\ud" not in frame and b"\\uD" not in frame:
        return None
    mended = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], frame)
    return None if mended == frame else mended


def mend_text(text: str) -> str:
    """The same text, each half of a character replaced; two halves in a row become one whole."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def mended(value: Any) -> Any:
    """As `mend_text`, for every string in an object that JSON can express."""
    if isinstance(value, str):
        return mend_text(value)
    if isinstance(value, dict):
        return {mended(key): mended(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mended(inner) for inner in value]
    return value
