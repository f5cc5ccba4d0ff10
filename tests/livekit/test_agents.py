"""Whole agents in text mode: `AgentSession` with tools, without a room."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, APIConnectOptions, function_tool, llm

from antiphon.emulator import Answer, EmulatorServer, Pace, call, say
from antiphon.livekit import RealtimeSession
from examples.livekit_agent import Assistant
from tests.livekit.harness import RETRY, both, emulated, plugin_module, until

__all__: list[str] = []

SLOW = Pace(first_output_ms=5, text_interval_ms=5, audio_ms_per_delta=50, speed=10)


class Helper(Agent):
    """An agent with one tool."""

    def __init__(self) -> None:
        super().__init__(instructions="Be brief.")
        self.asked: list[str] = []

    @function_tool
    async def get_weather(self, city: str) -> str:
        """The weather in a city."""
        self.asked.append(city)
        return f"sunny in {city}"


@asynccontextmanager
async def started(
    plugin: str, server: EmulatorServer, agent: Agent | None = None, **options: Any
) -> AsyncIterator[Any]:
    options = {"modalities": ["text"], **options}
    model = plugin_module(plugin).realtime.RealtimeModel(
        base_url=server.http_url, api_key="x", conn_options=RETRY, **options
    )
    session: Any = AgentSession(llm=model)
    await session.start(agent or Helper())
    try:
        yield session
    finally:
        async with asyncio.timeout(10):
            await session.aclose()
            await model.aclose()


def told(result: Any) -> list[tuple[str, str]]:
    """What happened in a run: kind, and name or text."""
    found = []
    for event in result.events:
        item = event.item
        found.append((item.type, getattr(item, "name", "") or item.text_content or ""))
    return found


@both()
async def test_a_turn(plugin: str) -> None:
    async with emulated(say("Hello.")) as server, started(plugin, server) as session:
        result = await session.run(user_input="Hi.")
        assert told(result) == [("message", "Hello.")]
        history = [(one.role, one.text_content) for one in session.history.messages()]
        assert history[-2:] == [("user", "Hi."), ("assistant", "Hello.")]


@both()
async def test_a_tool(plugin: str) -> None:
    agent = Helper()
    steps: list[Answer] = [
        call("get_weather", {"city": "Oslo"}),
        say("It is sunny.").when(tool_output="sunny in Oslo"),
    ]
    async with emulated(*steps) as server, started(plugin, server, agent) as session:
        result = await session.run(user_input="What is the weather in Oslo?")
        assert told(result) == [
            ("function_call", "get_weather"),
            ("function_call_output", "get_weather"),
            ("message", "It is sunny."),
        ]
        assert agent.asked == ["Oslo"]
        result.expect.next_event().is_function_call(name="get_weather", arguments={"city": "Oslo"})


@both()
async def test_two_tools_and_two_rounds(plugin: str) -> None:
    agent = Helper()
    from antiphon.emulator import answer

    steps = [
        answer(call("get_weather", {"city": "Oslo"}), call("get_weather", {"city": "Rome"})),
        call("get_weather", {"city": "Bern"}),
        say("Sunny everywhere."),
    ]
    async with emulated(*steps) as server, started(plugin, server, agent) as session:
        result = await session.run(user_input="Weather?")
        assert sorted(agent.asked) == ["Bern", "Oslo", "Rome"]
        assert told(result)[-1] == ("message", "Sunny everywhere.")


@both()
async def test_conversation_goes_on(plugin: str) -> None:
    async with emulated(*(say(f"{n}.") for n in range(3))) as server:
        async with started(plugin, server) as session:
            for number in range(3):
                result = await session.run(user_input=f"Turn {number}.")
                assert told(result) == [("message", f"{number}.")]
            assert len(server.sessions[-1].item_ids) == 6


@both("A reply right after an interruption")
async def test_reply_right_after_an_interruption(plugin: str) -> None:
    """livekit/agents #5642, through the framework and in text mode."""
    async with (
        emulated(
            say("A very long story. " * 500), say("Next."), pace=SLOW, cancel_latency_ms=1000
        ) as server,
        started(plugin, server) as session,
    ):
        speech = session.generate_reply(user_input="Tell me a story.")
        speaking = asyncio.Event()
        session.on(
            "agent_state_changed",
            lambda event: speaking.set() if event.new_state == "speaking" else None,
        )
        async with asyncio.timeout(10):
            await speaking.wait()
            await session.interrupt()
            result = await session.run(user_input="Stop. What else?")
        assert speech.interrupted
        assert told(result) == [("message", "Next.")]


