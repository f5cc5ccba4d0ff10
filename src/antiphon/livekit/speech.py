"""The user's speech: when it begins and ends, and what was said, as the framework's events."""

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from livekit.agents import llm

from antiphon import Lane, ResponseHandle, Session
from antiphon.livekit.compat import known
from antiphon.livekit.configuration import Configuration
from antiphon.livekit.items import Items
from antiphon.livekit.metrics import transcription_metrics
from antiphon.livekit.telling import Teller

__all__ = ["Speech"]

logger = logging.getLogger("antiphon.livekit")

_REMEMBERED = 64


class Speech:
    """Follows the user's turns.

    A transcript is told as final once, however often the server sends it.
    """

    def __init__(
        self, client: Session, teller: Teller, items: Items, configuration: Configuration
    ) -> None:
        self._teller = teller
        self._items = items
        self._configuration = configuration
        self._began: dict[str, float] = {}
        # The words so far, by item and content part.
        self._heard: dict[tuple[str, int], str] = {}
        # What was told as final; the oldest are forgotten.
        self._final: dict[tuple[str, int], None] = {}
        self.unanswered = False
        """Whether the user has spoken since the last response of the conversation began."""
        transcription = "conversation.item.input_audio_transcription"
        listeners: dict[str, Callable[[Any], None]] = {
            "opened": self._on_opened,
            "input_audio_buffer.speech_started": self._on_started,
            "input_audio_buffer.speech_stopped": self._on_stopped,
            f"{transcription}.delta": self._on_delta,
            f"{transcription}.updated": self._on_so_far,
            f"{transcription}.completed": self._on_completed,
            f"{transcription}.failed": self._on_failed,
            "conversation.item.deleted": self._on_item_deleted,
            "disconnected": self._on_new_conversation,
            "reconnected": self._on_new_conversation,
        }
        for name, listener in listeners.items():
            client.on(name, listener)

    def _on_opened(self, handle: ResponseHandle) -> None:
        if handle.lane is Lane.DEFAULT:
            self.unanswered = False

    def _on_started(self, event: Any) -> None:
        self.unanswered = True
        # Taken out again by the transcript, so it is kept only where one will come.
        if event.item_id and self._transcribes:
            self._began[event.item_id] = time.time()
        self._teller.emit("input_speech_started", llm.InputSpeechStartedEvent())

    def _on_stopped(self, _: Any) -> None:
        self._teller.emit(
            "input_speech_stopped",
            llm.InputSpeechStoppedEvent(user_transcription_enabled=self._transcribes),
        )

    @property
    def _transcribes(self) -> bool:
        return self._configuration.capabilities.user_transcription

    # --- the words ------------------------------------------------------------------------------

    def _on_delta(self, event: Any) -> None:
        if event.delta:
            words = self._heard.get(_key(event), "") + event.delta
            self._partial(_key(event), words)

    def _on_so_far(self, event: Any) -> None:
        self._partial(_key(event), event.transcript or "")  # P-312: all of them, not the new ones

    def _partial(self, key: tuple[str, int], words: str) -> None:
        if key not in self._final and words != self._heard.get(key):
            self._heard[key] = words
            self._tell(key[0], words, is_final=False)

    def _on_completed(self, event: Any) -> None:
        if event.status == "in_progress":
            self._on_so_far(event)  # P-298: not complete after all
            return
        key, words = _key(event), event.transcript or ""
        if not self._finish(key):
            return
        sure = _confidence(event.logprobs)
        self._items.hear(key[0], words, sure)
        self._tell(key[0], words, is_final=True, confidence=sure)
        names = self._teller.names()
        measured = transcription_metrics(
            event.usage,
            request_id=event.event_id or "",
            label=names["label"],
            model=self._configuration.transcription_model,
            provider=names["provider"],
        )
        if measured is not None:
            self._teller.emit("metrics_collected", measured)

    def _on_failed(self, event: Any) -> None:
        logger.error("the server could not transcribe the user's audio")
        key = _key(event)
        words = self._heard.get(key)
        if self._finish(key) and words is not None:
            # Whoever shows the partial words waits for the final ones.
            self._tell(key[0], words, is_final=True)
        self._began.pop(key[0], None)

    def _finish(self, key: tuple[str, int]) -> bool:
        """Whether these are the first final words of this part (P-314: they may come twice)."""
        self._heard.pop(key, None)
        if not key[0]:
            return True
        if key in self._final:
            logger.debug("the transcript of item %s came again, and was left out", key[0])
            return False
        self._final[key] = None
        if len(self._final) > _REMEMBERED:
            del self._final[next(iter(self._final))]
        return True

    def _tell(
        self, item_id: str, words: str, *, is_final: bool, confidence: float | None = None
    ) -> None:
        began = self._began.pop(item_id, None) if is_final else None
        self._teller.emit(
            "input_audio_transcription_completed",
            known(
                llm.InputTranscriptionCompleted,
                item_id=item_id,
                transcript=words,
                is_final=is_final,
                confidence=confidence,
                turn_started_at=began,
            ),
        )

    def _on_item_deleted(self, event: Any) -> None:
        self._began.pop(event.item_id or "", None)

    def _on_new_conversation(self, _: Any) -> None:
        """The next connection gives the user's items new ids."""
        self._began.clear()
        self._heard.clear()
        self._final.clear()


def _key(event: Any) -> tuple[str, int]:
    return event.item_id or "", event.content_index or 0


def _confidence(logprobs: Any) -> float | None:
    """How sure the transcriber was: the geometric mean of its tokens' probabilities."""
    if not logprobs:
        return None
    return math.exp(sum(token.logprob or 0.0 for token in logprobs) / len(logprobs))
