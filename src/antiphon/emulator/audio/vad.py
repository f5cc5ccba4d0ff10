"""Is there a voice in this audio? Frame by frame, in the time of the audio itself.

WebRTC's detector does the listening. It takes 8 kHz, so 24 kHz audio is decimated by three without
a filter: what is aliased down from above 4 kHz does not matter for the question asked here, and
one slice per frame is all that it costs.
"""

import sys
from array import array
from typing import Protocol

from antiphon.emulator.audio.formats import AudioFormat, decode_g711
from antiphon.exceptions import MissingDependency

__all__ = ["FRAME_MS", "VoiceDetector"]

FRAME_MS = 20


class _WebRtcVad(Protocol):
    def is_speech(self, frame: bytes, rate: int) -> bool: ...


class VoiceDetector:
    """Tells for each frame of 20 ms whether somebody speaks.

    Args:
        audio: the format of what is fed.
        threshold: 0 to 1 as in the session's `threshold`: higher wants a clearer and louder voice.
            It picks the detector's mode (0.5 is mode 2 of 0 to 3) and a floor of loudness below
            which a frame is silence.

    Raises:
        MissingDependency: the detector's package is not installed.
    """

    def __init__(self, audio: AudioFormat, threshold: float = 0.5) -> None:
        try:
            import webrtcvad
        except ImportError as error:
            raise MissingDependency(
                "turn detection on real audio needs webrtcvad: pip install 'antiphon[emulator]'"
            ) from error
        mode = 3 if threshold > 0.75 else 2 if threshold > 0.4 else 1 if threshold > 0.2 else 0
        self._vad: _WebRtcVad = webrtcvad.Vad(mode)
        self._floor = int(60 + 600 * threshold)
        self._audio = audio
        self.frame_bytes = FRAME_MS * audio.bytes_per_ms

    def is_speech(self, frame: bytes) -> bool:
        """Whether this frame (exactly `frame_bytes` long) holds speech."""
        if self._audio.sample_bytes == 2:
            samples = array("h", frame)
            if sys.byteorder == "big":
                samples.byteswap()
            samples = samples[::3]
        else:
            samples = decode_g711(frame, self._audio.name)
        # Every fourth sample tells loud from quiet, at a quarter of the time.
        some = samples[::4]
        if max(some) - min(some) < self._floor:
            return False
        return bool(self._vad.is_speech(samples.tobytes(), 8000))
