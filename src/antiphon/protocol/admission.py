"""Who may be created next.

P-30: "Only one Response can write to the default Conversation at a time." The server rejects the
second one and does not queue it (P-46), and the lane is taken until `response.done` is on the
wire, even after a cancel (P-45). So a create for the default conversation waits here until the
lane is free, and its caller need not (I7). Out-of-band creates wait only where a limit was set.
"""

from bisect import bisect_left, insort
from math import inf

from antiphon.protocol.response import Lane, OnBusy, Response, ResponseState

__all__ = ["Admission"]


class Admission:
    """Counts what occupies the server and queues what may not be sent yet.

    Args:
        max_in_flight: how many responses may occupy the server at once, both lanes together.
            None sets no limit; 1 is the single-slot model.
    """

    def __init__(self, max_in_flight: int | None = None) -> None:
        self._max_in_flight = max_in_flight
        # Responses with a higher number are not sent yet: there is no server to send them to.
        self.horizon: float = inf
        # Invariant: these are exactly the responses for which `response.occupies` is true.
        self._occupants: dict[Lane, dict[int, Response]] = {lane: {} for lane in Lane}
        # Invariant: these are exactly the QUEUED responses, in the order of `_turn`.
        self._waiting: dict[Lane, list[Response]] = {lane: [] for lane in Lane}

    def update(self, response: Response) -> None:
        """Take note of a change of state."""
        occupants = self._occupants[response.lane]
        if response.occupies:
            occupants[response.number] = response
        else:
            occupants.pop(response.number, None)
        queue = self._waiting[response.lane]
        if response.state is ResponseState.QUEUED:
            insort(queue, response, key=_turn)
        else:
            at = bisect_left(queue, _turn(response), key=_turn)
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
        return min(ready, key=lambda one: one.number, default=None)

    def next_retry(self, now: float) -> float | None:
        """When a response that was told to come back later may be tried again."""
        times = [
            queue[0].not_before
            for queue in self._waiting.values()
            if queue and queue[0].not_before > now
        ]
        return min(times, default=None)


def _turn(response: Response) -> tuple[bool, int]:
    """First come, first served, except that a create that took the lane by force goes first."""
    forceful = response.on_busy is OnBusy.REPLACE and response.lane is Lane.DEFAULT
    return not forceful, response.number
