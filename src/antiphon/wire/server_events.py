"""Every event that a server sends: one class per type of the GA catalogue.

A class is named after its type in CamelCase: ``response.output_audio.delta`` is
`ResponseOutputAudioDelta`; only ``error`` is `ErrorEvent`.

Required is only the field without which the event means nothing. Servers leave out the rest in
one version or another, so ids and indexes are `Maybe`. Times are in ms, from the first audio of
the session; audio is in the session's output format.
"""

from typing import Any

from antiphon.wire.base import UNSET, Event, Maybe
from antiphon.wire.items import (
    ContentPart,
    ConversationResource,
    ErrorInfo,
    Item,
    LogProb,
    RateLimit,
    ResponseResource,
    TranscriptionLanguage,
    TranscriptionUsage,
    Usage,
)

__all__ = [
    "SERVER_EVENTS",
    "ConversationCreated",
    "ConversationItemAdded",
    "ConversationItemCreated",
    "ConversationItemDeleted",
    "ConversationItemDone",
    "ConversationItemInputAudioTranscriptionCompleted",
    "ConversationItemInputAudioTranscriptionDelta",
    "ConversationItemInputAudioTranscriptionFailed",
    "ConversationItemInputAudioTranscriptionSegment",
    "ConversationItemInputAudioTranscriptionUpdated",
    "ConversationItemRetrieved",
    "ConversationItemTruncated",
    "ErrorEvent",
    "InputAudioBufferCleared",
    "InputAudioBufferCommitted",
    "InputAudioBufferDtmfEventReceived",
    "InputAudioBufferSpeechStarted",
    "InputAudioBufferSpeechStopped",
    "InputAudioBufferTimeoutTriggered",
    "ItemOutputEvent",
    "McpListToolsCompleted",
    "McpListToolsFailed",
    "McpListToolsInProgress",
    "OutputAudioBufferCleared",
    "OutputAudioBufferStarted",
    "OutputAudioBufferStopped",
    "OutputEvent",
    "PartOutputEvent",
    "Ping",
    "RateLimitsUpdated",
    "ResponseContentPartAdded",
    "ResponseContentPartDone",
    "ResponseCreated",
    "ResponseDone",
    "ResponseFunctionCallArgumentsDelta",
    "ResponseFunctionCallArgumentsDone",
    "ResponseMcpCallArgumentsDelta",
    "ResponseMcpCallArgumentsDone",
    "ResponseMcpCallCompleted",
    "ResponseMcpCallFailed",
    "ResponseMcpCallInProgress",
    "ResponseOutputAudioDelta",
    "ResponseOutputAudioDone",
    "ResponseOutputAudioTranscriptDelta",
    "ResponseOutputAudioTranscriptDone",
    "ResponseOutputItemAdded",
    "ResponseOutputItemDone",
    "ResponseOutputTextDelta",
    "ResponseOutputTextDone",
    "ServerEvent",
    "SessionCreated",
    "SessionUpdated",
]


class ServerEvent(Event, frozen=True, kw_only=True):
    """Base of all server events. ``event_id`` is the server's own."""


class OutputEvent(ServerEvent, frozen=True, kw_only=True):
    """Base of all that a response produces.

    ``response_id`` says of which response it is, ``output_index`` of which of its items.
    """

    response_id: Maybe[str] = UNSET
    output_index: Maybe[int] = UNSET


class ItemOutputEvent(OutputEvent, frozen=True, kw_only=True):
    """Something of an item, which ``item_id`` names."""

    item_id: Maybe[str] = UNSET


class PartOutputEvent(ItemOutputEvent, frozen=True, kw_only=True):
    """Something of one part of an item's content."""

    content_index: Maybe[int] = UNSET


# Session


class ErrorEvent(ServerEvent, frozen=True, kw_only=True, tag="error"):
    """The server objects to something; most errors leave the session running."""

    error: ErrorInfo


class Ping(ServerEvent, frozen=True, kw_only=True, tag="ping"):
    """A sign of life from one provider; nothing answers it (P-295)."""

    timestamp: Maybe[float] = UNSET


