"""One call in an event loop: its timer, its work, and the connections of whoever controls it."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from antiphon.emulator.engine.call import Call, CallKind, CallState
from antiphon.emulator.engine.effects import Ask, Drop, Hush, Play, Proceed, ServerEffect
from antiphon.emulator.engine.engine import Engine
from antiphon.emulator.engine.handshake import Opening
from antiphon.emulator.engine.lines import LineKind
from antiphon.emulator.faculties.work import Result
from antiphon.emulator.running.performer import Errands, Performer

__all__ = ["CallLine", "EmulatedCall", "Media", "Served"]

Json = dict[str, Any]
Apply = Callable[[list[ServerEffect]], None]


class Served(Protocol):
    """What a connection's shell drives: an `Engine` of its own, or a line of a call."""

    def connect(self, now: float, opening: Opening | None = None) -> list[ServerEffect]:
        """The connection is open."""

    def receive(
        self, frame: bytes | str, now: float, *, is_text: bool = True
    ) -> list[ServerEffect]:
        """The client sent a frame."""

    def advance(self, now: float) -> list[ServerEffect]:
        """Time has passed."""

    def answered(self, work_id: int, result: Result, now: float) -> list[ServerEffect]:
        """Something came of work."""

    def lost(self, now: float) -> None:
        """The connection is gone."""

    def next_deadline(self) -> float | None:
        """When `advance` is to be called next."""


class Media(Protocol):
    """The real sound of a call, if there is any."""

    def play(self, data: bytes) -> None:
        """Play this after what was given before: PCM16, little-endian, 24 kHz, mono."""

    def hush(self) -> None:
        """Forget what was not played."""

    def close(self) -> None:
        """The call is over."""


