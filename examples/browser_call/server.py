"""A browser calls a model, and this program joins the call: it guards what is heard.

    pip install '.[calls]'

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

import antiphon

__all__ = ["application"]

PAGE = Path(__file__).parent / "page.html"
BASE_URL = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1").rstrip("/")
KEY = {"Authorization": f"Bearer {os.environ.get('OPENAI_API_KEY', '')}"}
SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "Tell long stories.",
    "audio": {"input": {"turn_detection": None}},
}


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
    calls: set[antiphon.Session] = set()
    http = web.AppKey("http", aiohttp.ClientSession)

    async def page(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE)

    async def call(request: web.Request) -> web.Response:
        answer, call_id = await place(request.app[http], await request.text())
        session = await antiphon.connect(call_id=call_id, base_url=BASE_URL)
        calls.add(session)
        session.on("server_event", lambda event: print(event.type, flush=True))
        session.on("closed", lambda _: calls.discard(session))  # the browser has hung up
        return web.Response(text=answer, content_type="application/sdp")

    async def stop(request: web.Request) -> web.Response:
        receipts = await asyncio.gather(*(session.interrupt() for session in calls))
        return web.json_response([not receipt.audible for receipt in receipts])

    async def client(app: web.Application) -> Any:
        async with aiohttp.ClientSession() as session:
            app[http] = session
            yield
            await asyncio.gather(*(session.close() for session in calls))

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_get("/", page)
    app.router.add_post("/call", call)
    app.router.add_post("/stop", stop)
    return app


if __name__ == "__main__":
    web.run_app(application(), host="127.0.0.1", port=int(os.environ.get("PORT", "8080")))
