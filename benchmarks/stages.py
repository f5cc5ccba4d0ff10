"""What a 100 ms audio delta costs from the frame to the reader, stage by stage, without a socket.

`python -m benchmarks` runs it at its end; `python -m benchmarks.stages` runs it alone. Every figure
is the best of many short batches, so it is what the work takes when the processor has all of it at
hand; in a live process, which does something else between two deltas, it takes two to four times
as long.
"""

import asyncio
import os
import time
from collections.abc import Callable

from pybase64 import b64decode

from antiphon.wire.codec import Codec
from benchmarks.harness import keep
from tests.helpers.cost import audio_delta, flowing

__all__ = ["measure"]

_BATCH = 50
_BATCHES = 400


def _best(work: Callable[[], None]) -> float:
    """µs per delta in the best batch."""
    best = float("inf")
    for _ in range(_BATCHES):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best / _BATCH * 1e6


async def _stages() -> dict[str, float]:
    _, link, handle = flowing()
    codec = Codec()
    frames = [audio_delta(number, os.urandom(4800)) for number in range(_BATCH)]
    texts = [frame[-6402:-2] for frame in frames]
    events = [codec.decode(frame) for frame in frames]
    heard = 0

    async def read() -> None:
        nonlocal heard
        async for pcm in handle.audio:
            heard += len(pcm)

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)

    def decode() -> None:
        for frame in frames:
            codec.decode(frame)

    def core() -> None:
        for event in events:
            link.connection.receive(event, 0.0)

    def base64_alone() -> None:
        for text in texts:
            b64decode(text, None, True)

    whole = read_side = float("inf")
    for _ in range(_BATCHES):
        begin = time.perf_counter()
        for frame in frames:
            link.frame_received(frame, True)
        delivered = time.perf_counter()
        await asyncio.sleep(0)
        over = time.perf_counter()
        whole = min(whole, delivered - begin)
        read_side = min(read_side, over - delivered)
    reader.cancel()
    assert heard == _BATCH * _BATCHES * 4800
    decoding, state = _best(decode), _best(core)
    return {
        "base64": _best(base64_alone),
        "decode": decoding,
        "core": state,
        "shell": whole / _BATCH * 1e6 - decoding - state,
        "reader": read_side / _BATCH * 1e6,
    }


def measure() -> None:
    """Measure, and keep the figures."""
    stages = asyncio.run(_stages())
    keep(stages=stages)
    print("µs per delta:", {name: round(value, 2) for name, value in stages.items()})


if __name__ == "__main__":
    from benchmarks import report

    measure()
    report.write()
