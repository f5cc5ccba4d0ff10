"""I3: whatever goes wrong, every stream ends and every future is answered."""

import asyncio
import random
from typing import Any

import pytest
from livekit.agents import llm

from antiphon.emulator import Chance, Faults, Pace, answer, call, fail, say
from antiphon.livekit import RealtimeSession
from tests.livekit.harness import Watched, emulated, open_session

__all__: list[str] = []

STEPS = [
    say("A story of some length.", ms=1500),
    answer(say("One moment."), call("lookup", {"city": "Oslo"})),
    fail("server_error", after=say("I was", ms=300)),
    say("Short."),
]
FAULTS = {
    "calm": None,
    "late": Chance(delay=0.3, max_delay_s=0.05),
    "lossy": Chance(drop=0.1, malformed=0.05),
    "cut": Chance(abort=0.01),
    "twice": Chance(duplicate=0.2, only="response.*"),
}


async def act(it: Watched, dice: random.Random, waiting: list[asyncio.Future[Any]]) -> None:
    """One thing that a framework or an application may do."""
    session: RealtimeSession = it.session
    match dice.choice(["reply", "reply", "side", "interrupt", "cancel", "context", "raw"]):
        case "reply":
            waiting.append(session.generate_reply())
        case "side":
            waiting.append(session.generate_reply(conversation="none"))
        case "interrupt":
            _ = session.interrupt()
        case "cancel" if waiting:
            dice.choice(waiting).cancel()
        case "context":
            ctx = session.chat_ctx.copy()
            ctx.add_message(role="user", content="And now?")
            waiting.append(asyncio.ensure_future(session.update_chat_ctx(ctx)))
        case "raw":
            session.send_event({"type": "response.create"})
    await asyncio.sleep(dice.choice([0, 0, 0.005, 0.02]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("weather", FAULTS)
async def test_everything_ends(weather: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(f"{weather}{seed}")
    chance = FAULTS[weather]
    faults = Faults(chance=chance) if chance is not None else None
    pace = Pace(first_output_ms=2, audio_ms_per_delta=100, speed=30)
    steps = [step.always() for step in [dice.choice(STEPS)]]
    waiting: list[asyncio.Future[Any]] = []
    async with emulated(*steps, pace=pace, faults=faults, seed=seed) as server:
        async with open_session("antiphon", server) as it:
            for _ in range(30):
                await act(it, dice, waiting)
        # The session is closed: nothing may be left open.
        for read in it.reads:
            await read.whole()
        done, pending = await asyncio.wait(waiting, timeout=5) if waiting else (set(), set())
    assert not pending
    for future in done:
        if not future.cancelled() and future.exception() is not None:
            assert isinstance(future.exception(), llm.RealtimeError), future.exception()
    assert "a listener failed" not in caplog.text


@pytest.mark.parametrize("seed", range(3))
async def test_everything_ends_well_in_calm_weather(seed: int) -> None:
    """Without faults, all that was not interrupted is whole, and the server agrees on the rest."""
    dice = random.Random(seed)
    pace = Pace(first_output_ms=2, audio_ms_per_delta=50, speed=30)
    async with (
        emulated(say("A story of some length.", ms=900).always(), pace=pace) as server,
        open_session("antiphon", server) as it,
    ):
        waiting: list[asyncio.Future[Any]] = []
        for _ in range(25):
            await act(it, dice, waiting)
        await asyncio.wait(waiting, timeout=5)
        for read in it.reads:
            await read.whole()
        await it.settled()
        stopped = {one["response_id"] for one in it.engine.received_of("response.cancel")}
        for read in it.reads:
            status = it.engine.finished_responses[read.id]
            pcm = b"".join(one.pcm for one in read.messages)
            assert status in ("completed", "cancelled")
            if read.id not in stopped:  # a cancel may also cross the natural end (P-14)
                assert status == "completed"
                assert len(pcm) == 900 * 48
            assert {span for one in read.messages for span in one.tags} <= {_tag(read.id)}


def _tag(response_id: str) -> int:
    from antiphon.emulator.audio import speech

    return speech.tag_of(response_id)
