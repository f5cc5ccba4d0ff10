"""livekit-plugins-openai's RealtimeSession, unchanged, against the emulator.

What it does wrong with two responses in flight is kept here as it is, so that we notice when it
changes: one "current generation" takes every event, whatever response it names.
"""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Observed
from antiphon.emulator import Script, call, say
from antiphon.emulator.audio import speech
from tests.interop import stories
from tests.interop.stories import ClientUnderTest, heard_whole, interop, sent_by, statuses

__all__: list[str] = []

pytestmark = interop("livekit")


async def test_text_turn(client: ClientUnderTest) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    seen = (await client.play(stories.text_turn, script)).seen
    assert seen.words() == "Good morning to you."
    assert seen.of("error") == []
    script.assert_consumed()


async def audio_turn(play: Play) -> None:
    await stories.audio_turn(play)
    await play.ended("answer 1")
    await stories.seen(play, "transcript")


async def test_audio_turn(client: ClientUnderTest) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    record = await client.play(audio_turn, script)
    seen = record.seen
    assert seen.one("transcript")["text"] == "What is the weather?"
    assert len(seen.of("speech started")) == 1
    assert seen.words() == "Sunny."
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert sent_by(record.engines[0]) == ["session.update", "input_audio_buffer.append"]


async def tool_round(play: Play) -> None:
    await stories.tool_round(play)
    await play.ended("question, with the tool", 20)


async def test_tool_round(client: ClientUnderTest) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny"),
        ]
    )
    seen = (await client.play(tool_round, script)).seen
    assert seen.one("called")["name"] == "get_weather"
    assert seen.words() == "It is sunny in Oslo."
    script.assert_consumed()


async def interruption(play: Play) -> None:
    await play.open()
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("interrupt")
    await play.do("truncate", reader="story", heard_ms=300)
    # Its interrupt() cannot be awaited; the stream's end is all there is to go by.
    await play.ended("story", 20)
    await play.ask("next", "What else?")
    await play.ended("next", 20)


async def test_interruption_is_a_bare_cancel(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("What else?", ms=400)])
    record = await client.play(interruption, script)
    seen, (engine,) = record.seen, record.engines
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert statuses(engine) == ["cancelled", "completed"]
    assert "conversation.item.truncated" in _events(seen)
    first, second = seen.of("done")
    (span,) = speech.spans(seen.audio(reader="story"))
    assert (span.tag, span.start_ms) == (speech.tag_of(first["response"]), 0)
    assert span.end_ms < 5_000
    heard_whole(seen.audio(reader="next"), second["response"], 400)


async def barge_in(play: Play) -> None:
    await stories.barge_in(play)
    await play.ended("answer 1")


async def test_barge_in(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    record = await client.play(barge_in, script)
    seen, (engine,) = record.seen, record.engines
    assert statuses(engine) == ["cancelled", "completed"]
    assert engine.received_of("response.cancel") == []
    heard_whole(seen.audio(reader="answer 1"), seen.of("done")[1]["response"], 400)


async def two_in_flight(play: Play) -> None:
    await stories.two_in_flight(play)
    await play.ended("two")
    # One of the readers is over; the other has a second more.
    await play.pass_time(1)


async def test_two_in_flight_end_up_in_one_stream(client: ClientUnderTest) -> None:
    """Expected failure of LiveKit 1.8.9: the second `created` takes over the first's output.

    The reader of the first waits for ever, and the second's stream carries both (livekit/agents
    #5564 tells of the same with another model).
    """
    record = await client.play(two_in_flight, stories.side_by_side())
    seen = record.seen
    assert statuses(record.engines[0]) == ["completed", "completed"]
    default = next(
        one["response"] for one in seen.of("done") if "client_event_id" in one["metadata"]
    )
    aside = next(one["response"] for one in seen.of("done") if "purpose" in one["metadata"])
    assert [one["reader"] for one in seen.of("ended")] == ["two"], "the other is left waiting"
    assert seen.audio(reader="one") == b""
    taken = {span.tag for span in speech.spans(seen.audio(reader="two"))}
    assert taken == {speech.tag_of(default), speech.tag_of(aside)}


async def bare_cancel(play: Play) -> None:
    await play.open()
    await play.aside("aside", "Say something.")
    await stories.deltas(play, 3)
    await play.do("interrupt")
    await play.ended("aside", 20)


async def test_interrupt_does_not_reach_an_out_of_band_response(client: ClientUnderTest) -> None:
    """Expected failure of LiveKit 1.8.9: its cancel names no response (P-2)."""
    record = await client.play(bare_cancel, Script([say("An aside.", ms=5_000)]))
    seen, (engine,) = record.seen, record.engines
    assert engine.received_of("response.cancel") == [{"type": "response.cancel"}]
    assert seen.one("done")["status"] == "completed"
    heard_whole(seen.audio(), seen.one("done")["response"], 5_000)


async def reconnect(play: Play) -> None:
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting", 20)
    play.cut()
    await stories.seen(play, "connection")
    await play.do("ask_again", reader="back")
    await play.ended("back", 20)


async def test_reconnect_replays_the_conversation(client: ClientUnderTest) -> None:
    script = Script([say("Good morning."), say("I am back.")])
    record = await client.play(reconnect, script)
    seen, engine = record.seen, record.engines[1]
    assert [one["state"] for one in seen.of("connection")] == ["back"]
    assert seen.words() == "Good morning.I am back."
    items = [event["item"] for event in engine.received_of("conversation.item.create")]
    assert [(item["role"], item["content"][0]["text"]) for item in items] == [
        ("user", "Hello there."),
        ("assistant", "Good morning."),
    ]


def _events(seen: Observed) -> list[str]:
    return [str(one["type"]) for one in seen.of("event")]
