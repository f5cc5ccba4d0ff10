"""One emulated session, without sockets, tasks or clock.

The shell tells the engine what happens and when, and gets back what to do:

    effects = engine.connect(now)
    effects = engine.receive(frame, now)        # for each frame of the client
    effects = engine.advance(now)               # when now >= engine.next_deadline()
    effects = engine.answered(work_id, result, now)   # for what comes of each `Ask`, if any
    engine.lost(now)                            # when the connection is gone

`now` is any clock in seconds that does not go backwards. Apply the effects in order, then ask for
`next_deadline()` again: every call may change it. Nothing a client sends makes the engine raise.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from antiphon.emulator.engine.basis import Basis
from antiphon.emulator.engine.cancel import Canceller
from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.effects import ServerEffect
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.handshake import Opening
from antiphon.emulator.engine.hearing import Hearing
from antiphon.emulator.engine.input_audio import InputAudio
from antiphon.emulator.engine.items import Items
from antiphon.emulator.engine.lanes import Lanes, Request
from antiphon.emulator.engine.mcp import McpListings
from antiphon.emulator.engine.outlet import FrameOutlet, WayOut
from antiphon.emulator.engine.output import emit_item
from antiphon.emulator.engine.received import Received
from antiphon.emulator.engine.response import Response
from antiphon.emulator.engine.responses import Responses
from antiphon.emulator.faculties.work import NO_FACULTIES, Faculties, Result
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.choices import (
    BadJsonReply,
    ConversationCreated,
    Expiry,
    UnknownEventReply,
    UnknownFieldReply,
)
from antiphon.emulator.scripts.script import Script
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.client_events import CLIENT_EVENTS
from antiphon.emulator.shapes.dialect import translator
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.shapes.schema import checked_without_unknown
from antiphon.wire.depth import MAX_DEPTH, is_too_deep

__all__ = ["Engine"]

Json = dict[str, Any]
_FEW_BYTES = 64  # an append is kept as a line about it
DEFAULT_EPOCH = 1_767_225_600.0  # 2026-01-01 00:00 UTC
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError, ValueError)


class Engine:
    """The server's side of one connection.

    Args:
        behaviour: the knobs; `openai` as documented by default.
        script: what the model answers; the built-in conversation by default.
        seed: ids and everything random follow from it; the same seed and the same inputs at the
            same times give the same effects, byte for byte.
        faults: what goes wrong on the way to the client.
        epoch: Unix time in seconds at `connect`, for ids and `expires_at`.
        model: the model that `session.created` names.
        keep_received: how many client frames are kept in `received`; together they have at most
            16 MiB, so that large ones push out older ones.
        faculties: what the engine may ask for by `Ask` effects; nothing by default.

    Attributes:
        received: the client's latest frames, oldest first: parsed objects (audio replaced by its
            length) or the raw bytes of what was no JSON object.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        seed: int | str = 0,
        faults: Faults | None = None,
        epoch: float = DEFAULT_EPOCH,
        model: str = "",
        keep_received: int = 10_000,
        faculties: Faculties = NO_FACULTIES,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.script = script if script is not None else Script()
        self.received = Received(keep_received)
        self.closed = False
        self._translator = translator(self.behaviour.dialect)
        self._basis = Basis(self.behaviour, seed, epoch)
        self._outlet = self._way_out(faults)
        core = Core(self._basis, self._outlet, self.behaviour, self.script, model, faculties)
        self._core = core
        # What came while nothing is read (knob `reads_while_responding`).
        self._unread: deque[tuple[bytes | str, bool]] = deque()
        self._lanes = lanes = Lanes()
        hearing = Hearing(core)
        self._items = Items(core, lanes, hearing)
        self._responses = Responses(
            core,
            lanes,
            hearing,
            add_item=self._items.add,
            after_default=self._after_default,
        )
        self._listings = McpListings(core, emit_item)
        self._canceller = Canceller(core, self._responses)
        self._input = InputAudio(core, self._responses, hearing)
        self._handlers: dict[str, Callable[[Json], None]] = {
            "session.update": self._session_update,
            "input_audio_buffer.append": lambda event: self._input.append(event["audio"]),
            "input_audio_buffer.commit": lambda event: self._input.commit(),
            "input_audio_buffer.clear": lambda event: self._input.clear(),
            "conversation.item.create": self._item_create,
            "conversation.item.retrieve": lambda event: self._items.retrieve(event["item_id"]),
            "conversation.item.truncate": lambda event: self._items.truncate(
                event["item_id"], event["content_index"], event["audio_end_ms"]
            ),
            "conversation.item.delete": lambda event: self._items.delete(event["item_id"]),
            "response.create": self._response_create,
            "response.cancel": lambda event: self._canceller.cancel(event.get("response_id")),
            "output_audio_buffer.clear": self._output_clear,
        }

    # Inputs

    def connect(self, now: float, opening: Opening | None = None) -> list[ServerEffect]:
        """The connection is open.

        Args:
            now: the time, in seconds.
            opening: what the handshake found; a refusal in it ends the session at once.
        """
        core = self._core
        self._begin(now)
        if opening is not None and opening.refusal is not None:
            core.refuse(opening.refusal, None)
            self._close(opening.close_code, opening.close_reason)
            return self._settle(now)
        if opening is not None and opening.transcribes:
            core.session.transcribe_only()
        if opening is not None and opening.session is not None:
            core.session.begin_as(opening.session)
        core.emit("session.created", session=core.session.config)  # P-250
        if self.behaviour.conversation_created is ConversationCreated.AFTER_SESSION_CREATED:
            conversation = {"id": core.conversation.id, "object": "realtime.conversation"}
            core.emit("conversation.created", conversation=conversation)
        self._make_appointments()
        return self._settle(now)

    def receive(
        self, frame: bytes | str, now: float, *, is_text: bool = True
    ) -> list[ServerEffect]:
        """The client sent a frame.

        Args:
            frame: one whole message.
            now: the time, in seconds.
            is_text: whether it came as a text frame; the protocol knows no others.
        """
        self._run_due(now)
        if not self.closed:
            self._unread.append((frame, is_text))
            self._read()
        return self._settle(now)

    def advance(self, now: float) -> list[ServerEffect]:
        """Time has passed: do what is due."""
        return self._settle(now)

    def answered(self, work_id: int, result: Result, now: float) -> list[ServerEffect]:
        """Something came of work that an `Ask` had asked for.

        Args:
            work_id: the ask's.
            result: what came; work that was dropped meanwhile is passed over.
            now: the time, in seconds.
        """
        self._run_due(now)
        if not self.closed:
            self._core.desk.answered(work_id, result)
        return self._settle(now)

    def lost(self, now: float) -> None:
        """The connection is gone: nothing happens any more."""
        self._basis.now = max(self._basis.now, now)
        self.closed = True
        self._basis.agenda.clear()
        self._let_go()

    def next_deadline(self) -> float | None:
        """When `advance` is to be called next, on the clock of `now`; None for never."""
        return self._basis.agenda.next_deadline()

    # For assertions

    def received_of(self, kind: str) -> list[Json]:
        """The client's events of one type, oldest first."""
        return [
            event
            for event in self.received
            if isinstance(event, dict) and event.get("type") == kind
        ]

    @property
    def active_responses(self) -> list[str]:
        """Ids of the responses that are not done."""
        return list(self._lanes.active)

    @property
    def finished_responses(self) -> dict[str, str]:
        """Final status by id, of the latest few hundred responses."""
        return dict(self._lanes.finished)

    @property
    def item_ids(self) -> list[str]:
        """The default conversation, in order."""
        return [item.id for item in self._core.conversation]

    # Beginning

    def _way_out(self, faults: Faults | None) -> WayOut:
        proxied = self.behaviour.behind_proxy
        return FrameOutlet(self._basis, self._translator, faults, behind_proxy=proxied)

    def _begin(self, now: float) -> None:
        self._basis.now = self._basis.started = now
        self._outlet.start()

    def _make_appointments(self) -> None:
        self._core.later(self.behaviour.session_max_s, self._expire)
        if self.behaviour.ping_interval_s:
            self._core.later(self.behaviour.ping_interval_s, self._ping)

    # Frames

    def _read(self) -> None:
        """Take what has come, as far as it is read now."""
        while self._unread and not self.closed:
            if not self.behaviour.reads_while_responding and self._lanes.active:
                return
            self._take(*self._unread.popleft())

    def _take(self, frame: bytes | str, is_text: bool) -> None:
        raw = frame.encode("utf-8", "surrogatepass") if isinstance(frame, str) else bytes(frame)
        event = _parse(raw) if is_text else None
        if event is None:
            self.received.append(raw, len(raw))
            self._unreadable(_complaint(raw) if is_text else "a binary frame")
            return
        kept = _without_audio(event)
        self.received.append(kept, len(raw) if kept is event else _FEW_BYTES)
        event_id = event.get("event_id")
        echo = event_id if isinstance(event_id, str) and len(event_id) <= 512 else None
        try:
            self._dispatch(self._translator.incoming(event))
        except Refusal as refusal:
            self._core.refuse(refusal, echo)

    def _dispatch(self, event: Json) -> None:
        kind = event.get("type")
        if kind is None:
            raise errors.missing("type")
        if not isinstance(kind, str):
            raise errors.invalid_type("type", "a string", kind)
        handler = self._handlers.get(kind)
        if handler is None or kind in self.behaviour.unsupported_events:
            if self.behaviour.unknown_event is UnknownEventReply.IGNORE:
                return
            raise errors.invalid_value("type", kind, CLIENT_EVENTS)  # P-87
        if self.behaviour.unknown_field is UnknownFieldReply.IGNORE:
            event = checked_without_unknown(CLIENT_EVENTS[kind], event)
        else:
            CLIENT_EVENTS[kind](event, "")
        handler(event)

    def _unreadable(self, detail: str) -> None:
        # P-88: not known of the real server.
        match self.behaviour.bad_json_reply:
            case BadJsonReply.CLOSE:
                self._close(1007, "invalid_request_error.invalid_json")
            case BadJsonReply.CLOSE_1011:
                self._close(1011, "internal error")
            case BadJsonReply.CUT:
                self._outlet.cut_off()  # P-467
                self._stop()
            case BadJsonReply.ERROR:
                self._core.refuse(errors.not_an_event(detail), None)

    # Handlers of single events

    def _session_update(self, event: Json) -> None:
        core = self._core
        responding = self._lanes.slot.holder is not None
        core.session.update(event["session"], responding=responding)
        core.emit("session.updated", session=core.session.config)
        self._listings.look_at(event["session"].get("tools") or ())

    def _item_create(self, event: Json) -> None:
        self._items.create(event["item"], event.get("previous_item_id"), event.get("event_id"))

    def _response_create(self, event: Json) -> None:
        if self._core.session.is_transcription:
            raise errors.no_responses_here()
        params = event.get("response") or {}
        voice = ((params.get("audio") or {}).get("output") or {}).get("voice")
        if voice is not None:
            self._core.session.check_voice(voice, "response.audio.output.voice")
        modalities = params.get("output_modalities")
        if modalities is not None:
            errors.check_modalities(modalities, "response.output_modalities")
        self._input.stop_idle()
        self._responses.create(Request(params, event.get("event_id")))

    def _output_clear(self, event: Json) -> None:
        raise errors.webrtc_only()  # P-323

    def _after_default(self, response: Response) -> None:
        self._items.flush(response)
        self._input.default_done(response)

    # Time and end

    def _settle(self, now: float) -> list[ServerEffect]:
        self._run_due(now)
        if self._outlet.cut and not self.closed:
            self._stop()  # a fault has ended the connection
        return self._outlet.take()

    def _run_due(self, now: float) -> None:
        basis = self._basis
        while (entry := basis.agenda.pop_due(now)) is not None:
            # Each entry runs at its own time, so that lateness does not add up.
            basis.now = max(basis.now, entry.at)
            if entry.action is not None:
                entry.action()
            if self._unread:
                self._read()
        basis.now = max(basis.now, now)

    def _ping(self) -> None:
        self._core.emit("ping", timestamp=round(self._basis.wall() * 1000))  # P-295
        self._core.later(self.behaviour.ping_interval_s, self._ping)

    def _expire(self) -> None:
        minutes = round(self.behaviour.session_max_s / 60)
        reason = f"Your session hit the maximum duration of {minutes} minutes."
        if self.behaviour.expiry is not Expiry.CLOSE_1001:
            self._core.refuse(Refusal("session_expired", reason), None)  # P-259
        if self.behaviour.expiry is not Expiry.ERROR_ONLY:
            self._close(1001, reason)  # P-260

    def _close(self, code: int, reason: str) -> None:
        self._outlet.close(code, reason)
        self._stop()

    def _stop(self) -> None:
        # What is still on its way out behind a delay keeps its appointments.
        self.closed = True
        self._basis.agenda.clear()
        self._outlet.keep_appointments()
        self._let_go()

    def _let_go(self) -> None:
        # Who asserts on a session that is over looks at items and frames, never at its sound.
        self._unread.clear()
        self._input.forget()
        self._core.conversation.forget_audio()


def _complaint(frame: bytes) -> str:
    if is_too_deep(frame):
        return f"nested more than {MAX_DEPTH} deep"
    return "expected a JSON object"


def _parse(frame: bytes) -> Json | None:
    if is_too_deep(frame):
        return None
    try:
        event = msgspec.json.decode(frame)
    except _UNREADABLE:
        return None
    return event if isinstance(event, dict) else None


def _without_audio(event: Json) -> Json:
    """The event as it is kept: appended audio is only counted."""
    if event.get("type") == "input_audio_buffer.append" and isinstance(event.get("audio"), str):
        return {**event, "audio": f"<{len(event['audio'])} characters of base64>"}
    return event
