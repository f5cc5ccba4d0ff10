"""Asking, and which answer belongs to which request.

Every client event that the server answers is a `Request` until its answer, an `error`, its
deadline or the end of the connection: exactly one of these answers it (I3). Success is recognised
by kind and, for items, by item id; errors by the `event_id` that the server echoes. Servers do not
always echo it (P-85), so there is a fallback by error code and param, which answers a request only
when the evidence leaves no other candidate.

While there is no socket, what is asked waits in `held`, and no deadline runs.
"""

from enum import StrEnum
from typing import Any

import msgspec

from antiphon.exceptions import LocalProtocolError, RealtimeError, RequestTimeout
from antiphon.protocol.deadlines import Deadline, Deadlines
from antiphon.protocol.effects import Answered, Effects, Refused, Send
from antiphon.protocol.errors import NOTHING_TO_CANCEL, error_code, says_busy
from antiphon.protocol.held import Held
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.response import Lane, Response
from antiphon.wire.client_events import ClientEvent
from antiphon.wire.items import ErrorInfo

__all__ = ["Request", "RequestKind", "Requests"]


class RequestKind(StrEnum):
    SESSION_UPDATE = "session.update"
    ITEM_CREATE = "conversation.item.create"
    ITEM_RETRIEVE = "conversation.item.retrieve"
    ITEM_TRUNCATE = "conversation.item.truncate"
    ITEM_DELETE = "conversation.item.delete"
    COMMIT = "input_audio_buffer.commit"
    CLEAR = "input_audio_buffer.clear"
    RESPONSE_CREATE = "response.create"
    RESPONSE_CANCEL = "response.cancel"
    OUTPUT_CLEAR = "output_audio_buffer.clear"


# With the event_id missing, the code tells what kind of request an error answers...
_KIND_BY_CODE = {
    NOTHING_TO_CANCEL: RequestKind.RESPONSE_CANCEL,
    "output_audio_buffer_clear_no_active_response": RequestKind.OUTPUT_CLEAR,  # P-415
    "input_audio_buffer_commit_empty": RequestKind.COMMIT,
    "item_truncate_invalid_item_id": RequestKind.ITEM_TRUNCATE,
    "unsupported_content_type": RequestKind.ITEM_TRUNCATE,
    "item_delete_invalid_item_id": RequestKind.ITEM_DELETE,
    "item_retrieve_invalid_item_id": RequestKind.ITEM_RETRIEVE,
    "invalid_tool_call_id": RequestKind.ITEM_CREATE,
    "cannot_update_voice": RequestKind.SESSION_UPDATE,
}
# ... or else the parameter that it objects to.
_KIND_BY_PARAM = {
    "session": RequestKind.SESSION_UPDATE,
    "item": RequestKind.ITEM_CREATE,
    "previous_item_id": RequestKind.ITEM_CREATE,
    "response": RequestKind.RESPONSE_CREATE,
    "audio_end_ms": RequestKind.ITEM_TRUNCATE,
    "content_index": RequestKind.ITEM_TRUNCATE,
}


# What is asked of the next connection, should this one be lost before it is answered.
_SENT_AGAIN = frozenset(
    {
        RequestKind.SESSION_UPDATE,
        RequestKind.ITEM_CREATE,
        RequestKind.ITEM_RETRIEVE,
        RequestKind.ITEM_DELETE,
        RequestKind.COMMIT,
    }
)


# What they bring about is told by other events; their own answer, an error, need never come.
_ANSWERED_BY_EVENTS = frozenset({RequestKind.RESPONSE_CANCEL, RequestKind.OUTPUT_CLEAR})


class Request(msgspec.Struct, eq=False):
    """One client event that awaits its answer. `owner` belongs to the shell.

    Attributes:
        event_id: by which an error names it.
        kind: the type of the event.
        subject: the item that it is about.
        response: the response that it creates or cancels.
        payload: what it takes to make sense of the answer; depends on the kind.
        event: set where it can be sent again, should the connection be lost before the answer.
        deadline: when the answer is too late.
    """

    event_id: str
    kind: RequestKind
    subject: str | None = None
    response: Response | None = None
    payload: Any = None
    event: ClientEvent | None = None
    deadline: Deadline | None = None
    owner: Any = None

    def __repr__(self) -> str:
        return f"<Request {self.kind} {self.event_id}>"


