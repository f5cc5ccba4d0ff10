"""Calls: what the caller hears, and when it is over."""

from typing import Any

from antiphon.bench.prove.play import SOON_S, Play
from antiphon.bench.prove.record import Json
from antiphon.bench.prove.scenario import NotApplicable, ScenarioTable
from antiphon.bench.prove.scenarios.calls_common import (
    LONG_MS,
    NEXT,
    NEXT_MS,
    ON_CALL,
    QUICK,
    SLOW,
    heard_next,
    joined,
)
from antiphon.bench.prove.telephone import Telephone
from antiphon.emulator import Faults, Pace, Script, on, say

__all__ = ["scenario"]

scenario = ScenarioTable("calls")
_STORY = say("Story one" + ", and on" * 60 + ".", ms=LONG_MS).when(contains="story").paced(QUICK)
_ANSWER = say("Answer four.", ms=NEXT_MS).when(automatic=True)
_STARTED, _STOPPED, _CLEARED, _TRUNCATED = (
    "output_audio_buffer.started",
    "output_audio_buffer.stopped",
    "output_audio_buffer.cleared",
    "conversation.item.truncated",
)
_NOTHING_MORE = "after the interruption nothing is heard any more"
_COMMUNITY = "community.openai.com/t/1112932"


def _script() -> Script:
    return Script([_ANSWER, _STORY, NEXT])


async def _heard_next(play: Play, phone: Telephone) -> None:
    untold = "after the interruption the program is told nothing any more"
    await heard_next(play, phone, unheard=_NOTHING_MORE, untold=untold)


# by what is true when it is interrupted


@scenario(
    reproduces=(
        _COMMUNITY,
        "openai/openai-realtime-console#501",
        "pollen-robotics/reachy_mini_conversation_app#376",
    ),
    facts="R-28, P-404, P-426",
    control="plays_on",
    script=_script,
    behaviour=ON_CALL,
)
async def a_done_reply_that_is_still_heard(play: Play) -> None:
    """On a call: the reply is done and still being heard; an interruption silences it."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await phone.hears("Story", 500)
    await play.do("interrupt")
    await phone.falls_silent("Story")
    await _heard_next(play, phone)


@scenario(
    facts="R-28, P-403, P-415",
    control="dies_of_errors",
    script=lambda: Script([say("Story one.", ms=1200).when(contains="story"), NEXT]),
    behaviour=ON_CALL,
    faults=Faults(on(_STOPPED, nth=1).delay(0.8)),
)
async def a_clear_that_crosses_the_natural_end(play: Play) -> None:
    """On a call: the last word is heard as the program interrupts; the error harms nothing."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 1200)
    # All has been heard, and the word of that is still on its way: a clear will find nothing.
    await play.pass_time(0.2)
    await play.do("interrupt")
    await _heard_next(play, phone)


@scenario(
    facts="R-30, P-411, P-413, P-425",
    control="only_clears",
    script=lambda: Script([_STORY.paced(SLOW), NEXT]),
    behaviour=ON_CALL,
)
async def a_reply_that_is_generated_and_heard(play: Play) -> None:
    """On a call: interrupted while it is generated and heard, a reply is stopped at both ends."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 500)
    await play.do("interrupt")
    await phone.stopped("Story")
    await phone.falls_silent("Story")
    await _heard_next(play, phone)


_LATE = ON_CALL.but(output_started="after_done", output_started_latency_ms=900)


@scenario(
    reproduces="hashintel/hash#9619",
    facts="R-29, P-405",
    control="clears_what_has_begun",
    script=lambda: Script([_STORY.paced(Pace.instant()), NEXT]),
    behaviour=_LATE,
)
async def before_its_sound_begins(play: Play) -> None:
    """On a call: interrupted when a reply is done and not heard yet, it stays unheard."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await play.until(lambda: play.record.told("response.done") != [], SOON_S)
    await play.do("interrupt")
    await phone.falls_silent("Story", after_s=2.2)
    await _heard_next(play, phone)


