"""Lifecycle of one response: the table of its states.

Every rule about when a response may be created, cancelled, fed or finished is a row of
TRANSITIONS. Other responses, time and sockets are unknown here: `Machine` fires the inputs and
carries out the actions, in the order in which a row names them.

How a response ended is data (`Outcome`, in `response.py`), not a state.

Two moments end a response, and they must not be confused:

* **END**: the reader hears no more. This happens the instant a cancellation is asked.
* **SETTLE**: it is known what became of the response on the server. This takes a round trip,
  or a deadline when the server stays silent.
"""

from enum import StrEnum
from functools import cache

__all__ = [
    "IN_FLIGHT",
    "OCCUPIES",
    "TOLERANCES",
    "TRANSITIONS",
    "WANTED",
    "Action",
    "ResponseInput",
    "ResponseState",
    "Row",
    "Table",
    "Tolerance",
    "output_column",
    "table_for",
]


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

# What `interrupt()` has to stop.
IN_FLIGHT = frozenset({_S.QUEUED, _S.REQUESTED, _S.ACTIVE})
# A response in one of these is wanted, so output that was cancelled already cannot be its.
WANTED = frozenset({_S.QUEUED, _S.REQUESTED})
# What holds its lane. ABANDONED does not: its deadline has passed; it could hold it for ever.
OCCUPIES = frozenset({_S.REQUESTED, _S.CANCEL_DEFERRED, _S.ACTIVE, _S.CANCELLING, _S.REVOKING})


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
