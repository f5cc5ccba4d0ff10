"""The beta dialect, read and written (P-127, P-128)."""

import json
from typing import Any

import pytest

from antiphon.wire.base import UNSET, Event, Malformed, MalformedReason, UnknownEvent
from antiphon.wire.client_events import (
    ClientEvent,
    ConversationItemCreate,
    InputAudioBufferAppend,
    ResponseCancel,
    ResponseCreate,
    ResponseCreateParams,
    SessionUpdate,
)
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import BETA, GA, Dialect, session_from_beta, session_to_beta
from antiphon.wire.items import ContentPart, Item, ResponseResource, StatusDetails, Usage
from antiphon.wire.server_events import (
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDone,
    ConversationItemRetrieved,
    ErrorEvent,
    ResponseContentPartAdded,
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
from tests.helpers.server_codec import ServerCodec

__all__: list[str] = []

ga = Codec()
beta = Codec(BETA)
ga_server = ServerCodec()
beta_server = ServerCodec(BETA)

PCM = {"type": "audio/pcm", "rate": 24000}


def item(role: str, *kinds: str) -> Item:
    return Item(type="message", role=role, content=[ContentPart(type=kind) for kind in kinds])


def message(role: str, *kinds: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": kind} for kind in kinds]}


def frame(type: str, **fields: Any) -> bytes:
    return json.dumps({"type": type, **fields}).encode()


def test_dialects_have_names_for_configuration() -> None:
    assert (Dialect("ga"), Dialect("beta")) == (GA, BETA)
    assert (ga.dialect, beta.dialect) == (GA, BETA)


NAMES = [
    (ResponseOutputTextDelta(delta="a"), "response.text.delta"),
    (ResponseOutputTextDone(text="a"), "response.text.done"),
    (ResponseOutputAudioDelta(delta=b"a"), "response.audio.delta"),
    (ResponseOutputAudioDelta(delta=bytes(5000)), "response.audio.delta"),
    (ResponseOutputAudioDone(), "response.audio.done"),
    (ResponseOutputAudioTranscriptDelta(delta="a"), "response.audio_transcript.delta"),
    (ResponseOutputAudioTranscriptDone(transcript="a"), "response.audio_transcript.done"),
    (ConversationItemAdded(item=item("user", "input_text")), "conversation.item.created"),
]


@pytest.mark.parametrize(("event", "name"), NAMES, ids=lambda value: str(value)[:40])
def test_beta_names_are_written_and_read(event: ServerEvent, name: str) -> None:
    encoded = beta_server.encode(event)
    assert json.loads(encoded)["type"] == name
    decoded = beta.decode(encoded)
    assert decoded == event
    assert isinstance(decoded, ServerEvent)
    # Not only a subclass of it: dispatch by class must work.
    assert type(decoded) is type(event)
    assert decoded.type == event.type
    assert decoded.raw in (encoded, b"")
    assert decoded.unknown_fields() == {}


@pytest.mark.parametrize(("event", "name"), NAMES, ids=lambda value: str(value)[:40])
def test_ga_names_are_read_under_the_beta_dialect_too(event: ServerEvent, name: str) -> None:
    # P-295: beta sessions with GA names exist.
    decoded = beta.decode(ga_server.encode(event))
    assert decoded == event
    assert type(decoded) is type(event)


def test_created_item_stays_created_under_ga() -> None:
    encoded = frame("conversation.item.created", item=message("assistant", "text"))
    assert ga.decode(encoded) == ConversationItemCreated(item=item("assistant", "text"))
    assert beta.decode(encoded) == ConversationItemAdded(item=item("assistant", "output_text"))


def test_event_without_a_beta_name_keeps_its_own() -> None:
    done = ConversationItemDone(item=item("assistant", "output_text"))
    assert json.loads(beta_server.encode(done))["type"] == "conversation.item.done"
    cancel = ResponseCancel(response_id="r")
    assert beta.encode(cancel) == ga.encode(cancel)
    assert beta_server.decode(beta.encode(cancel)) == cancel


def test_unknown_events_pass_both_ways() -> None:
    event = beta.decode(b'{"type":"pong"}')
    assert isinstance(event, UnknownEvent)
    assert beta_server.encode(event) == b'{"type":"pong"}'


# -- items -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event_class",
    [
        ConversationItemAdded,
        ConversationItemDone,
        ConversationItemRetrieved,
        ResponseOutputItemAdded,
        ResponseOutputItemDone,
    ],
)
def test_content_of_items_is_renamed_in_every_item_event(event_class: Any) -> None:
    event = event_class(item=item("assistant", "output_text", "output_audio", "refusal"))
    encoded = beta_server.encode(event)
    assert json.loads(encoded)["item"] == message("assistant", "text", "audio", "refusal")
    assert beta.decode(encoded) == event


def test_content_of_users_is_left_alone() -> None:
    event = ConversationItemCreate(item=item("user", "input_text", "input_audio"))
    assert beta.encode(event) == ga.encode(event)
    assert beta_server.decode(beta.encode(event)) == event


@pytest.mark.parametrize("content", [None, []])
def test_items_without_content_pass(content: Any) -> None:
    event = ConversationItemCreate(item=Item(type="function_call", content=content))
    assert beta_server.decode(beta.encode(event)) == event


def test_assistant_item_is_created_in_beta_terms() -> None:
    event = ConversationItemCreate(item=item("assistant", "output_text"))
    encoded = beta.encode(event)
    assert json.loads(encoded)["item"] == message("assistant", "text")
    assert beta_server.decode(encoded) == event


def test_content_part_keeps_its_short_type() -> None:
    event = ResponseContentPartAdded(part=ContentPart(type="audio"))
    assert beta.decode(frame("response.content_part.added", part={"type": "audio"})) == event
    assert ga.decode(frame("response.content_part.added", part={"type": "audio"})) == event


# -- sessions --------------------------------------------------------------------------------------

NESTED = {
    "type": "realtime",
    "model": "m",
    "instructions": "be brief",
    "temperature": 0.8,
    "output_modalities": ["audio"],
    "max_output_tokens": "inf",
    "audio": {
        "input": {
            "format": PCM,
            "noise_reduction": {"type": "near_field"},
            "transcription": {"model": "whisper-1"},
            "turn_detection": None,
        },
        "output": {"format": {"type": "audio/pcmu"}, "voice": "marin", "speed": 1.5},
    },
}
FLAT = {
    "model": "m",
    "instructions": "be brief",
    "temperature": 0.8,
    "modalities": ["text", "audio"],
    "max_response_output_tokens": "inf",
    "input_audio_format": "pcm16",
    "input_audio_noise_reduction": {"type": "near_field"},
    "input_audio_transcription": {"model": "whisper-1"},
    "turn_detection": None,
    "output_audio_format": "g711_ulaw",
    "voice": "marin",
    "speed": 1.5,
}


def test_session_is_flattened_and_nested() -> None:
    assert session_to_beta(NESTED) == FLAT
    assert session_from_beta(FLAT) == NESTED


@pytest.mark.parametrize("event_class", [SessionCreated, SessionUpdated])
def test_sessions_of_servers_arrive_nested(event_class: Any) -> None:
    event = event_class(session=NESTED)
    encoded = beta_server.encode(event)
    assert json.loads(encoded)["session"] == FLAT
    assert beta.decode(encoded) == event


def test_session_update_goes_out_flat() -> None:
    event = SessionUpdate(event_id="c", session=NESTED)
    encoded = beta.encode(event)
    assert json.loads(encoded) == {"type": "session.update", "event_id": "c", "session": FLAT}
    assert beta_server.decode(encoded) == event


def test_translation_leaves_its_argument_alone() -> None:
    mixed = {**FLAT, "audio": {"output": {"style": "warm"}}}
    before = json.dumps(mixed), json.dumps(NESTED)
    nested = session_from_beta(mixed)
    assert nested["audio"]["output"]["style"] == "warm"
    session_to_beta(NESTED)
    assert (json.dumps(mixed), json.dumps(NESTED)) == before


@pytest.mark.parametrize(
    ("nested", "flat"),
    [
        ({"output_modalities": ["text"]}, {"modalities": ["text"]}),
        ({"audio": {"output": {"voice": {"id": "v"}}}}, {"voice": {"id": "v"}}),
        ({"audio": {"input": {"format": {"type": "opus"}}}}, {"input_audio_format": "opus"}),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            {"input_audio_format": {"type": "audio/pcm", "rate": 16000}},
        ),
        ({"audio": {"input": {"format": {"type": 5}}}}, {"input_audio_format": {"type": 5}}),
        ({"audio": {"input": {"format": None}}}, {"input_audio_format": None}),
        ({"audio": {"output": {"style": "warm"}}}, {"audio": {"output": {"style": "warm"}}}),
        (
            {"audio": {"input": {"format": PCM, "echo": True}, "spatial": 1}},
            {"input_audio_format": "pcm16", "audio": {"input": {"echo": True}, "spatial": 1}},
        ),
    ],
)
def test_what_has_no_flat_name_stays_as_it_is(nested: dict[str, Any], flat: dict[str, Any]) -> None:
    assert session_to_beta(nested) == flat
    assert session_from_beta(flat) == {"type": "realtime", **nested}


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({"audio": None, "voice": "v"}, {"audio": {"output": {"voice": "v"}}}),
        ({"audio": {"output": 3}, "voice": "v"}, {"audio": {"output": {"voice": "v"}}}),
        ({"audio": "loud"}, {"audio": "loud"}),
        ({"audio": None}, {"audio": None}),
        ({"modalities": "audio"}, {"output_modalities": "audio"}),
        ({"modalities": None}, {"output_modalities": None}),
        ({"modalities": [{}]}, {"output_modalities": [{}]}),
        ({"output_audio_format": ["pcm16"]}, {"audio": {"output": {"format": ["pcm16"]}}}),
        ({"type": "transcription"}, {"type": "transcription"}),
    ],
)
def test_senseless_sessions_are_read_without_error(
    session: dict[str, Any], expected: dict[str, Any]
) -> None:
    event = beta.decode(frame("session.created", session=session))
    assert event == SessionCreated(session={"type": "realtime", **expected})


