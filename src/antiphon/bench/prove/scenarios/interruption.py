"""Interruptions: who is stopped, when, and what comes after."""

from antiphon.bench.prove.play import SOON_S, Play
from antiphon.bench.prove.record import Spoken
from antiphon.bench.prove.scenario import NotApplicable, ScenarioTable
from antiphon.emulator import Behaviour, Faults, Pace, Script, on, say

__all__ = ["scenario"]

scenario = ScenarioTable("interruption")
LONG_MS = 20_000
SLOW = Pace(speed=2)
_STORY = say("Story one.", ms=LONG_MS).paced(SLOW).when(lane="default", automatic=False)
_MOOD = say("Mood two.", ms=LONG_MS).paced(SLOW).when(lane="out_of_band", contains="mood")
_ORDER = say("Order three.", ms=LONG_MS).paced(SLOW).when(lane="out_of_band", contains="order")
_NEXT = say("Next five.", ms=400).when(lane="default", automatic=False)


def _long() -> Script:
    return Script([_STORY, _MOOD, _ORDER, _NEXT])


async def _stopped(play: Play, *many: Spoken) -> None:
    """Check that the server has been made to stop these, and soon."""
    await play.until(lambda: all(spoken.status for spoken in many), SOON_S)
    going_on = [spoken.words.rstrip(".") for spoken in many if spoken.status is None]
    cancels = [event.get("response_id", "(no id)") for event in play.record.sent("response.cancel")]
    play.check(
        not going_on,
        "after the interruption the server goes on, heard or not, and it is paid for: "
        + ", ".join(going_on),
        f"response.cancel sent with: {cancels or 'none was sent'}",
    )
    finished = [spoken.words for spoken in many if spoken.status == "completed"]
    play.check(not finished, f"{finished} was spoken to its end in spite of the interruption")


@scenario(
    reproduces="livekit/agents#5564",
    facts="R-6, P-1, P-2, P-5",
    control="bare_cancel",
    script=_long,
)
async def stops_the_reply_and_two_asides(play: Play) -> None:
    """A reply and two responses beside it: an interruption stops all three."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.sent("Story")
    await play.aside("mood", "What is the mood?")
    await play.aside("order", "Which order is it?")
    many = [await play.sent(words, 300) for words in ("Story", "Mood", "Order")]
    await play.do("interrupt")
    await _stopped(play, *many)


@scenario(
    reproduces=("livekit/agents#5564", "HybridAIOne/hybridclaw#1502"),
    facts="R-5, P-3, P-4",
    control="bare_cancel",
    script=_long,
)
async def stops_two_asides(play: Play) -> None:
    """Two responses out of band and nothing else: an interruption stops both."""
    await play.open()
    await play.aside("mood", "What is the mood?")
    await play.aside("order", "Which order is it?")
    many = [await play.sent(words, 300) for words in ("Mood", "Order")]
    await play.do("interrupt")
    await _stopped(play, *many)


@scenario(
    reproduces="livekit/agents#5564",
    facts="P-4",
    control="bare_cancel",
    script=_long,
    behaviour=Behaviour(cancel_no_id_scope="only_if_single"),  # type: ignore[arg-type]
)
async def stops_all_where_a_bare_cancel_stops_none(play: Play) -> None:
    """A server on which a cancel without an id stops nothing while several are in flight."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.sent("Story")
    await play.aside("mood", "What is the mood?")
    many = [await play.sent(words, 300) for words in ("Story", "Mood")]
    await play.do("interrupt")
    await _stopped(play, *many)


@scenario(
    reproduces="livekit/agents#6244",
    facts="R-3, P-12",
    control="deaf",
    script=_long,
    behaviour=Behaviour(created_latency_ms=400),
)
async def before_the_response_exists(play: Play) -> None:
    """Interrupted before the server has created the response: it is not heard, and is stopped."""
    await play.open()
    number = play.begin("ask", reader="story", words="Tell me a story.")
    again = play.begin("interrupt")
    await play.answer_to(number, "ask")
    await play.answer_to(again, "interrupt")
    since = len(play.record.seen)
    if not play.record.sent("response.create"):
        await play.until(lambda: bool(play.record.sent("response.create")), 0.3)
    if not play.record.sent("response.create"):
        return  # never asked for: nothing can be heard
    await play.until(lambda: play.record.said("Story"), 1.2)
    story = play.record.said("Story")
    if story is not None:
        await _stopped(play, story)
        await play.nothing_more(
            story,
            within_s=0.3,
            since=since,
            loss="what was called off before it began is spoken all the same",
        )


