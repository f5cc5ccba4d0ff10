"""Several responses in flight: each has its own streams, and each is stopped by its own id.

Where the stock plugin is named here, it is shown to fail: it keeps one current generation.
"""

import asyncio
from typing import Any

import pytest
from livekit.agents import llm

from antiphon import OutcomeKind
from antiphon.emulator import Pace, call, say
from antiphon.emulator.audio import speech
from antiphon.livekit import RealtimeModel
from tests.livekit.harness import both, emulated, open_session, pushed, until

__all__: list[str] = []

SLOW = Pace(first_output_ms=5, audio_ms_per_delta=50, speed=10)
# The stock plugin is known to leave these waiting; ours has time, on a slow machine too.
PATIENCE_S = {"antiphon": 10.0, "stock": 1.5}
SIDE: dict[str, Any] = {"conversation": "none", "output_modalities": ["audio"]}


def ask_raw(session: Any, number: int) -> None:
    """An out-of-band response, in a way that both plugins have."""
    response = {**SIDE, "metadata": {"side": str(number)}}
    session.send_event({"type": "response.create", "response": response})


@both("Several responses in flight")
async def test_interleaved_responses_keep_their_output(plugin: str) -> None:
    steps = [say(f"This is story {number}.", ms=4000) for number in range(4)]
    async with emulated(*steps, pace=SLOW) as server, open_session(plugin, server) as it:
        await it.session.generate_reply()
        for number in range(3):
            ask_raw(it.session, number)
        await until(lambda: len(it.reads) == 4)
        for number, read in enumerate(it.reads):
            await read.whole(within=PATIENCE_S[plugin])
            assert read.text == f"This is story {number}."
            spans = speech.spans(read.messages[0].pcm)
            assert spans == [speech.Span(speech.tag_of(read.id), 0, 4000)]
        await it.told("metrics_collected", 4)
        assert {one.request_id for one in it.all("metrics_collected")} == {
            read.id for read in it.reads
        }
        # Nothing of it enters the conversation but the reply.
        assert it.chat() == [("assistant", "This is story 0.")]


@both("Several responses in flight")
async def test_interruption_stops_each_by_its_id(plugin: str) -> None:
    steps = [say(f"Story {number}.", ms=60_000) for number in range(3)]
    async with emulated(*steps, pace=SLOW) as server, open_session(plugin, server) as it:
        await it.session.generate_reply()
        ask_raw(it.session, 0)
        ask_raw(it.session, 1)
        await until(lambda: len(it.reads) == 3)
        it.session.interrupt()
        for read in it.reads:
            await read.whole(within=PATIENCE_S[plugin])
        await until(lambda: len(it.engine.finished_responses) == 3)
        cancels = it.engine.received_of("response.cancel")
        assert sorted(one["response_id"] for one in cancels) == sorted(read.id for read in it.reads)
        assert it.all("error") == []


@both("Several responses in flight")
@pytest.mark.parametrize("scope", ["default_conversation", "only_if_single"])
async def test_two_side_responses_are_stopped(plugin: str, scope: str) -> None:
    """livekit/agents #5564: a cancel without an id stops neither of two."""
    steps = [say(f"Story {number}.", ms=60_000) for number in range(2)]
    async with (
        emulated(*steps, pace=SLOW, cancel_no_id_scope=scope) as server,
        open_session(plugin, server) as it,
    ):
        ask_raw(it.session, 0)
        ask_raw(it.session, 1)
        await until(lambda: len(it.reads) == 2)
        it.session.interrupt()
        await until(lambda: len(it.engine.finished_responses) == 2, within=PATIENCE_S[plugin])
        assert set(it.engine.finished_responses.values()) == {"cancelled"}


@both("A reply right after an interruption")
async def test_reply_right_after_an_interruption(plugin: str) -> None:
    """livekit/agents #5642: the lane is still taken when the next reply is asked for."""
    async with (
        emulated(say("Long.", ms=60_000), say("Next."), pace=SLOW, cancel_latency_ms=500) as server,
        open_session(plugin, server) as it,
    ):
        await it.session.generate_reply()
        await until(lambda: len(it.all("remote_item_added")) == 1)
        it.session.interrupt()
        assert (await it.reply()).text == "Next."
        assert it.all("error") == []


