"""The input buffer and the user's turns, keyed by item id.

A turn is one stretch of user speech. Its events may come in any order: transcription deltas before
the speech has even ended (P-187), a commit under another item id than the speech (P-190).
"""

from typing import Literal

import msgspec

__all__ = ["BYTES_PER_MS", "InputAudio", "Turn", "TurnPhase"]

# P-240: 24 kHz PCM16 mono; G.711 is 8 kHz with one byte a sample.
BYTES_PER_MS = {"audio/pcm": 48, "audio/pcmu": 8, "audio/pcma": 8}

TurnPhase = Literal[
    "speech_started",
    "speech_stopped",
    "timed_out",
    "committed",
    "transcribed",
    "transcription_failed",
]


class Turn(msgspec.Struct):
    """One stretch of user speech.

    Attributes:
        item_id: the conversation item that it becomes.
        phase: the latest thing that happened to it.
        started_ms: where speech began in the audio sent so far, prefix padding included (P-189).
        stopped_ms: where it ended, trailing silence included (P-189).
        committed: whether the server took it into the conversation.
        transcript: the words, as far as they are known.
    """

    item_id: str
    phase: TurnPhase = "speech_started"
    started_ms: int | None = None
    stopped_ms: int | None = None
    committed: bool = False
    transcript: str = ""


class InputAudio:
    """What was sent of the microphone, and the turns that the server made of it.

    Args:
        remembered: how many turns are kept; older ones are forgotten.
    """

    __slots__ = (
        "_remembered",
        "_turns",
        "bytes_per_ms",
        "sent_bytes",
        "uncommitted_bytes",
    )

    def __init__(self, remembered: int = 64) -> None:
        self._remembered = remembered
        self._turns: dict[str, Turn] = {}
        self.sent_bytes = 0
        self.uncommitted_bytes = 0
        self.bytes_per_ms = BYTES_PER_MS["audio/pcm"]

    @property
    def sent_ms(self) -> int:
        """How much audio was sent in this session, in ms."""
        return self.sent_bytes // self.bytes_per_ms

    @property
    def uncommitted_ms(self) -> int:
        """How much of it the server has not yet taken into an item, at most, in ms."""
        return self.uncommitted_bytes // self.bytes_per_ms

    @property
    def current(self) -> Turn | None:
        """The turn whose speech goes on right now."""
        newest = next(reversed(self._turns.values()), None)
        return newest if newest is not None and newest.phase == "speech_started" else None

    @property
    def awaits_commit(self) -> bool:
        """Whether the server has heard speech that it has not yet taken into an item."""
        newest = next(reversed(self._turns.values()), None)
        return newest is not None and newest.phase in ("speech_started", "speech_stopped")

    def append(self, size: int) -> None:
        self.sent_bytes += size
        self.uncommitted_bytes += size

    def cleared(self) -> None:
        self.uncommitted_bytes = 0

    def committed(self, sent_bytes: int) -> None:
        """Everything up to this point of the stream is in an item now."""
        self.uncommitted_bytes = min(self.uncommitted_bytes, self.sent_bytes - sent_bytes)

    def turn(self, item_id: str) -> Turn:
        """The turn of this item, made on first sight."""
        turn = self._turns.get(item_id)
        if turn is None:
            turn = self._turns[item_id] = Turn(item_id)
            if len(self._turns) > self._remembered:
                del self._turns[next(iter(self._turns))]
        return turn
