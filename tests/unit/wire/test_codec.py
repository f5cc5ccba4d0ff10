"""Frames to events and back, under the GA dialect."""

import json
from typing import Any

import msgspec
import pytest

from antiphon.exceptions import LocalProtocolError
from antiphon.wire.base import UNSET, Event, Malformed, MalformedReason, UnknownEvent
from antiphon.wire.client_events import (
    CLIENT_EVENTS,
    ClientEvent,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    ResponseCreate,
    SessionUpdate,
)
from antiphon.wire.codec import Codec, Frame
from antiphon.wire.items import ContentPart, Item, StatusDetails
from antiphon.wire.server_events import (
    SERVER_EVENTS,
    ConversationCreated,
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemRetrieved,
    ErrorEvent,
    ResponseContentPartDone,
    ResponseCreated,
    ResponseDone,
    ResponseFunctionCallArgumentsDelta,
    ResponseMcpCallArgumentsDelta,
    ResponseOutputAudioDelta,
    ResponseOutputAudioTranscriptDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
)
from tests.helpers.server_codec import ServerCodec

__all__: list[str] = []

codec = Codec()
server = ServerCodec()

AUDIO = bytes(range(256)) * 20


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def decoded(frame: Frame) -> ServerEvent:
    event = codec.decode(frame)
    assert isinstance(event, ServerEvent), event
    return event


# -- every frame form -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, bytes.decode])
def test_frame_is_read_in_every_form(form: Any) -> None:
    frame = '{"type":"response.output_text.delta","response_id":"r","delta":"é"}'.encode()
    event = codec.decode(form(frame))
    assert event == ResponseOutputTextDelta(response_id="r", delta="é")
    assert isinstance(event, ServerEvent)
    assert event.raw == frame
    assert type(event.raw) is bytes


def test_type_may_stand_anywhere_in_the_frame() -> None:
    event = codec.decode(b'{"error":{"type":"x","code":null},"event_id":"e","type":"error"}')
    assert isinstance(event, ErrorEvent)
    assert (event.event_id, event.error.type, event.error.code) == ("e", "x", None)


NEEDED: dict[type[Event], str] = {
    ErrorEvent: "error",
    SessionCreated: "session",
    SessionUpdated: "session",
    ConversationCreated: "conversation",
    ConversationItemCreated: "item",
    ConversationItemAdded: "item",
    ConversationItemDone: "item",
    ConversationItemRetrieved: "item",
    ConversationItemInputAudioTranscriptionFailed: "error",
    ResponseCreated: "response",
    ResponseDone: "response",
    ResponseOutputItemAdded: "item",
    ResponseOutputItemDone: "item",
    ResponseOutputTextDelta: "delta",
    ResponseOutputAudioDelta: "delta",
    ResponseOutputAudioTranscriptDelta: "delta",
    ResponseFunctionCallArgumentsDelta: "delta",
    ResponseMcpCallArgumentsDelta: "delta",
    SessionUpdate: "session",
    InputAudioBufferAppend: "audio",
    ConversationItemCreate: "item",
    ConversationItemRetrieve: "item_id",
    ConversationItemTruncate: "item_id",
    ConversationItemDelete: "item_id",
}


@pytest.mark.parametrize("event", SERVER_EVENTS, ids=lambda event: event.type)
def test_bare_event_lacks_only_what_it_cannot_do_without(event: type[Event]) -> None:
    result = codec.decode(compact({"type": event.type}))
    if event in NEEDED:
        assert isinstance(result, Malformed)
        assert (result.reason, result.type, result.param) == (
            MalformedReason.MISSING_FIELD,
            event.type,
            NEEDED[event],
        )
    else:
        assert type(result) is event
        assert json.loads(msgspec.json.encode(result)) == {"type": event.type}


