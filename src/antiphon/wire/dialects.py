"""How a peer spells what the GA protocol says.

Before GA the same protocol had other names for seven events (P-127), a flat session, and `text`
and `audio` for an assistant's content (P-128). Azure's preview endpoint, Voice Live and several
independent servers still speak it. Everything inside antiphon is GA; a dialect is undone right
after decoding and applied right before encoding.

Mixtures exist (P-295), so reading is generous: GA names and nested settings are understood under
the beta dialect too. What has no GA counterpart (a session's ``temperature``) stays where it is.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, TypeVar, cast

import msgspec
from msgspec.structs import replace

from antiphon.wire.base import UNSET, Event, Maybe
from antiphon.wire.client_events import (
    ConversationItemCreate,
    ResponseCreate,
    ResponseCreateParams,
    SessionUpdate,
)
from antiphon.wire.items import Item, ResponseResource
from antiphon.wire.server_events import (
    SERVER_EVENTS,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDone,
    ConversationItemRetrieved,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputAudioDone,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputAudioTranscriptDone,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ResponseOutputTextDone,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
)

__all__ = [
    "BETA",
    "GA",
    "Dialect",
    "Translation",
    "session_from_beta",
    "session_to_beta",
    "translation_for",
]


class Dialect(StrEnum):
    """A spelling of the protocol."""

    GA = "ga"
    BETA = "beta"


GA = Dialect.GA
BETA = Dialect.BETA

_S = TypeVar("_S", bound=msgspec.Struct)
_Change = Callable[[Any], Any]


class Translation(NamedTuple):
    """What a codec must know of a dialect.

    Args:
        server_types: the classes whose tags a server may send.
        after_decode: decoded class to the function that makes the GA event of it.
        before_encode: GA class to the function that puts its contents into this dialect.
    """

    server_types: tuple[type[ServerEvent], ...]
    after_decode: Mapping[type[Event], _Change]
    before_encode: Mapping[type[Event], _Change]


@cache
def translation_for(dialect: Dialect) -> Translation:
    """Return how to read and write ``dialect``."""
    if dialect is GA:
        return Translation(SERVER_EVENTS, {}, {})
    return _beta()


# -- event names ------------------------------------------------------------------------------

_BETA_NAMES: dict[type[ServerEvent], str] = {
    ResponseOutputTextDelta: "response.text.delta",
    ResponseOutputTextDone: "response.text.done",
    ResponseOutputAudioDelta: "response.audio.delta",
    ResponseOutputAudioDone: "response.audio.done",
    ResponseOutputAudioTranscriptDelta: "response.audio_transcript.delta",
    ResponseOutputAudioTranscriptDone: "response.audio_transcript.done",
    ConversationItemAdded: "conversation.item.created",
}


def _alias(event: type[ServerEvent], name: str) -> type[ServerEvent]:
    # The same struct under another tag, so that the union decoder knows both names.
    made = msgspec.defstruct(f"Beta{event.__name__}", (), bases=(event,), module=__name__, tag=name)
    return cast(type[ServerEvent], made)


# Turns an alias into the class that it is an alias of, in place: both have the same layout, and
# a copy would cost more than decoding did. Frozen structs refuse plain assignment.
_set_class: Callable[[Event, type[Event]], None] = object.__dict__["__class__"].__set__


def _to_class(event: type[ServerEvent]) -> _Change:
    def change(alias: ServerEvent) -> ServerEvent:
        _set_class(alias, event)
        return alias

    return change


# -- items ------------------------------------------------------------------------------------

_PARTS_FROM_BETA = {"text": "output_text", "audio": "output_audio"}
_PARTS_TO_BETA = {ga: beta for beta, ga in _PARTS_FROM_BETA.items()}


def _item(item: Item, part_types: Mapping[Any, str]) -> Item:
    if not item.content or not any(part.type in part_types for part in item.content):
        return item
    content = [
        replace(part, type=part_types[part.type]) if part.type in part_types else part
        for part in item.content
    ]
    return replace(item, content=content)


def _items(items: Maybe[list[Item]], part_types: Mapping[Any, str]) -> Maybe[list[Item]]:
    return [_item(item, part_types) for item in items] if items else items


def _change_item(part_types: Mapping[Any, str]) -> _Change:
    def change(event: Any) -> Event:
        changed = _item(event.item, part_types)
        return cast(Event, event if changed is event.item else replace(event, item=changed))

    return change


# -- sessions ---------------------------------------------------------------------------------

# P-240
_FORMATS_FROM_BETA: dict[str, dict[str, Any]] = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMATS_TO_BETA = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}

# Flat name of a setting to its place under `audio`.
_PLACES: dict[str, tuple[str, str]] = {
    "input_audio_format": ("input", "format"),
    "input_audio_noise_reduction": ("input", "noise_reduction"),
    "input_audio_transcription": ("input", "transcription"),
    "turn_detection": ("input", "turn_detection"),
    "output_audio_format": ("output", "format"),
    "voice": ("output", "voice"),
    "speed": ("output", "speed"),
}
_FLAT_NAMES = {place: name for name, place in _PLACES.items()}


def session_from_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return the GA form of a flat session configuration.

    Settings that are nested already, or that no table here knows, are kept as they are.
    """
    nested = session.get("audio")
    audio: dict[str, Any] = dict(nested) if isinstance(nested, dict) else {}
    result: dict[str, Any] = {"type": "realtime"}
    for name, value in session.items():
        if name in _PLACES:
            _put(audio, _PLACES[name], value)
        elif name == "modalities":
            result["output_modalities"] = _modalities_from_beta(value)
        elif name == "max_response_output_tokens":
            result["max_output_tokens"] = value
        else:
            result[name] = value
    if audio:
        result["audio"] = audio
    return result


