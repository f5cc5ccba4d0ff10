"""openai-agents (Python), unchanged, against the emulator."""

from typing import Any

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Observed
from antiphon.emulator import Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop import stories
from tests.interop.stories import ClientUnderTest, heard_whole, interop, sent_by

__all__: list[str] = []

pytestmark = interop("openai-agents")


def _history(seen: Observed) -> list[dict[str, Any]]:
    return list(seen.of("history")[-1]["items"])


async def _all_told(play: Play) -> None:
    """Until the history has the words of all that was said."""

    def whole() -> bool:
        told = play.record.seen.of("history")
        messages = [one for one in told[-1]["items"] if "words" in one] if told else []
        answered = bool(messages) and messages[-1]["role"] == "assistant"
        return answered and all(one["words"] and all(one["words"]) for one in messages)

    play.check(await play.until(whole, 10), "the history never has all the words")


async def text_turn(play: Play) -> None:
    await stories.text_turn(play)
    await _all_told(play)


async def test_text_turn(client: ClientUnderTest) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    seen = (await client.play(text_turn, script)).seen
    assert _history(seen) == [
        {"role": "user", "words": ["Hello there."]},
        {"role": "assistant", "words": ["Good morning to you."]},
    ]
    assert seen.of("error") == []
    script.assert_consumed()


async def audio_turn(play: Play) -> None:
    await play.open(vad=True)
    await play.do("speak")
    await stories.done(play)
    await _all_told(play)


async def test_audio_turn(client: ClientUnderTest) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    seen = (await client.play(audio_turn, script)).seen
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert _history(seen) == [
        {"role": "user", "words": ["What is the weather?"]},
        {"role": "assistant", "words": ["Sunny."]},
    ]


async def tool_round(play: Play) -> None:
    await stories.tool_round(play)
    await _all_told(play)


async def test_tool_round(client: ClientUnderTest) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    seen = (await client.play(tool_round, script)).seen
    assert seen.one("tool end")["output"] == "sunny in Oslo"
    assert _history(seen)[-1] == {"role": "assistant", "words": ["It is sunny in Oslo."]}
    script.assert_consumed()


async def interruption(play: Play) -> None:
    await play.open()
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("interrupt")
    await stories.done(play)
    await play.ask("next", "What else?")
    await stories.done(play, 2)


async def test_interruption_is_a_bare_cancel(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Nothing else.", ms=400)])
    record = await client.play(interruption, script)
    seen, (engine,) = record.seen, record.engines
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    assert len(engine.received_of("conversation.item.truncate")) == 1
    story, answer = speech.spans(seen.audio())
    assert story.start_ms == 0 and story.end_ms < 5_000
    assert answer == speech.Span(speech.tag_of(seen.of("done")[1]["response"]), 0, 400)


async def interruption_under_vad(play: Play) -> None:
    """Left to itself it trusts the server's turn detection to cancel, and only truncates."""
    await play.open(vad=True)
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("interrupt")
    await stories.done(play)


async def test_interrupt_under_vad_lets_the_response_run_on(client: ClientUnderTest) -> None:
    """Expected failure of 0.24: with server VAD, `interrupt()` truncates and cancels nothing.

    It counts on turn detection to cancel; but nobody has spoken.
    """
    script = Script([say("Once upon a time.", ms=4_000)])
    record = await client.play(interruption_under_vad, script)
    assert "response.cancel" not in sent_by(record.engines[0])
    assert record.seen.one("done")["status"] == "completed"
    assert len(record.seen.of("audio interrupted")) == 1


async def test_barge_in(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    record = await client.play(stories.barge_in, script)
    seen, (engine,) = record.seen, record.engines
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    assert engine.received_of("response.cancel") == []
    assert len(engine.received_of("conversation.item.truncate")) == 1


async def test_two_in_flight_are_made_one_after_the_other(client: ClientUnderTest) -> None:
    """Expected limit of 0.24: its sequencer lets one response run at a time."""
    slow = Pace(speed=4)
    script = Script([say("One.", ms=1_000).paced(slow), say("Two.", ms=1_000).paced(slow)])
    seen = (await client.play(stories.two_in_flight, script)).seen
    first, second = seen.of("done")
    assert second["metadata"] == {"reader": "two"}
    assert speech.spans(seen.audio()) == [
        speech.Span(speech.tag_of(first["response"]), 0, 1_000),
        speech.Span(speech.tag_of(second["response"]), 0, 1_000),
    ]


async def forced_cancel(play: Play) -> None:
    await play.open()
    await play.aside("aside", "Say something.")
    await stories.deltas(play, 3)
    await play.do("forced_interrupt")
    await stories.done(play)
    await stories.seen(play, "error", 2)


async def test_forced_cancel_does_not_reach_an_out_of_band_response(
    client: ClientUnderTest,
) -> None:
    """Expected failure of 0.24: the cancel names no response (P-2), the truncate no known item."""
    record = await client.play(forced_cancel, Script([say("An aside.", ms=5_000)]))
    seen, (engine,) = record.seen, record.engines
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert seen.one("done")["status"] == "completed"
    truncate, cancel = (one["what"] for one in seen.of("error"))
    assert "item_truncate_invalid_item_id" in truncate
    assert "response_cancel_not_active" in cancel


async def reconnect(play: Play) -> None:
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await stories.done(play)
    play.cut()
    await stories.seen(play, "session over")
    await play.do("close")
    # There is no way back into that session: its user starts another one.
    await play.open(text=True)
    await play.ask("back", "Are you back?")
    await stories.done(play, 2)
    await _all_told(play)


async def test_a_cut_connection_ends_the_session(client: ClientUnderTest) -> None:
    """It does not reconnect: iterating raises, and its user runs another, empty session."""
    script = Script([say("Good morning."), say("I am back.")])
    seen = (await client.play(reconnect, script)).seen
    assert seen.one("session over")["error"] == "ConnectionClosedError"
    assert _history(seen) == [
        {"role": "user", "words": ["Are you back?"]},
        {"role": "assistant", "words": ["I am back."]},
    ]