@pytest.mark.parametrize("event", CLIENT_EVENTS, ids=lambda event: event.type)
def test_clients_event_is_made_of_what_it_cannot_do_without(event: type[ClientEvent]) -> None:
    if event in NEEDED:
        with pytest.raises(TypeError, match=f"'{NEEDED[event]}'"):
            event()
    else:
        assert json.loads(codec.encode(event())) == {"type": event.type}


# -- what is not known -----------------------------------------------------------------------------


def test_unknown_event_keeps_everything() -> None:
    frame = b'{"type":"pong","timestamp":5,"nested":{"a":[1]}}'
    event = codec.decode(frame)
    fields = {"type": "pong", "timestamp": 5, "nested": {"a": [1]}}
    assert event == UnknownEvent(type="pong", fields=fields, raw=frame)


def test_event_of_the_other_side_is_unknown() -> None:
    assert isinstance(codec.decode(b'{"type":"response.cancel"}'), UnknownEvent)


def test_beta_names_are_unknown_to_ga() -> None:
    event = codec.decode(b'{"type":"response.audio.delta","delta":"' + b"A" * 1000 + b'"}')
    assert isinstance(event, UnknownEvent)


def test_unknown_event_can_be_sent_with_its_type_first() -> None:
    event = UnknownEvent(type="session.finish", fields={"a": 1, "type": "overridden"})
    assert codec.encode(event) == b'{"type":"session.finish","a":1}'
    assert codec.encode(UnknownEvent("ping", {})) == b'{"type":"ping"}'


def test_unknown_item_type_part_type_and_status_are_values_like_others() -> None:
    event = decoded(
        b'{"type":"response.output_item.added","item":{"type":"hologram","status":"glowing",'
        b'"role":"oracle","content":[{"type":"output_smell","text":"x"},{}]}}'
    )
    assert event == ResponseOutputItemAdded(
        item=Item(
            type="hologram",
            status="glowing",
            role="oracle",
            content=[ContentPart(type="output_smell", text="x"), ContentPart()],
        )
    )


# -- provider quirks -------------------------------------------------------------------------------


def test_status_details_may_be_a_string_and_usage_beside_the_response() -> None:
    # P-294
    event = decoded(
        b'{"type":"response.done","event_id":"e","previous_item_id":null,'
        b'"response":{"id":"r","status":"completed","status_details":"unimplemented"},'
        b'"usage":{"total_tokens":7}}'
    )
    assert isinstance(event, ResponseDone)
    assert event.response.status_details == "unimplemented"
    assert event.usage
    assert event.usage.total_tokens == 7


def test_error_of_status_details_may_be_a_string_null_or_object() -> None:
    def details(error: object) -> StatusDetails:
        response = {"status": "failed", "status_details": {"type": "failed", "error": error}}
        event = decoded(compact({"type": "response.done", "response": response}))
        assert isinstance(event, ResponseDone)
        assert isinstance(event.response.status_details, StatusDetails)
        return event.response.status_details

    assert details(None).error is None
    assert details("overloaded").error == "overloaded"
    told = details({"code": "insufficient_quota"}).error
    assert told
    assert not isinstance(told, str)
    assert told.code == "insufficient_quota"


def test_output_index_may_be_missing() -> None:
    # P-296
    event = codec.decode(
        b'{"type":"response.function_call_arguments.delta","response_id":"r","call_id":"c",'
        b'"delta":"{","previous_item_id":"0"}'
    )
    assert event == ResponseFunctionCallArgumentsDelta(response_id="r", call_id="c", delta="{")


def test_content_part_done_may_lack_its_part_or_have_content_beside_it() -> None:
    # P-296, P-290
    without = decoded(b'{"type":"response.content_part.done","response_id":"r"}')
    assert isinstance(without, ResponseContentPartDone)
    assert without.part is UNSET
    both = decoded(
        b'{"type":"response.content_part.done","part":{"type":"text","text":""},'
        b'"content":{"type":"text","text":""}}'
    )
    assert isinstance(both, ResponseContentPartDone)
    assert both.part == ContentPart(type="text", text="")
    assert both.unknown_fields() == {"content": {"type": "text", "text": ""}}


