"""Every event that a client sends: one class per type of the GA catalogue.

A class is named after its type in CamelCase: ``response.create`` is `ResponseCreate`.
An ``event_id`` of the client's choosing (512 characters at most) comes back in
``error.event_id`` when the server objects.
"""

from typing import Any

from antiphon.wire.base import UNSET, Event, Maybe, WireStruct
from antiphon.wire.items import Item

__all__ = [
    "CLIENT_EVENTS",
    "ClientEvent",
    "ConversationItemCreate",
    "ConversationItemDelete",
    "ConversationItemRetrieve",
    "ConversationItemTruncate",
    "InputAudioBufferAppend",
    "InputAudioBufferClear",
    "InputAudioBufferCommit",
    "OutputAudioBufferClear",
    "ResponseCancel",
    "ResponseCreate",
    "ResponseCreateParams",
    "SessionUpdate",
]


class ClientEvent(Event, frozen=True, kw_only=True):
    """Base of all client events."""


class SessionUpdate(ClientEvent, frozen=True, kw_only=True, tag="session.update"):
    """Change the session; answered by ``session.updated``, or by ``error`` and no change at all.

    ``session`` has the shape of `session_config.SessionConfig`.
    """

    session: dict[str, Any]


class InputAudioBufferAppend(
    ClientEvent, frozen=True, kw_only=True, gc=False, tag="input_audio_buffer.append"
):
    """Append audio to the input buffer.

    ``audio`` is the audio itself, in the session's input format; base64 is the codec's business.
    Servers take at most 15 MiB of base64 in one event.
    """

    audio: bytes


class InputAudioBufferCommit(
    ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.commit"
):
    """Make the input buffer a user item. Creates no response."""


class InputAudioBufferClear(ClientEvent, frozen=True, kw_only=True, tag="input_audio_buffer.clear"):
    """Forget the input buffer."""


class ConversationItemCreate(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.create"
):
    """Put an item into the conversation.

    ``previous_item_id`` absent or empty appends, ``"root"`` prepends.
    """

    previous_item_id: Maybe[str] = UNSET
    item: Item


class ConversationItemRetrieve(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.retrieve"
):
    """Ask for an item with its audio."""

    item_id: str


class ConversationItemTruncate(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.truncate"
):
    """Cut an assistant item's audio after ``audio_end_ms``; its transcript goes, too."""

    item_id: str
    content_index: int
    audio_end_ms: int


class ConversationItemDelete(
    ClientEvent, frozen=True, kw_only=True, tag="conversation.item.delete"
):
    """Remove an item from the conversation."""

    item_id: str


class ResponseCreateParams(WireStruct, frozen=True, kw_only=True):
    """What one response does differently from the session; see `session_config.ResponseConfig`."""

    conversation: Maybe[str] = UNSET
    metadata: Maybe[dict[str, str]] = UNSET
    input: Maybe[list[Item]] = UNSET
    instructions: Maybe[str] = UNSET
    output_modalities: Maybe[list[str]] = UNSET
    audio: Maybe[dict[str, Any]] = UNSET
    tools: Maybe[list[dict[str, Any]]] = UNSET
    tool_choice: Maybe[str | dict[str, Any]] = UNSET
    parallel_tool_calls: Maybe[bool] = UNSET
    max_output_tokens: Maybe[int | str] = UNSET
    reasoning: Maybe[dict[str, Any]] = UNSET
    prompt: Maybe[dict[str, Any]] = UNSET


class ResponseCreate(ClientEvent, frozen=True, kw_only=True, tag="response.create"):
    """Ask for a response; answered by ``response.created``, or by ``error`` and nothing else."""

    response: Maybe[ResponseCreateParams] = UNSET


class ResponseCancel(ClientEvent, frozen=True, kw_only=True, tag="response.cancel"):
    """Stop a response. Without ``response_id`` it is aimed at whatever runs in the default
    conversation when the server reads it, which may not be the response that was meant.
    """

    response_id: Maybe[str] = UNSET


class OutputAudioBufferClear(
    ClientEvent, frozen=True, kw_only=True, tag="output_audio_buffer.clear"
):
    """Stop playback at the server. WebRTC and SIP only."""


CLIENT_EVENTS: tuple[type[ClientEvent], ...] = (
    SessionUpdate,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    InputAudioBufferClear,
    ConversationItemCreate,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    ConversationItemDelete,
    ResponseCreate,
    ResponseCancel,
    OutputAudioBufferClear,
)
"""Every class above, in the order of the catalogue."""

for _event in CLIENT_EVENTS:
    _event.type = str(_event.__struct_config__.tag)
