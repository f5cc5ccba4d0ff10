"""An agent for workers: each job is one conversation with a session of its own, without a room."""

import json
import os
import time
from pathlib import Path
from typing import Any

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, function_tool

from livekit.plugins import antiphon

__all__ = ["server"]


class Clerk(Agent):
    def __init__(self, job: str) -> None:
        super().__init__(instructions=f"You serve job {job}.")

    @function_tool
    async def look_up(self, number: str) -> str:
        """Look a number up."""
        return f"number {number} is fine"


# Eight processes that start at once on a small machine take their time.
server = AgentServer(host="127.0.0.1", port=0, initialize_process_timeout=60.0)


@server.rtc_session()
async def entrypoint(ctx: JobContext) -> None:
    began = time.time()
    model = antiphon.realtime.RealtimeModel(modalities=["text"])
    session: AgentSession[None] = AgentSession(llm=model)
    agent = Clerk(ctx.job.id)
    await session.start(agent=agent)
    started = time.time()
    realtime = agent.realtime_llm_session
    assert isinstance(realtime, antiphon.realtime.RealtimeSession)
    result: Any = await session.run(user_input=f"This is {ctx.job.id}: {ctx.job.metadata}.")
    guard = realtime.create_response(
        conversation="none", instructions=f"Judge {ctx.job.id}.", purpose="guard"
    )
    _report(
        {
            "job": ctx.job.id,
            "pid": os.getpid(),
            "parent": os.getppid(),
            "answer": result.events[-1].item.text_content,
            "tools": sum(one.type == "function_call" for one in result.events),
            "guard": await guard.text(),
            "chat": len(realtime.chat_ctx.items),
            "start_s": started - began,
            "whole_s": time.time() - began,
            "memory_mb": _memory_mb(),
            "cpu_s": sum(os.times()[:2]),
        }
    )
    await session.aclose()
    ctx.shutdown("done")


def _report(facts: dict[str, Any]) -> None:
    file = Path(os.environ["ANTIPHON_TEST_REPORTS"], f"{facts['job']}.json")
    file.write_text(json.dumps(facts))


def _memory_mb() -> float:
    """What this process holds, shared pages counted by their share."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0
