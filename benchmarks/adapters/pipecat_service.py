"""pipecat's OpenAI realtime service in a pipeline of its own; with `layer: service`, audio is
taken where the service pushes it, before it travels down the pipeline."""

import asyncio
import json
import os
import sys
from typing import Any

import common

os.environ.setdefault("LOGURU_LEVEL", "ERROR")
p: Any = None
_kept: list[Any] = []


class _Names:
    """pipecat's names, imported when `load` says so."""


def load() -> None:
    global p
    from loguru import logger

    logger.remove()
    p = _Names()
    from pipecat.frames import frames
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineParams, PipelineWorker
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.services.openai.realtime import events
    from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
    from pipecat.workers.runner import WorkerRunner

    for value in (Pipeline, PipelineParams, PipelineWorker, FrameDirection, FrameProcessor):
        setattr(p, value.__name__, value)
    p.frames, p.events, p.Service = frames, events, OpenAIRealtimeLLMService
    p.WorkerRunner = WorkerRunner


class _Ear:
    """Tells responses apart as a pipeline can: by the frame that begins each."""

    def __init__(self, sink: common.Sink) -> None:
        self.sink = sink
        self.stream = sink.unnamed()

    def hear(self, frame: Any) -> None:
        if isinstance(frame, p.frames.TTSAudioRawFrame):
            self.stream.audio(frame.audio)
        elif isinstance(frame, p.frames.LLMFullResponseStartFrame):
            self.stream = self.sink.unnamed()


async def connect(url: str, sink: common.Sink) -> Any:
    direct = json.loads(sys.argv[1]).get("layer") == "service"
    ear = _Ear(sink)
    ready = asyncio.Event()

    class Service(p.Service):  # type: ignore[name-defined,misc]
        async def _handle_evt_session_updated(self, event: Any) -> None:
            await super()._handle_evt_session_updated(event)
            ready.set()

        async def push_frame(
            self, frame: Any, direction: Any = p.FrameDirection.DOWNSTREAM
        ) -> None:
            if direct and ready.is_set():
                ear.hear(frame)
                return
            await super().push_frame(frame, direction)

    class Tail(p.FrameProcessor):  # type: ignore[name-defined,misc]
        async def process_frame(self, frame: Any, direction: Any) -> None:
            await super().process_frame(frame, direction)
            if not direct:
                ear.hear(frame)
            await self.push_frame(frame, direction)

    # Without the server's turn detection an interruption is the client's to send.
    manual = p.events.AudioInput(turn_detection=False)
    properties = p.events.SessionProperties(audio=p.events.AudioConfiguration(input=manual))
    settings = p.Service.Settings(model="bench", session_properties=properties)
    service = Service(api_key="none", base_url=url, settings=settings)
    worker = p.PipelineWorker(
        p.Pipeline([service, Tail()]),
        params=p.PipelineParams(audio_in_sample_rate=24000, audio_out_sample_rate=24000),
        idle_timeout_secs=None,
        check_dangling_tasks=False,
    )
    if not _kept:
        _kept.append(p.WorkerRunner(handle_sigint=False))
        _kept.append(asyncio.ensure_future(_kept[0].run(auto_end=False)))
        await asyncio.sleep(0.2)
    await _kept[0].add_workers(worker)
    await asyncio.wait_for(ready.wait(), 60)
    return Session(worker)


class Session:
    def __init__(self, worker: Any) -> None:
        self.worker = worker
        self.queue: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while True:
            await self.worker.queue_frame(await self.queue.get())

    def push(self, pcm: bytes) -> None:
        self.queue.put_nowait(p.frames.InputAudioRawFrame(pcm, sample_rate=24000, num_channels=1))

    def interrupt(self, ids: list[str]) -> None:
        self.queue.put_nowait(p.frames.InterruptionFrame())


if __name__ == "__main__":
    common.main(load, connect)
