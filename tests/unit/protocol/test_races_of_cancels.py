"""Cancels and what they meet on the way: races of docs/protocol.md, each as a trace.

Where a failure of other clients is known by its public thread, the test names it.
"""

from antiphon.protocol.connection import Connection
from antiphon.protocol.response import OutcomeKind
from antiphon.wire.client_events import ResponseCancel
from antiphon.wire.items import Item
from tests.helpers.builders import NOT_ACTIVE, call, message
from tests.helpers.playbook import (
    OOB,
    Ask,
    C,
    Entry,
    Is,
    Oops,
    Playbook,
    S,
    Wait,
    check,
    delivered_ms,
    finished,
    live,
)

__all__: list[str] = []


def cancelled(name: str) -> list[Entry]:
    """The server confirms a cancel of ours."""
    return [
        S("response.done", name, status="cancelled", reason="client_cancelled"),
        Is(name, "settled", "cancelled (client_cancelled)"),
    ]


def stopped(*names: str) -> list[Entry]:
    """Responses that play are stopped; the server is told first."""
    cancels: list[Entry] = [C("response.cancel", name) for name in names]
    return [*cancels, *(Is(name, "ended", "cancelled") for name in names)]


def test_r1_cancel_that_crosses_the_natural_end_is_not_an_error() -> None:
    # P-14; berd #318, hash #9399, AJ#189.
    play = check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            *stopped("a"),
            S("response.done", "a"),
            Is("a", "settled", "completed"),
            Is("interruption", "over"),
            S("error", cancel="a", code=NOT_ACTIVE),
            Oops("absorbed", "a"),
        ],
    )
    assert [entry.response_id for entry in play.receipt.finished_first] == ["resp_a"]
    assert play.receipt.cancelled == ()


def test_r1_late_cancel_error_without_event_id_is_not_put_down_to_a_live_cancel() -> None:
    # P-8. Whose it is can be known: one of the two is over.
    check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            Ask("interrupt"),
            *stopped("a", "x"),
            S("response.done", "a"),
            Is("a", "settled", "completed"),
            S("error", code=NOT_ACTIVE),
            Oops("absorbed", "a"),
            S("response.output_text.delta", "x"),
            *cancelled("x"),
            Is("interruption", "over"),
        ],
    )


def test_r1_cancel_error_before_the_end_settles_the_response() -> None:
    # The server knows of no such response any more, and its `done` never came.
    play = check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            *stopped("a"),
            S("error", cancel="a", code=NOT_ACTIVE),
            Oops("absorbed", "a"),
            Is("a", "settled", "unknown (not_active)"),
            Is("interruption", "over"),
            S("response.done", "a"),
        ],
    )
    assert play["a"].resource is not None, "its usage is worth having even now"


def test_r1_two_cancels_and_one_error_without_event_id_settle_neither() -> None:
    # P-8: no evidence whose it is. Their own ends settle them.
    check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            Ask("interrupt"),
            *stopped("a", "x"),
            S("error", code=NOT_ACTIVE),
            Oops("absorbed"),
            *cancelled("x"),
            *cancelled("a"),
            Is("interruption", "over"),
        ],
    )


def test_r1_cancel_after_the_end_sends_nothing() -> None:
    # luke #318: it is over on the server, though its sound still plays here.
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_audio.delta", "a", ms=3000),
            Is("a", "output", "3000ms"),
            *finished("a"),
            Ask("cancel", "a"),
            Is("interruption", "over"),
        ],
    )
    assert play.receipt.finished_first[0].outcome.kind is OutcomeKind.COMPLETED
    (point,) = play.connection.truncate_points(["item_resp_a"], 1200)
    assert (point.item_id, point.audio_end_ms) == ("item_resp_a", 1200)


