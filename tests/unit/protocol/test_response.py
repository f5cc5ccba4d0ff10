"""One response as data; what may happen to it is in test_response_table.py."""

import pytest

from antiphon.protocol.effects import Ended, Opened
from antiphon.protocol.lifecycle import ResponseState, Tolerance
from antiphon.protocol.options import DEFAULT_TOLERANCES, Options
from antiphon.protocol.response import Cause, Lane, OnBusy, Outcome, OutcomeKind, Response
from antiphon.wire.client_events import ResponseCreateParams
from antiphon.wire.items import ErrorInfo

__all__: list[str] = []

_S = ResponseState


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome(OutcomeKind.COMPLETED), "completed"),
        (Outcome(OutcomeKind.CANCELLED, "turn_detected"), "cancelled (turn_detected)"),
        (
            Outcome(OutcomeKind.FAILED, None, ErrorInfo(code="server_error")),
            "failed (server_error)",
        ),
        (
            Outcome(OutcomeKind.CANCELLED, "never_created", ErrorInfo(code="busy")),
            "cancelled (never_created, busy)",
        ),
        (Outcome(OutcomeKind.FAILED, None, ErrorInfo(message="secret")), "failed"),
    ],
)
def test_outcome_in_words(outcome: Outcome, text: str) -> None:
    assert str(outcome) == text


@pytest.mark.parametrize("state", ResponseState)
def test_what_an_interruption_has_to_stop(state: ResponseState) -> None:
    response = Response(1, lane=Lane.DEFAULT)
    response.state = state
    assert response.in_flight is (state in {_S.QUEUED, _S.REQUESTED, _S.ACTIVE})


def test_response_goes_by_the_best_name_it_has() -> None:
    response = Response(7, lane=Lane.OUT_OF_BAND)
    assert repr(response) == "<Response #7 out_of_band idle>"
    response.key = "t-r7"
    assert repr(response) == "<Response t-r7 out_of_band idle>"
    response.id = "resp_a"
    assert repr(response) == "<Response resp_a out_of_band idle>"


def test_response_with_params_is_ours() -> None:
    ours = Response(1, lane=Lane.DEFAULT, params=ResponseCreateParams(), on_busy=OnBusy.SEND)
    assert not ours.from_server and not ours.is_unannounced and ours.on_busy is OnBusy.SEND


@pytest.mark.parametrize(
    ("named", "outcome", "nobodys"),
    [
        (False, None, True),
        (True, None, False),
        (False, Outcome(OutcomeKind.TIMED_OUT), False),
    ],
)
def test_response_that_only_its_output_shows_is_unannounced(
    named: bool, outcome: Outcome | None, nobodys: bool
) -> None:
    response = Response(1, lane=Lane.DEFAULT)
    response.named, response.outcome = named, outcome
    assert response.is_unannounced is nobodys


def test_effects_show_what_they_are_about() -> None:
    response = Response(1, lane=Lane.DEFAULT)
    response.cause = Cause.FINISHED
    assert "Response #1" in str(Ended(response)) and Opened(response) == Opened(response)


def test_what_is_forgiven_by_default_cannot_misroute() -> None:
    # P-67. Who supersedes whom cannot be known in general.
    assert Options().tolerances == DEFAULT_TOLERANCES
    assert Tolerance.SUPERSEDES not in DEFAULT_TOLERANCES
