"""openai-python: `AsyncOpenAI().realtime.connect()`. Its user writes the loop over raw events."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from tests.interop.clients.stage import Stage, perform

__all__: list[str] = []

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


@asynccontextmanager
async def connected(
    stage: Stage, session: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[AsyncRealtimeConnection]:
    client = AsyncOpenAI(api_key="unused", websocket_base_url=stage.url.removesuffix("/realtime"))
    async with client.realtime.connect(model="gpt-realtime", **options) as connection:
        settings: Any = {"type": "realtime", **(session or {})}
        await connection.session.update(session=settings)
        yield connection


async def say(connection: AsyncRealtimeConnection, words: str) -> None:
    content: Any = [{"type": "input_text", "text": words}]
    await connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": content}
    )
    await connection.response.create()


def tell(stage: Stage, event: Any) -> None:
    """Report what a user of this client looks at."""
    facts: dict[str, Any] = {}
    match event.type:
        case "response.output_text.delta":
            stage.tell("text", text=event.delta)
        case "response.output_audio_transcript.delta":
            stage.tell("transcript", text=event.delta)
        case "response.output_audio.delta":
            pcm = base64.b64decode(event.delta)
            stage.tell("audio", pcm=pcm, response=event.response_id)
        case "response.done":
            details = event.response.status_details
            facts = {"reason": details.reason if details else None}
            facts |= {"metadata": event.response.metadata, "response": event.response.id}
            stage.tell("done", status=event.response.status, **facts)
        case "conversation.item.input_audio_transcription.completed":
            stage.tell("heard", text=event.transcript)
        case "conversation.item.truncated":
            stage.tell("truncated", ms=event.audio_end_ms)
        case "error":
            stage.tell("error", code=event.error.code, answers=event.error.event_id)
        case kind:
            stage.tell("event", type=kind)


async def until(connection: AsyncRealtimeConnection, stage: Stage, *kinds: str) -> Any:
    """Read, telling everything, until one event of each of these types has come."""
    missing = list(kinds)
    async for event in connection:
        tell(stage, event)
        if event.type in missing:
            missing.remove(event.type)
        if not missing:
            return event
    raise AssertionError(f"the connection ended before {missing}")


async def text_turn(stage: Stage) -> None:
    async with connected(stage, {"output_modalities": ["text"]}) as connection:
        await say(connection, "Hello there.")
        await until(connection, stage, "response.done")


async def audio_turn(stage: Stage) -> None:
    async with connected(stage, {"audio": {"input": HEARS}}) as connection:
        for piece in stage.spoken():
            await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        transcribed = "conversation.item.input_audio_transcription.completed"
        await until(connection, stage, "response.done", transcribed)


async def tool_round(stage: Stage) -> None:
    session = {"tools": [WEATHER_TOOL], "output_modalities": ["text"]}
    async with connected(stage, session) as connection:
        await say(connection, "What is the weather in Oslo?")
        done = await until(connection, stage, "response.done")
        for item in done.response.output:
            stage.tell("call", name=item.name, arguments=item.arguments)
            await connection.conversation.item.create(
                item={"type": "function_call_output", "call_id": item.call_id, "output": "sunny"}
            )
        await connection.response.create()
        await until(connection, stage, "response.done")


async def interruption(stage: Stage) -> None:
    async with connected(stage) as connection:
        await say(connection, "Tell me a long story.")
        delta = await until(connection, stage, *["response.output_audio.delta"] * 5)
        await connection.response.cancel(response_id=delta.response_id)
        await connection.conversation.item.truncate(
            item_id=delta.item_id, content_index=0, audio_end_ms=300
        )
        await until(connection, stage, "response.done", "conversation.item.truncated")
        await connection.response.create()
        await until(connection, stage, "response.done")


async def barge_in(stage: Stage) -> None:
    async with connected(stage, {"audio": {"input": HEARS}}) as connection:
        await say(connection, "Tell me a long story.")
        await until(connection, stage, *["response.output_audio.delta"] * 5)
        for piece in stage.spoken():
            await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())
        await until(connection, stage, "response.done", "response.done")


async def two_in_flight(stage: Stage) -> None:
    async with connected(stage) as connection:
        await say(connection, "Tell me something.")
        aside: Any = {"conversation": "none", "metadata": {"purpose": "aside"}}
        await connection.response.create(response=aside)
        await until(connection, stage, "response.done", "response.done")


async def bare_cancel(stage: Stage) -> None:
    async with connected(stage) as connection:
        aside: Any = {"conversation": "none", "metadata": {"purpose": "aside"}}
        await connection.response.create(response=aside)
        await until(connection, stage, "response.output_audio.delta")
        await connection.response.cancel(event_id="bare")
        await until(connection, stage, "error", "response.done")


async def reconnect(stage: Stage) -> None:
    def reconnecting(event: Any) -> None:
        stage.tell("reconnecting", code=event.close_code)

    # The connection's own way: asked for by giving a callback.
    options = {"on_reconnecting": reconnecting, "initial_delay": 0.05}
    async with connected(stage, {"output_modalities": ["text"]}, **options) as connection:
        await say(connection, "Hello there.")
        await until(connection, stage, "response.done")
        stage.tell("cut me")
        await until(connection, stage, "session.created")
        # A new socket is a new session: what the old one was told is gone.
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await say(connection, "Are you back?")
        await until(connection, stage, "response.done")


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
