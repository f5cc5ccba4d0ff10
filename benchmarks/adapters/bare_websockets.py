"""websockets with msgspec and pybase64."""

import asyncio
from typing import Any

import bare
import common

client: Any = None
_tasks: set[Any] = set()


def load() -> None:
    global client
    import websockets.asyncio.client as module

    client = module
    bare.load()


async def connect(url: str, sink: common.Sink) -> Any:
    handle = bare.decoder(sink)
    ws = await client.connect(url, max_size=1 << 24, compression=None, proxy=None)
    await ws.send(bare.SESSION_UPDATE, text=True)

    async def read() -> None:
        while True:
            handle(await ws.recv(decode=False))

    _tasks.add(asyncio.ensure_future(read()))
    return Session(ws)


class Session:
    """Sends from one task each, for sending is a coroutine here."""

    def __init__(self, ws: Any) -> None:
        self.ws = ws
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.task = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        while True:
            await self.ws.send(await self.queue.get(), text=True)

    def push(self, pcm: bytes) -> None:
        self.queue.put_nowait(bare.append(pcm))

    def interrupt(self, ids: list[str]) -> None:
        for response_id in ids:
            self.queue.put_nowait((bare.CANCEL % response_id).encode())


if __name__ == "__main__":
    common.main(load, connect)
