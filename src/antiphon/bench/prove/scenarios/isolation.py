"""Several responses in flight: each has its own reader, and nobody hears another's words."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.scenario import ScenarioTable
from antiphon.emulator import Behaviour, Faults, Pace, Script, after, answer, fail, on, say

__all__ = ["scenario"]

scenario = ScenarioTable("isolation")
SLOW = Pace(speed=4)


def _story_and_asides(story_ms: int, mood_ms: int, order_ms: int | None = None) -> Script:
    steps = [
        say("Story one.", ms=story_ms).paced(SLOW).when(lane="default"),
        say("Mood two.", ms=mood_ms).paced(SLOW).when(lane="out_of_band", contains="mood"),
    ]
    if order_ms is not None:
        order = say("Order three.", ms=order_ms).paced(SLOW)
        steps.append(order.when(lane="out_of_band", contains="order"))
    return Script(steps)


@scenario(
    reproduces="HybridAIOne/hybridclaw#1502",
    facts="R-7, P-31, P-35",
    control="mixing",
    script=lambda: _story_and_asides(1500, 1500),
)
async def not_mixed_in_one_output(play: Play) -> None:
    """While the reply is spoken, a spoken response beside it does not get into the same output."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.sent("Story")
    await play.aside("mood", "What is the mood?")
    await play.sent("Story", 1500)
    await play.sent("Mood", 1500)
    await play.over("Story")
    await play.over("Mood")
    await play.pass_time(0.3)
    play.unmixed()


@scenario(
    reproduces="livekit/agents#5564",
    facts="R-7, P-31, P-35",
    control="mixing",
    script=lambda: _story_and_asides(1500, 1000, 1200),
)
async def three_at_once_each_whole(play: Play) -> None:
    """A reply and two responses beside it: each is heard whole, in order, by its own reader."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.aside("mood", "What is the mood?")
    await play.aside("order", "Which order is it?")
    for reader in ("story", "mood", "order"):
        await play.ended(reader)
    play.whole("story", "Story", 1500)
    play.whole("mood", "Mood", 1000)
    play.whole("order", "Order", 1200)
    play.unmixed()


@scenario(
    reproduces="livekit/agents#5605",
    facts="P-31, P-35",
    control="single_slot",
    script=lambda: _story_and_asides(1500, 2500),
)
async def an_aside_takes_no_slot(play: Play) -> None:
    """A response beside the reply, begun later and longer, leaves the reply's stream to close."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    await play.aside("mood", "What is the mood?")
    await play.over("Story")
    await play.ended("story", 1.5, "the reply is over, and its reader waits for ever")
    play.whole("story", "Story", 1500)
    await play.ended("mood")
    play.whole("mood", "Mood", 2500)


@scenario(
    reproduces="livekit/agents#5605",
    facts="P-31, P-35",
    control="single_slot",
    script=lambda: _story_and_asides(2500, 500),
)
async def an_aside_that_ends_first(play: Play) -> None:
    """The end of a response beside the reply does not end the reply."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    await play.aside("mood", "What is the mood?")
    await play.over("Mood")
    await play.over("Story")
    await play.ended("story")
    play.whole("story", "Story", 2500)


@scenario(
    reproduces="livekit/agents#6222",
    facts="R-3, P-12",
    control="cancels_all",
    script=lambda: Script([say("Story one.", ms=2500).paced(SLOW), say("Mood two.", ms=400)]),
)
async def giving_up_one_leaves_the_other(play: Play) -> None:
    """A reply that was asked for too, and given up before it began, takes no other with it."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    numbers = [
        play.begin("ask", reader="second", words="And the weather?"),
        play.begin("cancel", reader="second"),
    ]
    await play.answer_to(numbers[0], "ask")
    await play.answer_to(numbers[1], "cancel")
    story = await play.over("Story")
    play.check(
        story.status == "completed",
        "the reply that was being spoken breaks off, since another one was given up",
        f"the server ended it as {story.status}",
    )
    await play.ended("story")
    play.whole("story", "Story", 2500)


@scenario(
    reproduces="livekit/agents#5684",
    facts="R-16, P-138",
    control="drops_second_message",
    script=lambda: Script([answer(say("First part.", ms=600), say("Second part.", ms=700))]),
)
async def two_messages_in_one_response(play: Play) -> None:
    """A response with two messages is heard whole, both of them."""
    await play.open()
    await play.ask("both", "Say two things.")
    await play.ended("both")
    play.whole("both", "First part.", 1300)