def test_audio_that_is_no_object_is_passed_on_when_writing() -> None:
    assert session_to_beta({"audio": None}) == {"audio": None}


# -- responses -------------------------------------------------------------------------------------


def test_response_is_read_from_its_flat_form() -> None:
    event = beta.decode(
        frame(
            "response.done",
            event_id="e",
            response={
                "object": "realtime.response",
                "id": "r",
                "status": "cancelled",
                "status_details": {"type": "cancelled", "reason": "turn_detected"},
                "output": [message("assistant", "audio")],
                "conversation_id": None,
                "modalities": ["text", "audio"],
                "voice": "alloy",
                "output_audio_format": "pcm16",
                "temperature": 0.8,
                "max_output_tokens": "inf",
                "usage": {"total_tokens": 3},
                "metadata": None,
            },
            usage=None,
        )
    )
    assert event == ResponseDone(
        event_id="e",
        response=ResponseResource(
            object="realtime.response",
            id="r",
            status="cancelled",
            status_details=StatusDetails(type="cancelled", reason="turn_detected"),
            output=[item("assistant", "output_audio")],
            conversation_id=None,
            output_modalities=["audio"],
            audio={"output": {"voice": "alloy", "format": PCM}},
            max_output_tokens="inf",
            usage=Usage(total_tokens=3),
            metadata=None,
        ),
        usage=None,
    )
    assert type(event) is ResponseDone
    assert type(event.response) is ResponseResource
    assert event.raw.startswith(b'{"type"')


