"""Whatever is sent arrives; whatever arrives is answered without an exception.

The events are made from the classes' own annotations, so a new event or field is covered as soon
as it exists.
"""

import json
from functools import cache
from typing import Any, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.base import UNSET, Event, Malformed, UnknownEvent, UnsetType
from antiphon.wire.client_events import CLIENT_EVENTS, ClientEvent, ResponseCreateParams
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import BETA, GA, session_from_beta, session_to_beta
from antiphon.wire.items import ContentPart, ResponseResource
from antiphon.wire.server_events import (
    SERVER_EVENTS,
    ConversationItemCreated,
    ResponseOutputAudioDelta,
    ServerEvent,
)
from tests.helpers.server_codec import ServerCodec

__all__: list[str] = []

CODECS = {dialect: Codec(dialect) for dialect in (GA, BETA)}
SERVERS = {dialect: ServerCodec(dialect) for dialect in (GA, BETA)}
ga = CODECS[GA]

texts = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
# Around the length from which audio deltas are taken apart by hand.
audio = st.binary(max_size=40) | st.binary(min_size=450, max_size=700)

# Sessions and per-response audio in GA terms: what both dialects can say. Formats that one of
# them would normalise are left to the unit tests.
formats = st.sampled_from([{"type": "audio/pcm", "rate": 24000}, {"type": "audio/pcmu"}])
outputs = st.fixed_dictionaries({"output": st.fixed_dictionaries({"voice": texts})})
sessions = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={
        "model": texts,
        "instructions": texts,
        "output_modalities": st.sampled_from([["audio"], ["text"]]),
        "max_output_tokens": st.integers(1, 4096) | st.just("inf"),
        "audio": st.fixed_dictionaries(
            {"input": st.fixed_dictionaries({"format": formats, "turn_detection": json_values})}
        )
        | outputs,
        "tools": st.lists(st.dictionaries(texts, json_values, max_size=2), max_size=2),
    },
)


def field_values(struct: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> Any:
    match field.name:
        case "session":
            return sessions
        case "output_modalities":
            return st.sampled_from([UNSET, None, ["audio"], ["text"]])
        case "audio" if struct in (ResponseResource, ResponseCreateParams):
            return st.sampled_from([UNSET, None]) | outputs
        case "type" if struct is ContentPart:
            return st.sampled_from(["input_text", "output_text", "output_audio", "hologram"])
        case _:
            return values_of(field.type)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation is UnsetType:
        return st.just(UNSET)
    if annotation is type(None):
        return st.none()
    if annotation is Any:
        return json_values
    if annotation is bytes:
        return audio
    if annotation is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return structs(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(texts, values_of(arguments[1]), max_size=2)
    if arguments:
        return st.one_of([values_of(argument) for argument in arguments])
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: texts,
        int: st.integers(-(2**63), 2**64 - 1),
        bool: st.booleans(),
    }
    return simple[annotation]


@cache
def structs(struct: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    fields = {f.name: field_values(struct, f) for f in msgspec.structs.fields(struct)}
    return st.builds(struct, **fields)


server_events = st.one_of([structs(event) for event in SERVER_EVENTS])
client_events = st.one_of([structs(event) for event in CLIENT_EVENTS])
dialects = st.sampled_from([GA, BETA])


def assert_is_answer(result: object, expected: type[Event]) -> None:
    assert isinstance(result, expected | UnknownEvent | Malformed)
    if isinstance(result, Event):
        assert type(result) in SERVER_EVENTS
        assert isinstance(result.unknown_fields(), dict)


# -- round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", [GA, BETA])
@given(event=server_events)
def test_server_events_survive(dialect: Any, event: ServerEvent) -> None:
    codec = CODECS[dialect]
    if dialect is BETA and isinstance(event, ConversationItemCreated):
        return  # in beta that is what ConversationItemAdded is called
    result = codec.decode(SERVERS[dialect].encode(event))
    assert result == event
    assert type(result) is type(event)


@pytest.mark.parametrize("dialect", [GA, BETA])
@given(event=client_events)
def test_client_events_survive(dialect: Any, event: ClientEvent) -> None:
    codec = CODECS[dialect]
    result = SERVERS[dialect].decode(codec.encode(event))
    assert result == event
    assert type(result) is type(event)


@given(event=server_events, frame_name=texts, value=json_values)
def test_unknown_fields_survive(event: ServerEvent, frame_name: str, value: Any) -> None:
    name = f"x_{frame_name}"
    frame = json.loads(SERVERS[GA].encode(event)) | {name: value}
    result = ga.decode(json.dumps(frame))
    assert result == event
    assert isinstance(result, ServerEvent)
    assert result.unknown_fields() == {name: value}


@given(fields=st.dictionaries(texts, json_values, max_size=4), name=texts)
def test_unknown_events_survive(fields: dict[str, Any], name: str) -> None:
    event = UnknownEvent(f"x.{name}", {**fields, "type": f"x.{name}"})
    frame = ga.encode(event)
    assert ga.decode(frame) == msgspec.structs.replace(event, raw=frame)


@given(session=sessions)
def test_sessions_survive_flattening(session: dict[str, Any]) -> None:
    assert session_from_beta(session_to_beta(session)) == session


@given(session=st.dictionaries(texts | st.sampled_from(["audio", "modalities"]), json_values))
def test_no_session_is_too_odd_to_translate(session: dict[str, Any]) -> None:
    assert isinstance(session_to_beta(session_from_beta(session)), dict)
    assert isinstance(session_from_beta(session_to_beta(session)), dict)


# -- hostile frames --------------------------------------------------------------------------------


@given(dialect=dialects, frame=st.binary(max_size=200) | st.text(max_size=200))
def test_random_bytes_never_raise(dialect: Any, frame: bytes | str) -> None:
    assert_is_answer(CODECS[dialect].decode(frame), ServerEvent)


@st.composite
def mutated(draw: st.DrawFn, frames: st.SearchStrategy[bytes]) -> bytes:
    """A valid frame with a few bytes overwritten, cut out, doubled or put in."""
    frame = bytearray(draw(frames))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(frame)))
        end = draw(st.integers(start, min(len(frame), start + 20)))
        new = draw(
            st.binary(max_size=3)
            | st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b",", b":", b"null", b"1e999", b" "])
            | st.just(bytes(frame[start:end]) * 2)
        )
        frame[start:end] = new
    return bytes(frame)


