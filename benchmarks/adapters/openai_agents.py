"""openai-agents: its session, or (if the plan's `layer` is `model`) the model below it."""

import asyncio
import json
import os
import sys
from typing import Any

import common

os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
realtime: Any = None
inputs: Any = None
_kept: list[Any] = []


def load() -> None:
    global realtime, inputs
    from agents import realtime as module
    from agents.realtime import model_inputs

    realtime, inputs = module, model_inputs


async def connect(url: str, sink: common.Sink) -> Any:
    config = {"url": url, "api_key": "none"}
    if json.loads(sys.argv[1]).get("layer") == "model":
        return await _connect_model(config, sink)
    session = await realtime.RealtimeRunner(realtime.RealtimeAgent(name="bench")).run(
        model_config=config
    )
    await session.enter()

    async def read() -> None:
        async for event in session:
            if event.type == "audio":
                audio = event.audio
                sink.stream(audio.response_id).audio(audio.data)
            elif event.type == "audio_end":
                sink.forget(f"resp_{event.item_id[-8:]}")

    _kept.append(asyncio.ensure_future(read()))
    return Session(session.send_audio, session.interrupt)


async def _connect_model(config: Any, sink: common.Sink) -> Any:
    class Listener(realtime.RealtimeModelListener):  # type: ignore[name-defined,misc]
        async def on_event(self, event: Any) -> None:
            if event.type == "audio":
                sink.stream(event.response_id).audio(event.data)
            elif event.type == "audio_done":
                sink.forget(f"resp_{event.item_id[-8:]}")

    model = realtime.OpenAIRealtimeWebSocketModel()
    model.add_listener(Listener())
    await model.connect({**config, "initial_model_settings": {}})

    async def send(pcm: bytes) -> None:
        await model.send_event(inputs.RealtimeModelSendAudio(audio=pcm))

    async def interrupt() -> None:
        await model.send_event(inputs.RealtimeModelSendInterrupt())

    return Session(send, interrupt)


class Session:
    """Sends from one task, for sending is a coroutine."""

    def __init__(self, send: Any, interrupt: Any) -> None:
        self.send, self.stop = send, interrupt
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while True:
            await (await self.queue.get())

    def push(self, pcm: bytes) -> None:
        self.queue.put_nowait(self.send(pcm))

    def interrupt(self, ids: list[str]) -> None:
        self.queue.put_nowait(self.stop())


if __name__ == "__main__":
    common.main(load, connect)
