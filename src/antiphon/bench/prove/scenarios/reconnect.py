"""Connections that end: who is told, and what is there afterwards."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Json
from antiphon.bench.prove.scenario import NotApplicable, ScenarioTable
from antiphon.emulator import Behaviour, Faults, Pace, Script, after, say

__all__ = ["scenario"]

scenario = ScenarioTable("reconnect")
SLOW = Pace(speed=2)


def _story_and_mood() -> Script:
    return Script(
        [
            say("Story one.", ms=20_000).paced(SLOW).when(lane="default"),
            say("Mood two.", ms=20_000).paced(SLOW).when(lane="out_of_band"),
        ]
    )


_WAITS = "the connection is gone, and whoever reads waits for ever"


@scenario(
    reproduces="livekit/agents#5276",
    facts="P-271, P-278",
    control="forgets_readers",
    script=_story_and_mood,
)
async def the_reader_is_told(play: Play) -> None:
    """The connection is cut in mid-reply: whoever reads it is told."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.sent("Story", 300)
    play.cut()
    await play.ended("story", 4, _WAITS)


@scenario(
    facts="R-23, P-271, P-278",
    control="forgets_readers",
    script=_story_and_mood,
)
async def every_reader_is_told(play: Play) -> None:
    """The connection is cut with two responses in flight: whoever reads either is told."""
    await play.open()
    await play.ask("story", "Tell me a story.")
    await play.sent("Story", 300)
    await play.aside("mood", "What is the mood?")
    await play.sent("Mood", 300)
    play.cut()
    for reader in ("story", "mood"):
        await play.ended(reader, 4, _WAITS)


def _greetings() -> Script:
    return Script(
        [
            say("Good morning.", ms=300).when(contains="hello"),
            say("I am back.", ms=300).when(contains="back"),
            say("Hm.", ms=200).always(),
        ]
    )


def _state(play: Play) -> Json | None:
    told = play.record.seen.of("connection")
    return told[-1] if told else None


@scenario(
    reproduces="livekit/agents#3145",
    facts="P-271, P-278",
    control="never_reconnects",
    script=_greetings,
)
async def a_cut_is_noticed(play: Play) -> None:
    """The connection is cut while nothing runs: the client comes back, or says that it is over."""
    await play.open()
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting")
    play.cut()
    noticed = await play.until(lambda: _state(play) or play.errors() or _back(play), 6)
    play.check(noticed, "the connection is gone, and nobody notices: dead air without end")


def _back(play: Play) -> bool:
    return len(play.record.engines) > 1


@scenario(
    reproduces="livekit/agents#3145",
    facts="P-271, P-278",
    control="forgets_the_conversation",
    script=_greetings,
)
async def it_comes_back_knowing(play: Play) -> None:
    """After a cut the client connects again, and the new session knows what was said."""
    await play.open()
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting")
    play.cut()
    await play.until(lambda: _back(play), 6)
    if not _back(play):
        raise NotApplicable("it does not reconnect by itself")
    await play.pass_time(0.3)
    await play.ask("back", "Are you back?")
    await play.heard("I am back.", 300)
    said = [
        (event["item"]["role"], part.get("text") or part.get("transcript"))
        for event in play.record.sent("conversation.item.create")
        for part in event["item"].get("content", ())
    ]
    again = said[said.index(("user", "Hello there.")) + 1 :]
    play.check(
        ("user", "Hello there.") in again and ("assistant", "Good morning.") in again,
        "after the cut the model has forgotten what was said before",
        f"told anew: {again}",
    )


@scenario(
    reproduces=("livekit/agents#2341", "livekit/agents#6040", "pipecat-ai/pipecat#3170"),
    facts="P-257, P-259, P-260",
    control="never_reconnects",
    script=_greetings,
    behaviour=Behaviour(session_max_s=1.5, expiry="error_and_close"),  # type: ignore[arg-type]
)
async def a_session_that_expires(play: Play) -> None:
    """The server ends the session at its maximum age: the client comes back, or says it is over."""
    await play.open()
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting")
    await play.until(lambda: any(event.way == "gone" for event in play.record.wire), 4)
    over = await play.until(lambda: _back(play) or _told_over(play), 6)
    play.check(over, "the session has expired, and nobody notices: dead air without end")


def _told_over(play: Play) -> bool:
    state = _state(play)
    return state is not None and state.get("state") in ("lost", "over")


@scenario(
    reproduces="livekit/agents#6352",
    facts="P-92, P-165",
    control="reconnects_for_ever",
    script=_greetings,
    faults=Faults(
        after(0.03).send(
            {
                "type": "error",
                "error": {
                    "type": "insufficient_quota",
                    "code": "insufficient_quota",
                    "message": "You exceeded your current quota.",
                    "param": None,
                    "event_id": None,
                },
            }
        ),
        after(0.05).close(1011, "insufficient_quota"),
    ),
)
async def no_quota_no_storm(play: Play) -> None:
    """Turned away each time for want of credit, the client does not knock without end."""
    await play.warm_up()
    number = play.begin("open", **play.where, text=False, vad=False, tool=False)
    await play.pass_time(4)
    play.failed(number)
    knocks = len(play.record.engines)
    play.check(
        knocks <= 12,
        f"{knocks} connections in four seconds, each of them turned away",
    )
    told = play.errors() or _state(play) or play.failed(number)
    play.check(told, "the account has no credit left, and nobody is told: dead air")
