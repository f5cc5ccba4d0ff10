"""Frames that are no events: reported, never raised, and never quoted."""

import json

import pytest

from antiphon.wire.base import Malformed, MalformedReason
from antiphon.wire.codec import MAX_FRAME_BYTES, Codec, Frame
from antiphon.wire.server_events import ResponseOutputAudioDelta

__all__: list[str] = []

codec = Codec()


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


TEXT = b'{"type":"response.output_text.delta","response_id":"r","delta":'


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", MalformedReason.NOT_JSON),
        (b"{", MalformedReason.NOT_JSON),
        (b"\x00\x01\x02\x03", MalformedReason.NOT_JSON),
        (b"\xef\xbb\xbf{}", MalformedReason.NOT_JSON),
        (b'{"type":"error","error":{}} {}', MalformedReason.NOT_JSON),
        (b'{"type":"error","error":{"code":NaN}}', MalformedReason.NOT_JSON),
        (b"[]", MalformedReason.NOT_OBJECT),
        (b"null", MalformedReason.NOT_OBJECT),
        (b'"error"', MalformedReason.NOT_OBJECT),
        (b"{}", MalformedReason.NO_TYPE),
        (b'{"error":{}}', MalformedReason.NO_TYPE),
        (b'{"type":1}', MalformedReason.TYPE_NOT_STRING),
        (b'{"type":null}', MalformedReason.TYPE_NOT_STRING),
        (b'{"type":["error"]}', MalformedReason.TYPE_NOT_STRING),
        (b'{"type":1e999}', MalformedReason.TYPE_NOT_STRING),
        (b'{"type":"\xff"}', MalformedReason.NOT_UTF8),
        (TEXT + b'"\xff"}', MalformedReason.NOT_UTF8),
        (TEXT + b'"\xed\xa0\x80"}', MalformedReason.NOT_UTF8),
        (b'{"type":"pong","x":"\xff"}', MalformedReason.NOT_UTF8),
        (b'{"a":' * 100_000, MalformedReason.TOO_DEEP),
        (b'{"type":"pong","x":' + b"[" * 5000 + b"]" * 5000 + b"}", MalformedReason.TOO_DEEP),
        (TEXT + b"1}", MalformedReason.WRONG_FIELD),
        (TEXT + b"null}", MalformedReason.WRONG_FIELD),
        (TEXT + b'"x","output_index":' + b"1" * 5000 + b"}", MalformedReason.WRONG_FIELD),
        (TEXT + b'"x","output_index":1.5}', MalformedReason.WRONG_FIELD),
        (b'{"type":"pong","x":1e999}', MalformedReason.WRONG_FIELD),
        (b'{"type":"pong","type":"error","error":{}}', MalformedReason.WRONG_FIELD),
        (b'{"type":"response.done"}', MalformedReason.MISSING_FIELD),
        (b'{"type":"response.output_audio.delta","delta":"A"}', MalformedReason.BAD_BASE64),
    ],
    ids=lambda value: str(value)[:40],
)
def test_broken_frames_are_reported(frame: Frame, reason: MalformedReason) -> None:
    result = codec.decode(frame)
    assert isinstance(result, Malformed)
    assert result.reason is reason
    assert result.detail
    assert result.size == len(frame)


@pytest.mark.parametrize(
    ("frame", "kind", "response_id", "param"),
    [
        (TEXT + b"1}", "response.output_text.delta", "r", "delta"),
        (TEXT + b'"\xff"}', "response.output_text.delta", "r", None),
        (
            b'{"type":"response.done","response":{"id":"r","output":[{"type":1}]}}',
            "response.done",
            "r",
            "response.output[0].type",
        ),
        (
            b'{"type":"response.output_item.done","response_id":"r","item":{}}',
            "response.output_item.done",
            "r",
            "item.type",
        ),
        (
            b'{"type":"response.output_audio.delta","response_id":"r","delta":"!"}',
            "response.output_audio.delta",
            "r",
            "delta",
        ),
        (
            b'{"type":"session.created","session":{"a":{"b":1e999}}}',
            "session.created",
            None,
            "session",
        ),
        (b'{"type":"pong","response_id":"r","x":1e999}', None, "r", None),
        (b'{"type":"response.done","response":{"id":5}}', "response.done", None, "response.id"),
        (b'{"type":"response.done","response":[]}', "response.done", None, "response"),
        (
            b'{"type":"response.output_text.done","response_id":5}',
            "response.output_text.done",
            None,
            "response_id",
        ),
        (b'{"type":"error","type":"error","error":1}', "error", None, "error"),
        (b'{"type":"pong","type":"error","error":{}}', "error", None, "type"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_report_names_type_response_and_field_where_they_can_be_read(
    frame: bytes, kind: str | None, response_id: str | None, param: str | None
) -> None:
    result = codec.decode(frame)
    assert isinstance(result, Malformed)
    assert (result.type, result.response_id, result.param) == (kind, response_id, param)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"secret","type":"error","error":{}}',
        b'{"type":"secret - at `$.secret","type":"error","error":{}}',
        b'{"type":"error","error":{"code":"secret","param":1}}',
        b'{"type":"session.created","session":{"secret":1e999}}',
        b'{"type":"secret","secret":1e999}',
        b'{"type":"error","error":"secret"}',
        b'{"type":"error","secret":{},"error":"\xffsecret"}',
        b"secret",
        b'{"type":"response.output_audio.delta","delta":"secret!"}',
        b'{"type":"response.created","response":{"metadata":"secret"}}',
    ],
)
def test_report_quotes_nothing_of_the_payload(frame: bytes) -> None:
    result = codec.decode(frame)
    assert isinstance(result, Malformed)
    assert "secret" not in repr(result)


def test_frame_may_be_as_long_as_the_limit_and_no_longer() -> None:
    small = Codec(max_frame_bytes=1000)
    head, tail = b'{"type":"response.output_audio.delta","delta":"', b'"}'
    room = (1000 - len(head + tail)) // 4 * 4
    fits = b" " * (1000 - len(head + tail) - room) + head + b"A" * room + tail
    assert len(fits) == 1000
    assert isinstance(small.decode(fits), ResponseOutputAudioDelta)
    for frame in (b" " + fits, (b" " + fits).decode(), fits + b" "):
        result = small.decode(frame)
        assert isinstance(result, Malformed)
        assert (result.reason, result.size) == (MalformedReason.TOO_LARGE, 1001)


def test_default_limit_admits_the_largest_append_that_servers_take() -> None:
    assert MAX_FRAME_BYTES == codec.max_frame_bytes > 15 * 1024 * 1024
