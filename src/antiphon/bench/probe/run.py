"""The whole probe: every experiment in order, and what follows from them together."""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from typing import Any

from antiphon.bench.probe.dialling import without_secrets
from antiphon.bench.probe.experiments import ALL
from antiphon.bench.probe.lab import (
    Experiment,
    Found,
    Hidden,
    Inconclusive,
    Lab,
    NotPossible,
    Plan,
    Verdict,
)
from antiphon.bench.probe.rules import infer
from antiphon.bench.probe.talk import Frame, NoFence
from antiphon.bench.report import Case, Line, Mark, Report, Setting, Side, Subject, Tracer, differs
from antiphon.emulator import Behaviour
from antiphon.exceptions import ConnectError

__all__ = ["Progress", "probe", "shown"]

# However a server behaves, an experiment ends.
_LONGEST_S = 90.0
_MOST_LINES = 4000
# What comes of reading events whose fields are of other kinds than they should be.
_MISSHAPEN = (AttributeError, KeyError, IndexError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a probe has come.

    Args:
        number: experiments begun, from 1.
        total: of how many.
        experiment: the one that begins, or has ended if `case` is set.
        case: its result.
        tokens: output tokens so far.
        handshakes: so far.
    """

    number: int
    total: int
    experiment: Experiment
    case: Case | None
    tokens: int
    handshakes: int


async def probe(
    plan: Plan,
    told: Callable[[Progress], None] = lambda _: None,
    *,
    experiments: Sequence[Experiment] = ALL,
    name: str = "",
    version_of_server: str = "",
) -> Report:
    """Find out what a server does.

    Cancelling it ends all its sessions.

    Args:
        plan: how.
        told: called when an experiment begins and when it has ended.
        experiments: which, in order.
        name: what to call the server.
        version_of_server: as the report is to give it.

    Raises:
        ConnectError: nobody answers, or the handshake is refused.
    """
    lab = Lab(plan)
    lab.settings["wall"] = plan.wall()
    loop = asyncio.get_running_loop()
    began = loop.time()
    cases: list[Case] = []
    try:
        await lab.open()
        await _measure_trip(lab)
        todo = list(experiments)
        for number, experiment in enumerate(experiments, 1):
            if experiment not in todo:
                continue
            told(Progress(number, len(todo), experiment, None, lab.tokens, lab.handshakes))
            case = await _made(lab, experiment)
            lab.count_tokens()
            cases.append(case)
            if lab.no_calls and experiment.needs_call:
                todo = _without_calls(lab, todo, experiment)
            told(Progress(number, len(todo), experiment, case, lab.tokens, lab.handshakes))
        infer(lab.know)
        _pings(lab)
    finally:
        lab.close()
    took = loop.time() - began
    about: tuple[tuple[str, str], ...] = (
        ("address", without_secrets(plan.url)),
        ("took", f"{took:.0f} s, {lab.handshakes} handshakes, {lab.tokens} output tokens"),
        ("round trip", f"{lab.trip * 1000:.1f} ms"),
        ("a long answer", f"counts to {lab.numbers()}"),
    )
    if lab.calls:
        left = f"{lab.calls_left} may not be over" if lab.calls_left else "all hung up"
        about += (("calls", f"{lab.calls}, {left}"),)
    subject = Subject(
        name=name or without_secrets(plan.url),
        version=version_of_server,
        cases=_grouped(cases, experiments),
        settings=_settings(lab),
        about=about,
    )
    return _report(subject, lab)


async def _measure_trip(lab: Lab) -> None:
    trips = []
    for _ in range(5):
        if not lab.talk.has_fence:
            return
        (sent,) = lab.talk.send(lab.talk.fence)
        passed = await lab.talk.passed()
        if passed is not None:
            trips.append(passed.at - sent.at)
    lab.trip = max(trips, default=0.0)
    lab.know.jitter_ms = (lab.trip - min(trips, default=0.0)) * 1000
    lab.talk.patience = lab.plan.patience + 6 * lab.trip


async def _made(lab: Lab, experiment: Experiment) -> Case:
    """One experiment, whatever comes of it."""
    used: int | None = None
    if lab.tokens + experiment.tokens > lab.plan.max_tokens:
        limit = f"--max-tokens {lab.plan.max_tokens} would be passed: {lab.tokens} are spent"
        return _untried(lab, experiment, limit)
    if lab.given_up:
        return _untried(lab, experiment, lab.given_up)
    if lab.mute and experiment.tokens:
        return _untried(lab, experiment, lab.mute)
    if lab.overtime():
        return _untried(lab, experiment, f"the probe has taken {lab.plan.longest_s:.0f} s")
    try:
        async with asyncio.timeout(_LONGEST_S):
            await lab.open()
            lab.extra_talk = None
            used = len(lab.talk.frames) if lab.talk.frames and experiment.key != "greeting" else 0
            verdict = await experiment.run(lab)
    except Hidden as hidden:
        verdict = Verdict(Mark.HIDDEN, str(hidden))
    except NotPossible as not_possible:
        verdict = Verdict(Mark.NOT_POSSIBLE, str(not_possible))
    except (Inconclusive, NoFence) as inconclusive:
        verdict = Verdict(Mark.INCONCLUSIVE, f"inconclusive: {inconclusive}")
    except TimeoutError:
        verdict = Verdict(Mark.INCONCLUSIVE, f"inconclusive: no end after {_LONGEST_S:.0f} s")
        lab.talk.close()
    except ConnectError as gone:
        verdict = Verdict(Mark.INCONCLUSIVE, f"inconclusive: no new session could be had: {gone}")
    except _MISSHAPEN as error:
        told = f"inconclusive: what came is of no known shape ({type(error).__name__})"
        verdict = Verdict(Mark.INCONCLUSIVE, told)
    await _tidied(lab)
    if any(talk.flooded for talk in lab.talks):
        lab.given_up = "the server floods"
    if verdict.mark is not Mark.SEEN and lab.talk.closed is not None and used is not None:
        code = lab.talk.closed[0]
        told = f" (the server ended the session: {code if code is not None else 'cut'})"
        verdict = Verdict(verdict.mark, verdict.words + told)
    case = _case(lab, experiment, verdict, used)
    for knob in experiment.knobs:
        if verdict.mark is not Mark.SEEN:
            lab.know.unknown(knob, verdict.mark, verdict.words.removeprefix("inconclusive: "))
    return case


def _without_calls(lab: Lab, todo: list[Experiment], last: Experiment) -> list[Experiment]:
    """One row says that no call can be made; a dozen more would say nothing."""
    hidden = lab.no_calls.startswith("hidden")
    mark = Mark.HIDDEN if hidden else Mark.NOT_POSSIBLE
    why = lab.no_calls if hidden else f"not tried: {lab.no_calls}"
    for experiment in todo:
        if experiment.needs_call and experiment is not last:
            for knob in experiment.knobs:
                lab.know.unknown(knob, mark, why)
    return [experiment for experiment in todo if experiment is last or not experiment.needs_call]


async def _tidied(lab: Lab) -> None:
    """Nothing is left running for the next experiment."""
    try:
        async with asyncio.timeout(_LONGEST_S):
            await lab.quiet()
    except TimeoutError:
        lab.talk.close()


def _untried(lab: Lab, experiment: Experiment, why: str) -> Case:
    for knob in experiment.knobs:
        lab.know.unknown(knob, Mark.NOT_POSSIBLE, f"not tried: {why}")
    return _case(lab, experiment, Verdict(Mark.NOT_POSSIBLE, f"not tried: {why}"), None)


def _case(lab: Lab, experiment: Experiment, verdict: Verdict, mark: int | None) -> Case:
    trace: tuple[Line, ...] = ()
    if mark is not None:
        talk = lab.extra_talk or lab.talk
        trace = _trace(talk.frames[0 if lab.extra_talk else mark :])
    return Case(
        key=experiment.key,
        question=experiment.question,
        group=experiment.group,
        mark=verdict.mark,
        verdict=verdict.words,
        facts=experiment.facts,
        details=(
            ("sent", experiment.sends),
            *((("settles", ", ".join(experiment.knobs)),) if experiment.knobs else ()),
        ),
        trace=trace,
    )


def _trace(frames: Sequence[Frame]) -> tuple[Line, ...]:
    if not frames:
        return ()
    tracer, began = Tracer(), frames[0].at

    def line(frame: Frame) -> Line:
        at_ms = (frame.at - began) * 1000
        if frame.note:
            return tracer.note(at_ms, frame.note)
        side = Side.CLIENT if frame.sent else Side.SERVER
        return tracer.line(at_ms, side, frame.raw if frame.event is None else frame.event)

    return tuple(line(frame) for frame in frames[:_MOST_LINES])


def _grouped(cases: Sequence[Case], experiments: Sequence[Experiment]) -> tuple[Case, ...]:
    groups = list(dict.fromkeys(experiment.group for experiment in experiments))
    return tuple(sorted(cases, key=lambda case: groups.index(case.group)))


def _pings(lab: Lab) -> None:
    """`ping` events, over the longest session."""
    talks = [talk for talk in lab.talks if talk.since(0, "session.created")]
    talk = max(talks, key=lambda talk: talk.frames[-1].at - talk.opened_at, default=None)
    if talk is None:
        lab.know.unknown("ping_interval_s", Mark.INCONCLUSIVE, "there was no session")
        return
    lasted = talk.frames[-1].at - talk.opened_at
    pings = [frame.at for frame in talk.since(0, "ping")]
    if pings:
        gaps = [second - first for first, second in zip(pings, pings[1:], strict=False)]
        gap = sorted(gaps)[len(gaps) // 2] if gaps else pings[0] - talk.opened_at
        lab.know.knob("ping_interval_s", f"{round(gap):g}", f"{len(pings)} in {lasted:.0f} s")
    elif lasted >= 20:
        lab.know.knob("ping_interval_s", "0", f"none in {lasted:.0f} s")
    else:
        lab.know.unknown(
            "ping_interval_s", Mark.INCONCLUSIVE, f"none in {lasted:.0f} s, which is not long"
        )


def shown(value: Any) -> str:
    """A knob's value as `--set` takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    if isinstance(value, StrEnum):
        return value.value
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _settings(lab: Lab) -> tuple[Setting, ...]:
    settings = []
    for spec in dataclasses.fields(Behaviour):
        if spec.name == "pace":
            continue
        documented = shown(spec.default)
        found = lab.know.knobs.get(spec.name)
        if found is None:
            found = Found(None, Mark.INCONCLUSIVE, "no experiment bears on it")
        settings.append(
            Setting(
                name=spec.name,
                value=found.value,
                documented=documented,
                mark=found.mark,
                why=found.why,
                candidates=found.candidates,
            )
        )
    return tuple(settings)


def _report(subject: Subject, lab: Lab) -> Report:
    known = [setting for setting in subject.settings if setting.value is not None]
    unlike = [f"{setting.name}={setting.value}" for setting in known if differs(setting)]
    lead = (
        f"{len(known)} of {len(subject.settings)} knobs were found, by {len(subject.cases)} "
        f"experiments. "
    )
    if unlike and any(case.mark is Mark.SEEN for case in subject.cases):
        told, more = ", ".join(unlike[:6]), len(unlike) - 6
        lead += f"Not as documented (or, where nothing is, guessed): {told}"
        lead += f", and {more} more." if more > 0 else "."
    elif known and any(case.mark is Mark.SEEN for case in subject.cases):
        lead += "All found are as documented or, where nothing is, as guessed."
    else:
        lead += "This does not look like a server of the Realtime API."
    return Report(
        kind="servers",
        title=f"What {subject.name} does",
        lead=lead,
        made=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        by=f"antiphon {version('antiphon')} probe",
        subjects=(subject,),
    )
