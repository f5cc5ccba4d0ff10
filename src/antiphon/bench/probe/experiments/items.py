"""Items: when they are added, how they are closed and cut."""

from antiphon.bench.probe.experiments.common import experiments
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Run
from antiphon.bench.report import Mark

__all__ = ["EXPERIMENTS"]

LOOK_UP: Json = {
    "type": "function",
    "name": "look_up",
    "description": "Look an order up.",
    "parameters": {"type": "object", "properties": {}, "required": []},
}


async def _item_in_mid_response(lab: Lab) -> Verdict:
    """A client's item while a default response runs."""
    lab.needs_reading()
    (run,) = await lab.started(lab.create())
    content = [{"type": "input_text", "text": "Something in between."}]
    item = {"type": "message", "role": "user", "content": content}
    mark, passed = await lab.burst({"type": "conversation.item.create", "item": item})
    if not run.ran_at(passed):
        await lab.quiet()
        raise Inconclusive("the response was over before the item was read")
    kinds = ("conversation.item.added", "conversation.item.created", "conversation.item.done")

    def of_user() -> list[int]:
        return [
            frame.place
            for frame in lab.talk.since(mark, *kinds)
            if frame.item.get("role") == "user"
        ]

    at_once = any(place < passed.place for place in of_user())
    await lab.quiet()
    if not at_once and not of_user():
        raise Inconclusive("the item was not announced, neither in mid-response nor after it")
    value = "at_once" if at_once else "after_done"
    lab.know.knob("items_during_response", value, "1/1 item in mid-response")
    return Verdict(
        Mark.SEEN, "It is added at once." if at_once else "It is added when the response is over."
    )


async def _done(lab: Lab, create: Json, *, patience: float = 30) -> Run:
    mark = len(lab.talk.frames)
    lab.talk.send(create)
    await lab.talk.until(
        lambda: any(run.done for run in lab.talk.runs_since(mark)) or _refused(lab, mark),
        patience=lab.plan.patience + patience,
    )
    runs = lab.talk.runs_since(mark)
    if not runs or runs[0].done is None:
        errors = lab.talk.since(mark, "error")
        raise Inconclusive(f"refused with {errors[0].code}" if errors else "no answer came")
    return runs[0]


def _refused(lab: Lab, mark: int) -> bool:
    return bool(lab.talk.since(mark, "error")) and not lab.talk.runs_since(mark)


async def _call_without_output(lab: Lab) -> Verdict:
    """A response while a function call has no output yet."""
    create = lab.create(
        say="Call the function look_up.", limit=200, tools=[LOOK_UP], tool_choice="required"
    )
    run = await _done(lab, create)
    call = next((item for item in _outputs(run) if item.get("type") == "function_call"), None)
    if call is None:
        raise NotPossible("the model called no function")
    mark = len(lab.talk.frames)
    lab.talk.send(lab.create(40))
    await lab.talk.until(
        lambda: lab.talk.since(mark, "error") or lab.talk.runs_since(mark),
        patience=lab.plan.patience + 10,
    )
    errors, runs = lab.talk.since(mark, "error"), lab.talk.runs_since(mark)
    await lab.talk.until(lambda: not lab.talk.running, patience=lab.plan.patience + 20)
    await lab.quiet()
    if runs:
        lab.know.knob("pending_call", "accepted", "1/1 response created with a call unanswered")
        return Verdict(Mark.SEEN, "It is taken.")
    if not errors:
        raise Inconclusive("the response was neither created nor refused")
    lab.know.knob("pending_call", "error", f"refused with {errors[0].code}")
    return Verdict(Mark.SEEN, f"It is refused: {errors[0].code}.")


def _outputs(run: Run) -> list[Json]:
    output = run.resource.get("output")
    found = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    done = (frame.item for frame in run.frames if frame.kind == "response.output_item.done")
    return [*found, *(item for item in done if item)]


async def _two_items(lab: Lab) -> Verdict:
    """How the items of one response are closed."""
    create = lab.create(
        say='First say "One moment", then call the function look_up, in the same response.',
        limit=300,
        tools=[LOOK_UP],
    )
    run = await _done(lab, create)
    added = [f for f in run.frames if f.kind == "response.output_item.added"]
    done = [f for f in run.frames if f.kind == "response.output_item.done"]
    if len(added) < 2 or not done:
        raise Inconclusive(f"the model made {len(added)} item, and two are needed")
    each = done[0].place < added[1].place
    value = "item_by_item" if each else "batched"
    lab.know.knob("multi_item_done_order", value, f"1/1 response with {len(added)} items")
    return Verdict(
        Mark.SEEN,
        "Each is closed before the next is opened."
        if each
        else "They are closed together at the end.",
    )


async def _truncate(lab: Lab) -> Verdict:
    """A truncate of what was said aloud."""
    run = await _done(
        lab, lab.create(say='Say exactly: "Good morning to you all."', audio=True, limit=200)
    )
    heard = sum(
        len(str(frame.body.get("delta", ""))) * 3 // 4
        for frame in run.outputs
        if frame.kind == "response.output_audio.delta"
    )
    item = next(
        (output.get("id") for output in _outputs(run) if output.get("type") == "message"), None
    )
    if item is None:
        raise NotPossible("the response has no message that could be truncated")
    event: Json = {
        "type": "conversation.item.truncate",
        "item_id": item,
        "content_index": 0,
        "audio_end_ms": 100,
    }
    mark, passed = await lab.burst(event)
    came = [frame for frame in lab.talk.since(mark) if frame.place < passed.place]
    errors = [frame for frame in came if frame.kind == "error"]
    if any(frame.kind == "conversation.item.truncated" for frame in came):
        value, told = "acknowledged", "conversation.item.truncated comes"
    elif errors:
        value, told = "unsupported", f"it gets an error, {errors[0].code}"
    else:
        value, told = "silent", "it gets no answer"
    if not heard and value == "unsupported":
        raise Hidden("hidden: the server makes no audio, and only audio can be truncated")
    lab.know.knob("truncate_reply", value, f"1/1, of {heard // 48} ms of audio")
    return Verdict(Mark.SEEN, f"Of {heard // 48} ms of audio: {told}.")


EXPERIMENTS = experiments(
    "Items",
    (
        _item_in_mid_response,
        "When is an item added that is sent in mid-response?",
        "a long response, and conversation.item.create between two fences",
        "P-143, P-308",
        "items_during_response",
        600,
    ),
    (
        _two_items,
        "In what order are several items of one response closed?",
        "a response that is told to say something and to call a function",
        "P-138, P-139",
        "multi_item_done_order",
        300,
    ),
    (
        _call_without_output,
        "What does a response get while a function call has no output?",
        "a response that calls a function, and another response.create",
        "P-308",
        "pending_call",
        600,
    ),
    (
        _truncate,
        "What does a truncate get?",
        "a short spoken answer, and conversation.item.truncate at 100 ms",
        "P-106, P-299, P-308",
        "truncate_reply",
        200,
    ),
)
