"""`response.cancel` without an id, in each situation in which it may mean something else."""

from antiphon.bench.probe.experiments.common import (
    experiments,
    named,
    needs_cancel,
    needs_lanes,
    reply_to,
)
from antiphon.bench.probe.lab import Inconclusive, Lab, Verdict
from antiphon.bench.probe.talk import Run
from antiphon.bench.report import Mark

__all__ = ["EXPERIMENTS"]


async def _bare(lab: Lab, *beside: bool) -> tuple[list[Run], list[str], str]:
    """Start responses, send a cancel without an id, and see which of them it stops.

    Returns:
        The responses, for each "stopped" or "ran on", and the reply.
    """
    lab.needs_reading()
    needs_cancel(lab)
    if len(beside) > 1:
        needs_lanes(lab)
    runs = await lab.started(*[lab.create(beside=aside) for aside in beside])
    mark = len(lab.talk.frames)
    lab.talk.send(lab.talk.fence, lab.cancel(), lab.talk.fence)
    after, before = await lab.talk.passed(), await lab.talk.passed(1)
    if after is None or before is None:
        raise Inconclusive("the fence got no answer")
    if not all(run.ran_at(before) for run in runs):
        await lab.quiet()
        raise Inconclusive("a response was over before the cancel was read")
    reply = reply_to([f for f in lab.talk.since(mark) if f.place < after.place])
    # What is to stop has a while for it; whatever is left is stopped by its id, or ends by itself.
    await lab.talk.until(lambda: any(run.cancelled for run in runs), patience=lab.cancel_s)
    hit = [run for run in runs if run.done is not None]
    marks = ["stopped" if run in hit and run.cancelled else "ran on" for run in runs]
    if hit and len(hit) < len(runs):  # a control: the other one still runs
        lab.talk.send(lab.talk.fence)
        await lab.talk.passed()
        marks = ["stopped" if run.cancelled else "ran on" for run in runs]
    await lab.quiet()
    return runs, marks, reply


async def _bare_beside_two(lab: Lab) -> Verdict:
    return await _bare_verdict(lab, "bare_two", (True, True))


async def _bare_beside_one(lab: Lab) -> Verdict:
    return await _bare_verdict(lab, "bare_one_beside", (True,))


async def _bare_default(lab: Lab) -> Verdict:
    return await _bare_verdict(lab, "bare_default", (False,))


async def _bare_default_and_beside(lab: Lab) -> Verdict:
    return await _bare_verdict(lab, "bare_mixed", (False, True))


async def _bare_verdict(lab: Lab, name: str, beside: tuple[bool, ...]) -> Verdict:
    runs, marks, reply = await _bare(lab, *beside)
    told = [
        f"the {'one beside' if one else 'one in the default conversation'} {mark}"
        for one, mark in zip(beside, marks, strict=True)
    ]
    if name == "bare_mixed":
        lab.know.seen[name] = {
            ("stopped", "ran on"): "default",
            ("ran on", "stopped"): "beside",
            ("ran on", "ran on"): "nothing",
            ("stopped", "stopped"): "all",
        }[(marks[0], marks[1])]
    else:
        stopped = marks.count("stopped")
        lab.know.seen[name] = "nothing" if not stopped else "one" if stopped == 1 else "all"
    lab.know.seen[f"{name}_reply"] = reply
    stopped = marks.count("stopped")
    return Verdict(
        Mark.SEEN,
        f"It stopped {stopped} of {len(runs)} ({'; '.join(told)}) and got {named(reply)}. "
        "All were in progress when it was read.",
    )


async def _bare_idle(lab: Lab) -> Verdict:
    """A cancel without an id when nothing runs; and the response after it."""
    await lab.quiet()
    mark, passed = await lab.burst(lab.cancel())
    reply = reply_to([f for f in lab.talk.since(mark) if f.place < passed.place])
    lab.know.seen["bare_idle"] = reply
    errors = lab.talk.since(mark, "error")
    # The next response is the control: does the cancel wait for it?
    mark = len(lab.talk.frames)
    lab.talk.send(lab.create(40))
    await lab.talk.until(
        lambda: any(run.done for run in lab.talk.runs_since(mark)),
        patience=lab.plan.patience + 30,
    )
    runs = lab.talk.runs_since(mark)
    if not runs or runs[0].done is None:
        await lab.quiet()
        raise Inconclusive("the response after it did not end")
    lab.know.seen["bare_next"] = "stopped" if runs[0].cancelled else "ran on"
    code = f" ({errors[0].code})" if errors and reply == "other_code" else ""
    return Verdict(
        Mark.SEEN,
        f"It gets {named(reply)}{code}. The response created after it "
        + ("was cancelled by it." if runs[0].cancelled else f"ended as {runs[0].status}."),
    )


EXPERIMENTS = experiments(
    "Cancelling without an id",
    (
        _bare_beside_two,
        "What does a cancel without id stop, of two beside the conversation?",
        "two long responses out of band, and response.cancel without response_id",
        "P-3, P-4, P-9, L-3; #5564",
        "cancel_no_id_scope cancel_no_match_reply",
        2400,
    ),
    (
        _bare_beside_one,
        "And of one beside the conversation?",
        "one long response out of band, and response.cancel without response_id",
        "P-3, P-4, P-9; #5564",
        "cancel_no_id_scope",
        1200,
    ),
    (
        _bare_default,
        "And of one in the conversation?",
        "one long response, and response.cancel without response_id",
        "P-2, P-4; #5564",
        "cancel_no_id_scope",
        600,
    ),
    (
        _bare_default_and_beside,
        "And of one in the conversation and one beside it?",
        "both, and response.cancel without response_id",
        "P-2, P-5, L-4",
        "cancel_no_id_scope",
        1600,
    ),
    (
        _bare_idle,
        "What does a cancel get when nothing runs, and what of the next response?",
        "response.cancel without response_id; then a response",
        "P-6, P-13, P-15",
        "cancel_no_match_reply cancel_no_id_scope",
        400,
    ),
)
