"""One response as the core keeps it, and how it ended. Plain data: `lifecycle.py` has the rules."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.exceptions import LocalProtocolError, RemoteProtocolError
from antiphon.protocol.deadlines import Deadline
from antiphon.protocol.delivered import AudioPart
from antiphon.protocol.lifecycle import IN_FLIGHT, OCCUPIES, ResponseInput, ResponseState
from antiphon.protocol.playout import Playout
from antiphon.protocol.times import ResponseTimes
from antiphon.wire.client_events import ResponseCreateParams
from antiphon.wire.items import ErrorInfo, Item, ResponseResource
from antiphon.wire.server_events import OutputEvent

if TYPE_CHECKING:
    from antiphon.protocol.interruption import Interruption

__all__ = [
    "ON_DEADLINE",
    "UNSETTLED",
    "Cause",
    "Lane",
    "OnBusy",
    "Outcome",
    "OutcomeKind",
    "Response",
    "illegal",
]


class Lane(StrEnum):
    """Where a response writes."""

    DEFAULT = "default"
    OUT_OF_BAND = "out_of_band"


class OnBusy(StrEnum):
    """What a create for the default conversation does when that lane is taken."""

    QUEUE = "queue"
    REPLACE = "replace"
    REJECT = "reject"
    SEND = "send"


class Cause(StrEnum):
    """Why a reader's streams ended. Known at once, when the outcome may still be on its way."""

    FINISHED = "finished"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    STALLED = "stalled"
    SUPERSEDED = "superseded"
    LOST = "lost"