async def test_interruptions_again_and_again() -> None:
    async with (
        emulated(say("A very long story. " * 500).always(), pace=SLOW) as server,
        started("antiphon", server) as session,
    ):
        await until(lambda: bool(server.sessions))
        engine = server.sessions[-1]
        for number in range(1, 11):
            speech = session.generate_reply(user_input="Tell me a story.")

            def under_way(number: int = number) -> bool:
                made = len(engine.finished_responses) + len(engine.active_responses)
                return made == number

            await until(under_way)
            session.interrupt()
            async with asyncio.timeout(5):
                await speech.wait_for_playout()
        await until(lambda: len(engine.finished_responses) == 10)
        assert set(engine.finished_responses.values()) == {"cancelled"}
        ids = [one.get("response_id") for one in engine.received_of("response.cancel")]
        assert set(ids) == set(engine.finished_responses)


@both()
async def test_agent_handoff(plugin: str) -> None:
    class Second(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="You are the second.")

    class First(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="You are the first.")

        @function_tool
        async def pass_on(self) -> tuple[Agent, str]:
            """Pass the caller on."""
            return Second(), "passed on"

    steps = [call("pass_on", {}), say("Passed on.").always()]
    async with emulated(*steps) as server, started(plugin, server, First()) as session:
        await session.run(user_input="Somebody else, please.")
        assert isinstance(session.current_agent, Second)
        result = await session.run(user_input="Who are you?")
        assert told(result) == [("message", "Passed on.")]
        configured = server.sessions[-1].received_of("session.update")
        assert any(
            one["session"].get("instructions") == "You are the second." for one in configured
        )


@pytest.mark.skipif(
    not hasattr(llm, "RealtimeModelFallbackAdapter"), reason="this livekit-agents has none yet"
)
async def test_fallback_from_one_endpoint_to_another() -> None:
    async with emulated() as gone:
        nowhere = gone.http_url
    make = plugin_module("antiphon").realtime.RealtimeModel
    once = APIConnectOptions(max_retry=0, retry_interval=0.01, timeout=1.0)
    async with emulated(say("From the second.")) as server:
        model = llm.RealtimeModelFallbackAdapter(
            [
                make(base_url=nowhere, api_key="x", modalities=["text"], conn_options=once),
                make(base_url=server.http_url, api_key="x", modalities=["text"]),
            ]
        )
        session: Any = AgentSession(llm=model)
        await session.start(Helper())
        async with asyncio.timeout(10):
            result = await session.run(user_input="Hi.")
            await session.aclose()
        assert told(result) == [("message", "From the second.")]


async def test_a_tool_that_returns_half_an_emoji_is_answered() -> None:
    """As a backend in JavaScript cuts strings; the agent stayed "thinking" for ever."""

    class Cutting(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="Be brief \ud83d")

        @function_tool
        async def get_reviews(self) -> str:
            """What people say."""
            return "great \ud83d"

    steps = [call("get_reviews", {}), say("People like it.").when(tool_output="great \ufffd")]
    async with emulated(*steps) as server, started("antiphon", server, Cutting()) as session:
        async with asyncio.timeout(10):
            result = await session.run(user_input="What do people say \ud83d?")
        assert told(result)[-1] == ("message", "People like it.")
        await until(lambda: session.agent_state != "thinking")


# --- what the framework's interruptions mean for responses beside the conversation ---------------


class Passing(Helper):
    """An agent that can pass the caller on."""

    @function_tool
    async def pass_on(self) -> tuple[Agent, str]:
        """Pass the caller on."""
        return Helper(), "passed on"


