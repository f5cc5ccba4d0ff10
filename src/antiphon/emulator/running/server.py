"""The emulator as a WebSocket server.

    async with EmulatorServer(Behaviour(), Script([say("Hello.")])) as server:
        ...  # point a client at server.url

One engine per connection, one timer per connection, and no task: a frame goes from the socket's
callback through the engine to the socket within one call. It listens on the loopback interface
unless told otherwise; there is no TLS.
"""

import asyncio
import json
import logging
import struct
import time
from types import TracebackType
from typing import Self

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

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
from antiphon.emulator.engine.engine import Engine
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.handshake import HttpRefusal, Opening, judge
from antiphon.emulator.engine.received import KEEP_BYTES
from antiphon.emulator.faculties.work import Result
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.running.emulated_call import CallLine, Served
from antiphon.emulator.running.exchange import Exchange, Settings
from antiphon.emulator.running.performer import Brain, Errands, Performer, SpokenLanguage
from antiphon.emulator.running.watch import Watch
from antiphon.emulator.scripts.script import Script

__all__ = ["EmulatorServer"]

_logger = logging.getLogger("antiphon.emulator")
# How long a closed peer has to answer the close frame before its socket is cut.
CLOSE_GRACE_S = 1.0
# A close frame without a code, which the library does not send: RFC 6455 section 5.5.1.
_EMPTY_CLOSE = b"\x88\x00"


