"""The user's voice: turn detection, transcripts, commits, and who owns the turn."""

from typing import Any

import numpy
import pytest
from openai.types import realtime
from openai.types.realtime.realtime_audio_input_turn_detection import ServerVad

from antiphon.emulator import Faults, Pace, on, say
from antiphon.emulator.audio import speech
from antiphon.livekit.audio import FrameConverter, to_pcm
from tests.livekit.harness import BOTH, both, emulated, open_session, pushed, until

__all__: list[str] = []

VAD = ServerVad(type="server_vad", silence_duration_ms=200)
TURN = speech.user_voice(600) + bytes(48 * 500)
SLOW = Pace(first_output_ms=5, audio_ms_per_delta=100, speed=20)


@BOTH
async def test_a_spoken_turn(plugin: str) -> None:
    async with (
        emulated(say("Hello."), hears=["Hi there."]) as server,
        open_session(plugin, server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        await it.told("metrics_collected", 2)
        (generation,) = it.all("generation_created")
        assert not generation.user_initiated
        assert (await it.read_of(generation).whole()).text == "Hello."
        (stopped,) = it.all("input_speech_stopped")
        assert stopped.user_transcription_enabled
        final = it.all("input_audio_transcription_completed")[-1]
        assert (final.transcript, final.is_final) == ("Hi there.", True)
        # A field that livekit-agents has had since 1.7.
        assert getattr(final, "turn_started_at", 0.0) is not None
        assert it.chat() == [("user", "Hi there."), ("assistant", "Hello.")]
        names = [one for one in it.names if one != "metrics_collected"]
        order = ["input_speech_started", "input_speech_stopped", "remote_item_added"]
        assert names[:3] == order


async def test_events_of_a_turn_are_the_same() -> None:
    found = []
    # By one transcriber: the two plugins' own defaults differ (P-479), and so does what they count.
    heard_by = realtime.AudioTranscription(model="gpt-4o-mini-transcribe")
    for plugin in ("antiphon", "stock"):
        async with (
            emulated(say("Hello."), hears=["Hi there."]) as server,
            open_session(
                plugin, server, turn_detection=VAD, input_audio_transcription=heard_by
            ) as it,
        ):
            pushed(it.session, TURN)
            await it.told("metrics_collected", 2)
            partial = [
                (one.transcript, one.is_final)
                for one in it.all("input_audio_transcription_completed")
            ]
            kinds = {type(one).__name__: one for one in it.all("metrics_collected")}
            counted = kinds["STTMetrics"].model_dump()
            for name in ("timestamp", "request_id"):
                assert counted.pop(name)
            counted["label"] = counted["metadata"]["model_provider"] = ""
            found.append((sorted(it.names), partial, counted, it.chat()))
    assert found[0] == found[1]


@BOTH
async def test_transcript_before_its_item(plugin: str) -> None:
    async with (
        emulated(transcription_timing="before_item", hears=["Hi there."]) as server,
        open_session(plugin, server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        await until(
            lambda: any(one.is_final for one in it.all("input_audio_transcription_completed"))
        )
        final = it.all("input_audio_transcription_completed")[-1]
        assert final.transcript == "Hi there."


@BOTH
async def test_words_before_their_item_reach_the_chat_context(plugin: str) -> None:
    """P-187: the transcription may be complete before the item exists."""
    faults = Faults(
        on("conversation.item.added", nth=1).hold(until="response.done"),
        on("conversation.item.done", nth=1).hold(until="response.done"),
    )
    async with (
        emulated(say("Yes.", ms=2000), hears=["Hi there."], faults=faults, pace=SLOW) as server,
        open_session(plugin, server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        await it.told("metrics_collected", 2)
        await until(lambda: len(it.chat()) == 2)
        assert ("user", "Hi there.") in it.chat()


@BOTH
async def test_partial_words_of_a_failed_transcription_become_final(plugin: str) -> None:
    name = "conversation.item.input_audio_transcription"

    def failed(event: dict[str, Any]) -> dict[str, Any]:
        kept = {key: event[key] for key in ("event_id", "item_id", "content_index")}
        error = {"type": "server_error", "code": None, "message": "It broke.", "param": None}
        return {"type": f"{name}.failed", **kept, "error": error}

    faults = Faults(on(f"{name}.completed").change(failed))
    async with (
        emulated(hears=["Hi there."], faults=faults) as server,
        open_session(plugin, server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        await until(
            lambda: any(one.is_final for one in it.all("input_audio_transcription_completed"))
        )
        told = it.all("input_audio_transcription_completed")
        assert [one.is_final for one in told] == [False] * (len(told) - 1) + [True]
        assert told[-1].transcript == told[-2].transcript != ""


async def test_a_transcript_that_comes_twice_is_told_once() -> None:
    # P-314
    name = "conversation.item.input_audio_transcription.completed"
    faults = Faults(on(name).duplicate())
    async with (
        emulated(say("Hello."), hears=["Hi there."], faults=faults) as server,
        open_session("antiphon", server, turn_detection=VAD) as it,
    ):
        twice: list[object] = []
        it.session.client.on(name, twice.append)
        pushed(it.session, TURN)
        await until(lambda: len(twice) == 2)
        await it.told("metrics_collected", 2)
        final = [one for one in it.all("input_audio_transcription_completed") if one.is_final]
        assert [one.transcript for one in final] == ["Hi there."]
        kinds = [type(one).__name__ for one in it.all("metrics_collected")]
        assert sorted(kinds) == ["RealtimeModelMetrics", "STTMetrics"]
        assert it.chat() == [("user", "Hi there."), ("assistant", "Hello.")]


@BOTH
async def test_commit_by_hand(plugin: str) -> None:
    async with (
        emulated(say("Hello."), hears=["Hi there."]) as server,
        open_session(plugin, server, turn_detection=None) as it,
    ):
        pushed(it.session, speech.user_voice(430))
        it.session.commit_audio()
        added = await it.told("remote_item_added")
        assert added.item.role == "user"
        sent = it.engine.received_of("input_audio_buffer.append")
        assert len(sent) == 5
        assert (await it.reply()).text == "Hello."
        assert it.names.count("input_speech_started") == 0


@BOTH
async def test_too_little_is_not_committed(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server, turn_detection=None) as it:
        pushed(it.session, bytes(48 * 60))
        it.session.commit_audio()
        await it.settled()
        assert it.engine.received_of("input_audio_buffer.commit") == []


@BOTH
async def test_clear(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server, turn_detection=None) as it:
        pushed(it.session, bytes(48 * 250))
        it.session.clear_audio()
        it.session.commit_audio()
        await it.settled()
        assert len(it.engine.received_of("input_audio_buffer.clear")) == 1
        assert it.engine.received_of("input_audio_buffer.commit") == []
        assert it.all("error") == []


@BOTH
async def test_commit_that_the_server_made_first_is_no_error(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server, turn_detection=VAD) as it:
        # So little follows the turn that nothing is left to commit (P-196).
        pushed(it.session, speech.user_voice(600) + bytes(48 * 200))
        await it.told("generation_created")
        it.session.commit_audio()
        await it.settled()
        assert len(it.engine.received_of("input_audio_buffer.commit")) == 1
        assert it.all("error") == []


@BOTH
async def test_barge_in_ends_the_reply_and_brings_the_next(plugin: str) -> None:
    async with (
        emulated(say("Long.", ms=60_000), say("Next."), pace=SLOW) as server,
        open_session(plugin, server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        first = it.read_of(await it.told("generation_created"))
        await until(lambda: len(it.all("remote_item_added")) >= 2)
        pushed(it.session, TURN)
        await it.told("input_speech_started", 2)
        await first.whole()
        second = it.read_of(await it.told("generation_created", 2))
        await second.whole()
        assert second.text == "Next."
        await until(lambda: len(it.engine.finished_responses) == 2)
        assert list(it.engine.finished_responses.values()) == ["cancelled", "completed"]
        assert it.all("error") == []


@both("Barge-in: the framework's cancel and the server's own")
async def test_cancel_on_barge_in_never_hits_the_next_reply(plugin: str) -> None:
    """P-15: the server has cancelled by itself, and reads our cancel as one for the next."""
    async with (
        emulated(
            say("Long.", ms=60_000),
            say("Next.", ms=2000),
            pace=SLOW,
            cancel_no_id_scope="next_response",
        ) as server,
        open_session(plugin, server, turn_detection=VAD) as it,
    ):
        pushed(it.session, TURN)
        await it.told("generation_created")
        await until(lambda: len(it.all("remote_item_added")) >= 2)
        it.session.on("input_speech_started", lambda _: it.session.interrupt())
        pushed(it.session, speech.user_voice(600))
        await it.told("input_speech_started", 2)
        await it.settled()
        pushed(it.session, bytes(48 * 500))
        second = it.read_of(await it.told("generation_created", 2))
        await second.whole()
        await until(lambda: len(it.engine.finished_responses) == 2)
        assert list(it.engine.finished_responses.values()) == ["cancelled", "completed"]
        assert second.text == "Next."
        assert it.all("error") == []


@BOTH
async def test_the_framework_owns_the_turn(plugin: str) -> None:
    ours = ServerVad(
        type="server_vad",
        silence_duration_ms=200,
        create_response=False,
        interrupt_response=False,
    )
    async with (
        emulated(say("Asked for.", ms=60_000), pace=SLOW) as server,
        open_session(plugin, server, turn_detection=ours) as it,
    ):
        assert not it.session.capabilities.turn_detection
        pushed(it.session, TURN)
        await it.told("input_speech_stopped")
        await it.told("remote_item_added")
        assert it.all("generation_created") == []
        event = await it.session.generate_reply()
        pushed(it.session, TURN)
        await it.told("input_speech_stopped", 2)
        assert it.engine.active_responses == [event.response_id]
        it.session.interrupt()
        await it.read_of(event).whole()


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (48000, 1), (16000, 2), (48000, 2)])
async def test_microphone_in_any_format(rate: int, channels: int) -> None:
    async with (
        emulated(hears=["Hi."]) as server,
        open_session("antiphon", server, turn_detection=VAD) as it,
    ):
        voice = numpy.frombuffer(TURN, dtype="<i2")
        places = numpy.arange(0, len(voice), 24000 / rate).astype(int)
        samples = numpy.repeat(voice[places], channels)
        pushed(it.session, samples.astype("<i2").tobytes(), rate=rate, channels=channels)
        pushed(it.session, bytes(48 * 400))
        await it.told("input_speech_stopped")


def test_microphone_keeps_every_sample() -> None:
    microphone = FrameConverter()
    pcm = bytes(range(256)) * 100
    out: list[bytes] = []

    class Session:
        def push_audio(self, frame: Any) -> None:
            out.extend(microphone.push(frame))

    pushed(Session(), pcm)
    out.extend(microphone.flush())
    assert b"".join(out) == pcm
    assert all(len(piece) == 4800 for piece in out[:-1])


def test_audio_content_is_resampled() -> None:
    from livekit import rtc

    frames = [rtc.AudioFrame(bytes(960), 48000, 1, 480) for _ in range(100)]
    assert abs(len(to_pcm(frames)) - 48000) < 1000