class OutcomeKind(StrEnum):
    """How a response ended, in one word: what a program branches on."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    REJECTED = "rejected"
    """The server refused the create, or the lane was busy and the caller would not wait."""
    TIMED_OUT = "timed_out"
    """The server did not name the response in time, or fell silent in the middle of it."""
    LOST = "lost"
    """The connection went while it was in flight."""
    UNKNOWN = "unknown"
    """Over on the server, which never said how."""
    UNSETTLED = "unsettled"
    """Cancelled, and the server said nothing within the deadline."""


class Outcome(msgspec.Struct, frozen=True):
    """How a response ended.

    Attributes:
        kind: the one word to branch on.
        reason: the server's reason (``turn_detected``, ``client_cancelled``,
            ``max_output_tokens``, ``content_filter``, …) or ours (``never_sent``,
            ``never_created``, ``unanswered``, ``unreadable``, ``not_active``, ``stalled``, …).
        error: the server's error, for ``failed`` and ``rejected``.
    """

    kind: OutcomeKind
    reason: str | None = None
    error: ErrorInfo | None = None

    def __str__(self) -> str:
        code = self.error.code if self.error is not None else None
        said = ", ".join(part for part in (self.reason, code or None) if part)
        return f"{self.kind} ({said})" if said else str(self.kind)


_S, _I = ResponseState, ResponseInput

UNSETTLED = Outcome(OutcomeKind.UNSETTLED)

# What its deadline means to a response, where it does not go on in its favour: the input that it
# fires, the cause if that ends the streams, and the outcome if that settles it.
ON_DEADLINE: dict[ResponseState, tuple[ResponseInput, Cause | None, Outcome]] = {
    _S.QUEUED: (
        _I.CREATE_TIMEOUT,
        Cause.TIMED_OUT,
        Outcome(OutcomeKind.TIMED_OUT, "never_sent"),
    ),
    _S.REQUESTED: (_I.CREATE_TIMEOUT, Cause.TIMED_OUT, UNSETTLED),
    _S.ACTIVE: (_I.STALLED, Cause.STALLED, UNSETTLED),
    _S.CANCEL_DEFERRED: (_I.SETTLE_TIMEOUT, None, UNSETTLED),
    _S.CANCELLING: (_I.SETTLE_TIMEOUT, None, UNSETTLED),
    _S.REVOKING: (_I.SETTLE_TIMEOUT, None, UNSETTLED),
}


class Response:
    """One response as the client knows it. Plain data; the parts of a `Connection` change it, each
    the fields that its rules are about.

    `owner` belongs to the shell, which hangs its handle there; the core never looks at it.
    """

    __slots__ = (
        "asked_at",
        "attempts",
        "audio_part",
        "bytes_per_ms",
        "cancel_event_id",
        "cancel_sent_at",
        "cause",
        "create_event_id",
        "created_at",
        "deadline",
        "doubt",
        "doubted_at",
        "expires",
        "first_audio_at",
        "first_heard_at",
        "first_text_at",
        "from_server",
        "handed_calls",
        "held_calls",
        "id",
        "inspected",
        "item_ids",
        "interruptible",
        "kept",
        "key",
        "lane",
        "last_heard",
        "metadata",
        "named",
        "not_before",
        "number",
        "on_busy",
        "outcome",
        "owner",
        "params",
        "playout",
        "purpose",
        "resource",
        "sent_at",
        "settled_at",
        "state",
        "unseen",
        "wanted",
        "watchers",
    )

    def __init__(
        self,
        number: int,
        *,
        lane: Lane,
        params: ResponseCreateParams | None = None,
        key: str | None = None,
        purpose: str | None = None,
        interruptible: bool = True,
        on_busy: OnBusy = OnBusy.QUEUE,
        asked_at: float | None = None,
        expires: float | None = None,
    ) -> None:
        self.number = number
        self.lane = lane
        # What to send; None once it is over, and for a response of the server's own making.
        self.params = params
        self.from_server = params is None
        self.key = key
        self.purpose = purpose
        self.interruptible = interruptible
        self.on_busy = on_busy
        self.expires = expires
        self.state = ResponseState.IDLE
        # Whether nothing but its playback was seen of it, on a call joined in the middle (P-377):
        # its generation may be over.
        self.unseen = False
        self.id: str | None = None
        # False for what the server made for a create of ours that nobody waits for any more.
        self.wanted = True
        # Whether the server announced it. With its id, except on some servers (P-311).
        self.named = False
        self.create_event_id: str | None = None
        self.cancel_event_id: str | None = None
        self.metadata: dict[str, str] = {}
        self.cause: Cause | None = None
        # Invariant: outcome is set by SETTLE, once, and never changes (I6).
        self.outcome: Outcome | None = None
        self.resource: ResponseResource | None = None
        # Output that came before `response.created`; empty in every state but IDLE.
        self.kept: list[OutputEvent] = []
        # Calls whose item did not say whether it was complete; `response.done` decides (I8).
        self.held_calls: list[Item] = []
        self.handed_calls: set[str] = set()
        self.item_ids: list[str] = []
        self.watchers: list[Interruption] = []
        self.attempts = 0
        self.not_before = 0.0
        self.last_heard = 0.0
        self.deadline: Deadline | None = None
        # An error that may have been the end of it, and when that came (P-305).
        self.doubt: ErrorInfo | None = None
        self.doubted_at = 0.0
        self.bytes_per_ms: int | None = None
        # Where the latest audio was counted; there is one at a time in all but odd cases.
        self.audio_part: AudioPart | None = None
        # What is heard of it, where anybody can know: on a call, or with a player of ours.
        self.playout: Playout | None = None
        # Whether its output is looked at: until its first words, and on a call to the end.
        self.inspected = True
        self.asked_at = asked_at
        self.sent_at: float | None = None
        self.created_at: float | None = None
        self.first_text_at: float | None = None
        self.first_audio_at: float | None = None
        self.first_heard_at: float | None = None
        self.cancel_sent_at: float | None = None
        self.settled_at: float | None = None
        self.owner: Any = None

    @property
    def times(self) -> ResponseTimes:
        """When what happened to it, as far as it has."""
        return ResponseTimes(
            asked=self.asked_at,
            sent=self.sent_at,
            created=self.created_at,
            first_text=self.first_text_at,
            first_audio=self.first_audio_at,
            first_heard=self.first_heard_at,
            cancel_sent=self.cancel_sent_at,
            settled=self.settled_at,
        )

    @property
    def in_flight(self) -> bool:
        """Whether it may still produce output, or is asked for and may yet come into being."""
        return self.state in IN_FLIGHT

    @property
    def audible(self) -> bool:
        """Whether something of it is heard, or will be, as far as anybody can know."""
        return self.playout is not None and self.playout.audible

    @property
    def occupies(self) -> bool:
        """Whether the server is, as far as the client knows, busy with it."""
        return self.state in OCCUPIES and not self.unseen

    @property
    def is_unannounced(self) -> bool:
        """Whether only its output, so far, has shown that there is such a response."""
        return self.from_server and self.wanted and not self.named and self.outcome is None

    def __repr__(self) -> str:
        name = self.id or self.key or f"#{self.number}"
        return f"<Response {name} {self.lane} {self.state}>"


def illegal(response: Response, fired: ResponseInput) -> LocalProtocolError | RemoteProtocolError:
    """The error for an empty cell of the table."""
    what = f"{fired} is not allowed while the response is {response.state}"
    if fired in (_I.SEND_CREATE, _I.HOLD_CREATE, _I.SEND_CANCEL):
        return LocalProtocolError(what)
    return RemoteProtocolError(what, response_id=response.id)
