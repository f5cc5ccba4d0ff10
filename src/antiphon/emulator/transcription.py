"""Transcription of the user's audio (P-118, P-186, P-187): what the script says was heard."""

from typing import Any

from antiphon.emulator.choices import TranscriptionTiming
from antiphon.emulator.conversation import ConversationItem, count_tokens
from antiphon.emulator.core import Core

__all__ = ["Transcriber"]

Json = dict[str, Any]


class Transcriber:
    """Sends the transcription events of committed audio at the time the knobs say."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._early: dict[str, str] = {}
        self._after_response: list[ConversationItem] = []

    def early(self, item_id: str) -> None:
        """Send the deltas of a turn whose item does not exist yet (P-187)."""
        words = self._core.script.hear()
        self._early[item_id] = words
        if self._core.session.transcription is not None:
            self._deltas(item_id, words)

    def committed(self, item: ConversationItem, *, will_respond: bool) -> None:
        """The item is in the conversation: what was said in it is known from now on.

        An item without audio says nothing (P-194).
        """
        if item.id in self._early:
            item.transcript = self._early.pop(item.id)
            self._complete(item)
            return
        item.transcript = self._core.script.hear() if item.audio else ""
        if self._core.session.transcription is None:
            return
        timing = self._core.behaviour.transcription_timing
        if timing is TranscriptionTiming.AFTER_RESPONSE and will_respond:
            self._after_response.append(item)
        else:
            delay = self._core.behaviour.transcription_latency_ms / 1000
            self._core.later(delay, lambda: self._whole(item))

    def response_done(self) -> None:
        """A default response has ended: send what waited for that."""
        waiting, self._after_response = self._after_response, []
        for item in waiting:
            self._whole(item)

    def _whole(self, item: ConversationItem) -> None:
        if item.transcript:
            self._deltas(item.id, item.transcript)
        self._complete(item)

    def _deltas(self, item_id: str, words: str) -> None:
        for number, word in enumerate(words.split()):
            self._core.emit(
                "conversation.item.input_audio_transcription.delta",
                item_id=item_id,
                content_index=0,
                delta=word if number == 0 else f" {word}",
            )

    def _complete(self, item: ConversationItem) -> None:
        if self._core.session.transcription is None:
            return
        words = item.transcript or ""
        item.body["content"][0]["transcript"] = words
        self._core.conversation.recount(item)
        spent = count_tokens(words)
        usage: Json = {
            "type": "tokens",
            "total_tokens": item.audio_tokens + spent,
            "input_tokens": item.audio_tokens,
            "input_token_details": {"text_tokens": 0, "audio_tokens": item.audio_tokens},
            "output_tokens": spent,
        }
        self._core.emit(
            "conversation.item.input_audio_transcription.completed",
            item_id=item.id,
            content_index=0,
            transcript=words,
            usage=usage,
        )
