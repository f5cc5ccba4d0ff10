"""Several responses at once: who gets a place, and what the others get."""

import asyncio

from antiphon.bench.probe.experiments.common import experiments, spread
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.talk import Frame
from antiphon.bench.report import Mark

__all__ = ["EXPERIMENTS"]

RUNS = 3
AT_ONCE = 20
_STEP_S = 0.01  # between two tries to get a place


async def _two_in_the_conversation(lab: Lab) -> Verdict:
    """A second default response while one runs."""
    if lab.know.value("reads_while_responding") == "no":
        lab.know.unknown(
            "create_when_busy", Mark.HIDDEN, "hidden by reads_while_responding=no: it waits unread"
        )
    lab.needs_reading()
    know = lab.know
    (first,) = await lab.started(lab.create())
    mark = len(lab.talk.frames)
    lab.talk.send(lab.talk.fence, lab.create(40), lab.talk.fence)
    after, before = await lab.talk.passed(), await lab.talk.passed(1)
    if before is None or after is None or not first.ran_at(before):
        await lab.quiet()
        raise Inconclusive("the first response was over before the second was asked for")
    errors = lab.talk.since(mark, "error")
    if errors:
        know.knob("create_when_busy", "error", f"a second response.create got {errors[0].code}")
        form = _form(lab, errors[0], first.id)
        know.unknown("superseded_done", Mark.HIDDEN, "hidden by create_when_busy=error")
        await lab.quiet()
        return Verdict(Mark.SEEN, f"It is refused: {errors[0].code} ({form}).")
    # Neither refused nor done: either the first one is stopped for it, or it waits.
    await lab.talk.until(
        lambda: first.done is not None or lab.talk.runs_since(mark),
        patience=lab.plan.patience + 6 * lab.long_s,
    )
    seconds = lab.talk.runs_since(mark)
    know.unknown("active_error_form", Mark.HIDDEN, "hidden: a second create is not refused")
    if first.status == "completed" and (
        not seconds or (first.done is not None and seconds[0].created.place > first.done.place)
    ):
        know.knob("create_when_busy", "queue", "the second began after the first was completed")
        know.unknown("superseded_done", Mark.HIDDEN, "hidden by create_when_busy=queue")
        await lab.quiet()
        return Verdict(Mark.SEEN, "It waits: it began when the first was completed.")
    if not seconds:
        await lab.quiet()
        raise Inconclusive("the second response neither began nor was refused")
    # Both at once, or the first one stopped? More output of the first would tell.
    lab.talk.send(lab.talk.fence)
    passed = await lab.talk.passed()
    await lab.finished(seconds[0], patience=lab.plan.patience + 30)
    end = passed.place if passed is not None else len(lab.talk.frames)
    if first.done is None or first.cancelled:
        if not any(frame.place > end for frame in first.outputs):
            sent = "sent" if first.done is not None else "omitted"
            know.knob(
                "create_when_busy", "supersede", "the second began, and the first fell silent"
            )
            know.knob("superseded_done", sent, f"the first one's response.done was {sent}")
            lab.talk.runs[first.id].done = first.done or first.frames[-1]
            await lab.quiet()
            told = "with" if sent == "sent" else "without"
            return Verdict(
                Mark.SEEN, f"It takes the first one's place, {told} a response.done for it."
            )
    know.unknown("create_when_busy", Mark.MIXED, "two responses of the conversation ran at once")
    await lab.quiet()
    return Verdict(Mark.MIXED, "Both ran at once in one conversation.")


def _form(lab: Lab, frame: Frame, blocker: str) -> str:
    error = frame.error
    code, message = error.get("code"), str(error.get("message"))
    if blocker in message:
        form, told = "with_id", "its message names the response in the way"
    elif code:
        form, told = "short", "its message names no response"
    elif error.get("type") == "conversation_already_has_active_response":
        form, told = "short", "code null, the code stands in type"
    else:
        form, told = "code_null", "code null"
    lab.know.knob("active_error_form", form, told)
    return told


