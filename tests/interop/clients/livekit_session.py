"""livekit-plugins-openai: its `RealtimeSession` by itself, without an AgentSession."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from livekit.agents import function_tool, llm
from livekit.plugins.openai import realtime
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from livekit import rtc
from tests.interop.clients.stage import Stage, perform

__all__: list[str] = []

VAD = ServerVad(
    type="server_vad", silence_duration_ms=300, create_response=True, interrupt_response=True
)


@function_tool
async def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@asynccontextmanager
async def opened(stage: Stage, **options: Any) -> AsyncIterator[Any]:
    async with aiohttp.ClientSession() as http:
        model = realtime.RealtimeModel(
            base_url=stage.http_url, api_key="unused", http_session=http, **options
        )
        session = model.session()
        session.on("openai_server_event_received", lambda event: tell(stage, event))
        session.on("error", lambda error: stage.tell("error", what=repr(error.error)))
        try:
            yield session
        finally:
            await session.aclose()


def tell(stage: Stage, event: dict[str, Any]) -> None:
    """Report the raw events, which are offered to its users too."""
    match event["type"]:
        case "response.done":
            response = event["response"]
            facts = {"response": response["id"], "metadata": response.get("metadata")}
            stage.tell("done", status=response["status"], **facts)
        case "conversation.item.input_audio_transcription.completed":
            stage.tell("heard", text=event["transcript"])
        case kind:
            stage.tell("event", type=kind)


def user(words: str, session: Any) -> llm.ChatContext:
    context = session.chat_ctx.copy()
    context.add_message(role="user", content=words)
    return context  # type: ignore[no-any-return]


async def read(stage: Stage, generation: Any, name: str = "", frames: int = 0) -> list[Any]:
    """Read a generation's streams to their end, or to so many frames of audio."""
    calls: list[Any] = []
    async for message in generation.message_stream:

        async def words(stream: Any) -> None:
            async for delta in stream:
                stage.tell(f"text{name}", text=str(delta))

        reader = asyncio.create_task(words(message.text_stream))
        count = 0
        async for frame in message.audio_stream:
            stage.tell(f"audio{name}", pcm=bytes(frame.data), message=message.message_id)
            count += 1
            if count == frames:
                reader.cancel()
                return [message]
        await reader
    async for one in generation.function_stream:
        stage.tell("call", name=one.name, arguments=one.arguments)
        calls.append(one)
    return calls


async def text_turn(stage: Stage) -> None:
    async with opened(stage, modalities=["text"]) as session:
        await session.update_chat_ctx(user("Hello there.", session))
        await read(stage, await session.generate_reply())


async def audio_turn(stage: Stage) -> None:
    async with opened(stage, turn_detection=VAD) as session:
        generated: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.on("generation_created", generated.set_result)
        session.on("input_speech_started", lambda event: stage.tell("speech started"))
        transcribed = asyncio.Event()

        def heard(event: Any) -> None:
            if event.is_final:
                stage.tell("transcript", text=event.transcript)
                transcribed.set()

        session.on("input_audio_transcription_completed", heard)
        for piece in stage.spoken():
            session.push_audio(frame_of(piece))
        await read(stage, await generated)
        await transcribed.wait()


def frame_of(piece: bytes) -> rtc.AudioFrame:
    return rtc.AudioFrame(
        data=piece, sample_rate=24000, num_channels=1, samples_per_channel=len(piece) // 2
    )


async def tool_round(stage: Stage) -> None:
    async with opened(stage, modalities=["text"]) as session:
        await session.update_tools([get_weather])
        await session.update_chat_ctx(user("What is the weather in Oslo?", session))
        (call,) = await read(stage, await session.generate_reply())
        context = session.chat_ctx.copy()
        context.items.append(
            llm.FunctionCallOutput(
                call_id=call.call_id, name=call.name, output="sunny", is_error=False
            )
        )
        await session.update_chat_ctx(context)
        await read(stage, await session.generate_reply())


async def interruption(stage: Stage) -> None:
    async with opened(stage, turn_detection=None) as session:
        await session.update_chat_ctx(user("Tell me a long story.", session))
        generation = await session.generate_reply()
        (message,) = await read(stage, generation, frames=5)
        session.interrupt()
        session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=300)
        async for frame in message.audio_stream:
            stage.tell("audio", pcm=bytes(frame.data))
        # Its interrupt() cannot be awaited; the stream's end is all there is to go by.
        await read(stage, await session.generate_reply(), name=" of the second")


async def barge_in(stage: Stage) -> None:
    async with opened(stage, turn_detection=VAD) as session:
        await session.update_chat_ctx(user("Tell me a long story.", session))
        (message,) = await read(stage, await session.generate_reply(), frames=5)
        generated: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.on("generation_created", generated.set_result)
        for piece in stage.spoken():
            session.push_audio(frame_of(piece))
        async for frame in message.audio_stream:
            stage.tell("audio", pcm=bytes(frame.data))
        await read(stage, await generated, name=" of the second")


def aside(session: Any) -> None:
    """The only way to an out-of-band response: the raw event."""
    event = {"conversation": "none", "metadata": {"purpose": "aside"}}
    session.send_event({"type": "response.create", "response": event})


async def two_in_flight(stage: Stage) -> None:
    async with opened(stage, turn_detection=None) as session:
        generations: asyncio.Queue[Any] = asyncio.Queue()
        session.on("generation_created", generations.put_nowait)
        await session.update_chat_ctx(user("Tell me something.", session))
        first = session.generate_reply()
        aside(session)
        readers = []
        for _ in range(2):
            generation = await generations.get()
            name = f" of {generation.response_id}"
            readers.append(asyncio.create_task(read(stage, generation, name=name)))
        await first
        await asyncio.wait(readers, return_when=asyncio.FIRST_COMPLETED)
        _, late = await asyncio.wait(readers, timeout=1)
        for reader in late:
            stage.tell("reader left waiting")
            reader.cancel()


async def bare_cancel(stage: Stage) -> None:
    async with opened(stage, turn_detection=None) as session:
        generated: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        session.on("generation_created", generated.set_result)
        aside(session)
        generation = await generated
        (message,) = await read(stage, generation, frames=3)
        session.interrupt()
        async for frame in message.audio_stream:
            stage.tell("audio", pcm=bytes(frame.data))


async def reconnect(stage: Stage) -> None:
    async with opened(stage, modalities=["text"]) as session:
        back = asyncio.Event()
        session.on("session_reconnected", lambda event: back.set())
        await session.update_chat_ctx(user("Hello there.", session))
        await read(stage, await session.generate_reply())
        stage.tell("cut me")
        await back.wait()
        stage.tell("reconnected")
        await read(stage, await session.generate_reply())


if __name__ == "__main__":
    perform(
        text_turn,
        audio_turn,
        tool_round,
        interruption,
        barge_in,
        two_in_flight,
        bare_cancel,
        reconnect,
    )
