"""The input buffer and the user's turns, keyed by item id.

A turn is one stretch of user speech. Its events may come in any order: transcription deltas before
the speech has even ended (P-187), a commit under another item id than the speech (P-190).
"""

from collections import deque
from typing import Literal

import msgspec
from msgspec.structs import replace

from antiphon.protocol.effects import Effects, TurnChanged
from antiphon.protocol.items import Items
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.wire.client_events import InputAudioBufferClear, InputAudioBufferCommit
from antiphon.wire.server_events import (
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionUpdated,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
)

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


# Of audio in which the server has heard no speech yet: what it had not come to when it was lost.
_UNHEARD_MS = 1000


class InputAudio:
    """What was sent of the microphone, and the turns that the server made of it.

    What the server has not taken into an item is lost with it. The latest of that is kept here, to
    be sent to the next one: a turn that is under way, or the last second before one.

    Args:
        requests: the connection's.
        items: the connection's; they take the words.
        kept_ms: how much of a turn is kept, in ms.
        remembered: how many turns are kept; older ones are forgotten.

    Attributes:
        by_hand: whether turns are the caller's to commit; else the server finds them.
        replies: whether the server answers by itself the turns that it finds.
        interrupts: whether it stops answering when the user begins to speak (P-191).
        awaits_reply: whether there is a turn that it has not answered yet, and would.
        bytes_per_ms: bytes per ms of the session's input format.
        sent_bytes: all that was sent over this connection.
        uncommitted_bytes: what of that is in no item yet.
    """

    __slots__ = (
        "_items",
        "_kept_ms",
        "_latest",
        "_latest_bytes",
        "_remembered",
        "_requests",
        "_trim_above",
        "_turns",
        "awaits_reply",
        "by_hand",
        "bytes_per_ms",
        "interrupts",
        "replies",
        "sent_bytes",
        "uncommitted_bytes",
    )

    def __init__(
        self, requests: Requests, items: Items, kept_ms: int = 5000, remembered: int = 64
    ) -> None:
        self._requests = requests
        self._items = items
        self._kept_ms = kept_ms
        self._remembered = remembered
        self._turns: dict[str, Turn] = {}
        self.sent_bytes = 0
        self.uncommitted_bytes = 0
        self.bytes_per_ms = BYTES_PER_MS["audio/pcm"]
        self.by_hand = True
        self.replies = True
        self.interrupts = True
        self.awaits_reply = False
        # Invariant: the size of all pieces of _latest, never much above what is kept.
        self._latest_bytes = 0
        self._latest: deque[bytes] = deque()
        self._trim_above = 0

    @property
    def awaits_commit(self) -> bool:
        """Whether the server has heard speech that it has not yet taken into an item."""
        newest = next(reversed(self._turns.values()), None)
        return newest is not None and newest.phase in ("speech_started", "speech_stopped")

    @property
    def latest(self) -> tuple[bytes, ...]:
        """What the next server is to be told, should this one be lost."""
        self._trim(self._limit)
        return tuple(self._latest)

    def append(self, audio: bytes) -> None:
        size = len(audio)
        self.sent_bytes += size
        self.uncommitted_bytes += size
        self._latest.append(audio)
        self._latest_bytes += size
        if self._latest_bytes > self._trim_above:
            limit = self._limit
            self._trim(limit)
            # Not again for every piece.
            self._trim_above = limit + limit // 4

    def forget(self) -> None:
        """Nothing of what was sent and not committed counts any more."""
        self.uncommitted_bytes = 0
        self._trim(0)

    def took(self, sent_bytes: int) -> None:
        """Everything up to this point of the stream is in an item now."""
        self.uncommitted_bytes = min(self.uncommitted_bytes, self.sent_bytes - sent_bytes)
        self._trim(self.uncommitted_bytes)

    @property
    def _limit(self) -> int:
        kept = self._kept_ms
        if not (self.by_hand or self.awaits_commit):
            kept = min(kept, _UNHEARD_MS)
        return kept * self.bytes_per_ms

    def _trim(self, limit: int) -> None:
        while self._latest_bytes > limit:
            oldest = self._latest.popleft()
            self._latest_bytes -= len(oldest)
            if self._latest_bytes < limit:
                self._latest.appendleft(oldest[self._latest_bytes - limit :])
                self._latest_bytes = limit

    # --- asked ----------------------------------------------------------------------------------

    def commit(self, now: float, effects: Effects) -> Request:
        event_id = self._requests.next_event_id()
        request = Request(event_id, RequestKind.COMMIT, payload=self.sent_bytes)
        return self._requests.ask(InputAudioBufferCommit(event_id=event_id), request, now, effects)

    def commit_held(self, event: InputAudioBufferCommit) -> None:
        """A commit that was asked for while there was no socket is sent now."""
        request = self._requests.get(event.event_id or None)
        if request is not None:
            request.payload = self.sent_bytes

    def clear(self, now: float, effects: Effects) -> Request:
        event_id = self._requests.next_event_id()
        request = Request(event_id, RequestKind.CLEAR)
        self._requests.ask(InputAudioBufferClear(event_id=event_id), request, now, effects)
        self.forget()
        return request

    # --- told -----------------------------------------------------------------------------------

    def cleared(self, event: InputAudioBufferCleared, now: float, effects: Effects) -> None:
        self._requests.answer(self._requests.find(RequestKind.CLEAR), None, effects)

    def committed(self, event: InputAudioBufferCommitted, now: float, effects: Effects) -> None:
        request = self._requests.find(RequestKind.COMMIT)
        if request is None:
            self.forget()
            self.awaits_reply = self.replies
        else:
            self.took(request.payload)
        self._requests.answer(request, event.item_id or None, effects)
        if event.item_id:
            self.turn(event.item_id).committed = True
            self._changed(event.item_id, "committed", effects)

    def speech_started(
        self, event: InputAudioBufferSpeechStarted, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self.turn(event.item_id).started_ms = event.audio_start_ms or 0
            self.awaits_reply = False
            self._changed(event.item_id, "speech_started", effects)

    def speech_stopped(
        self, event: InputAudioBufferSpeechStopped, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self.turn(event.item_id).stopped_ms = event.audio_end_ms or 0
            self.awaits_reply = self.replies
            self._changed(event.item_id, "speech_stopped", effects)

    def timed_out(
        self, event: InputAudioBufferTimeoutTriggered, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            turn = self.turn(event.item_id)
            turn.started_ms = event.audio_start_ms or 0
            turn.stopped_ms = event.audio_end_ms or 0
            self.awaits_reply = self.replies
            self._changed(event.item_id, "timed_out", effects)

    def transcription_delta(
        self, event: ConversationItemInputAudioTranscriptionDelta, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self.turn(event.item_id).transcript += event.delta or ""

    def transcription_updated(
        self, event: ConversationItemInputAudioTranscriptionUpdated, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            words = event.transcript or ""
            self.turn(event.item_id).transcript = words
            self._items.conversation.transcribe(event.item_id, event.content_index or 0, words)

    def transcribed(
        self, event: ConversationItemInputAudioTranscriptionCompleted, now: float, effects: Effects
    ) -> None:
        # P-186, P-187: it may come before the item that it belongs to, or after the reply to it.
        if event.item_id:
            words = event.transcript or ""
            turn = self.turn(event.item_id)
            # The same words may be told twice (P-314); the turn is told of once.
            news = turn.phase != "transcribed" or turn.transcript != words
            turn.transcript = words
            self._items.conversation.transcribe(event.item_id, event.content_index or 0, words)
            if news and event.status != "in_progress":  # P-298: not the last word yet
                self._changed(event.item_id, "transcribed", effects)

    def transcription_failed(
        self, event: ConversationItemInputAudioTranscriptionFailed, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self._changed(event.item_id, "transcription_failed", effects)

    # --- turns ----------------------------------------------------------------------------------

    def _changed(self, item_id: str, phase: TurnPhase, effects: Effects) -> None:
        turn = self.turn(item_id)
        turn.phase = phase
        effects.append(TurnChanged(replace(turn)))

    def turn(self, item_id: str) -> Turn:
        """The turn of this item, made on first sight."""
        turn = self._turns.get(item_id)
        if turn is None:
            turn = self._turns[item_id] = Turn(item_id)
            if len(self._turns) > self._remembered:
                del self._turns[next(iter(self._turns))]
        return turn
