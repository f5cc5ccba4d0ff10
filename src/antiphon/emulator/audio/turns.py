"""Where a user's turn begins and ends in the stream of input audio (P-180 to P-195).

The detector's clock is the audio itself: while none comes, nothing happens (P-195).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.audio.vad import FRAME_MS, VoiceDetector

__all__ = ["Edge", "EdgeKind", "TurnDetector"]

# Speech must last for three frames before it counts, so that a click starts no turn.
START_FRAMES = 3
# P-183: the longest wait by eagerness; auto is medium.
SEMANTIC_WAIT_MS = {"low": 8000, "medium": 4000, "auto": 4000, "high": 2000}
SEMANTIC_FINISHED_MS = 500


class EdgeKind(StrEnum):
    """What happens at an edge."""

    STARTED = "started"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Edge:
    """The start or the end of speech.

    `at_ms` is what the event reports: the start includes the prefix padding and the end includes
    the silence (P-189). `byte` is how far the audio was analysed when the edge was found.
    """

    kind: EdgeKind
    at_ms: int
    byte: int


class TurnDetector:
    """Finds turns in audio that is fed piece by piece.

    Args:
        audio: the input format.
        config: the session's `turn_detection`.
        start_byte: where in the session's audio this detector starts to listen.
        is_finished: whether the words being spoken sound finished, for `semantic_vad`.
        speaking: whether a turn is under way, found by a detector with other settings.

    Raises:
        MissingDependency: the voice detector's package is not installed.
    """

    def __init__(
        self,
        audio: AudioFormat,
        config: dict[str, Any],
        start_byte: int,
        is_finished: Callable[[], bool],
        *,
        speaking: bool = False,
    ) -> None:
        self.config = config
        self.speaking = speaking
        self._audio = audio
        self._voice = VoiceDetector(audio, float(config.get("threshold", 0.5)))
        self._is_finished = is_finished
        self._rest = bytearray()
        self._at = start_byte
        self._voiced = 0
        self._silent_ms = 0
        self._floor_ms = start_byte // audio.bytes_per_ms

    def serves(self, audio: AudioFormat, config: dict[str, Any]) -> bool:
        """Whether this detector is the one for this format and configuration."""
        return audio == self._audio and config == self.config

    def feed(self, data: bytes, *, listening: bool = True) -> Iterator[Edge]:
        """Analyse more audio; not `listening` lets it pass as silence."""
        self._rest += data
        size = self._voice.frame_bytes
        at, rest = 0, self._rest
        while len(rest) - at >= size:
            frame = bytes(rest[at : at + size])
            at += size
            self._at += size
            edge = self._advance(listening and self._voice.is_speech(frame))
            if edge is not None:
                yield edge
        del rest[:at]

    def reset(self) -> None:
        """Forget a turn that has begun, as after `input_audio_buffer.clear`."""
        self.speaking = False
        self._voiced = self._silent_ms = 0

    def _advance(self, voiced: bool) -> Edge | None:
        now_ms = self._at // self._audio.bytes_per_ms
        if not self.speaking:
            self._voiced = self._voiced + 1 if voiced else 0
            if self._voiced < START_FRAMES:
                return None
            self.speaking = True
            self._silent_ms = 0
            padding = int(self.config.get("prefix_padding_ms", 300))
            start = now_ms - START_FRAMES * FRAME_MS - padding
            return Edge(EdgeKind.STARTED, max(start, self._floor_ms), self._at)
        self._silent_ms = 0 if voiced else self._silent_ms + FRAME_MS
        if self._silent_ms < self._patience_ms():
            return None
        self.speaking = False
        self._voiced = 0
        self._floor_ms = now_ms
        return Edge(EdgeKind.STOPPED, now_ms, self._at)

    def _patience_ms(self) -> int:
        if self.config["type"] == "server_vad":
            return int(self.config["silence_duration_ms"])
        if self._silent_ms >= SEMANTIC_FINISHED_MS and self._is_finished():
            return SEMANTIC_FINISHED_MS
        return SEMANTIC_WAIT_MS[self.config["eagerness"]]
