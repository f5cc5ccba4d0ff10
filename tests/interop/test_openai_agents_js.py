"""@openai/agents-realtime on Node, unchanged, against the emulator."""

import pytest

from antiphon.emulator import EmulatorServer, Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop.harness import ClientProcess, heard_whole

__all__: list[str] = []

pytestmark = pytest.mark.interop("openai_agents_js", "openai_agents_js")


async def test_text_turn(client: ClientProcess) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("text_turn", server)
    assert seen.words() == "Good morning to you."
    assert seen.of("history")[-1]["items"] == [
        {"role": "user", "words": ["Hello there."]},
        {"role": "assistant", "words": ["Good morning to you."]},
    ]
    assert seen.of("error") == []
    script.assert_consumed()


async def test_audio_turn(client: ClientProcess) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("audio_turn", server)
    assert seen.one("heard")["text"] == "What is the weather?"
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert seen.of("history")[-1]["items"] == [
        {"role": "user", "words": ["What is the weather?"]},
        {"role": "assistant", "words": ["Sunny."]},
    ]


async def test_tool_round(client: ClientProcess) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    async with EmulatorServer(script=script) as server:
        seen = await client.play("tool_round", server)
    assert seen.one("tool")["output"] == "sunny in Oslo"
    assert seen.words() == "It is sunny in Oslo."
    script.assert_consumed()


@pytest.mark.parametrize("scenario", ["interruption", "interrupt_and_ask"])
async def test_interruption_is_a_bare_cancel(client: ClientProcess, scenario: str) -> None:
    """Its sequencer holds the next create until the cancelled response is done."""
    script = Script([say("Once upon a time.", ms=30_000), say("Nothing else.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play(scenario, server)
    (engine,) = server.sessions
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    assert seen.of("error") == []
    story, answer = speech.spans(seen.audio())
    assert story.start_ms == 0 and story.end_ms < 5_000
    assert answer == speech.Span(speech.tag_of(seen.of("done")[1]["response"]), 0, 400)


async def test_barge_in(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("barge_in", server)
    (engine,) = server.sessions
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    # The server cancels by itself; what was not heard is taken out of the conversation.
    assert engine.received_of("response.cancel") == []
    assert len(engine.received_of("conversation.item.truncate")) == 1


async def test_two_in_flight_are_made_one_after_the_other(client: ClientProcess) -> None:
    """Expected limit of 0.20: one response at a time, out-of-band ones included."""
    slow = Pace(speed=4)
    script = Script([say("One.", ms=1_000).paced(slow), say("Two.", ms=1_000).paced(slow)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("two_in_flight", server)
    first, second = seen.of("done")
    assert second["metadata"] == {"purpose": "aside"}
    assert speech.spans(seen.audio()) == [
        speech.Span(speech.tag_of(first["response"]), 0, 1_000),
        speech.Span(speech.tag_of(second["response"]), 0, 1_000),
    ]


async def test_interrupt_does_not_reach_an_out_of_band_response(client: ClientProcess) -> None:
    """Expected failure of 0.20: the cancel names no response (P-2), and the truncate no item."""
    async with EmulatorServer(script=Script([say("An aside.", ms=5_000)])) as server:
        seen = await client.play("bare_cancel", server)
    assert seen.one("done")["status"] == "completed"
    cancel, truncate = (one["what"] for one in seen.of("error"))
    assert "response_cancel_not_active" in cancel
    assert "item_truncate_invalid_item_id" in truncate


async def test_reconnect_begins_an_empty_conversation(client: ClientProcess) -> None:
    """A cut ends its session's connection; the user connects again, and nothing is replayed."""
    script = Script([say("Good morning."), say("I am back.")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("reconnect", server, cues={"cut me": server.clear})
        (engine,) = server.sessions
    assert seen.words() == "Good morning.I am back."
    assert [one["status"] for one in seen.of("connection")][-4:] == [
        "disconnected",
        "connecting",
        "connected",
        "disconnected",
    ]
    (item,) = engine.received_of("conversation.item.create")
    assert item["item"]["content"][0]["text"] == "Are you back?"
