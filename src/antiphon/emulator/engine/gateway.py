"""The gateway of a call: it plays what the model says, and tells when (P-400 to P-428).

It takes the audio of all responses into one output buffer and plays it in real time on the
engine's clock. Generation does not know of it: it watches the session's events from outside, as
the machine does that stands between the model and the telephone (P-401).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pybase64

from antiphon.emulator.engine.basis import Basis
from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.effects import Hush, Play
from antiphon.emulator.engine.lanes import Lanes
from antiphon.emulator.engine.lines import Lines
from antiphon.emulator.engine.response import Lane, Phase, Response
from antiphon.emulator.knobs.call_choices import (
    CallMedia,
    ClearedFor,
    ClearIdle,
    ClearScope,
    ClearWhileGenerating,
    OutputStarted,
    PlaybackOrder,
)
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.agenda import Entry

__all__ = ["Gateway"]

Json = dict[str, Any]
# Responses whose audio is refused are few and soon over; a bound all the same.
REMEMBERED = 512


@dataclass(slots=True)
class _Part:
    """A stretch of one item's audio, in ms: where it begins in the track and in the item."""

    item_id: str
    begins_ms: int
    in_item_ms: int
    length_ms: int = 0


@dataclass(slots=True, eq=False)
class _Track:
    """The sound of one response, as far as it was not cleared.

    Invariant: `played_ms` is what was heard until `since`; while `since` is set it plays.
    """

    response: Response
    parts: list[_Part] = field(default_factory=list)
    length_ms: int = 0
    played_ms: float = 0.0
    since: float | None = None
    may_start_at: float | None = None
    started: bool = False
    complete: bool = False
    unsent: list[bytes] = field(default_factory=list)
    appointment: Entry | None = None

    def heard_ms(self, now: float) -> float:
        """How much was heard until now."""
        if self.since is None:
            return self.played_ms
        return min(self.length_ms, self.played_ms + (now - self.since) * 1000)


