"""One socket with its `Connection`. A session has one at a time, and a second while it rotates."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from antiphon.client.endpoint import Endpoint
from antiphon.client.reconnect import is_passing, is_retryable
from antiphon.client.streams import Moment
from antiphon.client.transport import Connector, Transport
from antiphon.exceptions import ConnectError
from antiphon.protocol.connection import Connection
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.items import ErrorInfo
from antiphon.wire.server_events import ErrorEvent, ServerEvent

__all__ = ["Link", "LinkOwner"]

# P-275: the reason of a close repeats type and code of the error before it. Others are prose.
_CLOSE_REASON = re.compile(r"\w+\.(\w+)")

logger = logging.getLogger("antiphon.session")


Event = ServerEvent | UnknownEvent | Malformed


class LinkOwner(Protocol):
    """Whoever a link tells what it sees."""

    def receive(self, connection: Connection, event: Event, /) -> None:
        """An event has come over the line of this connection."""

    def link_lost(self, link: "Link", code: int | None, reason: str, /) -> None:
        """The line is gone. `code` and `reason` are those of the close frame, if one came."""


class Link:
    """Decodes the frames of one socket, and hands its owner each with the connection.

    Args:
        owner: is told what comes, and that it is over.
        connection: the core's side of it.
        decode: makes an event of a frame; never raises.
        counters: where an error of our own is counted.
        joins: the session is there already, and says no `session.created` (P-373).
    """

    __slots__ = (
        "_counters",
        "_decode",
        "_last_error",
        "_lost",
        "_owner",
        "_waiting",
        "closing",
        "connection",
        "gone",
        "opened_at",
        "ready",
        "transport",
    )

    def __init__(
        self,
        owner: LinkOwner,
        connection: Connection,
        decode: Callable[[bytes], Event],
        counters: Counter[str],
        *,
        joins: bool = False,
    ) -> None:
        self._owner = owner
        self._decode = decode
        self._counters = counters
        self.connection = connection
        self.transport: Transport | None = None
        self.opened_at = 0.0
        self.gone = asyncio.Event()
        self.closing = False
        # Set by session.created (P-250), failed by a loss before it.
        self.ready: Moment[None] = Moment()
        self._waiting = not joins
        self._last_error: ErrorInfo | None = None
        self._lost: ConnectError | None = None

    async def open(self, connector: Connector, endpoint: Endpoint, within: float) -> None:
        """Connect, and wait until the server has made a session.

        Raises:
            ConnectError: no connection, a refused handshake, a refused key, or a silent server.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                self.transport = await connector(endpoint.url, endpoint.headers, self)
                self.opened_at = loop.time()
                if self._waiting:
                    await self.ready
            if self._lost is not None:
                raise self._lost  # made, and lost again before this task ran
        except TimeoutError as silent:
            self.close()
            raise ConnectError(
                f"the server made no session within {within:g} s", retryable=True
            ) from silent
        except (ConnectError, asyncio.CancelledError):
            self.close()
            raise
        except Exception as failed:
            self.close()
            # Only its kind: the words of somebody else's connector may hold the key.
            raise ConnectError(
                f"the connector failed with {type(failed).__name__}; its __cause__ says more",
                retryable=is_passing(failed),
            ) from failed

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Hear nothing more over it, and begin to close it. Never raises."""
        self.closing = True
        if self.transport is None:
            return
        try:
            self.transport.close(code, reason)
        except Exception:
            # A transport may be the user's own. What follows must happen all the same.
            logger.exception("the transport failed to close")
            self._counters["internal_errors"] += 1

    # --- FrameHandler ---------------------------------------------------------------------------

    def frame_received(self, data: bytes, is_text: bool) -> None:
        if self.closing:
            return
        try:
            event = self._decode(data)
            if self._waiting:
                self._wait(event)
            self._owner.receive(self.connection, event)
        except Exception:
            # An error of our own must not take the connection down with it (picows would close).
            logger.exception("an event could not be handled")
            self._counters["internal_errors"] += 1

    def _wait(self, event: Event) -> None:
        if event.type == "session.created":
            self._waiting = False
            self.ready.set(None)
        elif isinstance(event, ErrorEvent):
            self._last_error = event.error

    def connection_lost(self, code: int | None, reason: str) -> None:
        self.gone.set()
        error = self._last_error
        told = _CLOSE_REASON.fullmatch(reason)
        error_code = (error.code if error is not None else None) or (told and told[1]) or None
        said = (error.message if error is not None else None) or reason or "no reason given"
        shown = "without a close frame" if code is None else f"with code {code}"
        self._lost = ConnectError(
            f"the server closed the connection {shown}: {said}",
            code=error_code,
            retryable=is_retryable(code),
        )
        self.ready.fail(self._lost)
        self._owner.link_lost(self, code, reason)
