"""Half a character, in either direction."""

import json

import pytest

from antiphon.wire.base import Malformed, MalformedReason, UnknownEvent
from antiphon.wire.client_events import ConversationItemCreate, SessionUpdate
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import BETA
from antiphon.wire.items import ContentPart, Item
from antiphon.wire.server_events import ResponseDone, ResponseOutputTextDelta
from antiphon.wire.surrogates import mend_json, mend_text

__all__: list[str] = []

HALVES = [
    (r"\ud83d", "�"),
    (r"\uDE00", "�"),
    (r"so \ud83d", "so �"),
    (r"\ud83d\u0041", "�A"),
    (r"\ud83d\ud83d\ude00", "�😀"),
    (r"\ude00\ud83d", "��"),
    (r"\\ud83d\ude00", "\\ud83d�"),
    (r"\\\ud83d", "\\�"),
    (r"\n\uD83D\"", '\n�"'),
]


@pytest.mark.parametrize(("written", "read"), HALVES)
def test_half_a_character_is_read_as_a_replacement(written: str, read: str) -> None:
    frame = f'{{"type":"response.output_text.delta","response_id":"r","delta":"{written}"}}'
    event = Codec().decode(frame.encode())
    assert isinstance(event, ResponseOutputTextDelta) and event.delta == read
    assert event.unknown_fields() == {}
    unknown = Codec().decode(f'{{"type":"x.new","words":"{written}"}}'.encode())
    assert isinstance(unknown, UnknownEvent) and unknown.fields["words"] == read


def test_half_a_character_does_not_hide_the_end_of_a_response() -> None:
    item = r'{"type":"message","content":[{"type":"output_text","text":"\ud83d"}]}'
    frame = f'{{"type":"response.done","response":{{"id":"r","output":[{item}]}}}}'
    event = Codec().decode(frame.encode())
    assert isinstance(event, ResponseDone) and event.response.id == "r"
    assert event.response.output and event.response.output[0].content
    assert event.response.output[0].content[0].text == "�"


def test_what_else_is_wrong_is_still_told() -> None:
    event = Codec().decode(rb'{"type":"response.output_text.delta","delta":"\ud83d","x":}')
    assert isinstance(event, Malformed) and event.reason is MalformedReason.NOT_JSON
    assert isinstance(Codec().decode(rb'{"type":"error","error":"\ud83d"}'), Malformed)


def test_a_text_frame_may_hold_half_a_character_itself() -> None:
    event = Codec().decode('{"type":"response.output_text.delta","delta":"\ud83d"}')
    assert isinstance(event, ResponseOutputTextDelta) and event.delta == "�"


@pytest.mark.parametrize("frame", [b'"\\ud83d\\ude00"', b'"\\\\ud83d"', b'"plain"', b"\\"])
def test_whole_characters_are_left_alone(frame: bytes) -> None:
    assert mend_json(frame) is None


@pytest.mark.parametrize(
    ("text", "whole"),
    [("\ud83d", "�"), ("a\ude00b", "a�b"), ("\ud83d\ude00", "😀"), ("a😀", "a😀")],
)
def test_text_is_mended(text: str, whole: str) -> None:
    assert mend_text(text) == whole


@pytest.mark.parametrize("codec", [Codec(), Codec(BETA)])
def test_half_a_character_is_written_as_a_replacement(codec: Codec) -> None:
    item = Item(
        type="message", role="user", content=[ContentPart(type="input_text", text="so \ud83d")]
    )
    plain = Item(type="message", role="user", content=[ContentPart(type="input_text", text="so �")])
    written = json.loads(codec.encode(ConversationItemCreate(event_id="e", item=item)))
    assert written == json.loads(codec.encode(ConversationItemCreate(event_id="e", item=plain)))
    tools = [{"type": "function", "name": "f", "description": "\ud83d", "n": (1, "\ude00")}]
    session = json.loads(codec.encode(SessionUpdate(session={"tools": tools})))["session"]
    assert session["tools"][0] == {
        "type": "function",
        "name": "f",
        "description": "�",
        "n": [1, "�"],
    }
    own = json.loads(codec.encode(UnknownEvent("x.own", {"words": "\ud83d", "\ude00": 1})))
    assert own == {"type": "x.own", "words": "�", "�": 1}
