"""openai-python, unchanged, against the emulator."""

import pytest

from antiphon.emulator import EmulatorServer, Pace, Script, call, say
from antiphon.emulator.audio import speech
from tests.interop.harness import ClientProcess, heard_whole, sent_by

__all__: list[str] = []

pytestmark = pytest.mark.interop("openai", "openai_python")


async def test_text_turn(client: ClientProcess) -> None:
    script = Script([say("Good morning to you.").when(contains="hello there")])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("text_turn", server)
    assert seen.words() == "Good morning to you."
    assert seen.one("done")["status"] == "completed"
    assert sent_by(server.sessions[0]) == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]
    script.assert_consumed()


async def test_audio_turn(client: ClientProcess) -> None:
    script = Script([say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("audio_turn", server)
    assert seen.one("heard")["text"] == "What is the weather?"
    assert seen.words("transcript") == "Sunny."
    heard_whole(seen.audio(), seen.one("done")["response"], 900)
    assert sent_by(server.sessions[0]) == ["session.update", "input_audio_buffer.append"]


async def test_tool_round(client: ClientProcess) -> None:
    script = Script(
        [
            call("get_weather", {"city": "Oslo"}, call_id="call_weather"),
            say("It is sunny in Oslo.").when(tool_output="sunny"),
        ]
    )
    async with EmulatorServer(script=script) as server:
        seen = await client.play("tool_round", server)
    assert seen.one("call") == {
        "saw": "call",
        "name": "get_weather",
        "arguments": '{"city": "Oslo"}',
    }
    assert seen.words() == "It is sunny in Oslo."
    script.assert_consumed()


async def test_interruption_by_id(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("What else?", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("interruption", server)
    first, second = seen.of("done")
    assert (first["status"], first["reason"]) == ("cancelled", "client_cancelled")
    assert second["status"] == "completed"
    assert seen.one("truncated")["ms"] == 300
    # What it got of the first is unbroken, and nothing of it came after its end.
    spans = speech.spans(seen.audio())
    assert [span.tag for span in spans] == [
        speech.tag_of(first["response"]),
        speech.tag_of(second["response"]),
    ]
    assert spans[0].start_ms == 0
    assert spans[0].end_ms < 3_000


async def test_barge_in(client: ClientProcess) -> None:
    script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("barge_in", server)
    first, second = seen.of("done")
    assert (first["status"], first["reason"]) == ("cancelled", "turn_detected")
    assert second["status"] == "completed"
    assert "response.cancel" not in sent_by(server.sessions[0])


async def test_two_in_flight_are_told_apart_by_their_user(client: ClientProcess) -> None:
    slow = Pace(speed=4)
    script = Script([say("One.", ms=1_000).paced(slow), say("Two.", ms=1_000).paced(slow)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("two_in_flight", server)
    order = [one["response"] for one in seen.of("audio")]
    assert len({*order}) == 2
    assert order != sorted(order, key=order.index), "they did not run side by side"
    for done in seen.of("done"):
        mine = [one for one in seen if one["saw"] != "audio" or one["response"] == done["response"]]
        heard_whole(type(seen)(mine).audio(), done["response"], 1_000)


async def test_bare_cancel_does_not_reach_an_out_of_band_response(client: ClientProcess) -> None:
    script = Script([say("An aside.", ms=5_000)])
    async with EmulatorServer(script=script) as server:
        seen = await client.play("bare_cancel", server)
    error = seen.one("error")
    assert (error["code"], error["answers"]) == ("response_cancel_not_active", "bare")
    assert seen.one("done")["status"] == "completed"


async def test_reconnect(client: ClientProcess) -> None:
    script = Script([say("Good morning."), say("I am back.")])
    async with EmulatorServer(script=script) as server:
        first: list[object] = []

        def cut() -> None:
            first.extend(server.sessions)
            server.clear()

        seen = await client.play("reconnect", server, cues={"cut me": cut})
        assert len(first) == 1
        assert len(server.sessions) == 1
    assert seen.one("reconnecting")["code"] == 1006
    assert seen.words() == "Good morning.I am back."
    # Nothing of the old conversation is sent again: that is left to the user.
    assert sent_by(server.sessions[0]) == [
        "session.update",
        "conversation.item.create",
        "response.create",
    ]
