"""How fast the emulated model produces output."""

from dataclasses import dataclass

__all__ = ["Pace"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Speed of generation. All durations are in milliseconds.

    Args:
        first_output_ms: from `response.created` to the first output.
        audio_ms_per_delta: audio in one `response.output_audio.delta`.
        speed: audio produced per time, as a multiple of real time; 0 means without any delay.
            The real service is faster than real time too (P-65).
        text_interval_ms: between two deltas of text or of function arguments.
        chars_per_delta: characters in one such delta, rounded up to a whole word.
        transcript_lead: how far the transcript runs ahead of the audio, as a factor (P-133).
    """

    first_output_ms: float = 40.0
    audio_ms_per_delta: int = 100
    speed: float = 5.0
    text_interval_ms: float = 10.0
    chars_per_delta: int = 6
    transcript_lead: float = 1.5

    def __post_init__(self) -> None:
        if self.audio_ms_per_delta < 1 or self.chars_per_delta < 1:
            raise ValueError("a delta holds at least 1 ms or 1 character")
        if min(self.first_output_ms, self.speed, self.text_interval_ms) < 0:
            raise ValueError("a pace cannot be negative")
        if self.transcript_lead < 1:
            raise ValueError("the transcript cannot lag behind the audio: transcript_lead >= 1")

    @staticmethod
    def instant() -> "Pace":
        """Everything at once: no time passes between created and done."""
        return Pace(first_output_ms=0, speed=0, text_interval_ms=0)

    @staticmethod
    def real_time() -> "Pace":
        """As fast as it plays."""
        return Pace(speed=1.0)

    @property
    def audio_gap_s(self) -> float:
        """Seconds between two audio deltas."""
        return self.audio_ms_per_delta / 1000 / self.speed if self.speed else 0.0

    @property
    def text_gap_s(self) -> float:
        """Seconds between two text deltas."""
        return self.text_interval_ms / 1000
