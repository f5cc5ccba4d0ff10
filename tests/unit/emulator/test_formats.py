"""G.711 and the sizes of the wire's formats (P-240)."""

from array import array

import pytest

from antiphon.emulator.audio.formats import (
    PCM16,
    PCMA,
    PCMU,
    AudioFormat,
    audio_format,
    decode_g711,
    encode_g711,
)

__all__: list[str] = []


@pytest.mark.parametrize(("audio", "size"), [(PCM16, 48), (PCMU, 8), (PCMA, 8)])
def test_bytes_of_a_millisecond(audio: AudioFormat, size: int) -> None:
    assert audio.bytes_per_ms == size


@pytest.mark.parametrize("audio", [PCM16, PCMU, PCMA])
def test_wire_form_names_the_format(audio: AudioFormat) -> None:
    assert audio_format(audio.wire()) is audio
    assert ("rate" in audio.wire()) is (audio is PCM16)


@pytest.mark.parametrize(
    ("name", "code", "sample"),
    [
        # ITU-T G.711: silence, the quietest step, and full scale of either sign.
        ("audio/pcmu", 0xFF, 0),
        ("audio/pcmu", 0x7F, 0),
        ("audio/pcmu", 0xFE, 8),
        ("audio/pcmu", 0x80, 32124),
        ("audio/pcmu", 0x00, -32124),
        ("audio/pcma", 0xD5, 8),
        ("audio/pcma", 0x55, -8),
        ("audio/pcma", 0xAA, 32256),
        ("audio/pcma", 0x2A, -32256),
    ],
)
def test_known_codes(name: str, code: int, sample: int) -> None:
    assert list(decode_g711(bytes([code]), name)) == [sample]


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_encoding_finds_a_near_sample(name: str) -> None:
    samples = array("h", range(-32768, 32768, 101))
    back = decode_g711(encode_g711(samples, name), name)
    for given, found in zip(samples, back, strict=True):
        assert abs(given - found) <= max(24, abs(given) / 16), (given, found)
