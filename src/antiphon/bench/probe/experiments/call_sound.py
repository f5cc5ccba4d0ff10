"""Calls: what plays, what tells of it, and what `output_audio_buffer.clear` does to it.

All but one need sound that plays. On a call that nobody holds the media of, a server that plays to
peers alone plays nothing (P-337), and these are not possible.
"""

import dataclasses

from antiphon.bench.probe.calling import Call, a_call, burst, playback
from antiphon.bench.probe.experiments.call_lines import GROUP
from antiphon.bench.probe.experiments.common import experiments, needs_cancel
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict, tally
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Frame, Run, Talk
from antiphon.bench.report import Mark

__all__ = ["SOUND"]

_CLEAR: Json = {"type": "output_audio_buffer.clear"}
_TRANSCRIPT = "response.output_audio_transcript.delta"
# How far the model counts: to be over soon; to play for a while; to be generated for a while.
_SHORT, _PLAYED, _GENERATED = 6, 10, 24
# The gateway is another machine (P-401): what it has to say may come after the fence's answer.
_LATE_S = 0.3


def _needs_sound(lab: Lab) -> None:
    plays = lab.know.seen.get("plays")
    if plays == "no":
        raise NotPossible("needs media: nothing plays on a call that nobody listens to (P-337)")
    if plays is None:
        raise Inconclusive("it is not known whether anything plays on a call")


async def _clear_idle(lab: Lab) -> Verdict:
    """L-13: twice, on a call that has never played anything."""
    async with a_call(lab) as call:
        talk = await call.join()
        seen, codes = [], []
        for _ in range(2):
            mark = len(talk.frames)
            await burst(talk, _CLEAR)
            await talk.until(
                lambda m=mark: _replies(talk, m),  # type: ignore[misc]
                patience=_late(lab),
            )
            replies = _replies(talk, mark)
            kind = replies[0].kind if replies else ""
            seen.append({"error": "error", "": "silent"}.get(kind, "cleared"))
            codes += [frame.code for frame in replies if frame.kind == "error"]
        value, count = tally(seen)
        if len(set(seen)) > 1:
            lab.know.unknown("clear_idle", Mark.MIXED, f"{value} {count}", tuple(set(seen)))
            return Verdict(Mark.MIXED, f"First {seen[0]}, then {seen[1]}.")
        code = f" {codes[0]}" if codes else ""
        lab.know.knob("clear_idle", value, f"{count}{code and ':'}{code}")
        told = {"error": f"the error{code}", "silent": "no answer"}.get(
            value, "output_audio_buffer.cleared"
        )
        return Verdict(Mark.SEEN, f"It gets {told}, {count}.")


def _replies(talk: Talk, mark: int) -> list[Frame]:
    return talk.since(mark, "error", "output_audio_buffer.cleared")


def _late(lab: Lab) -> float:
    return _LATE_S + 6 * lab.trip


async def _playing(lab: Lab) -> Verdict:
    """Whether anything plays, and from when on."""
    async with a_call(lab) as call:
        talk = await call.join()
        run = await call.begun(talk, numbers=_PLAYED)
        await call.done(talk, run)
        words = [frame for frame in run.frames if frame.kind == _TRANSCRIPT]
        if not words:
            raise Inconclusive("the answer had no sound")
        await talk.until(lambda: playback(talk, "started", run))
        started = playback(talk, "started", run)
        done = run.done
        if not started or done is None:
            lab.know.seen["plays"] = "no"
            raise NotPossible(
                f"needs media: an answer was made, and nothing played within "
                f"{talk.patience:.0f} s of its response.done (P-337)"
            )
        lab.know.seen["plays"] = "yes"
        lab.know.unknown(
            "call_media",
            Mark.INCONCLUSIVE,
            "it plays although nobody listens; whether a peer would hear it was not tried",
            ("virtual", "webrtc"),
        )
        where = _when(lab, run, started[0], words, done)
        return Verdict(Mark.SEEN, f"It plays although nobody listens. started comes {where}.")


