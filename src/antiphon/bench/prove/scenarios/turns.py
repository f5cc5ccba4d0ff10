"""The simplest things: they show that a client's program is wired up as it should be."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.scenario import ScenarioTable
from antiphon.emulator import Script, call, say

__all__ = ["scenario"]

scenario = ScenarioTable("turns")


@scenario(
    facts="P-30",
    control="deaf",
    script=lambda: Script([say("Good morning to you.").when(contains="hello there")]),
)
async def text_turn(play: Play) -> None:
    """A written question gets its written answer."""
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting")
    words = play.record.seen.words()
    play.check(words == "Good morning to you.", "the answer is not read as it was written", words)


@scenario(
    facts="P-39, P-180",
    control="deaf",
    script=lambda: Script(
        [say("Sunny.", ms=900).when(automatic=True)], hears=["What is the weather?"]
    ),
)
async def audio_turn(play: Play) -> None:
    """A spoken question, found by server VAD, is answered; the answer is heard whole."""
    await play.open(vad=True)
    await play.do("speak")
    await play.heard("Sunny.", ms=900)
    await play.over("Sunny.")
    spoken = play.record.said("Sunny.")
    assert spoken is not None
    readers = {reader for reader, _ in play.record.heard_of(spoken)}
    play.whole(readers.pop(), "Sunny.", 900)


@scenario(
    facts="P-143",
    control="toolless",
    script=lambda: Script(
        [
            call("get_weather", {"city": "Oslo"}, call_id="call_weather"),
            say("It is sunny in Oslo.").when(tool_output="sunny"),
        ]
    ),
)
async def tool_round(play: Play) -> None:
    """A tool is run with its arguments, and the answer made of its output is read."""
    await play.open(text=True, tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    words = "It is sunny in Oslo."
    seen = play.record.seen
    await play.until(lambda: words in seen.words(), 5)
    play.check(words in seen.words(), "the answer made of the tool's output never comes")
