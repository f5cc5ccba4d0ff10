"""A WebSocket by picows, behind the seam of `transport`."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import picows

from antiphon.client.connect_errors import connect_error
from antiphon.client.endpoint import is_local
from antiphon.client.reconnect import is_passing_status
from antiphon.client.transport import FrameHandler, Transport
from antiphon.exceptions import ConnectError

__all__ = ["connect_socket"]

# Frames of one read are handled in one callback, so this bounds how long timers may be held up.
# It still lets 1.7 MB/s through at a round trip of 150 ms (ADR-0008).
_RECEIVE_BUFFER = 256 * 1024
# How long a peer may take to read what was sent before a close; then the socket is cut.
_CLOSE_GRACE = 1.0

# Linux: nothing leaves that is less than a full packet until it is taken back (tcp(7)).
_CORK: int | None = getattr(socket, "TCP_CORK", None)

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class _Discreet(_Adapter):
    """picows logs, below the level DEBUG, the handshake with its key and the data of frames.

    And at INFO, that connections come and go, which nobody asked to read: that is DEBUG here.
    """

    def isEnabledFor(self, level: int) -> bool:
        return level >= logging.DEBUG and super().isEnabledFor(level)

    def info(self, msg: object, *args: Any, **kwargs: Any) -> None:
        self.debug(msg, *args, **kwargs)


# Looked up once: a member of an enumeration costs more to name than a short frame to parse.
_TEXT, _BINARY = picows.WSMsgType.TEXT, picows.WSMsgType.BINARY
_CONTINUATION, _CLOSE = picows.WSMsgType.CONTINUATION, picows.WSMsgType.CLOSE

_logger = _Discreet(logging.getLogger("antiphon.picows"), {})


async def connect_socket(
    url: str,
    headers: Mapping[str, str],
    handler: FrameHandler,
    *,
    ssl_context: ssl.SSLContext | None,
    proxy: str | None,
    handshake_timeout: float,
    ping_interval: float,
    max_message_bytes: int,
    read_buffer_bytes: int,
) -> Transport:
    """Connect and shake hands; the arguments are those of `PicowsConnector`.

    Raises:
        ConnectError: nobody answered, or the handshake was refused.
    """
    listener = _Listener(handler, max_message_bytes)
    line = _Line()
    try:
        await picows.ws_connect(
            lambda: listener,
            url,
            ssl_context=ssl_context or (_trust_store() if url.startswith("wss:") else None),
            proxy=_environment_proxy(url) if proxy is None else proxy or None,
            extra_headers=dict(headers),
            websocket_handshake_timeout=handshake_timeout,
            enable_auto_ping=True,
            auto_ping_idle_timeout=ping_interval,
            auto_ping_reply_timeout=ping_interval,
            max_frame_size=max_message_bytes,
            read_buffer_init_size=read_buffer_bytes,
            # Redirected, picows would hand the Authorization header to any host.
            max_redirects=0,
            logger_name=_logger,
            socket_factory=line.dial,
        )
    except picows.WSInvalidStatusError as refused:
        raise _refused(refused) from refused
    except picows.WSInvalidURL as wrong:
        # Without the cause, whose words are the address with its user and password.
        raise connect_error(wrong, url) from None
    except Exception as failed:
        line.hang_up()
        raise connect_error(failed, url) from failed
    except asyncio.CancelledError:
        # The handshake may still be under way, or just done: nobody wants it any more.
        line.hang_up()
        listener.abandon()
        raise
    if not listener.connected:
        # So picows reports a peer that hangs up before it has answered the handshake.
        raise connect_error(ConnectionResetError("the peer hung up during the handshake"), url)
    return listener


class _Line:
    """The socket under a handshake: picows tells of a connection only once it is made."""

    __slots__ = ("_socket",)

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    async def dial(self, where: Any) -> socket.socket:
        """Connect to the server or the proxy; tries its addresses one after the other."""
        loop = asyncio.get_running_loop()
        failed: OSError | None = None
        for family, kind, protocol, _, address in await loop.getaddrinfo(
            where.host, where.port, type=socket.SOCK_STREAM
        ):
            try:
                dialed = socket.socket(family, kind, protocol)
            except OSError as unsupported:
                failed = failed or unsupported
                continue
            try:
                dialed.setblocking(False)
                await loop.sock_connect(dialed, address)
            except OSError as unreached:
                dialed.close()
                failed = failed or unreached
            except BaseException:
                dialed.close()
                raise
            else:
                self._socket = dialed
                return dialed
        raise failed or OSError(f"no address of {where.host}")

    def hang_up(self) -> None:
        """End the connection in whatever state it is. Its owner, the loop, reads that it ended."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


@cache
def _trust_store() -> ssl.SSLContext:
    # One for all connections: to read 140 certificates takes 24 ms and 800 KiB each time.
    return ssl.create_default_context()