@both("Interrupted before it was created")
async def test_interruption_before_the_reply_is_created(plugin: str) -> None:
    async with (
        emulated(
            say("Never heard.", ms=60_000), say("Next."), pace=SLOW, created_latency_ms=100
        ) as server,
        open_session(plugin, server) as it,
    ):
        waiting = it.session.generate_reply()
        await it.received("response.create")
        it.session.interrupt()
        with pytest.raises(llm.RealtimeError):
            async with asyncio.timeout(5):
                await waiting
        assert (await it.reply()).text == "Next."
        (cancel,) = it.engine.received_of("response.cancel")
        assert it.engine.finished_responses[cancel["response_id"]] == "cancelled"
        assert len(it.all("generation_created")) == 1


@both("Cancelling a reply that was not created yet")
async def test_cancelled_future_does_not_stop_another_response(plugin: str) -> None:
    """The stock plugin sends a cancel without an id, which stops what the server is running."""
    async with (
        emulated(say("Runs on.", ms=6000), say("Never heard."), pace=SLOW) as server,
        open_session(plugin, server) as it,
    ):
        it.session.send_event({"type": "response.create"})
        await it.told("generation_created")
        waiting = it.session.generate_reply()
        await asyncio.sleep(0)
        waiting.cancel()
        first = it.reads[0]
        await first.whole()
        assert len(first.messages[0].pcm) == 6000 * 48
        await it.settled()
        assert it.engine.finished_responses == {first.id: "completed"}
        assert it.engine.active_responses == []


async def test_future_cancelled_at_the_moment_of_its_creation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        emulated(say("Never heard.", ms=60_000), pace=SLOW) as server,
        open_session("antiphon", server) as it,
    ):

        def cancel(event: dict[str, Any]) -> None:
            if event["type"] == "response.created":
                waiting.cancel()

        it.session.on("openai_server_event_received", cancel)
        waiting = it.session.generate_reply()
        await until(lambda: len(it.engine.finished_responses) == 1 if server.sessions else False)
        assert set(it.engine.finished_responses.values()) == {"cancelled"}
        assert it.all("generation_created") == []
        assert "a listener failed" not in caplog.text


@both("A reply while another is running")
async def test_reply_waits_for_the_lane(plugin: str) -> None:
    """livekit/agents #6817: a reply that loses the lane to one of the server's is not lost."""
    async with (
        emulated(say("First.", ms=10_000), say("Second."), pace=SLOW) as server,
        open_session(plugin, server) as it,
    ):
        it.session.send_event({"type": "response.create"})
        await it.told("generation_created")
        assert (await it.reply()).text == "Second."
        assert it.all("error") == []


@both("Calls of an interrupted response")
async def test_a_call_of_an_interrupted_response_is_not_handed_out(plugin: str) -> None:
    async with (
        emulated(call("pay", {"amount": 100, "note": "word " * 1000}), pace=SLOW) as server,
        open_session(plugin, server) as it,
    ):
        event = await it.session.generate_reply()
        await until(lambda: len(it.all("remote_item_added")) == 1)
        it.session.interrupt()
        read = await it.read_of(event).whole()
        await it.told("metrics_collected")
        assert read.calls == []


# --- what only ours has -------------------------------------------------------------------------


async def test_out_of_band_reply_beside_the_conversation() -> None:
    steps = [say("Aloud.", ms=1500), say("Yes.").when(lane="out_of_band")]
    async with emulated(*steps, pace=SLOW) as server, open_session("antiphon", server) as it:
        event = await it.session.generate_reply()
        question = llm.ChatMessage(role="user", content=["Is the caller angry?"])
        side = await it.session.generate_reply(
            conversation="none", input=[question], output_modalities=["text"]
        )
        answer = await it.read_of(side).whole()
        assert (answer.text, answer.messages[0].modalities) == ("Yes.", ["text"])
        assert side.user_initiated
        assert (await it.read_of(event).whole()).text == "Aloud."
        await it.told("metrics_collected", 2)
        assert it.chat() == [("assistant", "Aloud.")]
        sent = it.engine.received_of("response.create")[1]["response"]
        assert sent["input"][0]["content"][0]["text"] == "Is the caller angry?"


