"""What always holds (docs/architecture.md), one plain example of each.

The search for exceptions is in tests/property: every order of small scenarios, and a random caller
against a random server.
"""

import re
from pathlib import Path

from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Ended, Interrupted, Settled
from antiphon.protocol.options import Options
from antiphon.wire.client_events import ResponseCancel
from tests.helpers.builders import call
from tests.helpers.playbook import Ask, C, Is, Lose, Oops, Playbook, S, Wait, check, finished, live

__all__: list[str] = []

ROOT = Path(__file__).parents[3]
OOB = {"conversation": "none"}


def test_every_invariant_of_the_page_has_its_example() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    stated = set(re.findall(r"^- \*\*I(\d)\*\*", page, re.MULTILINE))
    shown = set(re.findall(r"^def test_i(\d)_", Path(__file__).read_text(), re.MULTILINE))
    assert shown == stated and len(stated) == 9


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
