"""What the core asks its shell to do.

Every input to `Connection` returns a list of these. The shell carries them out synchronously and
in order, with no `await` in between, so that the state and what follows from it change together.
"""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.exceptions import RealtimeError
from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import ClientEvent
from antiphon.wire.items import ErrorInfo, Item
from antiphon.wire.server_events import OutputEvent

if TYPE_CHECKING:
    from antiphon.protocol.input_audio import Turn
    from antiphon.protocol.interruption import Interruption
    from antiphon.protocol.requests import Request
    from antiphon.protocol.response import Response

__all__ = [
    "Answered",
    "CallReady",
    "Effect",
    "Effects",
    "Ended",
    "Fatal",
    "Interrupted",
    "Opened",
    "Output",
    "PlaybackEnded",
    "Refused",
    "Report",
    "ReportKind",
    "Send",
    "Settled",
    "Silence",
    "TurnChanged",
]


class Send(msgspec.Struct):
    """Put this event on the wire, after everything sent before it."""

    event: ClientEvent | UnknownEvent


class Output(msgspec.Struct):
    """Give this event to the readers of this response."""

    response: "Response"
    event: OutputEvent


class Opened(msgspec.Struct):
    """The server named the response; `response.id` is set."""

    response: "Response"


class CallReady(msgspec.Struct):
    """A completed function call of a live response: it may be run (I8)."""

    response: "Response"
    item: Item


class Ended(msgspec.Struct):
    """End the readers' streams of this response; `response.cause` says why."""

    response: "Response"


class Settled(msgspec.Struct):
    """`response.outcome` is final."""

    response: "Response"


class Silence(msgspec.Struct):
    """Drop what is still to be heard of this response, here and now, and say how much was."""

    response: "Response"


class PlaybackEnded(msgspec.Struct):
    """Nothing more is heard of this response; `response.playout` says what became of it."""

    response: "Response"


class Interrupted(msgspec.Struct):
    """All that this interruption asked about is known; its receipt is final."""

    interruption: "Interruption"


class Answered(msgspec.Struct):
    """The server did what the request asked; `result` depends on the request's kind."""

    request: "Request"
    result: Any


class Refused(msgspec.Struct):
    """The request failed: an `error` event, no answer in time, or a lost connection."""

    request: "Request"
    error: RealtimeError


class TurnChanged(msgspec.Struct):
    """A user turn began, ended, was committed or transcribed."""

    turn: "Turn"


class ReportKind(StrEnum):
    """What went wrong without ending anything but, at most, one response."""

    MALFORMED = "malformed"
    """A frame that could not be read."""
    VIOLATION = "violation"
    """An event that the state of its response forbids."""
    UNROUTED = "unrouted"
    """Output that belongs to no response known here."""
    ERROR = "error"
    """An `error` event that answers nothing that was asked, or a refusal that nobody awaits."""
    ABSORBED = "absorbed"
    """The expected error of a cancel that crossed the natural end of its response."""
    UNSENT = "unsent"
    """Items that a reconnect could not replay."""


class Report(msgspec.Struct):
    """Count this, and tell whoever listens. Never fatal, never payload."""

    kind: ReportKind
    detail: str
    response_id: str | None = None
    error: ErrorInfo | None = None


class Fatal(msgspec.Struct):
    """The server said that no session is to be had with these credentials: do not reconnect."""

    error: ErrorInfo


Effect = (
    Send
    | Output
    | Opened
    | CallReady
    | Ended
    | Settled
    | Silence
    | PlaybackEnded
    | Interrupted
    | Answered
    | Refused
    | TurnChanged
    | Report
    | Fatal
)
Effects = list[Effect]
