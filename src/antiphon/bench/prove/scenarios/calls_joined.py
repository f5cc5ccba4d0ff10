"""Calls: joined early, late and by several; lines that are lost, and calls that end."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Json
from antiphon.bench.prove.scenario import NotApplicable, ScenarioTable
from antiphon.bench.prove.scenarios.calls_common import (
    LONG_MS,
    NEXT,
    ON_CALL,
    QUICK,
    SLOW,
    heard_next,
    joined,
)
from antiphon.bench.prove.telephone import Telephone
from antiphon.emulator import Faults, Pace, Script, call, on, say

__all__ = ["scenario"]

scenario = ScenarioTable("calls")
# Words to its end: it is by them that a program on the call knows of what is being generated.
_MORE = ", and on" * 60
_STORY = say(f"Story one{_MORE}.", ms=LONG_MS).when(contains="story")
_THEIRS = say(f"Theirs two{_MORE}.", ms=LONG_MS).when(contains="theirs")
_THEIRS_SHORT = say("Theirs two.", ms=200).when(contains="theirs")
_DEAF = "the program on the call is told nothing any more"
# What is documented of clients that try again is 16 s of it at the most.
_GIVES_UP_S = 20.0


def _script() -> Script:
    return Script([_STORY.paced(SLOW), _THEIRS.paced(SLOW), NEXT])


async def _heard_next(play: Play, phone: Telephone) -> None:
    await heard_next(play, phone, unheard="the next reply is never heard", untold=_DEAF)


def _over(play: Play) -> bool:
    return any(one.get("state") == "over" for one in play.record.seen.of("connection"))


# too early, too late, in the middle


@scenario(
    facts="R-38, P-370, P-373",
    control="waits_for_a_greeting",
    script=_script,
    behaviour=ON_CALL,
)
async def joined_without_a_greeting(play: Play) -> None:
    """On a call no `session.created` comes: who joins it can have something said, and hears."""
    phone = await joined(play)
    await _heard_next(play, phone)


@scenario(
    reproduces=("openai/openai-realtime-console#562", "openai/codex#35094"),
    facts="R-38, P-384, P-385",
    control="waits_for_a_greeting",
    script=_script,
    behaviour=ON_CALL.but(sideband_ready_ms=700),
)
async def joined_a_moment_too_early(play: Play) -> None:
    """The call cannot be joined yet, as just after it was accepted: it is joined all the same, or
    whoever asked learns that it was not."""
    await play.warm_up()
    phone = Telephone(play)
    number = play.begin("open_call", **phone.where())
    known = await play.until(lambda: phone.call.joined or _turned_away(play, number), _GIVES_UP_S)
    play.check(known, "whoever joins a call too early waits for ever, and it goes on unsteered")
    if phone.call.joined:
        await _heard_next(play, phone)


def _turned_away(play: Play, number: int) -> bool:
    return play.failed(number) or _over(play) or bool(play.errors())


@scenario(
    reproduces=("openai/openai-realtime-console#562", "openai/codex#35094"),
    facts="R-38, P-384",
    control="knocks_for_ever",
    script=_script,
    behaviour=ON_CALL,
)
async def joined_when_it_is_over(play: Play) -> None:
    """The caller has hung up before the program joins: it learns that there is no such call."""
    phone = Telephone(play)
    phone.hangs_up()
    number = play.begin("open_call", **phone.where())
    known = await play.until(lambda: _turned_away(play, number), _GIVES_UP_S)
    play.check(known, "whoever joins a call that is over is never told, and waits for ever")


async def _theirs_begun(play: Play) -> Telephone:
    """Another program has a reply begun; the client could join at once."""
    await play.warm_up()
    phone = Telephone(play)
    phone.other("response.create", response={"instructions": "Say theirs."})
    return phone


async def _interrupt_what_was_met(play: Play, phone: Telephone) -> None:
    await phone.join()
    await play.pass_time(0.3)
    await play.do("interrupt")
    await phone.falls_silent("Theirs")
    await _heard_next(play, phone)


@scenario(
    facts="R-38, P-377, P-379",
    control="stops_only_its_own",
    script=_script,
    behaviour=ON_CALL,
)
async def joined_while_a_reply_is_generated(play: Play) -> None:
    """A program joins a call in the middle of a reply, whose beginning it has missed: it can
    silence it."""
    phone = await _theirs_begun(play)
    await phone.hears("Theirs", 500)
    await _interrupt_what_was_met(play, phone)
    await phone.stopped("Theirs")


@scenario(
    facts="R-38, P-377, P-402",
    control="stops_only_its_own",
    script=lambda: Script([_THEIRS.paced(Pace.instant()), NEXT]),
    behaviour=ON_CALL.but(output_started_latency_ms=2500),
)
async def joined_before_a_done_reply_is_heard(play: Play) -> None:
    """A program joins a call when a reply is done and its sound is still to come: it can silence
    it."""
    phone = await _theirs_begun(play)
    await phone.over("Theirs")
    await phone.join()
    await phone.hears("Theirs", 300)
    await play.do("interrupt")
    await phone.falls_silent("Theirs")
    await _heard_next(play, phone)


@scenario(
    facts="R-38, P-377, P-425",
    control="stops_only_its_own",
    script=lambda: Script([_THEIRS.paced(QUICK), NEXT]),
    behaviour=ON_CALL,
)
async def joined_while_a_done_reply_is_heard(play: Play) -> None:
    """A program joins a call when a reply is done and being heard, of which no event tells any
    more: it can silence it."""
    phone = await _theirs_begun(play)
    await phone.over("Theirs")
    await phone.hears("Theirs", 500)
    await phone.join()
    await play.pass_time(0.3)
    await play.do("interrupt")
    await phone.falls_silent("Theirs")
    await _heard_next(play, phone)


# several programs on one call


@scenario(
    facts="R-34, P-379",
    control="stops_only_its_own",
    script=_script,
    behaviour=ON_CALL,
)
async def anothers_reply_is_stopped_too(play: Play) -> None:
    """On a call another program has something said: an interruption silences that as well."""
    phone = await joined(play)
    phone.other("response.create", response={"instructions": "Say theirs."})
    await phone.hears("Theirs", 500)
    await play.do("interrupt")
    await phone.stopped("Theirs")
    await phone.falls_silent("Theirs")


_TWICE = ON_CALL.but(
    cancel_repeat_before_done="error", cancel_latency_ms=300, event_audience="all_to_all"
)


@scenario(
    facts="R-34, P-11, P-379",
    control="dies_of_errors",
    script=_script,
    behaviour=_TWICE,
)
async def stopped_by_another_program_first(play: Play) -> None:
    """On a call another program has just cancelled the reply that this one interrupts: it is
    silent, and the error harms nothing."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 500)
    phone.other("response.cancel", response_id=phone.said("Story").id)
    await play.do("interrupt")
    await phone.stopped("Story")
    await phone.falls_silent("Story")
    await _heard_next(play, phone)


