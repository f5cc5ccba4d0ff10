"""Functions that the model calls: when they run, and what is made of their output."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.scenario import NotApplicable, ScenarioTable
from antiphon.emulator import Pace, Script, answer, call, say

__all__ = ["scenario"]

scenario = ScenarioTable("tools")


@scenario(
    reproduces="openai/openai-agents-python#1168",
    facts="P-143, P-42",
    control="answers_each_call",
    script=lambda: Script(
        [
            answer(
                call("get_weather", {"city": "Oslo"}, call_id="call_oslo"),
                call("get_weather", {"city": "Rome", "seconds": 0.3}, call_id="call_rome"),
            ),
            say("Both are sunny.", ms=400).always(),
        ]
    ),
)
async def two_calls_one_reply(play: Play) -> None:
    """Two functions are called at once: both run, and one reply is made of both."""
    await play.open(tool=True)
    await play.ask("question", "What is the weather in Oslo and Rome?")
    await play.heard("Both", 400)
    await play.pass_time(0.8)
    seen = play.record.seen
    ran = len(seen.of("tool") or seen.of("called"))
    play.check(ran == 2, f"two functions are called, and {ran} run")
    outputs = [
        event["item"]["call_id"]
        for event in play.record.sent("conversation.item.create")
        if event["item"]["type"] == "function_call_output"
    ]
    play.check(
        sorted(outputs) == ["call_oslo", "call_rome"], "a function's output is not handed in"
    )
    replies = [spoken for spoken in play.record.spoken.values() if spoken.words.startswith("Both")]
    refused = [event["error"].get("code") for event in play.record.told("error")]
    play.check(
        len(replies) == 1,
        f"the caller hears {len(replies)} replies to one question",
        f"errors: {refused}",
    )
    play.check(
        not play.errors(), "an error is reported where all went well", "; ".join(play.errors())
    )


@scenario(
    reproduces="pydantic/pydantic-ai#6324",
    facts="R-15, P-143",
    control="answers_in_any_case",
    script=lambda: Script(
        [
            call("get_weather", {"city": "Oslo", "seconds": 1.0}, call_id="call_slow"),
            say("It is sunny.", ms=400).always(),
        ]
    ),
)
async def a_tool_that_ends_after_the_interruption(play: Play) -> None:
    """The caller interrupts while a function runs: its output, when it comes, starts no turn."""
    await play.open(tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    await play.until(lambda: bool(play.record.seen.of("called") + play.record.seen.of("tool")), 4)
    if not play.record.seen.of("tool"):
        raise NotApplicable("its user runs the functions, and decides what comes after")
    await play.do("interrupt")
    await play.pass_time(1.8)
    said = play.record.said("It is sunny")
    play.check(
        said is None or said.status == "cancelled",
        "having interrupted, the caller is spoken to again, unasked, when a function ends",
    )


@scenario(
    reproduces="NousResearch/hermes-agent#101808",
    facts="R-14, P-60, P-61",
    control="runs_cut_calls",
    script=lambda: Script(
        [
            answer(
                say("One moment.", ms=300),
                call("get_weather", {"city": "A city with a very long name " * 12}),
            ).paced(Pace(text_interval_ms=60)),
            say("Next five.", ms=400).when(lane="default", automatic=False),
        ]
    ),
)
async def a_call_cut_by_the_interruption(play: Play) -> None:
    """A function call that the interruption cuts off in its arguments is not carried out."""
    await play.open(tool=True)
    await play.ask("question", "What is the weather?")
    await play.until(lambda: len(play.record.told("response.function_call_arguments.delta")) > 4, 5)
    await play.do("interrupt")
    await play.until(lambda: play.record.told("response.done") != [], 3)
    await play.pass_time(0.4)
    ran = play.record.seen.of("tool") + play.record.seen.of("called")
    play.check(not ran, "a function is run that the interruption had cut off", str(ran))


@scenario(
    facts="P-61",
    control="dies_of_bad_arguments",
    script=lambda: Script(
        [
            call("get_weather", '{"city": "Oslo"', call_id="call_bad"),
            say("Next five.", ms=400).always(),
        ]
    ),
)
async def arguments_that_are_no_json(play: Play) -> None:
    """The model writes arguments that are no JSON: the conversation goes on."""
    await play.open(tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    await play.over("get_weather")
    await play.pass_time(0.5)
    if play.record.said("Next") is None:
        await play.ask("next", "What next?")
    await play.heard("Next", 400)