async def test_handle_of_a_response() -> None:
    steps = [say("Quiet.", ms=300)]
    async with emulated(*steps) as server, open_session("antiphon", server) as it:
        handle = it.session.create_response(
            conversation="none", instructions="Whisper.", purpose="whisper", voice="cedar"
        )
        frames = [frame async for frame in handle.audio_frames]
        pcm = b"".join(frame.data.tobytes() for frame in frames)
        assert handle.id is not None
        assert speech.spans(pcm) == [speech.Span(speech.tag_of(handle.id), 0, 300)]
        assert (await handle.done).kind is OutcomeKind.COMPLETED
        assert it.all("generation_created") == []
        assert it.chat() == []
        metrics = await it.told("metrics_collected")
        assert metrics.request_id == handle.id
        times = handle.times
        first = min(one for one in (times.first_text, times.first_audio) if one is not None)
        assert times.created is not None and times.settled is not None
        assert metrics.ttft == first - times.created
        assert metrics.duration == times.settled - times.created


@pytest.mark.parametrize("leaks", [False, True])
async def test_side_items_never_enter_the_chat_context(leaks: bool) -> None:
    async with (
        emulated(say("Side."), oob_emits_conversation_items=leaks) as server,
        open_session("antiphon", server) as it,
    ):
        handle = it.session.create_response(conversation="none")
        assert await handle.text() == "Side."
        await it.told("metrics_collected")
        assert it.all("remote_item_added") == []
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert it.engine.item_ids == []


async def test_receipt_of_an_interruption() -> None:
    steps = [say("Long.", ms=60_000).always()]
    async with emulated(*steps, pace=SLOW) as server, open_session("antiphon", server) as it:
        event = await it.session.generate_reply()
        side = it.session.create_response(conversation="none", purpose="mood")
        guard = it.session.create_response(conversation="none", interruptible=False)
        await side.created
        await guard.created
        receipt = await it.session.interrupt()
        assert {one.response_id for one in receipt.cancelled} == {event.response_id, side.id}
        assert it.engine.active_responses == [guard.id]
        assert (await guard.cancel()).kind is OutcomeKind.CANCELLED
        empty = await it.session.interrupt()
        assert len(empty) == 0
        assert not it.session.has_active_generation


async def test_interruption_of_one_lane() -> None:
    steps = [say("Long.", ms=60_000).always()]
    async with emulated(*steps, pace=SLOW) as server, open_session("antiphon", server) as it:
        event = await it.session.generate_reply()
        side = it.session.create_response(conversation="none")
        await side.created
        await it.session.interrupt("out_of_band")
        assert it.engine.active_responses == [event.response_id]
        await it.session.interrupt("default")
        assert it.engine.active_responses == []


@pytest.mark.parametrize("heard_by", ["server", "framework"])
async def test_only_the_users_speech_stops_what_is_out_of_band(heard_by: str) -> None:
    steps = [say("Long.", ms=60_000).always()]
    vad = {"type": "server_vad", "silence_duration_ms": 200, "interrupt_response": False}
    async with (
        emulated(*steps, pace=SLOW) as server,
        open_session(
            "antiphon", server, interrupt_out_of_band="on_speech", turn_detection=vad
        ) as it,
    ):

        def speak() -> None:
            if heard_by == "server":
                pushed(it.session, speech.user_voice(400))
            else:
                it.session.start_user_activity()

        await it.session.generate_reply()
        side = it.session.create_response(conversation="none")
        await side.created
        await it.session.interrupt()
        assert it.engine.active_responses == [side.id], "nobody has spoken"
        speak()
        if heard_by == "server":
            await it.told("input_speech_started")
        await it.session.interrupt()
        assert it.engine.active_responses == []
        # Once there is an answer, the next interruption has another reason.
        await it.session.generate_reply()
        again = it.session.create_response(conversation="none")
        await again.created
        await it.session.interrupt()
        assert it.engine.active_responses == [again.id]
        # Who says what is meant gets that.
        await it.session.interrupt("all")
        assert it.engine.active_responses == []


