"""The voice detector on sounds, and its packages' absence."""

import builtins
import sys
from typing import Any

import pytest

from antiphon.emulator.audio import speech
from antiphon.emulator.audio.formats import PCM16, PCMU, encode_g711
from antiphon.emulator.audio.vad import VoiceDetector
from antiphon.exceptions import MissingDependency
from tests.helpers.emulated import Emulated

__all__: list[str] = []


def share_of_speech(detector: VoiceDetector, data: bytes) -> float:
    size = detector.frame_bytes
    frames = [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
    return sum(map(detector.is_speech, frames)) / len(frames)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.9])
def test_voice_is_speech_and_silence_is_not(threshold: float) -> None:
    detector = VoiceDetector(PCM16, threshold)
    assert share_of_speech(detector, speech.user_voice(600)) > 0.95
    assert share_of_speech(detector, bytes(48 * 600)) == 0


def test_faint_noise_is_not_speech() -> None:
    hum = bytes(48 * 0) + b"\x05\x00\xfb\xff" * 6000
    assert share_of_speech(VoiceDetector(PCM16), hum) == 0


def test_g711_voice_is_speech() -> None:
    from array import array

    voice = encode_g711(array("h", speech.user_voice(600, rate=8000)), "audio/pcmu")
    assert share_of_speech(VoiceDetector(PCMU), voice) > 0.95


def test_missing_package_is_named_when_audio_first_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def no_webrtcvad(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "webrtcvad":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "webrtcvad", raising=False)
    monkeypatch.setattr(builtins, "__import__", no_webrtcvad)
    client = Emulated()
    assert client.configure(audio={"input": {"turn_detection": None}})
    assert client.speak(speech.user_voice(100)) == []  # no detector, no need
    client.configure(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    (refused,) = client.speak(speech.user_voice(100))
    assert "pip install 'antiphon[emulator]'" in refused["error"]["message"]
    with pytest.raises(MissingDependency):
        VoiceDetector(PCM16)
