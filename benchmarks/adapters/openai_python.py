"""openai-python's realtime connection: typed events, the rest left to its caller."""

import asyncio
import base64
from typing import Any

import common

AsyncOpenAI: Any = None
_kept: list[Any] = []


def load() -> None:
    global AsyncOpenAI
    from openai import AsyncOpenAI as client

    AsyncOpenAI = client
    # The package loads its parts when they are used.
    import openai.resources.realtime.realtime
    import openai.types.realtime  # noqa: F401


async def connect(url: str, sink: common.Sink) -> Any:
    if not _kept:
        base = url.removesuffix("/realtime")
        _kept.append(AsyncOpenAI(api_key="none", websocket_base_url=base))
    connection = await _kept[0].realtime.connect(model="bench").enter()
    await connection.session.update(session={"type": "realtime"})
    ready = asyncio.Event()

    async def read() -> None:
        async for event in connection:
            kind = event.type
            if kind == "response.output_audio.delta":
                sink.stream(event.response_id).audio(base64.b64decode(event.delta))
            elif kind == "response.output_audio.done":
                sink.forget(event.response_id)
            elif kind == "session.updated":
                ready.set()

    session = Session(connection)
    _kept.append(asyncio.ensure_future(read()))
    await asyncio.wait_for(ready.wait(), 20)
    return session


class Session:
    """Sends from one task, for sending is a coroutine."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while True:
            await (await self.queue.get())

    def push(self, pcm: bytes) -> None:
        audio = base64.b64encode(pcm).decode()
        self.queue.put_nowait(self.connection.input_audio_buffer.append(audio=audio))

    def interrupt(self, ids: list[str]) -> None:
        for response_id in ids:
            self.queue.put_nowait(self.connection.response.cancel(response_id=response_id))


if __name__ == "__main__":
    common.main(load, connect)