class EmulatorServer:
    """A local Realtime server.

    Args:
        behaviour: the knobs, the same for all connections; `openai` by default.
        script: what the model answers, shared by all connections; the built-in conversation by
            default.
        host: interface to listen on.
        port: port, or 0 for a free one.
        api_key: the only key that is let in; None lets everybody in.
        seed: connection n uses `f"{seed}:{n}"`.
        faults: what goes wrong.
        voice: hears user audio and speaks answers, such as `Voice()`; without it, the script says
            what was heard, and answers are a tone.
        brain: thinks of the answers that no script gives, such as `ChatBrain(url, model)`; without
            it, the built-in conversation gives them.
        max_connections: connections beyond this are refused with HTTP 503.
        max_frame_bytes: larger frames from a client close its connection with 1009.
        max_buffer_bytes: a client that reads so slowly that more than this waits for it is closed
            with 1008; nobody else is delayed.
        ping_interval_s: a client that was silent so long is pinged, and closed when it does not
            answer within the same time; None for never.
        keep_received: how many client frames each engine keeps, of at most 16 MiB in all; what
            those had sent who have left has at most 16 MiB together.
        watch: told of every frame as it comes and goes.

    Attributes:
        behaviour, script, faults, api_key: may be set; what they are counts for connections
            opened afterwards.
        sessions: the engine of each connection that was opened, oldest first; at most
            `keep_sessions` are kept.
        calls: browser and telephone calls, which `?call_id=` joins.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        seed: int | str = 0,
        faults: Faults | None = None,
        voice: SpokenLanguage | None = None,
        brain: Brain | None = None,
        max_connections: int = 1000,
        max_frame_bytes: int = 32 * 1024 * 1024,
        max_buffer_bytes: int = 64 * 1024 * 1024,
        ping_interval_s: float | None = None,
        keep_received: int = 10_000,
        keep_sessions: int = 1000,
        watch: Watch | None = None,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.script = script if script is not None else Script()
        self.faults = faults
        self.host = host
        self.sessions: list[Engine] = []
        self.max_buffer_bytes = max_buffer_bytes
        self._port = port
        self.api_key = api_key
        self._seed = seed
        self._max_connections = max_connections
        self._max_frame_bytes = max_frame_bytes
        self._ping_interval_s = ping_interval_s
        self._keep_received = keep_received
        self._keep_sessions = keep_sessions
        self._watch = watch
        self._opened = 0
        self._performer = Performer(voice, brain)
        self.calls = Exchange(
            Settings(
                behaviour=lambda: self.behaviour,
                script=lambda: self.script,
                faults=lambda: self.faults,
                seed=seed,
                epoch=time.time,
                performer=self._performer,
                keep_received=keep_received,
            )
        )
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    # Running

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the port is taken.
        """
        if self._server is not None:
            raise RuntimeError("this server is running already")
        await self._performer.start()
        self._server = await ws_create_server(
            self._route,
            self.host,
            self._port,
            max_frame_size=self._max_frame_bytes,
            logger_name=_logger,
            enable_auto_ping=self._ping_interval_s is not None,
            auto_ping_idle_timeout=self._ping_interval_s or 20.0,
            auto_ping_reply_timeout=self._ping_interval_s or 20.0,
        )

    async def stop(self) -> None:
        """Close all connections with 1001 and stop listening. Harmless when not running."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self.calls.close()
        for connection in list(self._connections):
            connection.close(1001, "server shutdown")
        await self._all_gone()
        await server.wait_closed()
        self._performer.stop()

    async def wait_idle(self, timeout_s: float = 5.0) -> None:
        """Return when no connection is open.

        Raises:
            TimeoutError: after `timeout_s` seconds there still is one.
        """
        async with asyncio.timeout(timeout_s):
            while self._connections:
                await next(iter(self._connections)).gone.wait()

    async def _all_gone(self) -> None:
        try:
            await self.wait_idle(CLOSE_GRACE_S)
        except TimeoutError:
            for connection in list(self._connections):
                connection.cut()
            await self.wait_idle(CLOSE_GRACE_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # Where it is

    @property
    def port(self) -> int:
        """The port that it listens on.

        Raises:
            RuntimeError: it is not running.
        """
        if self._server is None:
            raise RuntimeError("the server is not running")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """`ws://HOST:PORT/v1/realtime`: where Realtime clients connect."""
        return f"ws://{self._host_in_url}:{self.port}/v1/realtime"

    @property
    def http_url(self) -> str:
        """`http://HOST:PORT/v1`: what some clients take as their base URL."""
        return f"http://{self._host_in_url}:{self.port}/v1"

    @property
    def _host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def connections(self) -> int:
        """Connections open at this moment."""
        return len(self._connections)

    def clear(self) -> None:
        """Cut all connections and forget all sessions, as between two tests."""
        for connection in list(self._connections):
            connection.cut()
        self.calls.forget()
        self.sessions.clear()

    # Connections

    def _route(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        if len(self._connections) >= self._max_connections:
            return _refuse(HttpRefusal(503, "too_many_connections", "Too many connections."))
        target = request.path.decode("latin-1")
        opening = judge(self.behaviour, target, request.headers, self.api_key)
        if isinstance(opening, HttpRefusal):
            return _refuse(opening)
        served: Engine | CallLine | HttpRefusal
        if opening.call_id and opening.refusal is None:
            served = self.calls.sideband(opening.call_id)
            if isinstance(served, HttpRefusal):
                return _refuse(served)
        else:
            served = self._engine(opening)
        # permessage-deflate is declined by not naming it: RFC 6455 section 9.1.
        headers = {"Sec-WebSocket-Protocol": opening.subprotocol} if opening.subprotocol else None
        response = WSUpgradeResponse.create_101_response(headers)
        return WSUpgradeResponseWithListener(response, _Connection(self, served, opening))

    def _engine(self, opening: Opening) -> Engine:
        self._opened += 1
        return Engine(
            self.behaviour,
            self.script,
            seed=f"{self._seed}:{self._opened - 1}",
            faults=self.faults,
            epoch=time.time(),
            model=opening.model,
            keep_received=self._keep_received,
            faculties=self._performer.faculties,
        )

    def _add(self, connection: "_Connection") -> None:
        self._connections.add(connection)
        if connection.is_of_a_call and connection.engine in self.sessions:
            return
        self.sessions.append(connection.engine)
        if len(self.sessions) > self._keep_sessions:
            del self.sessions[0]

    def _remove(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        # What those who have left had sent is kept for assertions, within bounds.
        open_now = {one.engine for one in self._connections}
        gone = [engine for engine in self.sessions if engine not in open_now]
        size = sum(engine.received.size_bytes for engine in gone)
        for engine in gone:
            if size <= KEEP_BYTES:
                break
            size -= engine.received.size_bytes
            engine.received.clear()


class _Connection(WSListener):
    """One client: its socket, its engine and its timer."""

    def __init__(self, server: EmulatorServer, served: Engine | CallLine, opening: Opening) -> None:
        self.engine = served if isinstance(served, Engine) else served.engine
        self._served: Served = served
        self.is_of_a_call = isinstance(served, CallLine)
        if isinstance(served, CallLine):
            served.deliver_to(self._apply)
        self.gone = asyncio.Event()
        self._server = server
        self._opening = opening
        self._loop = asyncio.get_running_loop()
        self._errands = Errands(server._performer, self._answered)
        self._transport: WSTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._parts_are_text = True

    # From the socket

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._server._add(self)
        self._apply(self._served.connect(self._loop.time(), self._opening))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind in (WSMsgType.TEXT, WSMsgType.BINARY):
            if frame.fin:
                self._receive(frame.get_payload_as_bytes(), kind is WSMsgType.TEXT)
            else:
                self._parts = [frame.get_payload_as_bytes()]
                self._parts_bytes = frame.payload_size
                self._parts_are_text = kind is WSMsgType.TEXT
        elif kind is WSMsgType.CONTINUATION:
            self._continue(frame)
        elif kind is WSMsgType.CLOSE:
            if frame.payload_size:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
            else:
                transport.underlying_transport.write(_EMPTY_CLOSE)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._server._watch is not None:
            self._server._watch(self.engine, "gone", b"")
        self._served.lost(self._loop.time())
        self._errands.close()
        for handle in (self._timer, self._grace):
            if handle is not None:
                handle.cancel()
        self._server._remove(self)
        self.gone.set()

    def pause_writing(self) -> None:
        """The socket is slow; what matters is how much waits (see `_send`)."""

    def resume_writing(self) -> None:
        """The socket is writable again."""

    def _continue(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._server._max_frame_bytes:
            self._parts = []
            self.close(WSCloseCode.MESSAGE_TOO_BIG.value, "message too big")
        elif frame.fin:
            message, self._parts = b"".join(self._parts), []
            self._receive(message, self._parts_are_text)

    def _receive(self, message: bytes, is_text: bool) -> None:
        if self._server._watch is not None:
            self._server._watch(self.engine, "client", message)
        self._apply(self._served.receive(message, self._loop.time(), is_text=is_text))

    # From the engine

    def _apply(self, effects: list[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case SendFrame(data):
                    self._send(data)
                case SendHalfFrame(data):
                    self._send_half(data)
                case CloseConnection(code, reason):
                    self.close(code, reason)
                case Abort():
                    self.cut()
                case Ask() | Proceed() | Drop():
                    self._errands.apply(effect)
        self._keep_timer()

    def _keep_timer(self) -> None:
        deadline = self._served.next_deadline()
        if self._timer is not None:
            if deadline is not None and self._timer.when() == deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._advance)

    def _answered(self, work_id: int, result: Result) -> None:
        self._apply(self._served.answered(work_id, result, self._loop.time()))

    def _advance(self) -> None:
        self._timer = None
        self._apply(self._served.advance(self._loop.time()))

    def _send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_close_frame_sent or transport.is_disconnected:
            return
        if self._server._watch is not None:
            self._server._watch(self.engine, "server", data)
        transport.send(WSMsgType.TEXT, data)
        waiting = transport.underlying_transport.get_write_buffer_size()
        if waiting > self._server.max_buffer_bytes:
            _logger.warning("a client reads too slowly", extra={"waiting_bytes": waiting})
            # A close frame would only join the queue: the socket is cut after its grace.
            self.close(WSCloseCode.POLICY_VIOLATION.value, "reads too slowly")

    def _send_half(self, data: bytes) -> None:
        if self._transport is not None:
            # A text frame's head that promises twice as much as follows.
            head = struct.pack("!BBQ", 0x81, 127, max(65536, 2 * len(data)))
            self._transport.underlying_transport.write(head + data)

    def close(self, code: int | None, reason: str) -> None:
        """Send a close frame, and cut the socket if the client does not answer it in time."""
        transport = self._transport
        if transport is None or transport.is_close_frame_sent:
            return
        self._served.lost(self._loop.time())
        if code is None:
            transport.underlying_transport.write(_EMPTY_CLOSE)
            transport.disconnect()
            return
        # The reason of a close frame has at most 123 bytes: RFC 6455 section 5.5.
        transport.send_close(code, reason.encode()[:123])  # type: ignore[arg-type]
        self._grace = self._loop.call_later(CLOSE_GRACE_S, self.cut)

    def cut(self) -> None:
        """End the connection without a close frame."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)


def _refuse(refusal: HttpRefusal) -> WSUpgradeResponseWithListener:
    error = {"message": refusal.message, "type": "invalid_request_error", "code": refusal.code}
    body = json.dumps({"error": {**error, "param": None}}).encode() if refusal.code else b""
    response = WSUpgradeResponse.create_error_response(
        refusal.status, body, {"Content-Type": "application/json"}
    )
    return WSUpgradeResponseWithListener(response, None)
