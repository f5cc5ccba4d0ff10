"""What a 100 ms audio delta costs from the frame to the reader, stage by stage, without a socket.

`python -m benchmarks` runs it at its end; `python -m benchmarks.stages` runs it alone. Every figure
is the best of many short batches, so it is what the work takes when the processor has all of it at
hand; in a live process, which does something else between two deltas, it takes two to four times
as long.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable
from typing import Any

from pybase64 import b64decode

from antiphon.client.endpoint import Endpoint
from antiphon.client.link import Link
from antiphon.client.session import Session
from antiphon.client.transport import PicowsConnector
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import GA
from antiphon.wire.items import ResponseResource
from antiphon.wire.server_events import ResponseCreated, ResponseOutputAudioDelta, SessionCreated
from benchmarks.harness import RESULTS

__all__ = ["measure"]

_BATCH = 50
_BATCHES = 400


class _NoNetwork:
    def send_text(self, *messages: bytes) -> None:
        pass

    def pending_bytes(self) -> int:
        return 0

    async def drain(self) -> None:
        pass

    def close(self, code: int = 1000, reason: str = "") -> None:
        pass


def _best(work: Callable[[], None]) -> float:
    """µs per delta in the best batch."""
    best = float("inf")
    for _ in range(_BATCHES):
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best / _BATCH * 1e6


async def _stages() -> dict[str, float]:
    codec = Codec()
    session = Session(Endpoint("ws://localhost", {}, GA), PicowsConnector())
    link = Link(session, session._connection)
    link.transport = _NoNetwork()
    session._link = link
    link.frame_received(codec.encode_server(SessionCreated(session={})), True)
    handle = session.create_response()
    key = handle._response.key or ""
    named = ResponseResource(id="resp_1", metadata={"antiphon": key})
    link.frame_received(codec.encode_server(ResponseCreated(response=named)), True)
    frames = [
        codec.encode_server(
            ResponseOutputAudioDelta(
                event_id=f"event_{number:021}",
                response_id="resp_1",
                item_id="item_1",
                output_index=0,
                content_index=0,
                delta=os.urandom(4800),
            )
        )
        for number in range(_BATCH)
    ]
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
    kept: dict[str, Any] = json.loads(RESULTS.read_text())
    kept["stages"] = asyncio.run(_stages())
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    print("µs per delta:", {name: round(value, 2) for name, value in kept["stages"].items()})


if __name__ == "__main__":
    from benchmarks import report

    measure()
    report.write()
