"""Text as JSON can carry it.

Half a surrogate pair gets into a string where a backend cuts it by UTF-16 units, in the middle of
an emoji. JSON in UTF-8 has no form for it, so it is replaced rather than refused: the rest of the
text is what the user said.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["sendable", "sendable_text"]


def sendable_text(text: str) -> str:
    """`text`, its lone surrogates replaced by U+FFFD and its pairs joined."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def sendable(value: Any) -> Any:
    """As `sendable_text`, for every string in plain data, its keys included."""
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, Mapping):
        return {sendable(key): sendable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(one) for one in value]
    return value
