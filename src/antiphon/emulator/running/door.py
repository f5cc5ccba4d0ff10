"""One port for WebSockets and HTTP: the head of a request says where its connection belongs.

WebSockets go to picows, as they would without this; everything else to aiohttp. Neither knows of
the other, and once a connection is through the door, the door is no part of it.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from typing import Protocol

__all__ = ["Door", "Waiting", "open_door"]

_logger = logging.getLogger("antiphon.emulator")
# As long as picows gives a handshake.
PATIENCE_S = 5.0
# How long the end of TLS is waited for, after all was sent.
GOODBYE_S = 1.0
MAX_HEAD_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"GET .*\nupgrade:[^\r\n]*websocket", re.IGNORECASE | re.DOTALL)
_PLAIN_GET = re.compile(rb"^[A-Z]+ [^ ]+ HTTP/1\.[01]\r\n")

# In the words of OpenSSL: what a client's first bytes were instead, and the alerts of those who
# look at the certificate before they have finished.
_NO_TLS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"})
_NO_TRUST = frozenset(
    {
        "TLSV1_ALERT_UNKNOWN_CA",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    }
)

# Some clients say nothing about a certificate that they do not trust. Node, for one, looks at it
# when TLS is agreed upon already.
_LEFT = "a client left before it said a word: perhaps it does not trust the certificate"

Factory = Callable[[], asyncio.BaseProtocol]


class Waiting(Protocol):
    """A connection that belongs to nobody yet."""

    def close(self) -> None:
        """Send them away."""


class Door(asyncio.Protocol):
    """A connection of which not enough has come yet to know what it wants.

    Args:
        websockets: makes the protocol for a WebSocket.
        http: makes the protocol for anything else.
        waiting: the doors that are being waited at; this one is among them while it is.
    """

    def __init__(self, websockets: Factory, http: Factory, waiting: set[Waiting]) -> None:
        self._websockets = websockets
        self._http = http
        self._waiting = waiting
        self._head = b""
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come, and may have spoken already while TLS was agreed upon."""
        self._transport = transport  # type: ignore[assignment]
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self.close)
        self._waiting.add(self)
        self._look()

    def data_received(self, data: bytes) -> None:
        """A part of the request's head, or more than that."""
        self._head += data
        self._look()

    def _look(self) -> None:
        if self._transport is None or not self._head:
            return
        if _HEAD_END in self._head:
            wants_socket = _UPGRADE.match(self._head[: self._head.index(_HEAD_END) + 2])
            self._let_in(self._websockets() if wants_socket else self._http())
        elif len(self._head) > MAX_HEAD_BYTES or not _may_be_http(self._head):
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """They left before they said what they want."""
        over_tls = self._transport is not None and self._transport.get_extra_info("sslcontext")
        if over_tls and not self.has_heard and not self._sent_away:
            _logger.warning(_LEFT)
        self._done()

    @property
    def has_heard(self) -> bool:
        """Whether they have said anything yet."""
        return bool(self._head)

    def close(self) -> None:
        """Send them away."""
        self._sent_away = True
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


class _Handshake(asyncio.Protocol):
    """A connection that has not agreed on TLS yet; the door is behind it.

    asyncio would do this by itself, and tell nobody of those who do not get through.

    Args:
        tls: what to agree on.
        door: where the connection goes then.
        waiting: the doors that are being waited at; this one is among them while it is.
    """

    def __init__(self, tls: ssl.SSLContext, door: Door, waiting: set[Waiting]) -> None:
        self._tls = tls
        self._door = door
        self._waiting = waiting
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._sent_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = transport  # type: ignore[assignment]
        self._waiting.add(self)
        # It reads nothing before the task, which is first in the next turn of the loop, takes over.
        self._task = asyncio.get_running_loop().create_task(self._agree(transport))

    def close(self) -> None:
        """Send them away."""
        self._sent_away = True
        if self._transport is not None:
            self._transport.abort()

    async def _agree(self, transport: asyncio.BaseTransport) -> None:
        try:
            # None, whatever its type says, when the connection ended meanwhile.
            secured: asyncio.Transport | None = await asyncio.get_running_loop().start_tls(
                transport,  # type: ignore[arg-type]
                self._door,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=PATIENCE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            )
        except OSError as error:
            if not self._sent_away:
                _tell(error)
        else:
            if secured is not None and not secured.is_closing():
                self._door.connection_made(secured)
            elif not self._sent_away and not self._door.has_heard:
                _logger.warning(_LEFT)
        finally:
            self._waiting.discard(self)


def _tell(error: OSError) -> None:
    """An operator learns of it here, if anywhere."""
    if isinstance(error, ConnectionAbortedError):
        return  # it said nothing for `PATIENCE_S`
    reason = getattr(error, "reason", None) or ""
    if reason in _NO_TLS:
        said = "it speaks no TLS: its address should begin with wss: or https:"
    elif reason in _NO_TRUST:
        said = f"it does not trust the certificate ({reason})"
    elif reason:
        said = reason
    else:
        _logger.warning(_LEFT)
        return
    _logger.warning("a client did not get through the handshake of TLS: %s", said)


def _hands_over(loop: asyncio.AbstractEventLoop) -> bool:
    # uvloop reads on before anybody can take a new connection over, and what it read is lost. So
    # there TLS is the loop's own affair, and the operator hears only of those who get through it.
    return isinstance(loop, asyncio.BaseEventLoop)


async def open_door(
    factory: Callable[[], Door],
    host: str,
    port: int,
    tls: ssl.SSLContext | None,
    waiting: set[Waiting],
) -> asyncio.Server:
    """Listen.

    Args:
        factory: makes a door for each connection.
        host: interface.
        port: port, or 0 for a free one.
        tls: what connections have to agree on before they come to the door, or None.
        waiting: those who are doing so are among them.
    """
    loop = asyncio.get_running_loop()
    if tls is not None and not _hands_over(loop):
        return await loop.create_server(
            factory,
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=PATIENCE_S,
            ssl_shutdown_timeout=GOODBYE_S,
        )
    if tls is not None:
        context = tls
        return await loop.create_server(lambda: _Handshake(context, factory(), waiting), host, port)
    try:
        # The transports that picows brings and uses by itself: they cost a fifth less. They know
        # TLS, too, but print a trace for each client that leaves in mid-handshake.
        import aiofastnet
    except ImportError:
        return await loop.create_server(factory, host, port)
    server: asyncio.Server = await aiofastnet.create_server(loop, factory, host, port)
    return server