@scenario(
    reproduces="hashintel/hash#9619",
    facts="R-29, P-405",
    control="plays_on",
    script=lambda: Script([_STORY.paced(Pace.instant()), NEXT]),
    behaviour=_LATE,
)
async def just_as_its_sound_begins(play: Play) -> None:
    """On a call: the reply was done long before its first sound; interrupted then, it stops."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 100)
    await play.do("interrupt")
    await phone.falls_silent("Story")
    await _heard_next(play, phone)


@scenario(
    reproduces="hashintel/hash#9564",
    facts="R-30, P-406",
    control="clears_what_has_begun",
    script=lambda: Script([_STORY.paced(Pace(speed=8)), NEXT]),
    behaviour=ON_CALL.but(output_started_latency_ms=700, straggler_deltas=0),
)
async def sound_that_begins_after_the_cancel(play: Play) -> None:
    """On a call: a reply is cancelled before it is heard, and begins to be heard: it stops."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.begins("Story")
    # Enough has been made by then to be heard for long.
    await play.pass_time(0.35)
    await play.do("interrupt")
    await phone.stopped("Story")
    await phone.falls_silent("Story", after_s=1.8)
    await _heard_next(play, phone)


# one output buffer for all


def _two(first_ms: int, second_ms: int) -> Script:
    return Script(
        [
            say("Story one.", ms=first_ms).when(contains="story"),
            say("Second two.", ms=second_ms).when(contains="second"),
        ]
    )


async def _one_behind_the_other(play: Play) -> Telephone:
    """Two replies are done: the first is heard, and the second waits in the buffer."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await play.ended("story")
    await play.ask("second", "Now the second one.")
    await phone.over("Second")
    await play.ended("second")
    return phone


@scenario(
    facts="R-31, P-407, P-410",
    control="clears_for_one",
    script=lambda: _two(4000, 1500),
    behaviour=ON_CALL,
)
async def stopping_one_spares_the_one_behind_it(play: Play) -> None:
    """On a call: of two replies the one that is heard is stopped; the one behind it is heard."""
    phone = await _one_behind_the_other(play)
    await phone.hears("Story", 300)
    await play.do("cancel", reader="story")
    await phone.hears_all(
        "Second", 1500, "with one reply the next one, which nobody stopped, is silenced"
    )


@scenario(
    facts="R-31, P-407, P-410",
    control="clears_for_one",
    script=lambda: _two(1500, 3000),
    behaviour=ON_CALL,
    faults=Faults(on(_STOPPED, nth=1).delay(1.0)),
)
async def stopping_one_as_the_next_has_begun(play: Play) -> None:
    """On a call: a reply is stopped that, unknown to the program, has just made way for another."""
    phone = await _one_behind_the_other(play)
    await phone.hears("Second", 200)
    await play.do("cancel", reader="story")
    await phone.hears_all(
        "Second", 3000, "a clear that was meant for one reply silences the next one"
    )


async def _interrupt_the_second(play: Play) -> None:
    phone = await _one_behind_the_other(play)
    await phone.hears("Second", 500)
    await play.do("interrupt")
    await phone.falls_silent("Second")


@scenario(
    reproduces="ReviewStage/luke#12",
    facts="R-32, P-400, P-401",
    control="clears_what_has_begun",
    script=lambda: _two(1500, LONG_MS),
    behaviour=ON_CALL,
    faults=Faults(on(_STOPPED, nth=1).hold(until=_STARTED, same_response=False)),
)
async def a_late_end_of_the_last_one(play: Play) -> None:
    """On a call: the last reply's end is told when this one has begun; interrupted, it stops."""
    await _interrupt_the_second(play)


@scenario(
    facts="R-32, P-400, P-407",
    control="plays_on",
    script=lambda: _two(1500, LONG_MS),
    behaviour=ON_CALL,
)
async def the_second_of_two(play: Play) -> None:
    """On a call: the second of two replies is heard; an interruption silences it."""
    await _interrupt_the_second(play)


