"""`response.cancel`: what it stops, what it gets, and what comes of what was stopped."""

from collections.abc import Mapping, Sequence

from antiphon.bench.probe.experiments.common import (
    experiments,
    named,
    needs_cancel,
    needs_lanes,
    reply_to,
    spread,
    unsupported,
)
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, Verdict, tally
from antiphon.bench.probe.talk import Frame, Run
from antiphon.bench.report import Mark

__all__ = ["EXPERIMENTS"]

RUNS = 3


async def _cancel_by_id(lab: Lab) -> Verdict:
    """A cancel that names the running response, in the default conversation."""
    if lab.know.value("reads_while_responding") == "no":
        return await _cancel_unread(lab)
    lab.needs_reading()
    stopped, runs, latencies, stragglers = 0, 0, [], []
    for _ in range(RUNS):
        (run,) = await lab.started(lab.create())
        mark = len(lab.talk.frames)
        lab.talk.send(lab.talk.fence, lab.cancel(run), lab.talk.fence)
        after = await lab.talk.passed()
        before = await lab.talk.passed(1)
        if after is None or before is None:
            raise Inconclusive("the fence got no answer")
        if not run.ran_at(before):
            await lab.quiet()
            continue
        runs += 1
        came = [f for f in lab.talk.since(mark) if f.place < after.place]
        if unsupported(came) or reply_to(came) == "response.cancelled":
            return await _not_carried_out(lab, run, came)
        await lab.finished(run)
        if not run.cancelled:
            await lab.quiet()
            continue
        stopped += 1
        assert run.done is not None
        latencies.append(max(0.0, (run.done.at - after.at) * 1000))
        stragglers.append(sum(frame.place > before.place for frame in run.outputs))
        _how_it_ended(lab, run, before)
    if not runs:
        raise Inconclusive(f"0/{RUNS} responses still ran when the cancel was read")
    lab.know.seen["cancel_by_id"] = "stops" if stopped else "nothing"
    if not stopped:
        return Verdict(Mark.SEEN, f"No: 0/{runs} stopped by response.cancel with their id.")
    lab.know.distribution(
        "cancel_latency_ms", latencies, "from the fence behind the cancel to the done"
    )
    middle = sorted(stragglers)[len(stragglers) // 2]
    lab.know.knob("straggler_deltas", str(middle), f"{sorted(stragglers)} after the cancel")
    mark_ = Mark.SEEN if stopped == runs else Mark.MIXED
    return Verdict(
        mark_,
        f"Yes: {stopped}/{runs} stopped, after {spread(latencies)} ms and "
        f"{spread(stragglers)} further pieces of text.",
    )


async def _cancel_unread(lab: Lab) -> Verdict:
    """The server reads the cancel when the response is over: what does it say then?"""
    (run,) = await lab.started(lab.create())
    mark = len(lab.talk.frames)
    lab.talk.send(lab.cancel(run), lab.talk.fence)
    await lab.talk.passed(patience=lab.plan.patience + 6 * lab.long_s)
    reply = reply_to(lab.talk.since(mark))
    lab.know.seen["cancel_by_id"] = reply
    if reply == "response.cancelled":
        lab.know.knob("cancel_target", "nothing", "response.cancelled after the response's own end")
    return Verdict(
        Mark.SEEN,
        f"No: the response ended as {run.status or 'nothing'}, and then the cancel got "
        f"{named(reply)}.",
    )


async def _not_carried_out(lab: Lab, run: Run, came: Sequence[Frame]) -> Verdict:
    reply = "nothing" if reply_to(came) == "response.cancelled" else "unsupported"
    codes = ", ".join(frame.code for frame in came if frame.kind == "error")
    lab.know.knob(
        "cancel_target", reply, f"a cancel with the running response's id got {codes or reply}"
    )
    await lab.quiet()
    lab.know.seen["cancel_by_id"] = reply
    return Verdict(
        Mark.SEEN,
        f"No: response.cancel is answered by {codes or 'response.cancelled'} and stops nothing; "
        f"the response ended as {run.status or 'nothing yet'}.",
    )


def _how_it_ended(lab: Lab, run: Run, before: Frame) -> None:
    know = lab.know
    late = [frame.kind for frame in run.frames if frame.place > before.place]
    opened = any(f.kind == "response.output_item.added" for f in run.frames)
    if opened:
        full = any(
            kind.endswith((".text.done", ".output_text.done", "content_part.done")) for kind in late
        )
        part = "response.output_item.done" in late
        how = "full" if full else "output_item_only" if part else "none"
        know.knob("cancel_close_items", how, "what came between a cancel and its done")
    output = run.resource.get("output")
    if isinstance(output, list):
        held = "partial" if output else "empty"
        know.knob("cancel_output_in_done", held, f"{len(output)} items in response.done.output")
    usage = run.resource.get("usage")
    if usage is None and run.done is not None:
        usage = run.done.body.get("usage")
    if isinstance(usage, Mapping):
        total = usage.get("total_tokens") or 0
        told = "partial" if total else "zeros"
        if not total and know.seen.get("counts_tokens") == "no":
            why = "hidden: a completed response has no tokens in its usage either"
            know.unknown("cancel_usage", Mark.HIDDEN, why, ("partial", "zeros"))
        else:
            know.knob("cancel_usage", told, f"total_tokens {total} in response.done.usage")
    else:
        know.knob("cancel_usage", "null", "no usage in response.done")


async def _cancel_one_of_two(lab: Lab) -> Verdict:
    """P-1: with two beside each other, a cancel by id stops the one it names."""
    lab.needs_reading()
    needs_cancel(lab)
    needs_lanes(lab)
    first, second = await lab.started(lab.create(beside=True), lab.create(beside=True))
    mark = len(lab.talk.frames)
    lab.talk.send(lab.talk.fence, lab.cancel(second), lab.talk.fence)
    after, before = await lab.talk.passed(), await lab.talk.passed(1)
    if before is None or after is None or not (first.ran_at(before) and second.ran_at(before)):
        await lab.quiet()
        raise Inconclusive("a response was over before the cancel was read")
    await lab.talk.until(lambda: bool(first.done or second.done))
    lab.talk.send(lab.talk.fence)
    await lab.talk.passed()
    stopped = second.cancelled and not first.cancelled
    wrong = first.cancelled
    await_errors = len(lab.talk.since(mark, "error"))
    await lab.quiet()
    lab.know.seen["cancel_one_of_two"] = "named" if stopped else "other" if wrong else "nothing"
    if stopped:
        return Verdict(Mark.SEEN, "Yes: it stopped the one it named, and the other ran on.")
    return Verdict(
        Mark.SEEN,
        "No: it stopped the other one."
        if wrong
        else f"No: both ran on, {await_errors} errors came.",
    )


async def _cancel_unknown(lab: Lab) -> Verdict:
    """A cancel that names nothing there is, while another response runs; and a finished one."""
    finished = next((run for run in lab.talk.runs.values() if run.done is not None), None)
    ended = finished.id if finished is not None else "resp_antiphonProbeUnknown"
    if lab.know.value("reads_while_responding") == "no":
        mark, passed = await lab.burst(lab.cancel(response_id="resp_antiphonProbeUnknown"))
        reply = reply_to([f for f in lab.talk.since(mark) if f.place < passed.place])
        return Verdict(Mark.SEEN, f"When nothing runs it gets {named(reply)}.")
    lab.needs_reading()
    needs_cancel(lab)
    (run,) = await lab.started(lab.create())
    mark = len(lab.talk.frames)
    fence = lab.talk.fence
    lab.talk.send(fence, lab.cancel(response_id="resp_antiphonProbeUnknown"), fence)
    after, before = await lab.talk.passed(), await lab.talk.passed(1)
    if before is None or after is None or not run.ran_at(before):
        await lab.quiet()
        raise Inconclusive("the response was over before the cancel was read")
    unknown = reply_to([f for f in lab.talk.since(mark) if f.place < after.place])
    await lab.talk.until(lambda: run.done is not None, patience=lab.cancel_s)
    if run.cancelled:
        lab.know.knob("cancel_target", "ignores_id", "a cancel with an unknown id stopped what ran")
        lab.know.unknown(
            "cancel_unknown_or_finished_id", Mark.HIDDEN, "hidden by cancel_target=ignores_id"
        )
        return Verdict(
            Mark.SEEN, "It stops the response that runs: the id in a cancel counts for nothing."
        )
    mark = len(lab.talk.frames)
    lab.talk.send(lab.cancel(response_id=ended), fence)
    passed_again = await lab.talk.passed()
    end = passed_again.place if passed_again is not None else len(lab.talk.frames)
    done = reply_to([f for f in lab.talk.since(mark) if f.place < end])
    await lab.quiet()
    lab.know.seen["cancel_unknown"] = unknown
    if unknown == done:
        lab.know.knob(
            "cancel_unknown_or_finished_id", unknown, "an unknown and a finished id, 1/1 each"
        )
    else:
        lab.know.unknown(
            "cancel_unknown_or_finished_id",
            Mark.MIXED,
            f"an unknown id gets {named(unknown)}, a finished one {named(done)}",
            (unknown, done),
        )
    return Verdict(
        Mark.SEEN if unknown == done else Mark.MIXED,
        f"An unknown id gets {named(unknown)}, a finished one {named(done)}; what ran was left "
        "alone.",
    )


async def _cancel_twice(lab: Lab) -> Verdict:
    """Two cancels of one response in one write."""
    lab.needs_reading()
    needs_cancel(lab)
    replies: list[str] = []
    for _ in range(RUNS):
        (run,) = await lab.started(lab.create())
        mark = len(lab.talk.frames)
        lab.talk.send(lab.talk.fence, lab.cancel(run), lab.cancel(run), lab.talk.fence)
        after, before = await lab.talk.passed(), await lab.talk.passed(1)
        if before is None or after is None or not run.ran_at(before):
            await lab.quiet()
            continue
        await lab.finished(run)
        if run.done is None or not run.cancelled:
            await lab.quiet()
            continue
        errors = [f for f in lab.talk.since(mark, "error") if f.place < after.place]
        if run.done.place < after.place and not errors:
            replies.append("over")
        elif errors and run.done.place < errors[0].place:
            replies.append("over")
        else:
            replies.append("error" if errors else "silent")
        await lab.quiet()
    known = [reply for reply in replies if reply != "over"]
    if not replies:
        raise Inconclusive("no response could be cancelled in mid-output")
    if not known:
        raise Hidden(
            "hidden by cancel_latency_ms=0: the response is done before the second is read"
        )
    value, count = tally(known)
    mark_ = Mark.SEEN if len(set(known)) == 1 else Mark.MIXED
    lab.know.knob("cancel_repeat_before_done", value, f"{count} pairs in one write", mark=mark_)
    return Verdict(mark_, f"The second gets {named(value)}, {count}.")


async def _cancel_before_created(lab: Lab) -> Verdict:
    """Create and cancel in one write."""
    latencies: list[float] = []
    ends: list[str] = []
    at_once = 0
    for _ in range(RUNS):
        await lab.quiet()
        mark = len(lab.talk.frames)
        lab.talk.send(lab.talk.fence, lab.create(40), lab.talk.fence)
        after, before = await lab.talk.passed(), await lab.talk.passed(1)
        await lab.talk.until(lambda m=mark: lab.talk.runs_since(m), patience=lab.plan.patience + 10)  # type: ignore[misc]
        runs = lab.talk.runs_since(mark)
        if before is None or after is None or not runs:
            raise Inconclusive("the response was not created")
        at_once += runs[0].created.place < after.place
        latencies.append((runs[0].created.at - before.at) * 1000)
        await lab.finished(runs[0], patience=lab.plan.patience + 30)
    lab.know.distribution(
        "created_latency_ms",
        [0.0] * RUNS if at_once * 2 > RUNS else latencies,
        "from the fence before the create to its created",
    )
    if at_once * 2 > RUNS:
        lab.know.unknown(
            "cancel_before_created",
            Mark.HIDDEN,
            "hidden by created_latency_ms=0: nothing can come between",
        )
        raise Hidden(
            f"hidden by created_latency_ms=0: {at_once}/{RUNS} responses were created before "
            "anything sent behind their create was read"
        )
    needs_cancel(lab)
    for _ in range(RUNS):
        mark = len(lab.talk.frames)
        lab.talk.send(lab.create(40), lab.cancel(), lab.talk.fence)
        passed = await lab.talk.passed()
        await lab.talk.until(
            lambda m=mark: any(run.done for run in lab.talk.runs_since(m)),  # type: ignore[misc]
            patience=lab.plan.patience + 30,
        )
        runs = lab.talk.runs_since(mark)
        if passed is None or not runs or runs[0].done is None:
            raise Inconclusive("the response did not end")
        ends.append("cancels" if runs[0].cancelled else "no_effect")
    value, count = tally(ends)
    mark_ = Mark.SEEN if len(set(ends)) == 1 else Mark.MIXED
    lab.know.knob(
        "cancel_before_created", value, f"{count} creates with a cancel behind", mark=mark_
    )
    return Verdict(
        mark_,
        f"It {'stops the response' if value == 'cancels' else 'does nothing to it'}, {count}; "
        f"response.created comes after {spread(latencies)} ms.",
    )


async def _cancel_in_a_call(lab: Lab) -> Verdict:
    """A cancel while the arguments of a function call stream."""
    lab.needs_reading()
    needs_cancel(lab)
    text = " ".join(f"This is sentence number {n}." for n in range(1, 41))
    tool = {
        "type": "function",
        "name": "write_down",
        "description": "Write a text down, word for word.",
        "parameters": {
            "type": "object",
            "properties": {"text": {"type": "string"}},
            "required": ["text"],
        },
    }
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    create = lab.create(
        say="Call write_down with the whole text of the user's message, word for word.",
        limit=1000,
        tools=[tool],
        tool_choice="required",
        input=[item],
    )
    (run,) = await lab.started(create)
    if not any(f.kind == "response.function_call_arguments.delta" for f in run.frames):
        await lab.quiet()
        raise Inconclusive("the model streamed no function call")
    lab.talk.send(lab.talk.fence, lab.cancel(run), lab.talk.fence)
    after, before = await lab.talk.passed(), await lab.talk.passed(1)
    if before is None or after is None or not run.ran_at(before):
        await lab.quiet()
        raise Inconclusive("the call was complete before the cancel was read")
    await lab.finished(run)
    if not run.cancelled:
        await lab.quiet()
        raise Inconclusive("the cancel did not stop it")
    done = [f for f in run.frames if f.kind == "response.function_call_arguments.done"]
    how = lab.know.value("cancel_close_items")
    if not done and how in ("none", "output_item_only"):
        lab.know.unknown("cancel_function_args", Mark.HIDDEN, f"hidden by cancel_close_items={how}")
        raise Hidden(f"hidden by cancel_close_items={how}: no done of any content comes")
    value = "partial" if done else "none"
    lab.know.knob("cancel_function_args", value, "1/1 call cut in mid-arguments")
    return Verdict(
        Mark.SEEN,
        "The cut call gets function_call_arguments.done with what there was of its arguments."
        if done
        else "The cut call gets no function_call_arguments.done.",
    )


async def _cancelled_stays(lab: Lab) -> Verdict:
    """Whether what a cancelled response had said is still in the conversation."""
    lab.needs_reading()
    needs_cancel(lab)
    whole = next((_item_of(run) for run in lab.talk.runs.values() if run.status == "completed"), "")
    (run,) = await lab.started(lab.create())
    lab.talk.send(lab.cancel(run))
    await lab.finished(run)
    if not run.cancelled:
        await lab.quiet()
        raise Inconclusive("the cancel did not stop it")
    item = _item_of(run)
    if not item:
        raise Inconclusive("the cancelled response had no item yet")
    control, _ = await _retrieved(lab, whole) if whole else (False, "")
    if whole and not control:
        lab.know.unknown(
            "cancelled_items",
            Mark.HIDDEN,
            "hidden: conversation.item.retrieve finds no item at all",
        )
        raise Hidden(
            "hidden: conversation.item.retrieve finds not even an item of a completed response"
        )
    kept, told = await _retrieved(lab, item)
    lab.know.knob("cancelled_items", "kept" if kept else "removed", f"retrieve gets {told}")
    return Verdict(
        Mark.SEEN,
        "It stays: conversation.item.retrieve returns it."
        if kept
        else f"It is gone: conversation.item.retrieve gets {told}.",
    )


def _item_of(run: Run) -> str:
    for frame in run.frames:
        if frame.kind == "response.output_item.added":
            return str(frame.item.get("id") or "")
    return ""


async def _retrieved(lab: Lab, item_id: str) -> tuple[bool, str]:
    mark, passed = await lab.burst({"type": "conversation.item.retrieve", "item_id": item_id})
    found = [f for f in lab.talk.since(mark) if f.place < passed.place]
    kinds = [f.kind for f in found]
    codes = [f.code for f in found if f.kind == "error"]
    return "conversation.item.retrieved" in kinds, codes[0] if codes else "no answer"


EXPERIMENTS = experiments(
    "Cancelling",
    (
        _cancel_by_id,
        "Does a cancel by id stop its response?",
        "a long response, and response.cancel with its id between two fences; three times",
        "P-1, P-16, P-60 to P-71, L-1; #5564",
        (
            "cancel_target cancel_latency_ms straggler_deltas cancel_close_items cancel_usage"
            " cancel_output_in_done"
        ),
        1200,
    ),
    (
        _cancel_unknown,
        "What does a cancel of an unknown or a finished response do?",
        "a long response, and response.cancel with an id of none, then with a finished one's",
        "P-10, P-293, P-304, L-5",
        "cancel_target cancel_unknown_or_finished_id",
        400,
    ),
    (
        _cancel_one_of_two,
        "With two beside each other, does a cancel by id stop the one it names?",
        "two long responses out of band, and response.cancel with the second's id",
        "P-1; #5564",
        "",
        800,
    ),
    (
        _cancel_twice,
        "What does a second cancel of the same response get?",
        "a long response, and two response.cancel with its id in one write; three times",
        "P-11, L-5",
        "cancel_repeat_before_done",
        1200,
    ),
    (
        _cancel_before_created,
        "What does a cancel do that comes before response.created?",
        "response.create and response.cancel in one write; three times",
        "P-12, P-13",
        "created_latency_ms cancel_before_created",
        2400,
    ),
    (
        _cancel_in_a_call,
        "What becomes of a function call that is cut?",
        "a response that calls a function with a long text, and response.cancel in its middle",
        "P-60, P-61, L-2",
        "cancel_function_args",
        1000,
    ),
    (
        _cancelled_stays,
        "Does what a cancelled response had said stay?",
        "a long response, its cancel, and conversation.item.retrieve of its item",
        "P-68, P-307",
        "cancelled_items",
        400,
    ),
)
