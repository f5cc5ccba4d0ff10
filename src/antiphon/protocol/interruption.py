"""Which responses an interruption means, and its receipt.

An interruption ends when every response that it names is settled: by its `response.done`, by the
server's error, by the loss of the connection, or by its deadline. It never waits for tools or for
playback, so it cannot hang on either.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from antiphon.protocol.response import Lane, Outcome, OutcomeKind, Response

__all__ = ["Interruption", "Receipt", "ReceiptEntry", "Scope", "meant"]

Scope = Literal["all", "default", "out_of_band"]

_LANES: dict[Scope, frozenset[Lane]] = {
    "all": frozenset(Lane),
    "default": frozenset({Lane.DEFAULT}),
    "out_of_band": frozenset({Lane.OUT_OF_BAND}),
}


class ReceiptEntry(msgspec.Struct, frozen=True):
    """What became of one response.

    Attributes:
        response_id: the server's id, or None when it was stopped before it had one.
        lane: where it wrote.
        purpose: as given to `create_response`.
        outcome: how it ended.
        cancel_sent: whether a `response.cancel` went out for it.
    """

    response_id: str | None
    lane: Lane
    purpose: str | None
    outcome: Outcome
    cancel_sent: bool


class Receipt(msgspec.Struct, frozen=True):
    """What became of every response that an interruption named, in the order of their creation."""

    entries: tuple[ReceiptEntry, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def cancelled(self) -> tuple[ReceiptEntry, ...]:
        """Stopped, whether by this cancel, by the server's own, or before they were sent."""
        return self._of(OutcomeKind.CANCELLED)

    @property
    def finished_first(self) -> tuple[ReceiptEntry, ...]:
        """Ended of their own accord before the cancel took effect."""
        return tuple(
            entry
            for entry in self.entries
            if entry.outcome.kind
            not in (OutcomeKind.CANCELLED, OutcomeKind.LOST, OutcomeKind.UNSETTLED)
        )

    @property
    def lost(self) -> tuple[ReceiptEntry, ...]:
        """The connection went before the server said anything."""
        return self._of(OutcomeKind.LOST)

    @property
    def unsettled(self) -> tuple[ReceiptEntry, ...]:
        """The server said nothing before the deadline. Their output reaches nobody all the same."""
        return self._of(OutcomeKind.UNSETTLED)

    def _of(self, kind: OutcomeKind) -> tuple[ReceiptEntry, ...]:
        return tuple(entry for entry in self.entries if entry.outcome.kind is kind)


class Interruption:
    """An interruption under way. `owner` belongs to the shell."""

    __slots__ = ("_waiting", "owner", "responses")

    def __init__(self, responses: Iterable[Response]) -> None:
        self.responses = tuple(dict.fromkeys(responses))
        self._waiting = {one.number for one in self.responses if one.outcome is None}
        self.owner: Any = None

    @property
    def settled(self) -> bool:
        return not self._waiting

    def response_settled(self, response: Response) -> bool:
        """Take note; True when that was the last one."""
        self._waiting.discard(response.number)
        return not self._waiting

    def receipt(self) -> Receipt:
        """What is known so far; final once `settled`."""
        return Receipt(
            tuple(
                ReceiptEntry(
                    response_id=one.id,
                    lane=one.lane,
                    purpose=one.purpose,
                    outcome=one.outcome or Outcome(OutcomeKind.UNSETTLED),
                    cancel_sent=one.cancel_event_id is not None,
                )
                for one in self.responses
            )
        )


def meant(scope: Scope, unsettled: Iterable[Response]) -> list[Response]:
    """The responses that a scope stands for, among those not yet settled.

    A response created with `interruptible=False` is never meant by a scope, only by its own
    `cancel()`. One that is already being cancelled is meant: the receipt is to say what became of
    it, although no second cancel is sent.
    """
    lanes = _LANES[scope]
    return [
        one for one in unsettled if one.lane in lanes and (one.interruptible or not one.in_flight)
    ]
