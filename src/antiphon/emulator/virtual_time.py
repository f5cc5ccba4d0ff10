"""An asyncio event loop whose clock jumps: a minute of waiting takes no time at all.

    result = run_virtual(test())

While something can run, it runs. When everything waits for a timer, the clock jumps to the first
one. When everything waits and there is no timer, nothing can ever happen again: that raises
`VirtualDeadlock`, naming the tasks, instead of hanging. Runs repeat exactly, since no real time
goes into them.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar

__all__ = ["VirtualDeadlock", "VirtualTimeLoop", "VirtualTimeout", "run_virtual"]

T = TypeVar("T")
# Turns of the loop without the clock moving, after which something must be spinning.
MAX_IDLE_TURNS = 2_000_000


class VirtualDeadlock(RuntimeError):
    """Every task waits for something that can no longer happen."""


class VirtualTimeout(TimeoutError):
    """The program ran past the virtual time that it was given."""


class _JumpingSelector(selectors.BaseSelector):
    """Polls the real selector, and moves the clock instead of sleeping."""

    def __init__(self, jump: Callable[[float | None], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or (timeout is not None and timeout <= 0):
            self._jump(0)
            return ready
        if self._jump(timeout):
            return []
        # A thread is at work: only real time can bring its result.
        return self._real.select(0.01)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, for `asyncio.Runner(loop_factory=VirtualTimeLoop)`.

    `loop.time()` starts at 0 and moves only when everything waits. Threads
    (`run_in_executor`) still take real time and the clock stands still meanwhile. Real sockets are
    polled, but the clock does not wait for them: use it for programs that run in memory.

    Args:
        limit_s: virtual seconds after which `VirtualTimeout` is raised.
    """

    def __init__(self, *, limit_s: float = 7 * 86400.0) -> None:
        self._virtual_now = 0.0
        self._limit_s = limit_s
        self._threads = 0
        self._idle_turns = 0
        super().__init__(_JumpingSelector(self._jump))

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._virtual_now

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """As in asyncio; the clock stands still until it has finished."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """As in asyncio: waits for a thread that joins the others."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._threads -= 1

    def _thread_done(self, future: "asyncio.Future[Any]") -> None:
        self._threads -= 1

    def _jump(self, timeout: float | None) -> bool:
        """Pass `timeout` seconds; False if real time must be waited for."""
        if timeout == 0:
            self._idle_turns += 1
            if self._idle_turns > MAX_IDLE_TURNS:
                self._idle_turns = 0  # the tasks are cancelled next, which takes turns too
                raise VirtualDeadlock(f"the loop spins at {self._virtual_now} s: {self._waiting()}")
            return True
        if self._threads:
            return False
        if timeout is None:
            raise VirtualDeadlock(f"nothing is left that could happen: {self._waiting()}")
        self._idle_turns = 0
        self._virtual_now += timeout
        if self._virtual_now > self._limit_s:
            limit, self._limit_s = self._limit_s, float("inf")  # for what cleans up
            raise VirtualTimeout(f"not done after {limit} virtual s: {self._waiting()}")
        return True

    def _waiting(self) -> str:
        tasks = [task for task in asyncio.all_tasks(self) if not task.done()]
        names = sorted(f"{task.get_name()} ({_where(task)})" for task in tasks)
        return "; ".join(names) or "no tasks"


def _where(task: "asyncio.Task[Any]") -> str:
    stack = task.get_stack(limit=1)
    if not stack:
        return "not started"
    frame = stack[-1]
    return f"{frame.f_code.co_qualname}, line {frame.f_lineno}"


def run_virtual(
    main: Coroutine[Any, Any, T], *, limit_s: float = 7 * 86400.0, debug: bool | None = None
) -> T:
    """Run a coroutine on virtual time, like `asyncio.run`.

    Args:
        main: what to run.
        limit_s: virtual seconds that it may take.
        debug: asyncio's debug mode.

    Returns:
        What `main` returns.

    Raises:
        VirtualDeadlock: every task waits and nothing is scheduled.
        VirtualTimeout: it took more than `limit_s` virtual seconds.
    """
    with asyncio.Runner(
        debug=debug, loop_factory=lambda: VirtualTimeLoop(limit_s=limit_s)
    ) as runner:
        return runner.run(main)
