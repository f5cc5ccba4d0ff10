"""What a receipt says of the sound, and when there is nothing left to wait for."""

import pytest

from antiphon.protocol.interruption import Interruption
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.playout import PlaybackKind, Playout, PlayoutState
from antiphon.protocol.response import Cause, Lane, Outcome, OutcomeKind, Response

__all__: list[str] = []

_K, _S = PlaybackKind, PlayoutState


def spoken(playout: Playout | None, *, over: bool = True) -> Response:
    """A response with this playback; `over`: the server has said how it ended."""
    made = Response(1, lane=Lane.DEFAULT)
    made.id = "resp_1"
    made.state = ResponseState.CLOSED if over else ResponseState.CANCELLING
    made.outcome = Outcome(OutcomeKind.CANCELLED) if over else None
    made.playout = playout
    return made


def heard(state: PlayoutState, kind: PlaybackKind | None = None, *, sound: bool = True) -> Playout:
    return Playout(local=False, state=state, kind=kind, sound=sound)


@pytest.mark.parametrize(
    ("playout", "waits"),
    [
        (None, False),
        (heard(_S.SILENT), False),
        (heard(_S.DUE), True),
        (heard(_S.PLAYING), True),
        (heard(_S.UNWANTED), True),
        (heard(_S.CLEARING), True),
        (heard(_S.MEASURING), True),
        (heard(_S.OVER, _K.PLAYED), False),
        (heard(_S.REFUSED, _K.NONE), False),
    ],
)
def test_interruption_waits_for_sound_that_is_heard_or_was_asked_to_be_silent(
    playout: Playout | None, waits: bool
) -> None:
    assert Interruption([spoken(playout)]).settled is not waits


def test_interruption_is_over_when_generation_and_sound_both_are() -> None:
    playout = heard(_S.CLEARING)
    one = spoken(playout, over=False)
    interruption = Interruption([one])
    assert not interruption.note(one), "neither is known"
    one.outcome = Outcome(OutcomeKind.CANCELLED)
    assert not interruption.note(one), "it may still be heard"
    playout.state = _S.OVER
    one.outcome = None
    assert not interruption.note(one), "the server has not said how it ended"
    one.outcome = Outcome(OutcomeKind.CANCELLED)
    assert interruption.note(one)
    assert not interruption.note(one), "that was said once"


def test_interruption_does_not_wait_for_sound_that_it_leaves_alone() -> None:
    one = spoken(heard(_S.CLEARING))
    interruption = Interruption([one], "never")
    assert not interruption.note(one)
    interruption.keep(one)
    assert interruption.note(one)


@pytest.mark.parametrize(
    ("playout", "kept", "says"),
    [
        (heard(_S.CLEARING), False, _K.UNSETTLED),
        (heard(_S.OVER, _K.CLEARED), False, _K.CLEARED),
        (heard(_S.PLAYING), True, _K.KEPT),
        (heard(_S.SILENT, sound=False), True, _K.NONE),
        # Left alone, and by now it is known what came of it.
        (heard(_S.OVER, _K.PLAYED), True, _K.PLAYED),
    ],
)
def test_receipt_says_what_became_of_the_sound(
    playout: Playout, kept: bool, says: PlaybackKind
) -> None:
    one = spoken(playout)
    interruption = Interruption([one])
    if kept:
        interruption.keep(one)
    (entry,) = interruption.receipt().entries
    assert entry.playback is says


@pytest.mark.parametrize(
    ("part", "cause", "says"),
    [
        (None, Cause.FINISHED, _K.NONE),
        (None, Cause.CANCELLED, _K.NONE),
        (("item_1", 0), Cause.FINISHED, _K.PLAYED),
        (("item_1", 0), Cause.CANCELLED, _K.CLEARED),
    ],
)
def test_receipt_of_what_a_program_reads_by_itself(
    part: tuple[str, int] | None, cause: Cause, says: PlaybackKind
) -> None:
    one = spoken(None)
    one.audio_part = part  # type: ignore[assignment]
    one.cause = cause
    (entry,) = Interruption([one]).receipt().entries
    assert entry.playback is says
    assert entry.heard_ms == (0 if says is _K.NONE else None)


def test_receipt_says_how_much_was_heard_and_nothing_of_what_made_no_sound() -> None:
    told = heard(_S.OVER, _K.CLEARED)
    told.heard_ms = 700
    silent = heard(_S.OVER, _K.NONE)
    silent.heard_ms = None
    receipt = Interruption([spoken(told), spoken(silent)]).receipt()
    assert [entry.heard_ms for entry in receipt.entries] == [700, 0]
