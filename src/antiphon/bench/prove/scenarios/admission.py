"""The default conversation runs one response at a time: who waits, who is refused, who is told."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Json
from antiphon.bench.prove.scenario import ScenarioTable
from antiphon.emulator import Behaviour, Faults, Pace, Script, fail, on, say

__all__ = ["scenario"]

scenario = ScenarioTable("admission")
SLOW = Pace(speed=4)


def _story_next() -> Script:
    return Script(
        [
            say("Story one.", ms=1500).paced(SLOW).when(lane="default", automatic=False),
            say("Next five.", ms=400).when(lane="default", automatic=False),
            say("Mood two.", ms=300).when(lane="out_of_band"),
        ]
    )


@scenario(
    reproduces=("openai/openai-agents-python#1466", "livekit/agents#1204"),
    facts="P-30, P-42",
    control="asks_at_once",
    script=_story_next,
)
async def two_replies_asked_for(play: Play) -> None:
    """Asked for a second reply while the first is spoken: both are heard, one after the other."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 200)
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "the second reply is refused or lost: dead air")
    play.whole("story", "Story", 1500)


@scenario(
    reproduces="openai/openai-agents-python#1466",
    facts="P-30, P-42",
    control="aside_frees_the_lane",
    script=_story_next,
)
async def an_aside_frees_no_lane(play: Play) -> None:
    """The end of a response out of band is not taken for the end of the reply that runs."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 200)
    await play.aside("mood", "What is the mood?")
    await play.over("Mood")
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "the second reply is refused or lost: dead air")
    play.whole("story", "Story", 1500)


def _vad_first() -> Script:
    return Script(
        [
            say("Answer four.", ms=1500).paced(SLOW).when(automatic=True),
            say("Story one.", ms=400).when(automatic=False),
        ]
    )


# The client learns a moment too late that turn detection has begun a response.
_LATE_CREATED = on("response.created", nth=1).delay(0.4)


@scenario(
    reproduces="livekit/agents#6817",
    facts="R-8, P-48, P-49",
    control="loses_refusals",
    script=_vad_first,
    faults=Faults(_LATE_CREATED),
)
async def turn_detection_was_quicker(play: Play) -> None:
    """Turn detection's response beats a reply asked for: that comes later, or as a refusal."""
    await _beaten(play)


@scenario(
    reproduces=("tleyden/arty#81", "openai/openai-agents-python#3405"),
    facts="R-22, P-85",
    control="loses_refusals",
    script=_vad_first,
    behaviour=Behaviour(error_event_id_echo="never"),  # type: ignore[arg-type]
    faults=Faults(_LATE_CREATED),
)
async def quicker_and_the_error_names_nothing(play: Play) -> None:
    """The same, and the server's error does not say what it answers."""
    await _beaten(play)


@scenario(
    reproduces="hashintel/hash#9399",
    facts="R-10, P-50",
    control="loses_refusals",
    script=_vad_first,
    faults=Faults(
        _LATE_CREATED, on("error", nth=1).hold(until="response.done", same_response=False)
    ),
)
async def refused_after_the_blocker_is_done(play: Play) -> None:
    """The refusal is read after the response that was in the way has ended: nothing stalls."""
    await _beaten(play)


async def _beaten(play: Play) -> None:
    await play.open(vad=True)
    await play.do("speak")
    engines = play.record.engines

    def busy() -> bool:
        return bool(engines) and bool(engines[-1].active_responses)

    await play.until(busy, 4)
    await play.ask("story", "Tell me a story.")
    await play.over("Answer", 6)

    def settled() -> Json | None:
        return play.end_of("story")

    end = await play.until(settled, 11)
    play.check(end, "whoever asked for the reply waits for ever, and hears nothing")
    answer = play.record.said("Answer")
    assert answer is not None
    play.check(play.total_ms(answer) == 1500, "the answer to what the caller said is not whole")
    story = play.record.said("Story")
    assert end is not None
    if story is not None:
        play.check(play.total_ms(story) == 400, "the reply is given, and not heard whole")
    else:
        play.check(
            end.get("how") not in ("completed", None) or play.errors(),
            "the reply is refused, and nobody is told",
            str(end),
        )


@scenario(
    reproduces=("livekit/agents#6222", "livekit/agents#7073"),
    facts="R-27, P-44",
    control="speaks_after_giving_up",
    script=lambda: Script([say("Story one.", ms=600).always()]),
    behaviour=Behaviour(created_latency_ms=12_500),
)
async def given_up_stays_given_up(play: Play) -> None:
    """The reply takes too long, its asker is told so: then it is not spoken after all."""
    await play.open()
    await play.ask("story", "Tell me a story.", patience=2)
    end = await play.until(lambda: play.end_of("story"), 12.2)
    since = len(play.record.seen)
    await play.until(lambda: play.record.told("response.created") != [], 16)
    story = await play.until(lambda: play.record.said("Story"), 1)
    if end is None or end.get("how") == "completed":
        await play.ended("story", 5)
        return  # it has more patience than this server needs
    if story is None:
        return  # it was called off before it began
    await play.until(lambda: story.status, 3)
    await play.nothing_more(
        story,
        within_s=0.5,
        since=since,
        loss="a reply that was given up as lost is suddenly spoken, over whatever came since",
    )


@scenario(
    reproduces="twilio-samples/speech-assistant-openai-realtime-api-node#37",
    facts="R-12, P-67",
    control="waits_for_created",
    script=lambda: Script([fail("rate_limit_exceeded"), say("Next five.", ms=400)]),
    faults=Faults(on("response.created", nth=1).drop()),
)
async def failed_without_created(play: Play) -> None:
    """A response fails without having been announced: its asker is told."""
    await play.open()
    await play.ask("story", "Tell me a story.", patience=5)
    await play.until(lambda: play.record.told("response.done") != [], 3)
    end = await play.ended("story", 11, "whoever asked waits for ever for a reply that has failed")
    play.check(
        end.get("how") != "completed" or play.errors(),
        "a reply that failed is told as completed",
        str(end),
    )
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400)
