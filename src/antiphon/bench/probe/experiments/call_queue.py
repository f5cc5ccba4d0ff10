"""Calls: the sound of several answers, of which one plays and one waits."""

from antiphon.bench.probe.calling import a_call, burst, playback
from antiphon.bench.probe.experiments.call_common import (
    CLEAR,
    PLAYED,
    SHORT,
    call_experiments,
    late,
    needs_clear,
    needs_media,
    needs_sound,
    played,
    sounding,
)
from antiphon.bench.probe.experiments.common import spoken
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.talk import Run, Talk
from antiphon.bench.report import Mark

__all__ = ["QUEUE"]


async def _queue(lab: Lab) -> Verdict:
    """P-407: a second answer while the first one's sound plays."""
    needs_sound(lab)
    async with sounding(lab) as call:
        talk = await call.join()
        first = await played(lab, call, talk, SHORT)
        second = await call.begun(talk, say="Say yes.")
        await call.done(talk, second)
        stopped = playback(talk, "stopped", first)
        if stopped and second.done is not None and stopped[0].place < second.done.place:
            raise Inconclusive("the first one's sound was over too soon")
        limit = lab.plan.patience + 30
        await talk.until(lambda: playback(talk, "stopped", first), patience=limit)
        stopped = playback(talk, "stopped", first)
        if not stopped:
            raise Inconclusive("the first one's sound did not end")
        await talk.until(lambda: playback(talk, "started", second))
        started = playback(talk, "started", second)
        if not started:
            value, told = "lost", "the second one's never plays"
        elif started[0].place < stopped[0].place:
            value, told = "overlap", "the second one's plays at the same time"
        else:
            value, told = "queue", "the second one's plays when the first one's has stopped"
        lab.know.knob("playback_order", value, "1/1 pair of answers")
        return Verdict(Mark.SEEN, f"{told[0].upper()}{told[1:]}, 1/1.")


async def _clear_queued(lab: Lab) -> Verdict:
    """L-16: one answer plays, one out of band waits behind it."""
    needs_sound(lab)
    needs_clear(lab)
    order, beside = _order(lab), _beside(lab)
    if order == "lost":
        raise Hidden("hidden by playback_order=lost: nothing waits behind what plays")
    async with sounding(lab) as call:
        talk = await call.join()
        await played(lab, call, talk, PLAYED)
        second = await call.begun(talk, numbers=SHORT, beside=beside)
        await call.done(talk, second)
        mark = len(talk.frames)
        _, passed = await burst(talk, CLEAR)
        if any(frame.place < passed.place for frame in playback(talk, "stopped")):
            raise Inconclusive("a sound was over before the clear was read")
        scope = "playing_only" if await _plays_on(lab, talk, second, order, mark) else "all"
        cleared, cut = playback(talk, "cleared", mark=mark), _cut(talk, second, mark)
        if (
            scope == "all" and not cleared and not cut
        ):  # the control: what plays on stops in the end
            limit = lab.plan.patience + 10
            await talk.until(lambda: playback(talk, "stopped", mark=mark), patience=limit)
        if scope == "all" and playback(talk, "stopped", mark=mark):
            raise Inconclusive("the clear did nothing")
        lab.know.knob("clear_scope", scope, f"1/1 clear of two (playback_order={order})")
        _cleared_for(lab, scope, len(cleared))
        where = "out of band" if beside else "behind it"
        return Verdict(
            Mark.SEEN,
            f"{'Both are dropped' if scope == 'all' else 'The one that plays is dropped'}: "
            f"{len(cleared)} cleared, {cut.count(False)} truncated of the answer and "
            f"{cut.count(True)} of the one {where}.",
        )


def _cleared_for(lab: Lab, scope: str, count: int) -> None:
    name = "cleared_for"
    if not count:
        lab.know.knob(name, "none", "0 cleared of 1 clear")
    elif scope == "all":
        lab.know.knob(name, "each" if count > 1 else "playing", f"{count} cleared of 2 dropped")
    else:
        why = "hidden by clear_scope=playing_only: only one is dropped"
        lab.know.unknown(name, Mark.HIDDEN, why, ("playing", "each"))


def _order(lab: Lab) -> str:
    """How the sounds of two answers are played.

    Raises:
        Inconclusive: it is not known.
    """
    order = lab.know.value("playback_order")
    if order is None:
        raise Inconclusive("it is not known whether one answer's sound waits for another's")
    return order


def _beside(lab: Lab) -> bool:
    return lab.know.value("out_of_band") not in ("shared_slot", "ignored")


async def _plays_on(lab: Lab, talk: Talk, second: Run, order: str, mark: int) -> bool:
    """Whether the second one is heard after this place, where the first fell silent."""

    def heard() -> bool:
        return bool(playback(talk, "started" if order == "queue" else "stopped", second, mark))

    await talk.until(heard, patience=late(lab) if order == "queue" else lab.plan.patience + 10)
    return heard()


