"""Servers of the API's kind that do it their own way, as an agent's user meets them."""

import asyncio

from livekit.agents import llm
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from antiphon.emulator import Pace, call, say
from antiphon.emulator.audio import speech
from tests.livekit.harness import emulated, open_session, pushed, until

__all__: list[str] = []

VAD = ServerVad(type="server_vad", silence_duration_ms=200)
TURN = speech.user_voice(600) + bytes(48 * 500)


async def heard(model: str) -> tuple[list[tuple[str, bool]], list[tuple[str, str]]]:
    """Transcripts of one turn with this transcriber of xAI's, and the chat context."""
    async with (
        emulated(say("Hello."), hears=["Good morning to you."], of="xai") as server,
        open_session(
            "antiphon", server, turn_detection=VAD, input_audio_transcription={"model": model}
        ) as it,
    ):
        pushed(it.session, TURN)
        await it.told("metrics_collected", 2)
        told = it.all("input_audio_transcription_completed")
        return [(one.transcript, one.is_final) for one in told], it.chat()


async def test_partial_transcripts_of_xai_are_not_final() -> None:
    # P-298: they come as `completed` too, told apart by their status.
    told, chat = await heard("grok")
    partial = ["Good", "Good morning", "Good morning to", "Good morning to you."]
    assert told == [*((words, False) for words in partial), ("Good morning to you.", True)]
    assert chat == [("user", "Good morning to you."), ("assistant", "Hello.")]


async def test_updated_transcripts_of_xai_are_partial() -> None:
    # P-312
    told, chat = await heard("grok-transcribe")
    assert [final for _, final in told] == [False] * (len(told) - 1) + [True]
    assert ("Good morning", False) in told
    assert chat[0] == ("user", "Good morning to you.")


async def test_partial_words_that_come_with_the_item_are_replaced() -> None:
    # P-298: the item may hold the first of them.
    from antiphon.emulator import Faults, on

    def early(event: dict[str, object]) -> dict[str, object]:
        item = event["item"]
        assert isinstance(item, dict)
        part = {"type": "input_audio", "transcript": "Good"}
        return {**event, "item": {**item, "content": [part]}}

    async with (
        emulated(
            say("Hello."),
            hears=["Good morning."],
            faults=Faults(on("conversation.item.added", nth=1).change(early)),
        ) as server,
        open_session("antiphon", server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        await it.told("metrics_collected", 2)
        assert it.chat() == [("user", "Good morning."), ("assistant", "Hello.")]


async def test_usage_of_xai_is_counted() -> None:
    # P-294: it stands beside the response.
    async with emulated(say("Hello there."), of="xai") as server:
        async with open_session("antiphon", server) as it:
            await it.reply()
            counted = await it.told("metrics_collected")
            assert counted.output_tokens > 0
            assert counted.output_token_details.audio_tokens > 0
            assert counted.total_tokens == counted.input_tokens + counted.output_tokens


async def test_a_server_that_cannot_truncate_is_no_trouble() -> None:
    # P-299
    pace = Pace(first_output_ms=5, audio_ms_per_delta=100, speed=20)
    async with (
        emulated(say("A long story.", ms=60_000), of="xai", pace=pace) as server,
        open_session("antiphon", server) as it,
    ):
        spoke = asyncio.Event()
        it.session.client.on("response.output_audio.delta", lambda _: spoke.set())
        await it.session.generate_reply()
        added = await it.told("remote_item_added")
        async with asyncio.timeout(5):
            await spoke.wait()
        await it.session.interrupt()
        it.session.truncate(
            message_id=added.item.id,
            modalities=["audio", "text"],
            audio_end_ms=60,
            audio_transcript="A long",
        )
        await it.received("conversation.item.truncate")
        await it.settled()
        assert it.all("error") == []
        assert it.chat() == [("assistant", "A long")]


async def test_deletions_of_xai_are_acknowledged_without_an_id() -> None:
    # P-313: waiting for one was five seconds long, and ended in an error.
    async with emulated(of="xai") as server, open_session("antiphon", server) as it:
        ctx = llm.ChatContext.empty()
        for words in "abc":
            ctx.add_message(role="user", content=words, id=f"m{words}")
        await it.session.update_chat_ctx(ctx)
        ctx.items = [ctx.items[1]]
        async with asyncio.timeout(3):
            await it.session.update_chat_ctx(ctx)
        assert it.chat() == [("user", "b")]
        assert it.engine.item_ids == ["mb"]
        assert [one.id for one in it.session.client.items] == ["mb"]
        # What is gone is not told to the next connection either.
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert it.engine.item_ids == ["mb"]


async def test_a_tool_with_ids_of_xai() -> None:
    # P-295, P-315: they are UUIDs, longer than OpenAI takes, and go back as the server gave them.
    steps = [call("get_weather", {"city": "Paris"}), say("Sunny.").when(tool_output="sunny")]
    async with emulated(*steps, of="xai") as server:
        async with open_session("antiphon", server) as it:
            (asked,) = (await it.reply()).calls
            assert len(asked.call_id) == 36
            ctx = it.session.chat_ctx.copy()
            output = llm.FunctionCallOutput(
                call_id=asked.call_id, name="get_weather", output="sunny", is_error=False
            )
            ctx.items.append(output)
            await it.session.update_chat_ctx(ctx)
            (sent,) = it.engine.received_of("conversation.item.create")
            assert sent["item"]["call_id"] == asked.call_id
            assert (await it.reply()).text == "Sunny."


async def test_pings_of_xai_are_taken() -> None:
    # P-295
    async with emulated(of="xai", ping_interval_s=0.02) as server:
        async with open_session("antiphon", server) as it:
            pings: list[object] = []
            it.session.client.on("ping", pings.append)
            await until(lambda: len(pings) >= 2)
            assert [type(one).__name__ for one in pings[:2]] == ["Ping", "Ping"]
            assert (await it.reply()).text == "Yes."
            assert it.all("error") == []
