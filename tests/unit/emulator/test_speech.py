"""Audio that says whose it is."""

import random
from array import array

import pytest

from antiphon.emulator.audio import speech
from antiphon.emulator.audio.formats import PCM16, PCMA, PCMU, AudioFormat
from antiphon.emulator.audio.speech import Mark, Span, identify, spans, synthesize, tag_of

__all__: list[str] = []

FORMATS = [PCM16, PCMU, PCMA]
TAG = tag_of("resp_a")


@pytest.mark.parametrize("audio", FORMATS, ids=lambda audio: audio.name)
def test_whole_audio_is_one_span(audio: AudioFormat) -> None:
    assert spans(synthesize("resp_a", 0, 500, audio), audio) == [Span(TAG, 0, 500)]


@pytest.mark.parametrize("audio", FORMATS, ids=lambda audio: audio.name)
def test_pieces_join_without_a_seam(audio: AudioFormat) -> None:
    pieces = [synthesize("resp_a", at, 70, audio) for at in range(0, 2100, 70)]
    assert b"".join(pieces) == synthesize("resp_a", 0, 2100, audio)


def test_every_millisecond_is_marked() -> None:
    marks = identify(synthesize("resp_a", 1234, 300))
    assert marks == [Mark(TAG, index) for index in range(1234, 1534)]


def test_g711_is_marked_every_ten_milliseconds() -> None:
    marks = identify(synthesize("resp_a", 50, 100, PCMU), PCMU)
    assert marks == [Mark(TAG, index) for index in range(50, 150, 10)]


def test_missing_doubled_and_foreign_audio_is_seen() -> None:
    a, b = synthesize("resp_a", 0, 300), synthesize("resp_b", 0, 300)
    ms = 48
    received = a[: 100 * ms] + b[: 50 * ms] + a[90 * ms : 200 * ms] + a[210 * ms :]
    assert spans(received) == [
        Span(TAG, 0, 100),
        Span(tag_of("resp_b"), 0, 50),
        Span(TAG, 90, 200),
        Span(TAG, 210, 300),
    ]


def test_audio_without_marks_is_told_apart() -> None:
    assert spans(bytes(48 * 20)) == [Span(None, 0, 20)]
    data = synthesize("resp_a", 0, 10) + bytes(48 * 5)
    assert spans(data) == [Span(TAG, 0, 10), Span(None, 10, 15)]


def test_one_changed_sample_spoils_its_millisecond() -> None:
    data = bytearray(synthesize("resp_a", 0, 10))
    data[48 * 3] ^= 1
    found = [mark is None for mark in identify(bytes(data))]
    assert found == [False] * 3 + [True] + [False] * 6


def test_shifted_audio_is_not_taken_for_whole() -> None:
    data = synthesize("resp_a", 0, 100)[2:]
    assert sum(mark is not None for mark in identify(data)) <= 2


def test_part_of_a_block_is_ignored() -> None:
    assert spans(synthesize("resp_a", 0, 3)[:-1]) == [Span(TAG, 0, 2)]


def test_tags_differ() -> None:
    rng = random.Random(1)
    ids = {f"resp_{rng.getrandbits(100):x}" for _ in range(20_000)}
    assert len({tag_of(one) for one in ids}) == len(ids)
    assert all(0 <= tag_of(one) < 1 << 36 for one in ids)


def test_it_is_a_soft_tone_and_the_marks_are_far_below_it() -> None:
    samples = array("h", synthesize("resp_a", 0, 1000))
    assert 1000 < max(samples) < 2000
    assert max(abs(sample) for sample in samples) < 2000
    again = array("h", synthesize("resp_a", 200, 200))
    once = array("h", synthesize("resp_a", 0, 200))
    assert max(abs(x - y) for x, y in zip(once, again, strict=True)) < 8


def test_user_voice_has_the_length_it_was_asked_for() -> None:
    assert len(speech.user_voice(250)) == 48 * 250
    assert len(speech.user_voice(250, rate=8000)) == 16 * 250
    assert spans(speech.user_voice(100)) == [Span(None, 0, 100)]


@pytest.mark.parametrize("start", [0, 4066, 8191, 2**24 - 7])
def test_marks_count_on_over_every_boundary(start: int) -> None:
    marks = identify(synthesize("resp_a", start, 100))
    assert marks == [Mark(TAG, (start + n) % 2**24) for n in range(100)]
