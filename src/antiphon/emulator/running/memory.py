"""The emulator without sockets: client and server in one event loop, on virtual time if you like.

    connector = MemoryConnector(behaviour, script)
    transport = await connector("ws://emulator/v1/realtime", {}, handler)

`MemoryConnector` has the shape of the client's `Connector`; it needs nothing from the client.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from antiphon.emulator.engine.effects import (
    Abort,
    Ask,
    CloseConnection,
    Drop,
    Proceed,
    SendFrame,
    SendHalfFrame,
    ServerEffect,
)
from antiphon.emulator.engine.engine import DEFAULT_EPOCH, Engine
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.handshake import HttpRefusal, Opening, judge
from antiphon.emulator.engine.lines import LineKind
from antiphon.emulator.faculties.work import Result
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.running.emulated_call import CallLine, EmulatedCall, Served
from antiphon.emulator.running.exchange import Exchange, Settings
from antiphon.emulator.running.performer import Brain, Errands, Performer, SpokenLanguage
from antiphon.emulator.running.rest import Rest
from antiphon.emulator.running.secrets import Keyring
from antiphon.emulator.running.watch import Watch
from antiphon.emulator.scripts.script import Script
from antiphon.exceptions import ConnectError

__all__ = ["FrameHandler", "MemoryConnector", "MemoryTransport"]


class FrameHandler(Protocol):
    """What the client side gives to be called."""

    def frame_received(self, data: bytes, is_text: bool) -> None:
        """A whole message has come."""

    def connection_lost(self, code: int | None, reason: str) -> None:
        """The connection is gone; called exactly once."""


class _Pipe:
    """One direction: keeps order, takes `latency_s`, and delivers from the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, latency_s: float) -> None:
        self._loop = loop
        self._latency_s = latency_s
        # Timers of equal time have no order in asyncio: the order is kept here.
        self._queue: deque[tuple[float, Callable[[], None]]] = deque()
        self._timer: asyncio.Handle | None = None
        self.pending_bytes = 0

    def put(self, deliver: Callable[[], None], size: int = 0) -> None:
        self.pending_bytes += size

        def run() -> None:
            self.pending_bytes -= size
            deliver()

        self._queue.append((self._loop.time() + self._latency_s, run))
        self._arm()

    def clear(self) -> None:
        self._queue.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._timer is None and self._queue:
            due = self._queue[0][0]
            if due <= self._loop.time():
                self._timer = self._loop.call_soon(self._drain)
            else:
                self._timer = self._loop.call_at(due, self._drain)

    def _drain(self) -> None:
        self._timer = None
        # One message a turn, so that a reader may act between two messages as on a socket.
        if self._queue and self._queue[0][0] <= self._loop.time():
            self._queue.popleft()[1]()
        self._arm()


class MemoryTransport:
    """The client's end of a connection in memory. Made by `MemoryConnector` only.

    Attributes:
        engine: the server's side of this connection; on a call, the call's.
    """

    def __init__(
        self,
        served: Engine | CallLine,
        handler: FrameHandler,
        latency_s: float,
        performer: Performer,
        watch: Watch | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.engine = served if isinstance(served, Engine) else served.engine
        self._served: Served = served
        if isinstance(served, CallLine):
            served.deliver_to(self.apply)
        self._errands = Errands(performer, self._answered)
        self._handler: FrameHandler | None = handler
        self._watch = watch
        self._up = _Pipe(self._loop, latency_s)
        self._down = _Pipe(self._loop, latency_s)
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    # The client's side

    def send_text(self, *messages: bytes) -> None:
        """Send text frames; nothing happens on a closed connection."""
        if not self._closing:
            for message in messages:
                self._up.put(partial(self._received, message), len(message))

    def pending_bytes(self) -> int:
        """Bytes on the way to the server."""
        return self._up.pending_bytes

    async def drain(self) -> None:
        """Returns in the next turn of the loop: memory is always writable."""
        await asyncio.sleep(0)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close in order; `connection_lost` follows with the same code and reason."""
        if not self._closing:
            self._closing = True
            self._up.put(lambda: self._closed_by_client(code, reason))

    def abort(self) -> None:
        """Cut the connection, as a network does: both sides lose what was on the way."""
        self._closing = True
        self._up.clear()
        self._down.clear()
        self._stop_engine()
        self._down.put(lambda: self._lost(None, ""))

    # The server's side

    def apply(self, effects: list[ServerEffect]) -> None:
        """Carry out the engine's effects, and keep its timer."""
        for effect in effects:
            match effect:
                case SendFrame(data):
                    if self._watch is not None:
                        self._watch(self.engine, "server", data)
                    self._down.put(lambda data=data: self._deliver(data), len(data))  # type: ignore[misc]
                case SendHalfFrame():
                    pass  # a frame that never ends is never delivered
                case CloseConnection(code, reason):
                    self._end(code, reason)
                case Abort():
                    self._end(None, "")
                case Ask() | Proceed() | Drop():
                    self._errands.apply(effect)
        self._keep_timer()

    def _received(self, data: bytes) -> None:
        if self._watch is not None:
            self._watch(self.engine, "client", data)
        self.apply(self._served.receive(data, self._loop.time()))

    def _advance(self) -> None:
        self._timer = None
        self.apply(self._served.advance(self._loop.time()))

    def _keep_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._served.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._advance)

    def _closed_by_client(self, code: int, reason: str) -> None:
        self._stop_engine()
        self._down.put(lambda: self._lost(code, reason))

    def _end(self, code: int | None, reason: str) -> None:
        self._closing = True
        self._stop_engine()
        self._down.put(lambda: self._lost(code, reason))

    def _answered(self, work_id: int, result: Result) -> None:
        self.apply(self._served.answered(work_id, result, self._loop.time()))

    def _stop_engine(self) -> None:
        if self._watch is not None and not self.engine.closed:
            self._watch(self.engine, "gone", b"")
        self._served.lost(self._loop.time())
        self._errands.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deliver(self, data: bytes) -> None:
        if self._handler is not None:
            self._handler.frame_received(data, True)

    def _lost(self, code: int | None, reason: str) -> None:
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.connection_lost(code, reason)


