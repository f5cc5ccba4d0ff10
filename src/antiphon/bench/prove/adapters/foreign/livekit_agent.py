"""LiveKit Agents: a whole `AgentSession` on the stock plugin, without a room, in text mode."""

import asyncio
from typing import Any

import aiohttp
from livekit.agents import Agent, AgentSession, function_tool, llm
from livekit.agents.voice import io
from livekit.plugins.openai import realtime
from stage import PLAYER, Client, Stage, Unsupported, perform

from livekit import rtc

__all__ = ["AgentClient"]


class Tester(Agent):
    """An agent with one tool."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(instructions="Be brief.")
        self._stage = stage

    @function_tool
    async def get_weather(self, city: str, seconds: float = 0.0) -> str:
        """The weather in a city."""
        self._stage.tell("tool", city=city)
        await asyncio.sleep(seconds)
        return f"sunny in {city}"


class Microphone(io.AudioInput):
    """Hears what it is given."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def __anext__(self) -> rtc.AudioFrame:
        piece = await self.pieces.get()
        await asyncio.sleep(0.005)
        return rtc.AudioFrame(
            data=piece, sample_rate=24000, num_channels=1, samples_per_channel=len(piece) // 2
        )


class AgentClient(Client):
    """One AgentSession; its `run()` gives a reply as a whole."""

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        if not text:
            raise Unsupported("without a room it is played in text mode only")
        tell = self.stage.tell
        self._http = aiohttp.ClientSession()
        model = realtime.RealtimeModel(
            base_url=http_url, api_key="unused", modalities=["text"], http_session=self._http
        )
        session: Any = AgentSession(llm=model)
        session.on("conversation_item_added", lambda event: self._added(event.item))
        session.on("user_input_transcribed", self._heard)
        session.on("error", lambda event: tell("error", what=repr(event.error)))
        session.on("agent_state_changed", lambda event: tell("state", now=event.new_state))
        self._microphone = Microphone()
        if vad:
            session.input.audio = self._microphone
        self._session = session
        self._speech: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        await session.start(Tester(self.stage), record=False)

    def _added(self, item: Any) -> None:
        if item.type == "message":
            facts = {"role": item.role, "interrupted": item.interrupted}
            self.stage.tell("item", text=item.text_content, **facts)

    def _heard(self, event: Any) -> None:
        if event.is_final:
            self.stage.tell("heard", text=event.transcript)

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        self._spawn(self._run(reader, words))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, reader: str, words: str) -> None:
        tell = self.stage.tell
        try:
            result = await self._session.run(user_input=words)
        except llm.RealtimeError as error:
            tell("reply failed", code=error.code)
            tell("ended", reader=reader, how="failed", error=str(error))
            return
        for event in result.events:
            text = getattr(event.item, "text_content", None)
            tell("run event", type=event.type, text=text)
            if event.type == "message":
                tell("text", reader=PLAYER, text=text)
        tell("ended", reader=reader, how="completed")

    async def reply(self, *, words: str) -> None:
        """Its `generate_reply`, which can be interrupted while it is under way."""
        self._speech = self._session.generate_reply(user_input=words)

    async def interrupt(self) -> None:
        await self._session.interrupt()
        if self._speech is not None:
            await self._speech.wait_for_playout()
            self.stage.tell("interrupted", was=self._speech.interrupted)

    async def speak(self, *, part: str = "") -> None:
        for piece in self.stage.spoken(part):
            self._microphone.pieces.put_nowait(piece)

    async def close(self) -> None:
        await self._session.aclose()
        for task in list(self._tasks):
            task.cancel()
        await self._http.close()


if __name__ == "__main__":
    perform(AgentClient)
