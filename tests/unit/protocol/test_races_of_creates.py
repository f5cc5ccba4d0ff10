"""Creates, the one lane and who gets it: races of docs/protocol.md, each as a trace.

Where a failure of other clients is known by its public thread, the test names it.
"""

from antiphon.exceptions import ResponseRejected
from antiphon.protocol.connection import Connection
from antiphon.protocol.options import Options
from antiphon.protocol.response import Lane
from antiphon.wire.client_events import ResponseCreate
from antiphon.wire.items import ErrorInfo, Item, StatusDetails
from tests.helpers.builders import ACTIVE, call, message
from tests.helpers.playbook import (
    Ask,
    C,
    Is,
    Lose,
    Oops,
    Playbook,
    S,
    Wait,
    check,
    finished,
    live,
)

__all__: list[str] = []

OOB = {"conversation": "none"}
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
            Is("a", "ended", "cancelled"),
            C("response.cancel", "a"),
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
            Is("a", "ended", "cancelled"),
            C("response.cancel", "a"),
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
            Is("a", "ended", "cancelled"),
            C("response.cancel", "a"),
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


def test_r11_new_response_before_the_old_ones_end() -> None:
    # P-66. Both write to the default conversation for a while; the lane is free after both.
    check(
        Connection("t"),
        [
            S("response.created", "v1"),
            Is("v1", "opened"),
            S("response.created", "v2"),
            Is("v2", "opened"),
            S("response.output_text.delta", "v2"),
            Is("v2", "output", "la"),
            Ask("create", "a"),
            S("response.done", "v1", status="cancelled", reason="turn_detected"),
            Is("v1", "ended", "finished"),
            Is("v1", "settled", "cancelled (turn_detected)"),
            S("response.done", "v2"),
            Is("v2", "ended", "finished"),
            Is("v2", "settled", "completed"),
            C("response.create", "a"),
        ],
    )


def test_r12_end_without_a_beginning() -> None:
    # P-67; twilio-samples (node) #37.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S(
                "response.done",
                "a",
                status="failed",
                details=StatusDetails(type="failed", error=ErrorInfo(code="server_error")),
            ),
            Is("a", "opened"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "failed (server_error)"),
        ],
    )


def test_r12_end_without_a_beginning_of_a_response_of_the_servers_own() -> None:
    check(
        Connection("t"),
        [
            S("response.done", "v", status="cancelled", reason="turn_detected"),
            Is("v", "opened"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "cancelled (turn_detected)"),
            S("response.created", "v"),
            S("response.output_text.delta", "v"),
        ],
    )


def test_r12_server_that_never_announces_is_understood_by_its_profile() -> None:
    # P-311; NEKO #2642.
    play = Playbook(Connection("t", Options(announces=False)))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.output_text.delta", "a"),
            Is("a", "opened"),
            Is("a", "output", "la"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            C("response.cancel", "a"),
            S("response.done", "a", status="cancelled", metadata=None),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
            S("response.output_text.delta", "v"),
            Is("v", "opened"),
            Is("v", "output", "la"),
        ]
    )