@pytest.mark.parametrize("event_class", [ResponseCreated, ResponseDone])
def test_response_is_written_in_its_flat_form(event_class: Any) -> None:
    response = ResponseResource(
        id="r",
        output=[item("assistant", "output_text")],
        output_modalities=["audio"],
        audio={"output": {"voice": "alloy", "format": PCM}},
        max_output_tokens=100,
    )
    encoded = beta_server.encode(event_class(event_id="e", response=response))
    assert json.loads(encoded) == {
        "type": event_class.type,
        "event_id": "e",
        "response": {
            "id": "r",
            "output": [message("assistant", "text")],
            "max_output_tokens": 100,
            "modalities": ["text", "audio"],
            "voice": "alloy",
            "output_audio_format": "pcm16",
        },
    }
    assert beta.decode(encoded) == event_class(event_id="e", response=response)


@pytest.mark.parametrize("output", [None, UNSET, []])
def test_response_without_output_passes(output: Any) -> None:
    event = ResponseCreated(response=ResponseResource(id="r", output=output))
    assert beta.decode(beta_server.encode(event)) == event


def test_response_create_goes_out_flat() -> None:
    params = ResponseCreateParams(
        conversation="none",
        metadata={"k": "v"},
        input=[item("assistant", "output_text"), Item(type="item_reference", id="i")],
        instructions="hi",
        output_modalities=["text"],
        audio={"output": {"voice": "alloy", "format": PCM}},
        max_output_tokens=5,
    )
    encoded = beta.encode(ResponseCreate(event_id="c", response=params))
    assert json.loads(encoded) == {
        "type": "response.create",
        "event_id": "c",
        "response": {
            "conversation": "none",
            "metadata": {"k": "v"},
            "input": [message("assistant", "text"), {"id": "i", "type": "item_reference"}],
            "instructions": "hi",
            "modalities": ["text"],
            "voice": "alloy",
            "output_audio_format": "pcm16",
            "max_response_output_tokens": 5,
        },
    }
    decoded = beta_server.decode(encoded)
    assert decoded == ResponseCreate(event_id="c", response=params)
    assert type(decoded) is ResponseCreate