def _cut(talk: Talk, second: Run, mark: int) -> list[bool]:
    """For each `conversation.item.truncated` after this place, whether it is the second one's."""
    items = {frame.item.get("id") for frame in second.frames} - {None}
    cuts = talk.since(mark, "conversation.item.truncated")
    return [frame.body.get("item_id") in items for frame in cuts]


async def _call_barge_in(lab: Lab) -> Verdict:
    """L-16, the second half: the same by a voice."""
    needs_sound(lab)
    if not lab.plan.clip:
        raise NotPossible("no clip of speech was given")
    by_sideband = lab.know.value("sideband_append") == "accept"
    if not by_sideband:
        needs_media(lab)
    order, beside = _order(lab), _beside(lab)
    async with sounding(lab) if by_sideband else a_call(lab, media=True) as call:
        talk = await call.join()
        wanted = {"type": "server_vad", "interrupt_response": True, "create_response": False}
        await call.configure(talk, turn_detection=wanted)
        # Where the later one's sound is lost, the one out of band plays alone.
        alone = order == "lost"
        second: Run | None = None
        playing = await played(lab, call, talk, 2 * PLAYED, beside=alone and beside)
        if not alone:
            second = await call.begun(talk, numbers=SHORT, beside=beside)
            await call.done(talk, second)
        mark = len(talk.frames)
        if by_sideband:
            talk.send(*spoken(lab))
        elif call.peer is not None:
            talk.remark("somebody speaks, where the call's media is")
            call.peer.speak(lab.plan.clip)
        await talk.until(
            lambda: talk.since(mark, "input_audio_buffer.speech_started"),
            patience=lab.plan.patience + 5,
        )
        heard = talk.since(mark, "input_audio_buffer.speech_started")
        if not heard:
            raise NotPossible("no speech is heard on the call")
        over = playback(talk, "stopped", playing)
        if over and over[0].place < heard[0].place:
            raise Inconclusive("its sound was over before the speech was heard")
        return await _fallen_silent(lab, talk, playing, second, order, mark)


async def _fallen_silent(
    lab: Lab, talk: Talk, playing: Run, second: Run | None, order: str, mark: int
) -> Verdict:
    """What the speech cleared: of two, or of one that plays alone."""
    name, beside = "vad_clears_oob", _beside(lab)
    if not beside:
        place = lab.know.value("out_of_band")
        lab.know.unknown(name, Mark.HIDDEN, f"hidden by out_of_band={place}: nothing is beside")
    on = second is not None and await _plays_on(lab, talk, second, order, mark)

    def gone() -> bool:
        told = (*playback(talk, "cleared", mark=mark), *_cut(talk, second or playing, mark))
        return bool(told)

    await talk.until(gone, patience=late(lab))
    if not gone():  # the control: what plays on stops in the end
        limit = lab.plan.patience + 20
        await talk.until(lambda: playback(talk, "stopped", playing, mark), patience=limit)
    cleared, cut = playback(talk, "cleared", mark=mark), _cut(talk, second or playing, mark)
    told = f"{len(cleared)} cleared and {len(cut)} truncated came"
    if playback(talk, "stopped", playing, mark):
        if second is None and beside:
            lab.know.knob(name, "no", "1/1 barge-in on one that plays alone")
            return Verdict(Mark.SEEN, "The one out of band plays on to its end.")
        lab.know.unknown(name, Mark.MIXED, "speech clears nothing at all")
        return Verdict(Mark.MIXED, "Speech clears nothing: what plays plays on to its end.")
    if second is None:
        if beside:
            lab.know.knob(name, "yes", "1/1 barge-in on one that plays alone")
        return Verdict(Mark.SEEN, f"The one that plays falls silent; {told}.")
    if beside:
        lab.know.knob(name, "no" if on else "yes", f"1/1 barge-in (playback_order={order})")
    which = "out of band" if beside else "behind it"
    fate = "plays all the same" if on else "goes with it"
    return Verdict(Mark.SEEN, f"The answer falls silent, and the one {which} {fate}; {told}.")


QUEUE = call_experiments(
    (
        _queue,
        "What becomes of a second answer's sound while one plays?",
        "two short answers, aloud",
        "P-403, P-407",
        "playback_order",
        1200,
    ),
    (
        _clear_queued,
        "What does a clear drop when one answer plays and one waits?",
        "an answer, aloud, and one out of band; output_audio_buffer.clear when both are done",
        "P-408, P-414, P-428, L-16",
        "clear_scope cleared_for",
        1200,
    ),
    (
        _call_barge_in,
        "And what does somebody who speaks?",
        "an answer, aloud, and one out of band; a spoken sentence when both are done",
        "P-408, P-421, P-427, P-428, L-16",
        "vad_clears_oob",
        1200,
    ),
)
