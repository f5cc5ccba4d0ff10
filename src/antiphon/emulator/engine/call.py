"""One emulated call, without sockets, media or clock: one session, and whoever controls it.

    call = Call(behaviour, script, kind=CallKind.SIP)
    call.begin(session, now)                  # accepted, or the offer was answered
    line = call.attach(LineKind.SIDEBAND, now)
    call.receive(line, frame, now)            # for each frame of that controller
    call.advance(now)                         # when now >= call.next_deadline()
    for number, effects in call.collect(): ...  # after each of these, for each line
    for effect in call.take(): ...            # and what is for no line

The session is an `Engine`; what makes it a call is that its way out are `Lines`, that a `Gateway`
plays its sound, and that some client events mean something else.
"""

from enum import StrEnum
from typing import Any

from antiphon.emulator.engine.effects import ServerEffect
from antiphon.emulator.engine.engine import DEFAULT_EPOCH, Engine
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.gateway import Gateway
from antiphon.emulator.engine.keypad import Keypad
from antiphon.emulator.engine.lines import Line, LineKind, Lines
from antiphon.emulator.engine.outlet import WayOut
from antiphon.emulator.faculties.work import NO_FACULTIES, Faculties, Result
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.call_choices import (
    CallEndClose,
    CallIdStyle,
    NestedUpdate,
    SidebandAppend,
    SipTurnDetectionLimits,
)
from antiphon.emulator.knobs.choices import BadJsonReply, ConversationCreated
from antiphon.emulator.scripts.script import Script
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.client_events import SESSION
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.session import server_vad

__all__ = ["Call", "CallKind", "CallState"]

Json = dict[str, Any]
_SIP_REFUSES = ("threshold", "prefix_padding_ms", "silence_duration_ms")


class CallKind(StrEnum):
    """Who holds the media."""

    WEBRTC = "webrtc"
    SIP = "sip"


class CallState(StrEnum):
    """Where a call is in its life."""

    RINGING = "ringing"
    UP = "up"
    OVER = "over"


class _CallEngine(Engine):
    """The session of a call."""

    def __init__(self, kind: CallKind, *args: Any, **options: Any) -> None:
        self.sip = kind is CallKind.SIP
        self._told: set[str | None] = set()
        super().__init__(*args, **options)
        self.keypad = Keypad(self._core, self._items, self._responses)
        self.gateway = Gateway(
            self._basis, self._core, self._responses.lanes, self.lines, self._responses.cancel
        )
        self.lines.watcher = self.gateway
        self._handlers["input_audio_buffer.append"] = self._append
        self._handlers["output_audio_buffer.clear"] = lambda event: self.gateway.clear()

    def _way_out(self, faults: Faults | None) -> WayOut:
        # Faults are those of connections: each line has them for itself.
        self.lines = Lines(self._basis, self.behaviour)
        return self.lines

    # Beginning and end

    def begin(self, session: Json, now: float) -> None:
        """The session exists from now on.

        Raises:
            Refusal: it cannot be as asked; nothing has begun.
        """
        SESSION(session, "session")
        self._configure(session)
        self._begin(now)
        self._make_appointments()

    def greet(self, line: Line) -> None:
        """`session.created`, for one line."""
        core = self._core
        line.outlet.send(
            {
                "type": "session.created",
                "event_id": core.ids.new("event"),
                "session": core.session.config,
            }
        )
        if self.behaviour.conversation_created is ConversationCreated.AFTER_SESSION_CREATED:
            conversation = {"id": core.conversation.id, "object": "realtime.conversation"}
            event = {"type": "conversation.created", "event_id": core.ids.new("event")}
            line.outlet.send({**event, "conversation": conversation})

    def finish(self, now: float) -> None:
        """Nothing happens any more, but for what is on its way."""
        self._basis.now = max(self._basis.now, now)
        self._stop()

    def _stop(self) -> None:
        super()._stop()
        self.gateway.end()

    # What the media peer does

    def press(self, key: str) -> None:
        """A key of the telephone (P-440): the only event without an id."""
        self.lines.publish(
            {
                "type": "input_audio_buffer.dtmf_event_received",
                "event": key,
                "received_at": int(self._basis.wall()),
            }
        )
        self.keypad.press(key)

    def speech(self, length_ms: float) -> None:
        """The user speaks for so long, from now on."""
        self.keypad.speech()
        padding_ms = int((self._core.session.turn_detection or {}).get("prefix_padding_ms", 300))
        began_ms = (self._basis.now - self._basis.started) * 1000
        self._input.speech_begins(max(0, round(began_ms) - padding_ms))
        self._core.later(length_ms / 1000, lambda: self._speech_over(length_ms))

    def _speech_over(self, length_ms: float) -> None:
        config = self._core.session.turn_detection or {}
        # P-183: words that sound finished are the semantic detector's shortest wait.
        silence_ms = int(config.get("silence_duration_ms", 500))

        def tell() -> None:
            now_ms = round((self._basis.now - self._basis.started) * 1000)
            self._input.speech_ends(now_ms, round(length_ms) + silence_ms)

        self._core.later(silence_ms / 1000, tell)

    def hear(self, pcm: bytes) -> None:
        """Sound of a real peer: PCM16, 24 kHz, mono."""
        if self._core.session.input_format.sample_bytes != 2:
            return  # P-347: another format silences the call
        try:
            self._input.hear(pcm)
        except Refusal as refusal:
            # Sound never stops coming: what is wrong with it is told once.
            if refusal.code not in self._told:
                self._told.add(refusal.code)
                self._core.refuse(refusal, None)

    # Events that mean something else

    def _unreadable(self, detail: str) -> None:
        # What one controller sends must not end the call for the others.
        line = self.lines.get(self.lines.cause or 0)
        if line is None or self.behaviour.bad_json_reply is BadJsonReply.ERROR:
            super()._unreadable(detail)
            return
        match self.behaviour.bad_json_reply:
            case BadJsonReply.CLOSE:
                line.outlet.close(1007, "invalid_request_error.invalid_json")
            case BadJsonReply.CLOSE_1011:
                line.outlet.close(1011, "internal error")
            case BadJsonReply.CUT:
                line.outlet.cut_off()

    def _append(self, event: Json) -> None:
        match self.behaviour.sideband_append:
            case SidebandAppend.ERROR:
                raise errors.media_elsewhere()
            case SidebandAppend.ACCEPT:
                self._input.append(event["audio"])

    def _session_update(self, event: Json) -> None:
        session = event["session"]
        self._check_sip(session)
        super()._session_update({**event, "session": self._whole(session)})

    def _configure(self, session: Json) -> None:
        self._check_sip(session)
        self._core.session.begin_as(self._whole(session))

    def _check_sip(self, session: Json) -> None:
        """P-346."""
        if not self.sip or self.behaviour.sip_turn_detection_limits is SipTurnDetectionLimits.TAKEN:
            return
        asked = ((session.get("audio") or {}).get("input") or {}).get("turn_detection") or {}
        for name in _SIP_REFUSES:
            if name in asked:
                raise errors.unknown_parameter(f"session.audio.input.turn_detection.{name}")

    def _whole(self, session: Json) -> Json:
        """P-348: the update with what it does not name of `audio.input` set back."""
        heard = (session.get("audio") or {}).get("input")
        if heard is None or self.behaviour.nested_update is NestedUpdate.MERGED:
            return session
        defaults = {
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": server_vad(self.behaviour.silence_duration_ms),
        }
        return {**session, "audio": {**session["audio"], "input": {**defaults, **heard}}}


