"""What a server does when somebody speaks: with a clip of real speech."""

from typing import Any

from antiphon.bench.probe.experiments.common import experiments, spoken
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.talk import Frame
from antiphon.bench.report import Mark
from antiphon.models import DEFAULT_TRANSCRIPTION_MODEL

__all__ = ["EXPERIMENTS"]


async def _listen(lab: Lab, **detection: Any) -> None:
    """Turn detection on, as wanted.

    Raises:
        NotPossible: there is nothing to say, or nobody listens.
    """
    if not lab.plan.clip:
        raise NotPossible("no clip of speech was given")
    wanted = {"type": "server_vad", "silence_duration_ms": 500, **detection}
    refused = await lab.configure(turn_detection=wanted)
    if refused is not None:
        raise NotPossible(f"turn detection cannot be set: {refused.code}")


async def _deaf(lab: Lab) -> None:
    await lab.configure(turn_detection=None)
    await lab.quiet()


async def _speak(lab: Lab) -> int:
    """Say the clip; returns the place from which to look for what came of it.

    Raises:
        NotPossible: it was refused.
    """
    mark = len(lab.talk.frames)
    lab.talk.send(*spoken(lab), lab.talk.fence)
    await lab.talk.passed(patience=lab.plan.patience + 15)
    errors = [
        f for f in lab.talk.since(mark, "error") if f.code != "input_audio_buffer_commit_empty"
    ]
    if errors and not lab.talk.since(mark, "input_audio_buffer.speech_started"):
        raise NotPossible(f"speech is refused: {errors[0].code}")
    return mark


async def _barge_in(lab: Lab) -> Verdict:
    """Speech while one response runs in the conversation and one beside it."""
    await _listen(lab, interrupt_response=True, create_response=False)
    try:
        lab.needs_reading()
        separate = lab.know.value("out_of_band") == "separate"
        creates = [lab.create(), *([lab.create(beside=True)] if separate else [])]
        runs = await lab.started(*creates)
        mark = await _speak(lab)
        heard = lab.talk.since(mark, "input_audio_buffer.speech_started")
        passed = heard[0] if heard else None
        end = lab.talk.frames[-1]
        if passed is None:
            if lab.know.seen.get("hears") != "yes":
                raise NotPossible("no speech is heard, not even when nothing runs")
            if not all(run.ran_at(end) for run in runs):
                raise Inconclusive("no speech was heard, and a response was over meanwhile")
            lab.know.knob("vad_while_responding", "no", "no speech_started while a response ran")
            lab.know.unknown("vad_interrupts_oob", Mark.HIDDEN, "hidden by vad_while_responding=no")
            return Verdict(Mark.SEEN, "Nothing: no speech_started comes while a response runs.")
        if not all(run.ran_at(passed) for run in runs):
            raise Inconclusive("a response was over before the speech was heard")
        lab.know.knob("vad_while_responding", "yes", "speech_started in mid-response")
        await lab.talk.until(lambda: any(run.cancelled for run in runs), patience=lab.cancel_s)
        lab.talk.send(lab.talk.fence)
        await lab.talk.passed()
        told = [
            f"the one {'in the conversation' if not index else 'beside it'} "
            + ("was cancelled" if run.cancelled else "ran on")
            for index, run in enumerate(runs)
        ]
        if separate:
            hit = runs[1].cancelled
            lab.know.knob("vad_interrupts_oob", "yes" if hit else "no", "1/1 barge-in")
        else:
            lab.know.unknown(
                "vad_interrupts_oob", Mark.HIDDEN, "hidden by out_of_band: nothing runs beside"
            )
        return Verdict(Mark.SEEN, f"{' and '.join(told).capitalize()}.")
    finally:
        await _deaf(lab)


