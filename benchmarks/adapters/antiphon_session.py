"""antiphon as a user runs it: a session, a handle per response, `async for` over its audio."""

import asyncio
import json
import sys
from typing import Any

import common

antiphon: Any = None
_tasks: set[Any] = set()


def load() -> None:
    global antiphon
    import antiphon as module

    # Names load when first used; what a client is made of is to be in the figure, picows included.
    import antiphon.client.picows_socket

    module.connect  # noqa: B018
    antiphon = module


async def _read(handle: Any, sink: common.Sink) -> None:
    stream = sink.stream(handle.id)
    async for pcm in handle.audio:
        stream.audio(pcm)
    sink.forget(handle.id)


def _subscribe(handle: Any, sink: common.Sink) -> None:
    stream = sink.stream(handle.id)

    def take(event: Any) -> None:
        if event.type == "response.output_audio.delta":
            stream.audio(event.delta)

    handle.subscribe(take, streams=False)


async def connect(url: str, sink: common.Sink) -> Any:
    plan = json.loads(sys.argv[1])
    session = await antiphon.connect(url=url, batch_audio_ms=plan.get("batch_audio_ms", 0))
    updated = asyncio.Event()
    remove = session.on("session.updated", lambda _: updated.set())
    session.update({"instructions": "Count."})
    await updated.wait()
    remove()

    def begin(handle: Any) -> None:
        if plan.get("callbacks"):
            _subscribe(handle, sink)
            return
        task = asyncio.ensure_future(_read(handle, sink))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

    session.on("response", begin)
    return Session(session)


class Session:
    def __init__(self, session: Any) -> None:
        self.session = session

    def push(self, pcm: bytes) -> None:
        self.session.append_audio(pcm)

    def interrupt(self, ids: list[str]) -> None:
        self.session.interrupt()


if __name__ == "__main__":
    common.main(load, connect)
