"""Transcription of the user's audio (P-118, P-186, P-187): what the script says was heard."""

from typing import Any

from antiphon.emulator.choices import TranscriptionTiming
from antiphon.emulator.conversation import ConversationItem, count_tokens
from antiphon.emulator.core import Core
from antiphon.emulator.script import Misheard

__all__ = ["Transcriber"]

Json = dict[str, Any]
Heard = str | Misheard
_PREFIX = "conversation.item.input_audio_transcription"


class Transcriber:
    """Sends the transcription events of committed audio at the time the knobs say."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._early: dict[str, Heard] = {}
        self._after_response: list[tuple[ConversationItem, Heard]] = []

    def early(self, item_id: str) -> None:
        """Send the deltas of a turn whose item does not exist yet (P-187)."""
        heard = self._core.script.hear()
        self._early[item_id] = heard
        if self._wanted and isinstance(heard, str):
            self._deltas(item_id, heard)

    def committed(self, item: ConversationItem, *, will_respond: bool) -> None:
        """The item is in the conversation: what was said in it is known from now on.

        An item without audio says nothing (P-194).
        """
        early = self._early.pop(item.id, None)
        heard = early if early is not None else self._core.script.hear() if item.audio else ""
        item.transcript = heard if isinstance(heard, str) else ""
        if not self._wanted:
            return
        if early is not None:
            self._end(item, heard)
        elif self._is_late and will_respond:
            self._after_response.append((item, heard))
        else:
            delay = self._core.behaviour.transcription_latency_ms / 1000
            self._core.later(delay, lambda: self._whole(item, heard))

    def response_done(self) -> None:
        """A default response has ended: send what waited for that."""
        waiting, self._after_response = self._after_response, []
        for item, heard in waiting:
            self._whole(item, heard)

    @property
    def _wanted(self) -> bool:
        return self._core.session.transcription is not None

    @property
    def _is_late(self) -> bool:
        timing = self._core.behaviour.transcription_timing
        return timing is TranscriptionTiming.AFTER_RESPONSE

    def _whole(self, item: ConversationItem, heard: Heard) -> None:
        if isinstance(heard, str):
            self._deltas(item.id, heard)
        self._end(item, heard)

    def _deltas(self, item_id: str, words: str) -> None:
        for number, word in enumerate(words.split()):
            delta = word if number == 0 else f" {word}"
            self._core.emit(f"{_PREFIX}.delta", item_id=item_id, content_index=0, delta=delta)

    def _end(self, item: ConversationItem, heard: Heard) -> None:
        if isinstance(heard, Misheard):
            error = {"type": heard.type, "code": heard.code, "message": heard.message}
            fields = {"item_id": item.id, "content_index": 0, "error": {**error, "param": None}}
            self._core.emit(f"{_PREFIX}.failed", **fields)  # P-91
            return
        item.body["content"][0]["transcript"] = heard
        self._core.conversation.recount(item)
        spent = count_tokens(heard)
        usage: Json = {
            "type": "tokens",
            "total_tokens": item.audio_tokens + spent,
            "input_tokens": item.audio_tokens,
            "input_token_details": {"text_tokens": 0, "audio_tokens": item.audio_tokens},
            "output_tokens": spent,
        }
        self._core.emit(
            f"{_PREFIX}.completed",
            item_id=item.id,
            content_index=0,
            transcript=heard,
            usage=usage,
        )