async def _turn_while_busy(lab: Lab) -> Verdict:
    """The turn's own response, while one runs that may not be interrupted."""
    await _listen(lab, interrupt_response=False, create_response=True)
    try:
        lab.needs_reading()
        if lab.know.value("vad_while_responding") == "no":
            lab.know.unknown(
                "vad_create_when_busy", Mark.HIDDEN, "hidden by vad_while_responding=no"
            )
            raise Hidden("hidden by vad_while_responding=no: nothing is heard meanwhile")
        (run,) = await lab.started(lab.create())
        mark = await _speak(lab)
        committed = lab.talk.since(mark, "input_audio_buffer.committed")
        if not committed or not run.ran_at(committed[0]):
            raise Inconclusive("the response was over before the turn was")
        errors = [f for f in lab.talk.since(mark, "error") if run.ran_at(f)]
        own = [other for other in lab.talk.runs_since(mark) if other is not run]
        if errors:
            value, told = "error", f"it is refused with {errors[0].code}"
        elif own and run.ran_at(own[0].created):
            raise Inconclusive("the turn's response ran beside the one that was running")
        else:
            lab.talk.send(lab.cancel(run))
            await lab.talk.until(
                lambda: run.done is not None, patience=lab.plan.patience + 4 * lab.long_s
            )
            lab.talk.send(lab.talk.fence)
            await lab.talk.passed()
            await lab.talk.until(
                lambda: len(lab.talk.runs_since(mark)) > 0, patience=0.3 + 4 * lab.trip
            )
            queued = bool(lab.talk.runs_since(mark))
            value = "queued" if queued else "dropped"
            told = "it comes when the other is over" if queued else "it never comes"
        lab.know.knob("vad_create_when_busy", value, "1/1 turn while a response ran")
        return Verdict(Mark.SEEN, f"The answer to the turn: {told}.")
    finally:
        await _deaf(lab)


async def _transcript(lab: Lab) -> Verdict:
    """When the transcription of a turn comes."""
    await _listen(lab, interrupt_response=False, create_response=True)
    try:
        refused = await lab.configure(transcription={"model": DEFAULT_TRANSCRIPTION_MODEL})
        if refused is not None:
            raise NotPossible(f"transcription cannot be set: {refused.code}")
        mark = await _speak(lab)
        prefix = "conversation.item.input_audio_transcription."

        def transcribed() -> list[Frame]:
            return [f for f in lab.talk.since(mark) if f.kind.startswith(prefix)]

        def over() -> bool:
            runs = lab.talk.runs_since(mark)
            return bool(transcribed()) and bool(runs) and runs[0].done is not None

        await lab.talk.until(over, patience=lab.plan.patience + 15)
        if lab.talk.since(mark, "input_audio_buffer.speech_started"):
            lab.know.seen["hears"] = "yes"
        words = transcribed()
        if not words:
            raise NotPossible("no transcription came")
        items = lab.talk.since(mark, "conversation.item.added", "conversation.item.created")
        users = [f for f in items if f.item.get("role") == "user"]
        runs = [run for run in lab.talk.runs_since(mark) if run.done is not None]
        know = lab.know
        committed = lab.talk.since(mark, "input_audio_buffer.committed")
        begin = committed[0] if committed else users[0] if users else words[0]
        if words[0].place < begin.place:
            value, told = "before_item", "before the turn's item exists"
        elif runs and runs[0].done is not None and words[-1].place > runs[0].done.place:
            value, told = "after_response", "after the answer's response.done"
        else:
            value, told = "after_item", "after the turn's item, before the answer is done"
        know.knob("transcription_timing", value, "1/1 spoken turn")
        if value == "after_item":
            know.distribution(
                "transcription_latency_ms",
                [max(0.0, (words[0].at - begin.at) * 1000)],
                "from the item to the first event of its transcription",
            )
        else:
            know.unknown(
                "transcription_latency_ms", Mark.HIDDEN, f"hidden by transcription_timing={value}"
            )
        return Verdict(Mark.SEEN, f"It comes {told}.")
    finally:
        await lab.configure(transcription=None)
        await _deaf(lab)


EXPERIMENTS = experiments(
    "Speech",
    (
        _transcript,
        "When does the transcription of a turn come?",
        "a spoken sentence, with transcription on",
        "P-186, P-187",
        "transcription_timing transcription_latency_ms",
        400,
    ),
    (
        _barge_in,
        "What does speech stop?",
        "a long response in the conversation and one beside it, and a spoken sentence",
        "P-191, P-192, P-299, L-8",
        "vad_while_responding vad_interrupts_oob",
        1600,
    ),
    (
        _turn_while_busy,
        "What becomes of the answer to a turn while a response runs?",
        "a long response, interrupt_response false, and a spoken sentence",
        "P-49, L-9",
        "vad_create_when_busy",
        1200,
    ),
)
