"""openai-agents (Python), unchanged, against the emulator."""

from typing import Any

import pytest

from antiphon.emulator import EmulatorServer, Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop.harness import ClientProcess, Observed, heard_whole, sent_by

__all__: list[str] = []

pytestmark = pytest.mark.interop("openai_agents", "openai_agents")


def _history(seen: Observed) -> list[dict[str, Any]]:
    return list(seen.of("history")[-1]["items"])


async def test_text_turn(client: ClientProcess) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("text_turn", server)
    assert _history(seen) == [
        {"role": "user", "words": ["Hello there."]},
        {"role": "assistant", "words": ["Good morning to you."]},
    ]
    assert seen.of("error") == []
    script.assert_consumed()


async def test_audio_turn(client: ClientProcess) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("audio_turn", server)
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert _history(seen) == [
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
    assert _history(seen)[-1] == {"role": "assistant", "words": ["It is sunny in Oslo."]}
    script.assert_consumed()


async def test_interruption_is_a_bare_cancel(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Nothing else.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("interruption", server)
    (engine,) = server.sessions
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    assert len(engine.received_of("conversation.item.truncate")) == 1
    story, answer = speech.spans(seen.audio())
    assert story.start_ms == 0 and story.end_ms < 5_000
    assert answer == speech.Span(speech.tag_of(seen.of("done")[1]["response"]), 0, 400)


async def test_interrupt_under_vad_lets_the_response_run_on(client: ClientProcess) -> None:
    """Expected failure of 0.24: with server VAD, `interrupt()` truncates and cancels nothing.

    It counts on turn detection to cancel; but nobody has spoken.
    """
    async with EmulatorServer(script=Script([say("Once upon a time.", ms=4_000)])) as server:
        seen = await client.play("interruption_under_vad", server)
    assert "response.cancel" not in sent_by(server.sessions[0])
    assert seen.one("done")["status"] == "completed"
    assert len(seen.of("audio interrupted")) == 1


async def test_barge_in(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("barge_in", server)
    (engine,) = server.sessions
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    assert engine.received_of("response.cancel") == []
    assert len(engine.received_of("conversation.item.truncate")) == 1


async def test_two_in_flight_are_made_one_after_the_other(client: ClientProcess) -> None:
    """Expected limit of 0.24: its sequencer lets one response run at a time."""
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


async def test_forced_cancel_does_not_reach_an_out_of_band_response(client: ClientProcess) -> None:
    """Expected failure of 0.24: the cancel names no response (P-2), the truncate no known item."""
    async with EmulatorServer(script=Script([say("An aside.", ms=5_000)])) as server:
        seen = await client.play("forced_cancel_out_of_band", server)
    (engine,) = server.sessions
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert seen.one("done")["status"] == "completed"
    truncate, cancel = (one["what"] for one in seen.of("error"))
    assert "item_truncate_invalid_item_id" in truncate
    assert "response_cancel_not_active" in cancel


async def test_a_cut_connection_ends_the_session(client: ClientProcess) -> None:
    """It does not reconnect: iterating raises, and its user runs another, empty session."""
    script = Script([say("Good morning."), say("I am back.")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("reconnect", server, cues={"cut me": server.clear})
    assert seen.one("session over")["error"] == "ConnectionClosedError"
    assert _history(seen) == [
        {"role": "user", "words": ["Are you back?"]},
        {"role": "assistant", "words": ["I am back."]},
    ]
