"""The short way through an audio delta: whatever it remembers, it reads what a parser reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.wire.audio_delta import AudioDeltaReader
from antiphon.wire.codec import Codec
from antiphon.wire.server_events import SERVER_EVENTS, ResponseOutputAudioDelta
from tests.helpers.server_codec import ServerCodec

__all__: list[str] = []

PCM = bytes(range(256)) * 4
SERVER = ServerCodec()
TYPES: tuple[Any, ...] = tuple(getattr(SERVER_EVENTS, "values", lambda: SERVER_EVENTS)())


def delta(event_id: str = "event_" + "a" * 21, response_id: str = "resp_1", **other: Any) -> bytes:
    fields: dict[str, Any] = {
        "item_id": "item_1",
        "output_index": 0,
        "content_index": 0,
        "delta": PCM,
    }
    return SERVER.encode(
        ResponseOutputAudioDelta(event_id=event_id, response_id=response_id, **(fields | other))
    )


def fresh(frame: bytes) -> Any:
    return Codec().decode(frame)


def test_a_head_that_comes_again_is_read_from_memory() -> None:
    reader = AudioDeltaReader(TYPES)
    first = delta("event_" + "a" * 21)
    again = delta("event_" + "b" * 21, delta=PCM[::-1])
    assert reader.read(first) == fresh(first)
    reader._decoder = None  # type: ignore[assignment]
    event = reader.read(again)
    assert event is not None
    assert (event.event_id, event.response_id) == ("event_" + "b" * 21, "resp_1")
    assert event.delta == PCM[::-1]
    assert event.raw == b""


@pytest.mark.parametrize(
    "event_id",
    ["event_" + "b" * 20 + '"', "event_" + "b" * 20 + "\\", "event_" + "b" * 20 + "é", "x" * 27],
)
def test_an_id_of_other_characters_takes_the_long_way(event_id: str) -> None:
    codec = Codec()
    codec.decode(delta())
    frame = delta(event_id)
    assert codec.decode(frame) == fresh(frame)


def test_a_raw_quote_in_the_place_of_an_id_is_no_event() -> None:
    codec = Codec()
    codec.decode(delta())
    broken = delta("event_" + "b" * 21).replace(b"b" * 21, b"b" * 20 + b'"')
    assert codec.decode(broken) == fresh(broken)
    assert type(codec.decode(broken)).__name__ == "Malformed"


def test_ids_of_another_length_replace_what_was_remembered() -> None:
    codec = Codec()
    frames = [delta("event_" + letter * size) for size in (21, 5, 21) for letter in "ab"]
    assert [codec.decode(frame) for frame in frames] == [fresh(frame) for frame in frames]


def test_a_second_event_id_is_never_taken_for_the_first() -> None:
    codec = Codec()
    twice = delta().replace(b'"item_id":', b'"event_id":"event_' + b"z" * 21 + b'","item_id":')
    other = twice.replace(b"a" * 21, b"c" * 21)
    assert [codec.decode(one) for one in (twice, other)] == [fresh(one) for one in (twice, other)]


def test_a_field_that_is_new_in_a_known_layout_is_kept() -> None:
    codec = Codec()
    codec.decode(delta())
    extended = delta("event_" + "b" * 21).replace(b'"item_id":', b'"extra":1,"item_id":')
    event = codec.decode(extended)
    assert isinstance(event, ResponseOutputAudioDelta)
    assert event.unknown_fields() == {"extra": 1}


@pytest.mark.parametrize("end", [b'"', b'"}}', b"", b'="}', b'!"}', b'"} '])
def test_a_known_head_does_not_vouch_for_the_rest(end: bytes) -> None:
    codec = Codec()
    codec.decode(delta())
    broken = delta("event_" + "b" * 21)[:-2] + end
    assert codec.decode(broken) == fresh(broken)


def test_a_known_head_with_nothing_behind_it_is_no_event() -> None:
    reader = AudioDeltaReader(TYPES)
    reader.read(delta())
    head = delta("event_" + "b" * 21).partition(b'"delta":"')[0] + b'"delta":"'
    assert reader.read(head + b"}") is None
    assert reader.read(head) is None


def test_memory_of_heads_is_bounded() -> None:
    reader = AudioDeltaReader(TYPES)
    for number in range(1000):
        event = reader.read(delta(response_id=f"resp_{number}"))
        assert event is not None
        assert event.response_id == f"resp_{number}"
    assert len(reader._known) <= 256


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["event_" + "a" * 21, "event_" + "b" * 21, "event_x", "e", 'event_"']),
            st.sampled_from(["resp_1", "resp_2", 'resp_"', ""]),
            st.binary(min_size=1, max_size=3).map(lambda cut: PCM + cut),
            st.integers(0, 1),
            st.sampled_from([b"", b" ", b"x"]),
        ),
        max_size=12,
    )
)
def test_memory_never_changes_what_is_read(
    told: list[tuple[str, str, bytes, int, bytes]],
) -> None:
    codec = Codec()
    for event_id, response_id, pcm, index, junk in told:
        frame = delta(event_id, response_id, delta=pcm, output_index=index) + junk
        assert codec.decode(frame) == fresh(frame)