def _when(lab: Lab, run: Run, started: Frame, words: list[Frame], done: Frame) -> str:
    """Judge what `started` waited for, by its place among the response's events."""
    name, latency = "output_started", "output_started_latency_ms"
    if started.place > done.place:
        took, after_done = done.at - words[0].at, started.at - done.at
        # A fixed time after the first sound would have passed long before.
        if took > 3 * after_done:
            lab.know.knob(name, "after_done", f"1/1, {took * 1000:.0f} ms after its first words")
            lab.know.distribution(latency, [after_done * 1000], "from response.done")
        else:
            told = "the answer was generated too quickly to tell what started waits for"
            lab.know.unknown(name, Mark.INCONCLUSIVE, told)
        return "after response.done"
    if started.place < words[-1].place:
        lab.know.knob(name, "first_audio", "1/1, among the words of the answer")
        after_ms = (started.at - words[0].at) * 1000
        lab.know.distribution(latency, [after_ms], "from the first words, as sound is not seen")
        return "among the words"
    behind = next((frame for frame in run.frames if frame.place > started.place), None)
    if behind is not None and behind.kind == "response.output_audio.done":
        lab.know.knob(name, "after_transcript", "1/1, right before output_audio.done")
        lab.know.unknown(latency, Mark.HIDDEN, "hidden by output_started=after_transcript")
        return "right before output_audio.done"
    lab.know.unknown(name, Mark.INCONCLUSIVE, "it came after the words and before response.done")
    return "after the words"


async def _queue(lab: Lab) -> Verdict:
    """P-407: a second answer while the first one's sound plays."""
    _needs_sound(lab)
    async with a_call(lab) as call:
        talk = await call.join()
        first = await _played(lab, call, talk, _SHORT)
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


async def _played(lab: Lab, call: Call, talk: Talk, numbers: int) -> Run:
    """An answer that is done, and plays.

    Raises:
        Inconclusive: it does not, or is over already.
    """
    run = await call.begun(talk, numbers=numbers)
    await call.done(talk, run)
    await talk.until(lambda: playback(talk, "started", run))
    if not playback(talk, "started", run):
        raise Inconclusive("its sound did not begin")
    if playback(talk, "stopped", run):
        raise Inconclusive("its sound was over with it")
    return run


async def _clear_playing(lab: Lab) -> Verdict:
    """L-14, the second half: an answer that is done."""
    _needs_sound(lab)
    async with a_call(lab) as call:
        talk = await call.join()
        run = await _played(lab, call, talk, _PLAYED)
        mark = len(talk.frames)
        _, passed = await burst(talk, _CLEAR)
        stopped = playback(talk, "stopped")
        if stopped and stopped[0].place < passed.place:
            raise Inconclusive("its sound was over before the clear was read")
        cleared, cut = await _silenced(lab, talk, mark)
        if cleared:
            named = [frame.body.get("response_id") == run.id for frame in cleared]
            lab.know.knob("cleared_response_id", "yes" if all(named) else "no", "1/1 cleared")
        else:
            lab.know.unknown("cleared_response_id", Mark.HIDDEN, "hidden: no cleared comes")
        lab.know.knob("auto_truncated", "yes" if cut else "no", "1/1 clear of an answer")
        told = ["output_audio_buffer.cleared"] if cleared else []
        told += [f"{one.kind} at {one.body.get('audio_end_ms')} ms" for one in cut[:1]]
        return Verdict(
            Mark.SEEN,
            f"It falls silent: {' and '.join(told) or 'no event says so, and no stopped'} came. "
            f"The response stays {run.status}.",
        )


