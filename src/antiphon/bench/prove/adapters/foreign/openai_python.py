"""openai-python: `AsyncOpenAI().realtime.connect()`. Its user writes the loop over raw events."""

import asyncio
import base64
from typing import Any

from openai import AsyncOpenAI, InvalidWebhookSignatureError
from stage import Client, Stage, Unsupported, perform

__all__ = ["OpenAIClient"]

WEATHER_TOOL: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
HEARS: dict[str, Any] = {
    "transcription": {"model": "gpt-4o-mini-transcribe"},
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
}


class OpenAIClient(Client):
    """One loop over the events, which tells responses apart by their id."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._names: dict[str, str] = {}
        self._items: dict[str, str] = {}
        self._open: list[str] = []
        self._loop: asyncio.Task[None] | None = None

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        await self._connect(url, model="gpt-realtime")
        audio = {"input": HEARS if vad else {"turn_detection": None}}
        self._settings: dict[str, Any] = {"type": "realtime", "audio": audio}
        if text:
            self._settings["output_modalities"] = ["text"]
        if tool:
            self._settings["tools"] = [WEATHER_TOOL]
        await self._configure()
        self._loop = asyncio.create_task(self._read())

    async def open_call(
        self, *, url: str, http_url: str, call_id: str, vad: bool, tool: bool
    ) -> None:
        await self._connect(url, call_id=call_id)
        # What the call was accepted with is in force; what it was lost with, too.
        self._settings = {"type": "realtime"}
        if tool:
            self._settings["tools"] = [WEATHER_TOOL]
            await self._configure()
        self._loop = asyncio.create_task(self._read())

    async def rung(self, *, body: str, headers: dict[str, str], secret: str) -> None:
        webhooks = AsyncOpenAI(api_key="unused").webhooks
        try:
            event: Any = webhooks.unwrap(body, headers, secret=secret)
        except InvalidWebhookSignatureError:
            return
        self.stage.tell("taken", call_id=event.data.call_id)

    async def _connect(self, url: str, **where: Any) -> None:
        client = AsyncOpenAI(api_key="unused", websocket_base_url=url.removesuffix("/realtime"))
        # The connection's own way back, asked for by giving a callback.
        self._manager = client.realtime.connect(on_reconnecting=self._reconnecting, **where)
        self._connection = await self._manager.__aenter__()

    async def _configure(self) -> None:
        settings: Any = self._settings
        await self._connection.session.update(session=settings)

    def _reconnecting(self, event: Any) -> None:
        self.stage.tell("reconnecting", code=event.close_code)
        self.stage.tell("connection", state="lost")
        # What was open on the old socket will not be ended there: its user has been told.
        for name in self._open:
            self.stage.tell("ended", reader=name, how="lost")
        self._open.clear()

    async def _read(self) -> None:
        sessions = 0
        try:
            async for event in self._connection:
                self._tell(event)
                if event.type == "session.created":
                    sessions += 1
                    if sessions > 1:
                        # A new socket is a new session: what the old one was told is gone.
                        await self._configure()
                        self.stage.tell("connection", state="back")
                elif event.type == "response.done":
                    await self._done(event.response)
        except Exception as error:
            self.stage.tell("session over", error=type(error).__name__, said=str(error))
        self.stage.tell("connection", state="over")

    def _tell(self, event: Any) -> None:
        """Report what a user of this client looks at."""
        name = self._name(getattr(event, "response_id", None))
        match event.type:
            case "response.created":
                metadata = event.response.metadata or {}
                self._names[event.response.id] = metadata.get("reader", event.response.id)
            case "response.output_item.added":
                self._items[name] = event.item.id
            case "response.output_text.delta":
                self.stage.tell("text", reader=name, text=event.delta)
            case "response.output_audio_transcript.delta":
                self.stage.tell("transcript", reader=name, text=event.delta)
            case "response.output_audio.delta":
                pcm = base64.b64decode(event.delta)
                self.stage.tell("audio", reader=name, pcm=pcm, response=event.response_id)
            case "conversation.item.input_audio_transcription.completed":
                self.stage.tell("heard", text=event.transcript)
            case "conversation.item.truncated":
                self.stage.tell("truncated", ms=event.audio_end_ms)
            case "error":
                self.stage.tell("error", what=event.error.message, code=event.error.code)
                self.stage.tell("refused", answers=event.error.event_id)
            case kind:
                self.stage.tell("event", type=kind)

    def _name(self, response_id: str | None) -> str:
        return self._names.get(response_id or "", response_id or "")

    async def _done(self, response: Any) -> None:
        name = self._name(response.id)
        details = response.status_details
        facts = {"reason": details.reason if details else None, "metadata": response.metadata}
        self.stage.tell("done", response=response.id, status=response.status, **facts)
        self.stage.tell("ended", reader=name, how=response.status)
        if name in self._open:
            self._open.remove(name)
        calls = [item for item in response.output if item.type == "function_call"]
        for call in calls:
            if call.status != "completed":
                return
            self.stage.tell("called", reader=name, name=call.name, arguments=call.arguments)
            await self._connection.conversation.item.create(
                item={"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
            )
        if calls:
            await self._create(f"{name}, with the tool")

    async def _create(self, reader: str, **how: Any) -> None:
        response: Any = {"metadata": {"reader": reader}, **how}
        self._open.append(reader)
        await self._connection.response.create(response=response)

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        await self._add(words)
        await self._create(reader)

    async def _add(self, words: str) -> None:
        content: Any = [{"type": "input_text", "text": words}]
        await self._connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )

    async def aside(self, *, reader: str, words: str) -> None:
        await self._create(reader, conversation="none", instructions=words)

    async def speak(self, *, part: str = "") -> None:
        for piece in self.stage.spoken(part):
            audio = base64.b64encode(piece).decode()
            await self._connection.input_audio_buffer.append(audio=audio)

    async def cancel(self, *, reader: str) -> None:
        for found, name in self._names.items():
            if name == reader:
                await self._connection.response.cancel(response_id=found)
                return
        raise Unsupported("its user waits for the id of what it cancels")

    async def bare_cancel(self) -> None:
        """Its cancel without an id."""
        await self._connection.response.cancel(event_id="bare")

    async def cut_item(self, *, reader: str, at_ms: int) -> None:
        """Its truncate, as its user says."""
        await self._connection.conversation.item.truncate(
            item_id=self._items[reader], content_index=0, audio_end_ms=at_ms
        )

    async def close(self) -> None:
        if self._loop is None:
            return  # it was told of calls, and joined none
        self._loop.cancel()
        await self._manager.__aexit__(None, None, None)


if __name__ == "__main__":
    perform(OpenAIClient)
