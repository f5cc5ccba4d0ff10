"""How deeply JSON may be nested, on whatever Python."""

import json

import pytest

from antiphon.wire.base import Malformed, MalformedReason, UnknownEvent
from antiphon.wire.codec import Codec
from antiphon.wire.depth import MAX_DEPTH, SHALLOW_BYTES, is_too_deep

__all__: list[str] = []


def arrays(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def objects(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


@pytest.mark.parametrize("nested", [arrays, objects])
def test_the_limit_is_exact(nested: object) -> None:
    assert callable(nested)
    assert not is_too_deep(nested(MAX_DEPTH))
    assert is_too_deep(nested(MAX_DEPTH + 1))


def test_what_is_wide_is_not_deep() -> None:
    wide = b"[" + b",".join([arrays(MAX_DEPTH - 1)] * 20) + b"]"
    assert not is_too_deep(wide)
    assert is_too_deep(b"[" + wide + b"]")


def test_brackets_within_strings_do_not_count() -> None:
    words = json.dumps(["[" * 1000 + '\\"{' + "\\" + '"' + "{" * 1000, "]}"]).encode()
    assert not is_too_deep(words)


@pytest.mark.parametrize("frame", [b'{"a":' * 100_000, b"[" * 1000, b'"' + b"\\" * 999])
def test_what_never_ends_is_judged_all_the_same(frame: bytes) -> None:
    assert is_too_deep(frame) is not frame.startswith(b'"')


def test_a_short_frame_cannot_be_too_deep() -> None:
    assert len(arrays(MAX_DEPTH)) == SHALLOW_BYTES
    assert not is_too_deep(arrays(MAX_DEPTH))


@pytest.mark.parametrize("depth", [MAX_DEPTH, 495, 900, 5000])
def test_the_codec_reports_what_is_nested_deeper(depth: int) -> None:
    frame = b'{"type":"scooby","x":' + arrays(depth) + b"}"
    assert isinstance(event := Codec().decode(frame), Malformed)
    assert event.reason is MalformedReason.TOO_DEEP
    assert event.size == len(frame)


def test_the_codec_reads_what_is_nested_just_so_deep() -> None:
    frame = b'{"type":"scooby","x":' + arrays(MAX_DEPTH - 1) + b"}"
    assert isinstance(Codec().decode(frame), UnknownEvent)