async def _silenced(lab: Lab, talk: Talk, mark: int) -> tuple[list[Frame], list[Frame]]:
    """What told that the sound is gone: `cleared`, and the automatic `truncated`.

    Raises:
        Inconclusive: it played on.
    """

    def found() -> tuple[list[Frame], list[Frame]]:
        return playback(talk, "cleared", mark=mark), talk.since(mark, "conversation.item.truncated")

    await talk.until(lambda: all(found()), patience=_late(lab))
    if not any(found()):  # the control: what plays on stops in the end
        await talk.until(
            lambda: any(found()) or playback(talk, "stopped", mark=mark),
            patience=lab.plan.patience + 10,
        )
        if playback(talk, "stopped", mark=mark):
            raise Inconclusive("the clear did nothing: it played to its end")
    return found()


async def _generating(lab: Lab, call: Call, talk: Talk) -> Run:
    """An answer in mid-generation that plays, or will without anything more.

    Raises:
        Inconclusive: it was over too soon.
    """
    run = await call.begun(talk, numbers=_GENERATED)
    plays = lab.know.value("output_started") in (None, "first_audio")

    def ready() -> bool:
        if plays:
            return bool(playback(talk, "started", run))
        return sum(frame.kind == _TRANSCRIPT for frame in run.frames) > 3

    await talk.until(lambda: run.done or ready(), patience=lab.plan.patience + 10)
    if run.done is not None or not ready():
        raise Inconclusive("the answer was over before it could be stopped")
    return run


async def _cancel_and_clear(lab: Lab) -> Verdict:
    """L-14, the first half: by hand, in mid-speech."""
    _needs_sound(lab)
    if lab.know.value("cancel_target") is not None:
        needs_cancel(lab)
    async with a_call(lab) as call:
        talk = await call.join()
        run = await _generating(lab, call, talk)
        mark = len(talk.frames)
        talk.send(talk.fence, lab.cancel(run), _CLEAR, talk.fence)
        after, before = await talk.passed(), await talk.passed(1)
        if after is None or before is None:
            raise Inconclusive("the fence got no answer")
        await talk.until(lambda: run.done, patience=lab.plan.patience + 10)
        if not run.ran_at(before) or run.done is None:
            raise Inconclusive("the response was over before the cancel was read, or never")
        await _silenced(lab, talk, mark)
        wanted = {
            "response.done": f"response.done ({run.status})",
            "output_audio_buffer.cleared": "cleared",
            "output_audio_buffer.stopped": "stopped",
            "response.output_audio.done": "output_audio.done",
            "conversation.item.truncated": "conversation.item.truncated",
            "error": "error",
        }
        order = [wanted[frame.kind] for frame in talk.since(mark) if frame.kind in wanted]
        cut = talk.since(mark, "conversation.item.truncated")
        heard = f", at {cut[0].body.get('audio_end_ms')} ms" if cut else ""
        return Verdict(Mark.SEEN, f"In this order: {', '.join(order)}{heard}. It was in progress.")


async def _clear_generating(lab: Lab) -> Verdict:
    """L-15: the clear alone."""
    _needs_sound(lab)
    async with a_call(lab) as call:
        talk = await call.join()
        run = await _generating(lab, call, talk)
        talk.send(talk.fence, _CLEAR, talk.fence)
        after, before = await talk.passed(), await talk.passed(1)
        if after is None or before is None:
            raise Inconclusive("the fence got no answer")
        if not run.ran_at(before):
            raise Inconclusive("the answer was over before the clear was read")

        def more() -> list[Frame]:
            return playback(talk, "started", run, after.place)

        await talk.until(lambda: more() or run.done, patience=lab.plan.patience + 30)
        if run.cancelled:
            lab.know.knob("clear_while_generating", "cancels", "1/1 clear in mid-generation")
            return Verdict(Mark.SEEN, "It cancels the response.")
        generated = [frame for frame in run.frames if frame.place > after.place]
        if not more() and not any(frame.kind == _TRANSCRIPT for frame in generated):
            raise Inconclusive("nothing more was generated after the clear")
        if not more():
            await talk.until(lambda: bool(more()))
        value = "later_audio_plays" if more() else "later_audio_dropped"
        lab.know.knob("clear_while_generating", value, "1/1 clear in mid-generation")
        return Verdict(
            Mark.SEEN,
            "The response goes on, and what comes of it later "
            + ("plays: started comes again." if more() else "stays silent."),
        )


