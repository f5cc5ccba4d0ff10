"""The objects inside events: items, content parts, responses, usage, errors.

Flat on purpose. The schema has a class per item type; servers have more item types than the
schema, put fields where it has none, and leave out fields that it requires. One struct whose
fields are all optional reads every one of them, and `type` says which fields matter.
Enumerated values are plain strings: a value that is new tomorrow is still a value.
"""

from typing import Any

from antiphon.wire.base import UNSET, Maybe, WireStruct

__all__ = [
    "CachedTokensDetails",
    "ContentPart",
    "ConversationResource",
    "ErrorInfo",
    "InputTokenDetails",
    "Item",
    "LogProb",
    "OutputTokenDetails",
    "RateLimit",
    "ResponseResource",
    "StatusDetails",
    "TranscriptionLanguage",
    "TranscriptionUsage",
    "Usage",
]


class ContentPart(WireStruct, frozen=True, kw_only=True):
    """One part of a message's content.

    ``type`` is ``input_text``, ``input_audio``, ``input_image``, ``output_text`` or
    ``output_audio`` inside an item; in ``response.content_part.*`` it is ``text`` or ``audio``
    even on GA servers. ``audio`` stays base64 text: it is present only in
    ``conversation.item.retrieved`` and in items that a client creates.
    """

    type: Maybe[str] = UNSET
    text: Maybe[str] = UNSET
    audio: Maybe[str] = UNSET
    transcript: Maybe[str] = UNSET
    image_url: Maybe[str] = UNSET
    detail: Maybe[str] = UNSET


class Item(WireStruct, frozen=True, kw_only=True):
    """One conversation item, or a reference to one (``type="item_reference"``, ``id``).

    Which fields are set follows from ``type``: ``message`` (role, content), ``function_call``
    (call_id, name, arguments), ``function_call_output`` (call_id, output), ``mcp_call``,
    ``mcp_list_tools``, ``mcp_approval_request``, ``mcp_approval_response``, or any other.
    """

    id: Maybe[str] = UNSET
    object: Maybe[str] = UNSET
    type: str
    status: Maybe[str] = UNSET
    phase: Maybe[str] = UNSET
    role: Maybe[str] = UNSET
    content: Maybe[list[ContentPart]] = UNSET
    call_id: Maybe[str] = UNSET
    name: Maybe[str] = UNSET
    arguments: Maybe[str] = UNSET
    output: Maybe[str] = UNSET
    server_label: Maybe[str] = UNSET
    tools: Maybe[list[dict[str, Any]]] = UNSET
    approval_request_id: Maybe[str] = UNSET
    approve: Maybe[bool] = UNSET
    reason: Maybe[str] = UNSET
    error: Any = UNSET


class ErrorInfo(WireStruct, frozen=True, kw_only=True):
    """What went wrong, in an ``error`` event, a failed response or a failed transcription.

    ``event_id`` is the id of the client event that the server objects to, where it says so.
    """

    type: Maybe[str] = UNSET
    code: Maybe[str] = UNSET
    message: Maybe[str] = UNSET
    param: Maybe[str] = UNSET
    event_id: Maybe[str] = UNSET


class StatusDetails(WireStruct, frozen=True, kw_only=True):
    """Why a response ended as it did."""

    type: Maybe[str] = UNSET
    reason: Maybe[str] = UNSET
    error: ErrorInfo | str | Maybe[None] = UNSET


class CachedTokensDetails(WireStruct, frozen=True, kw_only=True):
    """Cached input tokens by kind."""

    text_tokens: Maybe[int] = UNSET
    audio_tokens: Maybe[int] = UNSET
    image_tokens: Maybe[int] = UNSET


class InputTokenDetails(WireStruct, frozen=True, kw_only=True):
    """Input tokens by kind."""

    text_tokens: Maybe[int] = UNSET
    audio_tokens: Maybe[int] = UNSET
    image_tokens: Maybe[int] = UNSET
    cached_tokens: Maybe[int] = UNSET
    cached_tokens_details: Maybe[CachedTokensDetails] = UNSET


class OutputTokenDetails(WireStruct, frozen=True, kw_only=True):
    """Output tokens by kind. ``reasoning_tokens`` is sent by 2.x models, unlisted in the schema."""

    text_tokens: Maybe[int] = UNSET
    audio_tokens: Maybe[int] = UNSET
    reasoning_tokens: Maybe[int] = UNSET


class Usage(WireStruct, frozen=True, kw_only=True):
    """Tokens that one response used."""

    total_tokens: Maybe[int] = UNSET
    input_tokens: Maybe[int] = UNSET
    output_tokens: Maybe[int] = UNSET
    input_token_details: Maybe[InputTokenDetails] = UNSET
    output_token_details: Maybe[OutputTokenDetails] = UNSET


class ResponseResource(WireStruct, frozen=True, kw_only=True):
    """A response as the server describes it.

    ``conversation_id`` is None for an out-of-band response. ``status_details`` is a plain string
    on some servers.
    """

    object: Maybe[str] = UNSET
    id: Maybe[str] = UNSET
    status: Maybe[str] = UNSET
    status_details: StatusDetails | str | Maybe[None] = UNSET
    output: Maybe[list[Item]] = UNSET
    conversation_id: Maybe[str] = UNSET
    output_modalities: Maybe[list[str]] = UNSET
    max_output_tokens: Maybe[int | str] = UNSET
    audio: Maybe[dict[str, Any]] = UNSET
    usage: Maybe[Usage] = UNSET
    metadata: Maybe[dict[str, Any]] = UNSET


class ConversationResource(WireStruct, frozen=True, kw_only=True):
    """The default conversation."""

    id: Maybe[str] = UNSET
    object: Maybe[str] = UNSET


class RateLimit(WireStruct, frozen=True, kw_only=True):
    """One limit of the account: how much is left, and in how many seconds it is full again."""

    name: Maybe[str] = UNSET
    limit: Maybe[int] = UNSET
    remaining: Maybe[int] = UNSET
    reset_seconds: Maybe[float] = UNSET


class TranscriptionUsage(WireStruct, frozen=True, kw_only=True):
    """What transcribing the input cost: ``type`` ``tokens``, or ``duration`` with ``seconds``."""

    type: Maybe[str] = UNSET
    total_tokens: Maybe[int] = UNSET
    input_tokens: Maybe[int] = UNSET
    output_tokens: Maybe[int] = UNSET
    input_token_details: Maybe[InputTokenDetails] = UNSET
    seconds: Maybe[float] = UNSET


class TranscriptionLanguage(WireStruct, frozen=True, kw_only=True):
    """A language that the transcriber heard, as its ISO 639-1 code."""

    code: Maybe[str] = UNSET


class LogProb(WireStruct, frozen=True, kw_only=True):
    """Log probability of one transcribed token."""

    token: Maybe[str] = UNSET
    logprob: Maybe[float] = UNSET
    bytes: Maybe[list[int]] = UNSET
