"""Calls: what plays, what tells of it, and what `output_audio_buffer.clear` does to it.

All but one need sound that plays. A server that plays to peers alone plays nothing on a call that
nobody holds the media of (P-337): where there is no peer either, these are not possible.
"""

from antiphon.bench.probe.calling import Call, a_call, burst, playback
from antiphon.bench.probe.dialling import is_loopback
from antiphon.bench.probe.experiments.call_common import (
    CLEAR,
    PLAYED,
    SHORT,
    TRANSCRIPT,
    call_experiments,
    late,
    needs_clear,
    needs_sound,
    played,
    sounding,
)
from antiphon.bench.probe.experiments.common import needs_cancel
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict, tally
from antiphon.bench.probe.talk import Frame, Run, Talk
from antiphon.bench.report import Mark

__all__ = ["SOUND"]

_GENERATED = 24  # how far the model counts, to be generated for a while


async def _clear_idle(lab: Lab) -> Verdict:
    """L-13: twice, on a call that has never played anything."""
    async with a_call(lab) as call:
        talk = await call.join()
        seen, codes = [], []
        for _ in range(2):
            mark = len(talk.frames)
            await burst(talk, CLEAR)
            await talk.until(
                lambda m=mark: _replies(talk, m),  # type: ignore[misc]
                patience=late(lab),
            )
            replies = _replies(talk, mark)
            kind = replies[0].kind if replies else ""
            seen.append({"error": "error", "": "silent"}.get(kind, "cleared"))
            codes += [frame.code for frame in replies if frame.kind == "error"]
        value, count = tally(seen)
        as_unknown = (
            codes == [lab.know.seen.get("unknown_code")] * 2 if codes else value == "silent"
        )
        if as_unknown and _unheard_of(lab):
            raise Hidden("hidden by unsupported_events: it gets what an unknown event gets")
        if len(set(seen)) > 1:
            lab.know.unknown("clear_idle", Mark.MIXED, f"{value} {count}", tuple(set(seen)))
            return Verdict(Mark.MIXED, f"First {seen[0]}, then {seen[1]}.")
        code = f" {codes[0]}" if codes else ""
        lab.know.knob("clear_idle", value, f"{count}{code and ':'}{code}")
        told = {"error": f"the error{code}", "silent": "no answer"}.get(
            value, "output_audio_buffer.cleared"
        )
        return Verdict(Mark.SEEN, f"It gets {told}, {count}.")


def _unheard_of(lab: Lab) -> bool:
    """Whether a clear is an unknown event on a plain WebSocket; on a call it may be known."""
    return str(CLEAR["type"]) in (lab.know.value("unsupported_events") or "").split(",")


def _replies(talk: Talk, mark: int) -> list[Frame]:
    return talk.since(mark, "error", "output_audio_buffer.cleared")


async def _media(lab: Lab) -> Verdict:
    """With a peer, as a browser is one."""
    lab.know.seen["media"] = "not tried" if lab.plan.peer is None else "no"
    async with a_call(lab, media=True) as call:
        lab.know.seen["media"] = "yes"
        talk = await call.join()
        run = await played(lab, call, talk, SHORT)
        await talk.until(lambda: playback(talk, "stopped", run), patience=lab.plan.patience + 10)
        assert call.peer is not None, "a call with media has a peer"
        # The sound takes another way than its events.
        heard = await call.peer.heard_ms(late(lab) + lab.plan.patience)
        if not heard:
            raise Inconclusive("its media is connected, and nothing is heard of an answer")
        lab.know.knob("call_media", "webrtc", f"1/1: {heard:.0f} ms of an answer are heard")
        return Verdict(
            Mark.SEEN,
            f"Yes: it is connected, and of an answer {heard:.0f} ms are heard that are no silence.",
        )


async def _playing(lab: Lab) -> Verdict:
    """Whether anything plays, and from when on: to nobody first, then to a peer."""
    told = await _started(lab, media=False)
    lab.know.seen["plays"] = "yes" if told else "no"
    _no_media(lab)
    if told:
        return Verdict(Mark.SEEN, f"It plays although nobody listens. started comes {told}.")
    if lab.know.seen.get("media") == "yes" and (told := await _started(lab, media=True)):
        lab.know.seen["plays"] = "to a peer"
        return Verdict(Mark.SEEN, f"It plays only to a peer. started comes {told} then.")
    raise NotPossible(
        f"needs media: an answer was made, and nothing played within {lab.plan.patience:.0f} s "
        "of its response.done (P-337)"
    )


