"""A WebSocket server that writes bytes, to send what no library would."""

import asyncio
import base64
import hashlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

__all__ = ["RawServer", "RawWebSocket", "frame"]

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
HELLO = b'{"type":"session.created","session":{"type":"realtime"}}'


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, rsv: int = 0) -> bytes:
    """One frame of a server's: not masked."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if len(payload) < 126:
        head = struct.pack("!BB", first, len(payload))
    elif len(payload) < 65536:
        head = struct.pack("!BBH", first, 126, len(payload))
    else:
        head = struct.pack("!BBQ", first, 127, len(payload))
    return head + payload


class RawWebSocket:
    """The server's end, after the handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *frames: bytes, flush: bool = True) -> None:
        for one in frames:
            self._writer.write(one)
            if flush:
                await self._writer.drain()

    async def begin(self) -> None:
        """Greet, and wait until the client says anything at all."""
        await self.send(frame(HELLO))
        await self.read()

    async def send_bytewise(self, data: bytes) -> None:
        for place in range(len(data)):
            self._writer.write(data[place : place + 1])
            await asyncio.sleep(0)

    async def read(self) -> tuple[int, bytes]:
        """One frame of the client's: opcode and payload."""
        first, second = await self._reader.readexactly(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack("!H", await self._reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
        mask = await self._reader.readexactly(4)
        data = await self._reader.readexactly(size)
        return first & 15, bytes(a ^ mask[n % 4] for n, a in enumerate(data))

    async def read_to_end(self) -> None:
        while await self._reader.read(65536):
            pass

    def cut(self) -> None:
        self._writer.transport.abort()


Play = Callable[[RawWebSocket], Awaitable[None]]


class RawServer:
    """Listens on a free port and plays one story for each connection.

    Args:
        play: what happens after the handshake.
        status: with another status than 101 the handshake is refused.
        body: what the refusal says.
        headers: more headers of the answer.
        silent: take the connection and never answer.
        tls: speak TLS, with this.
    """

    def __init__(
        self,
        play: Play | None = None,
        *,
        status: int = 101,
        body: bytes = b"",
        headers: str = "",
        silent: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._play = play
        self._status = status
        self._body = body
        self._headers = headers
        self._silent = silent
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.requests: list[str] = []
        self.connections = 0
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        scheme = "wss" if self._tls is not None else "ws"
        port = self._server.sockets[0].getsockname()[1]
        return f"{scheme}://127.0.0.1:{port}/v1/realtime"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self.connections -= 1
            if not self.connections:
                self.ended.set()
            writer.close()

    async def _asked(self) -> None:
        """Somebody asks for the handshake; it is answered after this."""

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.requests.append(request)
        await self._asked()
        if self._silent:
            while await reader.read(1024):
                pass
            return
        if self._status != 101:
            head = f"HTTP/1.1 {self._status} No\r\n{self._headers}"
            head += f"Content-Length: {len(self._body)}\r\n\r\n"
            writer.write(head.encode() + self._body)
            await writer.drain()
            return
        key = next(
            line.split(":")[1].strip()
            for line in request.split("\r\n")
            if line.lower().startswith("sec-websocket-key")
        )
        digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        accept = base64.b64encode(digest).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        await writer.drain()
        if self._play is not None:
            await self._play(RawWebSocket(reader, writer))