def session_to_beta(session: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flat form of a GA session configuration, without its ``type``.

    A nested setting that has no flat name stays nested, for the server to accept or to refuse.
    """
    result: dict[str, Any] = {}
    for name, value in session.items():
        if name == "audio":
            result.update(_flatten(value))
        elif name == "output_modalities":
            result["modalities"] = _modalities_to_beta(value)
        elif name == "max_output_tokens":
            result["max_response_output_tokens"] = value
        elif name != "type":
            result[name] = value
    return result


def _put(audio: dict[str, Any], place: tuple[str, str], value: Any) -> None:
    direction, name = place
    if name == "format" and isinstance(value, str):
        value = _FORMATS_FROM_BETA.get(value, {"type": value})
    settings = audio.get(direction)
    audio[direction] = {**(settings if isinstance(settings, dict) else {}), name: value}


def _flatten(audio: Any) -> dict[str, Any]:
    if not isinstance(audio, dict):
        return {"audio": audio}
    flat: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for direction, settings in audio.items():
        if not isinstance(settings, dict):
            rest[direction] = settings
            continue
        for name, value in settings.items():
            if (flat_name := _FLAT_NAMES.get((direction, name))) is None:
                rest.setdefault(direction, {})[name] = value
            else:
                flat[flat_name] = _format_to_beta(value) if name == "format" else value
    return {**flat, "audio": rest} if rest else flat


def _format_to_beta(value: Any) -> Any:
    # pcm16 always means 24 kHz; a format that has no short name is sent as it is.
    if isinstance(value, dict) and value.get("rate", 24000) == 24000:
        kind = value.get("type")
        return _FORMATS_TO_BETA.get(kind, kind) if isinstance(kind, str) else value
    return value


def _modalities_from_beta(value: Any) -> Any:
    # Beta lists the transcript beside the audio that it belongs to; GA takes it for granted.
    return ["audio"] if isinstance(value, list) and "audio" in value else value


def _modalities_to_beta(value: Any) -> Any:
    return ["text", "audio"] if isinstance(value, list) and "audio" in value else value


def _change_session(change_session: Callable[[Mapping[str, Any]], dict[str, Any]]) -> _Change:
    def change(event: Any) -> Event:
        return cast(Event, replace(event, session=change_session(event.session)))

    return change


# -- responses --------------------------------------------------------------------------------


class _BetaResponseResource(ResponseResource, frozen=True, kw_only=True):
    modalities: Maybe[list[str]] = UNSET
    voice: Any = UNSET
    output_audio_format: Any = UNSET
    temperature: Any = UNSET


class _BetaResponseCreated(ResponseCreated, frozen=True, kw_only=True, tag=ResponseCreated.type):
    response: _BetaResponseResource


class _BetaResponseDone(ResponseDone, frozen=True, kw_only=True, tag=ResponseDone.type):
    response: _BetaResponseResource


class _BetaResponseCreateParams(ResponseCreateParams, frozen=True, kw_only=True):
    modalities: Maybe[list[str]] = UNSET
    voice: Any = UNSET
    output_audio_format: Any = UNSET
    max_response_output_tokens: Maybe[int | str] = UNSET
    temperature: Any = UNSET


class _BetaResponseCreate(ResponseCreate, frozen=True, kw_only=True, tag=ResponseCreate.type):
    response: Maybe[_BetaResponseCreateParams] = UNSET


def _fields_of(struct: msgspec.Struct) -> dict[str, Any]:
    values = ((name, getattr(struct, name)) for name in struct.__struct_fields__)
    return {name: value for name, value in values if value is not UNSET}


def _build(kind: type[_S], values: Mapping[str, Any]) -> _S:
    return kind(**{name: values[name] for name in kind.__struct_fields__ if name in values})


def _response_from_beta(beta: _BetaResponseResource) -> ResponseResource:
    values = session_from_beta(_fields_of(beta))
    return replace(_build(ResponseResource, values), output=_items(beta.output, _PARTS_FROM_BETA))


def _params_to_beta(event: ResponseCreate) -> ResponseCreate:
    params = event.response
    if isinstance(params, ResponseCreateParams):
        values = session_to_beta(_fields_of(params))
        items = _items(params.input, _PARTS_TO_BETA)
        return _BetaResponseCreate(
            event_id=event.event_id,
            response=replace(_build(_BetaResponseCreateParams, values), input=items),
        )
    return event


# -- all of it --------------------------------------------------------------------------------

_ITEM_EVENTS: tuple[type[Event], ...] = (
    ConversationItemAdded,
    ConversationItemDone,
    ConversationItemRetrieved,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
)


def _beta() -> Translation:
    aliases = {event: _alias(event, name) for event, name in _BETA_NAMES.items()}
    item_from_beta = _change_item(_PARTS_FROM_BETA)
    to_added = _to_class(ConversationItemAdded)
    after_decode: dict[type[Event], _Change] = {
        **{alias: _to_class(event) for event, alias in aliases.items()},
        **dict.fromkeys(_ITEM_EVENTS, item_from_beta),
        **dict.fromkeys((SessionCreated, SessionUpdated), _change_session(session_from_beta)),
        aliases[ConversationItemAdded]: lambda e: item_from_beta(to_added(e)),
        _BetaResponseCreated: lambda e: ResponseCreated(
            event_id=e.event_id, response=_response_from_beta(e.response)
        ),
        _BetaResponseDone: lambda e: ResponseDone(
            event_id=e.event_id, response=_response_from_beta(e.response), usage=e.usage
        ),
    }
    before_encode: dict[type[Event], _Change] = {
        ConversationItemCreate: _change_item(_PARTS_TO_BETA),
        SessionUpdate: _change_session(session_to_beta),
        ResponseCreate: _params_to_beta,
    }
    # Beta's conversation.item.created is read as the alias of ConversationItemAdded.
    replaced = {ConversationItemCreated, ResponseCreated, ResponseDone}
    kept = tuple(event for event in SERVER_EVENTS if event not in replaced)
    return Translation(
        server_types=(*kept, *aliases.values(), _BetaResponseCreated, _BetaResponseDone),
        after_decode=after_decode,
        before_encode=before_encode,
    )