async def _started(lab: Lab, *, media: bool) -> str:
    """When an answer's sound starts, in words; "" if it does not.

    Raises:
        Inconclusive: it had none.
    """
    async with a_call(lab, media=media) as call:
        talk = await call.join()
        run = await call.begun(talk, numbers=PLAYED)
        await call.done(talk, run)
        words = [frame for frame in run.frames if frame.kind == TRANSCRIPT]
        if not words or run.done is None:
            raise Inconclusive("the answer had no sound")
        await talk.until(lambda: playback(talk, "started", run))
        started = playback(talk, "started", run)
        return _when(lab, run, started[0], words, run.done) if started else ""


def _no_media(lab: Lab) -> None:
    """Judge what plays where no media could be connected.

    On the way to another machine it may be a firewall that keeps it from that.
    """
    name, media = "call_media", lab.know.seen.get("media")
    plays = lab.know.seen["plays"] == "yes"
    if media == "no" and is_loopback(lab.url):
        why = "it plays although nobody listens" if plays else "nothing plays"
        lab.know.knob(name, "virtual" if plays else "none", f"no peer can connect, and {why}")
    elif plays and media != "yes":
        told = "it plays although nobody listens; whether a peer would hear it was not seen"
        lab.know.unknown(name, Mark.INCONCLUSIVE, told, ("virtual", "webrtc"))


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


async def _clear_playing(lab: Lab) -> Verdict:
    """L-14, the second half: an answer that is done."""
    needs_sound(lab)
    async with sounding(lab) as call:
        talk = await call.join()
        run = await played(lab, call, talk, PLAYED)
        mark = len(talk.frames)
        _, passed = await burst(talk, CLEAR)
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
        told += [f"{event.kind} at {event.body.get('audio_end_ms')} ms" for event in cut[:1]]
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

    await talk.until(lambda: all(found()), patience=late(lab))
    if not any(found()):  # the control: what plays on stops in the end
        await talk.until(
            lambda: any(found()) or playback(talk, "stopped", mark=mark),
            patience=lab.plan.patience + 10,
        )
        if playback(talk, "stopped", mark=mark):
            if _unheard_of(lab):
                lab.know.seen["clear"] = "unknown"
                needs_clear(lab)
            raise Inconclusive("the clear did nothing: it played to its end")
    return found()


async def _generating(lab: Lab, call: Call, talk: Talk) -> Run:
    """An answer in mid-generation that plays, or will without anything more.

    Raises:
        Hidden: nothing is read meanwhile.
        Inconclusive: it was over too soon.
    """
    if lab.know.value("reads_while_responding") == "no":
        raise Hidden("hidden by reads_while_responding=no: what is sent waits for the end")
    run = await call.begun(talk, numbers=_GENERATED)
    plays = lab.know.value("output_started") in (None, "first_audio")

    def ready() -> bool:
        if plays:
            return bool(playback(talk, "started", run))
        return sum(frame.kind == TRANSCRIPT for frame in run.frames) > 3

    await talk.until(lambda: run.done or ready(), patience=lab.plan.patience + 10)
    if run.done is not None or not ready():
        raise Inconclusive("the answer was over before it could be stopped")
    return run


async def _cancel_and_clear(lab: Lab) -> Verdict:
    """L-14, the first half: by hand, in mid-speech."""
    needs_sound(lab)
    if lab.know.value("cancel_target") is not None:
        needs_cancel(lab)
    async with sounding(lab) as call:
        talk = await call.join()
        run = await _generating(lab, call, talk)
        mark = len(talk.frames)
        talk.send(talk.fence, lab.cancel(run), CLEAR, talk.fence)
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
    needs_sound(lab)
    needs_clear(lab)
    async with sounding(lab) as call:
        talk = await call.join()
        run = await _generating(lab, call, talk)
        talk.send(talk.fence, CLEAR, talk.fence)
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
        if not more() and not any(frame.kind == TRANSCRIPT for frame in generated):
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


SOUND = call_experiments(
    (
        _clear_idle,
        "What does a clear get when nothing plays?",
        "output_audio_buffer.clear, twice",
        "P-415, L-13",
        "clear_idle",
        0,
    ),
    (
        _media,
        "Can a call's media be held, and an answer be heard?",
        "a browser's offer, and a short answer, aloud",
        "P-330 to P-335, P-400, P-403",
        "call_media",
        600,
    ),
    (
        _playing,
        "Does an answer's sound play to nobody, and when does it start?",
        "an answer that counts to ten, aloud",
        "P-337, P-400 to P-405",
        "call_media output_started output_started_latency_ms",
        600,
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
)
