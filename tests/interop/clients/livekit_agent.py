"""LiveKit Agents: a whole `AgentSession` on the OpenAI plugin, without a room, in text mode."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit.agents import Agent, AgentSession, function_tool, llm
from livekit.agents.voice import io
from livekit.plugins.openai import realtime

from livekit import rtc
from tests.interop.clients.stage import Stage, perform

__all__: list[str] = []


class Tester(Agent):
    """An agent with one tool."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(instructions="Be brief.")
        self._stage = stage

    @function_tool
    async def get_weather(self, city: str) -> str:
        """The weather in a city."""
        self._stage.tell("tool ran", city=city)
        return f"sunny in {city}"


class Recording(io.AudioInput):
    """A microphone that hears the recording once."""

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__(label="recording")
        self._pieces = iter(pieces)

    async def __anext__(self) -> rtc.AudioFrame:
        piece = next(self._pieces, None)
        if piece is None:
            await asyncio.Event().wait()
            raise StopAsyncIteration
        await asyncio.sleep(0.005)
        return rtc.AudioFrame(
            data=piece, sample_rate=24000, num_channels=1, samples_per_channel=len(piece) // 2
        )


def tell_item(stage: Stage, item: Any) -> None:
    if item.type == "message":
        facts = {"role": item.role, "interrupted": item.interrupted}
        stage.tell("item", text=item.text_content, **facts)


def tell_heard(stage: Stage, event: Any) -> None:
    if event.is_final:
        stage.tell("heard", text=event.transcript)


@asynccontextmanager
async def started(stage: Stage, microphone: io.AudioInput | None = None) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as http:
        model = realtime.RealtimeModel(
            base_url=stage.http_url, api_key="unused", modalities=["text"], http_session=http
        )
        session: Any = AgentSession(llm=model)
        session.on("conversation_item_added", lambda event: tell_item(stage, event.item))
        session.on("user_input_transcribed", lambda event: tell_heard(stage, event))
        session.on("error", lambda event: stage.tell("error", what=repr(event.error)))
        if microphone is not None:
            session.input.audio = microphone
        await session.start(Tester(stage), record=False)
        try:
            yield session
        finally:
            await session.aclose()


async def answered(stage: Stage, session: Any, words: str) -> None:
    result = await session.run(user_input=words)
    for event in result.events:
        stage.tell("run event", type=event.type, text=getattr(event.item, "text_content", None))


async def text_turn(stage: Stage) -> None:
    async with started(stage) as session:
        await answered(stage, session, "Hello there.")


async def audio_turn(stage: Stage) -> None:
    async with started(stage, Recording(stage.spoken())) as session:
        spoke = asyncio.Event()

        def added(event: Any) -> None:
            if event.item.type == "message" and event.item.role == "assistant":
                spoke.set()

        session.on("conversation_item_added", added)
        await spoke.wait()


async def tool_round(stage: Stage) -> None:
    async with started(stage) as session:
        await answered(stage, session, "What is the weather in Oslo?")


async def interruption(stage: Stage) -> None:
    async with started(stage) as session:
        speaking = asyncio.Event()

        def changed(event: Any) -> None:
            if event.new_state == "speaking":
                speaking.set()

        session.on("agent_state_changed", changed)
        speech = session.generate_reply(user_input="Tell me a long story.")
        # Until it is under way there is nothing to interrupt.
        await speaking.wait()
        await session.interrupt()
        await speech.wait_for_playout()
        stage.tell("interrupted", was=speech.interrupted)
        try:
            await answered(stage, session, "What else?")
        except llm.RealtimeError as error:
            stage.tell("reply failed", code=error.code)


async def reconnect(stage: Stage) -> None:
    async with started(stage) as session:
        await answered(stage, session, "Hello there.")
        noticed = asyncio.Event()
        session.on("error", lambda event: noticed.set())
        stage.tell("cut me")
        # A turn asked for while the cut goes unnoticed is lost; one asked for after that waits.
        await noticed.wait()
        await answered(stage, session, "Are you back?")


if __name__ == "__main__":
    perform(text_turn, audio_turn, tool_round, interruption, reconnect)
