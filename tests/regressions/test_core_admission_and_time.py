"""Bugs that the core once had: who may be created next, deadlines, loss. One trace each."""

import pytest

from antiphon.exceptions import LocalProtocolError, ResponseRejected
from antiphon.protocol.connection import Connection
from antiphon.protocol.lifecycle import Tolerance
from antiphon.protocol.options import DEFAULT_TOLERANCES, Options
from antiphon.wire.client_events import ResponseCreateParams
from tests.helpers.builders import ACTIVE, text_delta
from tests.helpers.playbook import OOB, Ask, C, Is, Lose, Oops, Playbook, S, Wait, check

__all__: list[str] = []


def opened(play: Playbook, *names: str, **params: object) -> Playbook:
    for name in names:
        play.check(
            [
                Ask("create", name, **params),
                C("response.create", name),
                S("response.created", name),
                Is(name, "opened"),
            ]
        )
    return play


def test_busy_error_without_event_id_is_not_put_down_to_an_out_of_band_create() -> None:
    # It went to the oldest create of any lane; that one was sent twice, and the one that had
    # really been refused waited for its timeout (P-42, P-85).
    check(
        Connection("t"),
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", code=ACTIVE),
            S("response.created", "x"),
            Is("x", "opened"),
            Wait(1.0),
            C("response.create", "a"),
            S("response.created", "a"),
            Is("a", "opened"),
        ],
    )


def test_out_of_band_create_refused_as_busy_pauses_while_the_default_lane_is_taken() -> None:
    # Servers with one slot in all (P-306) refuse it. It was sent again at once, as fast as the
    # round trip, because only the default lane was looked at for something to wait for.
    play = opened(Playbook(Connection("t")), "a")
    play.check(
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("error", create="x", code=ACTIVE),
            Wait(0.05),
            Wait(0.1),
            C("response.create", "x"),
        ]
    )


def test_refused_out_of_band_creates_keep_their_order() -> None:
    play = Playbook(Connection("t"))
    for name in ("x", "y", "z"):
        play.check([Ask("create", name, **OOB), C("response.create", name)])
    play.check([S("error", create=name, code=ACTIVE) for name in ("x", "y", "z")])
    play.check(
        [
            Wait(2.0),
            C("response.create", "x"),
            C("response.create", "y"),
            C("response.create", "z"),
        ]
    )


def test_second_replace_stops_the_first_that_still_waits_for_the_lane() -> None:
    # It was put before the first one, which then spoke after it: what a caller got depended on
    # how fast the server confirmed the cancel.
    play = opened(Playbook(Connection("t")), "a")
    play.check(
        [
            Ask("create", "b", on_busy="replace"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Ask("create", "c", on_busy="replace"),
            Is("b", "ended", "cancelled"),
            Is("b", "settled", "cancelled (never_sent)"),
            S("response.done", "a", status="cancelled", reason="client_cancelled"),
            Is("a", "settled", "cancelled (client_cancelled)"),
            C("response.create", "c"),
        ]
    )


def test_replace_waits_behind_an_earlier_one_that_may_not_be_interrupted() -> None:
    play = opened(Playbook(Connection("t")), "a")
    play.check(
        [
            Ask("create", "b", on_busy="replace", interruptible=False),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Ask("create", "q"),
            Ask("create", "c", on_busy="replace"),
            S("response.done", "a", status="cancelled", reason="client_cancelled"),
            Is("a", "settled", "cancelled (client_cancelled)"),
            C("response.create", "b"),
            S("response.created", "b"),
            Is("b", "opened"),
            S("response.done", "b"),
            Is("b", "ended", "finished"),
            Is("b", "settled", "completed"),
            C("response.create", "c"),
        ]
    )


def test_replace_does_not_let_a_queued_create_slip_in_first() -> None:
    # Stopping the one that held the queue let the next in the queue go.
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("create", "b", on_busy="replace"),
            C("response.create", "b"),
            S("error", create="b", code=ACTIVE),
            Ask("create", "q"),
            Ask("create", "c", on_busy="replace"),
            Is("b", "ended", "cancelled"),
            Is("b", "settled", "cancelled (never_sent)"),
            C("response.create", "c"),
        ]
    )


def test_replace_announces_no_interruption_that_nobody_asked_for() -> None:
    check(
        Connection("t"),
        [Ask("create", "a", on_busy="replace"), C("response.create", "a")],
    )


