"""What always holds (docs/architecture.md), one plain example of each.

The search for exceptions is in tests/property: every order of small scenarios, and a random caller
against a random server.
"""

import re
from pathlib import Path

import pytest

from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Ended, Interrupted, Settled
from antiphon.protocol.options import Options
from antiphon.protocol.playout import PlayoutInput
from antiphon.wire.client_events import ResponseCancel
from tests.helpers.builders import call
from tests.helpers.playbook import (
    OOB,
    Ask,
    C,
    Entry,
    Is,
    Lose,
    Oops,
    Playbook,
    S,
    Step,
    Wait,
    check,
    finished,
    live,
    spoken,
)

__all__: list[str] = []

ROOT = Path(__file__).parents[3]
IS_OVER = str(Is("interruption", "over"))
CLEAR = "output_audio_buffer.clear"


def test_every_invariant_of_the_page_has_its_example() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    stated = set(re.findall(r"^- \*\*I(\d+)\*\*", page, re.MULTILINE))
    shown = set(re.findall(r"^def test_i(\d+)_", Path(__file__).read_text(), re.MULTILINE))
    assert shown == stated and len(stated) == 13


def test_i1_nothing_is_delivered_after_the_cancel_returned() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("cancel", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.output_text.delta", "a"),
            S("response.output_audio.delta", "a"),
            S("response.output_item.done", "a", item=call("1")),
        ],
    )


def test_i2_output_reaches_only_its_own_response_in_order_and_complete() -> None:
    trace = [*live("a"), *live("x", **OOB), *live("y", **OOB)]
    for turn in range(3):
        for name in ("a", "x", "y", "a"):
            text = f"{name}{turn}"
            trace += [S("response.output_text.delta", name, text=text), Is(name, "output", text)]
    check(Connection("t"), trace)


def test_i3_everything_ends_once_on_loss_too() -> None:
    play = Playbook(Connection("t"))
    for step in (
        *live("a")[::2],
        Ask("create", "queued"),
        Ask("create", "x", **OOB),
        Ask("cancel", "x"),
        Ask("commit_audio"),
    ):
        assert isinstance(step, Ask | S)
        play.play(step)
    play.play(Lose())
    kinds = [type(effect) for effect in play.effects]
    assert (kinds.count(Ended), kinds.count(Settled), kinds.count(Interrupted)) == (2, 3, 1)
    assert play.connection.unsettled == ()
    play.check([Lose(), Wait(1000.0), S("response.output_text.delta", "a")])


def test_i4_cancels_name_the_response_that_was_meant_and_no_other() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            *live("y", **OOB),
            Ask("cancel", "x"),
            C("response.cancel", "x"),
            Is("x", "ended", "cancelled"),
        ],
    )
    cancels = [event.response_id for event in play.sent if isinstance(event, ResponseCancel)]
    assert cancels == ["resp_x"]


def test_i5_response_cancelled_before_its_name_never_surfaces() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            S("response.created", "a"),
            C("response.cancel", "a"),
            S("response.output_text.delta", "a"),
            *finished("a")[:1],
            Is("a", "settled", "completed"),
            Is("interruption", "over"),
        ],
    )


def test_i6_response_settles_once_with_one_outcome() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Wait(5.0),
            Is("a", "settled", "unsettled"),
            Is("interruption", "over"),
            S("response.done", "a"),
            S("response.done", "a", status="failed"),
            Ask("cancel", "a"),
            Is("interruption", "over"),
        ],
    )
    assert str(play["a"].outcome) == "unsettled"


def test_i7_create_waits_for_the_lane_and_for_the_cancel_that_empties_it() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("create", "b"),
            Ask("cancel", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.output_text.delta", "a"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
            C("response.create", "b"),
        ],
    )


def test_i8_calls_come_from_complete_items_of_responses_that_go_on() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_item.done", "a", item=call("1", status="incomplete")),
            Is("a", "output", "response.output_item.done"),
            S("response.output_item.done", "a", item=call("2")),
            Is("a", "output", "response.output_item.done"),
            Is("a", "call", "call_2"),
            Ask("cancel", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.output_item.done", "a", item=call("3")),
        ],
    )


