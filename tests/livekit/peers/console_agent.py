"""An agent for the console: runs in a process of its own and writes down what happens."""

import json
import os
from typing import Any

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, function_tool
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from livekit.plugins import antiphon

__all__ = ["server"]


def tell(what: str, **facts: Any) -> None:
    with open(os.environ["ANTIPHON_TEST_LOG"], "a") as log:
        log.write(json.dumps({"what": what, **facts}) + "\n")


class Spoken(Agent):
    def __init__(self) -> None:
        super().__init__(instructions="Be brief.")

    @function_tool
    async def get_weather(self, city: str) -> str:
        """The weather in a city."""
        tell("tool", city=city)
        return f"sunny in {city}"


server = AgentServer(host="127.0.0.1", port=0)


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    model = antiphon.realtime.RealtimeModel(
        turn_detection=ServerVad(type="server_vad", silence_duration_ms=200)
    )
    session: AgentSession[None] = AgentSession(llm=model)

    def added(event: Any) -> None:
        item = event.item
        if item.type == "message":
            tell(item.role, text=item.text_content, interrupted=item.interrupted)

    session.on("conversation_item_added", added)
    session.on("error", lambda event: tell("error", error=repr(event.error)))
    await session.start(agent=Spoken(), room=ctx.room)
    tell("started")
