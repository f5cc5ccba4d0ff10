"""Output that came before its response was announced."""

from collections.abc import Iterator

from antiphon.protocol.response import Response
from antiphon.wire.server_events import OutputEvent

__all__ = ["EarlyOutput"]


class EarlyOutput:
    """Which responses have shown themselves only by their output, and how much of it is kept.

    Args:
        limit: how many events are kept, of all these responses together.
    """

    __slots__ = (
        "_limit",
        "_responses",
        "_size",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Invariant: exactly the responses whose `kept` is not empty, oldest first.
        self._responses: dict[int, Response] = {}
        # Invariant: the sum of len(response.kept).
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._responses)

    def __iter__(self) -> Iterator[Response]:
        return iter(tuple(self._responses.values()))

    def keep(self, response: Response, event: OutputEvent) -> bool:
        """False when that would be too much."""
        if self._size >= self._limit:
            return False
        self._size += 1
        self._responses[response.number] = response
        response.kept.append(event)
        return True

    def move(self, old: Response, new: Response) -> None:
        """It turned out to be the output of another one."""
        if old.kept:
            del self._responses[old.number]
            self._responses[new.number] = new
            new.kept, old.kept = old.kept, []

    def take(self, response: Response) -> list[OutputEvent]:
        """All that was kept of it, which is not kept any longer."""
        kept, response.kept = response.kept, []
        self._size -= len(kept)
        self._responses.pop(response.number, None)
        return kept
