"""What every adapter shares: the sink that accounts for audio, and the run of one scenario.

An adapter is a module with
    load()                                   import the client (timed)
    async connect(url, sink) -> session      connect and configure; deliver audio to the sink
and a session with
    push(pcm: bytes)                         send microphone audio                (uplink)
    interrupt(ids: list[str])                stop what is in flight; not a coroutine (interrupt)
    async close()
and ends with `common.main(load, connect)`. It prints `ready` when its sessions are connected, is
told `stop` on standard input if its audio never becomes complete, and prints its results.
"""

import asyncio
import contextlib
import gc
import json
import os
import random
import resource
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

__all__ = ["Sink", "Stream", "main"]

Plan = dict[str, Any]

_HEAD = struct.Struct("<IIx")
_STAMP = struct.Struct("<Qx")
_BODY = _HEAD.size + _STAMP.size


def _patterns(count: int, size: int) -> list[bytes]:
    # The same rule as in replay.py, written again: the two must agree for audio to be right.
    out = []
    for index in range(count):
        seed = bytes((index * 7 + i * 13) & 0xFF for i in range(251))
        out.append((seed * (size // len(seed) + 1))[: size - _BODY])
    return out


class Stream:
    """Audio of what the client takes for one response."""

    __slots__ = ("next", "sink", "tag")

    def __init__(self, sink: "Sink", tag: int | None) -> None:
        self.sink = sink
        self.tag = tag
        self.next = 0

    def audio(self, pcm: Any) -> None:
        """Account for one delta of audio, as PCM16 in anything with the buffer interface."""
        sink = self.sink
        tag, index = _HEAD.unpack_from(pcm)
        if tag == self.tag and index == self.next:
            self.next = index + 1
            sink.right += 1
        else:
            self._unexpected(tag, index)
        sink.bytes += len(pcm) if type(pcm) is bytes else memoryview(pcm).nbytes
        if sink.careful:
            sink.look(tag, index, pcm)
        sink.left -= 1
        if sink.left <= 0:
            sink.complete()

    def _unexpected(self, tag: int, index: int) -> None:
        if self.tag is None:
            # The client does not say which response this is: it is the one that came first.
            self.tag, self.next = tag, index + 1
            self.sink.right += 1
        elif tag != self.tag:
            self.sink.misrouted += 1
        else:
            self.sink.out_of_order += 1
            self.next = index + 1


class Sink:
    """Counts audio: right, misrouted, out of order; times it when asked."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.expected = int(plan.get("expected", 0))
        self.left = self.expected
        self.right = self.misrouted = self.out_of_order = self.corrupt = self.bytes = 0
        self.timed = bool(plan.get("timed"))
        self.verify = bool(plan.get("verify"))
        self.interrupting = plan["scenario"] == "interrupt"
        self.careful = self.timed or self.verify or self.interrupting
        self.patterns = _patterns(int(plan.get("deltas", 50)), 4800) if self.verify else []
        self.latencies: list[int] = []
        self.usage: Usage | None = None
        self.finished = asyncio.Event()
        self.streams: dict[str, Stream] = {}
        self.seen: set[int] = set()  # interrupt: responses of this round whose audio began
        self.stopped_below = 0  # interrupt: responses below this number were stopped
        self.after_stop = 0
        self.progress = asyncio.Event()

    def stream(self, response_id: str) -> Stream:
        """Return the stream of the response that the client names by its id."""
        stream = self.streams.get(response_id)
        if stream is None:
            stream = self.streams[response_id] = Stream(self, int(response_id[-8:]))
        return stream

    def unnamed(self) -> Stream:
        """Return a stream for a client that does not say which response it hands out."""
        return Stream(self, None)

    def forget(self, response_id: str) -> None:
        self.streams.pop(response_id, None)

    def look(self, tag: int, index: int, pcm: Any) -> None:
        if self.timed and index & 3 == 0:
            (sent,) = _STAMP.unpack_from(pcm, _HEAD.size)
            self.latencies.append(time.monotonic_ns() - sent)
        if self.verify and bytes(pcm)[_BODY:] != self.patterns[index]:
            self.corrupt += 1
        if self.interrupting:
            if tag < self.stopped_below:
                self.after_stop += 1
            elif tag not in self.seen:
                self.seen.add(tag)
                self.progress.set()

    def complete(self) -> None:
        if self.expected and not self.finished.is_set():
            self.usage = usage()
            self.finished.set()


class Usage(NamedTuple):
    """Seconds: of CPU used by this process, on the wall, and waited for a core."""

    cpu_s: float
    wall_s: float
    waited_s: float

    def since(self, before: "Usage") -> Plan:
        both = zip(self._fields, self, before, strict=True)
        return {name: now - then for name, now, then in both}


def usage() -> Usage:
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        with open("/proc/self/schedstat") as schedstat:  # of the main thread
            waited = int(schedstat.read().split()[1]) / 1e9
    except OSError:
        waited = 0.0
    return Usage(used.ru_utime + used.ru_stime, time.monotonic(), waited)


def rss_kib() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


async def _downlink(
    plan: dict[str, Any], sink: Sink, sessions: list[Any], stop: asyncio.Event
) -> dict[str, Any]:
    before = usage()
    say(ready=True)
    rss: list[int] = []
    if plan.get("sample_rss"):
        watcher = asyncio.ensure_future(_watch_memory(sink, rss, stop))
    else:
        watcher = None
    await _first(sink.finished.wait(), stop.wait())
    at_rest = usage()
    while sink.usage is None:
        # Told that all was sent: what is still on its way is late, what never comes is lost.
        left = sink.left
        await _first(sink.finished.wait(), within_s=0.5)
        if sink.left == left:
            break
        at_rest = usage()
    used = (sink.usage or at_rest).since(before)
    if watcher is not None:
        await watcher
    return {**used, "rss_kib": rss}


async def _watch_memory(sink: Sink, samples: list[int], stop: asyncio.Event) -> None:
    # RSS at each tenth of the way, and the CPU time used so far.
    step = max(1, sink.expected // 10)
    mark = step
    while not sink.finished.is_set() and not stop.is_set():
        done = sink.expected - sink.left
        if done >= mark:
            samples.append(rss_kib())
            mark += step
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sink.finished.wait(), 0.002)
    samples.append(rss_kib())


async def _uplink(
    plan: dict[str, Any], sink: Sink, sessions: list[Any], stop: asyncio.Event
) -> dict[str, Any]:
    """Speak 20 ms at a time on every session, in real time."""
    chunk = bytes(range(240)) * 4
    before = usage()
    say(ready=True)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for step in range(int(plan["chunks"])):
        for session in sessions:
            session.push(chunk)
        await asyncio.sleep(max(0.0, begin + (step + 1) * 0.02 - loop.time()))
    await asyncio.sleep(0.2)
    return usage().since(before)


async def _memory(
    plan: dict[str, Any], sink: Sink, sessions: list[Any], stop: asyncio.Event
) -> dict[str, Any]:
    say(ready=True)
    return {}


async def _interrupt(
    plan: dict[str, Any], sink: Sink, sessions: list[Any], stop: asyncio.Event
) -> dict[str, Any]:
    """Interrupt each round of responses a moment after all of them have begun."""
    (session,) = sessions
    count = int(plan["in_flight"])
    dice = random.Random(5)
    called: list[int] = []
    before = usage()
    say(ready=True)
    for number in range(int(plan["responses"]) // count):
        first = number * count
        while len(sink.seen) < count and not stop.is_set():
            sink.progress.clear()
            await _first(sink.progress.wait(), stop.wait(), within_s=3)
            if not sink.progress.is_set():
                break  # some responses never surface in this client
        await asyncio.sleep(0.002 + dice.random() * 0.008)
        ids = [f"resp_{first + slot:08d}" for slot in range(count)]
        called.append(time.monotonic_ns())
        session.interrupt(ids)
        sink.stopped_below = first + count
        sink.seen.clear()
        if stop.is_set():
            break
    await asyncio.sleep(0.1)
    found = {**usage().since(before), "called_ns": called, "after_stop": sink.after_stop}
    return {**found, "stages": getattr(session, "stages", {})}


async def _first(*waits: Awaitable[Any], within_s: float | None = None) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


_SCENARIOS = {
    "downlink": _downlink,
    "uplink": _uplink,
    "memory": _memory,
    "interrupt": _interrupt,
}


async def _run(plan: dict[str, Any], connect: Callable[[str, Sink], Awaitable[Any]]) -> None:
    sink = Sink(plan)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, _heed, stop)
    count = int(plan.get("sessions", 1))
    sessions = [await connect(plan["url"], sink)]
    first = rss_kib()
    for begin in range(1, count, 10):
        batch = [connect(plan["url"], sink) for _ in range(begin, min(begin + 10, count))]
        sessions += await asyncio.gather(*batch)
    await asyncio.sleep(float(plan.get("settle_s", 0.1)))
    gc.collect()
    pauses = _watch_collector(plan["collector"]) if "collector" in plan else None
    results: dict[str, Any] = {}
    if count > 1:
        results["session_kib"] = (rss_kib() - first) / (count - 1)
    results |= await _SCENARIOS[plan["scenario"]](plan, sink, sessions, stop)
    if pauses is not None:
        results["pauses_ms"] = pauses
    latencies = sorted(sink.latencies)
    if latencies:
        results["latency_us"] = {
            str(p): latencies[min(len(latencies) - 1, len(latencies) * p // 100)] / 1000
            for p in (50, 90, 99)
        }
    say(
        **results,
        right=sink.right,
        misrouted=sink.misrouted,
        out_of_order=sink.out_of_order,
        corrupt=sink.corrupt,
        lost=max(0, sink.left) if sink.expected else 0,
        bytes=sink.bytes,
        rss_end_kib=rss_kib(),
    )
    # The server may still be sending what comes after the last audio.
    await _first(stop.wait(), within_s=30)
    # No orderly close: some clients take seconds, and nothing after this is measured.
    os._exit(0)


def _watch_collector(how: str) -> list[float]:
    """Set Python's garbage collector up, and note how long its full collections take, in ms.

    Args:
        how: `as it is`; `frozen`: what is there now is not looked at again; `off`.
    """
    pauses: list[float] = []
    began = 0.0

    def watch(phase: str, info: dict[str, int]) -> None:
        nonlocal began
        if phase == "start":
            began = time.thread_time()  # what it takes, however busy the machine is
        elif info["generation"] == 2:
            pauses.append((time.thread_time() - began) * 1000)

    if how == "frozen":
        gc.freeze()
    elif how == "off":
        gc.disable()
    gc.callbacks.append(watch)
    return pauses


def _heed(stop: asyncio.Event) -> None:
    os.read(0, 1024)
    asyncio.get_running_loop().remove_reader(0)
    stop.set()


def main(load: Callable[[], Any], connect: Callable[[str, Sink], Awaitable[Any]]) -> None:
    """Run the scenario given as JSON in argv[1]."""
    plan = json.loads(sys.argv[1])
    if "core" in plan:
        os.sched_setaffinity(0, {plan["core"]})
    before, begin = rss_kib(), usage()
    load()
    used, after = usage().since(begin), rss_kib()
    if plan["scenario"] == "import":
        say(ready=True)
        say(**used, import_kib=after - before, rss_end_kib=after)
        return
    if plan.get("loop") == "uvloop":
        import uvloop

        uvloop.run(_run(plan, connect))
    else:
        asyncio.run(_run(plan, connect))