async def _clear_queued(lab: Lab) -> Verdict:
    """L-16: one answer plays, one out of band waits behind it."""
    _needs_sound(lab)
    order = lab.know.value("playback_order")
    if order == "lost":
        raise Hidden("hidden by playback_order=lost: nothing waits behind what plays")
    if order is None:
        raise Inconclusive("it is not known whether one answer's sound waits for another's")
    beside = lab.know.value("out_of_band") not in ("shared_slot", "ignored")
    async with a_call(lab) as call:
        talk = await call.join()
        await _played(lab, call, talk, _PLAYED)
        second = await call.begun(talk, numbers=_SHORT, beside=beside)
        await call.done(talk, second)
        mark = len(talk.frames)
        _, passed = await burst(talk, _CLEAR)
        if any(frame.place < passed.place for frame in playback(talk, "stopped")):
            raise Inconclusive("a sound was over before the clear was read")

        def second_plays() -> bool:
            what = "started" if order == "queue" else "stopped"
            return bool(playback(talk, what, second, mark))

        late = _late(lab) if order == "queue" else lab.plan.patience + 10
        await talk.until(second_plays, patience=late)
        scope = "playing_only" if second_plays() else "all"
        cleared = playback(talk, "cleared", mark=mark)
        if scope == "all" and playback(talk, "stopped", mark=mark):
            raise Inconclusive("the clear did nothing")
        lab.know.knob("clear_scope", scope, f"1/1 clear of two (playback_order={order})")
        _cleared_for(lab, scope, len(cleared))
        items = {frame.item.get("id") for frame in second.frames} - {None}
        cuts = talk.since(mark, "conversation.item.truncated")
        cut = [frame.body.get("item_id") in items for frame in cuts]
        where = "out of band" if beside else "behind it"
        return Verdict(
            Mark.SEEN,
            f"{'Both are dropped' if scope == 'all' else 'The one that plays is dropped'}: "
            f"{len(cleared)} cleared, {cut.count(False)} truncated of the answer and "
            f"{cut.count(True)} of the one {where}. The barge-in of L-16 needs a peer that speaks.",
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


_MADE = experiments(
    GROUP,
    (
        _clear_idle,
        "What does a clear get when nothing plays?",
        "output_audio_buffer.clear, twice",
        "P-415, L-13",
        "clear_idle",
        0,
    ),
    (
        _playing,
        "Does an answer's sound play, and when does it start?",
        "an answer that counts to ten, aloud",
        "P-337, P-400 to P-405",
        "call_media output_started output_started_latency_ms",
        600,
    ),
    (
        _queue,
        "What becomes of a second answer's sound while one plays?",
        "two short answers, aloud",
        "P-403, P-407",
        "playback_order",
        1200,
    ),
    (
        _clear_playing,
        "What does a clear do to an answer that is done and plays?",
        "an answer, aloud; output_audio_buffer.clear after its response.done",
        "P-411, P-412, P-416, P-421, P-426, L-14",
        "cleared_response_id auto_truncated",
        600,
    ),
    (
        _cancel_and_clear,
        "What comes of a cancel and a clear in mid-speech?",
        "a longer answer, aloud; response.cancel and output_audio_buffer.clear while it is made",
        "P-411, P-412, P-417, P-425, L-14",
        "",
        600,
    ),
    (
        _clear_generating,
        "And of a clear alone?",
        "a longer answer, aloud; output_audio_buffer.clear while it is made",
        "P-413, L-15",
        "clear_while_generating",
        600,
    ),
    (
        _clear_queued,
        "What does a clear drop when one answer plays and one waits?",
        "an answer, aloud, and one out of band; output_audio_buffer.clear when both are done",
        "P-408, P-414, P-428, L-16",
        "clear_scope cleared_for",
        1200,
    ),
)
SOUND = tuple(dataclasses.replace(one, needs_call=True) for one in _MADE)
