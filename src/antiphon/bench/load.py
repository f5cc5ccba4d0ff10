"""Many sessions in several processes against any endpoint.

Each session holds a conversation: a response in the default lane with others out of band beside
it, read to the end or interrupted half-way. Where the server is the emulator, its audio says which
response it belongs to, so misrouted bytes are counted; elsewhere that column is empty.
"""

import asyncio
import contextlib
import multiprocessing
import resource
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection as Pipe

import msgspec

from antiphon.client.connect import connect
from antiphon.client.handle import ResponseHandle
from antiphon.client.reconnect import ReconnectPolicy
from antiphon.client.session import Session
from antiphon.emulator.audio import speech
from antiphon.exceptions import RealtimeError
from antiphon.models import DEFAULT_MODEL

__all__ = ["Measured", "Plan", "percentile", "run_load"]

_REPORT_EVERY = 1.0
# Of every chunk so much is looked at; a mark is one block of a millisecond.
_MARK_BYTES = 48


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        url: the endpoint.
        sessions: how many at once, over all processes.
        processes: over how many processes they are spread.
        responses: how many are in flight on a session at once, one of them in the default lane.
        seconds: how long each session goes on, from when it is connected.
        ramp: seconds over which the sessions are opened.
        interrupt_share: of the rounds, how many (0 to 1) are interrupted half-way.
        prompt: what is asked for.
    """

    url: str
    model: str = DEFAULT_MODEL
    api_key: str | None = None
    sessions: int = 100
    processes: int = 1
    responses: int = 2
    seconds: float = 10.0
    ramp: float = 2.0
    interrupt_share: float = 0.25
    prompt: str = "Count to twenty."


class Measured(msgspec.Struct, kw_only=True):
    """What was seen; times in seconds, summed up over sessions by `add`."""

    opened: int = 0
    failed: int = 0
    lost: int = 0
    rounds: int = 0
    completed: int = 0
    cancelled: int = 0
    other: int = 0
    audio_bytes: int = 0
    misrouted_bytes: int = 0
    unmarked_bytes: int = 0
    late_bytes: int = 0
    first_audio: list[float] = []
    interrupted: list[float] = []
    cpu_seconds: float = 0.0
    peak_rss_kib: int = 0
    errors: dict[str, int] = {}

    def add(self, other: "Measured") -> None:
        """Take in what another process saw."""
        for name in _SUMS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for what, count in other.errors.items():
            self.errors[what] = self.errors.get(what, 0) + count

    def note(self, error: BaseException) -> None:
        """Count an error by its name."""
        name = type(error).__name__
        self.errors[name] = self.errors.get(name, 0) + 1


_SUMS = tuple(field.name for field in msgspec.structs.fields(Measured) if field.name != "errors")


def percentile(values: list[float], share: float) -> float:
    """The value below which this share (0 to 1) lies; 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def run_load(plan: Plan) -> Iterator[Measured]:
    """Carry out a plan. Yields the sum so far about once a second, and last the whole.

    A process that dies is counted in `errors` as `ProcessDied`; the others go on.
    """
    context = multiprocessing.get_context("spawn")
    workers = []
    for index in range(plan.processes):
        share = len(range(index, plan.sessions, plan.processes))
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(plan, share, theirs), daemon=True)
        worker.start()
        theirs.close()
        workers.append((worker, ours))
    latest: dict[int, Measured] = {}
    running = dict(enumerate(pipe for _, pipe in workers))
    try:
        while running:
            ready = multiprocessing.connection.wait(list(running.values()), _REPORT_EVERY)
            for index, pipe in list(running.items()):
                if pipe not in ready:
                    continue
                try:
                    finished, data = pipe.recv()
                except EOFError:
                    latest.setdefault(index, Measured()).errors["ProcessDied"] = 1
                    del running[index]
                    continue
                latest[index] = msgspec.msgpack.decode(data, type=Measured)
                if finished:
                    del running[index]
            yield _sum(latest)
    finally:
        for worker, pipe in workers:
            pipe.close()
            worker.join(timeout=5)
            if worker.is_alive():
                worker.terminate()


