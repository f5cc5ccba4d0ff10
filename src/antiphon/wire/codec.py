"""Events to JSON and back.

Decoding is one pass of a tagged-union decoder: no dict in between, no second look. Only what
that pass refuses is looked at again, to tell an unknown event from a broken one and to say which
response a broken one concerns. Nothing that a peer sends makes `Codec.decode` raise.

Two things are worth a path of their own, because they are nine tenths of the traffic: audio that
arrives (see `audio_delta`) and audio that is sent. Both hand the base64 to a vectorised library,
several times faster than the JSON decoder's own.
"""

import re
from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Any, NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace
from pybase64 import b64encode

from antiphon.exceptions import LocalProtocolError
from antiphon.wire.audio_delta import WORTH_IT_BYTES, AudioDeltaReader
from antiphon.wire.base import (
    UNSET,
    Malformed,
    MalformedReason,
    UnknownEvent,
    attach_raw,
)
from antiphon.wire.client_events import ClientEvent, InputAudioBufferAppend
from antiphon.wire.depth import MAX_DEPTH, SHALLOW_BYTES, is_too_deep
from antiphon.wire.dialects import GA, Dialect, translation_for
from antiphon.wire.server_events import ServerEvent
from antiphon.wire.surrogates import mend_json, mend_text, mended

__all__ = [
    "MAX_FRAME_BYTES",
    "Codec",
    "Frame",
    "Malformed",
    "MalformedReason",
    "UnknownEvent",
]