class MemoryConnector:
    """Connects clients to engines in this event loop.

    Args:
        behaviour: the knobs, the same for all connections.
        script: what the model answers; shared by all connections.
        seed: connection n uses `f"{seed}:{n}"`, so that a reconnect has other ids.
        faults: what goes wrong.
        latency_s: seconds that a frame takes, each way.
        api_key: the only key that is let in; None lets everybody in.
        voice, brain: as for `EmulatorServer`; the voice works within the event loop.
        watch: told of every frame as it comes and goes.

    Attributes:
        sessions: the engine of each connection, oldest first; sidebands have their call's.
        transports: the client's ends, in the same order.
        calls: browser and telephone calls, which `?call_id=` joins: `calls.place()` is answered
            at once, `calls.ring()` waits for its `accept`.
        rest: the HTTP side, for whoever wants to send it requests.
    """

    # Read by `antiphon.connect`: no key is asked for where none is needed.
    needs_key = False

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        seed: int | str = 0,
        faults: Faults | None = None,
        latency_s: float = 0.0,
        api_key: str | None = None,
        voice: SpokenLanguage | None = None,
        brain: Brain | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.script = script if script is not None else Script()
        self.sessions: list[Engine] = []
        self.transports: list[MemoryTransport] = []
        self._seed = seed
        self._faults = faults
        self._latency_s = latency_s
        self._api_key = api_key
        self._watch = watch
        # Virtual time does not wait for threads.
        self._performer = Performer(voice, brain, inline=True)
        self.calls = Exchange(
            Settings(
                behaviour=lambda: self.behaviour,
                script=lambda: self.script,
                faults=lambda: self._faults,
                seed=seed,
                epoch=lambda: DEFAULT_EPOCH + asyncio.get_running_loop().time(),
                performer=self._performer,
            )
        )
        self._keyring = Keyring(seed)
        self.rest = Rest(
            self.calls,
            self._keyring,
            behaviour=lambda: self.behaviour,
            api_key=lambda: self._api_key,
            wall=lambda: DEFAULT_EPOCH + asyncio.get_running_loop().time(),
        )

    async def __call__(
        self, url: str, headers: Mapping[str, str], handler: FrameHandler
    ) -> MemoryTransport:
        """Open a connection.

        Raises:
            ConnectError: the handshake is refused, with the HTTP status.
        """
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        opening = judge(self.behaviour, target, headers, self._api_key, self._session_of)
        if isinstance(opening, HttpRefusal):
            raise ConnectError(opening.message, status=opening.status, code=opening.code)
        if opening.call_id and opening.refusal is None:
            line = self.calls.sideband(opening.call_id)
            if isinstance(line, HttpRefusal):
                raise ConnectError(
                    line.message or "HTTP 404", status=line.status, code=line.code or None
                )
            return self._open(line, handler, opening)
        engine = Engine(
            self.behaviour,
            self.script,
            seed=f"{self._seed}:{len(self.sessions)}",
            faults=self._faults,
            model=opening.model,
            faculties=self._performer.faculties,
        )
        return self._open(engine, handler, opening)

    def _session_of(self, key: str) -> dict[str, Any] | None:
        now = DEFAULT_EPOCH + asyncio.get_running_loop().time()
        return self._keyring.session_of(key, now)

    async def data_channel(self, call: EmulatedCall, handler: FrameHandler) -> MemoryTransport:
        """The data channel of a browser call: what the browser itself sends and sees."""
        return self._open(CallLine(call, LineKind.DATA_CHANNEL), handler, Opening())

    def _open(
        self, served: Engine | CallLine, handler: FrameHandler, opening: Opening
    ) -> MemoryTransport:
        transport = MemoryTransport(served, handler, self._latency_s, self._performer, self._watch)
        if isinstance(served, Engine) or served.engine not in self.sessions:
            self.sessions.append(transport.engine)
        self.transports.append(transport)
        transport.apply(served.connect(asyncio.get_running_loop().time(), opening))
        return transport