class EmulatedCall:
    """A call that an emulator serves. Made by its `calls`: `place` and `ring`.

    Everything here is called in the emulator's event loop; from elsewhere by
    `ThreadedServer.in_loop`.

    Args:
        call: the call.
        performer: who does its work.
        on_over: called once, when it is over.

    Attributes:
        headers: the SIP headers of a telephone call.
        declined_with: the SIP status that it was rejected with, or None.
        referred_to: where it was transferred to, or None.
        webhook_statuses: what each delivery of its webhook was answered; None: nothing.
        joined: how many sidebands have attached so far.
        webhook_taken: set when one was answered with success.
        over: set when the call is over.
    """

    def __init__(
        self, call: Call, performer: Performer, on_over: Callable[["EmulatedCall"], None]
    ) -> None:
        self.headers: list[tuple[str, str]] = []
        self.declined_with: int | None = None
        self.referred_to: str | None = None
        self.webhook_statuses: list[int | None] = []
        self.joined = 0
        self.webhook_taken = asyncio.Event()
        self.media: Media | None = None
        self.over = asyncio.Event()
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._errands = Errands(performer, self._answered)
        self._on_over = on_over
        self._lines: dict[int, Apply] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def id(self) -> str:
        """The call id."""
        return self._call.id

    @property
    def kind(self) -> CallKind:
        """`sip` or `webrtc`."""
        return self._call.kind

    @property
    def state(self) -> CallState:
        """`ringing`, `up` or `over`."""
        return self._call.state

    @property
    def engine(self) -> Engine:
        """Its session, for assertions as on a plain connection."""
        return self._call.engine

    @property
    def sidebands(self) -> int:
        """How many sidebands are attached."""
        return sum(line.kind is LineKind.SIDEBAND for line in self._call.lines)

    @property
    def is_ready(self) -> bool:
        """Whether sidebands can attach (knob `sideband_ready_ms`)."""
        return self.state is CallState.UP and self._loop.time() >= self._call.ready_at

    # What the media peer does

    def press(self, keys: str) -> None:
        """The caller presses these keys, one event for each.

        Raises:
            ValueError: one of them is on no telephone.
        """
        for key in keys:
            if key not in "0123456789*#ABCD":
                raise ValueError(f"there is no key {key!r}: they are 0 to 9, *, # and A to D")
        for key in keys:
            self._call.press(key, self._loop.time())
        self.flush()

    def speech(self, ms: float) -> None:
        """The user speaks for so many milliseconds, from now on: a barge-in, if something plays.

        What is understood is the script's next `hears`. Without turn detection it is only held.
        """
        self._call.speech(ms, self._loop.time())
        self.flush()

    def hear(self, pcm: bytes) -> None:
        """The user's real sound: PCM16, little-endian, 24 kHz, mono."""
        self._call.hear(pcm, self._loop.time())
        self.flush()

    def hang_up(self) -> None:
        """The caller hangs up, or the browser leaves. Harmless when the call is over."""
        self._call.hang_up(self._loop.time())
        self.flush()

    # What is done to it over HTTP

    def accept(self, session: Json) -> None:
        """It is accepted.

        Raises:
            Refusal: the session cannot be as asked; it still rings.
        """
        self._call.begin(session, self._loop.time())
        self.flush()

    def reject(self, status_code: int = 603) -> None:
        """It is declined, with this SIP status."""
        self.declined_with = status_code
        self._call.reject()
        self.flush()

    def end(self) -> None:
        """It is hung up from here."""
        self._call.end(self._loop.time())
        self.flush()

    def refer(self, target_uri: str, delay_s: float) -> None:
        """It leaves for somewhere else, after so many seconds."""
        self.referred_to = target_uri
        self._call.end_later(delay_s)
        self.flush()

    def close_oldest_sideband(self) -> None:
        """Make room for another one."""
        for line in self._call.lines:
            if line.kind is LineKind.SIDEBAND:
                self._call.close_line(line.number, 1000, "replaced")
                self.flush()
                self._call.detach(line.number, self._loop.time())
                return

    def cut_sidebands(self) -> None:
        """Cut every sideband, as a network does; the call lives on (P-387)."""
        for line in self._call.lines:
            if line.kind is LineKind.SIDEBAND:
                self._call.cut_line(line.number)
        self.flush()

    # Lines

    def join(self, kind: LineKind, apply: Apply, *, faultless: bool = False) -> int:
        """A connection is open; `flush` brings what comes first."""
        number = self._call.attach(kind, self._loop.time(), faultless=faultless)
        self.joined += kind is LineKind.SIDEBAND
        self._lines[number] = apply
        return number

    def receive(self, number: int, frame: bytes | str, is_text: bool) -> None:
        """A connection has brought a frame."""
        if number in self._lines:
            self._call.receive(number, frame, self._loop.time(), is_text=is_text)
            self.flush()

    def leave(self, number: int) -> None:
        """A connection is gone."""
        self._lines.pop(number, None)
        self._call.detach(number, self._loop.time())
        self.flush()

    def shut_down(self) -> None:
        """The server stops: nothing happens any more."""
        self._call.end(self._loop.time())
        self.flush()

    def _answered(self, work_id: int, result: Result) -> None:
        self._call.answered(work_id, result, self._loop.time())
        self.flush()

    def _advance(self) -> None:
        self._timer = None
        self._call.advance(self._loop.time())
        self.flush()

    def flush(self) -> None:
        """Carry out everything that is to be done."""
        for effect in self._call.take():
            match effect:
                case Ask() | Proceed() | Drop():
                    self._errands.apply(effect)
                case Play(data) if self.media is not None:
                    self.media.play(data)
                case Hush() if self.media is not None:
                    self.media.hush()
        for number, effects in self._call.collect():
            apply = self._lines.get(number)
            if apply is not None:
                apply(effects)
        self._keep_timer()
        if self.state is CallState.OVER and not self.over.is_set():
            self.over.set()
            self._errands.close()
            if self.media is not None:
                self.media.close()
            self._on_over(self)

    def _keep_timer(self) -> None:
        deadline = self._call.next_deadline()
        if self._timer is not None:
            if self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._advance)


class CallLine:
    """One connection to a call, in the shape of an engine; what comes on it is delivered."""

    def __init__(self, call: EmulatedCall, kind: LineKind) -> None:
        self._call = call
        self._kind = kind
        self._apply: Apply = lambda effects: None
        self._number: int | None = None

    @property
    def engine(self) -> Engine:
        """The call's session."""
        return self._call.engine

    def deliver_to(self, apply: Apply) -> None:
        """Who carries out what is to be done on this connection; before `connect`."""
        self._apply = apply

    def connect(self, now: float, opening: Opening | None = None) -> list[ServerEffect]:
        """The connection is open."""
        self._number = self._call.join(self._kind, self._apply)
        self._call.flush()
        return []

    def receive(
        self, frame: bytes | str, now: float, *, is_text: bool = True
    ) -> list[ServerEffect]:
        """The client sent a frame."""
        if self._number is not None:
            self._call.receive(self._number, frame, is_text)
        return []

    def advance(self, now: float) -> list[ServerEffect]:
        """The call keeps its own time."""
        return []

    def answered(self, work_id: int, result: Result, now: float) -> list[ServerEffect]:
        """The call has its own work done."""
        return []

    def lost(self, now: float) -> None:
        """The connection is gone; the call lives on."""
        if self._number is not None:
            number, self._number = self._number, None
            self._call.leave(number)

    def next_deadline(self) -> float | None:
        """The call keeps its own time."""
        return None
