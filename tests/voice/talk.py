"""A bare client of a server: sends events, waits for events."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pybase64

__all__ = ["Talk", "talk"]

Json = dict[str, Any]
SECONDS = 20
RATE = 24_000


class Talk:
    """Attributes:
    events: everything received, oldest first.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.events: list[Json] = []

    async def send(self, kind: str, **fields: Any) -> None:
        """Send an event."""
        await self._socket.send_json({"type": kind, **fields})

    async def until(self, kind: str) -> Json:
        """The next event of this type; what came before it is in `events`."""
        while True:
            event: Json = await self._socket.receive_json(timeout=SECONDS)
            self.events.append(event)
            if event["type"] == kind:
                return event

    async def configure(self, **session: Any) -> None:
        """`session.update`."""
        await self.send("session.update", session={"type": "realtime", **session})
        await self.until("session.updated")

    async def speak(self, pcm: bytes) -> None:
        """Append audio in pieces of 100 ms, and half a second of silence."""
        pcm += bytes(RATE)
        for at in range(0, len(pcm), 4800):
            audio = pybase64.b64encode_as_string(pcm[at : at + 4800])
            await self.send("input_audio_buffer.append", audio=audio)

    async def say(self, words: str) -> None:
        """Add a user's text message."""
        content = [{"type": "input_text", "text": words}]
        item = {"type": "message", "role": "user", "content": content}
        await self.send("conversation.item.create", item=item)

    async def done(self) -> Json:
        """The response of the next `response.done`."""
        response: Json = (await self.until("response.done"))["response"]
        return response

    def audio(self, response_id: str) -> bytes:
        """All audio of a response."""
        return b"".join(
            pybase64.b64decode(event["delta"])
            for event in self.events
            if event["type"] == "response.output_audio.delta"
            and event["response_id"] == response_id
        )


@asynccontextmanager
async def talk(url: str) -> AsyncIterator[Talk]:
    """A connection."""
    async with aiohttp.ClientSession() as client, client.ws_connect(url) as socket:
        made = Talk(socket)
        await made.until("session.created")
        yield made
