"""A whole LiveKit AgentSession on the OpenAI plugin, unchanged, against the emulator."""

import pytest

from antiphon.emulator import Behaviour, EmulatorServer, Script, call, say
from tests.interop.harness import ClientProcess

__all__: list[str] = []

pytestmark = pytest.mark.interop("livekit", "livekit_agent")

STORY = "Once upon a time. " * 600


async def test_text_turn(client: ClientProcess) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("text_turn", server)
    assert seen.one("run event")["text"] == "Good morning to you."
    assert seen.of("error") == []
    script.assert_consumed()


async def test_audio_turn(client: ClientProcess) -> None:
    script = Script([say("Sunny.").when(automatic=True)], hears=["What is the weather?"])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("audio_turn", server)
    said = [(one["role"], one["text"]) for one in seen.of("item")]
    assert said == [("user", "What is the weather?"), ("assistant", "Sunny.")]
    assert seen.one("heard")["text"] == "What is the weather?"
    script.assert_consumed()


async def test_tool_round(client: ClientProcess) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}),
            say("It is sunny in Oslo.").when(tool_output="sunny in Oslo"),
        ]
    )
    async with EmulatorServer(script=script) as server:
        seen = await client.play("tool_round", server)
    assert seen.one("tool ran")["city"] == "Oslo"
    assert [one["type"] for one in seen.of("run event")] == [
        "function_call",
        "function_call_output",
        "message",
    ]
    assert seen.of("run event")[-1]["text"] == "It is sunny in Oslo."
    script.assert_consumed()


async def test_interruption(client: ClientProcess) -> None:
    script = Script([say(STORY), say("Nothing else.")])
    at_once = Behaviour(cancel_latency_ms=0, straggler_deltas=0)
    async with EmulatorServer(at_once, script) as server:
        seen = await client.play("interruption", server)
    (engine,) = server.sessions
    assert seen.one("interrupted")["was"] is True
    cancels = engine.received_of("response.cancel")
    assert cancels and all(one == {"type": "response.cancel"} for one in cancels)
    assert list(engine.finished_responses.values()) == ["cancelled", "completed"]
    cut = next(one for one in seen.of("item") if one["interrupted"])
    assert len(cut["text"]) < len(STORY)
    assert seen.of("run event")[-1]["text"] == "Nothing else."


async def test_a_reply_right_after_an_interruption_is_refused(client: ClientProcess) -> None:
    """Expected failure of LiveKit 1.8.9: it does not wait for the cancelled response's end.

    The server takes a moment to end a cancelled response (P-45). Until then the lane is taken, and
    the reply that the application asks for meanwhile is refused and lost.
    """
    script = Script([say(STORY), say("Nothing else.")])
    async with EmulatorServer(Behaviour(cancel_latency_ms=3000), script) as server:
        seen = await client.play("interruption", server)
        (engine,) = server.sessions
    assert seen.one("reply failed")["code"] == "conversation_already_has_active_response"
    assert len(engine.received_of("response.create")) == 2
    assert len(script.unconsumed) == 1


async def test_reconnect_replays_the_conversation(client: ClientProcess) -> None:
    script = Script([say("Good morning."), say("I am back.")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("reconnect", server, cues={"cut me": server.clear})
        (engine,) = server.sessions
    assert [one["text"] for one in seen.of("run event")] == ["Good morning.", "I am back."]
    items = [event["item"] for event in engine.received_of("conversation.item.create")]
    assert [item["content"][0]["text"] for item in items] == [
        "Hello there.",
        "Good morning.",
        "Are you back?",
    ]
