"""The desk: work that was asked for and has not been finished."""

from collections.abc import Callable

from antiphon.emulator.engine.effects import Ask, Drop, Proceed
from antiphon.emulator.faculties.work import Ended, Faculties, Failed, Heard, Result, Work

__all__ = ["Desk"]

_LAST = (Heard, Ended, Failed)


class Desk:
    """Gives out work and takes in what comes of it.

    Args:
        faculties: what can be asked for.
        emit: takes the effects.

    Invariant: `_open` holds the work of which more may come.
    """

    def __init__(self, faculties: Faculties, emit: Callable[[Ask | Proceed | Drop], None]) -> None:
        self.faculties = faculties
        self._emit = emit
        self._open: dict[int, Callable[[Result], None]] = {}
        self._number = 0

    def ask(self, work: Work, on_result: Callable[[Result], None]) -> int:
        """Have work done; `on_result` gets what comes of it, piece by piece."""
        self._number += 1
        self._open[self._number] = on_result
        self._emit(Ask(self._number, work))
        return self._number

    def proceed(self, work_id: int) -> None:
        """A piece of open work was used up: one more may be made."""
        self._emit(Proceed(work_id))

    def drop(self, work_id: int) -> None:
        """It is not wanted any more. Harmless when it is finished."""
        if self._open.pop(work_id, None) is not None:
            self._emit(Drop(work_id))

    def answered(self, work_id: int, result: Result) -> None:
        """Something came of a piece of work; nobody minds when it was dropped meanwhile."""
        on_result = self._open.get(work_id)
        if on_result is None:
            return
        if isinstance(result, _LAST):
            del self._open[work_id]
        on_result(result)
