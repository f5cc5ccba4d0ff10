"""One response at a time: both plugins tell the framework the same."""

import asyncio
from typing import Any

import pytest
from livekit.agents import llm

from antiphon.emulator import (
    Faults,
    Pace,
    answer,
    call,
    fail,
    incomplete,
    on,
    say,
    silence,
    text,
)
from antiphon.emulator.audio import speech
from tests.livekit.harness import BOTH, emulated, open_session, until

__all__: list[str] = []

SLOW = Pace(first_output_ms=5, audio_ms_per_delta=100, speed=20, text_interval_ms=5)


@BOTH
async def test_spoken_reply(plugin: str) -> None:
    async with emulated(say("Hello there.", ms=400)) as server, open_session(plugin, server) as it:
        reply = await it.reply()
        (message,) = reply.messages
        assert message.modalities == ["audio", "text"]
        assert message.text == "Hello there."
        assert speech.spans(message.pcm) == [speech.Span(speech.tag_of(reply.id), 0, 400)]
        assert reply.calls == []
        assert reply.event.user_initiated
        await it.told("metrics_collected")
        assert it.chat() == [("assistant", "Hello there.")]
        assert [one.id for one in it.session.chat_ctx.items] == [message.item_id]


@BOTH
async def test_written_reply_in_text_mode(plugin: str) -> None:
    async with (
        emulated(say("Hello.")) as server,
        open_session(plugin, server, modalities=["text"]) as it,
    ):
        reply = await it.reply()
        (message,) = reply.messages
        assert (message.modalities, message.text, message.pcm) == (["text"], "Hello.", b"")


@BOTH
async def test_written_reply_in_audio_mode(plugin: str) -> None:
    async with emulated(text("Written.")) as server, open_session(plugin, server) as it:
        (message,) = (await it.reply()).messages
        assert (message.modalities, message.text, message.pcm) == (["text"], "Written.", b"")


@BOTH
async def test_events_come_in_this_order(plugin: str) -> None:
    async with emulated(say("Hello.", ms=200)) as server, open_session(plugin, server) as it:
        await it.reply()
        await it.told("metrics_collected")
        assert it.names == ["generation_created", "remote_item_added", "metrics_collected"]


@BOTH
async def test_function_call(plugin: str) -> None:
    step = answer(say("One moment."), call("lookup", {"city": "Oslo"}, call_id="call_1"))
    async with emulated(step) as server, open_session(plugin, server) as it:
        reply = await it.reply()
        (made,) = reply.calls
        assert (made.name, made.arguments, made.call_id) == ("lookup", '{"city": "Oslo"}', "call_1")
        assert made.id == it.session.chat_ctx.items[1].id
        assert reply.text == "One moment."
        await it.told("metrics_collected")
        assert it.chat()[0] == ("assistant", "One moment.")


@BOTH
async def test_chat_context_has_the_arguments_of_calls(plugin: str) -> None:
    async with (
        emulated(call("lookup", {"city": "Oslo"})) as server,
        open_session(plugin, server) as it,
    ):
        await it.reply()
        await it.told("metrics_collected")
        assert it.chat() == [("call", 'lookup{"city": "Oslo"}')]


@BOTH
async def test_several_messages_in_one_response(plugin: str) -> None:
    step = answer(say("First.", ms=200), say("Second.", ms=300))
    async with emulated(step) as server, open_session(plugin, server) as it:
        reply = await it.reply()
        assert [one.text for one in reply.messages] == ["First.", "Second."]
        assert [len(one.pcm) for one in reply.messages] == [200 * 48, 300 * 48]
        await it.told("metrics_collected")
        assert it.chat() == [("assistant", "First."), ("assistant", "Second.")]


@BOTH
async def test_response_without_items_ends(plugin: str) -> None:
    async with emulated(silence()) as server, open_session(plugin, server) as it:
        reply = await it.reply()
        assert (reply.messages, reply.calls) == ([], [])


@BOTH
async def test_replies_one_after_another(plugin: str) -> None:
    async with emulated(say("One."), say("Two.")) as server, open_session(plugin, server) as it:
        first, second = await it.reply(), await it.reply()
        assert (first.text, second.text) == ("One.", "Two.")
        assert first.id != second.id


@BOTH
async def test_metrics_of_a_reply(plugin: str) -> None:
    async with (
        emulated(say("Hello there.", ms=400)) as server,
        open_session(plugin, server, model="gpt-other") as it,
    ):
        reply = await it.reply()
        metrics = await it.told("metrics_collected")
        (done,) = [one for one in it.engine.finished_responses if one == reply.id]
        assert metrics.request_id == done
        assert metrics.type == "realtime_model_metrics"
        assert not metrics.cancelled
        assert 0 <= metrics.ttft <= metrics.duration
        assert metrics.output_tokens > 0
        assert metrics.total_tokens == metrics.input_tokens + metrics.output_tokens
        assert metrics.output_token_details.audio_tokens > 0
        assert metrics.metadata.model_name == "gpt-other"
        assert metrics.metadata.model_provider.startswith("127.0.0.1:")
        assert metrics.label.endswith("RealtimeModel")


async def test_metrics_are_the_same_numbers() -> None:
    found: list[dict[str, Any]] = []
    for plugin in ("antiphon", "stock"):
        async with (
            emulated(say("Hello.", ms=200)) as server,
            open_session(plugin, server, model="gpt-other") as it,
        ):
            await it.reply()
            metrics = (await it.told("metrics_collected")).model_dump()
            for name in ("timestamp", "duration", "ttft", "tokens_per_second", "request_id"):
                assert metrics.pop(name)
            metrics["label"] = metrics["metadata"]["model_provider"] = ""
            found.append(metrics)
    assert found[0] == found[1]