@scenario(
    facts="R-34, P-11, P-379, P-380",
    control="dies_of_errors",
    script=_script,
    behaviour=_TWICE,
)
async def stopped_by_another_program_too(play: Play) -> None:
    """On a call another program cancels what this one has just interrupted, and all are told of
    its error: it is silent, and the error harms nothing."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 500)
    await play.do("interrupt")
    phone.other("response.cancel", response_id=phone.said("Story").id)
    await phone.stopped("Story")
    await phone.falls_silent("Story")
    await _heard_next(play, phone)


@scenario(
    facts="R-34, P-379",
    control="first_come",
    script=lambda: Script(
        [say("Story one.", ms=3000).paced(SLOW).when(contains="story"), _THEIRS_SHORT]
    ),
    behaviour=ON_CALL,
    faults=Faults(on("response.created", nth=1).delay(0.5)),
)
async def anothers_reply_is_not_taken_for_ours(play: Play) -> None:
    """On a call another program's response is announced before the one that was asked for here:
    its end is not taken for this one's."""
    phone = await joined(play)
    aside = {"conversation": "none", "instructions": "Say theirs."}
    phone.other("response.create", response=aside)
    # It is asked for before the client has been told of the other one.
    await play.ask("story", "Tell me a story.")
    end = await play.ended("story", 6)
    play.check(
        phone.said("Story").status is not None,
        "another program's reply is taken for the one that was asked for here",
        f"the reply is told to be over ({end['how']}) while it is generated",
    )


