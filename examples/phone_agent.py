"""A telephone agent: answers calls, greets, and hangs up after its last word was heard.

    pip install '.[calls]' openai
    python examples/phone_agent.py      # then give its address to the project as a webhook

OpenAI tells of a call by a signed webhook. The program verifies it, accepts the call, joins it over
a sideband, and steers it from there; the sound goes between the caller and the model.

Needs OPENAI_API_KEY and OPENAI_WEBHOOK_SECRET.
"""

import asyncio
import contextlib
import os
from typing import Any

import openai
from aiohttp import web

import antiphon

__all__ = ["application"]

SESSION: dict[str, Any] = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "instructions": "You answer the telephone of a bicycle shop. Call hang_up to end the call.",
    "tools": [{"type": "function", "name": "hang_up", "parameters": {"type": "object"}}],
}


async def answer(client: openai.AsyncOpenAI, call_id: str) -> None:
    """Take one call, from its first ring to the end."""
    try:
        await client.realtime.calls.accept(call_id, **SESSION)
        await talk(client, call_id)
    except openai.NotFoundError:
        print("the caller has gone", flush=True)  # before we took it (P-343)
    except antiphon.RealtimeError as error:
        print(f"the call is over: {error}", flush=True)


async def talk(client: openai.AsyncOpenAI, call_id: str) -> None:
    """Greet, and say goodbye when the model or the caller ends it."""
    async with antiphon.connect(call_id=call_id, base_url=str(client.base_url)) as session:
        over = asyncio.Event()
        session.on("function_call", lambda call: over.set())
        session.on("closed", lambda _: over.set())
        greeting = session.create_response(instructions="Say: Good morning, the bicycle shop.")
        print(f"greeting: {await greeting.played(timeout=30)}", flush=True)
        await over.wait()
        if session.closed:
            print("the caller has hung up", flush=True)
            return
        goodbye = session.create_response(instructions="Say: Goodbye.")
        # `done` would come seconds earlier, and cut the goodbye off (P-404).
        print(f"goodbye: {await goodbye.played(timeout=30)}", flush=True)
        with contextlib.suppress(openai.BadRequestError, openai.NotFoundError):
            await client.realtime.calls.hangup(call_id)  # unless the caller was quicker (P-344)


def application(client: openai.AsyncOpenAI) -> web.Application:
    """Where the webhook is delivered."""
    seen: set[str] = set()
    calls: set[asyncio.Task[None]] = set()

    async def ringing(request: web.Request) -> web.Response:
        body = await request.read()  # as it came: a parser would change it (P-359)
        try:
            event = client.webhooks.unwrap(body.decode(), dict(request.headers))
        except (openai.InvalidWebhookSignatureError, ValueError):
            raise web.HTTPUnauthorized from None
        # A delivery may be repeated (P-360), and a second accept would be refused.
        if event.type == "realtime.call.incoming" and event.id not in seen:
            seen.add(event.id)
            task = asyncio.create_task(answer(client, event.data.call_id))
            calls.add(task)
            task.add_done_callback(calls.discard)
        return web.Response()  # within seconds, or it is delivered again

    app = web.Application()
    app.router.add_post("/", ringing)
    return app


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "8000"))
    web.run_app(application(openai.AsyncOpenAI()), host="127.0.0.1", port=port)
