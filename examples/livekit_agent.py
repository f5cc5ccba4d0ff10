"""A voice agent that is watched while it speaks.

The agent answers the caller. Beside each of its answers a second response judges what the caller
asked, out of band: it is not heard, it enters no chat context, and it does not hold up the answer.
When it objects, the answer is stopped, and the agent declines instead.

    python -m livekit.agents start examples/livekit_agent.py     # with LIVEKIT_URL, … and a key set
"""

import asyncio
import logging
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
