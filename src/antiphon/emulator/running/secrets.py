"""Ephemeral keys (`ek_…`): made over HTTP, for a browser, with a session of their own (P-338)."""

from collections import OrderedDict
from dataclasses import dataclass
from random import Random
from typing import Any

__all__ = ["EphemeralKey", "Keyring"]

Json = dict[str, Any]
REMEMBERED = 1000
_ALPHABET = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class EphemeralKey:
    """One key: who has it may open sessions as configured until `expires_at` (Unix seconds)."""

    value: str
    expires_at: int
    session: Json


class Keyring:
    """The keys that were made, at most the latest thousand.

    Args:
        seed: the keys follow from it.
    """

    def __init__(self, seed: int | str) -> None:
        self._rng = Random(f"{seed}:keys")
        self._keys: OrderedDict[str, EphemeralKey] = OrderedDict()

    def make(self, session: Json, expires_at: int) -> EphemeralKey:
        """A new key."""
        value = "ek_" + "".join(self._rng.choices(_ALPHABET, k=32))
        key = self._keys[value] = EphemeralKey(value, expires_at, session)
        if len(self._keys) > REMEMBERED:
            self._keys.popitem(last=False)
        return key

    def find(self, value: str, now: float) -> EphemeralKey | None:
        """The key of this value, if it exists and has not expired.

        Args:
            value: what was given as a key.
            now: Unix time in seconds.
        """
        key = self._keys.get(value)
        return key if key is not None and now < key.expires_at else None

    def session_of(self, value: str, now: float) -> Json | None:
        """The session that a valid key was made for, or None."""
        key = self.find(value, now)
        return None if key is None else key.session