def _sum(latest: dict[int, Measured]) -> Measured:
    whole = Measured()
    for measured in latest.values():
        whole.add(measured)
    return whole


# --- in a worker process ------------------------------------------------------------------------


def _work(plan: Plan, sessions: int, pipe: "Pipe[tuple[bool, bytes], None]") -> None:
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        asyncio.run(_sessions(plan, sessions, pipe))


async def _sessions(plan: Plan, sessions: int, pipe: "Pipe[tuple[bool, bytes], None]") -> None:
    _allow_open_files(sessions * 2 + 256)
    seen = Measured()
    reporter = asyncio.create_task(_report(seen, pipe))
    pause = plan.ramp / max(1, sessions)
    async with asyncio.TaskGroup() as group:
        for index in range(sessions):
            group.create_task(_session(plan, index, index * pause, seen))
    reporter.cancel()
    _usage(seen)
    pipe.send((True, msgspec.msgpack.encode(seen)))


async def _report(seen: Measured, pipe: "Pipe[tuple[bool, bytes], None]") -> None:
    while True:
        await asyncio.sleep(_REPORT_EVERY)
        _usage(seen)
        pipe.send((False, msgspec.msgpack.encode(seen)))


def _usage(seen: Measured) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seen.cpu_seconds = used.ru_utime + used.ru_stime
    seen.peak_rss_kib = used.ru_maxrss


def _allow_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < min(wanted, hard):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


async def _session(plan: Plan, index: int, delay: float, seen: Measured) -> None:
    await asyncio.sleep(delay)
    try:
        session = await connect(
            url=plan.url,
            model=plan.model,
            api_key=plan.api_key,
            reconnect=ReconnectPolicy(attempts=0),
            connect_timeout=60.0,
        )
    except (RealtimeError, OSError) as error:
        seen.failed += 1
        seen.note(error)
        return
    seen.opened += 1
    try:
        async with session:
            until = time.perf_counter() + plan.seconds
            number = index
            while time.perf_counter() < until:
                interrupted = _falls_due(number, plan.interrupt_share)
                await _round(plan, session, interrupted, seen)
                number += 1
    except RealtimeError as error:
        seen.lost += 1
        seen.note(error)


def _falls_due(number: int, share: float) -> bool:
    """Evenly spread: true for this share of the numbers."""
    return int((number + 1) * share) > int(number * share)


async def _round(plan: Plan, session: Session, interrupted: bool, seen: Measured) -> None:
    seen.rounds += 1
    asked_at = time.perf_counter()
    handles = [
        session.create_response(
            instructions=plan.prompt, conversation="auto" if number == 0 else "none"
        )
        for number in range(plan.responses)
    ]
    flowing = asyncio.Event()
    readers = [asyncio.create_task(_read(handle, asked_at, flowing, seen)) for handle in handles]
    if interrupted:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(plan.seconds):
                await flowing.wait()
        before = time.perf_counter()
        await session.interrupt()
        seen.interrupted.append(time.perf_counter() - before)
    await asyncio.gather(*readers)
    for handle in handles:
        outcome = await handle.done
        match outcome.kind:
            case "completed":
                seen.completed += 1
            case "cancelled":
                seen.cancelled += 1
            case _:
                seen.other += 1


async def _read(
    handle: ResponseHandle, asked_at: float, flowing: asyncio.Event, seen: Measured
) -> None:
    first = True
    try:
        async for chunk in handle.audio:
            if first:
                first = False
                seen.first_audio.append(time.perf_counter() - asked_at)
                flowing.set()
            _check(handle, chunk, seen)
    except RealtimeError as error:
        seen.note(error)
    flowing.set()


def _check(handle: ResponseHandle, chunk: bytes, seen: Measured) -> None:
    seen.audio_bytes += len(chunk)
    if handle.cause is not None and handle.cause == "cancelled":
        seen.late_bytes += len(chunk)
    mark = speech.identify(chunk[:_MARK_BYTES])[0] if len(chunk) >= _MARK_BYTES else None
    if mark is None:
        seen.unmarked_bytes += len(chunk)
    elif mark.tag != speech.tag_of(handle.id or ""):
        seen.misrouted_bytes += len(chunk)