class Requests:
    """The requests under way.

    Args:
        prefix: begins every event id made here; unique to this connection.
        deadlines: the connection's.
        timeout: how long the server may take to answer, in seconds.

    Attributes:
        online: whether there is a socket.
        lost: whether the connection is gone for good.
        held: what waits for a socket; empty while online.
    """

    __slots__ = (
        "_by_event_id",
        "_by_kind",
        "_deadlines",
        "_event_number",
        "_prefix",
        "_timeout",
        "held",
        "lost",
        "online",
    )

    def __init__(self, prefix: str, deadlines: Deadlines, timeout: float) -> None:
        self._prefix = prefix
        self._deadlines = deadlines
        self._timeout = timeout
        self._event_number = 0
        # Invariant: the same requests stand in both, in the order in which they were sent.
        self._by_event_id: dict[str, Request] = {}
        self._by_kind: dict[RequestKind, dict[str, Request]] = {kind: {} for kind in RequestKind}
        self.online = True
        self.lost = False
        self.held = Held()

    def __len__(self) -> int:
        return len(self._by_event_id)

    def next_event_id(self) -> str:
        self._event_number += 1
        return f"{self._prefix}-{self._event_number}"

    # --- asking ---------------------------------------------------------------------------------

    def ask(self, event: ClientEvent, request: Request, now: float, effects: Effects) -> Request:
        """Send it, now or once there is a socket.

        Raises:
            LocalProtocolError: the connection is gone.
        """
        self.check_not_lost()
        if request.kind in _SENT_AGAIN:
            request.event = event
        self.add(request)
        if self.online:
            self.expect(request, now)
            effects.append(Send(event))
        else:
            self.held.add(event)
        return request

    def check_not_lost(self) -> None:
        if self.lost:
            raise LocalProtocolError("the connection is gone")

    def expect(self, request: Request, now: float) -> None:
        """It has been sent: its deadline runs from now on."""
        request.deadline = self._deadlines.add(now + self._timeout, self.expire, request)

    def answer(self, request: Request | None, result: Any, effects: Effects) -> None:
        """The server did it; None where nobody here asked for what it did."""
        if request is not None:
            self.close(request)
            effects.append(Answered(request, result))

    def refuse(self, request: Request, error: RealtimeError, effects: Effects) -> None:
        self.close(request)
        effects.append(Refused(request, error))

    def close(self, request: Request) -> None:
        """No answer is awaited any more."""
        self._deadlines.discard(request.deadline)
        self.remove(request)

    def expire(self, request: Request, now: float, effects: Effects) -> None:
        """Its deadline has come."""
        self.remove(request)
        if request.kind not in _ANSWERED_BY_EVENTS:
            error = RequestTimeout(
                f"the server did not answer {request.kind} within {self._timeout:g} s"
            )
            effects.append(Refused(request, error))

    # --- which one ------------------------------------------------------------------------------

    def add(self, request: Request) -> None:
        self._by_event_id[request.event_id] = request
        self._by_kind[request.kind][request.event_id] = request

    def remove(self, request: Request | None) -> None:
        """Forget it; None and one that is not here are fine."""
        if request is None:
            return
        self._by_event_id.pop(request.event_id, None)
        self._by_kind[request.kind].pop(request.event_id, None)

    def get(self, event_id: str | None) -> Request | None:
        return self._by_event_id.get(event_id) if event_id else None

    def find(self, kind: RequestKind, subject: str | None = None) -> Request | None:
        """The oldest request of this kind, about this item if one is named."""
        for request in self._by_kind[kind].values():
            if request.subject == subject:
                return request
        return None

    def find_deletion(self, item_id: str | None) -> Request | None:
        """The request to delete this item.

        P-313: one server leaves the id empty. It answers in order, so it means the oldest.
        """
        if item_id is not None:
            return self.find(RequestKind.ITEM_DELETE, item_id)
        return next(iter(self._by_kind[RequestKind.ITEM_DELETE].values()), None)

    def all(self) -> list[Request]:
        """All that is not answered yet, in the order in which it was sent."""
        return list(self._by_event_id.values())

    def pending(self, kind: RequestKind) -> list[Request]:
        """The requests of this kind, in the order in which they were sent."""
        return list(self._by_kind[kind].values())

    def match_error(self, error: ErrorInfo, outer_event_id: str | None = None) -> Request | None:
        """The request that this error answers, or None when that cannot be known."""
        if error.event_id:
            return self._by_event_id.get(error.event_id)
        if outer_event_id in self._by_event_id:
            # P-305: LocalAI puts the echo there.
            return self._by_event_id[outer_event_id]
        if says_busy(error):
            return self._refused_as_busy()
        kind = _KIND_BY_CODE.get(error_code(error) or "")
        if kind is None and error.param:
            kind = _KIND_BY_PARAM.get(error.param.partition(".")[0])
        if kind is RequestKind.RESPONSE_CANCEL:
            return self._crossed_cancel()
        if kind is not None:
            # The server reads requests in order and answers each before the next, so among
            # requests of one kind the error is for the oldest.
            return next(iter(self._by_kind[kind].values()), None)
        # Nothing but a lone candidate is evidence enough, and not even that where the error is
        # about a parameter that no request has, or is no fault of a request's.
        blames_a_request = not error.param and (error.type or "") in ("", "invalid_request_error")
        if blames_a_request and len(self._by_event_id) == 1:
            return next(iter(self._by_event_id.values()))
        return None

    def _refused_as_busy(self) -> Request | None:
        """The oldest create for the default conversation; only that can be busy (P-30), except
        on servers with one slot in all (P-306)."""
        creates = self.pending(RequestKind.RESPONSE_CREATE)
        for request in creates:
            if request.response is not None and request.response.lane is Lane.DEFAULT:
                return request
        return creates[0] if creates else None

    def _crossed_cancel(self) -> Request | None:
        """Whose cancel found nothing: one whose response is over, else the only one there is."""
        cancels = self._by_kind[RequestKind.RESPONSE_CANCEL]
        for request in cancels.values():
            if request.response is not None and request.response.state is ResponseState.CLOSED:
                return request
        return next(iter(cancels.values())) if len(cancels) == 1 else None
