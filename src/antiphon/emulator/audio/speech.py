"""Output audio that says in its own samples which response it belongs to.

What is heard is a soft pulsing tone, one of a dozen pitches by response. What can be read
back is a *mark* in each block of audio:

- `audio/pcm` (24 kHz, PCM16 LE): a block is 1 ms = 24 samples. The lowest 3 bits of each sample
  hold 3 bits of the mark, so that all 72 bits are in every millisecond (the noise is below -70 dB).
- `audio/pcmu`, `audio/pcma` (8 kHz): a block is 10 ms = 80 codes. The lowest bit of each of the
  first 72 codes holds one bit of the mark.

A mark is 36 bits *tag* (of the response id), 24 bits *index* (milliseconds since the start of that
response's audio; it runs on through all its items) and 12 bits check (of tag and index). Bits are
stored from the highest to the lowest. A test can so tell for every millisecond it received which
response it is of, and that none is missing, doubled or out of place.
"""

import math
import sys
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import add

from antiphon.emulator.audio.formats import PCM16, AudioFormat, encode_g711

__all__ = [
    "Mark",
    "Span",
    "block_ms",
    "identify",
    "marked",
    "spans",
    "synthesize",
    "tag_of",
    "user_voice",
]

_TAG_BITS, _INDEX_BITS, _CHECK_BITS = 36, 24, 12
_MARK_BITS = _TAG_BITS + _INDEX_BITS + _CHECK_BITS
_PERIOD_MS = 200
_PITCHES_HZ = (220, 245, 275, 295, 330, 370, 415, 440, 495, 555, 590, 660)
_AMPLITUDE = 1800
_CHECK_FACTOR = 0x9E3779B1
_G711_BLOCK = 80
_EVEN = bytes(code & 0xFE for code in range(256))


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a block of audio belongs: the response's tag, and its millisecond therein."""

    tag: int
    index: int


@dataclass(frozen=True, slots=True)
class Span:
    """An unbroken run of audio of one response, from `start_ms` to `end_ms` (exclusive).

    A span with `tag` None is audio that carries no mark; its times count from the start of
    what was given to `spans`.
    """

    tag: int | None
    start_ms: int
    end_ms: int


@lru_cache(maxsize=4096)
def tag_of(response_id: str) -> int:
    """The tag that the audio of this response carries (36 bits)."""
    data = response_id.encode()
    return (zlib.crc32(data) << 4) | (zlib.crc32(data[::-1]) & 0xF)


def block_ms(audio: AudioFormat) -> int:
    """Milliseconds of audio that carry one mark."""
    return 1 if audio.sample_bytes == 2 else 10


def synthesize(
    response_id: str, start_ms: int, length_ms: int, audio: AudioFormat = PCM16
) -> bytes:
    """The audio of a response from `start_ms`, `length_ms` long.

    Args:
        response_id: whose audio this is.
        start_ms: position in the response's audio; for G.711 a multiple of 10.
        length_ms: how much; for G.711 a multiple of 10.
        audio: the output format.

    Returns:
        Samples in that format: PCM16 little-endian mono, or G.711 codes.
    """
    tag = tag_of(response_id)
    if audio.sample_bytes == 1:
        return _synthesize_g711(tag, start_ms, length_ms, audio)
    tone = _tone_as_int(_PITCHES_HZ[tag % len(_PITCHES_HZ)], start_ms % _PERIOD_MS, length_ms)
    bits = _pcm_marks(tag, start_ms, length_ms)
    # The tone has its lowest three bits clear, so that adding the mark is one OR.
    merged = tone | int.from_bytes(bits, "little")
    return merged.to_bytes(len(bits), "little")