class Call:
    """A call from ringing to its end.

    Args:
        behaviour: the knobs.
        script: what the model answers.
        kind: who holds the media.
        faults: what goes wrong on each line.
        others: as for `Engine`.

    Attributes:
        id: the call's id.
        ready_at: when sidebands can attach, on the clock of `now`.
        engine: its session, for assertions as on a plain connection.
        state: ringing, up or over.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        kind: CallKind = CallKind.WEBRTC,
        seed: int | str = 0,
        faults: Faults | None = None,
        epoch: float = DEFAULT_EPOCH,
        model: str = "",
        keep_received: int = 10_000,
        faculties: Faculties = NO_FACULTIES,
    ) -> None:
        self.kind = kind
        self.state = CallState.RINGING
        self.ready_at = float("inf")
        self._faults = faults
        self._effects: list[ServerEffect] = []
        self._session = _CallEngine(
            kind,
            behaviour,
            script,
            seed=seed,
            epoch=epoch,
            model=model,
            keep_received=keep_received,
            faculties=faculties,
        )
        self.id = self._new_id()

    def _new_id(self) -> str:
        """P-336: its last part is that of the session's id."""
        core = self._session._core
        config = core.session.config
        config["id"] = config["id"].replace("sess_", "sess_u0_", 1)
        match self.engine.behaviour.call_id_style:
            case CallIdStyle.HEX:
                return f"rtc_{core.rng.getrandbits(128):032x}"
            case CallIdStyle.UUID:
                bits = f"{core.rng.getrandbits(128):032x}"
                parts = (bits[:8], bits[8:12], bits[12:16], bits[16:20], bits[20:])
                return "-".join(parts)
        return f"rtc_{config['id'].removeprefix('sess_')}"

    @property
    def engine(self) -> Engine:
        """The session."""
        return self._session

    @property
    def lines(self) -> list[Line]:
        """Who is attached, oldest first."""
        return list(self._session.lines)

    @property
    def session(self) -> Json:
        """The session's configuration, as `session.updated` would show it."""
        return self._session._core.session.config

    # Life

    def begin(self, session: Json, now: float) -> None:
        """The call is accepted, or its offer answered.

        Raises:
            Refusal: the session cannot be as asked; the call still rings.
        """
        self._session.begin(session, now)
        self.state = CallState.UP
        self.ready_at = now + self._session.behaviour.sideband_ready_ms / 1000

    def reject(self) -> None:
        """The call is declined."""
        self.state = CallState.OVER

    def hang_up(self, now: float) -> None:
        """The media peer leaves: the caller hangs up, the browser goes away."""
        knobs = self._session.behaviour
        sip = self.kind is CallKind.SIP
        self._end(now, knobs.call_end_close if sip else knobs.call_end_close_webrtc)

    def end(self, now: float) -> None:
        """The call is ended from here: `hangup`, or a transfer that came about."""
        self._end(now, self._session.behaviour.call_end_close_webrtc)

    def end_later(self, delay_s: float) -> None:
        """The call leaves for somewhere else, after so many seconds."""
        core, basis = self._session._core, self._session._basis
        core.later(delay_s, lambda: self.end(basis.now))

    def _end(self, now: float, how: CallEndClose) -> None:
        if self.state is CallState.OVER:
            return
        self._run(now)
        self.state = CallState.OVER
        for line in self._session.lines:
            if line.kind is LineKind.DATA_CHANNEL:
                line.outlet.close(1000, "")
                continue
            match how:
                case CallEndClose.ABRUPT:
                    line.outlet.abort()
                case CallEndClose.CLOSE_1000:
                    line.outlet.close(1000, "")
                case CallEndClose.CLOSE_1001:
                    line.outlet.close(1001, "")
        self._session.finish(now)

    # Lines

    def attach(self, kind: LineKind, now: float, *, faultless: bool = False) -> int:
        """A controller joins; the number of its line.

        The data channel begins with `session.created` (P-375), a sideband does not (P-373).

        Args:
            kind: who joins.
            now: the time.
            faultless: nothing goes wrong on this line, whatever goes wrong on others.
        """
        self._run(now)
        line = self._session.lines.add(kind, None if faultless else self._faults)
        if kind is LineKind.DATA_CHANNEL or self._session.behaviour.sideband_session_created:
            self._session.greet(line)
        return line.number

    def detach(self, number: int, now: float) -> None:
        """A controller is gone; the call lives on (P-386)."""
        self._run(now)
        self._session.lines.remove(number)

    def close_line(self, number: int, code: int, reason: str) -> None:
        """Close one line from here."""
        line = self._session.lines.get(number)
        if line is not None:
            line.outlet.close(code, reason)

    def cut_line(self, number: int) -> None:
        """Cut one line: what is on its way is lost, and there is no close frame."""
        line = self._session.lines.get(number)
        if line is not None:
            line.outlet.abort()

    # Inputs

    def receive(self, number: int, frame: bytes | str, now: float, *, is_text: bool = True) -> None:
        """A controller sent a frame."""
        self._run(now)  # what was due before it has another cause
        lines = self._session.lines
        lines.cause = number
        before = self._last_received()
        try:
            self._effects += self._session.receive(frame, now, is_text=is_text)
        finally:
            lines.cause = None
        sent = self._last_received()
        if sent is not before and isinstance(sent, dict):
            lines.remember(sent.get("event_id"), number)

    def _last_received(self) -> Json | bytes | None:
        received = self._session.received
        return received[-1] if len(received) else None

    def advance(self, now: float) -> None:
        """Time has passed: do what is due."""
        self._run(now)

    def answered(self, work_id: int, result: Result, now: float) -> None:
        """Something came of work that an `Ask` had asked for."""
        self._effects += self._session.answered(work_id, result, now)

    def press(self, key: str, now: float) -> None:
        """The caller presses a key: `0` to `9`, `*`, `#` or `A` to `D`."""
        self._run(now)
        if self.state is CallState.UP:
            self._session.press(key)
            self._run(now)

    def speech(self, length_ms: float, now: float) -> None:
        """The user speaks for so long, from now on; without sound, as on virtual media."""
        self._run(now)
        if self.state is CallState.UP:
            self._session.speech(length_ms)
            self._run(now)

    def hear(self, pcm: bytes, now: float) -> None:
        """Sound from the media peer: PCM16, little-endian, 24 kHz, mono."""
        self._run(now)
        if self.state is CallState.UP:
            self._session.hear(pcm)
            self._run(now)

    def next_deadline(self) -> float | None:
        """When `advance` is to be called next, on the clock of `now`; None for never."""
        return self._session.next_deadline()

    # Outputs

    def collect(self) -> list[tuple[int, list[ServerEffect]]]:
        """What is to be done on each line, by its number, since the last call."""
        return self._session.lines.collect()

    def take(self) -> list[ServerEffect]:
        """What is to be done and is for no line: work and, with real media, sound."""
        effects, self._effects = self._effects, []
        return effects

    def _run(self, now: float) -> None:
        self._effects += self._session.advance(now)
        if self._session.closed:  # its hour is over
            self.state = CallState.OVER
