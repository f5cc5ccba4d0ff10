"""Talk with a model from a browser: the page's WebSocket on one side, a session on the other.

    pip install . starlette 'uvicorn[standard]'
    python examples/browser_bridge/server.py        # then open the address that it prints

Needs OPENAI_API_KEY, or `antiphon serve --voice` and OPENAI_BASE_URL=http://127.0.0.1:8765/v1.
The key stays here; the page sees only sound and words.

When the caller begins to speak, three things happen at once: the reply is interrupted, what waits
to be sent to the page is dropped, and the page is told to fall silent. It answers how much of each
reply was heard, to the millisecond, and so much stays in the conversation.
"""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import antiphon

PAGE = Path(__file__).parent / "index.html"
SESSION = {"instructions": "You answer the telephone of a bicycle shop. Be brief."}


class Bridge:
    """One page and one session. Sound is PCM16, 24 kHz, mono, both ways."""

    def __init__(self, page: WebSocket, session: antiphon.Session) -> None:
        self._page = page
        self._session = session
        # What goes to the page, in order: sound as bytes, all else as a dict.
        self._out: asyncio.Queue[bytes | dict[str, Any]] = asyncio.Queue()
        self._replies: list[antiphon.ResponseHandle] = []

    async def run(self) -> None:
        """Until the page or the session is gone."""
        self._session.on("turn", self._turn)
        works = [self._listen(), self._answer(), self._write()]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _listen(self) -> None:
        """What the page says: sound, or how much of the replies was heard when it fell silent."""
        while True:
            message = await self._page.receive()
            if message["type"] == "websocket.disconnect":
                return
            with suppress(ValueError, KeyError, TypeError, IndexError, antiphon.LocalProtocolError):
                if sound := message.get("bytes"):
                    self._session.append_audio(sound)
                    continue
                for number, heard_ms in _heard(message["text"]):
                    _ = self._session.truncate(self._replies[number], heard_ms=heard_ms)

    async def _answer(self) -> None:
        """Each reply of the server's turn detection, to the page as it comes."""
        async with asyncio.TaskGroup() as speaking:
            async for reply in self._session.responses():
                speaking.create_task(self._speak(reply))

    async def _speak(self, reply: antiphon.ResponseHandle) -> None:
        number = len(self._replies)
        self._replies.append(reply)
        self._out.put_nowait({"reply": number})
        with suppress(antiphon.RealtimeError):  # its end is told below, whatever it was
            async for pcm in reply.audio:
                self._out.put_nowait(pcm)
        outcome = await reply.done
        self._out.put_nowait({"reply": number, "ended": str(outcome)})

    def _turn(self, turn: antiphon.Turn) -> None:
        if turn.phase == "speech_started":
            # The server stops generating by itself (P-18); this ends the streams here, too,
            # before the next chunk. Sound that the page has not been sent is dropped.
            _ = self._session.interrupt("default")
            waiting = [self._out.get_nowait() for _ in range(self._out.qsize())]
            for message in (*(one for one in waiting if isinstance(one, dict)), {"stop": True}):
                self._out.put_nowait(message)
        elif turn.phase == "transcribed":
            self._out.put_nowait({"you": turn.transcript})

    async def _write(self) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                message = await self._out.get()
                if isinstance(message, bytes):
                    await self._page.send_bytes(message)
                else:
                    await self._page.send_json(message)


def _heard(text: str) -> list[tuple[int, int]]:
    """`{"heard": [[reply, ms], …]}`, as the page sends it."""
    return [(int(number), int(ms)) for number, ms in json.loads(text)["heard"]]


async def talk(page: WebSocket) -> None:
    await page.accept()
    try:
        async with antiphon.connect(session=SESSION) as session:
            await Bridge(page, session).run()
    except antiphon.RealtimeError as error:
        await page.send_json({"error": str(error)})


async def index(request: Request) -> FileResponse:
    return FileResponse(PAGE)


app = Starlette(routes=[Route("/", index), WebSocketRoute("/talk", talk)])


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
