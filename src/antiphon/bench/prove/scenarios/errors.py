"""What the server refuses, and what nobody expects of it."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.scenario import ScenarioTable
from antiphon.emulator import Faults, Pace, Script, after, answer, call, fail, on, say

__all__ = ["scenario"]

scenario = ScenarioTable("errors")
SLOW = Pace(speed=4)
_ERROR = {
    "type": "server_error",
    "code": None,
    "message": "The server had an error.",
    "param": None,
    "event_id": None,
}


@scenario(
    reproduces="livekit/agents#7073",
    facts="P-83, P-104",
    control="hangs_on_refusals",
    script=lambda: Script([say("Next five.", ms=400).always()]),
    faults=Faults(
        on("conversation.item.added", nth=1).change(
            lambda event: {
                "type": "error",
                "event_id": event["event_id"],
                "error": {
                    "type": "invalid_request_error",
                    "code": "item_create_invalid_item_id",
                    "message": "The item could not be added.",
                    "param": None,
                    "event_id": None,
                },
            }
        ),
        on("conversation.item.done", nth=1).drop(),
    ),
)
async def an_item_that_is_refused(play: Play) -> None:
    """The server refuses an item: whoever added it is told, within a bounded time."""
    await play.open()
    await play.do("note", words="For the record.")
    got = await play.until(lambda: bool(play.record.seen.of("answered")), 11.5)
    play.check(got or play.errors(), "whoever added the item waits for ever, or takes it for added")
    answered = play.record.seen.of("answered")
    play.check(
        play.errors() or not answered[0]["ok"],
        "an item that was refused is told as added",
        str(answered),
    )


@scenario(
    reproduces="livekit/agents#6964",
    facts="P-212, P-223",
    control="hangs_on_refusals",
    script=lambda: Script(
        [say("Story one.", ms=400), say("Next five.", ms=400).when(lane="default", automatic=False)]
    ),
)
async def after_an_item_that_is_gone(play: Play) -> None:
    """An item is to follow one that was deleted: that is told or made good, and nothing hangs."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.ended("story")
    await play.do("forget", reader="story")
    await play.until(lambda: play.record.told("conversation.item.deleted") != [], 2)
    await play.do("note", words="For the record.", after="story")
    got = await play.until(lambda: bool(play.record.seen.of("answered")), 8)
    play.check(got, "whoever added the item waits for ever")
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400)


@scenario(
    reproduces="livekit/agents#4960",
    facts="P-223",
    control="deletes_calls",
    script=lambda: Script(
        [
            answer(
                say("One moment.", ms=1500).paced(SLOW),
                call("get_weather", {"city": "Oslo" * 200}, call_id="call_one"),
            ).paced(SLOW),
            say("Next five.", ms=400).always(),
        ]
    ),
)
async def a_call_not_in_the_copy(play: Play) -> None:
    """A copy of the conversation, made before a call came, is written back: the call stays."""
    await play.open(tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    await play.heard("One moment.", 200)
    await play.do("remember")
    await play.until(lambda: play.record.said("get_weather"), 4)
    await play.pass_time(0.1)
    await play.do("rewrite", words="By the way.")
    await play.pass_time(0.4)
    spoken = play.record.said("get_weather")
    assert spoken is not None
    call_item = spoken.item_ids[-1]
    deleted = [event["item_id"] for event in play.record.sent("conversation.item.delete")]
    play.check(
        call_item not in deleted,
        "a function call that is being answered is deleted: its output has nothing to belong to",
    )


@scenario(
    reproduces="pipecat-ai/pipecat#3755",
    facts="P-7, P-83",
    control="dies_of_errors",
    script=lambda: Script(
        [say("Story one.", ms=2000).paced(SLOW), say("Next five.", ms=400).always()]
    ),
    faults=Faults(after(0.5).send({"type": "error", "error": _ERROR})),
)
async def an_error_out_of_nowhere(play: Play) -> None:
    """An error that answers nothing is no end: the reply goes on, and the next one comes."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.ended("story")
    await play.until(lambda: play.record.told("error") != [], 2)
    play.whole("story", "Story", 2000)
    await play.ask("next", "What next?")
    await play.comes(
        "next", "Next", 400, "after an error of the server's nothing is heard any more"
    )


@scenario(
    reproduces="openai/openai-realtime-api-beta#110",
    facts="P-126",
    control="dies_of_the_unknown",
    script=lambda: Script([say("Story one.", ms=600)]),
    faults=Faults(
        after(0.05).send({"type": "something.entirely.new", "detail": {"a": [1, 2]}}),
        on("response.output_audio.delta", nth=2).with_value({"b": 1}, "something_new"),
    ),
)
async def an_event_of_an_unknown_type(play: Play) -> None:
    """An event of a type that nobody knows, and a field as unknown, are passed over."""
    await play.open()
    await play.pass_time(0.2)
    await play.ask("story", "Tell me a story.")
    await play.ended("story", loss="after an event of an unknown type nothing is heard any more")
    play.whole("story", "Story", 600)


@scenario(
    reproduces=("livekit/agents#2967", "livekit/agents#6205"),
    facts="P-160, P-164",
    control="hides_failures",
    script=lambda: Script(
        [
            fail("rate_limit_exceeded", "Rate limit reached.", after=say("Story one.", ms=400)),
            say("Next five.", ms=400).always(),
        ]
    ),
)
async def a_reply_that_fails(play: Play) -> None:
    """A reply fails half-way: its reader learns that it failed, and the next one is given."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    end = await play.ended("story", loss="whoever reads the failed reply waits for ever")
    play.check(
        end.get("how") != "completed" or play.errors(),
        "a reply that broke off half-way is told as completed",
        str(end),
    )
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "after a failed reply nothing is heard any more")
