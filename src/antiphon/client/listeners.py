"""Who wants to be told: listeners, which can change their mind, and iterators of what arrives."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Generic, Self, TypeVar

from antiphon.client.streams import Stream
from antiphon.exceptions import LocalProtocolError, StreamOverflow
from antiphon.wire.server_events import SERVER_EVENTS

__all__ = ["NAMES", "Arrivals", "Listener", "Listening", "check_name"]

T = TypeVar("T")
Listener = Callable[[Any], object]

NAMES = (
    "response",
    "opened",
    "ended",
    "done",
    "played",
    "function_call",
    "turn",
    "report",
    "connected",
    "connect_failed",
    "disconnected",
    "reconnected",
    "closed",
    "server_event",
    "client_event",
    "client_frame",
)
"""What `Session.on` tells of, beside the server's events by their type."""

_KNOWN = frozenset((*NAMES, *(event.type for event in SERVER_EVENTS)))


def check_name(name: Any) -> None:
    """Refuse a name that nothing will ever be called by.

    Servers have events that are not known here. Their types have a dot in them, as all but one of
    OpenAI's do; another provider's without one are seen under `"server_event"`.
    """
    if not isinstance(name, str):
        raise LocalProtocolError(f"name is of type {type(name).__name__}; it must be a str")
    if name in _KNOWN or "." in name.strip("."):
        return
    near = get_close_matches(name, _KNOWN, 1)
    meant = f'did you mean "{near[0]}"?' if near else f"use the type of a server event, or {NAMES}"
    raise LocalProtocolError(f"there is no event {name!r}; {meant}")


class Listening:
    """One registration of a listener, so that removing it is exact and takes effect at once."""

    __slots__ = ("active", "listener")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.active = True

    def __call__(self, value: Any) -> None:
        if self.active:
            self.listener(value)


class Arrivals(Generic[T]):
    """What has happened since this was made, one after the other, until the session ends.

    Nothing is missed between two reads, and what is not read waits, up to `StreamLimits.events`;
    then reading raises `StreamOverflow`. `close()` ends it, and so does dropping it.
    """

    __slots__ = ("_remove", "_stream")

    def __init__(self, stream: Stream[T], remove: Callable[[], None]) -> None:
        self._stream = stream
        self._remove = remove

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._stream.__anext__()
        except StreamOverflow:
            self.close()
            raise

    def close(self) -> None:
        """Be told no more. What has arrived can still be read."""
        self._remove()
        self._stream.end()

    async def aclose(self) -> None:
        """As `close`, for `contextlib.aclosing`."""
        self.close()

    def __del__(self) -> None:
        self._remove()
