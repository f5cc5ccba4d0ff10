"""pipecat's OpenAIRealtimeLLMService in a pipeline, unchanged, against the emulator."""

import pytest

from antiphon.emulator import Behaviour, EmulatorServer, Engine, Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop.harness import ClientProcess, Observed, heard_whole, sent_by

__all__: list[str] = []

pytestmark = pytest.mark.interop("pipecat", "pipecat_service")


async def test_text_turn(client: ClientProcess) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("text_turn", server)
    assert seen.words() == "Good morning to you."
    script.assert_consumed()


async def test_audio_turn(client: ClientProcess) -> None:
    script = Script(
        [say("Hi.", ms=200), say("Sunny.", ms=900).when(automatic=True)],
        hears=["What is the weather?"],
    )
    async with EmulatorServer(script=script) as server:
        seen = await client.play("audio_turn", server)
    assert seen.one("heard")["text"] == "What is the weather?"
    assert seen.words() == "Hi.Sunny."
    greeting, answer = server.sessions[0].finished_responses
    pcm = seen.audio()
    heard_whole(pcm[: 48 * 200], greeting, 200)
    heard_whole(pcm[48 * 200 :], answer, 900)


async def test_tool_round(client: ClientProcess) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    async with EmulatorServer(script=script) as server:
        seen = await client.play("tool_round", server)
    assert seen.words() == "It is sunny in Oslo."
    script.assert_consumed()


async def test_interruption_is_a_bare_cancel(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000)])
    async with EmulatorServer(script=script) as server:
        await client.play("interruption", server)
        (engine,) = server.sessions
    assert sent_by(engine)[-3:] == [
        "input_audio_buffer.clear",
        "response.cancel",
        "conversation.item.truncate",
    ]
    assert "response_id" not in engine.received_of("response.cancel")[0]


async def test_barge_in(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("barge_in", server)
    (engine,) = server.sessions
    assert list(engine.finished_responses.values()) == ["cancelled", "completed"]
    assert engine.received_of("conversation.item.truncate") != []
    story, answer = (speech.tag_of(one) for one in engine.finished_responses)
    spans = speech.spans(seen.audio())
    assert spans[0].tag == story and spans[0].start_ms == 0
    assert spans[-1] == speech.Span(answer, 0, 400)


async def test_audio_of_an_interrupted_response_begins_another_turn(client: ClientProcess) -> None:
    """Expected failure of pipecat 1.14: deltas after an interruption are played.

    The server sends a few deltas of a cancelled response before its end (P-64). They come after
    the interruption frame, as if the bot had begun to speak again.
    """
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    slow_to_stop = Behaviour(cancel_latency_ms=300, straggler_deltas=8)
    async with EmulatorServer(slow_to_stop, script) as server:
        seen = await client.play("barge_in", server)
    story, _ = (speech.tag_of(one) for one in server.sessions[0].finished_responses)
    stopped = seen.index(seen.of("TTSStoppedFrame")[0])
    answered = seen.index(seen.of("text")[-1])
    late = Observed(seen[stopped:answered])
    assert {span.tag for span in speech.spans(late.audio())} == {story}


async def test_two_in_flight_end_up_in_one_stream(client: ClientProcess) -> None:
    """Expected failure of pipecat 1.14: its frames do not say whose they are."""
    slow = Pace(speed=4)
    script = Script([say("One.", ms=1_000).paced(slow), say("Two.", ms=1_000).paced(slow)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("two_in_flight", server)
    (engine,) = server.sessions
    assert _statuses(engine) == ["completed", "completed"]
    spans = speech.spans(seen.audio())
    assert {span.tag for span in spans} == {speech.tag_of(one) for one in engine.finished_responses}
    assert len(spans) > 2, "the two were not mixed"
    # One turn was begun, and the first response's end ended it.
    assert len(seen.of("TTSStartedFrame")) <= 2


async def test_interrupting_an_out_of_band_response_leaves_it_deaf(client: ClientProcess) -> None:
    """Expected failure of pipecat 1.14: the cancel misses, and the truncate ends its reading.

    The cancel names no response (P-2). The item to truncate is not in the conversation, and any
    unexpected `error` ends the service's receive loop with the socket open.
    """
    aside = say("An aside.", ms=10_000).paced(Pace(speed=1))
    async with EmulatorServer(script=Script([say("Hi.", ms=200), aside])) as server:
        seen = await client.play("bare_cancel", server)
        (engine,) = server.sessions
        assert "response_id" not in engine.received_of("response.cancel")[0]
    assert "cancelled" not in _statuses(engine)
    assert "item_truncate_invalid_item_id" in seen.one("error")["what"]


async def test_a_cut_connection_goes_unnoticed(client: ClientProcess) -> None:
    """Expected failure of pipecat 1.14: nothing is said about a lost connection.

    Its user must call `reset_conversation()`. What was said before is not told to the new session
    until something else than speech asks for a response.
    """
    script = Script([say("Good morning.", ms=200), say("I am back.", ms=200)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("reconnect", server, cues={"cut me": server.clear})
        (engine,) = server.sessions
    assert len(seen.of("nothing said")) == 1
    assert seen.words() == "Good morning.I am back."
    # In either order: speech is not held back until the new session is there. No item among them.
    assert set(sent_by(engine)) == {"session.update", "input_audio_buffer.append"}


def _statuses(engine: Engine) -> list[str]:
    return list(engine.finished_responses.values())
