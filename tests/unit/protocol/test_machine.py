"""What hangs on the state of a response alone: deadlines, memory, what a newer one ends."""

from typing import Any

import pytest

from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.connection import Connection
from antiphon.protocol.lifecycle import ResponseState, Tolerance
from antiphon.protocol.options import DEFAULT_TOLERANCES, Options
from antiphon.protocol.response import Lane, Response
from tests.helpers.builders import (
    call,
)
from tests.helpers.playbook import (
    OOB,
    Ask,
    C,
    Is,
    Playbook,
    S,
    Wait,
    check,
    finished,
    live,
)

__all__: list[str] = []

SUPERSEDING = DEFAULT_TOLERANCES | {Tolerance.SUPERSEDES}


def connection(**options: Any) -> Connection:
    return Connection("t", Options(**options))


def test_newer_response_supersedes_whatever_holds_the_lane() -> None:
    # P-309.
    play = check(
        connection(tolerances=SUPERSEDING),
        [
            *live("a"),
            *live("x", **OOB),
            S("response.created", "v"),
            Is("v", "opened"),
            Is("a", "ended", "superseded"),
            Is("a", "settled", "cancelled (superseded)"),
            S("response.created", "w", lane="out_of_band"),
            Is("w", "opened"),
            S("response.output_text.delta", "x"),
            Is("x", "output", "la"),
        ],
    )
    assert play["v"].in_flight


def test_superseding_server_repeats_itself_and_nothing_happens() -> None:
    check(
        connection(tolerances=SUPERSEDING),
        [
            *live("a"),
            S("response.created", "v"),
            Is("v", "opened"),
            Is("a", "ended", "superseded"),
            Is("a", "settled", "cancelled (superseded)"),
            S("response.created", "a"),
            S("response.output_text.delta", "v"),
            Is("v", "output", "la"),
        ],
    )


def test_silence_is_counted_from_the_last_word() -> None:
    check(
        connection(stall_timeout=10.0),
        [
            *live("a"),
            Wait(6.0),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
            Wait(9.9),
            Wait(0.1),
            C("response.cancel", "a"),
            Is("a", "ended", "stalled"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "timed_out (stalled)"),
        ],
    )


def test_confirmed_cancel_awaits_no_error() -> None:
    # P-16: nothing is left to recognise a late error by, or to time out.
    play = check(
        connection(),
        [
            *live("a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a", status="cancelled", reason="client_cancelled"),
            Is("a", "settled", "cancelled (client_cancelled)"),
            Is("interruption", "over"),
        ],
    )
    assert play.connection.next_deadline() is None
    assert play.connection.idle


def test_unconfirmed_cancel_is_forgotten_in_time() -> None:
    play = check(
        connection(),
        [
            *live("a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a"),
            Is("a", "settled", "completed"),
            Is("interruption", "over"),
        ],
    )
    assert play.connection.next_deadline() == 5.0
    play.check([Wait(5.0)])
    assert play.connection.idle


def test_response_that_was_never_asked_for_anything_cannot_be_cancelled() -> None:
    # Nobody can have one in his hands; the table says so all the same.
    stranger = Response(1, lane=Lane.DEFAULT)
    with pytest.raises(LocalProtocolError, match="send_cancel"):
        connection(tolerances=frozenset()).cancel([stranger], 0.0)


def test_finished_responses_are_forgotten_oldest_first() -> None:
    # I9.
    play = Playbook(connection(remembered=2))
    for name in ("a", "b", "c"):
        play.check([*live(name)])
        play.play(S("response.output_item.done", name, item=call("1", status=None)))
        play.play(S("response.done", name, status="incomplete"))
    responses = play.connection._responses
    assert set(responses._by_id) == {"resp_b", "resp_c"}
    assert list(responses._machine.finished.values()) == [play["b"], play["c"]]
    assert play["a"].state is ResponseState.CLOSED
    assert play["a"].params is None and play["a"].held_calls == []


def test_response_given_up_counts_as_remembered_once() -> None:
    play = Playbook(connection(remembered=2))
    for name in ("a", "b"):
        play.check(
            [
                Ask("create", name, **OOB),
                C("response.create", name),
                Ask("cancel", name),
                Is(name, "ended", "cancelled"),
                Wait(5.0),
                Is(name, "settled", "unsettled"),
                Is("interruption", "over"),
                S("response.created", name),
                C("response.cancel", name),
                S("response.done", name),
            ]
        )
    assert list(play.connection._responses._machine.finished.values()) == [play["a"], play["b"]]


def test_response_that_is_being_revoked_is_not_forgotten() -> None:
    play = check(
        connection(remembered=1),
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            Ask("cancel", "x"),
            Is("x", "ended", "cancelled"),
            Wait(5.0),
            Is("x", "settled", "unsettled"),
            Is("interruption", "over"),
            S("response.created", "x"),
            C("response.cancel", "x"),
            *live("a"),
            *finished("a"),
            *live("b"),
            *finished("b"),
            S("response.output_text.delta", "x"),
            S("response.done", "x", metadata=None),
        ],
    )
    assert play["x"].state is ResponseState.CLOSED
