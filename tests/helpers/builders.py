"""Server events, built in one line each.

An id of None leaves the field out, as some servers do; everything else is what OpenAI sends.
"""

from collections.abc import Sequence
from typing import Any

from antiphon.wire.base import UNSET, Malformed, MalformedReason, Maybe
from antiphon.wire.items import (
    ContentPart,
    ErrorInfo,
    Item,
    ResponseResource,
    StatusDetails,
)
from antiphon.wire.server_events import (
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemTruncated,
    ErrorEvent,
    OutputAudioBufferCleared,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
)

__all__ = [
    "ACTIVE",
    "NOT_ACTIVE",
    "audio_delta",
    "call",
    "cleared",
    "conversation_item_added",
    "conversation_item_done",
    "created",
    "done",
    "error",
    "item_added",
    "item_done",
    "malformed",
    "message",
    "resource",
    "started",
    "stopped",
    "text_delta",
    "transcript_delta",
    "truncated",
]

ACTIVE = "conversation_already_has_active_response"
NOT_ACTIVE = "response_cancel_not_active"


def _maybe(value: str | None) -> Maybe[str]:
    return UNSET if value is None else value


def resource(
    id: str | None,
    *,
    lane: str | None = "default",
    metadata: dict[str, Any] | None = None,
    **fields: Any,
) -> ResponseResource:
    """`lane` is "default", "out_of_band" (P-37), or None where a server does not tell."""
    conversation: Maybe[str] = UNSET
    if lane is not None:
        conversation = None if lane == "out_of_band" else "conv_1"
    return ResponseResource(
        object="realtime.response",
        id=_maybe(id),
        conversation_id=conversation,
        metadata=metadata,
        **fields,
    )


def created(
    id: str | None, *, lane: str | None = "default", metadata: dict[str, Any] | None = None
) -> ResponseCreated:
    return ResponseCreated(
        response=resource(
            id, lane=lane, metadata=metadata, status="in_progress", status_details=None, output=[]
        )
    )


def done(
    id: str | None,
    status: str = "completed",
    reason: str | None = None,
    *,
    lane: str | None = "default",
    metadata: dict[str, Any] | None = None,
    output: Sequence[Item] = (),
    details: StatusDetails | str | None = None,
) -> ResponseDone:
    """`details` where they are not just the status and a reason (P-161 to P-164, P-294)."""
    if details is None and reason is not None:
        details = StatusDetails(type=status, reason=reason)
    return ResponseDone(
        response=resource(
            id,
            lane=lane,
            metadata=metadata,
            status=status,
            status_details=details,
            output=list(output),
        )
    )


def text_delta(id: str | None, text: str = "la") -> ResponseOutputTextDelta:
    return ResponseOutputTextDelta(
        response_id=_maybe(id), item_id=f"item_{id}", output_index=0, content_index=0, delta=text
    )


def audio_delta(
    id: str | None, ms: int = 100, *, item_id: str | None = None
) -> ResponseOutputAudioDelta:
    return ResponseOutputAudioDelta(
        response_id=_maybe(id),
        item_id=item_id or f"item_{id}",
        output_index=0,
        content_index=0,
        delta=bytes(48 * ms),
    )


def transcript_delta(id: str | None) -> ResponseOutputAudioTranscriptDelta:
    return ResponseOutputAudioTranscriptDelta(
        response_id=_maybe(id), item_id=f"item_{id}", output_index=0, content_index=0, delta="la"
    )


def started(id: str | None) -> OutputAudioBufferStarted:
    return OutputAudioBufferStarted(response_id=_maybe(id))


def stopped(id: str | None) -> OutputAudioBufferStopped:
    return OutputAudioBufferStopped(response_id=_maybe(id))


def cleared(id: str | None) -> OutputAudioBufferCleared:
    return OutputAudioBufferCleared(response_id=_maybe(id))


def truncated(id: str, ms: int, *, item_id: str | None = None) -> ConversationItemTruncated:
    """So much of an item is left: by default, of the only one of the response of that id."""
    return ConversationItemTruncated(
        item_id=item_id or f"item_{id}", content_index=0, audio_end_ms=ms
    )


def message(id: str, text: str = "hello", role: str = "assistant", **fields: Any) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    return Item(
        type="message", id=id, role=role, content=[ContentPart(type=kind, text=text)], **fields
    )


def call(id: str, *, status: str | None = "completed", arguments: str = "{}") -> Item:
    """A function call; `status` None leaves it out, as some servers do."""
    return Item(
        type="function_call",
        id=f"item_{id}",
        call_id=f"call_{id}",
        name="look",
        arguments=arguments,
        status=status,
    )


def item_added(id: str | None, item: Item) -> ResponseOutputItemAdded:
    return ResponseOutputItemAdded(response_id=_maybe(id), output_index=0, item=item)


def item_done(id: str | None, item: Item) -> ResponseOutputItemDone:
    return ResponseOutputItemDone(response_id=_maybe(id), output_index=0, item=item)


def conversation_item_added(item: Item, previous: Maybe[str] = None) -> ConversationItemAdded:
    return ConversationItemAdded(item=item, previous_item_id=previous)


def conversation_item_done(item: Item, previous: Maybe[str] = None) -> ConversationItemDone:
    return ConversationItemDone(item=item, previous_item_id=previous)


def error(
    code: str | None = None,
    *,
    event_id: str | None = None,
    type: str | None = "invalid_request_error",
    message: str = "no",
    param: str | None = None,
    outer: str = "event_server",
) -> ErrorEvent:
    """`event_id` is the echo (P-83); None is the null that some errors carry (P-85)."""
    return ErrorEvent(
        event_id=outer,
        error=ErrorInfo(type=type, code=code, message=message, param=param, event_id=event_id),
    )


def malformed(type: str | None = None, response_id: str | None = None) -> Malformed:
    return Malformed(
        reason=MalformedReason.WRONG_FIELD,
        detail="delta",
        size=10,
        type=type,
        response_id=response_id,
    )