@scenario(
    reproduces="sgl-project/sglang-omni#1344",
    facts="R-13, P-64",
    control="plays_on",
    script=_long,
    behaviour=Behaviour(cancel_latency_ms=400, straggler_deltas=8),
)
async def stragglers_are_not_heard(play: Play) -> None:
    """Audio that the server still sends after a cancel reaches nobody."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    story = await play.heard("Story", 400)
    await play.do("interrupt")
    since = len(play.record.seen)
    await play.nothing_more(
        story,
        within_s=0.9,
        since=since,
        loss="after the interruption the caller hears another scrap of what was broken off",
    )


@scenario(
    reproduces="ReviewStage/luke#318",
    facts="R-1, P-6, P-14",
    control="dies_of_errors",
    script=lambda: Script([say("Story one.", ms=1500).paced(Pace.instant()), _NEXT]),
)
async def after_the_response_is_done(play: Play) -> None:
    """The response is done while it is still being played: an interruption then harms nothing."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.over("Story")
    await play.do("interrupt")
    await play.pass_time(0.2)
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "after the interruption nothing is heard any more")


@scenario(
    reproduces="hashintel/hash#9399",
    facts="R-1, P-10, P-14",
    control="dies_of_errors",
    script=lambda: Script([say("Story one.", ms=1000).paced(SLOW), _NEXT]),
    faults=Faults(on("response.output_audio.done", nth=1).delay(0.4)),
)
async def crossing_the_natural_end(play: Play) -> None:
    """The cancel crosses the response's own end; its error, after the done, harms nothing."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 1000)
    # All has been generated, the end is still on its way: the cancel will find nothing.
    await play.pass_time(0.1)
    await play.do("interrupt")
    await play.over("Story")
    await play.pass_time(0.2)
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "after the interruption nothing is heard any more")


@scenario(
    reproduces=("livekit/agents#6962", "pydantic/pydantic-ai#7870"),
    facts="R-2, P-15, P-18",
    control="bare_cancel",
    script=lambda: Script(
        [_STORY, say("Answer four.", ms=4000).paced(Pace(speed=4)).when(automatic=True)]
    ),
    faults=Faults(on("response.done", nth=1).delay(0.6)),
)
async def a_late_cancel_spares_the_answer(play: Play) -> None:
    """The caller speaks up, the server stops the story and answers; the program's own
    interruption, late, does not stop that answer."""
    await play.open(vad=True)
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    await play.do("speak")

    def answering() -> bool:
        engines = play.record.engines
        return bool(engines) and bool(engines[-1].active_responses) and _cancelled(play)

    # The server is at its answer; the client is still to be told of the story's end.
    await play.until(answering, 4)
    await play.do("interrupt")
    await play.until(lambda: len(play.record.told("response.done")) > 1, 6)
    answer = play.record.told("response.done")[-1]["response"]
    play.check(
        answer["status"] == "completed",
        "the answer to what the caller said is cut off by a cancel meant for what was said before",
        f"the server ended it as {answer['status']}",
    )
    await play.heard("Answer", 4000)


def _cancelled(play: Play) -> bool:
    statuses = play.record.engines[-1].finished_responses.values()
    return "cancelled" in statuses


@scenario(
    reproduces=("openai/openai-agents-js#220", "pydantic/pydantic-ai#8132"),
    facts="R-2, P-18",
    control="dies_of_errors",
    script=lambda: Script([_STORY, say("Answer four.", ms=600).when(automatic=True)]),
)
async def together_with_the_servers_own(play: Play) -> None:
    """Turn detection cancels, and so does the program: the answer is heard all the same."""
    await play.open(vad=True)
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    await play.do("speak", part="voice")
    await play.over("Story")
    await play.do("interrupt")
    await play.do("speak", part="silence")
    await play.heard("Answer", 600)


@scenario(
    reproduces=("livekit/agents#5642", "livekit/agents#2064", "openai/openai-agents-python#2760"),
    facts="R-9, P-45",
    control="asks_at_once",
    script=_long,
    behaviour=Behaviour(cancel_latency_ms=500),
)
async def the_next_reply_at_once(play: Play) -> None:
    """A reply asked for right after the interruption is given, though the server takes its time."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    numbers = [
        play.begin("interrupt"),
        play.begin("ask", reader="next", words="What next?"),
    ]
    await play.answer_to(numbers[0], "interrupt")
    await play.answer_to(numbers[1], "ask")
    await play.comes("next", "Next", 400, "the reply asked for after the interruption never comes")