Frame: TypeAlias = bytes | bytearray | memoryview | str
"""One message as a transport hands it over."""

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""Default limit: a little above the 15 MiB that servers allow for one append."""

# What decoders raise: bad JSON or wrong types, invalid UTF-8, nesting beyond the stack.
_DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)
# ... and encoders: objects that JSON has no form for, cycles.
_ENCODE_ERRORS = (msgspec.MsgspecError, TypeError, ValueError, RecursionError)

_APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
_MISSING = re.compile(r"Object missing required field `(\w+)`")


class _Head(msgspec.Struct):
    # The least that can be read from a frame in which something is wrong.
    type: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    response_id: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"{}")


class _ResponseHead(msgspec.Struct):
    id: str | None = None


class _Reading(NamedTuple):
    # What it takes to read a server's events under one dialect.
    decoder: msgspec.json.Decoder[ServerEvent]
    ga_types: Mapping[str, str]  # type on the wire -> GA type


_head_decoder = msgspec.json.Decoder(_Head)
_object_decoder = msgspec.json.Decoder(dict[str, Any])
_str_decoder = msgspec.json.Decoder(str)
_id_decoder = msgspec.json.Decoder(str | None)
_response_head_decoder = msgspec.json.Decoder(_ResponseHead)
_encoder = msgspec.json.Encoder()


class Codec:
    """Reads a server's frames and writes a client's.

    Remembers nothing but the shape of recent audio frames, so one codec may serve many connections
    of one event loop.

    Args:
        dialect: how the server spells things; on this side events are GA events always.
        max_frame_bytes: a longer frame is not parsed but reported as `MalformedReason.TOO_LARGE`.
    """

    __slots__ = (
        "_audio_deltas",
        "_reading",
        "_translation",
        "dialect",
        "max_frame_bytes",
    )

    def __init__(self, dialect: Dialect = GA, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.dialect = dialect
        self.max_frame_bytes = max_frame_bytes
        self._translation = translation_for(dialect)
        self._reading = _reading(self._translation.server_types)
        self._audio_deltas = AudioDeltaReader(self._translation.server_types)

    def decode(self, frame: Frame) -> ServerEvent | UnknownEvent | Malformed:
        """Read one frame from a server.

        Returns the event; an `UnknownEvent` when its type is not in the catalogue; a `Malformed`
        report when it is no event. Never raises, whatever the bytes.
        """
        if (
            isinstance(frame, bytes)
            and WORTH_IT_BYTES < len(frame) <= self.max_frame_bytes
            and (event := self._audio_deltas.read(frame)) is not None
        ):
            return event
        return self._decode(frame)

    def encode(self, event: ClientEvent | UnknownEvent) -> bytes:
        """Write one event for the server, in its dialect, as UTF-8 JSON.

        Half a character, as JavaScript cuts strings, is written as U+FFFD.

        Raises:
            LocalProtocolError: the event holds something that JSON cannot express.
        """
        try:
            # `type(…) is`, where it is often asked: `isinstance` is slow on these classes.
            if type(event) is InputAudioBufferAppend:
                if event.event_id is UNSET:
                    return b"".join((_APPEND_HEAD, b64encode(event.audio), b'"}'))
                # The audio is the last field of its class, so that the frame without it ends
                # with an empty string to fill.
                without = _encoder.encode(replace(event, audio=b""))
                return b"".join((without[:-2], b64encode(event.audio), b'"}'))
            if isinstance(event, UnknownEvent):
                typed = {"type": event.type}
                return _encoder.encode(typed | event.fields | typed)
            change = self._translation.before_encode.get(type(event))
            return _encoder.encode(change(event) if change else event)
        except UnicodeEncodeError:
            return self._encode_mended(event)
        except _ENCODE_ERRORS as error:
            # Not the error's own words: they may quote the payload.
            raise LocalProtocolError(
                f"{event.type} cannot be written as JSON ({type(error).__name__})"
            ) from error

    def _encode_mended(self, event: ClientEvent | UnknownEvent) -> bytes:
        if isinstance(event, UnknownEvent):
            typed = {"type": event.type}
            return _encoder.encode(mended(msgspec.to_builtins(typed | event.fields | typed)))
        change = self._translation.before_encode.get(type(event))
        return _encoder.encode(mended(msgspec.to_builtins(change(event) if change else event)))

    def _decode(self, frame: Frame) -> ServerEvent | UnknownEvent | Malformed:
        if not isinstance(frame, bytes):
            try:
                frame = frame.encode() if isinstance(frame, str) else bytes(frame)
            except UnicodeEncodeError:
                frame = mend_text(str(frame)).encode()
        size = len(frame)
        if size > self.max_frame_bytes:
            detail = f"more than {self.max_frame_bytes} bytes"
            return Malformed(MalformedReason.TOO_LARGE, detail, size=size)
        if size > SHALLOW_BYTES and is_too_deep(frame):
            detail = f"nested more than {MAX_DEPTH} deep"
            return Malformed(MalformedReason.TOO_DEEP, detail, size=size)
        try:
            event = self._reading.decoder.decode(frame)
        except _DECODE_ERRORS as error:
            if (whole := mend_json(frame)) is not None:
                return self._decode(whole)
            return _explain(frame, error, self._reading.ga_types)
        if (change := self._translation.after_decode.get(type(event))) is not None:
            event = change(event)
        attach_raw(event, frame)
        return event


@cache
def _reading(types: tuple[type[ServerEvent], ...]) -> _Reading:
    ga_types = {str(event.__struct_config__.tag): event.type for event in types}
    union: Any = reduce(or_, types)
    return _Reading(msgspec.json.Decoder(union), ga_types)


# -- what went wrong --------------------------------------------------------------------------


def _explain(
    frame: bytes, error: Exception, ga_types: Mapping[str, str]
) -> UnknownEvent | Malformed:
    """Say what a frame is that the decoder refused with ``error``."""
    try:
        head = _head_decoder.decode(frame)
    except _DECODE_ERRORS as broken:
        return _report(frame, broken)
    if isinstance(head.type, msgspec.UnsetType):
        return Malformed(MalformedReason.NO_TYPE, "the object has no `type`", size=len(frame))
    try:
        name = _str_decoder.decode(head.type)
    except msgspec.ValidationError:
        detail = "`type` is not a string"
        return Malformed(MalformedReason.TYPE_NOT_STRING, detail, size=len(frame))
    except _DECODE_ERRORS as broken:
        return _report(frame, broken)
    if name in ga_types:
        return _report(frame, error, type=ga_types[name], head=head)
    try:
        return UnknownEvent(type=name, fields=_object_decoder.decode(frame), raw=frame)
    except _DECODE_ERRORS as broken:
        return _report(frame, broken, head=head)


def _report(
    frame: bytes, error: Exception, *, type: str | None = None, head: _Head | None = None
) -> Malformed:
    reason, detail, param = _classify(error)
    return Malformed(
        reason=reason,
        detail=detail,
        size=len(frame),
        type=type,
        response_id=None if head is None else _response_id(head),
        param=param,
    )


def _classify(error: Exception) -> tuple[MalformedReason, str, str | None]:
    """Return reason, detail and path of the field to blame. Nothing of it quotes the payload."""
    if isinstance(error, UnicodeDecodeError):
        return MalformedReason.NOT_UTF8, "the text is not valid UTF-8", None
    if isinstance(error, RecursionError):
        return MalformedReason.TOO_DEEP, "nested too deeply", None
    if not isinstance(error, msgspec.ValidationError):
        return MalformedReason.NOT_JSON, str(error), None
    what, _, path = str(error).rpartition(" - at `$")
    if not what:
        what, path = path, ""
    # "[...]" stands for a key of a free-form object.
    param = path.rstrip("`").lstrip(".").partition("[...]")[0] or None
    if what.startswith("Invalid value"):
        # Of all values only the tag is checked, and `type` was one of ours when read alone.
        return MalformedReason.WRONG_FIELD, "`type` is given more than once", "type"
    if (missing := _MISSING.match(what)) is not None:
        param = f"{param}.{missing[1]}" if param else missing[1]
        return MalformedReason.MISSING_FIELD, f"`{param}` is missing", param
    if param is None and what.startswith("Expected `object`"):
        return MalformedReason.NOT_OBJECT, what, None
    if what.startswith("Invalid base64"):
        return MalformedReason.BAD_BASE64, f"`{param}` is not base64", param
    return MalformedReason.WRONG_FIELD, f"{what} at `{param or '?'}`", param


def _response_id(head: _Head) -> str | None:
    try:
        response_id: str | None = _id_decoder.decode(head.response_id)
        if response_id is not None:
            return response_id
        response: _ResponseHead = _response_head_decoder.decode(head.response)
        return response.id
    except _DECODE_ERRORS:
        return None