@scenario(
    facts="R-35, P-380",
    control="takes_any_success",
    behaviour=ON_CALL,
    faults=Faults(on("error", nth=1).hold(until="session.updated")),
)
async def anothers_success_is_not_ours(play: Play) -> None:
    """On a call the server refuses a change, and tells so after another program's has succeeded:
    whoever asked learns of the refusal."""
    phone = await joined(play)
    await play.do("configure", session={"max_output_tokens": -5})
    await play.pass_time(0.2)
    phone.other("session.update", session={"type": "realtime", "instructions": "Theirs."})
    answered = await _answered(play)
    play.check(
        not answered["ok"],
        "a change that the server has refused is told to be in force",
    )


@scenario(
    facts="R-35, P-380",
    control="takes_any_failure",
    behaviour=ON_CALL.but(event_audience="all_to_all"),
    faults=Faults(
        *(on(f"conversation.item.{what}", nth=1).hold(until="error") for what in ("added", "done"))
    ),
)
async def anothers_failure_is_not_ours(play: Play) -> None:
    """On a call the server takes an item, and tells so after another program's error: whoever
    added it learns that it is there."""
    phone = await joined(play)
    await play.do("note", words="By the way.")
    await play.pass_time(0.2)
    phone.other("response.cancel", event_id="theirs", response_id="resp_nobody_knows")
    answered = await _answered(play)
    play.check(answered["ok"], "an item that the server has taken is told to be refused")


async def _answered(play: Play) -> Json:
    got = await play.until(lambda: play.record.seen.of("answered"), 4)
    play.check(got, "whoever asked for it waits for ever")
    return play.record.seen.of("answered")[0]


# a line that is lost


async def _back(play: Play, phone: Telephone) -> None:
    """Wait until the client has joined again.

    Raises:
        NotApplicable: it does not, and says so.
    """
    if await play.until(lambda: phone.call.joined > 1, 6):
        await play.pass_time(0.2)
        return
    play.check(_over(play), "its line is lost, nobody notices, and the call goes on unsteered")
    raise NotApplicable("it does not come back to a call by itself")


async def _heard_and_cut(play: Play) -> Telephone:
    """A reply is done and still being heard when the client's line is cut."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.over("Story")
    await phone.hears("Story", 500)
    phone.cut()
    return phone


@scenario(
    facts="R-36, P-387",
    control="tells_all_anew",
    script=_script,
    behaviour=ON_CALL,
)
async def a_lost_line_is_not_the_end_of_the_call(play: Play) -> None:
    """The program's line is cut and the call goes on: it comes back, and what was said is not
    told to the model a second time."""
    phone = await joined(play)
    await _heard_next(play, phone)
    before = len(phone.call.engine.item_ids)
    phone.cut()
    await _back(play, phone)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 300)
    now = len(phone.call.engine.item_ids)
    play.check(
        now == before + 2,
        "after a lost line the conversation is doubled: the model takes all for said twice",
        f"{before} items before, and {now} with the next question and its reply",
    )


@scenario(
    facts="R-36, P-271, P-387",
    control="forgets_readers",
    script=_script,
    behaviour=ON_CALL,
)
async def the_end_missed_with_a_lost_line(play: Play) -> None:
    """The program's line is cut in mid-reply, whose end is missed: whoever waits for it is told."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 300)
    phone.cut()
    await play.ended("story", 8, "the line is lost, and whoever waits for the reply waits for ever")


@scenario(
    facts="R-36, P-387, P-426",
    control="forgets_what_is_heard",
    script=lambda: Script([_STORY.paced(QUICK), NEXT]),
    behaviour=ON_CALL,
)
async def what_is_heard_over_a_lost_line(play: Play) -> None:
    """The program's line is cut while a done reply is heard: back again, it can silence it."""
    phone = await _heard_and_cut(play)
    await _back(play, phone)
    await play.do("interrupt")
    await phone.falls_silent("Story")


