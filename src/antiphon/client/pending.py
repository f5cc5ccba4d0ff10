"""What the session's methods return: things under way that may be awaited, or left alone."""

from collections.abc import Generator
from typing import Generic, TypeVar

from antiphon.client.streams import Moment
from antiphon.exceptions import RealtimeError, RequestError
from antiphon.protocol.effects import Report, ReportKind
from antiphon.protocol.interruption import Interruption, Receipt
from antiphon.protocol.requests import Request
from antiphon.wire.items import ErrorInfo

__all__ = ["PendingReceipt", "PendingRequest", "PendingRequests", "unheard"]

T = TypeVar("T")


class PendingRequest(Generic[T]):
    """A request that was sent. Awaiting it gives the server's answer.

    Leaving it alone is fine: a refusal that nobody awaits when it comes is counted and reported to
    the session's `"report"` listeners. Cancelling a task that awaits it does not take the request
    back.

    Awaiting raises `RequestError` (the server refused), `RequestTimeout` or `ConnectionClosed`.
    """

    __slots__ = ("_moment", "item_id")

    def __init__(self, item_id: str | None = None) -> None:
        self._moment: Moment[T] = Moment()
        self.item_id = item_id
        """The conversation item that it is about, if it is about one."""

    @property
    def done(self) -> bool:
        """Whether the server has answered, in whatever way: awaiting it would not wait."""
        return self._moment.is_set()

    def __await__(self) -> Generator[object, None, T]:
        return self._moment.__await__()


class PendingRequests(tuple[PendingRequest[None], ...]):
    """Several requests that were sent. Awaiting them waits for all; the first refusal is raised.

    Each can be looked at, and awaited, by itself.
    """

    __slots__ = ()

    @property
    def done(self) -> bool:
        """Whether all have been answered."""
        return all(request.done for request in self)

    def __await__(self) -> Generator[object, None, None]:
        # All are awaited from here on: none of their refusals goes unheard.
        waiters = [(request._moment, request._moment.watch()) for request in self]
        try:
            for _, waiter in waiters:
                yield from waiter
        finally:
            for moment, waiter in waiters:
                moment.unwatch(waiter)
        for request in self:
            yield from request.__await__()


class PendingReceipt:
    """An interruption that has already taken effect here. Awaiting it gives the `Receipt`.

    It comes when every response named is settled, and silent where silence was asked for; at the
    latest when the deadlines for that have passed (`Options.settle_timeout`; on a call also
    `playback_timeout` and `heard_timeout`). It never waits for tools, nor for sound that was left
    alone. Cancelling a task that awaits it takes nothing back.
    """

    __slots__ = ("_interruption", "_moment")

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._moment: Moment[Receipt] = Moment()

    @property
    def so_far(self) -> Receipt:
        """What is known already; whatever is not is under `unsettled`."""
        return self._interruption.receipt()

    @property
    def done(self) -> bool:
        """Whether the receipt is there: awaiting it would not wait."""
        return self._moment.is_set()

    def __await__(self) -> Generator[object, None, Receipt]:
        return self._moment.__await__()

    def _settle(self) -> None:
        self._moment.set(self._interruption.receipt())


def unheard(request: Request, error: RealtimeError) -> Report:
    """A refusal for whoever watches, since nobody awaits it. The server's words stay in `error`."""
    if not isinstance(error, RequestError):
        return Report(ReportKind.ERROR, f"{request.kind} failed: {error}")
    told = ErrorInfo(
        type=error.type,
        code=error.code,
        message=str(error),
        param=error.param,
        event_id=error.event_id,
    )
    return Report(ReportKind.ERROR, f"{request.kind} was refused", error=told)
