"""G.711, the telephone's one byte per sample (ITU-T G.711, 1988), to and from PCM16.

Both laws are logarithmic: a sign, a segment (which doubles the step) and four bits within it.
mu-law adds a bias to the magnitude first and inverts all bits, A-law inverts every other bit.
"""

import sys
from array import array
from collections.abc import Callable
from functools import cache

__all__ = ["G711_RATE", "decode_g711", "encode_g711"]

G711_RATE = 8000
"""Hz, of both laws."""

_BIAS = 0x84


def encode_g711(pcm: bytes, form: str) -> bytes:
    """One byte for each sample.

    Args:
        pcm: PCM16 little-endian, mono.
        form: `"audio/pcmu"` (mu-law) or `"audio/pcma"` (A-law).
    """
    samples = array("H", pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(_codes(form).__getitem__, samples))


def decode_g711(data: bytes, form: str) -> bytes:
    """The other way: PCM16 little-endian, mono."""
    samples = array("h", map(_samples(form).__getitem__, data))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def _mu_law_floor(place: int) -> int:
    """The smallest magnitude that belongs to this place on the scale of 128."""
    return ((place & 15) + 16 << (place >> 4) + 3) - _BIAS


def _a_law_floor(place: int) -> int:
    segment = place >> 4
    return (place & 15) << 4 if segment == 0 else (place & 15) + 16 << segment + 3


# Smallest magnitude of a place, what the bits of a positive sample are inverted with, and how many
# more a negative sample's magnitude counts: -1 is as far from nothing as 0 is only in A-law.
_LAWS: dict[str, tuple[Callable[[int], int], int, int]] = {
    "audio/pcmu": (_mu_law_floor, 0xFF, 0),
    "audio/pcma": (_a_law_floor, 0xD5, 1),
}


@cache
def _codes(form: str) -> bytes:
    """The code of each sample, by its 16 bits read without a sign."""
    floor, inverted, less = _LAWS[form]
    floors = [max(floor(place), 0) for place in range(128)] + [32768]
    scale = b"".join(bytes([place]) * (floors[place + 1] - floors[place]) for place in range(128))
    positive = bytes(place ^ inverted for place in range(128)).ljust(256, b"\0")
    negative = bytes(place ^ inverted ^ 0x80 for place in range(128)).ljust(256, b"\0")
    # From -32768, whose magnitude has no place of its own in mu-law, up to -1.
    below = scale[::-1] if less else scale[-1:] + scale[:0:-1]
    return scale.translate(positive) + below.translate(negative)


@cache
def _samples(form: str) -> list[int]:
    """The sample in the middle of what each code stands for."""
    floor, inverted, _ = _LAWS[form]
    floors = [floor(place) for place in range(129)]
    middles = [floors[place] + floors[place + 1] >> 1 for place in range(128)]
    samples = [0] * 256
    for place, middle in enumerate(middles):
        samples[place ^ inverted] = middle
        samples[place ^ inverted ^ 0x80] = -middle
    return samples
