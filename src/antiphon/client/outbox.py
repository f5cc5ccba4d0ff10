"""What waits for the socket: the frames of one batch of effects leave in one packet."""

import logging
from collections import Counter

from antiphon.client.callbacks import Callbacks
from antiphon.client.transport import Transport
from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import ClientEvent
from antiphon.wire.codec import Codec

__all__ = ["Outbox"]

logger = logging.getLogger("antiphon.session")


class Outbox:
    """Encodes what is sent, and gives it to the socket of the moment, in order.

    Args:
        codec: encodes.
        callbacks: who watches what is sent.
        counters: where a failing transport is counted.

    Attributes:
        transport: the session's socket; None while there is none. The core lets nothing through
            then (ADR-0012).
        waiting: frames that leave together, with the next `flush`.
    """

    __slots__ = ("_callbacks", "_codec", "_counters", "transport", "waiting")

    def __init__(self, codec: Codec, callbacks: Callbacks, counters: Counter[str]) -> None:
        self._codec = codec
        self._callbacks = callbacks
        self._counters = counters
        self.transport: Transport | None = None
        self.waiting: list[bytes] = []

    def check(self, event: ClientEvent | UnknownEvent) -> None:
        """Raise `LocalProtocolError` now, not when it is sent, which may be from a callback."""
        self._codec.encode(event)

    def put(self, event: ClientEvent | UnknownEvent) -> None:
        """Send this with the next `flush`."""
        frame = self._codec.encode(event)
        self.waiting.append(frame)
        if self._callbacks.listeners:
            self._callbacks.emit_sent(event, frame)

    def flush(self) -> None:
        """Send what waits, in one packet if it can be."""
        frames, self.waiting = self.waiting, []
        try:
            if self.transport is not None:
                self.transport.send_text(*frames)
        except Exception:
            # A transport may be the user's own. What follows must happen all the same.
            logger.exception("the transport failed to send")
            self._counters["internal_errors"] += 1

    def send(self, event: ClientEvent) -> None:
        """The short way of microphone audio, from which nothing but its frame follows."""
        assert self.transport is not None, "the caller has looked"
        frame = self._codec.encode(event)
        self.transport.send_text(frame)
        if self._callbacks.listeners:
            self._callbacks.emit_sent(event, frame)

    @property
    def pending_bytes(self) -> int:
        """How much the network has not taken yet."""
        return self.transport.pending_bytes() if self.transport is not None else 0

    async def drain(self) -> None:
        """Wait until the network has caught up."""
        if self.transport is not None:
            await self.transport.drain()
