"""What OpenAI's own packages do, in Python and in JavaScript: the same, as tests for either."""

from antiphon.bench.prove.play import Play
from antiphon.emulator import Script, call, say
from antiphon.emulator.audio import speech
from tests.interop import stories
from tests.interop.stories import ClientUnderTest, heard_whole, sent_by

__all__ = ["OpenAIPackage"]


async def interruption(play: Play) -> None:
    await play.open()
    await play.ask("story", "Tell me a long story.")
    await stories.deltas(play, 5)
    await play.do("cancel", reader="story")
    await play.do("cut_item", reader="story", at_ms=300)
    await stories.done(play)
    await stories.seen(play, "truncated")
    await play.ask("next", "What else?")
    await stories.done(play, 2)


async def bare_cancel(play: Play) -> None:
    await play.open()
    await play.aside("aside", "Say something.")
    await stories.deltas(play, 1)
    await play.do("bare_cancel")
    await stories.seen(play, "error")
    await stories.done(play)


class OpenAIPackage:
    """To be derived from, in a module that says which client it is."""

    async def test_text_turn(self, client: ClientUnderTest) -> None:
        script = Script([say("Good morning to you.").when(contains="hello there")])
        record = await client.play(stories.text_turn, script)
        assert record.seen.words() == "Good morning to you."
        assert record.seen.one("done")["status"] == "completed"
        assert record.seen.of("error") == []
        assert sent_by(record.engines[0]) == [
            "session.update",
            "conversation.item.create",
            "response.create",
        ]
        script.assert_consumed()

    async def test_audio_turn(self, client: ClientUnderTest) -> None:
        script = Script(
            [say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"]
        )
        record = await client.play(stories.audio_turn, script)
        seen = record.seen
        assert seen.one("heard")["text"] == "What is the weather?"
        assert seen.words("transcript") == "Sunny."
        heard_whole(seen.audio(), seen.one("done")["response"], 900)
        assert sent_by(record.engines[0]) == ["session.update", "input_audio_buffer.append"]

    async def test_tool_round(self, client: ClientUnderTest) -> None:
        script = Script(
            [
                call("get_weather", {"city": "Oslo"}, call_id="call_weather"),
                say("It is sunny in Oslo.").when(tool_output="sunny"),
            ]
        )
        seen = (await client.play(stories.tool_round, script)).seen
        called = seen.one("called")
        assert (called["name"], called["arguments"]) == ("get_weather", '{"city": "Oslo"}')
        assert seen.words() == "It is sunny in Oslo."
        script.assert_consumed()

    async def test_interruption_by_id(self, client: ClientUnderTest) -> None:
        script = Script([say("Once upon a time.", ms=30_000), say("What else?", ms=400)])
        record = await client.play(interruption, script)
        seen = record.seen
        first, second = seen.of("done")
        assert (first["status"], first["reason"]) == ("cancelled", "client_cancelled")
        assert second["status"] == "completed"
        (cancel,) = record.engines[0].received_of("response.cancel")
        assert cancel["response_id"] == first["response"]
        assert seen.one("truncated")["ms"] == 300
        # What it got of the first is unbroken, and nothing of it came after its end.
        spans = speech.spans(seen.audio())
        assert [span.tag for span in spans] == [
            speech.tag_of(first["response"]),
            speech.tag_of(second["response"]),
        ]
        assert spans[0].start_ms == 0
        assert spans[0].end_ms < 5_000
        assert (spans[1].start_ms, spans[1].end_ms) == (0, 400)

    async def test_barge_in(self, client: ClientUnderTest) -> None:
        script = Script([say("Once upon a time.", ms=30_000), say("Sunny.", ms=400)])
        record = await client.play(stories.barge_in, script)
        first, second = record.seen.of("done")
        assert (first["status"], first["reason"]) == ("cancelled", "turn_detected")
        assert second["status"] == "completed"
        assert "response.cancel" not in sent_by(record.engines[0])

    async def test_two_in_flight_are_told_apart_by_their_user(
        self, client: ClientUnderTest
    ) -> None:
        seen = (await client.play(stories.two_in_flight, stories.side_by_side())).seen
        order = [one["response"] for one in seen.of("audio")]
        assert len({*order}) == 2
        assert order != sorted(order, key=order.index), "they did not run side by side"
        for done in seen.of("done"):
            heard_whole(
                seen.audio(response=done["response"]), done["response"], stories.SIDE_BY_SIDE_MS
            )

    async def test_bare_cancel_does_not_reach_an_out_of_band_response(
        self, client: ClientUnderTest
    ) -> None:
        seen = (await client.play(bare_cancel, Script([say("An aside.", ms=5_000)]))).seen
        assert seen.one("error")["code"] == "response_cancel_not_active"
        assert seen.one("refused")["answers"] == "bare"
        assert seen.one("done")["status"] == "completed"

    async def test_reconnect(self, client: ClientUnderTest) -> None:
        script = Script([say("Good morning."), say("I am back.")])
        record = await client.play(stories.reconnect, script)
        assert len(record.engines) == 2
        assert record.seen.one("reconnecting")["code"] == 1006
        assert record.seen.words() == "Good morning.I am back."
        # Nothing of the old conversation is sent again: that is left to the user.
        assert sent_by(record.engines[1]) == [
            "session.update",
            "conversation.item.create",
            "response.create",
        ]