async def test_nothing_is_read_after_an_interruption() -> None:
    """I1: what had arrived and was not yet read is not heard either."""
    async with emulated(say("A long story.", ms=60_000), pace=SLOW) as server:
        session = RealtimeModel(base_url=server.http_url, api_key="x").session()
        event = await session.generate_reply()
        message = await anext(aiter(event.message_stream))
        await anext(aiter(message.audio_stream))
        # More has arrived than was read.
        await until(lambda: message.audio_stream.qsize() > 0)  # type: ignore[attr-defined]
        _ = session.interrupt()
        assert [frame async for frame in message.audio_stream] == []
        assert [word async for word in message.text_stream] == []
        await session.aclose()


async def test_what_is_heard_is_the_frameworks_affair() -> None:
    """It owns playback: a reply that has arrived whole is its own to play, to clear and to cut."""
    async with emulated(say("Hello there.", ms=3000)) as server:
        session = RealtimeModel(base_url=server.http_url).session()
        try:
            event = await session.generate_reply()
            await until(lambda: not session.has_active_generation)
            await until(lambda: bool(server.sessions[-1].finished_responses))
            before = len(server.sessions[-1].received)
            receipt = await session.interrupt()
            assert len(receipt) == 0
            # All of it is still there to be read, and the server was told nothing.
            message = await anext(aiter(event.message_stream))
            samples = 0
            async for frame in message.audio_stream:
                samples += frame.samples_per_channel
            assert samples == 24 * 3000
            assert len(server.sessions[-1].received) == before
            # Where it was cut, the framework says, and only then.
            session.truncate(
                message_id=message.message_id,
                modalities=["audio", "text"],
                audio_end_ms=500,
                audio_transcript="Hello",
            )
            engine = server.sessions[-1]
            await until(lambda: len(engine.received_of("conversation.item.truncate")) == 1)
        finally:
            await session.aclose()


async def test_single_slot() -> None:
    """max_in_flight=1 is the stock plugin's model, and side responses wait for their turn."""
    steps = [say("One.", ms=500), say("Two.", ms=500)]
    async with (
        emulated(*steps, pace=SLOW) as server,
        open_session("antiphon", server, max_in_flight=1) as it,
    ):
        told: list[str] = []
        for hook in ("openai_client_event_queued", "openai_server_event_received"):
            it.session.on(hook, lambda event: told.append(event["type"]))
        event = await it.session.generate_reply()
        side = it.session.create_response(conversation="none")
        await it.settled()
        await it.read_of(event).whole()
        assert await side.text() == "Two."
        course = ["response.create", "response.created", "response.done"]
        assert [one for one in told if one in course] == course * 2


async def test_eight_at_once() -> None:
    steps = [say(f"Story {number}.", ms=600) for number in range(8)]
    async with emulated(*steps, pace=SLOW) as server, open_session("antiphon", server) as it:
        handles = [it.session.create_response(conversation="none") for _ in range(8)]

        async def heard(handle: Any) -> bytes:
            return b"".join([frame.data.tobytes() async for frame in handle.audio_frames])

        for handle, pcm in zip(handles, await asyncio.gather(*map(heard, handles)), strict=True):
            assert speech.spans(pcm) == [speech.Span(speech.tag_of(handle.id), 0, 600)]


async def test_a_written_judgement_runs_beside_the_servers_own_reply() -> None:
    # P-33: asked for when the turn was committed, as a guard does.
    steps = [say("no").when(lane="out_of_band"), say("Hello.", ms=400)]
    vad = {"type": "server_vad", "silence_duration_ms": 200}
    async with (
        emulated(*steps, hears=["Hi."]) as server,
        open_session("antiphon", server, turn_detection=vad) as it,
    ):
        asked: list[Any] = []

        def judge(_: object) -> None:
            asked.append(
                it.session.create_response(conversation="none", output_modalities=["text"])
            )

        it.session.client.on("input_audio_buffer.committed", judge)
        pushed(it.session, speech.user_voice(600) + bytes(48 * 500))
        generation = await it.told("generation_created")
        assert (await it.read_of(generation).whole()).text == "Hello."
        assert await asked[0].text() == "no"
        await until(lambda: it.chat() == [("user", "Hi."), ("assistant", "Hello.")])
