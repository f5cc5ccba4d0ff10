"""Ids for one session, in the server's format (P-241, P-242)."""

from collections.abc import Callable
from random import Random

from antiphon.wire.ids import format_id

__all__ = ["Ids"]


class Ids:
    """Gives out ids; repeatable for a given random generator and clock."""

    __slots__ = ("_rng", "_wall")

    def __init__(self, rng: Random, wall: Callable[[], float]) -> None:
        self._rng = rng
        self._wall = wall

    def new(self, prefix: str) -> str:
        """A new id such as `resp_…` for prefix `resp`."""
        return format_id(prefix, self._wall(), self._rng)
