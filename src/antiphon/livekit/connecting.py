"""How the plugin opens its WebSocket: timed for the metrics, and over aiohttp where asked."""

import asyncio
import time
from collections.abc import Callable, Mapping

import aiohttp

from antiphon import ConnectError, Connector, FrameHandler, Transport

__all__ = ["AiohttpConnector", "TimedConnector"]


class TimedConnector:
    """Tells how long each handshake took that succeeded, in seconds."""

    def __init__(self, connector: Connector, tell: Callable[[float], None]) -> None:
        self._connector = connector
        self._tell = tell

    async def __call__(
        self, url: str, headers: Mapping[str, str], handler: FrameHandler
    ) -> Transport:
        began = time.perf_counter()
        transport = await self._connector(url, headers, handler)
        self._tell(time.perf_counter() - began)
        return transport


class AiohttpConnector:
    """Opens WebSockets with a session of the caller's: its proxy, its certificates, its resolver.

    Args:
        session: stays the caller's; it is never closed here.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(
        self, url: str, headers: Mapping[str, str], handler: FrameHandler
    ) -> Transport:
        try:
            socket = await self._session.ws_connect(
                url, headers=headers, heartbeat=20.0, max_msg_size=0
            )
        except aiohttp.WSServerHandshakeError as refused:
            retryable = refused.status == 429 or refused.status >= 500
            raise ConnectError(
                f"the server refused the handshake (HTTP {refused.status})",
                status=refused.status,
                retryable=retryable,
            ) from refused
        except (aiohttp.ClientError, OSError) as failed:
            raise ConnectError(f"no connection: {failed}", retryable=True) from failed
        return _AiohttpTransport(socket, handler)


class _AiohttpTransport:
    """One writer task and one reader task, since aiohttp has no synchronous way to send."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, handler: FrameHandler) -> None:
        self._socket = socket
        self._handler = handler
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._pending = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing: tuple[int, str] | None = None
        self._writer = asyncio.create_task(self._write())
        self._reader = asyncio.create_task(self._read())

    def send_text(self, *messages: bytes) -> None:
        if self._closing is None and not self._reader.done():
            self._idle.clear()
            for message in messages:
                self._pending += len(message)
                self._queue.put_nowait(message)

    def pending_bytes(self) -> int:
        return self._pending

    async def drain(self) -> None:
        await self._idle.wait()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closing is None:
            self._closing = (code, reason)
            self._queue.put_nowait(None)

    async def _write(self) -> None:
        try:
            while (data := await self._queue.get()) is not None:
                await self._socket.send_str(data.decode())
                self._pending -= len(data)
                if not self._pending:
                    self._idle.set()
        except (aiohttp.ClientError, ConnectionError):
            pass  # the reader reports the loss
        code, reason = self._closing or (1000, "")
        await self._socket.close(code=code, message=reason.encode())

    async def _read(self) -> None:
        code: int | None = None
        reason = ""
        try:
            while True:
                message = await self._socket.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._handler.frame_received(message.data.encode(), True)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._handler.frame_received(message.data, False)
                elif message.type is aiohttp.WSMsgType.CLOSE:
                    code, reason = message.data, message.extra or ""
                    break
                else:  # CLOSING, CLOSED, ERROR
                    break
        finally:
            self._pending = 0
            self._idle.set()
            code, reason = self._closing or (code, reason)
            self.close()  # has the writer finish, which closes the socket in every case
            # aiohttp says 1006 where no close frame came.
            self._handler.connection_lost(None if code == 1006 else code, reason)
