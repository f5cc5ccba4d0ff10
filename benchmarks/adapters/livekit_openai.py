"""The OpenAI realtime plugin of LiveKit Agents, or antiphon's in its place."""

import asyncio
import json
import sys
from typing import Any

import common

rtc: Any = None
realtime: Any = None
aiohttp: Any = None
_kept: list[Any] = []
_tasks: set[Any] = set()


def load() -> None:
    global rtc, realtime, aiohttp
    import aiohttp as aiohttp_module

    from livekit import rtc as rtc_module

    aiohttp, rtc = aiohttp_module, rtc_module
    if json.loads(sys.argv[1]).get("plugin") == "antiphon":
        from livekit.plugins.antiphon import realtime as ours

        realtime = ours
    else:
        from livekit.plugins.openai import realtime as stock

        realtime = stock


def _spawn(work: Any) -> None:
    task = asyncio.ensure_future(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _read(generation: Any, sink: common.Sink) -> None:
    stream = sink.stream(generation.response_id)
    async for message in generation.message_stream:
        # Side by side: with several responses in flight, one generation gets the messages of all.
        _spawn(_hear(message.audio_stream, stream))
    sink.forget(generation.response_id)


async def _hear(frames: Any, stream: common.Stream) -> None:
    async for frame in frames:
        stream.audio(frame.data)


async def connect(url: str, sink: common.Sink) -> Any:
    if not _kept:
        base = url.replace("ws", "http", 1).removesuffix("/realtime")
        more = {}
        if "openai" in realtime.__name__:
            # Its own HTTP session allows no more than 50 connections to a host.
            http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
            more["http_session"] = http
        _kept.append(realtime.RealtimeModel(base_url=base, api_key="none", **more))
    session = _kept[0].session()
    ready = asyncio.Event()

    def watch(event: Any) -> None:
        if event.get("type") == "session.updated":
            ready.set()

    def begin(generation: Any) -> None:
        _spawn(_read(generation, sink))

    session.on("openai_server_event_received", watch)
    session.on("generation_created", begin)
    await asyncio.wait_for(ready.wait(), 20)
    session.off("openai_server_event_received", watch)
    _kept.append(session)
    return Session(session)


class Session:
    def __init__(self, session: Any) -> None:
        self.session = session

    def push(self, pcm: bytes) -> None:
        self.session.push_audio(rtc.AudioFrame(pcm, 24000, 1, len(pcm) // 2))

    def interrupt(self, ids: list[str]) -> None:
        self.session.interrupt()


if __name__ == "__main__":
    common.main(load, connect)