def test_i9_memory_of_what_is_over_is_bounded() -> None:
    play = Playbook(Connection("t", Options(remembered=3)))
    for number in range(50):
        name = f"x{number}"
        play.check([*live(name, **OOB), *finished(name)])
    play.check([S("response.created", "x49"), S("response.created", "x48")])
    assert len(play.connection._responses._by_id) == 3
    play.check([S("response.output_text.delta", "x0"), Wait(10.0), Oops("unrouted", "x0")])


def test_i10_player_here_gets_nothing_after_the_interruption_and_is_told_to_drop_the_rest() -> None:
    play = check(Connection("t"), live("a"))
    for said in (PlayoutInput.SOUND, PlayoutInput.STARTED):
        assert play.connection.playouts.said(play["a"], said, 0.0) == []
    play.check(
        [
            S("response.output_audio.delta", "a"),
            Is("a", "output", "100ms"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Is("a", "to be silent"),
            S("response.output_audio.delta", "a"),
        ]
    )


def test_i10_what_begins_to_play_on_a_call_after_all_is_cleared_again() -> None:
    play = Playbook(Connection("t", Options(call=True)))
    play.check([*live("a"), *spoken("a"), *finished("a"), Ask("interrupt"), C(CLEAR)])
    play.check([S("output_audio_buffer.started", "a"), C(CLEAR)])
    for _ in range(3):  # also long after the receipt was given
        play.play(S("output_audio_buffer.cleared", "a"))
        play.play(Wait(60.0))
        assert play.interruptions[-1].settled
        play.check([S("output_audio_buffer.started", "a"), C(CLEAR)])


@pytest.mark.parametrize("said", ["cleared", "stopped", None])
def test_i11_receipt_says_silenced_when_it_is_known_and_not_before(said: str | None) -> None:
    play = Playbook(Connection("t", Options(call=True)))
    play.check([*live("a"), *spoken("a"), S("output_audio_buffer.started", "a"), *finished("a")])
    play.check([Ask("interrupt"), C(CLEAR)])
    assert not play.receipt.silenced
    steps: list[Step] = [S(f"output_audio_buffer.{said}", "a")] if said is not None else []
    assert IS_OVER in [line for step in (*steps, Wait(60.0)) for line in play.play(step)]
    assert bool(play.receipt.silenced) is (said is not None)
    assert bool(play.receipt.audible) is (said is None), "nobody confirmed it"


def test_i12_what_nobody_meant_plays_on_and_the_receipt_says_why() -> None:
    # P-410: one clear for all that a call plays.
    play = Playbook(Connection("t", Options(call=True)))
    play.check([*live("a"), *spoken("a"), S("output_audio_buffer.started", "a"), *finished("a")])
    play.check([*live("b"), *spoken("b"), Ask("cancel", "a"), Is("interruption", "over")])
    (entry,) = play.receipt.entries
    assert entry.playback == "kept" and play.receipt.audible == (entry,)
    both: list[Entry] = [C("response.cancel", "b"), C(CLEAR), Is("b", "ended", "cancelled")]
    play.check([Ask("cancel", "a", "b"), *both])


@pytest.mark.parametrize("claimed", [100, 3000])
def test_i13_heard_is_never_more_than_was_played(claimed: int) -> None:
    # 900 ms were played. Another controller claims what it likes, before and after.
    play = Playbook(Connection("t", Options(call=True)))
    play.check([*live("a"), *spoken("a"), S("output_audio_buffer.started", "a"), *finished("a")])
    claim = S("conversation.item.truncated", "a", ms=claimed)
    play.check([claim, Ask("interrupt"), C(CLEAR), S("output_audio_buffer.cleared", "a")])
    assert play.receipt.entries[0].heard_ms is None
    play.play(S("conversation.item.truncated", "a", ms=900))
    play.play(claim)
    (entry,) = play.receipt.entries
    assert entry.heard_ms == min(claimed, 900)
