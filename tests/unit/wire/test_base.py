"""What all events share: raw frames, unknown fields, absent and null."""

import msgspec
import pytest

from antiphon.wire.base import UNSET, UnknownEvent, attach_raw
from antiphon.wire.codec import Codec
from antiphon.wire.items import ContentPart, Item
from antiphon.wire.server_events import (
    InputAudioBufferCleared,
    ResponseCreated,
    ResponseOutputItemDone,
    ResponseOutputTextDelta,
    ServerEvent,
)

__all__: list[str] = []


def decode(frame: bytes) -> ServerEvent:
    event = Codec().decode(frame)
    assert isinstance(event, ServerEvent)
    return event


def test_event_made_in_code_has_no_raw_and_no_unknown_fields() -> None:
    event = InputAudioBufferCleared(event_id="e")
    assert event.raw == b""
    assert event.unknown_fields() == {}


def test_raw_is_no_field() -> None:
    event = InputAudioBufferCleared(event_id="e")
    twin = InputAudioBufferCleared(event_id="e")
    attach_raw(event, b"{}")
    assert event.raw == b"{}"
    assert event == twin
    assert repr(event) == repr(twin)
    assert msgspec.json.encode(event) == msgspec.json.encode(twin)


def test_a_variant_does_not_inherit_the_frame() -> None:
    event = decode(b'{"type":"input_audio_buffer.cleared","event_id":"e"}')
    assert event.raw != b""
    assert msgspec.structs.replace(event, event_id="f").raw == b""


def test_events_and_their_parts_are_immutable() -> None:
    event = decode(b'{"type":"response.created","response":{"id":"r"}}')
    assert isinstance(event, ResponseCreated)
    for frozen, name in ((event, "event_id"), (event.response, "id")):
        with pytest.raises(AttributeError):
            setattr(frozen, name, "x")


def test_absent_is_unset_and_null_is_none() -> None:
    event = decode(b'{"type":"response.created","response":{"conversation_id":null}}')
    assert isinstance(event, ResponseCreated)
    assert event.response.conversation_id is None
    assert event.response.id is UNSET
    assert not event.response.id


def test_unknown_fields_are_found_at_every_depth_by_path() -> None:
    event = decode(
        b'{"type":"response.output_item.done","previous_item_id":"0","response_id":"r",'
        b'"item":{"type":"message","shade":1,"content":[{"type":"hum"},{"hertz":[440]}]}}'
    )
    assert event.unknown_fields() == {
        "previous_item_id": "0",
        "item.shade": 1,
        "item.content[1].hertz": [440],
    }


def test_free_form_objects_are_not_searched() -> None:
    event = decode(b'{"type":"session.created","session":{"anything":1},"extra":null}')
    assert event.unknown_fields() == {"extra": None}


def test_null_and_string_in_place_of_an_object_are_no_unknown_fields() -> None:
    event = decode(
        b'{"type":"response.done","response":{"usage":null,"status_details":"unimplemented"}}'
    )
    assert event.unknown_fields() == {}


def test_unknown_field_that_cannot_be_parsed_raises_nothing() -> None:
    # The typed decoder skips what it does not know without looking inside.
    event = decode(b'{"type":"input_audio_buffer.cleared","x":"\xff"}')
    assert event.raw.endswith(b'"\xff"}')
    assert event.unknown_fields() == {}


def test_repr_shows_only_what_is_set() -> None:
    assert repr(ResponseOutputTextDelta(delta="a")) == "ResponseOutputTextDelta(delta='a')"
    part = ContentPart(type="output_text")
    assert repr(Item(type="message", content=[part])) == (
        "Item(type='message', content=[ContentPart(type='output_text')])"
    )


def test_type_is_readable_on_class_and_event() -> None:
    item = Item(type="message")
    assert ResponseOutputItemDone.type == "response.output_item.done"
    assert ResponseOutputItemDone(item=item).type == "response.output_item.done"


def test_unknown_event_defaults_to_no_frame() -> None:
    assert UnknownEvent(type="ping", fields={}).raw == b""
