"""What the modules of experiments with calls share."""

import dataclasses
from contextlib import AbstractAsyncContextManager

from antiphon.bench.probe.calling import Call, a_call, playback
from antiphon.bench.probe.experiments.common import Row, experiments
from antiphon.bench.probe.lab import Experiment, Hidden, Inconclusive, Lab, NotPossible
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Frame, Run, Talk
from antiphon.exceptions import ConnectError

__all__ = [
    "CLEAR",
    "PLAYED",
    "SHORT",
    "TRANSCRIPT",
    "call_experiments",
    "late",
    "needs_clear",
    "needs_media",
    "needs_sound",
    "played",
    "refusal",
    "session_of",
    "sounding",
]

CLEAR: Json = {"type": "output_audio_buffer.clear"}
TRANSCRIPT = "response.output_audio_transcript.delta"
# How far the model counts: to be over soon; to play for a while.
SHORT, PLAYED = 6, 10
# The gateway is another machine (P-401): what it has to say may come after the fence's answer.
_LATE_S = 0.3


def call_experiments(*rows: Row) -> tuple[Experiment, ...]:
    """As `experiments`, of those that take a call."""
    made = experiments("Calls, over HTTP and sidebands", *rows)
    return tuple(dataclasses.replace(experiment, needs_call=True) for experiment in made)


def late(lab: Lab) -> float:
    """Seconds for what may come after a fence's answer."""
    return _LATE_S + 6 * lab.trip


def refusal(refused: ConnectError) -> str:
    """How a handshake was refused, in words."""
    if refused.status is None:
        return "the connection failed"
    return f"HTTP {refused.status}" + (f", {refused.code}" if refused.code else "")


def session_of(frame: Frame) -> Json:
    """The session in an event, or nothing."""
    found = frame.body.get("session")
    return found if isinstance(found, dict) else {}


def needs_media(lab: Lab) -> None:
    """For experiments in which a peer speaks, or leaves.

    Raises:
        Hidden: the server's calls have no media.
        NotPossible: it does not come about, for whatever reason.
    """
    if lab.know.seen.get("media") != "no":
        return
    value = lab.know.value("call_media")
    if value in ("virtual", "none"):
        raise Hidden(f"hidden by call_media={value}: nobody can hold a call's media")
    raise NotPossible("needs media: no call's media could be connected")


def needs_sound(lab: Lab) -> None:
    """For experiments with sound that plays.

    Raises:
        NotPossible: nothing plays.
        Inconclusive: it is not known whether anything does.
    """
    plays = lab.know.seen.get("plays")
    if plays == "no":
        raise NotPossible("needs media: nothing plays on a call that nobody listens to (P-337)")
    if plays is None:
        raise Inconclusive("it is not known whether anything plays on a call")


def needs_clear(lab: Lab) -> None:
    """For experiments in which a clear is to drop something.

    Raises:
        Hidden: it is an event like any unknown one.
    """
    if lab.know.seen.get("clear") == "unknown":
        raise Hidden("hidden by unsupported_events: a clear drops nothing")


def sounding(lab: Lab) -> AbstractAsyncContextManager[Call]:
    """A call on which sound plays: with a peer, where it takes one."""
    return a_call(lab, media=lab.know.seen.get("plays") == "to a peer")


async def played(lab: Lab, call: Call, talk: Talk, numbers: int, *, beside: bool = False) -> Run:
    """An answer that is done, and plays.

    Raises:
        Inconclusive: it does not, or is over already.
    """
    run = await call.begun(talk, numbers=numbers, beside=beside)
    await call.done(talk, run)
    await talk.until(lambda: playback(talk, "started", run))
    if not playback(talk, "started", run):
        raise Inconclusive("its sound did not begin")
    if playback(talk, "stopped", run):
        raise Inconclusive("its sound was over with it")
    return run