def marked(sound: bytes, response_id: str, start_ms: int, audio: AudioFormat = PCM16) -> bytes:
    """Put a response's marks into audio of one's own; what is changed cannot be heard.

    Args:
        sound: whole blocks (see `block_ms`) in `audio`'s format.
        response_id: whose audio this is.
        start_ms: its position in the response's audio; for G.711 a multiple of 10.
        audio: its format.

    Returns:
        The same audio, with the marks in its lowest bits.
    """
    tag = tag_of(response_id)
    if audio.sample_bytes == 1:
        return _mark_g711(bytearray(sound.translate(_EVEN)), tag, start_ms)
    bits = _pcm_marks(tag, start_ms, len(sound) // audio.bytes_per_ms)
    kept = int.from_bytes(sound, "little") & int.from_bytes(
        b"\xf8\xff" * (len(sound) // 2), "little"
    )
    return (kept | int.from_bytes(bits, "little")).to_bytes(len(sound), "little")


def identify(data: bytes, audio: AudioFormat = PCM16) -> list[Mark | None]:
    """Read the mark of every whole block.

    Args:
        data: audio in `audio`'s format, beginning at a block.
        audio: its format.

    Returns:
        One entry per block (see `block_ms`); None where the block carries no valid mark.
    """
    size = block_ms(audio) * audio.bytes_per_ms
    read = _read_pcm if audio.sample_bytes == 2 else _read_g711
    return [read(data[at : at + size]) for at in range(0, len(data) - size + 1, size)]


def spans(data: bytes, audio: AudioFormat = PCM16) -> list[Span]:
    """Join the marks of `identify` into unbroken runs.

    Audio of one response that arrived whole and in order is exactly one span from 0.
    """
    step = block_ms(audio)
    found: list[Span] = []
    for place, mark in enumerate(identify(data, audio)):
        tag, start = (None, place * step) if mark is None else (mark.tag, mark.index)
        if found and found[-1].tag == tag and found[-1].end_ms == start:
            found[-1] = Span(tag, found[-1].start_ms, start + step)
        else:
            found.append(Span(tag, start, start + step))
    return found


def user_voice(length_ms: int, *, pitch_hz: int = 140, rate: int = 24000) -> bytes:
    """Synthetic voice-like audio that the emulator's turn detection takes for speech.

    Args:
        length_ms: how long.
        pitch_hz: the voice's pitch.
        rate: samples per second.

    Returns:
        PCM16 little-endian mono.
    """
    partials = ((1, 1.0), (2, 0.8), (3, 0.7), (4, 0.6), (5, 0.9), (7, 0.5), (10, 0.5), (18, 0.3))
    samples = array("h")
    for place in range(length_ms * rate // 1000):
        turn = 2 * math.pi * place / rate
        phase = pitch_hz * turn + 0.4 * math.sin(3 * turn)
        loudness = 0.7 + 0.3 * math.sin(4 * turn)
        value = sum(weight * math.sin(partial * phase) for partial, weight in partials)
        samples.append(int(2500 * loudness * value))
    return _little_endian(samples)


@lru_cache(maxsize=4096)
def _check_base(tag: int) -> int:
    return zlib.crc32(tag.to_bytes(5, "big"))


def _check(tag: int, index: int) -> int:
    # Fibonacci hashing: the top bits of a 32-bit product depend on all bits below.
    return (_check_base(tag) + index) * _CHECK_FACTOR >> 20 & 0xFFF


def _mark_value(tag: int, index: int) -> int:
    index &= (1 << _INDEX_BITS) - 1
    return (tag << _INDEX_BITS | index) << _CHECK_BITS | _check(tag, index)


def _parse_mark(value: int) -> Mark | None:
    tag = value >> (_INDEX_BITS + _CHECK_BITS)
    index = value >> _CHECK_BITS & ((1 << _INDEX_BITS) - 1)
    return Mark(tag, index) if value & 0xFFF == _check(tag, index) else None


# Twelve bits of a mark as four samples (8 bytes), three bits in each.
_FOUR_SAMPLES = [
    b"".join(bytes((value >> shift & 7, 0)) for shift in (9, 6, 3, 0)) for value in range(4096)
]


def _pcm_marks(tag: int, start_ms: int, length_ms: int) -> bytes:
    four = _FOUR_SAMPLES
    head = four[tag >> 24] + four[tag >> 12 & 4095] + four[tag & 4095]
    base = _check_base(tag)
    parts: list[bytes] = []
    place, end = start_ms, start_ms + length_ms
    while place < end:
        # A stretch in which only the index's lower half counts: a slice of the table has it all.
        index = place & 0xFFFFFF
        count = min(end - place, 4096 - (index & 4095))
        # `_check`, which looks at 32 bits of the product only, for one index after the other.
        first = (base + index) * _CHECK_FACTOR & 0xFFFFFFFF
        products = range(first, first + count * _CHECK_FACTOR, _CHECK_FACTOR)
        lower = four[index & 4095 : (index & 4095) + count]
        checks = [four[product >> 20 & 0xFFF] for product in products]
        common = head + four[index >> 12]
        parts += (common, common.join(map(add, lower, checks)))
        place += count
    return b"".join(parts)


def _read_pcm(block: bytes) -> Mark | None:
    value = 0
    for low in block[::2]:
        value = value << 3 | low & 7
    return _parse_mark(value)


def _read_g711(block: bytes) -> Mark | None:
    value = 0
    for code in block[:_MARK_BITS]:
        value = value << 1 | code & 1
    return _parse_mark(value)


def _pulse(pitch_hz: int, rate: int) -> Iterator[int]:
    # Every pitch is a multiple of 5 Hz, so one period of 200 ms can be repeated without a click.
    for place in range(_PERIOD_MS * rate // 1000):
        second = place / rate
        loudness = 0.65 + 0.35 * math.cos(2 * math.pi * 5 * second)
        yield int(_AMPLITUDE * loudness * math.sin(2 * math.pi * pitch_hz * second))


@lru_cache(maxsize=len(_PITCHES_HZ))
def _tone(pitch_hz: int) -> bytes:
    return _little_endian(array("h", (value & ~7 for value in _pulse(pitch_hz, PCM16.rate))))


@lru_cache(maxsize=512)
def _tone_as_int(pitch_hz: int, start_ms: int, length_ms: int) -> int:
    size = PCM16.bytes_per_ms
    return int.from_bytes(
        _slice_cyclic(_tone(pitch_hz), start_ms * size, length_ms * size), "little"
    )


@lru_cache(maxsize=2 * len(_PITCHES_HZ))
def _g711_tone(pitch_hz: int, name: str) -> bytes:
    return bytes(code & 0xFE for code in encode_g711(array("h", _pulse(pitch_hz, 8000)), name))


def _synthesize_g711(tag: int, start_ms: int, length_ms: int, audio: AudioFormat) -> bytes:
    tone = _g711_tone(_PITCHES_HZ[tag % len(_PITCHES_HZ)], audio.name)
    out = bytearray(_slice_cyclic(tone, start_ms * audio.bytes_per_ms, length_ms * 8))
    return _mark_g711(out, tag, start_ms)


def _mark_g711(out: bytearray, tag: int, start_ms: int) -> bytes:
    for number, at in enumerate(range(0, len(out) - _G711_BLOCK + 1, _G711_BLOCK)):
        value = _mark_value(tag, start_ms + 10 * number)
        for bit in range(_MARK_BITS):
            out[at + bit] |= value >> (_MARK_BITS - 1 - bit) & 1
    return bytes(out)


def _slice_cyclic(period: bytes, start: int, length: int) -> bytes:
    start %= len(period)
    repeats = (start + length) // len(period) + 1
    return (period * repeats)[start : start + length]


def _little_endian(samples: "array[int]") -> bytes:
    if sys.byteorder == "big":
        samples = samples[:]
        samples.byteswap()
    return samples.tobytes()