@scenario(
    reproduces=("livekit/agents#4623", "livekit/agents#5642"),
    facts="P-14, P-45",
    control="early_receipt",
    script=_long,
    behaviour=Behaviour(cancel_latency_ms=500),
)
async def it_can_be_awaited(play: Play) -> None:
    """Awaiting an interruption ends when the server has ended what was stopped, and says how."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.sent("Story")
    await play.aside("mood", "What is the mood?")
    many = [await play.sent(words, 200) for words in ("Story", "Mood")]
    await play.do("interrupt")
    await _receipt(play)
    receipt = play.record.seen.of("receipt")[0]
    told = {entry["id"] for entry in receipt["entries"] if entry["outcome"] == "cancelled"}
    play.check(
        all(spoken.done_at is not None and spoken.done_at <= receipt["at"] for spoken in many),
        "what is awaited of an interruption comes before the server has stopped",
    )
    play.check(
        told == {spoken.id for spoken in many},
        "what is awaited of an interruption does not say what became of each response",
        str(receipt["entries"]),
    )


async def _receipt(play: Play) -> None:
    got = await play.until(lambda: bool(play.record.seen.of("receipt")), 9)
    if not got and not any(seen.get("awaitable") for seen in play.record.seen.of("can")):
        raise NotApplicable("its interruption cannot be awaited")
    play.check(got, "what awaits the interruption waits for ever", "no end after 9 s")


@scenario(
    reproduces=("livekit/agents#5359", "livekit/agents#3056"),
    facts="R-27, P-160",
    control="waits_for_done",
    script=_long,
    faults=Faults(on("response.done", nth=1).drop()),
)
async def awaiting_it_ends_in_any_case(play: Play) -> None:
    """The server never tells of the end: awaiting the interruption ends all the same."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 200)
    await play.do("interrupt")
    await _receipt(play)


@scenario(
    facts="P-6, P-9",
    reproduces="pipecat-ai/pipecat#3755",
    control="dies_of_errors",
    script=lambda: Script([_NEXT]),
)
async def with_nothing_in_flight(play: Play) -> None:
    """With nothing to stop, an interruption harms nothing: the next reply is given."""
    await play.open()
    await play.do("interrupt")
    await play.pass_time(0.2)
    await play.ask("next", "Say hello.")
    await play.comes("next", "Next", 400, "after the interruption nothing is heard any more")


@scenario(
    facts="R-4, P-11",
    control="dies_of_errors",
    script=_long,
    behaviour=Behaviour(cancel_repeat_before_done="error"),  # type: ignore[arg-type]
)
async def asked_twice(play: Play) -> None:
    """Interrupted twice in a row: it stops, and the next reply is given."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    story = await play.heard("Story", 300)
    numbers = [play.begin("interrupt"), play.begin("interrupt")]
    for number in numbers:
        await play.answer_to(number, "interrupt")
    await _stopped(play, story)
    await play.pass_time(0.2)
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400, "after the interruptions nothing is heard any more")


@scenario(
    facts="R-25, P-62, P-63",
    control="waits_for_items",
    script=lambda: Script(
        [
            say("Story one.", ms=3000)
            .paced(Pace(first_output_ms=2500))
            .when(lane="default", automatic=False),
            _NEXT,
        ]
    ),
)
async def before_anything_was_said(play: Play) -> None:
    """Interrupted after the response exists and before it has an item: whoever reads it is told."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.until(lambda: bool(play.record.told("response.created")), 3)
    await play.pass_time(0.1)
    await play.do("interrupt")
    done = await play.until(lambda: play.record.told("response.done") != [], SOON_S)
    play.check(done, "interrupted before its first word, the reply is spoken all the same")
    await play.ended("story", 2, "whoever reads the interrupted reply waits for ever")
    await play.ask("next", "What next?")
    await play.comes("next", "Next", 400)
