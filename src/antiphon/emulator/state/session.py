"""The session's effective configuration, and what may change it (P-250 to P-258)."""

import copy
from typing import Any

from antiphon.emulator.audio.formats import AudioFormat, audio_format
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.choices import Voices
from antiphon.emulator.shapes import errors
from antiphon.emulator.state import models

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

    def transcribe_only(self) -> None:
        """Become a transcription session, which has no model, no voice and no answers (P-469)."""
        config = self.config
        self.config = {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": config["id"],
            "expires_at": config["expires_at"],
            "audio": {"input": config["audio"]["input"]},
            "include": None,
        }

    @property
    def input_format(self) -> AudioFormat:
        """Format of what the client appends."""
        return audio_format(self.config["audio"]["input"]["format"])

    @property
    def output_format(self) -> AudioFormat:
        """Format of the assistant's audio."""
        return audio_format(self.config["audio"]["output"]["format"])

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

    def begin_as(self, session: Json) -> None:
        """Begin as this session of either kind, from an offer, an accept or an ephemeral key.

        Raises:
            Refusal: something in it cannot be.
        """
        if session["type"] == "transcription" and not self.is_transcription:
            self.transcribe_only()
        self.update(session, responding=False)

    def update(self, changes: Json, *, responding: bool) -> None:
        """Apply a `session.update` of the right shape, all of it or nothing (P-251).

        Raises:
            Refusal: something in it cannot be; the configuration is as it was.
        """
        self._check_meaning(changes, responding)
        self._merge(copy.deepcopy(changes))

    def _check_meaning(self, changes: Json, responding: bool) -> None:
        if changes["type"] != self.config["type"]:
            raise errors.wrong_session_kind(changes["type"], self.config["type"])  # P-470
        heard = changes.get("audio", {}).get("input", {})
        if heard.get("transcription"):
            models.check_transcription(heard["transcription"])
        if self.is_transcription:
            self._check_turns(heard)
        else:
            self._check_answers(changes, responding)

    def _check_turns(self, heard: Json) -> None:
        # P-471: some models find their own turns, and refuse to be told.
        transcription = heard.get("transcription") or self.transcription or {}
        takes_turns = models.takes_turns(str(transcription.get("model")))
        if heard.get("turn_detection") is not None and not takes_turns:
            raise errors.no_turns()

    def _check_answers(self, changes: Json, responding: bool) -> None:
        present_model = self.config["model"]
        if self._model_is_fixed and changes.get("model", present_model) != present_model:
            raise errors.model_fixed()
        if "output_modalities" in changes:
            errors.check_modalities(changes["output_modalities"], "session.output_modalities")
        output = changes.get("audio", {}).get("output", {})
        present = self.config["audio"]["output"]
        if "voice" in output:
            self.check_voice(output["voice"], "session.audio.output.voice")
        # P-255: the same voice again is fine.
        if self.voice_is_fixed and output.get("voice", present["voice"]) != present["voice"]:
            raise errors.voice_fixed()
        if responding and output.get("speed", present["speed"]) != present["speed"]:
            raise errors.speed_fixed()

    def check_voice(self, voice: Any, path: str) -> None:
        """P-268: one of the ten, or a custom voice's id.

        Raises:
            Refusal: there is no such voice.
        """
        listed = self._behaviour.voices is Voices.OPENAI
        if listed and isinstance(voice, str) and voice not in models.VOICES:
            raise errors.invalid_value(path, voice, models.VOICES)

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
        self.config["audio"]["input"].update(heard)
        if "output" in audio:
            self.config["audio"]["output"].update(audio["output"])
        if self.is_transcription and not models.takes_turns(
            str((self.transcription or {}).get("model"))
        ):
            self.config["audio"]["input"]["turn_detection"] = None

    def _turn_detection(self, asked: Json | None) -> Json | None:
        if asked is None:
            return None
        if asked["type"] == "semantic_vad":
            return {**_SEMANTIC_VAD, **asked}
        return {**server_vad(self._behaviour.silence_duration_ms), **asked}
