"""One client of the server: its socket, its engine or its line of a call, and its timer."""

import asyncio
import logging
import struct
from typing import Protocol

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

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
from antiphon.emulator.engine.handshake import Opening
from antiphon.emulator.faculties.work import Result
from antiphon.emulator.running.emulated_call import CallLine, Served
from antiphon.emulator.running.performer import Errands, Performer
from antiphon.emulator.running.watch import Watch

__all__ = ["CLOSE_GRACE_S", "Connection", "Host"]

_logger = logging.getLogger("antiphon.emulator")
# How long a closed peer has to answer the close frame before its socket is cut.
CLOSE_GRACE_S = 1.0
# A close frame without a code, which the library does not send: RFC 6455 section 5.5.1.
_EMPTY_CLOSE = b"\x88\x00"


class Host(Protocol):
    """What a connection needs of its server."""

    max_frame_bytes: int
    max_buffer_bytes: int
    performer: Performer
    watch: Watch | None

    def connection_opened(self, connection: "Connection") -> None:
        """The handshake is done."""

    def connection_gone(self, connection: "Connection") -> None:
        """It is over."""


class Connection(WSListener):
    """One client: its socket, its engine and its timer."""

    def __init__(self, host: Host, served: Engine | CallLine, opening: Opening) -> None:
        self.engine = served if isinstance(served, Engine) else served.engine
        self._served: Served = served
        self.is_of_a_call = isinstance(served, CallLine)
        if isinstance(served, CallLine):
            served.deliver_to(self._apply)
        self.gone = asyncio.Event()
        self._host = host
        self._opening = opening
        self._loop = asyncio.get_running_loop()
        self._errands = Errands(host.performer, self._answered)
        self._transport: WSTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._grace: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._parts_are_text = True

    # From the socket

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._host.connection_opened(self)
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
        if self._host.watch is not None:
            self._host.watch(self.engine, "gone", b"")
        self._served.lost(self._loop.time())
        self._errands.close()
        for handle in (self._timer, self._grace):
            if handle is not None:
                handle.cancel()
        self._host.connection_gone(self)
        self.gone.set()

    def pause_writing(self) -> None:
        """The socket is slow; what matters is how much waits (see `_send`)."""

    def resume_writing(self) -> None:
        """The socket is writable again."""

    def _continue(self, frame: WSFrame) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        self._parts_bytes += frame.payload_size
        if self._parts_bytes > self._host.max_frame_bytes:
            self._parts = []
            self.close(WSCloseCode.MESSAGE_TOO_BIG.value, "message too big")
        elif frame.fin:
            message, self._parts = b"".join(self._parts), []
            self._receive(message, self._parts_are_text)

    def _receive(self, message: bytes, is_text: bool) -> None:
        if self._host.watch is not None:
            self._host.watch(self.engine, "client", message)
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
        if self._host.watch is not None:
            self._host.watch(self.engine, "server", data)
        transport.send(WSMsgType.TEXT, data)
        waiting = transport.underlying_transport.get_write_buffer_size()
        if waiting > self._host.max_buffer_bytes:
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