@given(dialect=dialects, frame=mutated(server_events.map(SERVERS[GA].encode)))
def test_mutated_server_frames_never_raise(dialect: Any, frame: bytes) -> None:
    assert_is_answer(CODECS[dialect].decode(frame), ServerEvent)


@given(dialect=dialects, frame=mutated(client_events.map(ga.encode)))
def test_frames_of_a_client_sent_back_never_raise(dialect: Any, frame: bytes) -> None:
    assert_is_answer(CODECS[dialect].decode(frame), ServerEvent)


@given(
    dialect=dialects,
    name=st.sampled_from([event.type for event in (*SERVER_EVENTS, *CLIENT_EVENTS)]),
    fields=st.dictionaries(
        st.sampled_from(
            ["response", "item", "delta", "session", "error", "response_id", "part", "audio"]
        ),
        json_values
        | st.fixed_dictionaries(
            {}, optional={"id": json_values, "type": json_values, "content": json_values}
        ),
    ),
)
def test_fields_of_any_type_never_raise(dialect: Any, name: str, fields: dict[str, Any]) -> None:
    frame = json.dumps({"type": name, **fields}).encode()
    result = CODECS[dialect].decode(frame)
    assert_is_answer(result, ServerEvent)
    if isinstance(result, Malformed) and isinstance(fields.get("response_id"), str):
        assert result.response_id == fields["response_id"]


# -- two ways to read audio, one answer ------------------------------------------------------------

keys = st.sampled_from(
    ["delta", "type", "event_id", "response_id", "item_id", "output_index", "x", 'x"delta', "del\\"]
)
tokens = st.sampled_from(
    [
        '"delta"', ":", '"', "A" * 800, "AAEC" * 200, "}", "{", ",", " ", "\\", '"}', "=", "\n",
        '"type":"response.output_audio.delta"', '"type":"response.audio.delta"', '"delta":"',
        '"delta": "', '"response_id":"r"', '"output_index":0', '"x":null', "null", "\xff",
    ]
)  # fmt: skip


# A few fields that fit, or now and then one that may not.
sound = st.sampled_from([("response_id", "r"), ("item_id", None), ("output_index", 3)])
some_fields: st.SearchStrategy[list[tuple[str, Any]]] = (
    st.just([])
    | st.lists(sound, max_size=3)
    | st.lists(st.tuples(keys, json_values), min_size=1, max_size=2)
)


@st.composite
def near_audio_deltas(draw: st.DrawFn) -> bytes:
    """Frames that are audio deltas, nearly so, or only look it."""
    ga_name, beta_name = "response.output_audio.delta", "response.audio.delta"
    name = draw(st.sampled_from([ga_name, ga_name, beta_name, "error"]))
    payloads = ["A" * 800, "AAEC" * 200, "AAEC" * 200 + "AA==", "A" * 801]
    fields: list[tuple[str, Any]] = [
        *draw(some_fields),
        ("type", name),
        *draw(st.just([]) | st.just([("delta", "AA==")]) | some_fields),
        ("delta", draw(st.sampled_from(payloads))),
        *draw(st.just([]) | some_fields),
    ]
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": ")]))
    body = comma.join(f"{json.dumps(key)}{colon}{json.dumps(value)}" for key, value in fields)
    return f"{{{body}}}".encode()


def read_both_ways(codec: Codec, frame: bytes) -> tuple[object, object]:
    """Decode as a whole, and by the general decoder alone."""
    general = codec._decode(frame)
    return codec.decode(frame), general


def assert_same_reading(fast: object, general: object) -> None:
    assert type(fast) is type(general)
    assert fast == general
    if isinstance(fast, ServerEvent) and isinstance(general, ServerEvent):
        # No frame kept only where there was nothing more in it.
        assert fast.unknown_fields() == general.unknown_fields()


@given(
    dialect=dialects,
    frame=near_audio_deltas()
    | near_audio_deltas()
    | mutated(near_audio_deltas())
    | st.lists(tokens, max_size=14).map(lambda parts: ("{" + "".join(parts)).encode("latin-1")),
)
def test_fast_and_general_reading_agree(dialect: Any, frame: bytes) -> None:
    assert_same_reading(*read_both_ways(CODECS[dialect], frame))


@given(event=structs(ResponseOutputAudioDelta), dialect=dialects, spaced=st.booleans())
def test_fast_and_general_reading_agree_on_real_audio(
    event: ResponseOutputAudioDelta, dialect: Any, spaced: bool
) -> None:
    codec = CODECS[dialect]
    frame = SERVERS[dialect].encode(event)
    if spaced:
        frame = json.dumps(json.loads(frame)).encode()
    fast, general = read_both_ways(codec, frame)
    assert fast == event
    assert_same_reading(fast, general)
    if len(frame) > 800:
        assert isinstance(fast, ServerEvent)
        assert fast.raw == b"" or b'"delta"' not in frame[:768]
