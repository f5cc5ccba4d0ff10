"""Audio deltas: two ways to read them, one answer."""

import json
from typing import Any

import pytest

from antiphon.wire.base import Malformed, MalformedReason
from antiphon.wire.codec import Codec
from antiphon.wire.server_events import (
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)

__all__: list[str] = []

codec = Codec()


def audio_frame(**changes: Any) -> dict[str, Any]:
    fields = {
        "type": "response.output_audio.delta",
        "event_id": "event_1",
        "response_id": "resp_1",
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
        "delta": "AAEC" * 400,
    }
    return fields | changes


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_audio_delta_takes_the_fast_path_in_both_spacings(separators: tuple[str, str]) -> None:
    frame = json.dumps(audio_frame(), separators=separators).encode()
    event = codec.decode(frame)
    assert event == ResponseOutputAudioDelta(
        event_id="event_1",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        delta=b"\x00\x01\x02" * 400,
    )
    assert isinstance(event, ServerEvent)
    # The fast path is the one that leaves no frame behind.
    assert event.raw == b""
    assert event.unknown_fields() == {}


@pytest.mark.parametrize(
    ("frame", "unknown"),
    [
        (audio_frame(previous_item_id=None), {"previous_item_id": None}),
        ({"x": 1} | audio_frame(), {"x": 1}),
        (audio_frame(delta="AAEC" * 400, obfuscation="abc"), {"obfuscation": "abc"}),
    ],
)
def test_audio_delta_with_unknown_fields_keeps_its_frame(
    frame: dict[str, Any], unknown: dict[str, Any]
) -> None:
    event = codec.decode(compact(frame))
    assert isinstance(event, ResponseOutputAudioDelta)
    assert event.delta == b"\x00\x01\x02" * 400
    assert event.raw == compact(frame)
    assert event.unknown_fields() == unknown


def test_audio_delta_from_a_server_that_leaves_fields_out_and_orders_them_otherwise() -> None:
    frame = b'{"response_id":"r","type":"response.output_audio.delta","delta":"' + b"AAEC" * 400
    event = codec.decode(frame + b'"}')
    assert event == ResponseOutputAudioDelta(response_id="r", delta=b"\x00\x01\x02" * 400)


LONG = b"A" * 1000
HEAD = b'{"type":"response.output_audio.delta","response_id":"r",'


@pytest.mark.parametrize(
    ("frame", "delta"),
    [
        # A later duplicate wins, whichever way the frame is read.
        (HEAD + b'"delta":"AAAA","delta":"' + LONG + b'"}', bytes(750)),
        (HEAD + b'"delta" : "AAAA","delta":"' + LONG + b'"}', bytes(750)),
        (HEAD + b'"\\u0064elta":"AAAA","delta":"' + LONG + b'"}', bytes(750)),
        # An escaped solidus is base64 once it is unescaped.
        (HEAD + b'"delta":"' + LONG + b'\\/\\/\\/\\/"}', bytes(750) + b"\xff\xff\xff"),
        (HEAD + b'"delta":"' + LONG + b'"}\n', bytes(750)),
        (HEAD + b'"delta":\t"' + LONG + b'"}', bytes(750)),
    ],
)
def test_odd_but_valid_audio_deltas_are_read_all_the_same(frame: bytes, delta: bytes) -> None:
    event = codec.decode(frame)
    assert isinstance(event, ResponseOutputAudioDelta)
    assert event.delta == delta


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (HEAD + b'"delta":"' + LONG + b'A"}', MalformedReason.BAD_BASE64),
        (HEAD + b'"delta":"' + LONG + b'-_=="}', MalformedReason.BAD_BASE64),
        (HEAD + b'"delta":"' + LONG + b'\\n"}', MalformedReason.BAD_BASE64),
        (HEAD + b'"delta":"' + LONG + b'\n"}', MalformedReason.NOT_JSON),
        (HEAD + b'"delta":"' + LONG + b"}", MalformedReason.NOT_JSON),
        (HEAD + b'"delta":"' + LONG + b'"', MalformedReason.NOT_JSON),
        (HEAD + b'"delta":"' + LONG + b"AA", MalformedReason.NOT_JSON),
        (HEAD + b'"delta":"' + LONG + b'"]', MalformedReason.NOT_JSON),
        (HEAD + b'"delta":"' + LONG + b'","x"}', MalformedReason.NOT_JSON),
        (HEAD + b'"output_index":"0","delta":"' + LONG + b'"}', MalformedReason.WRONG_FIELD),
        (HEAD + b'"x":{"delta":"' + LONG + b'"}', MalformedReason.NOT_JSON),
        (HEAD + b'"x":{"delta":"' + LONG + b'"}}', MalformedReason.MISSING_FIELD),
        (HEAD + b'"x\\"delta":"' + LONG + b'"}', MalformedReason.MISSING_FIELD),
        (HEAD + b'"x":"\\"delta\\":\\"' + LONG + b'"}', MalformedReason.MISSING_FIELD),
        (HEAD + b'"x":"' + b"y" * 703 + b'","delta":"}', MalformedReason.NOT_JSON),
    ],
)
def test_audio_deltas_that_only_look_whole_are_malformed(
    frame: bytes, reason: MalformedReason
) -> None:
    result = codec.decode(frame)
    assert isinstance(result, Malformed)
    assert result.reason is reason


def test_the_quote_that_opens_the_audio_does_not_also_close_it() -> None:
    # Long enough for the fast path and cut inside the opening quote.
    start = HEAD + b'"item_id":"' + b"y" * (768 - len(HEAD) - 11 - 2 - 9)
    frame = start + b'","delta":"}'
    assert frame.find(b'"delta":"') + 9 == 768 == len(frame) - 1
    result = codec.decode(frame)
    assert isinstance(result, Malformed)
    assert result.reason is MalformedReason.NOT_JSON


def test_long_frames_of_other_types_with_a_delta_are_read() -> None:
    text = "word " * 400
    event = codec.decode(compact({"type": "response.output_text.delta", "delta": text}))
    assert event == ResponseOutputTextDelta(delta=text)
