"""The input audio buffer, the user's turns, and what follows from them (P-101 to P-103, P-185)."""

from typing import Any

from antiphon.emulator.audio.formats import converted
from antiphon.emulator.audio.turns import Edge, EdgeKind, TurnDetector
from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.hearing import Hearing
from antiphon.emulator.engine.items import decode_audio
from antiphon.emulator.engine.lanes import Request
from antiphon.emulator.engine.output import announce_item
from antiphon.emulator.engine.response import Response
from antiphon.emulator.engine.responses import Responses
from antiphon.emulator.engine.transcription import Transcriber
from antiphon.emulator.knobs.choices import TranscriptionTiming
from antiphon.emulator.scripts.script import Misheard
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.agenda import Entry
from antiphon.emulator.state.conversation import ConversationItem
from antiphon.exceptions import MissingDependency

__all__ = ["InputAudio"]

MIN_COMMIT_MS = 100  # P-224
MAX_BUFFER_BYTES = 64 * 1024 * 1024

Json = dict[str, Any]


class InputAudio:
    """Holds what the client appends, finds turns in it, and commits them as user items.

    Invariant: `_data` is the session's input audio in format `_format`, from byte `_start` on.
    Positions in milliseconds count from the first byte of the session (P-189), whatever its format
    was then: when the format changes, what is there is converted and `_start` with it.
    """

    def __init__(self, core: Core, responses: Responses, hearing: Hearing) -> None:
        self._core = core
        self._responses = responses
        self._transcriber = Transcriber(core, hearing)
        self._data = bytearray()
        self._start = 0
        self._format = core.session.input_format
        self._detector: TurnDetector | None = None
        # Whether the package that hears speech is missing.
        self._deaf = False
        self._turn_item_id: str | None = None
        self._talking = False
        self._idle: Entry | None = None

    # Client events

    def append(self, text: str) -> None:
        """`input_audio_buffer.append`: answered by nothing when it succeeds (P-101)."""
        self._keep_format()
        self.hear(decode_audio(text, self._format))

    def hear(self, data: bytes) -> None:
        """Audio in the session's input format, whole samples."""
        self._keep_format()
        if len(self._data) + len(data) > MAX_BUFFER_BYTES:
            raise errors.append_too_large(MAX_BUFFER_BYTES)
        detector = self._current_detector()
        self._data += data
        if detector is None:
            return
        busy = self._responses.lanes.default_in_progress() is not None
        listening = self._core.behaviour.vad_while_responding or not busy  # P-299
        for edge in detector.feed(data, listening=listening):
            if edge.kind is EdgeKind.STARTED:
                self._speech_started(edge)
            else:
                self._speech_stopped(edge)
        if not detector.speaking:
            self._forget_silence(detector)

    def commit(self) -> None:
        """`input_audio_buffer.commit`: an item, and never a response (P-102)."""
        self._keep_format()
        audio = self._format
        held_ms = len(self._data) / audio.bytes_per_ms
        if held_ms < MIN_COMMIT_MS:
            raise errors.commit_too_small(held_ms)
        # P-190: this item is not the one that speech_started named.
        item_id = self._core.ids.new("item")
        self._commit_item(item_id, self._take(self._start + len(self._data)))

    def clear(self) -> None:
        """`input_audio_buffer.clear` (P-103)."""
        self._take(self._start + len(self._data))
        if self._detector is not None:
            self._detector.reset()
        self._core.emit("input_audio_buffer.cleared")

    def forget(self) -> None:
        """The session is over: no audio is needed any more."""
        self._data.clear()

    # What the session tells

    def default_done(self, response: Response) -> None:
        """A default response has ended: the idle timeout may start (P-182)."""
        self._transcriber.response_done()
        config = self._core.session.turn_detection or {}
        timeout_ms = config.get("idle_timeout_ms")
        self.stop_idle()
        if timeout_ms:
            delay = (response.audio_ms + timeout_ms) / 1000
            self._idle = self._core.later(delay, self._idle_timeout)

    def stop_idle(self) -> None:
        """Something happened: the user is not idle."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    # Turns of a call whose sound is not heard here

    def speech_begins(self, at_ms: int) -> None:
        """Speech began at this place of the call's audio, padding included."""
        busy = self._responses.lanes.default_in_progress() is not None
        if self._core.session.turn_detection is None:
            return
        if busy and not self._core.behaviour.vad_while_responding:  # P-299
            return
        self._talking = True
        self._keep_format()
        self._data.clear()
        self._start = at_ms * self._format.bytes_per_ms
        self._speech_started(Edge(EdgeKind.STARTED, at_ms, self._start))

    def speech_ends(self, at_ms: int, length_ms: int) -> None:
        """Speech of this length is over, the silence that told so included.

        Without turn detection it is only held, for a commit.
        """
        self._keep_format()
        self._data += bytes(length_ms * self._format.bytes_per_ms)
        if self._talking:
            self._talking = False
            end = self._start + len(self._data)
            self._speech_stopped(Edge(EdgeKind.STOPPED, at_ms, end))

    # Turns

    def _current_detector(self) -> TurnDetector | None:
        config = self._core.session.turn_detection
        if config is None:
            self._detector = None
        elif self._detector is None or not self._detector.serves(self._format, config):
            if self._deaf:
                return None
            try:
                self._detector = TurnDetector(
                    self._format,
                    config,
                    self._start + len(self._data),
                    self._sounds_finished,
                    speaking=self._detector is not None and self._detector.speaking,
                )
            except MissingDependency as missing:
                # Told once, as an error event: what is not installed here must not cost the
                # client its connection.
                self._deaf = True
                raise errors.not_installed(missing) from missing
        return self._detector

    def _sounds_finished(self) -> bool:
        # They end in a full stop, or are not known.
        words = self._core.script.peek()
        return isinstance(words, Misheard) or words.rstrip()[-1:] in tuple(".?!)")

    def _speech_started(self, edge: Edge) -> None:
        self.stop_idle()
        self._turn_item_id = self._core.ids.new("item")
        self._core.emit(
            "input_audio_buffer.speech_started",
            audio_start_ms=edge.at_ms,
            item_id=self._turn_item_id,
        )
        # The item begins with the padding; what came before is not part of any turn.
        self._take(edge.at_ms * self._format.bytes_per_ms)
        if (self._core.session.turn_detection or {}).get("interrupt_response"):
            self._responses.interrupt()

    def _speech_stopped(self, edge: Edge) -> None:
        item_id = self._turn_item_id or self._core.ids.new("item")
        self._turn_item_id = None
        timing = self._core.behaviour.transcription_timing
        if timing is TranscriptionTiming.BEFORE_ITEM:
            self._transcriber.early(item_id)  # P-187
        self._core.emit(
            "input_audio_buffer.speech_stopped", audio_end_ms=edge.at_ms, item_id=item_id
        )
        self._commit_item(item_id, self._take(edge.byte))
        self._respond()

    def _respond(self) -> None:
        config = self._core.session.turn_detection or {}
        if not config.get("create_response") or self._core.session.is_transcription:
            return
        try:
            self._responses.create(Request({}, None, automatic=True))
        except Refusal as refusal:  # P-49
            self._core.refuse(refusal, None)

    def _commit_item(self, item_id: str, data: bytes) -> None:
        core = self._core
        last = core.conversation.last
        body: Json = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        length = len(data) // self._format.bytes_per_ms
        item = ConversationItem(body, audio=data, audio_ms=length)
        core.emit(
            "input_audio_buffer.committed",
            previous_item_id=None if last is None else last.id,
            item_id=item_id,
        )
        core.conversation.append(item)
        announce_item(core, item)
        has_turns = self._core.session.turn_detection is not None
        self._transcriber.committed(item, will_respond=has_turns)

    def _idle_timeout(self) -> None:
        """P-194: an empty turn of its own, so that the model can ask whether anybody is there."""
        self._idle = None
        if self._talking or (self._detector is not None and self._detector.speaking):
            return
        self._keep_format()
        position = (self._start + len(self._data)) // self._format.bytes_per_ms
        item_id = self._core.ids.new("item")
        self._core.emit(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=position,
            audio_end_ms=position,
            item_id=item_id,
        )
        self._commit_item(item_id, b"")
        self._respond()

    # The buffer

    def _keep_format(self) -> None:
        """Take note of a `session.update` that has changed the input format."""
        present, before = self._core.session.input_format, self._format
        if present == before:
            return
        self._start = self._start * present.bytes_per_ms // before.bytes_per_ms
        self._data = bytearray(converted(bytes(self._data), before, present))
        self._format = present

    def _take(self, until: int) -> bytes:
        """Remove and return the audio up to byte `until` of the session."""
        count = max(0, min(until - self._start, len(self._data)))
        taken = bytes(self._data[:count])
        del self._data[:count]
        self._start += count
        return taken

    def _forget_silence(self, detector: TurnDetector) -> None:
        # Between turns only what may become padding is needed; the rest would grow for ever.
        keep_ms = int(detector.config.get("prefix_padding_ms", 300)) + 100
        keep = keep_ms * self._format.bytes_per_ms
        if len(self._data) > 2 * keep:
            self._take(self._start + len(self._data) - keep)
