"""Time that jumps."""

import asyncio

import pytest

from antiphon.emulator import VirtualDeadlock, VirtualTimeLoop, VirtualTimeout, run_virtual

__all__: list[str] = []


def test_an_hour_takes_no_time() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    # An hour of real time would meet pytest's own timeout.
    assert run_virtual(main()) == pytest.approx(3600)


def test_timers_come_in_order() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def one(n: int) -> None:
            await asyncio.sleep(n)
            order.append(n)

        await asyncio.gather(*(one(n) for n in (5, 1, 3, 2, 4)))
        return order

    assert run_virtual(main()) == [1, 2, 3, 4, 5]


def test_timeouts_work() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(30)


def test_deadlock_raises_and_names_the_task() -> None:
    async def waits_for_nobody() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(waits_for_nobody(), name="the guilty one")

    with pytest.raises(VirtualDeadlock, match=r"the guilty one .*waits_for_nobody"):
        run_virtual(main())


def test_cleanup_runs_after_a_deadlock() -> None:
    cleaned: list[bool] = []

    async def main() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    with pytest.raises(VirtualDeadlock):
        run_virtual(main())
    assert cleaned == [True]


def test_spinning_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.emulator.virtual_time.MAX_IDLE_TURNS", 1000)

    async def main() -> None:
        for _ in range(2000):
            await asyncio.sleep(0)

    with pytest.raises(VirtualDeadlock, match="spins"):
        run_virtual(main())


def test_limit_of_virtual_time() -> None:
    async def main() -> None:
        await asyncio.sleep(60)
        await asyncio.sleep(60)

    with pytest.raises(VirtualTimeout, match="100"):
        run_virtual(main(), limit_s=100)


def test_threads_take_real_time_and_the_clock_stands_still() -> None:
    async def main() -> tuple[str, float]:
        loop = asyncio.get_running_loop()
        sleeper = asyncio.create_task(asyncio.sleep(1000))
        before = loop.time()
        value = await asyncio.to_thread(lambda: "done")
        passed = loop.time() - before
        sleeper.cancel()
        return value, passed

    assert run_virtual(main()) == ("done", 0.0)


def test_call_from_another_thread_is_not_lost() -> None:
    import threading

    async def main() -> str:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str] = loop.create_future()

        def work() -> None:
            loop.call_soon_threadsafe(future.set_result, "woken")

        await asyncio.to_thread(threading.Thread(target=work).run)
        return await future

    assert run_virtual(main()) == "woken"


def test_errors_come_out() -> None:
    async def main() -> None:
        await asyncio.sleep(1)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_virtual(main())


def test_it_works_with_a_runner() -> None:
    async def main() -> float:
        await asyncio.sleep(5)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(main()) == pytest.approx(5)
        assert runner.run(main()) == pytest.approx(10)