async def _one_beside_the_conversation(lab: Lab) -> Verdict:
    """An out-of-band response while a default one runs."""
    know, seen = lab.know, lab.know.seen
    if seen.get("beside_id") == "refused":
        for name in ("out_of_band", "oob_emits_conversation_items"):
            know.unknown(name, Mark.HIDDEN, "hidden by max_parallel_oob=0")
        raise Hidden("hidden by max_parallel_oob=0: none is taken, not even alone")
    if seen.get("beside_id") == "named" or (
        seen.get("beside_id") == "absent" and seen.get("beside_items") == "yes"
    ):
        know.knob("out_of_band", "ignored", 'conversation "none" ran in the conversation, 1/1')
        know.unknown("oob_emits_conversation_items", Mark.HIDDEN, "hidden by out_of_band=ignored")
        know.unknown("max_parallel_oob", Mark.HIDDEN, "hidden by out_of_band=ignored")
        raise Hidden("hidden by out_of_band=ignored: nothing runs beside the conversation")
    lab.needs_reading()
    (first,) = await lab.started(lab.create())
    mark = len(lab.talk.frames)
    lab.talk.send(lab.talk.fence, lab.create(40, beside=True), lab.talk.fence)
    after, before = await lab.talk.passed(), await lab.talk.passed(1)
    if before is None or after is None or not first.ran_at(before):
        await lab.quiet()
        raise Inconclusive("the first response was over before the second was asked for")
    await lab.talk.until(
        lambda: lab.talk.runs_since(mark) or lab.talk.since(mark, "error") or first.done,
        patience=lab.plan.patience + 6 * lab.long_s,
    )
    errors, runs = lab.talk.since(mark, "error"), lab.talk.runs_since(mark)
    if runs and first.ran_at(runs[0].created):
        lab.talk.send(lab.talk.fence)
        passed = await lab.talk.passed()
        both = passed is not None and (first.ran_at(passed) or first.status == "completed")
        await lab.quiet()
        if both:
            know.knob("out_of_band", "separate", "one beside the other, 1/1")
            items = seen.get("beside_items", "no")
            know.knob("oob_emits_conversation_items", items, "the lone response beside")
            return Verdict(
                Mark.SEEN, "Both ran: a response beside the conversation has a place of its own."
            )
    await lab.quiet()
    what = f"refused with {errors[0].code}" if errors else "made to wait, or took the other's place"
    know.knob("out_of_band", "shared_slot", f"while another ran it was {what}")
    items = seen.get("beside_items", "no")
    know.knob("oob_emits_conversation_items", items, "the lone response beside")
    know.unknown("max_parallel_oob", Mark.HIDDEN, "hidden by out_of_band=shared_slot")
    return Verdict(Mark.SEEN, f"No: while a response of the conversation ran, it was {what}.")


async def _twenty_beside(lab: Lab) -> Verdict:
    """Many out-of-band responses in one write."""
    place = lab.know.value("out_of_band")
    if place in ("shared_slot", "ignored"):
        raise Hidden(f"hidden by out_of_band={place}: there is never more than one response")
    if lab.know.value("max_parallel_oob") == "0":
        raise NotPossible("none is taken, not even alone")
    lab.needs_reading()
    mark = len(lab.talk.frames)
    creates = [lab.create(60, beside=True, limit=60) for _ in range(AT_ONCE)]
    lab.talk.send(*creates, lab.talk.fence)
    passed = await lab.talk.passed()

    def answered() -> bool:
        refused = len(lab.talk.since(mark, "error"))
        return len(lab.talk.runs_since(mark)) + refused >= AT_ONCE

    await lab.talk.until(answered, patience=lab.plan.patience + 20)
    runs, errors = lab.talk.runs_since(mark), lab.talk.since(mark, "error")
    if passed is None or len(runs) + len(errors) < AT_ONCE:
        await lab.quiet()
        raise Inconclusive(f"{len(runs)} created and {len(errors)} refused of {AT_ONCE}")
    await lab.quiet()
    if not errors:
        lab.know.knob("max_parallel_oob", "none", f"{AT_ONCE}/{AT_ONCE} created at once")
        return Verdict(Mark.SEEN, f"{len(runs)} of {AT_ONCE} were created; no limit up to there.")
    if any(run.done is not None and run.done.place < passed.place for run in runs):
        raise Inconclusive("some were over before all had been asked for")
    limit = AT_ONCE - sum(frame.place < passed.place for frame in errors)
    lab.know.knob("max_parallel_oob", str(limit), f"then {errors[0].code}")
    return Verdict(Mark.SEEN, f"{limit} ran at once; the next was refused with {errors[0].code}.")


async def _after_done(lab: Lab) -> Verdict:
    """A create at once when response.done has come."""
    know = lab.know
    waits: list[float] = []
    for _ in range(RUNS):
        await lab.quiet()
        (run,) = await lab.started(lab.create(40), output=False)
        await lab.finished(run, patience=lab.plan.patience + 30)
        if run.done is None:
            raise Inconclusive("the first response did not end")
        waits.append(await _until_taken(lab, run.done))
    if know.value("create_when_busy") in ("queue", "supersede"):
        why = f"hidden by create_when_busy={know.value('create_when_busy')}: nothing is refused"
        know.unknown("slot_free_at", Mark.HIDDEN, why)
        raise Hidden(why)
    if know.value("create_when_busy") is None:
        raise Inconclusive("it is not known what a create gets while the lane is taken")
    if max(waits) <= 0:
        know.knob("slot_free_at", "0", f"{RUNS}/{RUNS} creates sent on response.done were taken")
        return Verdict(Mark.SEEN, f"Yes: {RUNS}/{RUNS} creates sent on response.done were taken.")
    know.distribution("slot_free_at", waits, "from response.done to a create that is taken")
    return Verdict(
        Mark.SEEN, f"Not at once: a create is taken {spread(waits)} ms after response.done."
    )