def test_r2_cancel_of_a_response_that_detection_cancelled_does_not_hit_the_next() -> None:
    # P-15; LK#6962, pydantic-ai #7870. The late cancel names the old response, so that the reply
    # to the barge-in plays.
    play = check(
        Connection("t"),
        [
            S("response.created", "v1"),
            Is("v1", "opened"),
            Ask("interrupt"),
            *stopped("v1"),
            S("response.done", "v1", status="cancelled", reason="turn_detected"),
            Is("v1", "settled", "cancelled (turn_detected)"),
            Is("interruption", "over"),
            S("response.created", "v2"),
            Is("v2", "opened"),
            S("error", cancel="v1", code=NOT_ACTIVE),
            Oops("absorbed", "v1"),
            S("response.output_text.delta", "v2"),
            Is("v2", "output", "la"),
        ],
    )
    assert all(event.response_id for event in play.sent if isinstance(event, ResponseCancel))


def test_r3_cancel_before_the_name_goes_out_by_the_name() -> None:
    # P-12; LK#6244, LK#5703. A cancel sent now would find nothing, and the response would play.
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
            *cancelled("a"),
            Is("interruption", "over"),
        ],
    )


def test_r4_response_cancelled_twice_is_cancelled_once() -> None:
    # P-11. Both callers learn how it ended.
    play = check(
        Connection("t"),
        [
            *live("a"),
            Ask("cancel", "a"),
            *stopped("a"),
            Ask("interrupt"),
            *cancelled("a"),
            Is("interruption", "over"),
            Is("interruption", "over"),
        ],
    )
    first, second = (one.receipt() for one in play.interruptions)
    assert first == second and len(first.cancelled) == 1


def test_r5_out_of_band_responses_are_stopped_each_by_its_id() -> None:
    # P-3, P-4; LK#5564, HC#1502: a cancel without an id stops neither of them.
    check(
        Connection("t"),
        [
            *live("x", **OOB),
            *live("y", **OOB),
            Ask("interrupt"),
            *stopped("x", "y"),
            *cancelled("y"),
            *cancelled("x"),
            Is("interruption", "over"),
        ],
    )


def test_r6_default_and_out_of_band_responses_are_stopped_each_by_its_id() -> None:
    # P-5; LK#5564.
    play = check(
        Connection("t"),
        [
            *live("a", purpose="answer"),
            *live("x", **OOB),
            *live("y", **OOB, purpose="mood"),
            Ask("interrupt"),
            *stopped("a", "x", "y"),
            *cancelled("x"),
            *cancelled("a"),
            *cancelled("y"),
            Is("interruption", "over"),
        ],
    )
    entries = play.receipt.cancelled
    assert [entry.response_id for entry in entries] == ["resp_a", "resp_x", "resp_y"]
    assert [entry.purpose for entry in entries] == ["answer", None, "mood"]
    assert all(entry.cancel_sent for entry in entries)


def test_r7_one_of_several_is_stopped_and_the_others_play_on() -> None:
    # P-1, P-35; HC#1502: callers heard mixed sound.
    check(
        Connection("t"),
        [
            *live("x", **OOB),
            *live("y", **OOB),
            S("response.output_text.delta", "x", text="x1"),
            Is("x", "output", "x1"),
            S("response.output_text.delta", "y", text="y1"),
            Is("y", "output", "y1"),
            Ask("cancel", "x"),
            *stopped("x"),
            S("response.output_text.delta", "y", text="y2"),
            Is("y", "output", "y2"),
            S("response.output_text.delta", "x", text="x2"),
            S("response.output_text.delta", "y", text="y3"),
            Is("y", "output", "y3"),
            *cancelled("x"),
            Is("interruption", "over"),
            *finished("y"),
        ],
    )


def test_r7_scope_chooses_the_lane() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            Ask("interrupt", "out_of_band"),
            *stopped("x"),
            Ask("interrupt", "default"),
            *stopped("a"),
            *cancelled("a"),
            Is("interruption", "over"),
            *cancelled("x"),
            Is("interruption", "over"),
        ],
    )


def test_r7_response_that_may_not_be_interrupted_survives() -> None:
    check(
        Connection("t"),
        [
            *live("a", interruptible=False),
            *live("x", **OOB),
            Ask("interrupt"),
            *stopped("x"),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
            Ask("cancel", "a"),
            *stopped("a"),
        ],
    )


