"""What a reader holds: streams that end exactly once, and moments that can be awaited many times.

Both are atomic with respect to cancellation: a cancelled read took nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from antiphon.exceptions import ConcurrencyError, StreamOverflow

__all__ = ["Moment", "Stream"]

T = TypeVar("T")


class Moment(Generic[T]):
    """Something that happens once. Await it as often, and from as many tasks, as you like.

    Whether it has happened can be asked, too: `if handle.done: …`.

    Cancelling a task that waits does not touch the moment or the other waiters. An error that
    nobody awaits is not logged: whoever wants to know asks.
    """

    __slots__ = ("_error", "_value", "_waiters")

    def __init__(self) -> None:
        # Invariant: at most one of _value (as a 1-tuple) and _error is set, and never changes.
        self._value: tuple[T] | None = None
        self._error: BaseException | None = None
        self._waiters: list[asyncio.Future[None]] = []

    @property
    def awaited(self) -> bool:
        """Whether anybody waits for it right now."""
        return bool(self._waiters)

    def __bool__(self) -> bool:
        """Whether it has happened, or will not: awaiting it would not wait."""
        return self.is_set()

    def is_set(self) -> bool:
        """As `bool()`."""
        return self._value is not None or self._error is not None

    def set(self, value: T) -> None:
        """It happened. Later calls are ignored."""
        if not self.is_set():
            self._value = (value,)
            self._wake()

    def fail(self, error: BaseException) -> None:
        """It will not happen. Later calls are ignored."""
        if not self.is_set():
            self._error = error
            self._wake()

    def __await__(self) -> Generator[object, None, T]:
        if not self.is_set():
            waiter = self.watch()
            try:
                yield from waiter
            finally:
                self.unwatch(waiter)
        if self._error is not None:
            # Without the traceback of whoever raised it before, which would pile up.
            raise self._error.with_traceback(None)
        assert self._value is not None, "a moment that woke its waiters is set"
        return self._value[0]

    def watch(self) -> "asyncio.Future[None]":
        """A future that is done when it has happened; until then it is being awaited."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_set():
            waiter.set_result(None)
        else:
            self._waiters.append(waiter)
        return waiter

    def unwatch(self, waiter: "asyncio.Future[None]") -> None:
        """Forget a future of `watch`."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()


class Stream(Generic[T]):
    """An asynchronous iterator with one reader and a bounded buffer.

    The writer never waits (a slow reader must not hold up the other responses that share its
    connection), so the bound is kept by dropping: a reader that falls further behind gets
    `StreamOverflow` and nothing of what was buffered.

    Args:
        limit: how much may be buffered, in units of `size`.
        size: measures one element: bytes of audio, characters of text, or 1.
    """

    __slots__ = ("_buffer", "_buffered", "_ended", "_error", "_limit", "_size", "_waiter")

    def __init__(self, limit: int, size: Callable[[T], int] = len) -> None:  # type: ignore[assignment]
        self._limit = limit
        self._size = size
        self._buffer: deque[T] = deque()
        # Invariant: _buffered == sum of the sizes in _buffer, and <= _limit.
        self._buffered = 0
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None

    @property
    def buffered(self) -> int:
        """How much waits to be read, in units of `size`."""
        return self._buffered

    @property
    def ended(self) -> bool:
        """Whether nothing more will be added."""
        return self._ended

    def push(self, element: T) -> bool:
        """Add one element. False when the stream has ended, or overflows because of it."""
        if self._ended:
            return False
        size = self._size(element)
        if self._buffered + size > self._limit:
            self.end(
                StreamOverflow(
                    f"the reader fell behind by more than {self._limit} units; "
                    "read faster, or raise the limit"
                ),
                discard=True,
            )
            return False
        self._buffer.append(element)
        self._buffered += size
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return True

    def end(self, error: Exception | None = None, *, discard: bool = False) -> None:
        """Nothing more will come. Later calls change nothing but what is discarded.

        Args:
            error: raised to the reader once it has read what was buffered.
            discard: forget what was buffered (I1: a cancelled response says nothing more).
        """
        if discard:
            self._buffer.clear()
            self._buffered = 0
        if self._ended:
            return
        self._ended = True
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> "Stream[T]":
        return self

    async def __anext__(self) -> T:
        """The next element.

        Raises:
            StopAsyncIteration: the stream has ended.
            StreamOverflow: the reader fell too far behind.
            ConcurrencyError: another task is reading.
            RealtimeError: the response failed, was refused or was lost.
        """
        # A reader whose task was cancelled has gone, even if it has not run since.
        if self._waiter is not None and not self._waiter.cancelled():
            raise ConcurrencyError("another task is reading this stream")
        while not self._buffer:
            if self._ended:
                if self._error is not None:
                    raise self._error.with_traceback(None)
                raise StopAsyncIteration
            waiter = self._waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:
                    self._waiter = None
        element = self._buffer.popleft()
        self._buffered -= self._size(element)
        return element
