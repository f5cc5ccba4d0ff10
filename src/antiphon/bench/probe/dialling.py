"""The probe's own plain socket: frames in, frames out, nothing understood.

A `Dial` has the shape of the emulator's `MemoryConnector`, so that tests probe it on virtual time.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import picows

from antiphon.bench.probe.names import error_code
from antiphon.exceptions import ConnectError

__all__ = ["Dial", "Ear", "Wire", "dial", "is_loopback", "without_secrets"]

_HANDSHAKE_S = 15.0
_LARGEST_FRAME = 32 * 1024 * 1024


class Ear(Protocol):
    """Who is told what comes."""

    def frame_received(self, data: bytes, is_text: bool) -> None:
        """One whole message."""

    def connection_lost(self, code: int | None, reason: str) -> None:
        """The connection is over; called exactly once. `code` is None without a close frame."""


class Wire(Protocol):
    """An open socket."""

    def send_text(self, *messages: bytes) -> None:
        """Send text frames, in one write where that is possible."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close; `connection_lost` follows."""


Dial = Callable[[str, Mapping[str, str], Ear], Awaitable[Wire]]


def is_loopback(url: str) -> bool:
    """Whether the address is this machine: nobody is billed there."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def without_secrets(url: str) -> str:
    """The address as it may be printed: no user, and of the query only the names of a model."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    kept = [part for part in parts.query.split("&") if part.partition("=")[0] in _SHOWN]
    return f"{parts.scheme}://{host}{parts.path}" + (f"?{'&'.join(kept)}" if kept else "")


_SHOWN = ("model", "deployment", "api-version", "intent")


async def dial(url: str, headers: Mapping[str, str], ear: Ear) -> Wire:
    """Connect.

    Args:
        url: `ws://` or `wss://`.
        headers: sent with the handshake.
        ear: who is told what comes.

    Raises:
        ConnectError: nobody answers, or what answers is no WebSocket or refuses.
    """
    listener = _Listener(ear)
    secure = ssl.create_default_context() if url.startswith("wss:") else None
    try:
        await picows.ws_connect(
            lambda: listener,
            url,
            ssl_context=secure,
            extra_headers=dict(headers),
            websocket_handshake_timeout=_HANDSHAKE_S,
            max_frame_size=_LARGEST_FRAME,
            max_redirects=0,  # redirected, the key would go to any host
        )
    except picows.WSInvalidStatusError as refused:
        status = int(refused.response.status) if refused.response is not None else 0
        code = error_code(refused.raw_body or b"") or None
        raise ConnectError(f"it answered HTTP {status}", status=status, code=code) from refused
    except (picows.WSError, OSError, TimeoutError, ValueError) as failed:
        told = str(failed) or type(failed).__name__
        raise ConnectError(f"no connection to {without_secrets(url)}: {told}") from failed
    except asyncio.CancelledError:
        listener.close()
        raise
    return listener


class _Listener(picows.WSListener):
    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self._ear = ear
        self._transport: picows.WSTransport | None = None
        self._closed: tuple[int | None, str] = (None, "")
        self._parts: list[bytes] = []
        self._is_text = True

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind is picows.WSMsgType.CLOSE:
            payload = frame.get_payload_as_bytes()
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._closed = (code, payload[2:].decode("utf-8", "replace"))
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()
        elif kind in (
            picows.WSMsgType.TEXT,
            picows.WSMsgType.BINARY,
            picows.WSMsgType.CONTINUATION,
        ):
            if kind is not picows.WSMsgType.CONTINUATION:
                self._parts, self._is_text = [], kind is picows.WSMsgType.TEXT
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._ear.frame_received(whole, self._is_text)

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        self._ear.connection_lost(*self._closed)

    def send_text(self, *messages: bytes) -> None:
        if self._transport is None or self._transport.is_disconnected:
            return
        for message in messages:
            self._transport.send(picows.WSMsgType.TEXT, message)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(picows.WSCloseCode(code), reason.encode()[:123])
            self._transport.disconnect()
