"""What models can do, as far as a session's checks depend on it (P-268, P-269, P-471).

Names that are not known are let through: other servers have models of their own.
"""

from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import Refusal

__all__ = [
    "VOICES",
    "check_realtime_model",
    "check_transcription",
    "has_logprobs",
    "takes_turns",
    "tells_duration",
]

# P-268, in the order in which the server lists them.
VOICES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)

_TRANSCRIBING = frozenset(
    {
        "whisper-1",
        "gpt-transcribe",
        "gpt-live-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "gpt-4o-transcribe",
        "gpt-4o-transcribe-diarize",
        "gpt-realtime-whisper",
    }
)
_WITHOUT_TURNS = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe"})
_WITHOUT_PROMPT = frozenset({"gpt-realtime-whisper", "gpt-4o-transcribe-diarize"})
_WITH_HINTS = frozenset({"gpt-transcribe", "gpt-live-transcribe"})
_BY_DURATION = frozenset({"whisper-1", "gpt-transcribe", "gpt-live-transcribe"})


def check_realtime_model(model: str) -> None:
    """P-269: a model that only transcribes, or of another API, opens no conversation.

    Raises:
        Refusal: it is one.
    """
    if model in _TRANSCRIBING or model.startswith("gpt-live"):
        raise errors.invalid_model(model, "realtime")


def takes_turns(model: str) -> bool:
    """Whether a transcription session with this model may have turn detection (P-471)."""
    return model not in _WITHOUT_TURNS


def tells_duration(model: str) -> bool:
    """Whether its transcriptions are charged by seconds, not by tokens (P-476)."""
    return model in _BY_DURATION


def has_logprobs(model: str) -> bool:
    """Whether it can tell how sure it was: the Whisper models cannot."""
    return "whisper" not in model


def check_transcription(asked: dict[str, object]) -> None:
    """P-472: what not every transcription model takes.

    Raises:
        Refusal: this one does not.
    """
    model = str(asked.get("model") or "")
    if model not in _TRANSCRIBING:
        return
    for name in asked:
        refused: bool = (
            (name == "prompt" and model in _WITHOUT_PROMPT)
            or (name in ("keywords", "languages") and model not in _WITH_HINTS)
            or (name == "delay" and model != "gpt-realtime-whisper")
        )
        if refused and asked[name] is not None:
            raise Refusal(
                "invalid_parameter",
                f"{name} is not supported for this transcription model.",
                f"session.audio.input.transcription.{name}",
            )