@pytest.mark.parametrize("tool", ["get_weather", "pass_on"])
@pytest.mark.parametrize(
    ("option", "survives"), [("always", False), ("on_speech", True), ("never", True)]
)
async def test_a_tools_reply_and_a_handoff_interrupt_too(
    option: str, survives: bool, tool: str
) -> None:
    """Nobody speaks here: the framework interrupts before it asks for the next reply."""
    agent = Passing()
    steps = [
        say("On and on. " * 2000).when(lane="out_of_band"),
        call(tool, {"city": "Oslo"} if tool == "get_weather" else {}),
        say("There you are.").always(),
    ]
    pace = Pace(first_output_ms=5, text_interval_ms=5)
    async with (
        emulated(*steps, pace=pace) as server,
        started("antiphon", server, agent, interrupt_out_of_band=option) as session,
    ):
        realtime = agent.realtime_llm_session
        assert isinstance(realtime, RealtimeSession)
        side = realtime.create_response(conversation="none", output_modalities=["text"])
        await side.created
        result = await session.run(user_input="Go on.")
        assert "function_call" in [event.item.type for event in result.events]
        if session.current_agent.realtime_llm_session is not realtime:
            pytest.skip("this livekit-agents opens a new session at a handoff")
        engine = server.sessions[-1]
        if survives:
            assert side.outcome is None and engine.active_responses == [side.id]
        else:
            assert (await side.done).kind == "cancelled"


# --- the example: a guard beside the conversation ----------------------------------------------


async def test_guard_beside_an_answer() -> None:
    agent = Assistant()
    steps = [
        say("Two aspirins, I would say. " * 400),
        say("yes").when(lane="out_of_band"),
        say("I cannot give medical advice."),
    ]
    async with (
        emulated(*steps, pace=SLOW, cancel_latency_ms=50) as server,
        started("antiphon", server, agent) as session,
    ):
        answer = session.generate_reply(user_input="My head hurts. What shall I take?")
        await until(lambda: bool(server.sessions[-1].active_responses))
        async with asyncio.timeout(5):
            await agent.judge()
            await answer.wait_for_playout()
        assert agent.verdicts == ["yes"]
        assert answer.interrupted
        engine = server.sessions[-1]
        await until(lambda: len(engine.finished_responses) == 3)
        assert list(engine.finished_responses.values()) == ["completed", "cancelled", "completed"]
        texts = [one.text_content for one in session.history.messages()]
        await until(
            lambda: any(
                one.text_content == "I cannot give medical advice."
                for one in session.history.messages()
            )
        )
        assert "yes" not in texts


async def test_guard_that_has_no_objection() -> None:
    agent = Assistant()
    steps = [say("Hello."), say("no").when(lane="out_of_band")]
    async with emulated(*steps) as server, started("antiphon", server, agent) as session:
        result = await session.run(user_input="Hi.")
        await agent.judge()
        assert agent.verdicts == ["no"]
        assert told(result) == [("message", "Hello.")]
        realtime = agent.realtime_llm_session
        assert isinstance(realtime, RealtimeSession)
        assert len(realtime.chat_ctx.items) == 2


async def test_an_answer_that_was_made_out_of_band_can_be_said() -> None:
    """`say(text, audio=handle.audio_frames)` plays it as a speech of the agent's."""
    from livekit.agents.voice import io

    from livekit import rtc

    class Loudspeaker(io.AudioOutput):
        def __init__(self) -> None:
            super().__init__(
                label="test",
                capabilities=io.AudioOutputCapabilities(pause=False),
                sample_rate=24000,
            )
            self.played = 0.0

        async def capture_frame(self, frame: rtc.AudioFrame) -> None:
            await super().capture_frame(frame)
            self.played += frame.duration

        def flush(self) -> None:
            super().flush()
            self.on_playback_finished(playback_position=self.played, interrupted=False)

        def clear_buffer(self) -> None: ...

    agent = Helper()
    async with (
        emulated(say("One moment.", ms=700)) as server,
        started("antiphon", server, agent, modalities=["audio"]) as session,
    ):
        loudspeaker = session.output.audio = Loudspeaker()
        realtime = agent.realtime_llm_session
        assert isinstance(realtime, RealtimeSession)
        filler = realtime.create_response(conversation="none", instructions="Say: one moment.")
        speech = session.say("One moment.", audio=filler.audio_frames)
        async with asyncio.timeout(5):
            await speech.wait_for_playout()
        assert loudspeaker.played == pytest.approx(0.7, abs=0.02)
