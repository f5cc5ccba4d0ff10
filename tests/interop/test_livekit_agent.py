"""A whole LiveKit AgentSession on the OpenAI plugin, unchanged, against the emulator."""

from antiphon.bench.prove.play import Play
from antiphon.emulator import Behaviour, Script, call, say
from tests.interop import stories
from tests.interop.stories import ClientUnderTest, interop, statuses

__all__: list[str] = []

pytestmark = interop("livekit-agents")

STORY = "Once upon a time. " * 600


async def test_text_turn(client: ClientUnderTest) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    seen = (await client.play(stories.text_turn, script)).seen
    assert seen.one("run event")["text"] == "Good morning to you."
    assert seen.of("error") == []
    script.assert_consumed()


async def audio_turn(play: Play) -> None:
    await play.open(text=True, vad=True)
    await play.do("speak")
    await stories.seen(play, "item", 2)


async def test_audio_turn(client: ClientUnderTest) -> None:
    script = Script([say("Sunny.").when(automatic=True)], hears=["What is the weather?"])
    seen = (await client.play(audio_turn, script)).seen
    said = [(one["role"], one["text"]) for one in seen.of("item")]
    assert said == [("user", "What is the weather?"), ("assistant", "Sunny.")]
    assert seen.one("heard")["text"] == "What is the weather?"
    script.assert_consumed()


async def tool_round(play: Play) -> None:
    await play.open(text=True, tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    await play.ended("question", 20)


async def test_tool_round(client: ClientUnderTest) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    seen = (await client.play(tool_round, script)).seen
    assert seen.one("tool")["city"] == "Oslo"
    assert [one["type"] for one in seen.of("run event")] == [
        "function_call",
        "function_call_output",
        "message",
    ]
    assert seen.of("run event")[-1]["text"] == "It is sunny in Oslo."
    script.assert_consumed()


async def interruption(play: Play) -> None:
    await play.open(text=True)
    await play.do("reply", words="Tell me a long story.")
    # Until it is under way there is nothing to interrupt.
    speaking = [one["now"] for one in play.record.seen.of("state")]
    await play.until(lambda: "speaking" in [one["now"] for one in play.record.seen.of("state")], 20)
    assert "speaking" not in speaking
    await play.do("interrupt")
    await play.ask("next", "What else?")
    await play.ended("next", 20)


async def test_interruption(client: ClientUnderTest) -> None:
    script = Script([say(STORY), say("Nothing else.")])
    at_once = Behaviour(cancel_latency_ms=0, straggler_deltas=0)
    record = await client.play(interruption, script, at_once)
    seen, (engine,) = record.seen, record.engines
    assert seen.one("interrupted")["was"] is True
    cancels = engine.received_of("response.cancel")
    assert cancels and all(one == {"type": "response.cancel"} for one in cancels)
    assert statuses(engine) == ["cancelled", "completed"]
    cut = next(one for one in seen.of("item") if one["interrupted"])
    assert len(cut["text"]) < len(STORY)
    assert seen.of("run event")[-1]["text"] == "Nothing else."


async def test_a_reply_right_after_an_interruption_is_refused(client: ClientUnderTest) -> None:
    """Expected failure of LiveKit 1.8.9: it does not wait for the cancelled response's end.

    The server takes a moment to end a cancelled response (P-45). Until then the lane is taken, and
    the reply that the application asks for meanwhile is refused and lost.
    """
    script = Script([say(STORY), say("Nothing else.")])
    record = await client.play(interruption, script, Behaviour(cancel_latency_ms=3000))
    seen, (engine,) = record.seen, record.engines
    assert seen.one("reply failed")["code"] == "conversation_already_has_active_response"
    assert len(engine.received_of("response.create")) == 2
    assert len(script.unconsumed) == 1


async def reconnect(play: Play) -> None:
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting", 20)
    play.cut()
    # A turn asked for while the cut goes unnoticed is lost; one asked for after that waits.
    await stories.seen(play, "error")
    await play.ask("back", "Are you back?")
    await play.ended("back", 20)


async def test_reconnect_replays_the_conversation(client: ClientUnderTest) -> None:
    script = Script([say("Good morning."), say("I am back.")])
    record = await client.play(reconnect, script)
    seen, engine = record.seen, record.engines[1]
    assert [one["text"] for one in seen.of("run event")] == ["Good morning.", "I am back."]
    items = [event["item"] for event in engine.received_of("conversation.item.create")]
    assert [item["content"][0]["text"] for item in items] == [
        "Hello there.",
        "Good morning.",
        "Are you back?",
    ]
