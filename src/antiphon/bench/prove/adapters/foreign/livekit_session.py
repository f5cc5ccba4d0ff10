"""LiveKit's `RealtimeSession` by itself, without an AgentSession: the stock plugin's or antiphon's.

    python livekit_session.py openai|antiphon

It does what an AgentSession does with it: what comes of a reply after an interruption is not heard.
A response out of band is asked for by antiphon's `generate_reply(conversation="none")`, and from
the stock plugin, which has no such thing, by the raw event that it lets its users send.
"""

import asyncio
import importlib
import sys
from typing import Any

import aiohttp
from livekit.agents import function_tool, llm
from stage import Client, Stage, Unsupported, perform

from livekit import rtc

__all__ = ["LiveKitClient"]

PLUGIN = sys.argv[1] if len(sys.argv) > 1 else "openai"
realtime = importlib.import_module(f"livekit.plugins.{PLUGIN}.realtime")


@function_tool
async def get_weather(city: str, seconds: float = 0.0) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def turn_detection() -> Any:
    settings: dict[str, Any] = {"type": "server_vad", "silence_duration_ms": 300}
    settings |= {"create_response": True, "interrupt_response": True}
    if PLUGIN != "openai":
        return settings
    from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

    return ServerVad(**settings)


class LiveKitClient(Client):
    """Reads generations as they are created."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._asides: list[str] = []
        self._answers = 0
        # Readers in the default conversation, and those of them that were interrupted.
        self._default: set[str] = set()
        self._interrupted: set[str] = set()
        self._messages: dict[str, list[list[Any]]] = {}
        self._copy: Any = None

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        options: dict[str, Any] = {"turn_detection": turn_detection() if vad else None}
        if text:
            options["modalities"] = ["text"]
        self._http = aiohttp.ClientSession()
        model = realtime.RealtimeModel(
            base_url=http_url, api_key="unused", http_session=self._http, **options
        )
        session = self.session = model.session()
        tell = self.stage.tell
        session.on("openai_server_event_received", self._event)
        session.on("error", lambda error: tell("error", what=repr(error.error)))
        session.on("session_reconnected", lambda event: tell("connection", state="back"))
        session.on("input_speech_started", lambda event: tell("speech started"))
        session.on("input_audio_transcription_completed", self._heard)
        session.on("generation_created", self._created)
        if tool:
            await session.update_tools([get_weather])

    def _event(self, event: dict[str, Any]) -> None:
        """Report the raw events, which are offered to its users too."""
        match event["type"]:
            case "response.done":
                response = event["response"]
                facts = {"response": response["id"], "metadata": response.get("metadata")}
                self.stage.tell("done", status=response["status"], **facts)
            case "conversation.item.input_audio_transcription.completed":
                self.stage.tell("heard", text=event["transcript"])
            case kind:
                self.stage.tell("event", type=kind)

    def _heard(self, event: Any) -> None:
        if event.is_final:
            self.stage.tell("transcript", text=event.transcript)

    # Replies

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        context = self.session.chat_ctx.copy()
        context.add_message(role="user", content=words)
        try:
            await self.session.update_chat_ctx(context)
        except llm.RealtimeError as error:
            self.stage.tell("ended", reader=reader, how="failed", error=str(error))
            return
        self.reply(reader)

    async def ask_again(self, *, reader: str) -> None:
        """Its reply without anything new from the user."""
        self.reply(reader)

    def reply(self, reader: str, **how: Any) -> None:
        waiting = self._waiting[reader] = self.session.generate_reply(**how)
        if "conversation" not in how:
            self._default.add(reader)
        self.spawn(self._wait(reader, waiting))

    async def aside(self, *, reader: str, words: str) -> None:
        if PLUGIN != "openai":
            self.reply(reader, conversation="none", instructions=words)
            return
        self._asides.append(reader)
        event = {"conversation": "none", "instructions": words, "metadata": {"purpose": "aside"}}
        self.session.send_event({"type": "response.create", "response": event})

    def _created(self, event: Any) -> None:
        if event.user_initiated:
            return
        if self._asides:
            reader = self._asides.pop(0)
        else:
            self._answers += 1
            reader = f"answer {self._answers}"
            self._default.add(reader)
        self.spawn(self._read(reader, event))

    async def _wait(self, reader: str, waiting: Any) -> None:
        try:
            generation = await waiting
        except asyncio.CancelledError:
            self.stage.tell("ended", reader=reader, how="cancelled")
        except llm.RealtimeError as error:
            self.stage.tell("ended", reader=reader, how="failed", error=str(error))
        else:
            await self._read(reader, generation)

    async def _read(self, reader: str, generation: Any) -> None:
        wrong = ""
        calls = []
        try:
            async for message in generation.message_stream:
                await asyncio.gather(self._listen(reader, message), self._look(reader, message))
            calls = [call async for call in generation.function_stream]
        except Exception as error:
            wrong = repr(error)
        if reader in self._interrupted:
            calls = []  # nor does an AgentSession run what was called
        for call in calls:
            facts = {"name": call.name, "arguments": call.arguments}
            self.stage.tell("called", reader=reader, **facts)
        facts = {"response": getattr(generation, "response_id", None)}
        how = "failed" if wrong else "completed"
        self.stage.tell("ended", reader=reader, how=how, error=wrong, **facts)
        if calls:
            await self._answer(reader, calls)

    async def _listen(self, reader: str, message: Any) -> None:
        length = [message.message_id, 0]
        self._messages.setdefault(reader, []).append(length)
        async for frame in message.audio_stream:
            pcm = bytes(frame.data)
            length[1] += len(pcm) // 48
            # What an AgentSession forwards no more is not heard.
            if reader not in self._interrupted:
                self.stage.tell("audio", reader=reader, pcm=pcm)

    async def _look(self, reader: str, message: Any) -> None:
        async for delta in message.text_stream:
            self.stage.tell("text", reader=reader, text=str(delta))

    async def _answer(self, reader: str, calls: list[Any]) -> None:
        context = self.session.chat_ctx.copy()
        context.items += [
            llm.FunctionCallOutput(
                call_id=call.call_id, name=call.name, output="sunny in Oslo", is_error=False
            )
            for call in calls
        ]
        await self.session.update_chat_ctx(context)
        self.reply(f"{reader}, with the tool")

    async def speak(self, *, part: str = "") -> None:
        for piece in self.stage.spoken(part):
            self.session.push_audio(
                rtc.AudioFrame(
                    data=piece,
                    sample_rate=24000,
                    num_channels=1,
                    samples_per_channel=len(piece) // 2,
                )
            )

    # Stopping

    async def interrupt(self) -> None:
        self._interrupted |= self._default
        receipt = self.session.interrupt()
        if receipt is not None:
            self.stage.tell("can", awaitable=True)
            self.spawn(self._receive(receipt))

    async def _receive(self, receipt: Any) -> None:
        entries = (await receipt).entries
        told = [{"id": entry.response_id, "outcome": str(entry.outcome.kind)} for entry in entries]
        self.stage.tell("receipt", entries=told)

    async def cancel(self, *, reader: str) -> None:
        waiting = self._waiting.get(reader)
        if waiting is None or waiting.done():
            raise Unsupported("a reply that has begun cannot be stopped alone")
        waiting.cancel()

    async def truncate(self, *, reader: str, heard_ms: int) -> None:
        messages = self._messages.get(reader, [])
        for place, (message_id, length) in enumerate(messages):
            last = place == len(messages) - 1
            if heard_ms < length or last:
                self.session.truncate(
                    message_id=message_id, modalities=["audio"], audio_end_ms=heard_ms
                )
                return
            heard_ms -= length

    # Context

    async def note(self, *, words: str, after: str | None = None) -> None:
        context = self.session.chat_ctx.copy()
        message = llm.ChatMessage(role="user", content=[words])
        if after is None:
            context.items.append(message)
        else:
            ids = [item.id for item in context.items]
            known = self._messages[after][0][0]
            if known not in ids:
                raise Unsupported("an item goes into a context, which no longer has the other")
            context.items.insert(ids.index(known) + 1, message)
        self.spawn(self._update(context))

    async def _update(self, context: Any) -> None:
        try:
            await self.session.update_chat_ctx(context)
        except llm.RealtimeError as error:
            self.stage.tell("answered", ok=False, what=str(error))
        else:
            self.stage.tell("answered", ok=True)

    async def forget(self, *, reader: str) -> None:
        context = self.session.chat_ctx.copy()
        gone = {message_id for message_id, _ in self._messages[reader]}
        context.items = [item for item in context.items if item.id not in gone]
        await self.session.update_chat_ctx(context)

    async def remember(self) -> None:
        self._copy = self.session.chat_ctx.copy()

    async def rewrite(self, *, words: str) -> None:
        self._copy.add_message(role="user", content=words)
        await self.session.update_chat_ctx(self._copy)

    async def close(self) -> None:
        await self.session.aclose()
        for task in list(self._tasks):
            task.cancel()
        await self._http.close()


if __name__ == "__main__":
    perform(LiveKitClient)