def test_r13_stragglers_reach_nobody() -> None:
    # P-64; sglang-omni #1344, LK#6222: a late delta was heard in the next reply.
    check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_audio.delta", "a"),
            Is("a", "output", "100ms"),
            Ask("interrupt"),
            *stopped("a"),
            S("response.output_audio.delta", "a"),
            S("response.output_item.done", "a", item=message("item_resp_a", status="incomplete")),
            *cancelled("a"),
            Is("interruption", "over"),
            S("response.output_audio.delta", "a"),
            *live("b"),
            S("response.output_audio.delta", "a"),
            S("response.output_audio.delta", "b"),
            Is("b", "output", "100ms"),
        ],
    )


def test_r13_stragglers_are_not_counted_as_heard() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_audio.delta", "a", ms=200),
            Is("a", "output", "200ms"),
            Ask("interrupt"),
            *stopped("a"),
            S("response.output_audio.delta", "a", ms=700),
        ],
    )
    assert delivered_ms(play.connection._delivered, "item_resp_a") == 200


def test_r14_call_that_a_cancel_cut_short_is_not_handed_out() -> None:
    # P-60, P-61; NousResearch/hermes-agent #101808.
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            *stopped("a"),
            S("response.output_item.done", "a", item=call("1", status="incomplete")),
            S("response.output_item.done", "a", item=call("2")),
            S("response.done", "a", status="cancelled", output=[call("1"), call("2")]),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
        ],
    )


def test_r14_call_that_detection_cut_short_is_not_handed_out() -> None:
    check(
        Connection("t"),
        [
            S("response.created", "v"),
            Is("v", "opened"),
            S(
                "response.output_item.done",
                "v",
                item=call("1", status="incomplete", arguments='{"ci'),
            ),
            Is("v", "output", "response.output_item.done"),
            S("response.output_item.done", "v", item=call("2", status=None)),
            Is("v", "output", "response.output_item.done"),
            S("response.done", "v", status="cancelled", reason="turn_detected"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "cancelled (turn_detected)"),
        ],
    )


def test_r24_barge_in_leaves_out_of_band_responses_alone() -> None:
    # P-191, P-192; needs of HC#1502.
    check(
        Connection("t"),
        [
            S("response.created", "v"),
            Is("v", "opened"),
            *live("x", **OOB),
            S("response.done", "v", status="cancelled", reason="turn_detected"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "cancelled (turn_detected)"),
            S("response.output_text.delta", "x"),
            Is("x", "output", "la"),
            *finished("x"),
        ],
    )


def test_r25_cancelled_response_without_items_is_settled_like_any_other() -> None:
    # P-62, P-63.
    play = check(
        Connection("t"),
        [
            S("response.created", "v"),
            Is("v", "opened"),
            S("response.done", "v", status="cancelled", reason="turn_detected"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "cancelled (turn_detected)"),
        ],
    )
    assert play["v"].item_ids == []


def test_interruption_of_nothing_is_over_at_once_and_sends_nothing() -> None:
    play = check(Connection("t"), [Ask("interrupt"), Is("interruption", "over")])
    assert len(play.receipt) == 0 and play.sent == []


def test_new_call_of_a_cancelled_response_is_not_handed_out_with_the_next() -> None:
    # The set of what was handed out is per response: the same call id is another call there.
    items: list[Item] = [call("1")]
    check(
        Connection("t"),
        [
            *live("a"),
            Ask("interrupt"),
            *stopped("a"),
            S("response.output_item.done", "a", item=items[0]),
            *cancelled("a"),
            Is("interruption", "over"),
            *live("b"),
            S("response.output_item.done", "b", item=items[0]),
            Is("b", "output", "response.output_item.done"),
            Is("b", "call", "call_1"),
        ],
    )


def test_interruption_never_waits_for_ever() -> None:
    play = Playbook(Connection("t"))
    play.check(
        [
            *live("a"),
            Ask("create", "b"),
            Ask("interrupt"),
            *stopped("a"),
            Is("b", "ended", "cancelled"),
            Is("b", "settled", "cancelled (never_sent)"),
            Wait(5.0),
            Is("a", "settled", "unsettled"),
            Is("interruption", "over"),
        ]
    )
    assert [entry.response_id for entry in play.receipt.unsettled] == ["resp_a"]
    assert [entry.cancel_sent for entry in play.receipt.entries] == [True, False]
