"""Who may be created next.

P-30: "Only one Response can write to the default Conversation at a time." The server rejects the
second one and does not queue it (P-46), and the lane is taken until `response.done` is on the
wire, even after a cancel (P-45). So a create for the default conversation waits here until the
lane is free, and its caller need not (I7). Out-of-band creates wait only where a limit was set.
"""

from collections import deque

from antiphon.protocol.response import Lane, Response, ResponseState

__all__ = ["Admission"]


class Admission:
    """Counts what occupies the server and queues what may not be sent yet.

    Args:
        max_in_flight: how many responses may occupy the server at once, both lanes together.
            None sets no limit; 1 is the single-slot model.
    """

    def __init__(self, max_in_flight: int | None = None) -> None:
        self._max_in_flight = max_in_flight
        # Invariant: these are exactly the responses for which `response.occupies` is true.
        self._occupants: dict[Lane, dict[int, Response]] = {lane: {} for lane in Lane}
        # Invariant: every QUEUED response stands in its lane's queue once. Others may linger there
        # until they reach the head.
        self._waiting: dict[Lane, deque[Response]] = {lane: deque() for lane in Lane}

    def update(self, response: Response) -> None:
        """Take note of a change of state."""
        occupants = self._occupants[response.lane]
        if response.occupies:
            occupants[response.number] = response
        else:
            occupants.pop(response.number, None)

    def release(self, response: Response) -> None:
        """It turned out to be another one, which takes its place."""
        self._occupants[response.lane].pop(response.number, None)

    def occupants(self, lane: Lane) -> tuple[Response, ...]:
        """What holds this lane, oldest first."""
        return tuple(self._occupants[lane].values())

    def is_free(self, lane: Lane) -> bool:
        """Whether a create for this lane may be sent now."""
        if lane is Lane.DEFAULT and self._occupants[lane]:
            return False
        limit = self._max_in_flight
        return limit is None or sum(map(len, self._occupants.values())) < limit

    def may_send(self, response: Response) -> bool:
        """As `is_free`, and nobody who asked earlier is still waiting for the lane."""
        return self.is_free(response.lane) and self._head(response.lane) is None

    def enqueue(self, response: Response, *, first: bool = False) -> None:
        queue = self._waiting[response.lane]
        if first:
            queue.appendleft(response)
        else:
            queue.append(response)

    def next_ready(self, now: float) -> Response | None:
        """Take the response that may be sent now, oldest first, or None. Call until None."""
        ready: Response | None = None
        for lane in Lane:
            head = self._head(lane)
            if head is None or head.not_before > now or not self.is_free(lane):
                continue
            if ready is None or head.number < ready.number:
                ready = head
        if ready is not None:
            self._waiting[ready.lane].popleft()
        return ready

    def next_retry(self, now: float) -> float | None:
        """When a response that was told to come back later may be tried again."""
        times = [
            head.not_before
            for lane in Lane
            if (head := self._head(lane)) is not None and head.not_before > now
        ]
        return min(times, default=None)

    def _head(self, lane: Lane) -> Response | None:
        queue = self._waiting[lane]
        while queue and queue[0].state is not ResponseState.QUEUED:
            queue.popleft()
        return queue[0] if queue else None
