"""The catalogue against the official one (P-115 to P-123).

`openai.types.realtime` is generated from OpenAI's own specification. When it gains an event or a
field, a test here fails and says what to add; a difference that is meant is listed with its reason,
and a reason that has lapsed fails, too.
"""

import typing
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

import msgspec
import pydantic
import pytest
import typing_extensions
from openai.types.realtime import (
    RealtimeClientEvent,
    RealtimeServerEvent,
    RealtimeSessionCreateRequestParam,
    RealtimeTranscriptionSessionCreateRequestParam,
    ResponseItemReference,
)
from openai.types.realtime.realtime_response_create_params_param import (
    RealtimeResponseCreateParamsParam,
)

from antiphon.wire.base import Event
from antiphon.wire.client_events import CLIENT_EVENTS
from antiphon.wire.items import Item
from antiphon.wire.server_events import SERVER_EVENTS
from antiphon.wire.session_config import (
    ResponseConfig,
    SessionConfig,
    TranscriptionSessionConfig,
)

__all__: list[str] = []

# P-126, for what nobody documents.
OURS_ONLY = {
    "Item.phase": "2.x models mark messages as commentary or final_answer",
    "OutputTokenDetails.reasoning_tokens": "2.x models count them",
    "ResponseDone.usage": "one provider puts usage here (P-294)",
    "ConversationItemInputAudioTranscriptionCompleted.status": "one provider sends several",
    "ResponseOutputTextDelta.obfuscation": "sent, not documented",
    "ResponseOutputAudioTranscriptDelta.obfuscation": "sent, not documented",
    "ResponseFunctionCallArgumentsDelta.obfuscation": "sent, not documented",
    "ConversationItemInputAudioTranscriptionDelta.obfuscation": "sent, not documented",
    "ResponseMcpCallInProgress.response_id": "as on every other response event, where it is sent",
    "ResponseMcpCallCompleted.response_id": "as on every other response event, where it is sent",
    "ResponseMcpCallFailed.response_id": "as on every other response event, where it is sent",
    "InputAudioBufferDtmfEventReceived.event_id": "the base of all events has it",
}
"""Fields that we know and the official types do not."""

THEIRS_ONLY: dict[str, str] = {}
"""Fields that the official types have and we leave out."""


def models(union: Any) -> dict[str, type[pydantic.BaseModel]]:
    """Event type to pydantic model, from ``Annotated[Union[...], discriminator]``."""
    members = get_args(get_args(union)[0])
    return {get_args(model.model_fields["type"].annotation)[0]: model for model in members}


SERVER_MODELS = models(RealtimeServerEvent)
CLIENT_MODELS = models(RealtimeClientEvent)
ELSEWHERE = {
    "conversation.item.input_audio_transcription.updated": "xAI, P-312",
    "ping": "xAI, P-295",
}
"""Events that OpenAI does not have: seen in recordings of another provider."""

OURS: dict[str, type[Event]] = {event.type: event for event in (*SERVER_EVENTS, *CLIENT_EVENTS)}


