"""A voice agent that is watched while it speaks.

The agent answers the caller. Beside each of its answers a second response judges what the caller
asked, out of band: it is not heard, it enters no chat context, and it does not hold up the answer.
When it objects, the answer is stopped, and the agent declines instead.

    antiphon serve                                          # a server; or have OPENAI_API_KEY set
    export OPENAI_BASE_URL=http://127.0.0.1:8765/v1
    python examples/livekit_agent.py console --text         # type, and read; no room, no sound card
    python -m livekit.agents start examples/livekit_agent.py     # in rooms, with LIVEKIT_URL, … set
"""

import argparse
import asyncio
import logging
import sys
from typing import Any

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, function_tool

from livekit.plugins import antiphon

logger = logging.getLogger("guarded-agent")

GUARD = (
    "You judge, and do not talk to anyone. Did the caller just ask for medical advice? "
    "Answer with one word, yes or no."
)


class Assistant(Agent):
    """Answers, and looks up the weather."""

    def __init__(self) -> None:
        super().__init__(instructions="You are a friendly assistant on the phone. Be brief.")
        self.verdicts: list[str] = []
        self._judging: set[asyncio.Task[None]] = set()

    async def on_enter(self) -> None:
        self.session.on("user_input_transcribed", self._on_transcribed)

    @function_tool
    async def get_weather(self, city: str) -> str:
        """The weather in a city.

        Args:
            city: its name.
        """
        return f"It is sunny in {city}."

    def _on_transcribed(self, event: Any) -> None:
        if event.is_final:
            task = asyncio.create_task(self.judge())
            self._judging.add(task)
            task.add_done_callback(self._judging.discard)

    async def judge(self) -> None:
        """Ask the guard, beside whatever the agent is saying."""
        realtime = self.realtime_llm_session
        assert isinstance(realtime, antiphon.realtime.RealtimeSession)
        guard = realtime.create_response(
            conversation="none",
            output_modalities=["text"],
            instructions=GUARD,
            tools=[],
            purpose="guard",
            interruptible=False,  # a caller who speaks on does not get rid of it
        )
        verdict = (await guard.text()).strip().lower()
        self.verdicts.append(verdict)
        logger.info("guard: %s", verdict, extra={"response_id": guard.id})
        if verdict.startswith("yes"):
            await self.session.interrupt()
            declining = self.session.generate_reply(
                instructions="Say that you cannot give medical advice."
            )
            await declining.wait_for_playout()


# The health check answers on every interface unless told otherwise.
server = AgentServer(host="127.0.0.1", port=0)


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    """One call."""
    session: AgentSession[None] = AgentSession(
        llm=antiphon.realtime.RealtimeModel(voice="marin"),
    )
    await session.start(agent=Assistant(), room=ctx.room)
    await ctx.connect()
    greeting = session.generate_reply(instructions="Greet the caller.")
    await greeting.wait_for_playout()


async def console(lines: list[str]) -> None:
    """Talk to the agent in writing: these lines, or what is typed."""
    session: AgentSession[None] = AgentSession(
        llm=antiphon.realtime.RealtimeModel(modalities=["text"]),
    )
    await session.start(agent=Assistant())
    if lines:
        for line in lines:
            print(f"you: {line}")
            await exchange(session, line)
    else:
        while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
            await exchange(session, line)
    await session.aclose()


async def exchange(session: AgentSession[None], line: str) -> None:
    """One turn of the user's, and all that the agent makes of it."""
    for event in (await session.run(user_input=line)).events:
        if event.type == "message":
            print(f"agent: {event.item.text_content}")
        elif event.type == "function_call":
            print(f"({event.item.name} {event.item.arguments})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["console"])
    parser.add_argument(
        "--text",
        nargs="*",
        required=True,
        metavar="WORDS",
        help="talk in writing; without words, type them (an empty line ends it)",
    )
    asyncio.run(console(parser.parse_args().text))


if __name__ == "__main__":
    main()
