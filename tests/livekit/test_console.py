"""A whole agent in a process of its own, spoken to over the framework's console."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from antiphon.emulator import EmulatorServer, Pace, call, say
from antiphon.emulator.audio import speech
from tests.livekit.harness import emulated, until
from tests.livekit.peers.console import Console

__all__: list[str] = []

AGENT = Path(__file__).parent / "peers" / "console_agent.py"
ROOT = Path(__file__).parents[2]
TURN = speech.user_voice(800) + bytes(48 * 700)


class Running:
    """The agent's process, and what it has written down."""

    def __init__(self, console: Console, log: Path) -> None:
        self.console = console
        self._log = log

    def told(self, what: str) -> list[dict[str, Any]]:
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [one for one in map(json.loads, lines) if one["what"] == what]


@asynccontextmanager
async def agent(server: EmulatorServer, log: Path, file: Path = AGENT) -> AsyncIterator[Running]:
    async with Console() as console:
        environment = {
            **os.environ,
            "OPENAI_BASE_URL": server.http_url,
            "OPENAI_API_KEY": "test",
            "ANTIPHON_TEST_LOG": str(log),
            "PYTHONPATH": str(ROOT),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "livekit.agents", "console", str(file),
            "--connect-addr", console.address,
            env=environment, cwd=log.parent,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        running = Running(console, log)
        try:
            await asyncio.wait_for(console.connected.wait(), 30)
            yield running
        finally:
            process.kill()
            await process.wait()


async def test_a_call_with_a_tool_and_a_barge_in(tmp_path: Path) -> None:
    steps = [
        say("Hello, what can I do?", ms=600),
        call("get_weather", {"city": "Oslo"}),
        say("It is sunny in Oslo.", ms=600).when(tool_output="sunny in Oslo"),
        say("Now a very long story, " * 20, ms=120_000),
        say("All right.", ms=600),
    ]
    hears = ["Hi.", "How is the weather?", "Tell me a story.", "Stop."]
    pace = Pace(first_output_ms=20, audio_ms_per_delta=100, speed=10)
    async with (
        emulated(*steps, hears=hears, pace=pace) as server,
        agent(server, tmp_path / "log.jsonl") as running,
    ):
        console = running.console
        await until(lambda: bool(running.told("started")), within=30)
        # A spoken turn, answered.
        await console.say(TURN)
        await until(lambda: len(console.played) == 1, within=20)
        assert abs(console.played[0] - 0.6) < 0.05
        # One that takes a tool.
        await console.say(TURN)
        await until(lambda: len(console.played) == 2, within=20)
        assert [one["city"] for one in running.told("tool")] == ["Oslo"]
        # A long answer, into which the caller speaks.
        await console.say(TURN)
        await asyncio.wait_for(console.speaking.wait(), 20)
        await asyncio.sleep(0.5)
        await console.say(TURN)
        await until(lambda: len(console.played) == 4, within=20)
        assert console.cleared >= 1
        assert console.played[2] < 5
        assert abs(console.played[3] - 0.6) < 0.05
        await until(lambda: len(running.told("assistant")) == 4, within=20)

    (engine,) = server.sessions
    statuses = list(engine.finished_responses.values())
    assert statuses == ["completed", "completed", "completed", "cancelled", "completed"]
    (cut,) = engine.received_of("conversation.item.truncate")
    heard_ms = console.played[2] * 1000
    # Much more had been sent by then.
    assert abs(cut["audio_end_ms"] - heard_ms) < 1000
    assert [one["text"] for one in running.told("user")] == hears
    said = running.told("assistant")
    assert [one["interrupted"] for one in said] == [False, False, True, False]
    assert len(said[2]["text"]) < len("Now a very long story, " * 20)
    assert running.told("error") == []


async def test_the_example_is_stopped_by_its_guard(tmp_path: Path) -> None:
    steps = [
        say("Hello, caller.", ms=600),
        say("Take two aspirins. " * 20, ms=120_000),
        say("yes").when(lane="out_of_band"),
        say("I cannot give medical advice.", ms=700),
    ]
    pace = Pace(first_output_ms=100, audio_ms_per_delta=100, speed=10)
    async with (
        emulated(*steps, hears=["My head hurts, what shall I take?"], pace=pace) as server,
        agent(server, tmp_path / "none", ROOT / "examples" / "livekit_agent.py") as running,
    ):
        console = running.console
        await until(lambda: len(console.played) == 1, within=20)
        await console.say(TURN)
        await until(lambda: len(console.played) >= 2 and console.played[-1] > 0.65, within=20)
        assert all(played < 5 for played in console.played)
    statuses = list(server.sessions[0].finished_responses.values())
    # The greeting, the verdict, the answer that it stopped, and the refusal.
    assert sorted(statuses) == ["cancelled", "completed", "completed", "completed"]
