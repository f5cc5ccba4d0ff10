"""Which responses an interruption means, and its receipt."""

import pytest

from antiphon.protocol.interruption import Interruption, Scope, meant
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.response import Lane, Outcome, OutcomeKind, Response

__all__: list[str] = []


def response(
    number: int,
    state: ResponseState = ResponseState.ACTIVE,
    *,
    lane: Lane = Lane.DEFAULT,
    interruptible: bool = True,
    outcome: OutcomeKind | None = None,
) -> Response:
    made = Response(number, lane=lane, interruptible=interruptible, purpose=f"p{number}")
    made.state = state
    made.id = f"resp_{number}"
    made.outcome = None if outcome is None else Outcome(outcome)
    return made


@pytest.mark.parametrize(
    ("scope", "numbers"), [("all", [1, 2]), ("default", [1]), ("out_of_band", [2])]
)
def test_scope(scope: Scope, numbers: list[int]) -> None:
    responses = [response(1), response(2, lane=Lane.OUT_OF_BAND)]
    assert [one.number for one in meant(scope, responses)] == numbers


def test_response_that_may_not_be_interrupted_is_not_meant() -> None:
    assert meant("all", [response(1, interruptible=False)]) == []


def test_response_that_is_being_cancelled_is_meant_for_the_receipt() -> None:
    one = response(1, ResponseState.CANCELLING, interruptible=False)
    assert meant("all", [one]) == [one]


def test_interruption_of_nothing_is_settled() -> None:
    assert Interruption([]).settled
    assert Interruption([response(1, outcome=OutcomeKind.COMPLETED)]).settled


def test_interruption_is_settled_with_its_last_response() -> None:
    one, other = response(1), response(2)
    interruption = Interruption([one, other, one])
    assert interruption.responses == (one, other) and not interruption.settled
    other.outcome = Outcome(OutcomeKind.CANCELLED)
    assert not interruption.note(other)
    one.outcome = Outcome(OutcomeKind.CANCELLED)
    assert interruption.note(one) and interruption.settled


def test_receipt_sorts_by_what_became_of_each() -> None:
    responses = [response(at, outcome=kind) for at, kind in enumerate(OutcomeKind)]
    receipt = Interruption(responses).receipt()
    kinds = OutcomeKind
    sorted_by = {
        "cancelled": {kinds.CANCELLED},
        "lost": {kinds.LOST},
        "unsettled": {kinds.UNSETTLED},
        "finished_first": set(kinds) - {kinds.CANCELLED, kinds.LOST, kinds.UNSETTLED},
    }
    for name, expected in sorted_by.items():
        assert {entry.outcome.kind for entry in getattr(receipt, name)} == expected
    assert len(receipt) == len(OutcomeKind)


def test_receipt_so_far_has_open_entries() -> None:
    one = response(1, lane=Lane.OUT_OF_BAND)
    one.cancel_event_id = "t-1"
    (entry,) = Interruption([one]).receipt().entries
    assert entry.outcome.kind is OutcomeKind.UNSETTLED
    assert (entry.response_id, entry.lane, entry.purpose, entry.cancel_sent) == (
        "resp_1",
        Lane.OUT_OF_BAND,
        "p1",
        True,
    )
