"""The objects inside events: items, content parts, responses, usage, errors.

Flat on purpose. The schema has a class per item type; servers have more item types than the
schema, put fields where it has none, and leave out fields that it requires. One struct whose
fields are all optional reads every one of them, and `type` says which fields matter. What is absent
is None, as what is null: nothing depends on which it was, and None is what a user expects to find.
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

    type: str | None = None
    text: str | None = None
    audio: str | None = None
    transcript: str | None = None
    image_url: str | None = None
    detail: str | None = None


class Item(WireStruct, frozen=True, kw_only=True):
    """One conversation item, or a reference to one (``type="item_reference"``, ``id``).

    Which fields are set follows from ``type``: ``message`` (role, content), ``function_call``
    (call_id, name, arguments), ``function_call_output`` (call_id, output), ``mcp_call``,
    ``mcp_list_tools``, ``mcp_approval_request``, ``mcp_approval_response``, or any other.
    """

    id: str | None = None
    object: str | None = None
    type: str
    status: str | None = None
    phase: str | None = None
    role: str | None = None
    content: list[ContentPart] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    server_label: str | None = None
    tools: list[dict[str, Any]] | None = None
    approval_request_id: str | None = None
    approve: bool | None = None
    reason: str | None = None
    error: Any = None


class ErrorInfo(WireStruct, frozen=True, kw_only=True):
    """What went wrong, in an ``error`` event, a failed response or a failed transcription.

    ``event_id`` is the id of the client event that the server objects to, where it says so.
    """

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None
    event_id: str | None = None


class StatusDetails(WireStruct, frozen=True, kw_only=True):
    """Why a response ended as it did."""

    type: str | None = None
    reason: str | None = None
    error: ErrorInfo | str | None = None


class CachedTokensDetails(WireStruct, frozen=True, kw_only=True):
    """Cached input tokens by kind."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class InputTokenDetails(WireStruct, frozen=True, kw_only=True):
    """Input tokens by kind."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: CachedTokensDetails | None = None


class OutputTokenDetails(WireStruct, frozen=True, kw_only=True):
    """Output tokens by kind. ``reasoning_tokens`` is sent by 2.x models, unlisted in the schema."""

    text_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(WireStruct, frozen=True, kw_only=True):
    """Tokens that one response used."""

    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputTokenDetails | None = None
    output_token_details: OutputTokenDetails | None = None


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

    id: str | None = None
    object: str | None = None


class RateLimit(WireStruct, frozen=True, kw_only=True):
    """One limit of the account: how much is left, and in how many seconds it is full again."""

    name: str | None = None
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class TranscriptionUsage(WireStruct, frozen=True, kw_only=True):
    """What transcribing the input cost: ``type`` ``tokens``, or ``duration`` with ``seconds``."""

    type: str | None = None
    total_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: InputTokenDetails | None = None
    seconds: float | None = None


class TranscriptionLanguage(WireStruct, frozen=True, kw_only=True):
    """A language that the transcriber heard, as its ISO 639-1 code."""

    code: str | None = None


class LogProb(WireStruct, frozen=True, kw_only=True):
    """Log probability of one transcribed token."""

    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None
