"""Audio formats of the wire (P-240): sizes, and G.711 both ways."""

import sys
from array import array
from dataclasses import dataclass

__all__ = [
    "PCM16",
    "PCMA",
    "PCMU",
    "AudioFormat",
    "audio_format",
    "converted",
    "decode_g711",
    "encode_g711",
]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """One audio format: its wire name, samples per second and bytes per sample."""

    name: str
    rate: int
    sample_bytes: int

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of one millisecond."""
        return self.rate * self.sample_bytes // 1000

    def wire(self) -> dict[str, object]:
        """The format as it stands in a session."""
        if self.name == "audio/pcm":
            return {"type": self.name, "rate": self.rate}
        return {"type": self.name}


PCM16 = AudioFormat("audio/pcm", 24000, 2)
PCMU = AudioFormat("audio/pcmu", 8000, 1)
PCMA = AudioFormat("audio/pcma", 8000, 1)

_BY_NAME = {item.name: item for item in (PCM16, PCMU, PCMA)}


def audio_format(wire: dict[str, object]) -> AudioFormat:
    """The format that a session's `format` object names."""
    return _BY_NAME[str(wire["type"])]


# ITU-T G.711 (1988). mu-law: a sign, a segment and four bits of mantissa over a bias of 33 << 2,
# all inverted. A-law: the same without the bias, even bits inverted.


def _mu_law_sample(code: int) -> int:
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def _a_law_sample(code: int) -> int:
    code ^= 0x55
    segment = code >> 4 & 7
    magnitude = ((code & 0x0F) << 4) + 8
    if segment:
        magnitude = magnitude + 0x100 << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


_SAMPLES = {
    "audio/pcmu": [_mu_law_sample(code) for code in range(256)],
    "audio/pcma": [_a_law_sample(code) for code in range(256)],
}


def _nearest_codes(samples: list[int]) -> bytes:
    # One entry per 16 steps of the 16-bit range: finer than the finest G.711 step needs here.
    ordered = sorted((value, code) for code, value in enumerate(samples))
    codes = bytearray()
    place = 0
    for value in range(-32768, 32768, 16):
        while place + 1 < len(ordered) and abs(ordered[place + 1][0] - value) <= abs(
            ordered[place][0] - value
        ):
            place += 1
        codes.append(ordered[place][1])
    return bytes(codes)


_CODES = {name: _nearest_codes(samples) for name, samples in _SAMPLES.items()}


def decode_g711(data: bytes, name: str) -> "array[int]":
    """PCM16 samples (8 kHz) of G.711 codes."""
    return array("h", map(_SAMPLES[name].__getitem__, data))


def encode_g711(samples: "array[int]", name: str) -> bytes:
    """G.711 codes of PCM16 samples, each the nearest within 16 steps."""
    codes = _CODES[name]
    return bytes([codes[(sample + 32768) >> 4] for sample in samples])


def converted(data: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    """Audio of one format in another, as long as before within one sample; plain, not beautiful."""
    if source == target:
        return data
    if source.sample_bytes == 2:
        samples = array("h", data[: len(data) // 2 * 2])
        if sys.byteorder == "big":
            samples.byteswap()
        return encode_g711(samples[:: source.rate // target.rate], target.name)
    heard = decode_g711(data, source.name)
    if target.sample_bytes == 1:
        return encode_g711(heard, target.name)
    times = target.rate // source.rate
    louder = array("h", [sample for sample in heard for _ in range(times)])
    if sys.byteorder == "big":
        louder.byteswap()
    return louder.tobytes()
