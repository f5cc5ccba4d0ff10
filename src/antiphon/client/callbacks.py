"""When listeners are called: after the effects at hand, in order, none within another."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from antiphon.client.handle import ResponseHandle
from antiphon.client.listeners import Arrivals, Listener, Listening
from antiphon.client.streams import Stream
from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import ClientEvent

__all__ = ["Callbacks"]

logger = logging.getLogger("antiphon.session")


class Callbacks:
    """The listeners of one session, and the calls that are due to them.

    What happens is noted first (`emit`), and told once the effects at hand are carried out (`run`):
    a listener finds the state up to date, and may call the session back.

    Attributes:
        listeners: by the name that they listen to; a name without listeners is not in it.
        due: the calls to be made, each with what it is called with, and the handle whose silence
            takes the call back.
    """

    __slots__ = ("_arrivals", "_running", "due", "listeners")

    def __init__(self) -> None:
        self.listeners: dict[str, list[Listening]] = {}
        self.due: deque[tuple[Listener, Any, ResponseHandle | None]] = deque()
        self._running = False
        self._arrivals: list[Stream[Any]] = []

    def add(self, name: str, listener: Listener) -> Callable[[], None]:
        """Have this called whenever `name` happens; returns how to stop that."""
        listening = Listening(listener)
        self.listeners.setdefault(name, []).append(listening)

        def remove() -> None:
            listening.active = False
            left = [other for other in self.listeners.get(name, ()) if other.active]
            if left:
                self.listeners[name] = left
            else:
                self.listeners.pop(name, None)

        return remove

    def arrivals(self, name: str, limit: int) -> Arrivals[Any]:
        """What listeners of `name` are given from now on, to be iterated, until `end`.

        Args:
            name: as for `add`.
            limit: how many may wait to be read.
        """
        stream: Stream[Any] = Stream(limit, size=lambda _: 1)
        stop = self.add(name, stream.push)
        self._arrivals.append(stream)

        def remove() -> None:
            stop()
            if stream in self._arrivals:
                self._arrivals.remove(stream)

        return Arrivals(stream, remove)

    def end(self) -> None:
        """The iterators end. Listeners stay: they are told that the session has closed."""
        for stream in self._arrivals:
            stream.end()

    def emit(self, name: str, value: Any, handle: ResponseHandle | None = None) -> None:
        """Note that it is to be told."""
        for listener in self.listeners.get(name, ()):
            self.due.append((listener, value, handle))

    def emit_sent(self, event: ClientEvent | UnknownEvent, frame: bytes) -> None:
        """Note what is put on the wire."""
        self.emit("client_event", event)
        self.emit("client_frame", frame)

    def run(self) -> None:
        """Make the calls that are due. Not re-entrant: what one causes is called after it."""
        if self._running:
            return
        self._running = True
        try:
            while self.due:
                listener, value, handle = self.due.popleft()
                if handle is not None and handle._silent:
                    continue  # cancelled by an earlier callback (I1)
                try:
                    listener(value)
                except (Exception, asyncio.CancelledError):
                    # The latter is what `.result()` of a cancelled future raises.
                    logger.exception("a listener failed")
        finally:
            self._running = False
