"""The session's effective configuration, and what may change it (P-250 to P-258)."""

import copy
from typing import Any

from antiphon.emulator.audio.formats import AudioFormat, audio_format
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.shapes import errors

__all__ = ["DEFAULT_INSTRUCTIONS", "SessionState", "server_vad"]

DEFAULT_INSTRUCTIONS = (
    "You are a helpful, friendly voice assistant. Keep answers short and speak clearly."
)

Json = dict[str, Any]


def server_vad(silence_duration_ms: int) -> Json:
    """Turn detection with the documented defaults (P-180, P-181)."""
    return {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": silence_duration_ms,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }


_SEMANTIC_VAD: Json = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_PCM: Json = {"type": "audio/pcm", "rate": 24000}


class SessionState:
    """Configuration of one session: read by everyone, changed by `update` only.

    Args:
        behaviour: for the defaults.
        session_id: the id in `session.created`.
        model: what the connection asked for, or "" if it named none.
        expires_at: Unix time in seconds.
    """

    def __init__(
        self, behaviour: Behaviour, session_id: str, model: str, expires_at: float
    ) -> None:
        self._behaviour = behaviour
        self.voice_is_fixed = False
        # P-254. A connection that named no model may still name one, once.
        self._model_is_fixed = bool(model)
        self.config: Json = {
            "type": "realtime",
            "object": "realtime.session",
            "id": session_id,
            "model": model or behaviour.model,
            "output_modalities": ["audio"],
            "instructions": DEFAULT_INSTRUCTIONS,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "max_output_tokens": "inf",
            "tracing": None,
            "truncation": "auto",
            "prompt": None,
            "expires_at": int(expires_at),
            "audio": {
                "input": {
                    "format": dict(_PCM),
                    "transcription": None,
                    "noise_reduction": None,
                    "turn_detection": server_vad(behaviour.silence_duration_ms),
                },
                "output": {"format": dict(_PCM), "voice": behaviour.voice, "speed": 1.0},
            },
            "include": None,
        }

    @property
    def input_format(self) -> AudioFormat:
        """Format of what the client appends."""
        return audio_format(self.config["audio"]["input"]["format"])

    @property
    def turn_detection(self) -> Json | None:
        """Turn detection in force, or None for manual turns."""
        found: Json | None = self.config["audio"]["input"]["turn_detection"]
        return found

    @property
    def transcription(self) -> Json | None:
        """Input transcription in force, or None."""
        found: Json | None = self.config["audio"]["input"]["transcription"]
        return found

    @property
    def is_transcription(self) -> bool:
        """Whether this session only transcribes and never responds."""
        return bool(self.config["type"] == "transcription")

    def update(self, changes: Json, *, responding: bool) -> None:
        """Apply a `session.update` of the right shape, all of it or nothing (P-251).

        Raises:
            Refusal: something in it cannot be; the configuration is as it was.
        """
        self._check_meaning(changes, responding)
        self._merge(copy.deepcopy(changes))

    def _check_meaning(self, changes: Json, responding: bool) -> None:
        present_model = self.config["model"]
        if self._model_is_fixed and changes.get("model", present_model) != present_model:
            raise errors.model_fixed()
        if "output_modalities" in changes:
            errors.check_modalities(changes["output_modalities"], "session.output_modalities")
        output = changes.get("audio", {}).get("output", {})
        present = self.config["audio"]["output"]
        # P-255: the same voice again is fine.
        if self.voice_is_fixed and output.get("voice", present["voice"]) != present["voice"]:
            raise errors.voice_fixed()
        if responding and output.get("speed", present["speed"]) != present["speed"]:
            raise errors.speed_fixed()

    def _merge(self, changes: Json) -> None:
        audio = changes.pop("audio", {})
        # P-252: empty instructions bring the default text back.
        if changes.get("instructions") == "":
            changes["instructions"] = DEFAULT_INSTRUCTIONS
        self._model_is_fixed = self._model_is_fixed or "model" in changes
        self.config.update(changes)
        heard = audio.get("input", {})
        if "turn_detection" in heard:
            heard["turn_detection"] = self._turn_detection(heard["turn_detection"])
        if heard.get("format", {}).get("type") == "audio/pcm":
            heard["format"].setdefault("rate", 24000)
        self.config["audio"]["input"].update(heard)
        spoken = audio.get("output", {})
        if spoken.get("format", {}).get("type") == "audio/pcm":
            spoken["format"].setdefault("rate", 24000)
        self.config["audio"]["output"].update(spoken)

    def _turn_detection(self, asked: Json | None) -> Json | None:
        if asked is None:
            return None
        if asked["type"] == "semantic_vad":
            return {**_SEMANTIC_VAD, **asked}
        return {**server_vad(self._behaviour.silence_duration_ms), **asked}