@scenario(
    reproduces="Azure-Samples/aoai-realtime-audio-sdk#111",
    facts="R-26, P-36, P-38",
    control="first_come",
    script=lambda: Script(
        [
            say("Mood two.", ms=500).when(contains="mood"),
            say("Order three.", ms=500).when(contains="order"),
        ]
    ),
    faults=Faults(
        on("response.created", nth=1).hold(until="response.created", same_response=False)
    ),
)
async def who_asked_for_which(play: Play) -> None:
    """Two are asked for at once, and announced in the other order: each asker gets its own."""
    await play.open()
    numbers = [
        play.begin("aside", reader=reader, words=words)
        for reader, words in (("mood", "What is the mood?"), ("order", "Which order is it?"))
    ]
    for number in numbers:
        await play.answer_to(number, "aside")
    record = play.record
    await play.until(
        lambda: len(record.sent("response.create")) > 1 or record.told("response.done") != [], 1
    )
    play.one_at_a_time()
    await play.ended("mood")
    await play.ended("order")
    play.whole("mood", "Mood", 500)
    play.whole("order", "Order", 500)


@scenario(
    reproduces=("Project-N-E-K-O/N.E.K.O#2594", "Project-N-E-K-O/N.E.K.O#2642"),
    facts="P-311",
    control="waits_for_created",
    script=lambda: Script([say("Story one.", ms=600)]),
    faults=Faults(on("response.created").drop()),
)
async def a_response_never_announced(play: Play) -> None:
    """A server that sends no `response.created`: the reply is heard and ends all the same."""
    await play.open()
    await play.ask("story", "Tell me a story.", patience=3)
    await play.over("Story")
    ends = play.record.seen
    told = await play.until(lambda: ends.of("ended"), 11)
    play.check(told, "whoever reads the reply waits for ever")
    play.whole("story", "Story", 600)


@scenario(
    reproduces="openai/openai-realtime-api-beta#110",
    facts="P-87",
    control="dies_of_the_unknown",
    script=lambda: Script([say("Story one.", ms=600).always()]),
    faults=Faults(
        after(0.25).send(
            {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": "item_nobody_knows",
                "content_index": 0,
                "transcript": "who said that?",
            }
        ),
        after(0.3).send(
            {
                "type": "response.output_audio_transcript.delta",
                "response_id": "resp_nobody_knows",
                "item_id": "item_nobody_knows",
                "output_index": 0,
                "content_index": 0,
                "delta": "who said that?",
            }
        ),
        after(0.35).send(
            {
                "type": "conversation.item.truncated",
                "item_id": "item_nobody_knows",
                "content_index": 0,
                "audio_end_ms": 10,
            }
        ),
    ),
)
async def events_of_unknown_items(play: Play) -> None:
    """Events of items and responses that nobody knows do no harm to those that are known."""
    await play.open()
    await play.until(lambda: play.record.told("conversation.item.truncated") != [], 2)
    await play.pass_time(0.2)
    await play.ask("story", "Tell me a story.")
    await play.ended("story", loss="after an event of an unknown item nothing is heard any more")
    play.whole("story", "Story", 600)


@scenario(
    reproduces="community.openai.com/t/1362788",
    facts="P-160, P-164",
    control="cancels_all",
    script=lambda: Script(
        [
            say("Story one.", ms=2000).paced(SLOW).when(lane="default"),
            fail("server_error").when(lane="out_of_band"),
        ]
    ),
)
async def an_aside_that_fails(play: Play) -> None:
    """A response beside the reply fails: its asker is told, and the reply goes on."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 300)
    await play.aside("mood", "What is the mood?")
    end = await play.ended("mood", 3, "whoever waits for the failed response waits for ever")
    play.check(
        end.get("how") != "completed" or play.errors(),
        "a response that failed is told as completed",
        str(end),
    )
    await play.ended("story")
    play.whole("story", "Story", 2000)


@scenario(
    reproduces="livekit/agents#6644",
    facts="R-24, P-191, P-192",
    control="cancels_all",
    script=lambda: Script(
        [
            say("Story one.", ms=60_000).paced(SLOW).when(lane="default", automatic=False),
            say("Mood two.", ms=6000).paced(SLOW).when(lane="out_of_band"),
            say("Answer four.", ms=400).when(automatic=True),
        ]
    ),
    behaviour=Behaviour(),
)
async def barge_in_leaves_an_aside(play: Play) -> None:
    """The caller speaks up: the reply stops, the response beside it is heard whole."""
    await play.open(vad=True)
    await play.ask("story", "Tell me a story.")
    await play.heard("Story", 200)
    await play.aside("mood", "What is the mood?")
    await play.sent("Mood")
    await play.do("speak")
    await play.over("Story")
    mood = await play.over("Mood")
    play.check(mood.status == "completed", "the response beside the reply breaks off, too")
    await play.comes("mood", "Mood", 6000)
