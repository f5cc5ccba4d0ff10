"""The seam between a session and a socket, and which socket is used by default."""

import ssl
from collections.abc import Mapping
from typing import Protocol

__all__ = ["Connector", "FrameHandler", "PicowsConnector", "Transport"]


class FrameHandler(Protocol):
    """Who is told what arrives: a session's link, or whoever uses a transport alone."""

    def frame_received(self, data: bytes, is_text: bool) -> None:
        """One whole message."""

    def connection_lost(self, code: int | None, reason: str) -> None:
        """The connection is over; called exactly once. `code` is None without a close frame."""


class Transport(Protocol):
    """One open WebSocket."""

    def send_text(self, *messages: bytes) -> None:
        """Queue text messages, to leave together where that is possible.

        Never blocks; ignored after the connection has ended.
        """

    def pending_bytes(self) -> int:
        """How much was queued and not yet handed to the operating system."""

    async def drain(self) -> None:
        """Wait until the queue is short again, or the connection is over."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Begin to close. `connection_lost` follows, whether the peer answers or not."""


class Connector(Protocol):
    """Opens a Transport."""

    async def __call__(
        self, url: str, headers: Mapping[str, str], handler: FrameHandler
    ) -> Transport:
        """Connect and shake hands.

        Raises:
            ConnectError: nobody answered, or the handshake was refused.
        """


class PicowsConnector:
    """Opens WebSockets with picows; decision record 0008 says why picows.

    Args:
        ssl_context: for `wss`, such as `ssl.create_default_context(cafile="ca.pem")` for an
            authority of your own; default: the system's trust store, read once in a process, or
            the file that `SSL_CERT_FILE` names in the environment instead of it.
        proxy: `http://`, `https://`, `socks4://` or `socks5://` address. Default: as the
            environment says (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`); `""` uses none.
        handshake_timeout: seconds until a silent server is given up.
        ping_interval: seconds without data after which the peer is pinged; a peer that does not
            answer within the same time again is gone.
        max_message_bytes: a longer message ends the connection with code 1009.
        read_buffer_bytes: what a quiet connection holds ready for reading; a busy one grows it.

    The masks that picows puts on frames come from a generator that is not seeded. They protect
    only caches between the two sides that read plain text, which matters for `ws://` through
    somebody else's proxy and not for `wss://`.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        proxy: str | None = None,
        handshake_timeout: float = 10.0,
        ping_interval: float = 20.0,
        max_message_bytes: int = 64 * 1024 * 1024,
        read_buffer_bytes: int = 4 * 1024,
    ) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._handshake_timeout = handshake_timeout
        self._ping_interval = ping_interval
        self._max_message_bytes = max_message_bytes
        self._read_buffer_bytes = read_buffer_bytes

    async def __call__(
        self, url: str, headers: Mapping[str, str], handler: FrameHandler
    ) -> Transport:
        # Not before the first connection: picows is a fifth of what `import antiphon` would cost.
        from antiphon.client.picows_socket import connect_socket

        return await connect_socket(
            url,
            headers,
            handler,
            ssl_context=self._ssl_context,
            proxy=self._proxy,
            handshake_timeout=self._handshake_timeout,
            ping_interval=self._ping_interval,
            max_message_bytes=self._max_message_bytes,
            read_buffer_bytes=self._read_buffer_bytes,
        )