# the server's own clear, and ours


@scenario(
    facts="R-33, P-421, P-424",
    control="clears_whatever_begins",
    script=_script,
    behaviour=ON_CALL,
)
async def the_caller_speaks_and_then_the_program_interrupts(play: Play) -> None:
    """On a call: the caller's voice has silenced a reply, and the program interrupts as well; the
    answer to the caller is heard."""
    phone = await joined(play, vad=True)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await phone.hears("Story", 500)
    phone.speaks()
    await play.until(lambda: play.record.told(_CLEARED) != [], SOON_S)
    await play.do("interrupt")
    await phone.hears_all(
        "Answer", NEXT_MS, "the answer to what the caller said is cut off, or never heard"
    )


@scenario(
    facts="R-33, P-415, P-424",
    control="clears_whatever_begins",
    script=_script,
    behaviour=ON_CALL,
)
async def the_program_interrupts_and_then_the_caller_speaks(play: Play) -> None:
    """On a call: the program interrupts as the caller begins to speak; the answer is heard."""
    phone = await joined(play, vad=True)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await phone.hears("Story", 500)
    await play.do("interrupt")
    phone.speaks()
    await phone.hears_all(
        "Answer", NEXT_MS, "the answer to what the caller said is cut off, or never heard"
    )


# the last word


async def _heard_out(play: Play, within_s: float) -> Json:
    """What the client told of the end of what is heard."""
    told = await play.until(lambda: play.record.seen.of("heard_out"), within_s)
    play.check(
        told, "whoever waits for the last word to be heard waits for ever: the call never ends"
    )
    return play.record.seen.of("heard_out")[0]


def _goodbye() -> Script:
    return Script([_ANSWER, say("Goodbye.", ms=3000).when(contains="goodbye")])


@scenario(
    reproduces=(
        "XiyaoWang0519/agent-call#9",
        "openclaw/openclaw#155271",
        "community.openai.com/t/1355362",
    ),
    facts="R-39, P-403, P-404",
    control="takes_done_for_heard",
    script=_goodbye,
    behaviour=ON_CALL,
)
async def goodbye_is_heard_to_its_last_word(play: Play) -> None:
    """On a call: who hangs up when the goodbye has been heard cuts nothing off."""
    phone = await joined(play)
    await play.ask("goodbye", "Say goodbye.")
    await phone.begins("Goodbye.")
    await play.do("until_heard", reader="goodbye", patience=20)
    await _heard_out(play, 8)
    heard = phone.heard_ms("Goodbye.")
    play.check(
        heard >= 2900,
        "the call is hung up in the middle of the goodbye",
        f"{heard} of 3000 ms were heard when the client took it for heard",
    )


@scenario(
    facts="R-39, P-416, P-421",
    control="waits_for_the_natural_end",
    script=_goodbye,
    behaviour=ON_CALL,
)
async def a_goodbye_that_the_caller_cuts_off(play: Play) -> None:
    """On a call: the caller speaks into the goodbye, which never comes to its natural end; who
    waits for that is told."""
    phone = await joined(play, vad=True)
    await play.ask("goodbye", "Say goodbye.")
    await phone.hears("Goodbye.", 300)
    await play.do("until_heard", reader="goodbye", patience=20)
    phone.speaks()
    await _heard_out(play, 4)


@scenario(
    facts="R-39, P-337, P-416",
    control="waits_for_the_natural_end",
    script=_goodbye,
    behaviour=ON_CALL.but(call_media="none"),
)
async def a_goodbye_that_nobody_tells_the_end_of(play: Play) -> None:
    """On a call whose sound never came about nobody tells that the goodbye was heard; who waits
    for that, for two seconds at most, is told."""
    phone = await joined(play)
    await play.ask("goodbye", "Say goodbye.")
    await phone.over("Goodbye.")
    await play.do("until_heard", reader="goodbye", patience=2)
    await _heard_out(play, 5)