async def _until_taken(lab: Lab, done: Frame) -> float:
    """Milliseconds after a done at which a create is taken; 0 if the first one is."""
    began = done.at
    for attempt in range(200):
        mark = len(lab.talk.frames)
        (sent,) = lab.talk.send(lab.create(40))
        await lab.talk.until(
            lambda m=mark: lab.talk.runs_since(m) or lab.talk.since(m, "error"),  # type: ignore[misc]
            patience=lab.plan.patience + 10,
        )
        if lab.talk.runs_since(mark):
            return 0.0 if not attempt else (sent.at - began) * 1000
        if not lab.talk.since(mark, "error"):
            break
        await asyncio.sleep(_STEP_S)
    raise Inconclusive("no create was taken after response.done")


async def _cancel_and_create(lab: Lab) -> Verdict:
    """A cancel and a new create in one write."""
    lab.needs_reading()
    know = lab.know
    target = know.value("cancel_target")
    if target in ("unsupported", "nothing"):
        raise Hidden(f"hidden by cancel_target={target}: no cancel stops anything")
    orders: list[str] = []
    refused = 0
    for _ in range(RUNS):
        (first,) = await lab.started(lab.create())
        mark = len(lab.talk.frames)
        lab.talk.send(lab.talk.fence, lab.cancel(first), lab.create(40), lab.talk.fence)
        after, before = await lab.talk.passed(), await lab.talk.passed(1)
        if before is None or after is None or not first.ran_at(before):
            await lab.quiet()
            continue
        await lab.talk.until(
            lambda m=mark: lab.talk.runs_since(m) or lab.talk.since(m, "error"),  # type: ignore[misc]
            patience=lab.plan.patience + 10,
        )
        await lab.finished(first)
        errors, seconds = lab.talk.since(mark, "error"), lab.talk.runs_since(mark)
        if first.done is not None and seconds:
            if first.done.place < after.place and seconds[0].created.place > first.done.place:
                orders.append("at once")
            else:
                early = seconds[0].created.place < first.done.place
                orders.append("created_first" if early else "done_first")
        elif errors and first.done is not None:
            refused += 1
            orders.append("done_first")
        await lab.quiet()
    if not orders:
        raise Inconclusive("no response could be cancelled in mid-output")
    known = [order for order in orders if order != "at once"]
    if not known and know.value("create_when_busy") != "supersede":
        know.unknown(
            "old_done_vs_new_created",
            Mark.HIDDEN,
            "hidden by cancel_latency_ms=0: the old one is done at once",
        )
        raise Hidden(
            "hidden by cancel_latency_ms=0: the old response is done before the create is read"
        )
    value = max(known or ["done_first"], key=(known or ["done_first"]).count)
    count = f"{(known or orders).count(value) or len(orders)}/{len(orders)}"
    know.knob("old_done_vs_new_created", value, f"{count} cancels with a create behind")
    if refused:
        return Verdict(
            Mark.SEEN,
            f"No: {refused}/{len(orders)} were refused; the place is held until response.done.",
        )
    order = "before" if value == "created_first" else "after"
    return Verdict(
        Mark.SEEN, f"Yes, and its response.created comes {order} the old one's done, {count}."
    )


EXPERIMENTS = experiments(
    "Several at once",
    (
        _two_in_the_conversation,
        "What does a second response in the conversation get?",
        "a long response, and another response.create between two fences",
        "P-42 to P-46, P-303, P-309",
        "create_when_busy active_error_form superseded_done",
        1000,
    ),
    (
        _one_beside_the_conversation,
        "Does a response beside the conversation run while one runs in it?",
        'a long response, and another with conversation "none" between two fences',
        "P-30, P-35, P-305, P-306",
        "out_of_band oob_emits_conversation_items",
        1000,
    ),
    (
        _twenty_beside,
        "How many run beside the conversation at once?",
        "twenty responses out of band in one write, sixty tokens each",
        "P-40, L-6",
        "max_parallel_oob",
        1200,
    ),
    (
        _after_done,
        "Is the next response taken at once after response.done?",
        "a response, and response.create when its done has come; three times",
        "P-45, P-47, L-11",
        "slot_free_at",
        2400,
    ),
    (
        _cancel_and_create,
        "Is a create right behind a cancel taken?",
        "a long response; its cancel and a response.create in one write; three times",
        "P-45, P-66",
        "old_done_vs_new_created",
        2400,
    ),
)