class _Listener(picows.WSListener):
    """Both halves of one connection: picows calls it, the session sends through it."""

    __slots__ = (
        "_abandoned",
        "_closed",
        "_cut",
        "_fragments",
        "_fragments_are_text",
        "_handler",
        "_max_message_bytes",
        "_over",
        "_socket",
        "_transport",
        "_writable",
    )

    def __init__(self, handler: FrameHandler, max_message_bytes: int) -> None:
        super().__init__()
        self._handler = handler
        self._max_message_bytes = max_message_bytes
        self._transport: picows.WSTransport | None = None
        self._socket: socket.socket | None = None
        self._fragments: bytearray | None = None
        self._fragments_are_text = True
        self._closed: tuple[int | None, str] | None = None
        self._abandoned = False
        self._cut: asyncio.TimerHandle | None = None
        self._over = False
        self._writable = asyncio.Event()
        self._writable.set()

    @property
    def connected(self) -> bool:
        """Whether the handshake was completed, once."""
        return self._transport is not None

    # --- called by picows -----------------------------------------------------------------------

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport
        if self._abandoned:
            self.close()
            return
        self._socket = transport.underlying_transport.get_extra_info("socket")
        if self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            # RFC 6455 §5.2: no extension was negotiated that gives these bits a meaning.
            self.close(1002, "reserved bits are set")
        elif kind == _TEXT or kind == _BINARY:
            if frame.fin:
                self._handler.frame_received(frame.get_payload_as_bytes(), kind == _TEXT)
            else:
                self._fragments = bytearray(frame.get_payload_as_memoryview())
                self._fragments_are_text = kind == _TEXT
        elif kind == _CONTINUATION:
            self._continue(frame)
        elif kind == _CLOSE:
            payload = frame.get_payload_as_bytes()
            # RFC 6455 §5.5.1: two bytes of code, then the reason; both may be missing (P-271).
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._closed = (code, payload[2:].decode("utf-8", "replace"))
            # RFC 6455 §7.4.1: 1005 stands for a missing code and must not be sent.
            transport.send_close(picows.WSCloseCode(1000 if code == 1005 else code))
            self._disconnect(transport)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        if self._cut is not None:
            self._cut.cancel()
        self._over = True
        self._writable.set()
        code, reason = self._closed or (None, "")
        self._handler.connection_lost(code, reason)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _continue(self, frame: picows.WSFrame) -> None:
        if self._fragments is None:
            return
        self._fragments += frame.get_payload_as_memoryview()
        if len(self._fragments) > self._max_message_bytes:
            self._fragments = None
            self.close(1009, "message too big")
        elif frame.fin:
            whole, self._fragments = bytes(self._fragments), None
            self._handler.frame_received(whole, self._fragments_are_text)

    # --- Transport ------------------------------------------------------------------------------

    def send_text(self, *messages: bytes) -> None:
        transport = self._transport
        if transport is None or self._over:
            return
        if len(messages) == 1:
            transport.send(_TEXT, messages[0])
            return
        self._hold_packets(1)
        for message in messages:
            transport.send(_TEXT, message)
        self._hold_packets(0)

    def pending_bytes(self) -> int:
        if self._transport is None or self._over:
            return 0
        size: int = self._transport.underlying_transport.get_write_buffer_size()
        return size

    async def drain(self) -> None:
        await self._writable.wait()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._transport is None or self._over:
            return
        self._closed = self._closed or (code, reason)
        # RFC 6455 §5.5: a control frame holds 125 bytes, two of which are the code.
        self._transport.send_close(picows.WSCloseCode(code), reason.encode()[:123])
        self._disconnect(self._transport)

    def abandon(self) -> None:
        """Close now, or as soon as the handshake is done."""
        self._abandoned = True
        self.close()

    def _hold_packets(self, held: int) -> None:
        # picows writes each frame by itself, and most of what that costs is the packet. So eight
        # cancels leave in one packet; where the system has no such option they leave in eight.
        if _CORK is not None and self._socket is not None:
            with suppress(OSError):
                self._socket.setsockopt(socket.IPPROTO_TCP, _CORK, held)

    def _disconnect(self, transport: picows.WSTransport) -> None:
        # What is still queued goes out first, but a peer that reads nothing must not hold us up.
        transport.disconnect()
        if self._cut is None and not self._over:
            loop = asyncio.get_running_loop()
            self._cut = loop.call_later(_CLOSE_GRACE, lambda: transport.disconnect(graceful=False))


class _ErrorBody(msgspec.Struct):
    class Error(msgspec.Struct):
        code: str | None = None

    error: Error


def _error_code(body: Any) -> str | None:
    try:
        return msgspec.json.decode(body or b"", type=_ErrorBody).error.code
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _refused(refused: picows.WSInvalidStatusError) -> ConnectError:
    status = int(refused.response.status) if refused.response is not None else 0
    hint = {
        401: "the API key is missing or wrong",
        403: "the API key has no access to this model",
        404: "no Realtime endpoint at this address",
        429: "too many connections; try again later",
    }.get(status, "the server refused the handshake")
    code = _error_code(refused.raw_body)
    told = f"HTTP {status}, {code}" if code else f"HTTP {status}"
    return ConnectError(
        f"{hint} ({told})",
        status=status,
        code=code,
        retryable=status == 0 or is_passing_status(status),
    )


def _environment_proxy(url: str) -> str | None:
    parts = urlsplit(url)
    # No proxy can reach this machine's own loopback, whatever the environment leaves unsaid.
    if not parts.hostname or is_local(parts.hostname):
        return None
    # It brings the whole of http.client and email, 1.2 MB.
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(parts.hostname):
        return None
    proxies = getproxies()
    scheme = "https" if parts.scheme == "wss" else "http"
    proxy = proxies.get(scheme) or proxies.get("all")
    # Many set the variable to HOST:PORT, and curl takes that for an HTTP proxy, too.
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"