class SessionCreated(ServerEvent, frozen=True, kw_only=True, tag="session.created"):
    """The first event of a session, with its default configuration."""

    session: dict[str, Any]


class SessionUpdated(ServerEvent, frozen=True, kw_only=True, tag="session.updated"):
    """The whole effective configuration, after a ``session.update``."""

    session: dict[str, Any]


class ConversationCreated(ServerEvent, frozen=True, kw_only=True, tag="conversation.created"):
    """The default conversation exists. Not sent by OpenAI in 2026."""

    conversation: ConversationResource


class RateLimitsUpdated(ServerEvent, frozen=True, kw_only=True, tag="rate_limits.updated"):
    """Limits of the account. Sent late, partly, or never: do not depend on it."""

    rate_limits: Maybe[list[RateLimit]] = UNSET


# Conversation items


class ConversationItemCreated(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.created"
):
    """An item exists: the name of ``conversation.item.added`` before GA."""

    previous_item_id: Maybe[str] = UNSET
    item: Item


class ConversationItemAdded(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.added"):
    """An item is in the default conversation, perhaps without its content yet."""

    previous_item_id: Maybe[str] = UNSET
    item: Item


class ConversationItemDone(ServerEvent, frozen=True, kw_only=True, tag="conversation.item.done"):
    """An item of the default conversation is complete."""

    previous_item_id: Maybe[str] = UNSET
    item: Item


class ConversationItemRetrieved(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.retrieved"
):
    """An item as asked for, with its audio."""

    item: Item


class ConversationItemTruncated(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.truncated"
):
    """The audio of an assistant item was cut after ``audio_end_ms``."""

    item_id: Maybe[str] = UNSET
    content_index: Maybe[int] = UNSET
    audio_end_ms: Maybe[int] = UNSET


class ConversationItemDeleted(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.deleted"
):
    """An item is gone."""

    item_id: Maybe[str] = UNSET


class ConversationItemInputAudioTranscriptionDelta(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.delta"
):
    """A piece of what the user said."""

    item_id: Maybe[str] = UNSET
    content_index: Maybe[int] = UNSET
    delta: Maybe[str] = UNSET
    logprobs: Maybe[list[LogProb]] = UNSET
    obfuscation: Maybe[str] = UNSET


class ConversationItemInputAudioTranscriptionCompleted(
    ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.completed",
):
    """What the user said. One provider sends several per item, told apart by ``status``
    (P-298)."""

    item_id: Maybe[str] = UNSET
    content_index: Maybe[int] = UNSET
    transcript: Maybe[str] = UNSET
    status: Maybe[str] = UNSET
    languages: Maybe[list[TranscriptionLanguage]] = UNSET
    logprobs: Maybe[list[LogProb]] = UNSET
    usage: Maybe[TranscriptionUsage] = UNSET


class ConversationItemInputAudioTranscriptionUpdated(
    ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.updated",
):
    """What the user has said so far, all of it, from a provider that sends no deltas (P-312)."""

    item_id: Maybe[str] = UNSET
    content_index: Maybe[int] = UNSET
    transcript: Maybe[str] = UNSET
    status: Maybe[str] = UNSET


class ConversationItemInputAudioTranscriptionSegment(
    ServerEvent,
    frozen=True,
    kw_only=True,
    tag="conversation.item.input_audio_transcription.segment",
):
    """A span of the transcript with its speaker; ``start`` and ``end`` in seconds."""

    item_id: Maybe[str] = UNSET
    content_index: Maybe[int] = UNSET
    id: Maybe[str] = UNSET
    speaker: Maybe[str] = UNSET
    start: Maybe[float] = UNSET
    end: Maybe[float] = UNSET
    text: Maybe[str] = UNSET


class ConversationItemInputAudioTranscriptionFailed(
    ServerEvent, frozen=True, kw_only=True, tag="conversation.item.input_audio_transcription.failed"
):
    """Transcription failed; the item itself is fine."""

    item_id: Maybe[str] = UNSET
    content_index: Maybe[int] = UNSET
    error: ErrorInfo


# Input audio


class InputAudioBufferCommitted(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.committed"
):
    """The input buffer became the user item ``item_id``."""

    previous_item_id: Maybe[str] = UNSET
    item_id: Maybe[str] = UNSET


class InputAudioBufferCleared(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.cleared"
):
    """The input buffer is empty."""


class InputAudioBufferSpeechStarted(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_started"
):
    """The user began to speak, ``audio_start_ms`` into all audio of the session."""

    audio_start_ms: Maybe[int] = UNSET
    item_id: Maybe[str] = UNSET


class InputAudioBufferSpeechStopped(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.speech_stopped"
):
    """The user stopped speaking."""

    audio_end_ms: Maybe[int] = UNSET
    item_id: Maybe[str] = UNSET


class InputAudioBufferTimeoutTriggered(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.timeout_triggered"
):
    """The user has been silent for the idle timeout; a response follows."""

    audio_start_ms: Maybe[int] = UNSET
    audio_end_ms: Maybe[int] = UNSET
    item_id: Maybe[str] = UNSET


class InputAudioBufferDtmfEventReceived(
    ServerEvent, frozen=True, kw_only=True, tag="input_audio_buffer.dtmf_event_received"
):
    """A telephone key was pressed. SIP only; the one event without ``event_id``."""

    event: Maybe[str] = UNSET
    received_at: Maybe[int] = UNSET


# Responses


class ResponseCreated(ServerEvent, frozen=True, kw_only=True, tag="response.created"):
    """A response exists; what it will write comes under ``response.id``."""

    response: ResponseResource


class ResponseDone(ServerEvent, frozen=True, kw_only=True, tag="response.done"):
    """The last event of a response, however it ended.

    ``usage`` is where one provider puts what others put in ``response.usage`` (P-294)."""

    response: ResponseResource
    usage: Maybe[Usage] = UNSET


class ResponseOutputItemAdded(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.added"
):
    """A response began an item."""

    item: Item


class ResponseOutputItemDone(
    OutputEvent, frozen=True, kw_only=True, tag="response.output_item.done"
):
    """A response finished an item; its ``status`` says whether it is whole."""

    item: Item


class ResponseContentPartAdded(
    PartOutputEvent, frozen=True, kw_only=True, tag="response.content_part.added"
):
    """An item began a part."""

    part: Maybe[ContentPart] = UNSET


class ResponseContentPartDone(
    PartOutputEvent, frozen=True, kw_only=True, tag="response.content_part.done"
):
    """An item finished a part. One provider leaves ``part`` out (P-296)."""

    part: Maybe[ContentPart] = UNSET


class ResponseOutputTextDelta(
    PartOutputEvent, frozen=True, kw_only=True, gc=False, tag="response.output_text.delta"
):
    """A piece of text."""

    delta: str
    obfuscation: Maybe[str] = UNSET


class ResponseOutputTextDone(
    PartOutputEvent, frozen=True, kw_only=True, tag="response.output_text.done"
):
    """The whole text of a part."""

    text: Maybe[str] = UNSET


class ResponseOutputAudioDelta(
    PartOutputEvent, frozen=True, kw_only=True, gc=False, tag="response.output_audio.delta"
):
    """A piece of audio, decoded from base64, in the session's output format."""

    delta: bytes


class ResponseOutputAudioDone(
    PartOutputEvent, frozen=True, kw_only=True, tag="response.output_audio.done"
):
    """The audio of a part is complete."""


class ResponseOutputAudioTranscriptDelta(
    PartOutputEvent,
    frozen=True,
    kw_only=True,
    gc=False,
    tag="response.output_audio_transcript.delta",
):
    """A piece of the words that the audio speaks; runs ahead of the audio."""

    delta: str
    obfuscation: Maybe[str] = UNSET


class ResponseOutputAudioTranscriptDone(
    PartOutputEvent, frozen=True, kw_only=True, tag="response.output_audio_transcript.done"
):
    """All words of a part. May hold more than was heard."""

    transcript: Maybe[str] = UNSET


class ResponseFunctionCallArgumentsDelta(
    ItemOutputEvent,
    frozen=True,
    kw_only=True,
    gc=False,
    tag="response.function_call_arguments.delta",
):
    """A piece of a call's arguments (JSON text)."""

    call_id: Maybe[str] = UNSET
    delta: str
    obfuscation: Maybe[str] = UNSET


class ResponseFunctionCallArgumentsDone(
    ItemOutputEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    """A call's arguments. Cut short when the response was cancelled: run a tool only from
    a completed item."""

    call_id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    arguments: Maybe[str] = UNSET


# MCP: tools that the server calls by itself


class McpListToolsInProgress(
    ServerEvent, frozen=True, kw_only=True, tag="mcp_list_tools.in_progress"
):
    """The server asks an MCP server for its tools."""

    item_id: Maybe[str] = UNSET


class McpListToolsCompleted(ServerEvent, frozen=True, kw_only=True, tag="mcp_list_tools.completed"):
    """The tools are known."""

    item_id: Maybe[str] = UNSET


class McpListToolsFailed(ServerEvent, frozen=True, kw_only=True, tag="mcp_list_tools.failed"):
    """The tools could not be listed."""

    item_id: Maybe[str] = UNSET


class ResponseMcpCallArgumentsDelta(
    ItemOutputEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.delta"
):
    """A piece of an MCP call's arguments."""

    delta: str
    obfuscation: Maybe[str] = UNSET


class ResponseMcpCallArgumentsDone(
    ItemOutputEvent, frozen=True, kw_only=True, tag="response.mcp_call_arguments.done"
):
    """An MCP call's arguments."""

    arguments: Maybe[str] = UNSET


class ResponseMcpCallInProgress(
    ItemOutputEvent, frozen=True, kw_only=True, tag="response.mcp_call.in_progress"
):
    """An MCP call began."""


class ResponseMcpCallCompleted(
    ItemOutputEvent, frozen=True, kw_only=True, tag="response.mcp_call.completed"
):
    """An MCP call succeeded."""


class ResponseMcpCallFailed(
    ItemOutputEvent, frozen=True, kw_only=True, tag="response.mcp_call.failed"
):
    """An MCP call failed."""


# Playback at the server: WebRTC and SIP, and a WebSocket beside one


class OutputAudioBufferStarted(
    ServerEvent, frozen=True, kw_only=True, tag="output_audio_buffer.started"
):
    """The server began to play a response."""

    response_id: Maybe[str] = UNSET


class OutputAudioBufferStopped(
    ServerEvent, frozen=True, kw_only=True, tag="output_audio_buffer.stopped"
):
    """The server has played all of a response."""

    response_id: Maybe[str] = UNSET


class OutputAudioBufferCleared(
    ServerEvent, frozen=True, kw_only=True, tag="output_audio_buffer.cleared"
):
    """The server stopped playing."""

    response_id: Maybe[str] = UNSET


SERVER_EVENTS: tuple[type[ServerEvent], ...] = (
    ErrorEvent,
    Ping,
    SessionCreated,
    SessionUpdated,
    ConversationCreated,
    RateLimitsUpdated,
    ConversationItemCreated,
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    ConversationItemDeleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionUpdated,
    ConversationItemInputAudioTranscriptionSegment,
    ConversationItemInputAudioTranscriptionFailed,
    InputAudioBufferCommitted,
    InputAudioBufferCleared,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
    InputAudioBufferDtmfEventReceived,
    ResponseCreated,
    ResponseDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseContentPartAdded,
    ResponseContentPartDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseFunctionCallArgumentsDone,
    McpListToolsInProgress,
    McpListToolsCompleted,
    McpListToolsFailed,
    ResponseMcpCallArgumentsDelta,
    ResponseMcpCallArgumentsDone,
    ResponseMcpCallInProgress,
    ResponseMcpCallCompleted,
    ResponseMcpCallFailed,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    OutputAudioBufferCleared,
)
"""Every class above, in the order of the catalogue."""

for _event in SERVER_EVENTS:
    _event.type = str(_event.__struct_config__.tag)
