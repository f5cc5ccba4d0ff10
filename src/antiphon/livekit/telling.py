"""What the framework is told: events, metrics and errors; and the requests nobody awaits."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from livekit.agents import APIError, llm

from antiphon import (
    ConnectionClosed,
    ErrorInfo,
    Report,
    ReportKind,
    RequestError,
    RequestTimeout,
    Session,
)
from antiphon.exceptions import FATAL_CODES

if TYPE_CHECKING:
    from antiphon.livekit.model import RealtimeModel

__all__ = ["Teller"]

logger = logging.getLogger("antiphon.livekit")


class Teller:
    """Tells one session's listeners.

    Args:
        emit: the framework's emitter: name and event.
        model: whose names stand in metrics and errors.
        client: is closed after what cannot be mended.
    """

    def __init__(self, emit: Callable[..., Any], model: "RealtimeModel", client: Session) -> None:
        self.emit = emit
        self._model = model
        self._client = client
        self._tasks: set[asyncio.Task[None]] = set()
        self._warned: set[str | None] = set()
        self._failed = False
        self._closing = False
        client.on("error", self._on_error)
        client.on("report", self._on_report)

    @property
    def silent(self) -> bool:
        """Whether the application has closed the session, and wants to hear of nothing more."""
        return self._closing

    def names(self) -> dict[str, str]:
        """Whose metrics they are."""
        model = self._model
        return {"label": model.label, "model": model.model, "provider": model.provider}

    # --- errors ---------------------------------------------------------------------------------

    def recoverable(self, error: APIError) -> None:
        """An `error` event; the session goes on."""
        if not self._failed and not self._closing:
            self._emit_error(error, recoverable=True)

    def fatal(self, error: APIError) -> None:
        """It cannot go on, nor would a new connection help."""
        if not self._failed and not self._closing:
            self._failed = True
            self._emit_error(error, recoverable=False)
            self._spawn(self._client.close())

    def said(self, message: str, error: ErrorInfo | None) -> None:
        """The server's error, as bad as its code says."""
        said = error.message if error is not None else None
        fatal = _is_fatal(error)
        tell = self.fatal if fatal else self.recoverable
        words = f"{message}: {said}" if said else message
        tell(APIError(words, body=error, retryable=not fatal))

    def _emit_error(self, error: APIError, *, recoverable: bool) -> None:
        self.emit(
            "error",
            llm.RealtimeModelError(
                timestamp=time.time(),
                label=self._model.label,
                error=error,
                recoverable=recoverable,
            ),
        )

    def _on_error(self, event: Any) -> None:
        if _is_fatal(event.error):
            self.said("the server returned an error", event.error)

    def _on_report(self, report: Report) -> None:
        if report.kind is ReportKind.ERROR:
            said = report.error.message if report.error is not None else None
            words = f"{report.detail}: {said}" if said else report.detail
            self.recoverable(APIError(words, body=report.error, retryable=True))
        elif report.kind is not ReportKind.ABSORBED:
            logger.debug("%s: %s", report.kind, report.detail)

    # --- requests -------------------------------------------------------------------------------

    def watch(
        self,
        request: Awaitable[Any],
        *,
        expected: frozenset[str] = frozenset(),
        housekeeping: bool = False,
        on_refusal: Callable[[], object] | None = None,
    ) -> None:
        """Nobody awaits this request: a refusal becomes an `error` event.

        Args:
            expected: codes that are no news.
            housekeeping: the application did not ask for it and can do nothing about a refusal:
                it is logged, once for each code.
            on_refusal: called when it was refused.
        """

        async def look() -> None:
            try:
                await request
            except RequestError as refused:
                if on_refusal is not None:
                    on_refusal()
                if refused.code in expected:
                    return
                if not housekeeping:
                    self.recoverable(APIError(str(refused), body=refused, retryable=True))
                elif refused.code not in self._warned:
                    self._warned.add(refused.code)
                    logger.warning("%s", refused)
            except RequestTimeout as late:
                logger.warning("%s", late)
            except ConnectionClosed:
                pass

        self._spawn(look())

    async def close(self) -> None:
        """Nothing more is told, and nobody waits for an answer any longer."""
        self._closing = True
        await self._client.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_fatal(error: ErrorInfo | None) -> bool:
    return error is not None and bool({error.code, error.type} & FATAL_CODES)