def test_reject_counts_those_who_already_wait() -> None:
    # The lane was free, but only because the one before it was told to come back later.
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE),
        ]
    )
    with pytest.raises(ResponseRejected):
        play.play(Ask("create", "b", on_busy="reject"))


def test_cancelled_creates_do_not_pile_up_behind_the_first_in_the_queue() -> None:
    play = opened(Playbook(Connection("t", Options(remembered=4))), "a")
    play.check([Ask("create", "first")])
    for _ in range(100):
        play.play(Ask("create", "next"))
        play.play(Ask("cancel", "next"))
    admission = play.connection._responses._admission
    assert sum(len(queue) for queue in admission._waiting.values()) == 1


def test_superseded_response_makes_room_under_a_limit() -> None:
    options = Options(max_in_flight=2, tolerances=frozenset({Tolerance.SUPERSEDES}))
    play = opened(Playbook(Connection("t", options)), "a")
    play.check(
        [
            Ask("create", "b", on_busy="send"),
            C("response.create", "b"),
            Ask("create", "x", **OOB),
            S("response.created", "b"),
            Is("b", "opened"),
            Is("a", "ended", "superseded"),
            Is("a", "settled", "cancelled (superseded)"),
            C("response.create", "x"),
        ]
    )


def test_late_repeated_created_supersedes_nothing() -> None:
    options = Options(tolerances=DEFAULT_TOLERANCES | {Tolerance.SUPERSEDES})
    play = opened(Playbook(Connection("t", options)), "a")
    play.check(
        [
            S("response.done", "a"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
        ]
    )
    opened(play, "b")
    play.check([S("response.created", "a")])
    assert play["b"].in_flight


def test_revoked_output_does_not_hold_the_lane_for_ever() -> None:
    # The deadline of the revoked response was thrown away with its kept output.
    play = Playbook(Connection("t"))
    play.check(
        [
            S("response.output_text.delta", "ghost"),
            Ask("interrupt"),
            C("response.cancel", "ghost"),
            Is("interruption", "over"),
            Ask("create", "a"),
            Wait(5.0),
            C("response.create", "a"),
        ]
    )


def test_out_of_band_interruption_leaves_unannounced_output_alone() -> None:
    # Nothing but the default conversation can hold a response that was not asked for (P-191).
    play = Playbook(Connection("t"))
    play.check(
        [
            S("response.output_text.delta", "vad"),
            Ask("interrupt", "out_of_band"),
            Is("interruption", "over"),
            S("response.created", "vad"),
            Is("vad", "opened"),
            Is("vad", "output", "la"),
        ]
    )


def test_request_is_refused_once_though_its_deadline_passes_after_the_loss() -> None:
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            Lose(),
            Oops("refused", "input_audio_buffer.commit ConnectionClosedError"),
            Wait(60.0),
        ]
    )
    assert play.connection.next_deadline() is None


def test_nothing_can_be_asked_of_a_lost_connection() -> None:
    # The response would never have been settled (I3).
    play = check(Connection("t"), [Lose()])
    with pytest.raises(LocalProtocolError):
        play.connection.create_response(ResponseCreateParams(), 0.0)
    with pytest.raises(LocalProtocolError):
        play.connection.append_audio(b"\0\0")
    assert play.connection.unsettled == ()


def test_frame_that_was_still_on_its_way_when_the_connection_went_opens_nothing() -> None:
    check(
        Connection("t"),
        [Lose(), S("response.created", "vad"), S(text_delta("resp_vad")), Wait(60.0)],
    )


def test_naming_a_response_twice_ends_the_interruption_once() -> None:
    play = opened(Playbook(Connection("t")), "a")
    play.check(
        [
            Ask("cancel", "a", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
        ]
    )
    assert len(play.receipt) == 1


def test_timed_out_create_says_whether_it_was_sent() -> None:
    # Both had the reason "timed_out", which says no more than the kind.
    play = opened(Playbook(Connection("t")), "a")
    play.check(
        [
            Ask("create", "b", timeout=1.0),
            Wait(1.0),
            Is("b", "ended", "timed_out"),
            Is("b", "settled", "timed_out (never_sent)"),
        ]
    )
    check(
        Connection("t"),
        [
            Ask("create", "c"),
            C("response.create", "c"),
            Wait(15.0),
            Is("c", "ended", "timed_out"),
            Is("c", "settled", "timed_out (unanswered)"),
        ],
    )
