"""What the server's account of a response says, whichever server wrote it."""

from typing import Any

import pytest

from antiphon.protocol.resource import bytes_per_ms, cancelled_by_client, lane_of, outcome_of
from antiphon.protocol.response import Lane, Outcome, OutcomeKind
from antiphon.wire.base import UNSET
from antiphon.wire.items import ErrorInfo, StatusDetails
from tests.helpers.builders import resource

__all__: list[str] = []


@pytest.mark.parametrize(
    ("told", "lane"),
    [("default", Lane.DEFAULT), ("out_of_band", Lane.OUT_OF_BAND), (None, None)],
)
def test_lane(told: str | None, lane: Lane | None) -> None:
    # P-37.
    assert lane_of(resource("r", lane=told)) is lane


@pytest.mark.parametrize(
    ("status", "details", "outcome"),
    [
        ("completed", None, Outcome(OutcomeKind.COMPLETED)),
        (
            "cancelled",
            StatusDetails(type="cancelled", reason="turn_detected"),
            Outcome(OutcomeKind.CANCELLED, "turn_detected"),
        ),
        (
            "incomplete",
            StatusDetails(reason="max_output_tokens"),
            Outcome(OutcomeKind.INCOMPLETE, "max_output_tokens"),
        ),
        (
            "failed",
            StatusDetails(error=ErrorInfo(code="server_error")),
            Outcome(OutcomeKind.FAILED, None, ErrorInfo(code="server_error")),
        ),
        (
            "failed",
            StatusDetails(error="it broke"),
            Outcome(OutcomeKind.FAILED, None, ErrorInfo(message="it broke")),
        ),
        # P-294: xAI puts a string there.
        ("completed", "unimplemented", Outcome(OutcomeKind.COMPLETED, "unimplemented")),
        ("brand_new", "why", Outcome(OutcomeKind.UNKNOWN, "brand_new")),
        (UNSET, "why", Outcome(OutcomeKind.UNKNOWN, "why")),
        (None, UNSET, Outcome(OutcomeKind.UNKNOWN)),
    ],
)
def test_outcome(status: Any, details: Any, outcome: Outcome) -> None:
    # P-160 to P-164.
    assert outcome_of(resource("r", status=status, status_details=details)) == outcome


@pytest.mark.parametrize(
    ("details", "answer"),
    [
        (StatusDetails(reason="client_cancelled"), True),
        (StatusDetails(reason="turn_detected"), False),
        ("client_cancelled", False),
        (None, False),
    ],
)
def test_end_that_answers_a_cancel(details: Any, answer: bool) -> None:
    # P-16.
    assert cancelled_by_client(resource("r", status="cancelled", status_details=details)) is answer


@pytest.mark.parametrize(
    ("audio", "size"),
    [
        (None, None),
        (UNSET, None),
        ({}, None),
        ({"output": None}, None),
        ({"output": {"voice": "cedar"}}, None),
        ({"output": {"format": "pcm16"}}, None),
        ({"output": {"format": {"type": "audio/pcm", "rate": 24000}}}, 48),
        ({"output": {"format": {"type": "audio/pcmu"}}}, 8),
        ({"output": {"format": {"type": "audio/pcma"}}}, 8),
    ],
)
def test_bytes_of_a_millisecond(audio: Any, size: int | None) -> None:
    # P-240.
    assert bytes_per_ms(audio) == size