# how much was heard


async def _kept_is_what_was_heard(play: Play, phone: Telephone) -> None:
    """Check what the conversation keeps of the story against what the caller heard of it."""
    await play.do("interrupt")
    await play.pass_time(1.2)
    heard = phone.heard_ms("Story")
    cuts = [one["audio_end_ms"] for one in phone.witness.told(_TRUNCATED)]
    if not cuts:
        return  # kept whole, and nothing was silenced: it is being heard whole, too
    kept = min(cuts)
    play.check(
        abs(kept - heard) <= 300,
        "the model takes something else for heard than what the caller has heard",
        f"{kept} ms are kept, and {heard} ms were heard",
    )


@scenario(
    facts="R-40, P-417, P-421",
    control="truncates_what_it_was_given",
    script=lambda: Script([_STORY, NEXT]),
    behaviour=ON_CALL,
)
async def the_conversation_keeps_what_was_heard(play: Play) -> None:
    """On a call: a done reply is interrupted; the model knows as much of it as the caller heard."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await phone.hears("Story", 1000)
    await _kept_is_what_was_heard(play, phone)


@scenario(
    facts="R-40, P-417, P-420",
    control="truncates_what_it_was_given",
    script=lambda: Script([_STORY.paced(SLOW), NEXT]),
    behaviour=ON_CALL,
)
async def it_keeps_what_was_heard_of_a_cancelled_reply(play: Play) -> None:
    """On a call: a reply is interrupted while it is generated; the model knows as much of it as
    the caller heard."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 1000)
    await _kept_is_what_was_heard(play, phone)


async def _receipt(play: Play, phone: Telephone) -> Any:
    """What the client's receipt says of how much of the story was heard."""
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await phone.hears("Story", 1000)
    await play.do("interrupt")
    got = await play.until(lambda: play.record.seen.of("receipt"), 4)
    if not got and not any(one.get("awaitable") for one in play.record.seen.of("can")):
        raise NotApplicable("its interruption cannot be awaited")
    play.check(got, "what awaits the interruption waits for ever")
    story = phone.said("Story").id
    entries = play.record.seen.of("receipt")[0]["entries"]
    (entry,) = [one for one in entries if one["id"] == story]
    return entry.get("heard_ms")


@scenario(
    facts="R-42, P-401, P-422",
    control="knows_nothing_of_what_was_heard",
    script=_script,
    behaviour=ON_CALL,
    faults=Faults(on(_CLEARED, nth=1).hold(until=_TRUNCATED, same_response=False)),
)
async def what_was_heard_is_told_before_the_silence(play: Play) -> None:
    """On a call: the server tells how much was heard, and only then that it is silent; who awaits
    the interruption learns both."""
    phone = await joined(play)
    told = await _receipt(play, phone)
    heard = phone.heard_ms("Story")
    play.check(
        isinstance(told, int) and abs(told - heard) <= 300,
        "what was heard of the interrupted reply is not told, although the server has told it",
        f"told: {told}, heard: {heard} ms",
    )


@scenario(
    facts="R-42, P-401, P-422",
    control="takes_all_for_heard",
    script=_script,
    behaviour=ON_CALL,
    faults=Faults(on(_TRUNCATED, nth=1).hold(until="response.created", same_response=False)),
)
async def what_was_heard_is_told_in_the_next_turn(play: Play) -> None:
    """On a call: how much was heard is told when the next reply has begun; until then nothing is
    made up, and nothing waits for it."""
    phone = await joined(play)
    told = await _receipt(play, phone)
    heard = phone.heard_ms("Story")
    play.check(
        told is None or abs(told - heard) <= 300,
        "what was heard of the interrupted reply is told wrong",
        f"told: {told}, heard: {heard} ms",
    )
    await _heard_next(play, phone)