@pytest.mark.parametrize("response", [None, UNSET])
def test_response_create_without_params_stays_bare(response: None) -> None:
    event = ResponseCreate(event_id="c", response=response)
    encoded = beta.encode(event)
    assert beta.encode(event) == ga.encode(event)
    assert beta_server.decode(encoded) == event


def test_null_modalities_and_tokens_of_a_response_stay_null() -> None:
    event = beta_server.decode(
        frame("response.create", response={"modalities": None, "max_response_output_tokens": None})
    )
    assert event == ResponseCreate(
        response=ResponseCreateParams(output_modalities=None, max_output_tokens=None)
    )


# -- the rest --------------------------------------------------------------------------------------


def test_append_is_the_same_in_both() -> None:
    event: ClientEvent = InputAudioBufferAppend(audio=bytes(4000))
    assert beta.encode(event) == ga.encode(event)
    assert beta_server.decode(beta.encode(event)) == event


def test_error_is_the_same_in_both() -> None:
    encoded = frame("error", error={"code": None})
    event = beta.decode(encoded)
    assert isinstance(event, ErrorEvent)
    assert event == ga.decode(encoded)


def test_malformed_beta_frame_is_reported_under_its_ga_type() -> None:
    result = beta.decode(frame("response.audio.delta", response_id="r", delta="!"))
    assert isinstance(result, Malformed)
    assert result.reason is MalformedReason.BAD_BASE64
    assert (result.type, result.response_id) == (ResponseOutputAudioDelta.type, "r")


def test_beta_audio_takes_the_fast_path() -> None:
    event = beta.decode(frame("response.audio.delta", response_id="r", delta="AAEC" * 400))
    assert event == ResponseOutputAudioDelta(response_id="r", delta=b"\x00\x01\x02" * 400)
    assert isinstance(event, Event)
    assert event.raw == b""
