"""Deadlines without a clock: one heap for a whole connection, so that the shell needs one timer."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

import msgspec

from antiphon.protocol.effects import Effects

__all__ = ["Deadline", "Deadlines", "Due"]


Due = Callable[[Any, float, Effects], None]
"""What is to be done about something at its time: with it, the time, and what takes the effects."""


class Deadline(msgspec.Struct, eq=False):
    """A moment at which something is to be looked at. Discard it when it no longer matters."""

    due: Due
    subject: Any
    live: bool = True


class Deadlines:
    """A heap whose discarded entries are dropped in bulk, so that memory follows what is live."""

    __slots__ = (
        "_dead",
        "_heap",
        "_numbers",
    )

    def __init__(self) -> None:
        # Tuples, whose order needs no code of ours; the number is there so that ties are decided
        # by age and deadlines themselves are never compared.
        self._heap: list[tuple[float, int, Deadline]] = []
        self._numbers = count()
        # Invariant: _dead == number of entries of _heap that do not live.
        self._dead = 0

    def __len__(self) -> int:
        return len(self._heap) - self._dead

    def add(self, when: float, due: Due, subject: Any = None) -> Deadline:
        deadline = Deadline(due, subject)
        heappush(self._heap, (when, next(self._numbers), deadline))
        return deadline

    def discard(self, deadline: Deadline | None) -> None:
        """Forget it. None and an already discarded one are fine."""
        if deadline is None or not deadline.live:
            return
        deadline.live = False
        self._dead += 1
        if self._dead > 64 and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].live]
            heapify(self._heap)
            self._dead = 0

    def clear(self) -> None:
        """Forget them all."""
        for _, _, deadline in self._heap:
            deadline.live = False
        self._heap = []
        self._dead = 0

    def next(self) -> float | None:
        """When the earliest live deadline falls due; None when there is none."""
        heap = self._heap
        while heap and not heap[0][2].live:
            heappop(heap)
            self._dead -= 1
        return heap[0][0] if heap else None

    def pop_due(self, now: float) -> Deadline | None:
        """The earliest deadline that is due, or None. Call until None."""
        when = self.next()
        if when is None or when > now:
            return None
        _, _, deadline = heappop(self._heap)
        deadline.live = False
        return deadline
