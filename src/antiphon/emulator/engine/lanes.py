"""Who may run: the default conversation's one slot, and the responses beside it (P-30, P-31)."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from antiphon.emulator.engine.response import Lane, Response

__all__ = ["Lanes", "Request", "Slot"]

REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Request:
    """A response that is asked for: by the client, or by turn detection (`automatic`)."""

    params: dict[str, Any]
    event_id: str | None
    automatic: bool = False


class Slot:
    """Room for one response at a time.

    Invariant: `holder` is the response that has the slot, or had it and has not freed it yet.
    """

    def __init__(self) -> None:
        self.holder: Response | None = None
        self.waiting: deque[Request] = deque()


class Lanes:
    """All responses of a session, found by id.

    Invariant: `active` holds exactly the responses that are not done.
    Invariant: `in_progress` of the default lane is `slot.holder` or nobody, except while a
    cancelled response overlaps with its successor (knob `old_done_vs_new_created`).
    """

    def __init__(self) -> None:
        self.slot = Slot()
        self.active: dict[str, Response] = {}
        self.finished: OrderedDict[str, str] = OrderedDict()
        self.out_of_band = 0

    def add(self, response: Response, *, takes_slot: bool) -> None:
        """A response was accepted."""
        self.active[response.id] = response
        if takes_slot:
            self.slot.holder = response
        if response.lane is Lane.OUT_OF_BAND:
            self.out_of_band += 1

    def remove(self, response: Response) -> None:
        """A response is done. Its slot, if it has it, is not freed by this."""
        del self.active[response.id]
        if response.lane is Lane.OUT_OF_BAND:
            self.out_of_band -= 1
        self.finished[response.id] = response.status
        while len(self.finished) > REMEMBERED:
            self.finished.popitem(last=False)

    def default_in_progress(self) -> Response | None:
        """The default conversation's response that a cancel can find, or None."""
        holder = self.slot.holder
        if holder is not None and holder.lane is Lane.DEFAULT and holder.in_progress:
            return holder
        return None

    def single(self) -> Response | None:
        """The only response in progress, or None if there are several or none."""
        in_progress = (response for response in self.active.values() if response.in_progress)
        first, second = next(in_progress, None), next(in_progress, None)
        return first if second is None else None

    def oldest_out_of_band(self) -> Response | None:
        """The out-of-band response that has been in progress for longest."""
        for response in self.active.values():
            if response.lane is Lane.OUT_OF_BAND and response.in_progress:
                return response
        return None
