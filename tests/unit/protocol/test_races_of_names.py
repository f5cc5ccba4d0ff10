"""Names and ends that come late, twice, or never: races of docs/protocol.md, each as a trace.

Where a failure of other clients is known by its public thread, the test names it.
"""

from antiphon.protocol.connection import Connection
from antiphon.protocol.options import Options
from antiphon.protocol.response import Lane
from antiphon.wire.items import ErrorInfo, StatusDetails
from tests.helpers.builders import message
from tests.helpers.playbook import (
    OOB,
    Ask,
    C,
    Is,
    Oops,
    Playbook,
    S,
    Wait,
    check,
    finished,
    live,
)

__all__: list[str] = []


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
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
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
            C("response.cancel"),
            Is("a", "ended", "cancelled"),
            S("response.output_text.delta", "a", id=None),
            S("response.done", "a", id=None, status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
        ],
    )


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
            C("response.cancel", "a"),
            Is("a", "ended", "stalled"),
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
