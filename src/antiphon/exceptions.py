"""What can go wrong with a session, in one tree; all of it is a `RealtimeError`.

Beside it stand `ToolError`, which a function of yours raises, the emulator's `ScriptNotConsumed`
and its errors of virtual time, and `ValueError` where a setting of the emulator or an option of the
LiveKit plugin is wrong.

    RealtimeError
    ├── ProtocolError
    │   ├── LocalProtocolError      you asked for what this state forbids
    │   └── RemoteProtocolError     the server broke its protocol
    ├── ConnectError                never got a session (auth, DNS, handshake, timeout)
    │   └── CallNotFound            ... since there is no such call
    ├── ConnectionClosed            .code .reason .by
    │   ├── ConnectionClosedOK      closed on purpose, by either side
    │   └── ConnectionClosedError   lost
    ├── RequestError                the server answered `error`: .code .type .param .event_id
    │   └── ResponseRejected        ... to a response.create
    ├── RequestTimeout              no answer in time; also a TimeoutError
    ├── ResponseFailed              status failed: .outcome
    ├── StreamOverflow              a reader fell too far behind; also a BufferError
    ├── ConcurrencyError            two readers on one stream
    └── MissingDependency           an optional package is needed; also an ImportError

Cancellation is not in the tree: it is an outcome, not an error.
Codes are there to be compared; messages are for people only.
"""

__all__ = [
    "FATAL_CODES",
    "CallNotFound",
    "ConcurrencyError",
    "ConnectError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "LocalProtocolError",
    "MissingDependency",
    "ProtocolError",
    "RealtimeError",
    "RemoteProtocolError",
    "RequestError",
    "RequestTimeout",
    "ResponseFailed",
    "ResponseRejected",
    "StreamOverflow",
]

FATAL_CODES = frozenset(
    {
        "account_deactivated",
        "beta_api_shape_disabled",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_intent",
        "missing_model",
    }
)
"""Codes of a server's `error` after which trying again with the same key and address cannot help
(P-92, P-264 to P-266). A session that was told one is not reconnected when it is lost."""


class RealtimeError(Exception):
    """Base of what goes wrong with a session; what else antiphon raises is named above."""


class ProtocolError(RealtimeError):
    """A side did what the protocol forbids."""


class LocalProtocolError(ProtocolError):
    """You asked for something that the present state, or the protocol, does not allow.

    Nothing was sent; the session is as it was.
    """


class RemoteProtocolError(ProtocolError):
    """The server sent something that its protocol does not allow.

    Args:
        message: what was wrong, without the payload.
        response_id: the one response that it concerns, when it concerns only one.
    """

    def __init__(self, message: str, *, response_id: str | None = None) -> None:
        super().__init__(message)
        self.response_id = response_id


class ConnectError(RealtimeError):
    """No session came about: bad address, refused handshake, wrong key, or no answer in time.

    Args:
        message: what happened and what to do next.
        status: the HTTP status of a refused handshake, if that is what happened.
        code: the server's error code, if it sent one.
        retryable: whether the same attempt may succeed later.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable


class CallNotFound(ConnectError):
    """There is no such call: it is over, or its id is wrong, or it is not ready yet (P-384, P-385).

    Attributes:
        status: always 404.
    """


class ConnectionClosed(RealtimeError):
    """The connection is gone.

    Args:
        code: the WebSocket close code, or None when there was no close frame.
        reason: the close reason as the closing side gave it.
        by: which side ended it: ``"client"``, ``"server"`` or ``"network"``; ``"call"`` where the
            call is over that the session was joined to.
    """

    def __init__(self, code: int | None, reason: str, by: str) -> None:
        said = f" ({reason})" if reason else ""
        shown = "without a close frame" if code is None else f"with code {code}"
        super().__init__(f"connection closed by {by} {shown}{said}")
        self.code = code
        self.reason = reason
        self.by = by


class ConnectionClosedOK(ConnectionClosed):
    """The connection was closed on purpose."""


class ConnectionClosedError(ConnectionClosed):
    """The connection was lost, or the server ended it for an error."""


class RequestError(RealtimeError):
    """The server answered a request with an ``error`` event.

    Args:
        message: the server's sentence, for people.
        type: the server's error type, such as ``invalid_request_error``.
        code: the server's error code, to compare with; None when it gave none.
        param: the parameter that it objects to, if it named one.
        event_id: the client event that it answers, if known.
    """

    def __init__(
        self,
        message: str,
        *,
        type: str | None = None,
        code: str | None = None,
        param: str | None = None,
        event_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.type = type
        self.code = code
        self.param = param
        self.event_id = event_id


class ResponseRejected(RequestError):
    """A ``response.create`` was refused, by the server or, with ``on_busy="reject"``, here."""


class RequestTimeout(RealtimeError, TimeoutError):
    """The server did not answer in time. It may still act on the request."""


class ResponseFailed(RealtimeError):
    """A response ended with status ``failed``.

    Args:
        outcome: how it ended; ``outcome.error`` holds the server's code and message.
    """

    def __init__(self, outcome: object) -> None:
        error = getattr(outcome, "error", None)
        said = getattr(error, "message", None)
        super().__init__(f"the response ended as {outcome}" + (f": {said}" if said else ""))
        self.outcome = outcome


class StreamOverflow(RealtimeError, BufferError):
    """A reader fell further behind than its stream may hold. The response itself went on."""


class ConcurrencyError(RealtimeError):
    """Two tasks read the same stream at the same time."""


class MissingDependency(RealtimeError, ImportError):
    """An optional package is needed for this call; the message says which extra to install."""
