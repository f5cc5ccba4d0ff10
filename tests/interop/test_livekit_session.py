"""livekit-plugins-openai's RealtimeSession, unchanged, against the emulator.

What it does wrong with two responses in flight is kept here as it is, so that we notice when it
changes: one "current generation" takes every event, whatever response it names.
"""

import pytest

from antiphon.emulator import EmulatorServer, Engine, Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop.harness import ClientProcess, Observed, heard_whole, sent_by

__all__: list[str] = []

pytestmark = pytest.mark.interop("livekit", "livekit_session")


async def test_text_turn(client: ClientProcess) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("text_turn", server)
    assert seen.words() == "Good morning to you."
    assert seen.of("error") == []
    script.assert_consumed()


async def test_audio_turn(client: ClientProcess) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("audio_turn", server)
    assert seen.one("transcript")["text"] == "What is the weather?"
    assert len(seen.of("speech started")) == 1
    assert seen.words() == "Sunny."
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert sent_by(server.sessions[0]) == ["session.update", "input_audio_buffer.append"]


async def test_tool_round(client: ClientProcess) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny"),
        ]
    )
    async with EmulatorServer(script=script) as server:
        seen = await client.play("tool_round", server)
    assert seen.one("call")["name"] == "get_weather"
    assert seen.words() == "It is sunny in Oslo."
    script.assert_consumed()


async def test_interruption_is_a_bare_cancel(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("What else?", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("interruption", server)
    (engine,) = server.sessions
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert _statuses(engine) == ["cancelled", "completed"]
    assert len(seen.of("event")) and "conversation.item.truncated" in _events(seen)
    first, second = seen.of("done")
    (span,) = speech.spans(seen.audio())
    assert (span.tag, span.start_ms) == (speech.tag_of(first["response"]), 0)
    assert span.end_ms < 5_000
    heard_whole(seen.audio("audio of the second"), second["response"], 400)


async def test_barge_in(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("barge_in", server)
    (engine,) = server.sessions
    assert _statuses(engine) == ["cancelled", "completed"]
    assert engine.received_of("response.cancel") == []
    heard_whole(seen.audio("audio of the second"), seen.of("done")[1]["response"], 400)


async def test_two_in_flight_end_up_in_one_stream(client: ClientProcess) -> None:
    """Expected failure of LiveKit 1.8.9: the second `created` takes over the first's output.

    The reader of the first waits for ever, and the second's stream carries both (livekit/agents
    #5564 tells of the same with another model).
    """
    slow = Pace(speed=4)
    script = Script([say("One.", ms=1_000).paced(slow), say("Two.", ms=1_000).paced(slow)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("two_in_flight", server)
    assert _statuses(server.sessions[0]) == ["completed", "completed"]
    default = next(
        one["response"] for one in seen.of("done") if "client_event_id" in one["metadata"]
    )
    aside = next(one["response"] for one in seen.of("done") if "purpose" in one["metadata"])
    assert len(seen.of("reader left waiting")) == 1
    assert seen.audio(f"audio of {default}") == b""
    taken = {span.tag for span in speech.spans(seen.audio(f"audio of {aside}"))}
    assert taken == {speech.tag_of(default), speech.tag_of(aside)}


async def test_interrupt_does_not_reach_an_out_of_band_response(client: ClientProcess) -> None:
    """Expected failure of LiveKit 1.8.9: its cancel names no response (P-2)."""
    async with EmulatorServer(script=Script([say("An aside.", ms=5_000)])) as server:
        seen = await client.play("bare_cancel", server)
    (engine,) = server.sessions
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert seen.one("done")["status"] == "completed"
    heard_whole(seen.audio(), seen.one("done")["response"], 5_000)


async def test_reconnect_replays_the_conversation(client: ClientProcess) -> None:
    script = Script([say("Good morning."), say("I am back.")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("reconnect", server, cues={"cut me": server.clear})
        (engine,) = server.sessions
    assert len(seen.of("reconnected")) == 1
    assert seen.words() == "Good morning.I am back."
    items = [event["item"] for event in engine.received_of("conversation.item.create")]
    assert [(item["role"], item["content"][0]["text"]) for item in items] == [
        ("user", "Hello there."),
        ("assistant", "Good morning."),
    ]


def _statuses(engine: Engine) -> list[str]:
    return list(engine.finished_responses.values())


def _events(seen: Observed) -> list[str]:
    return [str(one["type"]) for one in seen.of("event")]
