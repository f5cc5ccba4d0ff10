"""Ids for one session, in the server's format (P-241, P-242)."""

from collections.abc import Callable
from random import Random
from uuid import UUID

from antiphon.wire.ids import format_id

__all__ = ["Ids"]


class Ids:
    """Gives out ids; repeatable for a given random generator and clock."""

    __slots__ = ("_as_uuid", "_rng", "_wall")

    def __init__(self, rng: Random, wall: Callable[[], float], *, as_uuid: bool = False) -> None:
        self._rng = rng
        self._wall = wall
        self._as_uuid = as_uuid

    def new(self, prefix: str) -> str:
        """A new id such as `resp_…` for prefix `resp`."""
        if self._as_uuid:  # P-295
            return str(UUID(int=self._rng.getrandbits(128), version=4))
        return format_id(prefix, self._wall(), self._rng)
