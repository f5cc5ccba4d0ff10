"""What one session is configured with: its options, instructions and tools."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from livekit.agents import llm

from antiphon.livekit.options import ModelOptions, config, server_takes_turns

__all__ = ["Configuration"]


class Configuration:
    """The state of one session's configuration; it sends nothing.

    Args:
        options: the model's; its settings are copied.
        capabilities: the model's; copied, since turn detection can be off here and on there.
        turn_detection_disabled: the framework takes the turns, whatever the options say.
    """

    def __init__(
        self,
        options: ModelOptions,
        capabilities: llm.RealtimeCapabilities,
        *,
        turn_detection_disabled: bool = False,
    ) -> None:
        self._options = options
        self.settings = dict(options.settings)
        if turn_detection_disabled:
            self.settings["turn_detection"] = None
        self.capabilities = dataclasses.replace(
            capabilities,
            turn_detection=capabilities.turn_detection and not turn_detection_disabled,
        )
        self.instructions: str | None = None
        self.tools = llm.ToolContext([])
        self.wire_tools: list[dict[str, Any]] = []

    def whole(self) -> dict[str, Any]:
        """All that the server is to know, as of now."""
        # On Azure the deployment in the address decides (P-290), for good (P-254).
        model = None if self._options.azure else self._options.model
        whole = config(model, self._options.modalities, self.settings)
        if self.instructions is not None:
            whole["instructions"] = self.instructions
        if self.wire_tools:
            whole["tools"] = self.wire_tools
        return whole

    def set(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Take these over; returns what they replace.

        Capabilities follow the options that they are derived from.
        """
        before = {name: self.settings[name] for name in settings}
        self.settings |= settings
        if "turn_detection" in settings:
            self.capabilities.turn_detection = server_takes_turns(settings["turn_detection"])
        if "input_audio_transcription" in settings:
            transcribes = settings["input_audio_transcription"] is not None
            self.capabilities.user_transcription = transcribes
        return before

    @property
    def transcription_model(self) -> str | None:
        """What transcribes the user's speech, if anything does."""
        return (self.settings["input_audio_transcription"] or {}).get("model")

    @property
    def detects_turns(self) -> bool:
        """Whether the server finds out by itself when the user speaks."""
        return self.settings["turn_detection"] is not None
