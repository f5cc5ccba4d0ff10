"""Ids in the server's format.

``event_``, ``resp_``, ``item_``, ``conv_`` and ``sess_`` ids have 21 base62 characters after the
prefix, the first of which encode the second of creation (P-241). Two chat completions in OpenAI's
API reference say how: ``B9MBs...`` was created at 1741569952 and ``9nYAG...`` at 1721596428, and
both are exactly five digits counting seconds from 1576800000, fifty years of 365 days after the
Unix epoch. The rest is random. ``call_`` ids have 16 random characters.
"""

from functools import lru_cache
from random import Random

__all__ = ["format_id"]

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_EPOCH_S = 50 * 365 * 86400
_TIME_CHARS = 5
# Sixteen random characters, drawn two at a time: an emulator under load makes thousands a second.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_RANDOM_PAIRS = 8


def format_id(prefix: str, now_s: float, rng: Random) -> str:
    """Return a new id.

    Args:
        prefix: the kind of id, without the underscore: ``"resp"``, ``"item"``, ``"event"``, ...
        now_s: Unix time in seconds; ids of different seconds sort by it.
        rng: where the random part comes from; seed it for repeatable ids.
    """
    tail = "".join(rng.choices(_PAIRS, k=_RANDOM_PAIRS))
    if prefix == "call":
        return f"call_{tail}"
    return f"{prefix}_{_time_part(int(now_s))}{tail}"


@lru_cache(maxsize=16)
def _time_part(second: int) -> str:
    value = (second - _EPOCH_S) % len(_ALPHABET) ** _TIME_CHARS
    chars = []
    for _ in range(_TIME_CHARS):
        value, digit = divmod(value, len(_ALPHABET))
        chars.append(_ALPHABET[digit])
    return "".join(reversed(chars))
