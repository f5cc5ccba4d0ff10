"""Transcription of the user's audio (P-118, P-186, P-187)."""

import re
from typing import Any

from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.hearing import Hearing
from antiphon.emulator.knobs.choices import TranscriptionTiming
from antiphon.emulator.scripts.script import Misheard
from antiphon.emulator.state.conversation import ConversationItem, count_tokens
from antiphon.emulator.state.models import has_logprobs, tells_duration

__all__ = ["Transcriber"]

Json = dict[str, Any]
Heard = str | Misheard
_PREFIX = "conversation.item.input_audio_transcription"
_INCLUDE = "item.input_audio_transcription.logprobs"


class Transcriber:
    """Sends the transcription events of committed audio at the time the knobs say."""

    def __init__(self, core: Core, hearing: Hearing) -> None:
        self._core = core
        self._hearing = hearing
        self._early: dict[str, Heard] = {}
        self._after_response: list[tuple[ConversationItem, Heard]] = []

    def early(self, item_id: str) -> None:
        """Send the deltas of a turn whose item does not exist yet (P-187).

        Who really listens has nothing to send yet: then this does nothing.
        """
        if self._listens:
            return
        heard = self._core.script.hear()
        self._early[item_id] = heard
        if self._wanted and isinstance(heard, str):
            self._deltas(item_id, heard)

    def committed(self, item: ConversationItem, *, will_respond: bool) -> None:
        """The item is in the conversation: what was said in it is known from now on.

        An item without audio says nothing (P-194).
        """
        early = self._early.pop(item.id, None)
        if early is not None:
            item.transcript = early if isinstance(early, str) else ""
            if self._wanted:
                self._end(item, early)
        elif not item.audio:
            item.transcript = ""
            self._tell(item, "", will_respond)
        else:
            audio = self._core.session.input_format
            self._hearing.hear(item, audio, lambda heard: self._tell(item, heard, will_respond))

    def _tell(self, item: ConversationItem, heard: Heard, will_respond: bool) -> None:
        if not self._wanted:
            return
        if self._is_late and will_respond:
            self._after_response.append((item, heard))
        elif self._listens:
            self._whole(item, heard)  # listening took its own time
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
    def _listens(self) -> bool:
        return self._core.desk.faculties.hears

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
            fields = {"item_id": item_id, "content_index": 0, "delta": delta}
            self._core.emit(f"{_PREFIX}.delta", **fields, **self._logprobs(delta))

    def _end(self, item: ConversationItem, heard: Heard) -> None:
        if isinstance(heard, Misheard):
            error = {"type": heard.type, "code": heard.code, "message": heard.message}
            fields = {"item_id": item.id, "content_index": 0, "error": {**error, "param": None}}
            self._core.emit(f"{_PREFIX}.failed", **fields)  # P-91
            return
        item.body["content"][0]["transcript"] = heard
        self._core.conversation.recount(item)
        self._core.emit(
            f"{_PREFIX}.completed",
            item_id=item.id,
            content_index=0,
            transcript=heard,
            usage=self._usage(item, heard),
            **self._logprobs(heard),
        )

    def _usage(self, item: ConversationItem, heard: str) -> Json:
        if tells_duration(self._model):  # P-476
            return {"type": "duration", "seconds": item.audio_ms / 1000}
        spent = count_tokens(heard)
        return {
            "type": "tokens",
            "total_tokens": item.audio_tokens + spent,
            "input_tokens": item.audio_tokens,
            "input_token_details": {"text_tokens": 0, "audio_tokens": item.audio_tokens},
            "output_tokens": spent,
        }

    def _logprobs(self, words: str) -> Json:
        """P-475: one for each word, where the session asks for them."""
        asked = self._core.session.config["include"] or ()
        if _INCLUDE not in asked or not has_logprobs(self._model):
            return {}
        tokens = re.findall(r"\s*\S+", words)
        return {
            "logprobs": [
                {"token": token, "logprob": -0.01 * len(token), "bytes": list(token.encode())}
                for token in tokens
            ]
        }

    @property
    def _model(self) -> str:
        return str((self._core.session.transcription or {}).get("model"))
