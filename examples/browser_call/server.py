"""A browser calls a model, and this program joins the call: it guards what is heard.

    python examples/browser_call/server.py            # then open the address that it prints

The browser's sound does not come by here. The page posts its offer, this program passes it on with
the API key, which the browser never sees, and joins the call over a sideband, by the id in
`Location`. It sees every response, whoever created it, and can stop each of them: what generates by
its id, and what is heard by clearing the output buffer.

Needs OPENAI_API_KEY. OPENAI_BASE_URL may point elsewhere, such as at `antiphon serve` with
`--set call_media=webrtc`.
"""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

__all__ = ["Guard", "application"]

PAGE = Path(__file__).parent / "page.html"
BASE_URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
KEY = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Tell long stories.",
    "audio": {"input": {"turn_detection": None}},
}


class Guard:
    """A sideband: sees what happens in a call, and can silence it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._generating: set[str] = set()
        self._playing: set[str] = set()

    async def watch(self) -> None:
        """Follow the call until it is over."""
        async for message in self._socket:
            event = json.loads(message.data)
            print(event["type"], flush=True)
            self._note(event)

    async def stop(self) -> None:
        """Stop what is generated, each by its id, and what is heard."""
        for response_id in self._generating:
            await self._socket.send_json({"type": "response.cancel", "response_id": response_id})
        if self._generating or self._playing:
            await self._socket.send_json({"type": "output_audio_buffer.clear"})

    def _note(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "response.created":
                self._generating.add(event["response"]["id"])
            case "response.done":
                self._generating.discard(event["response"]["id"])
            case "output_audio_buffer.started":
                self._playing.add(event["response_id"])
            case "output_audio_buffer.stopped" | "output_audio_buffer.cleared":
                self._playing.discard(event.get("response_id", ""))


async def place(http: aiohttp.ClientSession, offer: str) -> tuple[str, str]:
    """Pass an offer on; the answer and the call id."""
    form = aiohttp.FormData()
    form.add_field("sdp", offer, content_type="application/sdp")
    form.add_field("session", json.dumps(SESSION), content_type="application/json")
    async with http.post(f"{BASE_URL}/realtime/calls", data=form, headers=KEY) as reply:
        answer = await reply.text()
        if reply.status != 201:
            raise web.HTTPBadGateway(text=answer)
        return answer, reply.headers["Location"].rpartition("/")[2]


def application() -> web.Application:
    """The page, its offer, and its Stop button."""
    guards: list[Guard] = []
    watching: set[asyncio.Task[None]] = set()
    http = web.AppKey("http", aiohttp.ClientSession)

    async def page(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE)

    async def call(request: web.Request) -> web.Response:
        answer, call_id = await place(request.app[http], await request.text())
        address = f"{BASE_URL.replace('http', 'ws', 1)}/realtime?call_id={call_id}"
        guard = Guard(await request.app[http].ws_connect(address, headers=KEY))
        guards.append(guard)
        task = asyncio.create_task(guard.watch())
        watching.add(task)
        task.add_done_callback(watching.discard)
        task.add_done_callback(lambda _: guards.remove(guard))
        return web.Response(text=answer, content_type="application/sdp")

    async def stop(request: web.Request) -> web.Response:
        await asyncio.gather(*(guard.stop() for guard in guards))
        return web.Response()

    async def client(app: web.Application) -> Any:
        async with aiohttp.ClientSession() as session:
            app[http] = session
            yield
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_get("/", page)
    app.router.add_post("/call", call)
    app.router.add_post("/stop", stop)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
