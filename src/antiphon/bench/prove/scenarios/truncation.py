"""What the server is told of what was heard: never more than there was, never of another item."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.scenario import ScenarioTable
from antiphon.emulator import Pace, Script, answer, say

__all__ = ["scenario"]

scenario = ScenarioTable("truncation")


def _story() -> Script:
    return Script([say("Story one.", ms=1000), say("Next five.", ms=400).always()])


async def _told_all_right(play: Play) -> None:
    await play.pass_time(0.3)
    refused = [event["error"].get("message") for event in play.record.told("error")]
    play.check(
        not refused,
        "the server refuses the truncation: it goes on as if all had been heard",
        "; ".join(map(str, refused)),
    )
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "after the truncation nothing is heard any more")


@scenario(
    reproduces=(
        "twilio-samples/speech-assistant-openai-realtime-api-python#45",
        "openai/openai-agents-python#2370",
        "pipecat-ai/pipecat#2106",
    ),
    facts="R-19, P-220",
    control="truncates_blindly",
    script=_story,
)
async def no_longer_than_there_was(play: Play) -> None:
    """Told that more was heard than there was, the client asks for nothing impossible."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.ended("story")
    await play.do("truncate", reader="story", heard_ms=60_000)
    await _told_all_right(play)


@scenario(
    reproduces="livekit/agents#6157",
    facts="R-19, P-221",
    control="takes_nothing_for_all",
    script=lambda: Script(
        [
            say("Story one.", ms=1000).paced(Pace(first_output_ms=300)),
            say("Next five.", ms=400).always(),
        ]
    ),
)
async def at_nothing(play: Play) -> None:
    """Nothing of the reply was heard: the server forgets it, and refuses nothing."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.ended("story")
    await play.do("truncate", reader="story", heard_ms=0)
    await play.pass_time(0.3)
    cuts = play.record.sent("conversation.item.truncate")
    deleted = play.record.sent("conversation.item.delete")
    play.check(
        deleted or any(cut["audio_end_ms"] == 0 for cut in cuts),
        "the server goes on as if the reply had been heard, of which nothing was",
        f"truncate: {cuts}",
    )
    await _told_all_right(play)


@scenario(
    reproduces="livekit/agents#6157",
    facts="R-19, P-31",
    control="truncates_blindly",
    script=lambda: Script(
        [
            say("Mood two.", ms=800).when(lane="out_of_band"),
            say("Next five.", ms=400).always(),
        ]
    ),
)
async def of_a_response_out_of_band(play: Play) -> None:
    """The conversation holds nothing of a response out of band: nothing wrong is asked for."""
    await play.open()
    await play.aside("mood", "What is the mood?")
    await play.ended("mood")
    await play.do("truncate", reader="mood", heard_ms=300)
    await _told_all_right(play)


@scenario(
    reproduces="pipecat-ai/pipecat#3677",
    facts="R-19, P-219, P-222",
    control="truncates_the_first",
    script=lambda: Script(
        [
            answer(say("First part.", ms=600), say("Second part.", ms=700)),
            say("Next five.", ms=400).always(),
        ]
    ),
)
async def in_the_second_message(play: Play) -> None:
    """Of two messages the second was heard in part: that one is cut, at the right place."""
    await play.open()
    await play.ask("both", "Say two things.")
    await play.ended("both")
    spoken = play.record.said("First part.")
    assert spoken is not None
    await play.do("truncate", reader="both", heard_ms=900)
    await play.pass_time(0.3)
    cuts = [
        (event["item_id"], event["audio_end_ms"])
        for event in play.record.sent("conversation.item.truncate")
    ]
    play.check(
        cuts == [(spoken.item_ids[1], 300)],
        "the server is told something else than what was heard",
        f"sent: {cuts}",
    )
    await _told_all_right(play)
