"""One port for WebSockets and HTTP: the head of a request says where its connection belongs.

WebSockets go to picows, as they would without this; everything else to aiohttp. Neither knows of
the other, and once a connection is through the door, the door is no part of it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Door", "open_door"]

# As long as picows gives a handshake.
PATIENCE_S = 5.0
MAX_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"GET .*\nupgrade:[^\r\n]*websocket", re.IGNORECASE | re.DOTALL)
_PLAIN_GET = re.compile(rb"^[A-Z]+ [^ ]+ HTTP/1\.[01]\r\n")

Factory = Callable[[], asyncio.BaseProtocol]


class Door(asyncio.Protocol):
    """A connection of which not enough has come yet to know what it wants.

    Args:
        websockets: makes the protocol for a WebSocket.
        http: makes the protocol for anything else.
        waiting: the doors that are being waited at; this one is among them while it is.
    """

    def __init__(self, websockets: Factory, http: Factory, waiting: "set[Door]") -> None:
        self._websockets = websockets
        self._http = http
        self._waiting = waiting
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = transport  # type: ignore[assignment]
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.close)
        self._waiting.add(self)

    def data_received(self, data: bytes) -> None:
        """A part of the request's head, or more than that."""
        self._head += data
        if _HEAD_END in self._head:
            wants_socket = _UPGRADE.match(self._head[: self._head.index(_HEAD_END) + 2])
            self._let_in(self._websockets() if wants_socket else self._http())
        elif len(self._head) > MAX_HEAD_BYTES or not _may_be_http(self._head):
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """They left before they said what they want."""
        self._done()

    def close(self) -> None:
        """Send them away."""
        if self._transport is not None:
            self._transport.abort()

    def _let_in(self, protocol: asyncio.BaseProtocol) -> None:
        transport, data = self._transport, self._head
        assert transport is not None, "data comes after the connection"
        self._done()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if isinstance(protocol, asyncio.BufferedProtocol):
            _pour(data, protocol)
        else:
            protocol.data_received(data)  # type: ignore[attr-defined]

    def _done(self) -> None:
        self._waiting.discard(self)
        self._head = b""
        if self._timer is not None:
            self._timer.cancel()


def _may_be_http(head: bytes) -> bool:
    # Enough of a first line to tell, or not a whole one yet.
    first, found, _ = head.partition(b"\r\n")
    return bool(_PLAIN_GET.match(head)) if found else first[:1].isalpha()


def _pour(data: bytes, protocol: asyncio.BufferedProtocol) -> None:
    rest = memoryview(data)
    while rest:
        room = protocol.get_buffer(len(rest))
        count = min(len(room), len(rest))  # type: ignore[arg-type]
        room[:count] = rest[:count]  # type: ignore[index]
        protocol.buffer_updated(count)
        rest = rest[count:]


async def open_door(factory: Factory, host: str, port: int) -> asyncio.Server:
    """Listen, with the transports that picows would choose."""
    create: Callable[..., Awaitable[Any]]
    try:
        # What picows brings and uses by itself: its sockets cost a fifth less.
        import aiofastnet
    except ImportError:
        create = asyncio.get_running_loop().create_server
        server: asyncio.Server = await create(factory, host, port)
    else:
        server = await aiofastnet.create_server(asyncio.get_running_loop(), factory, host, port)
    return server