def test_several_transcripts_are_told_apart_by_status() -> None:
    # P-298
    event = codec.decode(
        b'{"type":"conversation.item.input_audio_transcription.completed","item_id":"i",'
        b'"transcript":"hi","status":"in_progress"}'
    )
    assert event == ConversationItemInputAudioTranscriptionCompleted(
        item_id="i", transcript="hi", status="in_progress"
    )


def test_retrieved_audio_stays_base64_text() -> None:
    event = decoded(
        b'{"type":"conversation.item.retrieved","item":{"type":"message",'
        b'"content":[{"type":"input_audio","audio":"AAEC"}]}}'
    )
    assert isinstance(event, ConversationItemRetrieved)
    assert event.item.content
    assert event.item.content[0].audio == "AAEC"


def test_session_is_passed_through_whole() -> None:
    session = {"type": "realtime", "id": "s", "of_tomorrow": {"a": [None, 1.5, "é"]}}
    event = codec.decode(compact({"type": "session.created", "session": session}))
    assert event == SessionCreated(session=session)


# -- encoding --------------------------------------------------------------------------------------


def test_append_is_written_with_its_audio_in_base64() -> None:
    assert codec.encode(InputAudioBufferAppend(audio=b"\x00\x01\xff")) == (
        b'{"type":"input_audio_buffer.append","audio":"AAH/"}'
    )
    assert codec.encode(InputAudioBufferAppend(event_id='a"b', audio=b"")) == (
        b'{"type":"input_audio_buffer.append","event_id":"a\\"b","audio":""}'
    )


def test_audio_survives_both_ways() -> None:
    sent = InputAudioBufferAppend(event_id="c", audio=AUDIO)
    assert server.decode(codec.encode(sent)) == sent
    said = ResponseOutputAudioDelta(response_id="r", output_index=None, delta=AUDIO)
    assert codec.decode(server.encode(said)) == said


def test_absent_fields_are_left_out_and_null_ones_written() -> None:
    item = Item(type="message", role="user", content=[ContentPart(type="input_text", text="hi")])
    assert codec.encode(ConversationItemCreate(previous_item_id=None, item=item)) == (
        b'{"type":"conversation.item.create","previous_item_id":null,"item":{"type":"message",'
        b'"role":"user","content":[{"type":"input_text","text":"hi"}]}}'
    )
    assert codec.encode(ResponseCreate()) == b'{"type":"response.create"}'


@pytest.mark.parametrize(
    "event",
    [
        SessionUpdate(session={"a": object()}),
        SessionUpdate(session={"a": 10**5000}),
        UnknownEvent("x", {"a": {1j}}),
        InputAudioBufferAppend(audio="text"),  # type: ignore[arg-type]
    ],
)
def test_what_json_cannot_express_is_refused_by_name(event: ClientEvent | UnknownEvent) -> None:
    with pytest.raises(LocalProtocolError, match=event.type) as caught:
        codec.encode(event)
    assert caught.value.__cause__ is not None


def test_cycle_is_refused() -> None:
    session: dict[str, Any] = {}
    session["session"] = session
    with pytest.raises(LocalProtocolError, match="RecursionError"):
        codec.encode(SessionUpdate(session=session))


def test_what_a_user_holds_has_none_where_nothing_was_said() -> None:
    frame = b'{"type":"error","error":{"message":"no"}}'
    event = Codec().decode(frame)
    assert isinstance(event, ErrorEvent)
    assert (event.error.code, event.error.type, event.error.event_id) == (None, None, None)
    added = Codec().decode(b'{"type":"conversation.item.added","item":{"type":"message"}}')
    assert isinstance(added, ConversationItemAdded)
    values = {getattr(added.item, name) for name in added.item.__struct_fields__}
    assert values == {None, "message"}
    # ... and is not sent as a null.
    assert Codec().encode(ConversationItemCreate(item=added.item)) == (
        b'{"type":"conversation.item.create","item":{"type":"message"}}'
    )
