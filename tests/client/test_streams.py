"""Moments and streams: once, in order, bounded, and atomic with respect to cancellation."""

import asyncio

import pytest

from antiphon import ConcurrencyError, Stream, StreamOverflow
from antiphon.client.streams import Moment
from tests.client.peer import soon, virtual

__all__: list[str] = []


def texts(limit: int = 100) -> Stream[str]:
    return Stream(limit)


async def take_all(stream: Stream[str]) -> list[str]:
    return [element async for element in stream]


# --- moments --------------------------------------------------------------------------------------


@virtual
async def test_a_moment_is_awaited_by_many_before_and_after() -> None:
    moment: Moment[int] = Moment()
    waiting = [asyncio.ensure_future(_wait(moment)) for _ in range(3)]
    await asyncio.sleep(0)
    moment.set(7)
    assert await asyncio.gather(*waiting) == [7, 7, 7]
    assert await moment == 7


@virtual
async def test_a_moment_happens_once() -> None:
    moment: Moment[int] = Moment()
    moment.set(1)
    moment.set(2)
    moment.fail(ValueError())
    assert await moment == 1


@virtual
async def test_a_failed_moment_raises_to_each_waiter_without_piling_up_tracebacks() -> None:
    moment: Moment[int] = Moment()
    moment.fail(ValueError("no"))
    lengths = []
    for _ in range(5):
        with pytest.raises(ValueError, match="no") as caught:
            await moment
        lengths.append(len(caught.traceback))
    assert len(set(lengths)) == 1


@virtual
async def test_an_error_that_nobody_awaits_is_not_logged() -> None:
    moment: Moment[int] = Moment()
    moment.fail(ValueError("no"))
    del moment  # `virtual` fails on anything that reaches the loop's exception handler


@virtual
async def test_cancelling_one_waiter_leaves_the_others() -> None:
    moment: Moment[int] = Moment()
    gone, stays = (asyncio.ensure_future(_wait(moment)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    moment.set(1)
    assert await stays == 1
    assert gone.cancelled()


@virtual
async def test_a_waiter_cancelled_in_the_very_moment_is_cancelled() -> None:
    moment: Moment[int] = Moment()
    waiter = asyncio.ensure_future(_wait(moment))
    await asyncio.sleep(0)
    moment.set(1)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert waiter.cancelled()
    assert await moment == 1


async def _wait(moment: Moment[int]) -> int:
    return await moment


# --- streams --------------------------------------------------------------------------------------


@virtual
async def test_elements_come_in_order_and_the_end_after_them() -> None:
    stream = texts()
    for element in "abc":
        assert stream.push(element)
    stream.end()
    assert await take_all(stream) == ["a", "b", "c"]
    assert await take_all(stream) == [], "an ended stream stays ended"


@virtual
async def test_a_reader_waits_for_what_comes() -> None:
    stream = texts()
    reader = asyncio.ensure_future(take_all(stream))
    for element in "abc":
        await asyncio.sleep(1)
        stream.push(element)
    stream.end()
    assert await soon(reader) == ["a", "b", "c"]


@virtual
async def test_an_error_is_raised_after_what_was_buffered_and_again() -> None:
    stream = texts()
    stream.push("a")
    stream.end(ValueError("lost"))
    assert await anext(stream) == "a"
    for _ in range(2):
        with pytest.raises(ValueError, match="lost"):
            await anext(stream)


@virtual
async def test_nothing_is_added_after_the_end() -> None:
    stream = texts()
    stream.end()
    assert not stream.push("late")
    stream.end(ValueError("later still"))
    assert await take_all(stream) == []


@virtual
async def test_discarding_forgets_what_was_not_read() -> None:
    stream = texts()
    stream.push("heard")
    assert await anext(stream) == "heard"
    stream.push("not heard")
    stream.end(discard=True)
    assert stream.buffered == 0
    assert await take_all(stream) == []


@virtual
async def test_discarding_also_reaches_a_reader_that_was_already_woken() -> None:
    stream = texts()
    reader = asyncio.ensure_future(take_all(stream))
    await asyncio.sleep(0)
    stream.push("a")  # wakes the reader, which has not run yet
    stream.end(discard=True)
    assert await soon(reader) == []


@virtual
async def test_the_buffer_is_bounded_by_size_and_says_so_to_the_reader() -> None:
    stream = texts(limit=10)
    assert stream.push("12345")
    assert stream.push("67890")
    assert stream.buffered == 10
    assert not stream.push("x")
    assert stream.ended and stream.buffered == 0
    with pytest.raises(StreamOverflow):
        await anext(stream)


@virtual
async def test_reading_makes_room() -> None:
    stream = texts(limit=4)
    for _ in range(100):
        assert stream.push("1234")
        assert await anext(stream) == "1234"


@virtual
async def test_a_second_reader_is_told_so_and_the_first_reads_on() -> None:
    stream = texts()
    first = asyncio.ensure_future(take_all(stream))
    await asyncio.sleep(0)
    with pytest.raises(ConcurrencyError):
        await anext(stream)
    stream.push("a")
    with pytest.raises(ConcurrencyError):
        await anext(stream)  # the first was woken, and it is its element
    stream.end()
    assert await soon(first) == ["a"]


@virtual
async def test_a_cancelled_read_took_nothing() -> None:
    stream = texts()
    reader = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait([reader])
    stream.push("a")
    assert await soon(anext(stream)) == "a"


@virtual
async def test_a_read_cancelled_between_waking_and_running_took_nothing() -> None:
    stream = texts()
    reader = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    stream.push("a")
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert stream.buffered == 1
    assert await soon(anext(stream)) == "a"


@virtual
async def test_the_next_reader_need_not_wait_for_a_cancelled_one_to_unwind() -> None:
    stream = texts()
    gone = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    gone.cancel()
    asyncio.get_running_loop().call_later(1.0, stream.push, "a")
    assert await anext(stream) == "a"  # asked before the cancelled task has run again
    assert gone.cancelled()


@virtual
async def test_cancelling_at_every_await_loses_nothing() -> None:
    stream = texts()
    got: list[str] = []

    async def read() -> None:
        async for element in stream:
            got.append(element)
            await asyncio.sleep(0)

    for number in range(60):
        reader = asyncio.ensure_future(read())
        for _ in range(number % 4):
            await asyncio.sleep(0)
        stream.push(f"{number} ")
        for _ in range(number % 3):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
    stream.end()
    await read()
    assert got == [f"{number} " for number in range(60)]
