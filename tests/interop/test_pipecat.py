"""pipecat's OpenAIRealtimeLLMService in a pipeline, unchanged, against the emulator."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Observed
from antiphon.emulator import Behaviour, Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop import stories
from tests.interop.stories import ClientUnderTest, heard_whole, interop, seen, sent_by, statuses

__all__: list[str] = []

pytestmark = interop("pipecat")


async def text_turn(play: Play) -> None:
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await seen(play, "LLMFullResponseEndFrame")


async def test_text_turn(client: ClientUnderTest) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    told = (await client.play(text_turn, script)).seen
    assert told.words() == "Good morning to you."
    script.assert_consumed()


async def audio_turn(play: Play) -> None:
    # As its examples do: the bot greets, which also sets the conversation up.
    await play.open(vad=True)
    await play.ask("greeting", "Greet me.")
    await seen(play, "TTSStoppedFrame")
    await play.do("speak")
    await seen(play, "TTSStoppedFrame", 2)
    await seen(play, "heard")


async def test_audio_turn(client: ClientUnderTest) -> None:
    script = Script(
        [say("Hi.", ms=200), say("Sunny.", ms=900).when(automatic=True)],
        hears=["What is the weather?"],
    )
    record = await client.play(audio_turn, script)
    assert record.seen.one("heard")["text"] == "What is the weather?"
    assert record.seen.words() == "Hi.Sunny."
    greeting, answer = record.engines[0].finished_responses
    pcm = record.seen.audio()
    heard_whole(pcm[: 48 * 200], greeting, 200)
    heard_whole(pcm[48 * 200 :], answer, 900)


async def tool_round(play: Play) -> None:
    await play.open(text=True, tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    await seen(play, "text")
    await seen(play, "LLMFullResponseEndFrame", 2)


async def test_tool_round(client: ClientUnderTest) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    told = (await client.play(tool_round, script)).seen
    assert told.words() == "It is sunny in Oslo."
    script.assert_consumed()


async def interruption(play: Play) -> None:
    await play.open()
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("interrupt")
    await seen(play, "InterruptionFrame")
    await seen(play, "LLMFullResponseEndFrame")


async def test_interruption_is_a_bare_cancel(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000)])
    (engine,) = (await client.play(interruption, script)).engines
    assert sent_by(engine)[-3:] == [
        "input_audio_buffer.clear",
        "response.cancel",
        "conversation.item.truncate",
    ]
    assert "response_id" not in engine.received_of("response.cancel")[0]


async def barge_in(play: Play) -> None:
    await play.open(vad=True)
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("speak")
    told = play.record.seen

    def answered() -> bool:
        kinds = [one.get("text") or one["saw"] for one in told]
        heard = "Sunny." in kinds and "TTSStoppedFrame" in kinds[kinds.index("Sunny.") :]
        # The server says that the response is over after its last sound.
        return heard and len(statuses(play.record.engines[0])) == 2

    play.check(await play.until(answered, 20), "the answer never comes")


async def test_barge_in(client: ClientUnderTest) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    record = await client.play(barge_in, script)
    (engine,) = record.engines
    assert statuses(engine) == ["cancelled", "completed"]
    assert engine.received_of("conversation.item.truncate") != []
    story, answer = (speech.tag_of(one) for one in engine.finished_responses)
    spans = speech.spans(record.seen.audio())
    assert spans[0].tag == story and spans[0].start_ms == 0
    assert spans[-1] == speech.Span(answer, 0, 400)


async def test_audio_of_an_interrupted_response_begins_another_turn(
    client: ClientUnderTest,
) -> None:
    """Expected failure of pipecat 1.14: deltas after an interruption are played.

    The server sends a few deltas of a cancelled response before its end (P-64). They come after
    the interruption frame, as if the bot had begun to speak again.
    """
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    slow_to_stop = Behaviour(cancel_latency_ms=300, straggler_deltas=8)
    record = await client.play(barge_in, script, slow_to_stop)
    told = record.seen
    story, _ = (speech.tag_of(one) for one in record.engines[0].finished_responses)
    stopped = told.index(told.of("TTSStoppedFrame")[0])
    answered = told.index(told.of("text")[-1])
    late = Observed(told[stopped:answered])
    assert {span.tag for span in speech.spans(late.audio())} == {story}


async def two_in_flight(play: Play) -> None:
    await play.open()
    await play.ask("one", "Tell me something.")
    await seen(play, "TTSStartedFrame")
    await play.aside("two", "And an aside.")
    await seen(play, "LLMFullResponseEndFrame", 2)


async def test_two_in_flight_end_up_in_one_stream(client: ClientUnderTest) -> None:
    """Expected failure of pipecat 1.14: its frames do not say whose they are."""
    record = await client.play(two_in_flight, stories.side_by_side())
    (engine,) = record.engines
    assert statuses(engine) == ["completed", "completed"]
    spans = speech.spans(record.seen.audio())
    assert {span.tag for span in spans} == {speech.tag_of(one) for one in engine.finished_responses}
    assert len(spans) > 2, "the two were not mixed"
    # One turn was begun, and the first response's end ended it.
    assert len(record.seen.of("TTSStartedFrame")) <= 2


async def bare_cancel(play: Play) -> None:
    await play.open()
    await play.ask("greeting", "Greet me.")
    await seen(play, "LLMFullResponseEndFrame")
    before = len(play.record.seen.of("audio"))
    await play.aside("aside", "Say something.")
    await stories.deltas(play, before + 3)
    await play.do("interrupt")
    await seen(play, "error")


async def test_interrupting_an_out_of_band_response_leaves_it_deaf(
    client: ClientUnderTest,
) -> None:
    """Expected failure of pipecat 1.14: the cancel misses, and the truncate ends its reading.

    The cancel names no response (P-2). The item to truncate is not in the conversation, and any
    unexpected `error` ends the service's receive loop with the socket open.
    """
    aside = say("An aside.", ms=10_000).paced(Pace(speed=1))
    record = await client.play(bare_cancel, Script([say("Hi.", ms=200), aside]))
    (engine,) = record.engines
    assert "response_id" not in engine.received_of("response.cancel")[0]
    assert "cancelled" not in statuses(engine)
    assert "item_truncate_invalid_item_id" in record.seen.one("error")["what"]


async def reconnect(play: Play) -> None:
    await play.open(vad=True)
    await play.ask("greeting", "Hello there.")
    await seen(play, "LLMFullResponseEndFrame")
    play.cut()
    await play.pass_time(1)
    assert play.record.seen.of("error") == [], "something is said of it"
    # Its users' way back. Only a spoken turn is answered after it.
    await play.do("reset")
    await play.do("speak")
    told = play.record.seen

    def answered() -> bool:
        kinds = [one.get("text") or one["saw"] for one in told]
        return "I am back." in kinds and "TTSStoppedFrame" in kinds[kinds.index("I am back.") :]

    play.check(await play.until(answered, 20), "the answer never comes")


async def test_a_cut_connection_goes_unnoticed(client: ClientUnderTest) -> None:
    """Expected failure of pipecat 1.14: nothing is said about a lost connection.

    Its user must call `reset_conversation()`. What was said before is not told to the new session
    until something else than speech asks for a response.
    """
    script = Script([say("Good morning.", ms=200), say("I am back.", ms=200)])
    record = await client.play(reconnect, script)
    assert record.seen.words() == "Good morning.I am back."
    # In either order: speech is not held back until the new session is there. No item among them.
    assert set(sent_by(record.engines[1])) == {"session.update", "input_audio_buffer.append"}
