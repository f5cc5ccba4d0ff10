"""A chat-completions endpoint on the loopback interface, whose answers a test writes."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

__all__ = ["ChatServer", "Json", "chat_server", "finish", "part_of_call", "said", "streams"]

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def said(words: str) -> Json:
    """A chunk with words."""
    return {"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": None}]}


def part_of_call(arguments: str, *, index: int = 0, name: str | None = None) -> Json:
    """A chunk with a part of a tool call; the first one has its name."""
    function: Json = {"arguments": arguments} | ({"name": name} if name else {})
    call: Json = {"index": index, "function": function}
    call |= {"id": f"call_{index}", "type": "function"} if name else {}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}


def finish(reason: str = "stop") -> Json:
    """The last chunk of an answer."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def streams(*chunks: Json, then: asyncio.Event | None = None) -> Answer:
    """An answer as a stream of events; with `then`, it stays open until that is set."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for chunk in chunks:
            await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
        if then is not None:
            await then.wait()
        await response.write(b"data: [DONE]\n\n")
        return response

    return answer


class ChatServer:
    """What it was asked, and what it will answer.

    Attributes:
        url: the base to give to `ChatBrain`.
        answers: taken in order.
        asked: the requests' bodies.
        keys: their Authorization headers.
        left: set when a client went away before its answer was complete.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Answer] = []
        self.asked: list[Json] = []
        self.keys: list[str | None] = []
        self.left = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`POST /v1/chat/completions`."""
        self.asked.append(await request.json())
        self.keys.append(request.headers.get("Authorization"))
        try:
            return await self.answers.pop(0)(request)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise


@asynccontextmanager
async def chat_server() -> AsyncIterator[ChatServer]:
    """A running one."""
    server = ChatServer()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    _, port = runner.addresses[0][:2]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        await runner.cleanup()
