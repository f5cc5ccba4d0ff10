"""aiohttp with msgspec and pybase64, or with json and base64 if the plan says stdlib."""

import asyncio
import json
import sys
from typing import Any

import bare
import common

aiohttp: Any = None
_tasks: set[Any] = set()
_http: list[Any] = []


def load() -> None:
    global aiohttp
    import aiohttp as module

    aiohttp = module
    bare.load()


async def connect(url: str, sink: common.Sink) -> Any:
    stdlib = json.loads(sys.argv[1]).get("codec") == "stdlib"
    handle = bare.stdlib_decoder(sink) if stdlib else bare.decoder(sink)
    if not _http:
        _http.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    ws = await _http[0].ws_connect(url, max_msg_size=1 << 24, decode_text=False)
    await ws.send_bytes(bare.SESSION_UPDATE)

    async def read() -> None:
        async for message in ws:
            handle(message.data)

    task = asyncio.ensure_future(read())
    _tasks.add(task)
    return Session(ws)


class Session:
    """Sends from one task each, for aiohttp's sending is a coroutine."""

    def __init__(self, ws: Any) -> None:
        self.ws = ws
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while True:
            await self.ws.send_frame(await self.queue.get(), aiohttp.WSMsgType.TEXT)

    def push(self, pcm: bytes) -> None:
        self.queue.put_nowait(bare.append(pcm))

    def interrupt(self, ids: list[str]) -> None:
        for response_id in ids:
            self.queue.put_nowait((bare.CANCEL % response_id).encode())


if __name__ == "__main__":
    common.main(load, connect)
