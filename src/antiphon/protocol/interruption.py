"""Which responses an interruption means, and its receipt.

It means what is heard: what generates, and what was generated and is still to be heard. An
interruption ends when every response that it names is settled: by its `response.done`, by the
server's error, by the loss of the connection, or by its deadline; and where it asked for silence,
when that has come, for which there is a deadline, too. It never waits for tools, so it cannot hang.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from antiphon.protocol.playout import PlaybackKind, PlayoutState
from antiphon.protocol.response import Cause, Lane, Outcome, OutcomeKind, Response
from antiphon.protocol.times import ResponseTimes

__all__ = ["Interruption", "PlaybackMode", "Receipt", "ReceiptEntry", "Scope", "meant"]

Scope = Literal["all", "default", "out_of_band"]
PlaybackMode = Literal["exact", "always", "never"]
"""What an interruption does about sound that it cannot silence alone: see `Session.interrupt`."""

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
        playback: what became of its sound.
        heard_ms: how much of it was heard, in ms, and never more than was; None where nobody can
            know: a program that reads `handle.audio` itself keeps that to itself, and of a call
            only the server can tell (P-422).
        times: when what happened to it, until the receipt was given; the cancel on the wire at
            `times.cancel_sent`, its end known at `times.settled`.
    """

    response_id: str | None
    lane: Lane
    purpose: str | None
    outcome: Outcome
    cancel_sent: bool
    playback: PlaybackKind = PlaybackKind.NONE
    heard_ms: int | None = None
    times: ResponseTimes = ResponseTimes()


class Receipt(msgspec.Struct, frozen=True):
    """What became of every response that an interruption named, in the order of their creation.

    Attributes:
        entries: one per response.
        asked: when the interruption was asked for: seconds on the clock of `ResponseTimes`.
    """

    entries: tuple[ReceiptEntry, ...] = ()
    asked: float | None = None

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

    @property
    def silenced(self) -> tuple[ReceiptEntry, ...]:
        """Nothing of these is heard any more: stopped, played to the end, or never a sound."""
        return tuple(entry for entry in self.entries if entry.playback in _SILENT)

    @property
    def audible(self) -> tuple[ReceiptEntry, ...]:
        """These may still be heard: left alone, not confirmed, or lost from sight."""
        return tuple(entry for entry in self.entries if entry.playback not in _SILENT)

    def _of(self, kind: OutcomeKind) -> tuple[ReceiptEntry, ...]:
        return tuple(entry for entry in self.entries if entry.outcome.kind is kind)


_SILENT = frozenset({PlaybackKind.NONE, PlaybackKind.PLAYED, PlaybackKind.CLEARED})
# Asked to be silent, and not known to be so.
_PENDING = frozenset({PlayoutState.UNWANTED, PlayoutState.CLEARING, PlayoutState.MEASURING})


class Interruption:
    """An interruption under way. `owner` belongs to the shell.

    Attributes:
        responses: what it names, each once.
        playback: what it does about sound that it cannot silence alone.
        waiting: those of which not all is known yet that it asked about.
    """

    __slots__ = ("_kept", "asked", "owner", "playback", "responses", "waiting")

    def __init__(
        self,
        responses: Iterable[Response],
        playback: PlaybackMode = "exact",
        *,
        asked: float | None = None,
    ) -> None:
        self.asked = asked
        self.playback = playback
        self.responses = tuple(dict.fromkeys(responses))
        # Those whose sound was not asked to be silent.
        self._kept: set[Response] = set()
        self.waiting = {
            response
            for response in self.responses
            if response.outcome is None or _is_open(response)
        }
        self.owner: Any = None

    @property
    def settled(self) -> bool:
        """Whether its receipt is final."""
        return not self.waiting

    def keep(self, response: Response) -> None:
        """Its sound is left alone."""
        self._kept.add(response)

    def note(self, response: Response) -> bool:
        """Take note of what is known of it now; True when that was the last that was missing."""
        if response not in self.waiting or response.outcome is None or self._pending(response):
            return False
        self.waiting.discard(response)
        return not self.waiting

    def receipt(self) -> Receipt:
        """What is known so far; final once `settled`."""
        return Receipt(tuple(map(self._entry, self.responses)), self.asked)

    def _pending(self, response: Response) -> bool:
        playout = response.playout
        return playout is not None and playout.state in _PENDING and response not in self._kept

    def _entry(self, response: Response) -> ReceiptEntry:
        playback = self._playback(response)
        heard = response.playout.heard_ms if response.playout is not None else None
        return ReceiptEntry(
            response_id=response.id,
            lane=response.lane,
            purpose=response.purpose,
            outcome=response.outcome or Outcome(OutcomeKind.UNSETTLED),
            cancel_sent=response.cancel_event_id is not None,
            playback=playback,
            heard_ms=0 if playback is PlaybackKind.NONE else heard,
            times=response.times,
        )

    def _playback(self, response: Response) -> PlaybackKind:
        playout = response.playout
        if playout is None:
            # The program reads the audio itself: what it was given by then is its business.
            if response.audio_part is None:
                return PlaybackKind.NONE
            finished = response.cause is Cause.FINISHED
            return PlaybackKind.PLAYED if finished else PlaybackKind.CLEARED
        if response in self._kept and not playout.settled:
            return PlaybackKind.KEPT if playout.sound else PlaybackKind.NONE
        return playout.kind or PlaybackKind.UNSETTLED


def meant(scope: Scope, candidates: Iterable[Response]) -> list[Response]:
    """The responses that a scope stands for, among those not yet settled or still to be heard.

    A response created with `interruptible=False` is never meant by a scope, only by its own
    `cancel()`. One that is already being cancelled is meant: the receipt is to say what became of
    it, although no second cancel is sent.
    """
    lanes = _LANES[scope]
    return [
        response
        for response in candidates
        if response.lane in lanes and (response.interruptible or _stopping(response))
    ]


def _is_open(response: Response) -> bool:
    """Whether silence was asked of it and has not come, or is about to be asked of it."""
    playout = response.playout
    return playout is not None and (playout.state in _PENDING or playout.audible)


def _stopping(response: Response) -> bool:
    """Whether it was asked to stop, by its own `cancel()`, say."""
    playout = response.playout
    if playout is not None and playout.state in (PlayoutState.DUE, PlayoutState.PLAYING):
        return False
    return not response.in_flight
