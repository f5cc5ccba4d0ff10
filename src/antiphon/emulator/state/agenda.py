"""Deadlines: what is to happen later, in order of time and then of entry."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Agenda", "Entry"]


@dataclass(slots=True, order=True)
class Entry:
    """One appointment. `cancel()` makes it void."""

    at: float
    number: int
    action: Callable[[], None] | None = field(compare=False)

    def cancel(self) -> None:
        """Make this entry void; it stays in the heap until its time."""
        self.action = None


class Agenda:
    """A heap of appointments; equal times keep the order in which they were made."""

    __slots__ = ("_heap", "_number")

    def __init__(self) -> None:
        self._heap: list[Entry] = []
        self._number = 0

    def at(self, when: float, action: Callable[[], None]) -> Entry:
        """Do `action` when the engine's time reaches `when` (seconds)."""
        self._number += 1
        entry = Entry(when, self._number, action)
        heapq.heappush(self._heap, entry)
        return entry

    def next_deadline(self) -> float | None:
        """Time of the next valid entry, or None."""
        heap = self._heap
        while heap and heap[0].action is None:
            heapq.heappop(heap)
        return heap[0].at if heap else None

    def pop_due(self, now: float) -> Entry | None:
        """Take the first valid entry whose time is not after `now`."""
        due = self.next_deadline()
        if due is None or due > now:
            return None
        return heapq.heappop(self._heap)

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