class Gateway:
    """The output buffer of a call, and its player.

    Args:
        basis: for time and chance.
        core: what is shared.
        lanes: to know the responses that audio belongs to.
        lines: where its own events go.
        cancel: cancels a response.

    Invariant: `_tracks` holds, in the order of playing, what was not played, cleared or lost.
    """

    def __init__(
        self,
        basis: Basis,
        core: Core,
        lanes: Lanes,
        lines: Lines,
        cancel: Callable[[Response, str], bool],
    ) -> None:
        self._basis = basis
        self._core = core
        self._knobs = core.behaviour
        self._lanes = lanes
        self._lines = lines
        self._cancel = cancel
        self._tracks: list[_Track] = []
        self._unwanted: dict[str, None] = {}
        self._cuts: dict[str, list[tuple[str, int]]] = {}
        self._last_id: str | None = None

    # What the session sends

    def before(self, event: Json) -> None:
        """An event is about to be sent."""
        kind = event["type"]
        if kind == "response.output_audio.done":
            track = self._track_of(event["response_id"])
            if track is not None and self._knobs.output_started is OutputStarted.AFTER_TRANSCRIPT:
                self._may_start(track, 0.0)  # P-402: before this event

    def after(self, event: Json) -> None:
        """An event was sent."""
        match event["type"]:
            case "response.output_audio.delta":
                self._feed(event)
            case "response.done":
                self._done(event["response"]["id"])
            case "input_audio_buffer.speech_started":
                config = self._core.session.turn_detection or {}
                if config.get("interrupt_response"):  # P-423, P-424
                    # After what generates is cancelled, in the same moment.
                    self._core.later(0.0, self._barge_in)

    # What controllers ask

    def clear(self) -> None:
        """`output_audio_buffer.clear` (P-410 to P-415).

        Raises:
            Refusal: there is nothing to clear, and the knobs say that this is an error.
        """
        dropped = self._tracks[:]
        if self._knobs.clear_scope is ClearScope.PLAYING_ONLY:
            dropped = dropped[:1]
        if not dropped:
            match self._knobs.clear_idle:
                case ClearIdle.ERROR:
                    raise errors.nothing_to_clear()
                case ClearIdle.CLEARED:
                    self._tell("cleared", self._last_id)
            return
        for track in dropped:
            self._stop_feeding(track.response)
        self._drop(dropped)

    def end(self) -> None:
        """The call is over: nothing plays any more."""
        for track in self._tracks:
            if track.appointment is not None:
                track.appointment.cancel()
        self._tracks.clear()

    # Into the buffer

    def _feed(self, event: Json) -> None:
        response = self._lanes.active.get(event["response_id"])
        if response is None or self._knobs.call_media is CallMedia.NONE:  # P-337
            return
        if response.id in self._unwanted or response.cancel_reason == "turn_detected":
            return
        track = self._track_of(response.id)
        if track is None:
            if self._tracks and self._knobs.playback_order is PlaybackOrder.LOST:  # P-407
                self._refuse(response)
                return
            track = _Track(response)
            self._tracks.append(track)
        data = pybase64.b64decode(event["delta"])
        length = len(data) // response.audio.bytes_per_ms
        if not track.parts or track.parts[-1].item_id != event["item_id"]:
            before = response.items[event["output_index"]].audio_ms - length
            track.parts.append(_Part(event["item_id"], track.length_ms, before))
        heard = track.heard_ms(self._basis.now)
        track.parts[-1].length_ms += length
        track.length_ms += length
        self._sound(track, data)
        if track.started:
            self._play_from(track, heard)
        elif self._knobs.output_started is OutputStarted.FIRST_AUDIO:
            self._may_start(track, self._knobs.output_started_latency_ms / 1000)

    def _done(self, response_id: str) -> None:
        self._unwanted.pop(response_id, None)
        self._cut(self._cuts.pop(response_id, []))
        track = self._track_of(response_id)
        if track is None:
            return
        track.complete = True
        if track.started:
            self._play_from(track, track.heard_ms(self._basis.now))
            return
        delay_s = self._knobs.output_started_latency_ms / 1000
        match self._knobs.output_started:
            case OutputStarted.AFTER_DONE:
                self._may_start(track, delay_s)
            case OutputStarted.AFTER_TRANSCRIPT:  # a cancel that closed no items
                self._may_start(track, 0.0)

    # Playing

    def _may_start(self, track: _Track, delay_s: float) -> None:
        if track.may_start_at is None and not track.started:
            track.may_start_at = self._basis.now + delay_s
            if delay_s:
                track.appointment = self._core.later(delay_s, self._start_what_may)
            else:
                self._start_what_may()

    def _start_what_may(self) -> None:
        now = self._basis.now
        together = self._knobs.playback_order is PlaybackOrder.OVERLAP
        for track in self._tracks[: None if together else 1]:
            if track.started or track.may_start_at is None or track.may_start_at > now + 1e-9:
                continue
            track.started = True
            self._last_id = track.response.id
            self._tell("started", track.response.id)
            for data in track.unsent:
                self._lines.ask(Play(data))
            track.unsent.clear()
            self._play_from(track, 0.0)

    def _play_from(self, track: _Track, heard_ms: float) -> None:
        """Go on playing from here, and make the appointment for when the buffer runs dry."""
        now = self._basis.now
        if track.appointment is not None:
            track.appointment.cancel()
        left_ms = track.length_ms - heard_ms
        if left_ms > 0.01:
            track.played_ms, track.since = heard_ms, now
            track.appointment = self._core.later(left_ms / 1000, lambda: self._dry(track))
        else:
            self._dry(track)

    def _dry(self, track: _Track) -> None:
        track.played_ms, track.since = track.length_ms, None
        track.appointment = None
        if track.complete:
            delay_s = self._knobs.output_stopped_latency_ms / 1000
            track.appointment = self._core.later(delay_s, lambda: self._stopped(track))

    def _stopped(self, track: _Track) -> None:
        self._tracks.remove(track)
        self._tell("stopped", track.response.id)
        self._start_what_may()

    # Clearing

    def _barge_in(self) -> None:
        """Speech has begun: P-420, P-421."""
        dropped = [
            track
            for track in self._tracks
            if self._knobs.vad_clears_oob or track.response.lane is Lane.DEFAULT  # P-427
        ]
        if dropped:
            self._drop(dropped)

    def _stop_feeding(self, response: Response) -> None:
        """A controller clears the sound of what may still be generating (P-411, P-413)."""
        if response.phase is Phase.CANCELLING:
            self._refuse(response)
        elif response.phase is Phase.GENERATING:
            match self._knobs.clear_while_generating:
                case ClearWhileGenerating.LATER_AUDIO_DROPPED:
                    self._refuse(response)
                case ClearWhileGenerating.CANCELS:
                    self._refuse(response)
                    self._cancel(response, "client_cancelled")

    def _refuse(self, response: Response) -> None:
        self._unwanted[response.id] = None
        if len(self._unwanted) > REMEMBERED:
            self._unwanted.pop(next(iter(self._unwanted)))

    def _drop(self, dropped: list[_Track]) -> None:
        now = self._basis.now
        head = dropped[0]
        for track in dropped:
            if track.appointment is not None:
                track.appointment.cancel()
            self._tracks.remove(track)
        if any(track.started for track in dropped):
            self._lines.ask(Hush())
        for track in dropped:
            match self._knobs.cleared_for:
                case ClearedFor.EACH:
                    self._tell("cleared", track.response.id)
                case ClearedFor.PLAYING if track is head:
                    self._tell("cleared", track.response.id)
        for track in dropped:
            self._truncate(track, track.heard_ms(now))
        self._start_what_may()

    def _truncate(self, track: _Track, heard_ms: float) -> None:
        """The conversation is shortened to what was heard (P-411, P-412)."""
        response = track.response
        if response.lane is not Lane.DEFAULT or not self._knobs.auto_truncated:  # P-428
            return
        whole_ms = int(heard_ms + 0.001)  # what is whole on paper stays so
        cuts = [
            (part.item_id, part.in_item_ms + max(0, whole_ms - part.begins_ms))
            for number, part in enumerate(track.parts, 1)
            if heard_ms < part.begins_ms + part.length_ms
            or (number == len(track.parts) and not track.complete)
        ]
        if response.phase is Phase.CANCELLING:
            self._cuts[response.id] = cuts  # P-420: after its done events
        else:
            self._cut(cuts)

    def _cut(self, cuts: list[tuple[str, int]]) -> None:
        for item_id, heard_ms in cuts:
            try:
                self._core.conversation.truncate(item_id, 0, heard_ms)
            except Refusal:
                continue  # it was deleted, or cut before
            self._publish(
                "conversation.item.truncated",
                event_id=self._core.ids.new("event"),
                item_id=item_id,
                content_index=0,
                audio_end_ms=heard_ms,
            )

    # Telling

    def _tell(self, what: str, response_id: str | None) -> None:
        # P-400, P-401: ids of another machine's form, and one field.
        event_id = f"event_{self._core.rng.getrandbits(64):016x}"
        fields = {"response_id": response_id} if response_id is not None else {}
        if what == "cleared" and not self._knobs.cleared_response_id:
            fields = {}
        self._publish(f"output_audio_buffer.{what}", event_id=event_id, **fields)

    def _publish(self, kind: str, **fields: Any) -> None:
        self._lines.publish({"type": kind, **fields})

    def _sound(self, track: _Track, data: bytes) -> None:
        if self._knobs.call_media is not CallMedia.WEBRTC:
            return
        if track.response.audio.sample_bytes != 2:
            return  # P-347: another format silences the call
        if track.started:
            self._lines.ask(Play(data))
        else:
            track.unsent.append(data)

    def _track_of(self, response_id: str) -> _Track | None:
        for track in self._tracks:
            if track.response.id == response_id:
                return track
        return None