@BOTH
async def test_text_mode_counts_its_first_text(plugin: str) -> None:
    async with (
        emulated(say("Hello.")) as server,
        open_session(plugin, server, modalities=["text"]) as it,
    ):
        await it.reply()
        assert (await it.told("metrics_collected")).ttft >= 0


@BOTH
async def test_the_transcript_of_speech_is_no_first_token(plugin: str) -> None:
    async with emulated(say("Hello.", ms=0)) as server, open_session(plugin, server) as it:
        assert (await it.reply()).text == "Hello."
        assert (await it.told("metrics_collected")).ttft == -1


@BOTH
async def test_a_call_alone_has_no_first_token(plugin: str) -> None:
    async with emulated(call("lookup", {})) as server, open_session(plugin, server) as it:
        await it.reply()
        assert (await it.told("metrics_collected")).ttft == -1


@BOTH
async def test_interruption_ends_the_reply(plugin: str) -> None:
    async with (
        emulated(say("A long story.", ms=60_000), pace=SLOW) as server,
        open_session(plugin, server) as it,
    ):
        event = await it.session.generate_reply()
        read = it.read_of(event)
        await until(lambda: len(it.all("remote_item_added")) == 1)
        it.session.interrupt()
        await read.whole()
        metrics = await it.told("metrics_collected")
        assert metrics.cancelled
        assert it.engine.finished_responses == {read.id: "cancelled"}
        (said,) = it.chat()
        assert said[0] == "assistant"
        assert "A long story.".startswith(said[1])


@BOTH
async def test_interruption_of_nothing_sends_nothing(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.reply()
        await it.told("metrics_collected")
        it.session.interrupt()
        await it.settled()
        assert it.engine.received_of("response.cancel") == []


@BOTH
async def test_instructions_are_added_to_those_of_the_session(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_instructions("Be brief.")
        await it.reply(instructions="Say hello.")
        (asked,) = it.engine.received_of("response.create")
        assert asked["response"]["instructions"] == "Be brief.\nSay hello."
        updates = it.engine.received_of("session.update")
        assert updates[-1]["session"]["instructions"] == "Be brief."


@BOTH
async def test_tools_of_one_response(plugin: str) -> None:
    @llm.function_tool
    async def lookup(city: str) -> str:
        """Look a city up."""
        return city

    async with emulated() as server, open_session(plugin, server) as it:
        await it.reply(
            tools=[lookup],
            tool_choice={"type": "function", "function": {"name": "lookup"}},
        )
        (asked,) = it.engine.received_of("response.create")
        (tool,) = asked["response"]["tools"]
        assert (tool["type"], tool["name"]) == ("function", "lookup")
        assert tool["description"] == "Look a city up."
        assert tool["parameters"]["required"] == ["city"]
        assert asked["response"]["tool_choice"] == {"type": "function", "name": "lookup"}


@BOTH
async def test_refused_reply_fails_at_once_with_its_code(plugin: str) -> None:
    @llm.function_tool(description="x" * 2000)  # P-217: too long
    async def lookup() -> None: ...

    async with emulated() as server, open_session(plugin, server) as it:
        with pytest.raises(llm.RealtimeError) as refused:
            async with asyncio.timeout(5):
                await it.session.generate_reply(tools=[lookup])
        assert refused.value.code == "string_above_max_length"
        assert (await it.told("error")).recoverable
        assert (await it.reply()).text == "Yes."


@BOTH
async def test_failed_response_is_a_recoverable_error(plugin: str) -> None:
    step = fail("inference_rate_limit_exceeded", "Too fast.", after=say("I was", ms=100))
    async with emulated(step, say("Again.")) as server, open_session(plugin, server) as it:
        reply = await it.reply()
        assert reply.text == "I was"
        error = await it.told("error")
        assert error.recoverable
        assert error.error.body.code == "inference_rate_limit_exceeded"
        assert (await it.reply()).text == "Again."


@BOTH
async def test_fatal_failure_ends_the_session(plugin: str) -> None:
    async with (
        emulated(fail("insufficient_quota", "No money.")) as server,
        open_session(plugin, server) as it,
    ):
        await it.session.generate_reply()
        error = await it.told("error")
        assert not error.recoverable
        assert error.error.body.code == "insufficient_quota"
        await until(lambda: server.connections == 0)
        assert len(server.sessions) == 1
        assert len(it.all("error")) == 1


@BOTH
async def test_incomplete_response_just_ends(plugin: str) -> None:
    step = incomplete("max_output_tokens", after=say("And then", ms=100))
    async with emulated(step) as server, open_session(plugin, server) as it:
        reply = await it.reply()
        assert reply.text == "And then"
        await it.told("metrics_collected")
        assert it.all("error") == []


@BOTH
async def test_say_is_left_to_a_voice_of_the_framework(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        assert not getattr(it.session.capabilities, "supports_say", False)
        if hasattr(llm.RealtimeSession, "say"):
            try:
                it.session.say("Hello.")
            except NotImplementedError as said:
                assert "TTS" in str(said)
            else:
                raise AssertionError("say() did not raise")


async def test_a_reply_that_was_never_announced_is_given_whole() -> None:
    """P-311: a server without `response.created`, on a client that counts on it."""
    without = Faults(on("response.created").drop())
    script = say("Hello there.", ms=400)
    async with (
        emulated(script, faults=without) as server,
        open_session("antiphon", server) as it,
    ):
        reply = await it.reply()
        (message,) = reply.messages
        assert message.text == "Hello there."
        assert [(span.start_ms, span.end_ms) for span in speech.spans(message.pcm)] == [(0, 400)]