def test_r12_server_that_never_tells_an_id_gets_the_bare_cancel() -> None:
    # P-311; NEKO #2594. No id can ever be known there, and it runs one response at a time.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", id=None),
            Is("a", "opened"),
            S("response.output_text.delta", "a", id=None),
            Is("a", "output", "la"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            C("response.cancel"),
            S("response.output_text.delta", "a", id=None),
            S("response.done", "a", id=None, status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
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
            Is("a", "ended", "cancelled"),
            C("response.cancel", "a"),
            Ask("create_item", answer),
            C("conversation.item.create", "item_out"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
            Wait(5.0),
        ],
    )
    assert sum(isinstance(event, ResponseCreate) for event in play.sent) == 1


def test_r26_same_metadata_on_two_creates_does_not_mix_them_up() -> None:
    play = check(
        Connection("t"),
        [
            Ask("create", "x", metadata={"topic": "mood"}, **OOB),
            C("response.create", "x"),
            Ask("create", "y", metadata={"topic": "mood"}, **OOB),
            C("response.create", "y"),
            S("response.created", "y"),
            Is("y", "opened"),
            S("response.created", "x"),
            Is("x", "opened"),
            S("response.output_text.delta", "x"),
            Is("x", "output", "la"),
        ],
    )
    assert play["x"].metadata == play["y"].metadata == {"topic": "mood"}


def test_r27_silence_in_the_middle_of_a_response_is_not_waited_out_for_ever() -> None:
    # P-160 says that there is always an end. A socket can stay open and say nothing all the same.
    check(
        Connection("t"),
        [
            *live("a"),
            Wait(50.0),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
            Wait(59.0),
            Wait(1.0),
            Is("a", "ended", "stalled"),
            C("response.cancel", "a"),
            Wait(5.0),
            Is("a", "settled", "timed_out (stalled)"),
        ],
    )


def test_r27_create_that_is_never_answered_is_given_up_and_never_heard() -> None:
    # LK#6222: the reply timed out, and then it played.
    check(
        Connection("t"),
        [
            Ask("create", "a", timeout=3.0),
            C("response.create", "a"),
            Wait(3.0),
            Is("a", "ended", "timed_out"),
            S("response.created", "a"),
            C("response.cancel", "a"),
            S("response.output_audio.delta", "a"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "timed_out (unanswered)"),
        ],
    )


def test_r27_name_that_comes_after_everything_is_given_up_is_still_cancelled() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Wait(15.0),
            Is("a", "ended", "timed_out"),
            Is("a", "settled", "timed_out (unanswered)"),
            Wait(1000.0),
            S("response.created", "a"),
            C("response.cancel", "a"),
            S("response.output_audio.delta", "a"),
            S("response.done", "a", status="cancelled"),
        ],
    )


def test_r27_name_of_a_create_long_forgotten_is_still_cancelled() -> None:
    # ADR-0007: the key says that it was asked for here, though the record is gone.
    play = Playbook(Connection("t", Options(remembered=0)))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Wait(15.0),
            Is("a", "ended", "timed_out"),
            Is("a", "settled", "timed_out (unanswered)"),
            S("response.created", "a"),
            C("response.cancel", "a"),
            S("response.output_text.delta", "a"),
            S("response.done", "a"),
        ]
    )


def test_out_of_band_response_does_not_take_the_place_of_the_default_one() -> None:
    # LK#5605: the second `created` overwrote the slot, whose stream never closed.
    check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            S("response.output_text.delta", "a", text="a"),
            Is("a", "output", "a"),
            S("response.output_text.delta", "x", text="x"),
            Is("x", "output", "x"),
            *finished("x"),
            S("response.output_text.delta", "a", text="aa"),
            Is("a", "output", "aa"),
            *finished("a"),
        ],
    )


def test_failure_out_of_band_is_that_responses_alone() -> None:
    # P-53; community.openai.com/t/1362788.
    failed = StatusDetails(type="failed", error=ErrorInfo(code="server_error", message="sorry"))
    play = check(
        Connection("t"),
        [
            *live("a"),
            *live("x", tool_choice={"type": "function", "name": "look"}, **OOB),
            S("response.done", "x", status="failed", details=failed),
            Is("x", "ended", "finished"),
            Is("x", "settled", "failed (server_error)"),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
        ],
    )
    assert play["x"].lane is Lane.OUT_OF_BAND


def test_quota_is_fatal_and_the_create_is_answered_first() -> None:
    # P-92; LK#6352: endless reconnects.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code="insufficient_quota"),
            Is("a", "ended", "rejected"),
            Is("a", "settled", "rejected (insufficient_quota)"),
            Oops("fatal", "insufficient_quota"),
        ],
    )


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


def test_items_of_a_response_are_remembered_in_order() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_item.added", "a", item=message("item_1")),
            Is("a", "output", "response.output_item.added"),
            S("response.output_item.added", "a", item=message("item_2")),
            Is("a", "output", "response.output_item.added"),
        ],
    )
    assert play["a"].item_ids == ["item_1", "item_2"]
