"""Creates, the one lane and who gets it: races of docs/protocol.md, each as a trace.

Where a failure of other clients is known by its public thread, the test names it.
"""

from antiphon.exceptions import ResponseRejected
from antiphon.protocol.connection import Connection
from antiphon.protocol.options import Options
from antiphon.wire.client_events import ResponseCreate
from antiphon.wire.items import Item
from tests.helpers.builders import ACTIVE, call
from tests.helpers.playbook import (
    OOB,
    Ask,
    C,
    Is,
    Lose,
    Playbook,
    S,
    Wait,
    check,
    finished,
    live,
    turn,
)

__all__: list[str] = []

BUSY = (
    "Conversation already has an active response in progress: resp_{}. Wait until the response "
    "is finished before creating a new one."
)


def test_r8_create_that_loses_the_lane_to_detection_goes_when_that_is_done() -> None:
    # P-48; LK#6817.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            *turn("u"),
            S("response.created", "v"),
            Is("v", "opened"),
            S("error", create="a", code=ACTIVE, message=BUSY.format("v")),
            Wait(3.0),
            S("response.done", "v"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "completed"),
            C("response.create", "a"),
            S("response.created", "a"),
            Is("a", "opened"),
        ],
    )


def test_r8_refusal_that_comes_before_the_blockers_name_is_waited_out() -> None:
    # P-44: the error can be the first that is heard of the response that blocks.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE, message=BUSY.format("v")),
            S("response.created", "v"),
            Is("v", "opened"),
            Wait(3.0),
            S("response.done", "v"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "completed"),
            C("response.create", "a"),
        ],
    )


def test_r8_refusal_without_event_id_is_the_creates() -> None:
    # P-85; tleyden/arty #81, openai-agents-python #3405.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", code=ACTIVE),
            Wait(0.1),
            C("response.create", "a"),
            S("response.created", "a"),
            Is("a", "opened"),
        ],
    )


def test_r8_old_form_of_the_refusal_is_understood() -> None:
    # P-43: no code at all.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", message="Conversation already has an active response"),
            Wait(0.1),
            C("response.create", "a"),
        ],
    )


def test_r8_caller_who_lets_the_server_decide_is_told_its_decision() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("create", "b", on_busy="send"),
            C("response.create", "b"),
            S("error", create="b", code=ACTIVE),
            Is("b", "ended", "rejected"),
            Is("b", "settled", f"rejected ({ACTIVE})"),
        ],
    )


def test_r8_create_that_loses_again_and_again_is_refused_in_the_end() -> None:
    play = Playbook(Connection("t", Options(busy_retries=2)))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE),
            Wait(0.1),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE),
            Wait(0.2),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE),
            Is("a", "ended", "rejected"),
            Is("a", "settled", f"rejected ({ACTIVE})"),
        ]
    )


def test_r8_interruption_reaches_a_create_that_waits_to_be_tried_again() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            Is("a", "settled", "cancelled (never_sent)"),
            Is("interruption", "over"),
            Wait(60.0),
        ],
    )


def test_r9_create_right_after_a_cancel_waits_for_the_lane() -> None:
    # P-45; LK#5642, openai-agents-python #2760: it was refused.
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Ask("create", "b"),
            S("response.output_text.delta", "a"),
            S("response.done", "a", status="cancelled", reason="client_cancelled"),
            Is("a", "settled", "cancelled (client_cancelled)"),
            Is("interruption", "over"),
            C("response.create", "b"),
        ],
    )


def test_r9_create_right_after_an_early_cancel_waits_for_the_lane() -> None:
    # The first is not even named, and it will hold the lane until its cancel is through.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            Ask("create", "b"),
            S("response.created", "a"),
            C("response.cancel", "a"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
            C("response.create", "b"),
        ],
    )


def test_r9_cancel_that_is_never_confirmed_does_not_hold_the_lane_for_ever() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Ask("create", "b"),
            Wait(5.0),
            Is("a", "settled", "unsettled"),
            Is("interruption", "over"),
            C("response.create", "b"),
        ],
    )