@scenario(
    facts="R-36, P-387, P-426",
    control="only_clears",
    script=lambda: Script([_STORY.paced(QUICK), NEXT]),
    behaviour=ON_CALL,
)
async def interrupted_as_the_line_is_lost(play: Play) -> None:
    """The program interrupts, and the line has just been cut: what is heard is silenced when it
    is back."""
    phone = await _heard_and_cut(play)
    number = play.begin("interrupt")
    await _back(play, phone)
    play.failed(number)
    await phone.falls_silent("Story")


@scenario(
    facts="R-36, P-387, P-426",
    control="forgets_what_is_heard",
    script=lambda: Script([_STORY.paced(QUICK), NEXT]),
    behaviour=ON_CALL,
)
async def interrupted_while_the_line_is_down(play: Play) -> None:
    """The program, told that its line is lost, interrupts: what is heard is silenced when it is
    back."""
    phone = await _heard_and_cut(play)
    await play.until(lambda: play.record.seen.of("connection"), 1)
    number = play.begin("interrupt")
    await _back(play, phone)
    play.failed(number)
    await phone.falls_silent("Story")


# the call ends


_UNNOTICED = "the call is over, and nobody notices"


@scenario(
    reproduces=(
        "openai/openai-agents-js#684",
        "pydantic/pydantic-ai#7364",
        "community.openai.com/t/1368239",
    ),
    facts="R-37, P-450, P-451",
    control="hides_the_end",
    script=_script,
    behaviour=ON_CALL,
)
async def the_caller_hangs_up(play: Play) -> None:
    """The caller hangs up in mid-reply, and the line is cut: the program learns that the call is
    over, and whoever waits for the reply that it will not come."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 300)
    phone.hangs_up()
    await play.ended("story", _GIVES_UP_S, _UNNOTICED)
    play.check(await play.until(lambda: _over(play), _GIVES_UP_S), _UNNOTICED)


@scenario(
    facts="R-37, P-443, P-453",
    control="hides_the_end",
    script=_script,
    behaviour=ON_CALL,
)
async def the_call_is_transferred(play: Play) -> None:
    """The call leaves for another number, and the line is closed as any other: the program learns
    that the call is over."""
    phone = await joined(play)
    await _heard_next(play, phone)
    play.record.note("the call is transferred")
    phone.call.refer("tel:+15550199", 0.1)
    play.check(await play.until(lambda: _over(play), _GIVES_UP_S), _UNNOTICED)


@scenario(
    reproduces="openai/openai-agents-js#684",
    facts="R-37, P-451",
    control="waits_for_done",
    script=_script,
    behaviour=ON_CALL.but(cancel_latency_ms=800),
)
async def the_caller_hangs_up_during_an_interruption(play: Play) -> None:
    """The caller hangs up before the server has done what was asked: who awaits the interruption
    is told."""
    phone = await joined(play)
    await play.ask("story", "Tell me a story.")
    await phone.hears("Story", 300)
    await play.do("interrupt")
    phone.hangs_up()
    got = await play.until(lambda: play.record.seen.of("receipt"), _GIVES_UP_S)
    if not got and not any(one.get("awaitable") for one in play.record.seen.of("can")):
        raise NotApplicable("its interruption cannot be awaited")
    play.check(got, "the call is over, and what awaits the interruption waits for ever")


@scenario(
    facts="R-37, P-451",
    control="hides_the_end",
    script=lambda: Script([call("get_weather", {"city": "Oslo", "seconds": 1.0}), NEXT]),
    behaviour=ON_CALL,
)
async def the_caller_hangs_up_while_a_function_runs(play: Play) -> None:
    """The caller hangs up while a function runs: its output goes nowhere, and the program learns
    that the call is over."""
    phone = Telephone(play)
    await phone.join(tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    ran = await play.until(lambda: play.record.seen.of("tool") + play.record.seen.of("called"), 4)
    play.check(ran, "the function is never run")
    phone.hangs_up()
    play.check(await play.until(lambda: _over(play), _GIVES_UP_S), _UNNOTICED)
