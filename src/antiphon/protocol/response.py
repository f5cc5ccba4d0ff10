"""Lifecycle of one response.

Every rule about when a response may be created, cancelled, fed or finished is a row of
TRANSITIONS. Other responses, time and sockets are unknown here: `Machine` fires the inputs and
carries out the actions, in the order in which a row names them.

How a response ended is data (`Outcome`), not a state.

Two moments end a response, and they must not be confused:

* **END**: the reader hears no more. This happens the instant a cancellation is asked.
* **SETTLE**: it is known what became of the response on the server. This takes a round trip,
  or a deadline when the server stays silent.
"""

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

from antiphon.exceptions import LocalProtocolError, RemoteProtocolError
from antiphon.protocol.deadlines import Deadline
from antiphon.protocol.playback import AudioPart
from antiphon.protocol.playout import Playout
from antiphon.protocol.times import ResponseTimes
from antiphon.wire.client_events import ResponseCreateParams
from antiphon.wire.items import ErrorInfo, Item, ResponseResource
from antiphon.wire.server_events import OutputEvent

if TYPE_CHECKING:
    from antiphon.protocol.interruption import Interruption

__all__ = [
    "OCCUPIES",
    "ON_DEADLINE",
    "UNSETTLED",
    "TOLERANCES",
    "TRANSITIONS",
    "WANTED",
    "Action",
    "Cause",
    "Lane",
    "OnBusy",
    "Outcome",
    "OutcomeKind",
    "Response",
    "ResponseInput",
    "ResponseState",
    "Row",
    "Table",
    "Tolerance",
    "illegal",
    "output_column",
    "table_for",
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


class ResponseState(StrEnum):
    IDLE = "idle"
    """Nothing sent and nothing received."""
    QUEUED = "queued"
    """Admission holds the create; nothing was sent."""
    REQUESTED = "requested"
    """The create was sent; the server has not named the response."""
    CANCEL_DEFERRED = "cancel_deferred"
    """Cancelled before the server named it; the cancel waits for the id."""
    ABANDONED = "abandoned"
    """As CANCEL_DEFERRED, but the caller has been told that the server never answered."""
    ACTIVE = "active"
    """The server named it and its output is delivered."""
    CANCELLING = "cancelling"
    """Over for the reader, still the server's on the wire."""
    REVOKING = "revoking"
    """As CANCELLING, for a response named only after it had been given up."""
    CLOSED = "closed"
    """Over on both sides; remembered for a while, so that stragglers are recognised."""


class ResponseInput(StrEnum):
    SEND_CREATE = "send_create"
    HOLD_CREATE = "hold_create"
    SEND_CANCEL = "send_cancel"
    RECV_CREATED = "recv_created"
    RECV_OUTPUT = "recv_output"
    RECV_DONE = "recv_done"
    CREATE_ERROR = "create_error"
    CREATE_BUSY = "create_busy"
    CREATE_TIMEOUT = "create_timeout"
    CANCEL_ERROR = "cancel_error"
    SETTLE_TIMEOUT = "settle_timeout"
    STALLED = "stalled"
    SUPERSEDED = "superseded"
    LOST = "lost"
    DISOWN = "disown"


class Action(StrEnum):
    SEND_CREATE = "send create"
    OPEN = "open"
    KEEP = "keep"
    DELIVER = "deliver"
    DISCARD = "discard"
    SEND_CANCEL = "send cancel(id)"
    END = "end stream"
    SETTLE = "settle"


Row = tuple[tuple[Action, ...], ResponseState]
Table = dict[ResponseState, dict[ResponseInput, Row]]

_S, _I, _A = ResponseState, ResponseInput, Action

# An empty cell: a SEND_* raises LocalProtocolError; anything else is a violation that is reported
# for this response only. The session and the other responses live on.
TRANSITIONS: Table = {
    # State: IDLE. RECV_CREATED here is a response of the server's own making (server VAD), which
    # carries `metadata: null` and is as much ours to read and to cancel as any other.
    _S.IDLE: {
        _I.SEND_CREATE: ((_A.SEND_CREATE,), _S.REQUESTED),
        _I.HOLD_CREATE: ((), _S.QUEUED),
        _I.RECV_CREATED: ((_A.OPEN,), _S.ACTIVE),
        # Made for a create of ours that nobody waits for any more: never shown to anybody.
        _I.DISOWN: ((), _S.ABANDONED),
    },
    # State: QUEUED. The server knows nothing of it, so nothing need be undone. Unless it was sent
    # once, and the refusal that brought it back here was another's: not every error says which
    # request it answers (P-85).
    _S.QUEUED: {
        _I.RECV_CREATED: ((_A.OPEN,), _S.ACTIVE),
        _I.SEND_CREATE: ((_A.SEND_CREATE,), _S.REQUESTED),
        _I.SEND_CANCEL: ((_A.END, _A.SETTLE), _S.CLOSED),
        _I.CREATE_TIMEOUT: ((_A.END, _A.SETTLE), _S.CLOSED),
        _I.LOST: ((_A.END, _A.SETTLE), _S.CLOSED),
    },
    # State: REQUESTED. A cancel cannot be sent yet: a bare `response.cancel` would find nothing to
    # cancel, or find another response, and this one would be created later all the same (P-12,
    # P-15). It waits for the id.
    _S.REQUESTED: {
        _I.RECV_CREATED: ((_A.OPEN,), _S.ACTIVE),
        _I.SEND_CANCEL: ((_A.END,), _S.CANCEL_DEFERRED),
        _I.CREATE_ERROR: ((_A.END, _A.SETTLE), _S.CLOSED),
        _I.CREATE_BUSY: ((), _S.QUEUED),
        _I.CREATE_TIMEOUT: ((_A.END,), _S.CANCEL_DEFERRED),
        _I.LOST: ((_A.END, _A.SETTLE), _S.CLOSED),
    },
    # State: CANCEL_DEFERRED. Never surfaces to a reader (I5).
    _S.CANCEL_DEFERRED: {
        _I.RECV_CREATED: ((_A.SEND_CANCEL,), _S.CANCELLING),
        _I.SEND_CANCEL: ((), _S.CANCEL_DEFERRED),
        _I.CREATE_ERROR: ((_A.SETTLE,), _S.CLOSED),
        _I.CREATE_BUSY: ((_A.SETTLE,), _S.CLOSED),
        _I.SETTLE_TIMEOUT: ((_A.SETTLE,), _S.ABANDONED),
        _I.LOST: ((_A.SETTLE,), _S.CLOSED),
    },
    # State: ABANDONED. Settled for the caller, but should the server name it after all it is
    # cancelled by id, not played to somebody who stopped waiting for it.
    _S.ABANDONED: {
        _I.RECV_CREATED: ((_A.SEND_CANCEL,), _S.REVOKING),
        _I.SEND_CANCEL: ((), _S.ABANDONED),
    },
    # State: ACTIVE.
    _S.ACTIVE: {
        _I.RECV_OUTPUT: ((_A.DELIVER,), _S.ACTIVE),
        _I.RECV_DONE: ((_A.END, _A.SETTLE), _S.CLOSED),
        # Cancel by id, always. A bare response.cancel stops whatever the server is running when it
        # reads it, which may no longer be the response that was meant.
        # The server is told first, since it takes longest to hear.
        _I.SEND_CANCEL: ((_A.SEND_CANCEL, _A.END), _S.CANCELLING),
        _I.STALLED: ((_A.SEND_CANCEL, _A.END), _S.CANCELLING),
        _I.LOST: ((_A.END, _A.SETTLE), _S.CLOSED),
    },
    # State: CANCELLING. Stragglers of a cancelled response precede its `response.done` (P-64);
    # they are discarded by id. The cancel may also cross the natural `response.done`, and then the
    # server answers it with an error after the done (P-14): the response is CLOSED by then.
    _S.CANCELLING: {
        _I.RECV_OUTPUT: ((_A.DISCARD,), _S.CANCELLING),
        _I.RECV_DONE: ((_A.SETTLE,), _S.CLOSED),
        _I.SEND_CANCEL: ((), _S.CANCELLING),
        _I.CANCEL_ERROR: ((_A.SETTLE,), _S.CLOSED),
        _I.SETTLE_TIMEOUT: ((_A.SETTLE,), _S.CLOSED),
        _I.LOST: ((_A.SETTLE,), _S.CLOSED),
    },
    # State: REVOKING.
    _S.REVOKING: {
        _I.RECV_OUTPUT: ((_A.DISCARD,), _S.REVOKING),
        _I.RECV_DONE: ((), _S.CLOSED),
        _I.SEND_CANCEL: ((), _S.REVOKING),
        _I.CANCEL_ERROR: ((), _S.CLOSED),
        _I.SETTLE_TIMEOUT: ((), _S.CLOSED),
    },
    # State: CLOSED. Late frames are expected here and mean nothing any more.
    _S.CLOSED: {
        _I.RECV_OUTPUT: ((_A.DISCARD,), _S.CLOSED),
        _I.RECV_DONE: ((), _S.CLOSED),
        _I.SEND_CANCEL: ((), _S.CLOSED),
        _I.CANCEL_ERROR: ((), _S.CLOSED),
    },
}


class Tolerance(StrEnum):
    """Ways in which a server may leave the order that it documents, and be forgiven."""

    OUTPUT_BEFORE_CREATED = "output_before_created"
    """Output of an unknown response is kept, bounded, until the server names the response."""
    DONE_WITHOUT_CREATED = "done_without_created"
    """A terminal `response.done` names the response, as some refused and interrupted ones do."""
    SUPERSEDES = "supersedes"
    """A new response of the default conversation ends the old one, which never gets its `done`."""


TOLERANCES: dict[Tolerance, Table] = {
    Tolerance.OUTPUT_BEFORE_CREATED: {
        _S.IDLE: {
            _I.RECV_OUTPUT: ((_A.KEEP,), _S.IDLE),
            _I.SEND_CANCEL: ((_A.SEND_CANCEL,), _S.REVOKING),
        },
        _S.REVOKING: {_I.RECV_CREATED: ((), _S.REVOKING)},
    },
    Tolerance.DONE_WITHOUT_CREATED: {
        _S.IDLE: {_I.RECV_DONE: ((_A.OPEN, _A.END, _A.SETTLE), _S.CLOSED)},
        _S.QUEUED: {_I.RECV_DONE: ((_A.OPEN, _A.END, _A.SETTLE), _S.CLOSED)},
        _S.REQUESTED: {_I.RECV_DONE: ((_A.OPEN, _A.END, _A.SETTLE), _S.CLOSED)},
        _S.CANCEL_DEFERRED: {_I.RECV_DONE: ((_A.SETTLE,), _S.CLOSED)},
        _S.ABANDONED: {_I.RECV_DONE: ((), _S.CLOSED)},
        _S.CLOSED: {_I.RECV_CREATED: ((), _S.CLOSED)},
    },
    Tolerance.SUPERSEDES: {
        _S.ACTIVE: {_I.SUPERSEDED: ((_A.END, _A.SETTLE), _S.CLOSED)},
        _S.CANCELLING: {_I.SUPERSEDED: ((_A.SETTLE,), _S.CLOSED)},
        _S.REVOKING: {_I.SUPERSEDED: ((), _S.CLOSED)},
    },
}


@cache
def table_for(tolerances: frozenset[Tolerance]) -> Table:
    """The strict table with the rows of these tolerances merged in; rows never overlap.

    All connections share it: not to be changed.
    """
    merged: Table = {state: dict(rows) for state, rows in TRANSITIONS.items()}
    for tolerance in sorted(tolerances):
        for state, rows in TOLERANCES[tolerance].items():
            merged[state].update(rows)
    return merged


@cache
def output_column(tolerances: frozenset[Tolerance]) -> dict[ResponseState, Action]:
    """The one column of the table that every delta goes through; shared, too."""
    return {
        state: rows[_I.RECV_OUTPUT][0][0]
        for state, rows in table_for(tolerances).items()
        if _I.RECV_OUTPUT in rows
    }


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
        return self.state in _IN_FLIGHT

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


# What `interrupt()` has to stop.
_IN_FLIGHT = frozenset({_S.QUEUED, _S.REQUESTED, _S.ACTIVE})
# A response in one of these is wanted, so output that was cancelled already cannot be its.
WANTED = frozenset({_S.QUEUED, _S.REQUESTED})
# What holds its lane. ABANDONED does not: its deadline has passed; it could hold it for ever.
OCCUPIES = frozenset({_S.REQUESTED, _S.CANCEL_DEFERRED, _S.ACTIVE, _S.CANCELLING, _S.REVOKING})


def illegal(response: Response, fired: ResponseInput) -> LocalProtocolError | RemoteProtocolError:
    """The error for an empty cell of the table."""
    what = f"{fired} is not allowed while the response is {response.state}"
    if fired in (_I.SEND_CREATE, _I.HOLD_CREATE, _I.SEND_CANCEL):
        return LocalProtocolError(what)
    return RemoteProtocolError(what, response_id=response.id)