def fields_of(kind: type) -> dict[str, Any]:
    """Field name to annotation, for our structs, their models and typed dicts of both."""
    if issubclass(kind, msgspec.Struct):
        return {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    if issubclass(kind, pydantic.BaseModel):
        return {f.alias or name: f.annotation for name, f in kind.model_fields.items()}
    return typing.get_type_hints(kind)


def objects_in(annotation: Any) -> set[type]:
    """Return every class with fields that a value of ``annotation`` may be, or be a list of."""
    if isinstance(annotation, type) and (
        issubclass(annotation, msgspec.Struct | pydantic.BaseModel)
        or typing_extensions.is_typeddict(annotation)
    ):
        return {annotation}
    if get_origin(annotation) in (dict, Mapping):
        return set()
    return set().union(*(objects_in(argument) for argument in get_args(annotation)))


@dataclass
class Comparison:
    """What one side has and the other has not, as ``Class.field`` of our class."""

    ours: dict[type, set[str]] = field(default_factory=lambda: defaultdict(set))
    theirs: dict[type, set[str]] = field(default_factory=lambda: defaultdict(set))
    seen: set[tuple[frozenset[type], frozenset[type]]] = field(default_factory=set)

    def compare(self, ours: Iterable[type], theirs: Iterable[type]) -> None:
        pair = (frozenset(ours), frozenset(theirs))
        if pair in self.seen or not all(pair):
            return
        self.seen.add(pair)
        our_fields, their_fields = (self.merge(side) for side in pair)
        for kind in pair[0]:
            self.ours[kind] |= fields_of(kind).keys()
            # Of several classes for one place (tools, turn detection), each has its share.
            others = set().union(*(fields_of(other) for other in pair[0] - {kind}))
            self.theirs[kind] |= their_fields.keys() - (others - fields_of(kind).keys()) - {"type"}
        for name, annotations in our_fields.items():
            if name in their_fields:
                self.compare(
                    set().union(*map(objects_in, annotations)),
                    set().union(*map(objects_in, their_fields[name])),
                )

    @staticmethod
    def merge(kinds: Iterable[type]) -> dict[str, list[Any]]:
        merged: dict[str, list[Any]] = defaultdict(list)
        for kind in kinds:
            for name, annotation in fields_of(kind).items():
                merged[name].append(annotation)
        return merged

    def only(self, one: dict[type, set[str]], other: dict[type, set[str]]) -> set[str]:
        return {f"{kind.__name__}.{name}" for kind in one for name in one[kind] - other[kind]}

    @property
    def ours_only(self) -> set[str]:
        return {name for name in self.only(self.ours, self.theirs) if not name.endswith(".type")}

    @property
    def theirs_only(self) -> set[str]:
        return self.only(self.theirs, self.ours)


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    found = Comparison()
    for name, model in (SERVER_MODELS | CLIENT_MODELS).items():
        if name in OURS:
            found.compare([OURS[name]], [model])
    found.compare([SessionConfig], [RealtimeSessionCreateRequestParam])
    found.compare([TranscriptionSessionConfig], [RealtimeTranscriptionSessionCreateRequestParam])
    found.compare([ResponseConfig], [RealtimeResponseCreateParamsParam])
    return found


def class_name(event_type: str) -> str:
    if event_type == "error":
        return "ErrorEvent"
    return "".join(word.capitalize() for word in event_type.replace(".", "_").split("_"))


def test_every_official_server_event_has_a_class() -> None:
    missing = SERVER_MODELS.keys() - {event.type for event in SERVER_EVENTS}
    assert not missing, f"new server events: add a class each to server_events.py: {missing}"


def test_every_official_client_event_has_a_class() -> None:
    missing = CLIENT_MODELS.keys() - {event.type for event in CLIENT_EVENTS}
    assert not missing, f"new client events: add a class each to client_events.py: {missing}"


def test_no_class_is_for_an_event_that_does_not_exist() -> None:
    # Such as `response.cancelled` (P-17), or anything that sends a tone (P-442).
    official = SERVER_MODELS.keys() | CLIENT_MODELS.keys()
    assert OURS.keys() - ELSEWHERE.keys() == official
    assert (len(SERVER_EVENTS), len(CLIENT_EVENTS)) == (46 + len(ELSEWHERE), 11)


@pytest.mark.parametrize("event", OURS.values(), ids=OURS.keys())
def test_a_class_is_named_and_tagged_after_its_type(event: type[Event]) -> None:
    assert event.__name__ == class_name(event.type)
    assert event.__struct_config__.tag == event.type
    assert event.__struct_config__.tag_field == "type"
    assert event.__struct_config__.frozen


def test_every_official_field_is_known(comparison: Comparison) -> None:
    new = comparison.theirs_only - THEIRS_ONLY.keys()
    assert not new, f"new fields: add them to our classes, or to THEIRS_ONLY with a reason: {new}"


def test_every_field_of_our_own_has_a_reason(comparison: Comparison) -> None:
    own = comparison.ours_only - OURS_ONLY.keys()
    assert not own, f"fields that the official types do not have, and no reason for them: {own}"


def test_no_reason_is_kept_for_a_difference_that_has_gone(comparison: Comparison) -> None:
    assert OURS_ONLY.keys() - comparison.ours_only == set()
    assert THEIRS_ONLY.keys() - comparison.theirs_only == set()


def test_the_comparison_reaches_into_nested_objects(comparison: Comparison) -> None:
    reached = {kind.__name__ for kind in comparison.ours}
    assert {
        "CachedTokensDetails",
        "ContentPart",
        "ErrorInfo",
        "Item",
        "McpTool",
        "RateLimit",
        "ResponseCreateParams",
        "ResponseResource",
        "SemanticVadConfig",
        "StatusDetails",
        "TranscriptionUsage",
        "TruncationTokenLimits",
    } <= reached


def test_an_item_reference_is_an_item() -> None:
    assert ResponseItemReference.model_fields.keys() <= fields_of(Item).keys()


def test_a_new_field_would_be_noticed() -> None:
    class Part(pydantic.BaseModel):
        text: str
        invented: str

    class Message(pydantic.BaseModel):
        content: list[Part]

    found = Comparison()
    found.compare([Item], [Message])
    assert found.theirs_only == {"ContentPart.invented"}
