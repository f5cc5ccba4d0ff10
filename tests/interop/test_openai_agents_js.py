"""@openai/agents-realtime on Node, unchanged, against the emulator."""

import pytest

from antiphon.bench.prove.play import Play
from antiphon.emulator import Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop import stories
from tests.interop.stories import ClientUnderTest, heard_whole, interop

__all__: list[str] = []

pytestmark = interop("openai-agents-js")


async def test_text_turn(client: ClientUnderTest) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    seen = (await client.play(stories.text_turn, script)).seen
    assert seen.words() == "Good morning to you."
    assert seen.of("history")[-1]["items"] == [
        {"role": "user", "words": ["Hello there."]},
        {"role": "assistant", "words": ["Good morning to you."]},
    ]
    assert seen.of("error") == []
    script.assert_consumed()


async def test_audio_turn(client: ClientUnderTest) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    seen = (await client.play(stories.audio_turn, script)).seen
    assert seen.one("heard")["text"] == "What is the weather?"
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert seen.of("history")[-1]["items"] == [
        {"role": "user", "words": ["What is the weather?"]},
        {"role": "assistant", "words": ["Sunny."]},
    ]


async def test_tool_round(client: ClientUnderTest) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    seen = (await client.play(stories.tool_round, script)).seen
    assert seen.one("tool end")["output"] == "sunny in Oslo"
    assert seen.words() == "It is sunny in Oslo."
    script.assert_consumed()


async def interruption(play: Play) -> None:
    await _interrupted(play, at_once=False)


async def interrupt_and_ask(play: Play) -> None:
    await _interrupted(play, at_once=True)


async def _interrupted(play: Play, *, at_once: bool) -> None:
    await play.open()
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("interrupt")
    if not at_once:
        await stories.done(play)
    await play.ask("next", "What else?")
    await stories.done(play, 2)


@pytest.mark.parametrize("story", [interruption, interrupt_and_ask])
async def test_interruption_is_a_bare_cancel(client: ClientUnderTest, story: stories.Story) -> None:
    """Its sequencer holds the next create until the cancelled response is done."""
    script = Script([say("Once upon a time.", ms=30_000), say("Nothing else.", ms=400)])
    record = await client.play(story, script)
    seen, (engine,) = record.seen, record.engines
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    assert seen.of("error") == []
    story_span, answer = speech.spans(seen.audio())
    assert story_span.start_ms == 0 and story_span.end_ms < 5_000
    assert answer == speech.Span(speech.tag_of(seen.of("done")[1]["response"]), 0, 400)


async def test_barge_in(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    record = await client.play(stories.barge_in, script)
    seen, (engine,) = record.seen, record.engines
    assert [one["status"] for one in seen.of("done")] == ["cancelled", "completed"]
    assert len(seen.of("audio interrupted")) == 1
    # The server cancels by itself; what was not heard is taken out of the conversation.
    assert engine.received_of("response.cancel") == []
    assert len(engine.received_of("conversation.item.truncate")) == 1


async def test_two_in_flight_are_made_one_after_the_other(client: ClientUnderTest) -> None:
    """Expected limit of 0.20: one response at a time, out-of-band ones included."""
    slow = Pace(speed=4)
    script = Script([say("One.", ms=1_000).paced(slow), say("Two.", ms=1_000).paced(slow)])
    seen = (await client.play(stories.two_in_flight, script)).seen
    first, second = seen.of("done")
    assert second["metadata"] == {"reader": "two"}
    assert speech.spans(seen.audio()) == [
        speech.Span(speech.tag_of(first["response"]), 0, 1_000),
        speech.Span(speech.tag_of(second["response"]), 0, 1_000),
    ]


async def bare_cancel(play: Play) -> None:
    await play.open()
    await play.aside("aside", "Say something.")
    await stories.deltas(play, 3)
    await play.do("interrupt")
    await stories.done(play)


async def test_interrupt_does_not_reach_an_out_of_band_response(client: ClientUnderTest) -> None:
    """Expected failure of 0.20: the cancel names no response (P-2), and the truncate no item."""
    seen = (await client.play(bare_cancel, Script([say("An aside.", ms=5_000)]))).seen
    assert seen.one("done")["status"] == "completed"
    cancel, truncate = (one["what"] for one in seen.of("error"))
    assert "response_cancel_not_active" in cancel
    assert "item_truncate_invalid_item_id" in truncate


async def reconnect(play: Play) -> None:
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await stories.done(play)
    play.cut()
    await play.until(lambda: play.record.seen.of("connection")[-1]["state"] == "over", 10)
    # It does not come back by itself: its user connects again.
    await play.do("connect")
    await play.ask("back", "Are you back?")
    await stories.done(play, 2)
    await play.do("close")
    await play.open(text=True)


async def test_reconnect_begins_an_empty_conversation(client: ClientUnderTest) -> None:
    """A cut ends its session's connection; the user connects again, and nothing is replayed."""
    script = Script([say("Good morning."), say("I am back.")])
    record = await client.play(reconnect, script)
    seen, engine = record.seen, record.engines[1]
    assert seen.words() == "Good morning.I am back."
    told = [one["status"] for one in seen.of("connection")]
    assert told[2:6] == ["disconnected", "connecting", "connected", "disconnected"]
    (item,) = engine.received_of("conversation.item.create")
    assert item["item"]["content"][0]["text"] == "Are you back?"
