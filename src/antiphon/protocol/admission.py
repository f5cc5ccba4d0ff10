"""Who may be created next.

P-30: "Only one Response can write to the default Conversation at a time." The server rejects the
second one and does not queue it (P-46), and the lane is taken until `response.done` is on the
wire, even after a cancel (P-45). So a create for the default conversation waits here until the
lane is free, and its caller need not (I7). Out-of-band creates wait only where a limit was set.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping
from math import inf

from msgspec import UnsetType

from antiphon.protocol.errors import blocker_of
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.response import Lane, OnBusy, Response
from antiphon.wire.items import ErrorInfo

__all__ = ["Admission"]

# Looked up once: to name a member of an enumeration costs as much as a call.
_QUEUED = ResponseState.QUEUED


class Admission:
    """Counts what occupies the server and queues what may not be sent yet.

    Args:
        max_in_flight: how many responses may occupy the server at once, both lanes together.
            None sets no limit; 1 is the single-slot model.
        busy_backoff: seconds to wait after a first refusal that says nothing of how long.

    Attributes:
        horizon: responses with a higher number are not sent yet, for there is no server to send
            them to; infinite while there is one.
    """

    __slots__ = (
        "_busy_backoff",
        "_max_in_flight",
        "_occupants",
        "_waiting",
        "horizon",
    )

    def __init__(self, max_in_flight: int | None = None, busy_backoff: float = 0.05) -> None:
        self._max_in_flight = max_in_flight
        self._busy_backoff = busy_backoff
        self.horizon: float = inf
        # Invariant: these are exactly the responses for which `response.occupies` is true.
        self._occupants: dict[Lane, dict[int, Response]] = {lane: {} for lane in Lane}
        # Invariant: these are exactly the QUEUED responses, in the order of `_order`.
        self._waiting: dict[Lane, list[Response]] = {lane: [] for lane in Lane}

    def update(self, response: Response) -> None:
        """Take note of a change of state."""
        occupants = self._occupants[response.lane]
        if response.occupies:
            occupants[response.number] = response
        else:
            occupants.pop(response.number, None)
        queue = self._waiting[response.lane]
        if response.state is _QUEUED:
            insort(queue, response, key=_order)
        elif queue:
            at = bisect_left(queue, _order(response), key=_order)
            if at < len(queue) and queue[at] is response:
                del queue[at]

    def release(self, response: Response) -> None:
        """It turned out to be another one, which takes its place."""
        self._occupants[response.lane].pop(response.number, None)

    def occupants(self, lane: Lane) -> tuple[Response, ...]:
        """What holds this lane, oldest first."""
        return tuple(self._occupants[lane].values())

    def waiting(self, lane: Lane) -> tuple[Response, ...]:
        """What waits for this lane, in the order in which it will be sent."""
        return tuple(self._waiting[lane])

    @property
    def has_waiting(self) -> bool:
        """Whether anything waits at all."""
        return any(self._waiting.values())

    def is_free(self, lane: Lane) -> bool:
        """Whether the lane has room for one more."""
        if lane is Lane.DEFAULT and self._occupants[lane]:
            return False
        limit = self._max_in_flight
        return limit is None or sum(map(len, self._occupants.values())) < limit

    def may_send(self, lane: Lane) -> bool:
        """Whether one more may be sent now: as `is_free`, and nobody who asked earlier waits."""
        return self.horizon == inf and self.is_free(lane) and not self._waiting[lane]

    def next_ready(self, now: float) -> Response | None:
        """The response that may be sent now, oldest first, or None. Call until None."""
        ready = [
            queue[0]
            for lane, queue in self._waiting.items()
            if queue
            and queue[0].number <= self.horizon
            and queue[0].not_before <= now
            and self.is_free(lane)
        ]
        return min(ready, key=lambda response: response.number, default=None)

    def next_retry(self, now: float) -> float | None:
        """When a response that was told to come back later may be tried again."""
        times = [
            queue[0].not_before
            for queue in self._waiting.values()
            if queue and queue[0].not_before > now
        ]
        return min(times, default=None)

    def pause(
        self, response: Response, error: ErrorInfo, known: Mapping[str | UnsetType | None, Response]
    ) -> float:
        """How long to wait, in seconds, before a create is tried again that found the lane busy.

        Args:
            response: what was refused, its attempts counted.
            error: the refusal.
            known: responses by id.
        """
        if response.lane is not Lane.DEFAULT:
            # Refused by a server with one slot in all (P-306), for whichever lane it serves now.
            return self._backoff(response)
        occupants = self._occupants[Lane.DEFAULT].values()
        if any(occupant is not response for occupant in occupants):
            return 0.0
        # P-50: the blocker that the message names may be over already by the time it is read.
        # The text is a hint for the pause, no more; nothing but the pause depends on it.
        named = blocker_of(error)
        blocker = known.get(named) if named else None
        if response.attempts == 1 and blocker is not None and blocker.state is ResponseState.CLOSED:
            return 0.0
        return self._backoff(response)

    def _backoff(self, response: Response) -> float:
        return min(2.0, self._busy_backoff * 2.0**response.attempts)


def _order(response: Response) -> tuple[bool, int]:
    """First come, first served, except that a create that took the lane by force goes first."""
    forceful = response.on_busy is OnBusy.REPLACE and response.lane is Lane.DEFAULT
    return not forceful, response.number
