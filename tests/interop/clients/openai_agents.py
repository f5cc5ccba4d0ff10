"""openai-agents: `RealtimeRunner` and `RealtimeSession`, with their WebSocket model."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession
from agents.realtime.model_inputs import RealtimeModelSendInterrupt, RealtimeModelSendRawMessage

from tests.interop.clients.stage import Stage, perform

__all__: list[str] = []

TEXT: dict[str, Any] = {"modalities": ["text"]}
VAD = {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": True}
HEARS: dict[str, Any] = {
    "turn_detection": VAD,
    "input_audio_transcription": {"model": "gpt-4o-mini-transcribe"},
}
MANUAL: dict[str, Any] = {"turn_detection": None}


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@asynccontextmanager
async def running(
    stage: Stage, settings: dict[str, Any] | None = None, **agent: Any
) -> AsyncIterator[RealtimeSession]:
    runner = RealtimeRunner(RealtimeAgent(name="tester", instructions="Be brief.", **agent))
    config: Any = {"url": stage.url, "api_key": "unused"}
    config["initial_model_settings"] = settings or {}
    async with await runner.run(model_config=config) as session:
        yield session


def tell(stage: Stage, event: Any) -> None:
    """Report what a user of this client looks at."""
    match event.type:
        case "audio":
            stage.tell("audio", pcm=event.audio.data, response=event.audio.response_id)
        case "audio_interrupted":
            stage.tell("audio interrupted")
        case "tool_end":
            stage.tell("tool", arguments=event.arguments, output=event.output)
        case "history_updated":
            stage.tell("history", items=[shown(item) for item in event.history])
        case "error":
            stage.tell("error", what=str(event.error))
        case "raw_model_event" if event.data.type == "raw_server_event":
            raw = event.data.data
            if raw["type"] == "response.done":
                response = raw["response"]
                facts = {"response": response["id"], "metadata": response.get("metadata")}
                stage.tell("done", status=response["status"], **facts)
            else:
                stage.tell("event", type=raw["type"])
        case kind:
            stage.tell("session event", type=kind)


def shown(item: Any) -> dict[str, Any]:
    if item.type == "message":
        words = [
            getattr(part, "text", None) or getattr(part, "transcript", None)
            for part in item.content
        ]
        return {"role": item.role, "words": words}
    return {"call": item.name, "output": item.output}


async def until(session: RealtimeSession, stage: Stage, enough: Callable[[Any], bool]) -> Any:
    """Read, telling everything, until an event is the one wanted."""
    async for event in session:
        tell(stage, event)
        if enough(event):
            return event
    raise AssertionError("the session ended")


def raw(kind: str, times: int = 1) -> Callable[[Any], bool]:
    """The so manieth server event of a type."""
    left = [times]

    def enough(event: Any) -> bool:
        if event.type == "raw_model_event" and event.data.type == "raw_server_event":
            left[0] -= event.data.data["type"] == kind
        return left[0] <= 0

    return enough


def answered(times: int = 1) -> Callable[[Any], bool]:
    """So many responses are done, and the history has the words of all that was said."""
    done = raw("response.done", times)
    whole = [False]

    def enough(event: Any) -> bool:
        if event.type == "history_updated":
            messages = [one for one in map(shown, event.history) if "words" in one]
            answer = bool(messages) and messages[-1]["role"] == "assistant"
            whole[0] = answer and all(one["words"] and all(one["words"]) for one in messages)
        return done(event) and whole[0]

    return enough


async def text_turn(stage: Stage) -> None:
    async with running(stage, TEXT) as session:
        await session.send_message("Hello there.")
        await until(session, stage, answered())


async def audio_turn(stage: Stage) -> None:
    async with running(stage, HEARS) as session:
        for piece in stage.spoken():
            await session.send_audio(piece)
        await until(session, stage, answered())


async def tool_round(stage: Stage) -> None:
    async with running(stage, TEXT, tools=[get_weather]) as session:
        await session.send_message("What is the weather in Oslo?")
        await until(session, stage, answered(2))


async def interruption(stage: Stage) -> None:
    async with running(stage, MANUAL) as session:
        await session.send_message("Tell me a long story.")
        await until(session, stage, raw("response.output_audio.delta", 5))
        await session.interrupt()
        await until(session, stage, raw("response.done"))
        await session.send_message("What else?")
        await until(session, stage, raw("response.done"))


async def interruption_under_vad(stage: Stage) -> None:
    """Left to itself it trusts the server's turn detection to cancel, and only truncates."""
    async with running(stage, HEARS) as session:
        await session.send_message("Tell me a long story.")
        await until(session, stage, raw("response.output_audio.delta", 5))
        await session.interrupt()
        await until(session, stage, raw("response.done"))


async def barge_in(stage: Stage) -> None:
    async with running(stage, HEARS) as session:
        await session.send_message("Tell me a long story.")
        await until(session, stage, raw("response.output_audio.delta", 5))
        for piece in stage.spoken():
            await session.send_audio(piece)
        await until(session, stage, raw("response.done", 2))


async def two_in_flight(stage: Stage) -> None:
    async with running(stage, MANUAL) as session:
        await session.send_message("Tell me something.")
        await until(session, stage, raw("response.created"))
        # Its own sequencer holds every create until the one response it knows of is done.
        aside = {"conversation": "none", "metadata": {"purpose": "aside"}}
        message: Any = {"type": "response.create", "other_data": {"response": aside}}
        await session.model.send_event(RealtimeModelSendRawMessage(message=message))
        await until(session, stage, raw("response.done", 2))


async def forced_cancel_out_of_band(stage: Stage) -> None:
    async with running(stage, MANUAL) as session:
        aside = {"conversation": "none", "metadata": {"purpose": "aside"}}
        message: Any = {"type": "response.create", "other_data": {"response": aside}}
        await session.model.send_event(RealtimeModelSendRawMessage(message=message))
        await until(session, stage, raw("response.output_audio.delta", 3))
        await session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))
        await until(session, stage, raw("response.done"))


async def reconnect(stage: Stage) -> None:
    async with running(stage, TEXT) as session:
        await session.send_message("Hello there.")
        await until(session, stage, raw("response.done"))
        stage.tell("cut me")
        try:
            await until(session, stage, lambda event: False)
        except Exception as error:
            stage.tell("session over", error=type(error).__name__, said=str(error))
    # There is no way back into that session: its user starts another one.
    async with running(stage, TEXT) as session:
        await session.send_message("Are you back?")
        await until(session, stage, answered())


if __name__ == "__main__":
    perform(
        text_turn,
        audio_turn,
        tool_round,
        interruption,
        interruption_under_vad,
        barge_in,
        two_in_flight,
        forced_cancel_out_of_band,
        reconnect,
    )