def test_r9_end_of_an_out_of_band_response_does_not_free_the_lane() -> None:
    # Seen by reading openai-agents-python: any `done` released the next create.
    check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            Ask("create", "b"),
            *finished("x"),
            S("response.done", "a"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
            C("response.create", "b"),
        ],
    )


def test_r9_caller_may_have_a_busy_lane_refused() -> None:
    play = check(Connection("t"), [*live("a")])
    try:
        play.play(Ask("create", "b", on_busy="reject"))
    except ResponseRejected as error:
        assert error.code == ACTIVE
    else:
        raise AssertionError("the lane was taken")
    assert len(play.connection.unsettled) == 1
    play.check([*live("x", on_busy="reject", **OOB)])


def test_r9_replace_stops_the_holder_and_goes_before_those_who_wait() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("create", "b"),
            Ask("create", "c", on_busy="replace"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            C("response.create", "c"),
            S("response.created", "c"),
            Is("c", "opened"),
            S("response.done", "c"),
            Is("c", "ended", "finished"),
            Is("c", "settled", "completed"),
            C("response.create", "b"),
        ],
    )


def test_r10_refusal_read_after_the_blockers_end_is_tried_again_at_once() -> None:
    # P-50; hash #9399: waiting for the blocker's end would take for ever.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            *turn("u"),
            S("response.created", "v"),
            Is("v", "opened"),
            S("response.done", "v"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "completed"),
            S("error", create="a", code=ACTIVE, message=BUSY.format("v")),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE, message=BUSY.format("v")),
            Wait(0.2),
            C("response.create", "a"),
        ],
    )


def test_r15_tool_output_may_go_before_the_end_and_its_create_waits() -> None:
    # P-143; openai-agents-python #1168: two tools, two creates, one of them refused.
    answer = Item(type="function_call_output", id="item_out", call_id="call_1", output="42")
    check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_item.done", "a", item=call("1")),
            Is("a", "output", "response.output_item.done"),
            Is("a", "call", "call_1"),
            Ask("create_item", answer),
            C("conversation.item.create", "item_out"),
            Ask("create", "b"),
            Ask("create", "c"),
            S("response.done", "a"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
            C("response.create", "b"),
            S("response.created", "b"),
            Is("b", "opened"),
            S("response.done", "b"),
            Is("b", "ended", "finished"),
            Is("b", "settled", "completed"),
            C("response.create", "c"),
        ],
    )


def test_r15_tool_that_finishes_after_the_cancel_asks_for_nothing_by_itself() -> None:
    # pydantic-ai #6324: its result made the model speak again. Here only a create does that.
    answer = Item(type="function_call_output", id="item_out", call_id="call_1", output="42")
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_item.done", "a", item=call("1")),
            Is("a", "output", "response.output_item.done"),
            Is("a", "call", "call_1"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Ask("create_item", answer),
            C("conversation.item.create", "item_out"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
            Wait(5.0),
        ],
    )
    assert sum(isinstance(event, ResponseCreate) for event in play.sent) == 1


def test_one_slot_mode_holds_out_of_band_creates_too() -> None:
    play = Playbook(Connection("t", Options(max_in_flight=1)))
    play.check(
        [
            *live("a"),
            Ask("create", "x", **OOB),
            Ask("create", "b"),
            *finished("a"),
            C("response.create", "x"),
            S("response.created", "x"),
            Is("x", "opened"),
            *finished("x"),
            C("response.create", "b"),
            Lose(),
            Is("b", "ended", "lost"),
            Is("b", "settled", "lost"),
        ]
    )


def test_one_slot_mode_counts_the_responses_of_detection() -> None:
    play = Playbook(Connection("t", Options(max_in_flight=1)))
    play.check(
        [
            S("response.created", "v"),
            Is("v", "opened"),
            Ask("create", "x", **OOB),
            S("response.done", "v"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "completed"),
            C("response.create", "x"),
        ]
    )
