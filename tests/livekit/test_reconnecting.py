"""What the caller and the tools are owed when the connection is replaced under them."""

import asyncio
from typing import Any

import pytest
from livekit.agents import Agent, AgentSession, APIConnectOptions, function_tool, llm
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from antiphon.emulator import Pace, call, say
from antiphon.emulator.audio import speech
from tests.livekit.harness import BOTH, RETRY, emulated, open_session, plugin_module, pushed, until

__all__: list[str] = []

VAD = ServerVad(type="server_vad", silence_duration_ms=200)
WORD = speech.user_voice(500) + bytes(48 * 500)
# Long enough to say a word before the next connection is tried.
OUTAGE = APIConnectOptions(max_retry=3, retry_interval=0.3, timeout=5.0)


@BOTH
async def test_a_word_spoken_during_an_outage_is_answered(plugin: str) -> None:
    async with (
        emulated(say("I heard you."), hears=["Hello?"]) as server,
        open_session(plugin, server, turn_detection=VAD, conn_options=OUTAGE) as it,
    ):
        await it.settled()
        server.clear()
        await it.told("error")
        pushed(it.session, WORD)
        assert it.all("session_reconnected") == []
        await it.told("session_reconnected")
        generation = await it.told("generation_created")
        assert (await it.read_of(generation).whole()).text == "I heard you."
        await until(lambda: it.chat() == [("user", "Hello?"), ("assistant", "I heard you.")])


async def test_a_word_cut_by_the_loss_is_heard_whole() -> None:
    half = len(WORD) // 4
    async with (
        emulated(say("I heard you."), hears=["Hello?"]) as server,
        open_session("antiphon", server, turn_detection=VAD, conn_options=OUTAGE) as it,
    ):
        pushed(it.session, WORD[:half])
        await it.told("input_speech_started")
        server.clear()
        await it.told("error")
        pushed(it.session, WORD[half:])
        generation = await it.told("generation_created")
        assert (await it.read_of(generation).whole()).text == "I heard you."
        await until(lambda: it.chat()[0] == ("user", "Hello?"))  # the words may come later


async def test_what_was_said_long_ago_is_not_answered() -> None:
    """Five seconds are kept; who spoke before that has asked again since, or hung up."""
    async with (
        emulated(say("I heard you."), hears=["Hello?"]) as server,
        open_session("antiphon", server, turn_detection=VAD, conn_options=OUTAGE) as it,
    ):
        await it.settled()
        server.clear()
        await it.told("error")
        pushed(it.session, WORD + bytes(48 * 6000))
        await it.told("session_reconnected")
        await it.settled()
        assert it.all("generation_created") == [] and it.all("input_speech_started") == []
        dropped = it.session.client.counters["audio_bytes_dropped_offline"]
        assert dropped == len(WORD) + 48 * 6000 - 48 * 5000


async def test_a_tool_that_runs_while_the_connection_is_replaced() -> None:
    steps = [call("f", {"a": 1}), say("It is 7.").when(tool_output="7")]
    async with emulated(*steps) as server, open_session("antiphon", server) as it:
        (asked,) = (await it.reply()).calls
        server.clear()
        await it.told("session_reconnected")
        ctx = it.session.chat_ctx.copy()
        ctx.items.append(
            llm.FunctionCallOutput(call_id=asked.call_id, name="f", output="7", is_error=False)
        )
        await it.session.update_chat_ctx(ctx)
        assert it.chat() == [("call", 'f{"a": 1}'), ("output", "7")]
        assert (await it.reply()).text == "It is 7."
        assert [one for one in it.all("error") if not one.recoverable] == []


async def test_an_output_that_is_sent_while_there_is_no_connection() -> None:
    steps = [call("f", {"a": 1}), say("It is 7.").when(tool_output="7")]
    async with (
        emulated(*steps) as server,
        open_session("antiphon", server, conn_options=OUTAGE) as it,
    ):
        (asked,) = (await it.reply()).calls
        server.clear()
        await it.told("error")
        ctx = it.session.chat_ctx.copy()
        ctx.items.append(
            llm.FunctionCallOutput(call_id=asked.call_id, name="f", output="7", is_error=False)
        )
        await it.session.update_chat_ctx(ctx)
        assert it.chat() == [("call", 'f{"a": 1}'), ("output", "7")]
        assert (await it.reply()).text == "It is 7."


async def test_a_call_that_was_cut_by_the_loss_is_not_told_again() -> None:
    """Nobody was given it, so nobody will answer it."""
    pace = Pace(first_output_ms=5, text_interval_ms=50)
    async with (
        emulated(call("f", {"text": "on and on " * 50}), pace=pace) as server,
        open_session("antiphon", server) as it,
    ):
        wrote = asyncio.Event()
        it.session.client.on("response.function_call_arguments.delta", lambda _: wrote.set())
        await it.session.generate_reply()
        async with asyncio.timeout(5):
            await wrote.wait()
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert it.chat() == [] and it.engine.item_ids == []
        assert (await it.reply()).text == "Yes."


@pytest.mark.parametrize("why", ["loss", "rotation"])
async def test_an_agents_tool_outlives_its_connection(why: str) -> None:
    class Slow(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="Be brief.")
            self.asked = asyncio.Event()
            self.answer = asyncio.Event()

        @function_tool
        async def look_up(self) -> str:
            """Look it up."""
            self.asked.set()
            await self.answer.wait()
            return "it is 7"

    agent = Slow()
    steps = [call("look_up", {}), say("It is 7.").when(tool_output="it is 7")]
    options: dict[str, Any] = {"conn_options": RETRY}
    if why == "rotation":
        options["max_session_duration"] = 1.0
    async with emulated(*steps) as server:
        model = plugin_module("antiphon").realtime.RealtimeModel(
            base_url=server.http_url, modalities=["text"], **options
        )
        session: Any = AgentSession(llm=model)
        await session.start(agent)
        async with asyncio.timeout(20):
            running = session.run(user_input="What is it?")
            await agent.asked.wait()
            if why == "loss":
                server.clear()
                await until(lambda: bool(server.sessions) and len(server.sessions[-1].received) > 1)
            else:
                await asyncio.sleep(1.5)  # past the time for a replacement
            agent.answer.set()
            result = await running
            await session.aclose()
        said = [one.item.text_content for one in result.events if one.item.type == "message"]
        assert said == ["It is 7."]
