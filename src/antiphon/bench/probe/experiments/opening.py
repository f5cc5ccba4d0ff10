"""What opens a session, and what an undisturbed answer looks like."""

from collections.abc import Mapping, Sequence

from antiphon.bench.probe.experiments.common import experiments
from antiphon.bench.probe.lab import Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Frame, Run, Talk
from antiphon.bench.report import Mark

__all__ = ["EXPERIMENTS"]


async def _greeting(lab: Lab) -> Verdict:
    talk = lab.talk
    came = talk.since(0)
    created = talk.since(0, "session.created")
    if not created:
        raise Inconclusive("no session.created came")
    session = created[0].body.get("session")
    session = session if isinstance(session, dict) else {}
    _dialect_of_session(lab, session)
    follows = [frame.kind for frame in came if frame.place > created[0].place]
    told = "after_session_created" if "conversation.created" in follows else "never"
    lab.know.knob("conversation_created", told, "the events before the first answer")
    _defaults(lab, session, created[0])
    say = f"{came[0].kind} came first"
    also = [kind for kind in follows if not kind.startswith("session.")]
    fence = talk.fence["type"] if talk.has_fence else "nothing harmless"
    return Verdict(
        Mark.SEEN,
        f"{say}{', then ' + ', '.join(also) if also else ''}. {fence} is answered and serves as "
        f"the fence. Session {'flat, as in the beta' if lab.beta else 'as in GA'}.",
    )


def _dialect_of_session(lab: Lab, session: Json) -> None:
    nested = isinstance(session.get("audio"), Mapping)
    lab.beta = not nested and "modalities" in session
    lab.settings["flat_voice"] = nested and "voice" in session


def _defaults(lab: Lab, session: Json, created: Frame) -> None:
    know = lab.know
    audio = session.get("audio") if isinstance(session.get("audio"), dict) else {}
    assert isinstance(audio, dict)
    spoken, heard = _part(audio, "output"), _part(audio, "input")
    voice = spoken.get("voice") or session.get("voice")
    if isinstance(voice, str):
        know.knob("voice", voice, "session.created")
    else:
        know.unknown("voice", Mark.INCONCLUSIVE, "session.created names none")
    detection = heard.get("turn_detection", session.get("turn_detection"))
    silence = detection.get("silence_duration_ms") if isinstance(detection, Mapping) else None
    if isinstance(silence, int):
        know.knob("silence_duration_ms", str(silence), "turn_detection in session.created")
    else:
        know.unknown("silence_duration_ms", Mark.INCONCLUSIVE, "session.created names none")
    if "model=" in lab.url or "deployment=" in lab.url:
        know.unknown("model", Mark.HIDDEN, "hidden by the address, which names a model")
    elif isinstance(session.get("model"), str):
        know.knob("model", session["model"], "session.created, where the address names none")
    expires = session.get("expires_at")
    if isinstance(expires, int | float) and lab.settings.get("wall"):
        left = expires - float(lab.settings["wall"])
        if left > 0:
            whole = round(left / 60) * 60 if left > 300 else round(left)
            know.knob("session_max_s", f"{whole:g}", "expires_at in session.created")
    know.unknown("session_max_s", Mark.INCONCLUSIVE, "session.created has no expires_at ahead")


def _part(audio: Json, name: str) -> Json:
    found = audio.get(name)
    return found if isinstance(found, dict) else {}


async def _answer(lab: Lab) -> Verdict:
    """The control of all that follows: one message, one short answer."""
    talk, mark = lab.talk, len(lab.talk.frames)
    content = [{"type": "input_text", "text": "Do what the instructions of the response say."}]
    item = {"type": "message", "role": "user", "content": content}
    talk.send({"type": "conversation.item.create", "item": item})
    await talk.until(lambda: _announced(talk, mark))
    try:
        run = await _answered(lab)
    except NotPossible as not_possible:
        lab.mute = str(not_possible)
        raise
    _pace(lab, run)
    after = talk.frames[run.created.place]
    events = talk.since(mark)
    usage = run.resource.get("usage") or (run.done.body.get("usage") if run.done else None)
    counted = isinstance(usage, Mapping) and bool(usage.get("total_tokens"))
    lab.know.seen["counts_tokens"] = "yes" if counted else "no"
    _echo(lab, run)
    _items(lab, events, run)
    _dialect(lab, run)
    _extras(lab, run)
    talk.send(talk.fence) if talk.has_fence else None
    await talk.passed()
    _rate_limits(lab, talk.since(mark), run)
    length = len(run.outputs)
    took = (run.done or after).at - run.created.at
    return Verdict(
        Mark.SEEN,
        f"{run.status} in {took * 1000:.0f} ms with {length} pieces of text; from it follows how "
        f"far to count so that an answer outlasts what is done to it: to {lab.numbers()}.",
    )


def _announced(talk: Talk, mark: int) -> list[Frame]:
    return talk.since(
        mark,
        "conversation.item.added",
        "conversation.item.created",
        "conversation.item.done",
        "error",
    )


async def _answered(lab: Lab) -> Run:
    """One finished response; parameters that the server refuses are left out from then on."""
    for _ in range(5):
        mark = len(lab.talk.frames)
        lab.talk.send(lab.create(40))
        silent = not lab.talk.since(0)
        patience = lab.plan.patience + (0 if silent else 30)
        await lab.talk.until(
            lambda m=mark: (
                any(run.done for run in lab.talk.runs_since(m))  # type: ignore[misc]
                or (lab.talk.since(m, "error") and not lab.talk.runs_since(m))
            ),
            patience=patience,
        )
        runs = lab.talk.runs_since(mark)
        if runs and runs[0].done is not None:
            if runs[0].status != "completed" or not runs[0].outputs:
                raise NotPossible(f"no answer can be had: response.done says {_why(runs[0])}")
            return runs[0]
        refused = _refused_parameter(lab.talk.since(mark, "error"))
        if refused is None or refused in lab.strips:
            break
        lab.strips.add(refused)
    errors = lab.talk.since(mark, "error")
    raise NotPossible(
        f"no answer can be had: {errors[0].code if errors else 'nothing came of response.create'}"
    )


def _why(run: Run) -> str:
    return f"{run.status or 'nothing'} {run.resource.get('status_details') or ''}".strip()


def _refused_parameter(errors: Sequence[Frame]) -> str | None:
    for frame in errors:
        param = frame.error.get("param")
        if isinstance(param, str) and param.startswith("response."):
            return param.split(".")[1].split("[")[0]
    return None


def _pace(lab: Lab, run: Run) -> None:
    assert run.done is not None
    took = run.done.at - run.created.at
    lab.pace = 40 / took if took > 0.002 else 1e6


def _echo(lab: Lab, run: Run) -> None:
    if "metadata" in lab.strips:
        lab.know.knob("metadata_echo", "no", "metadata in a response.create is refused")
        return
    created = run.created.body.get("response")
    echoed = isinstance(created, Mapping) and bool(created.get("metadata"))
    told = "1/1 response.created" if run.created.kind == "response.created" else "no created"
    lab.know.knob("metadata_echo", "yes" if echoed else "no", told)


def _items(lab: Lab, events: Sequence[Frame], run: Run) -> None:
    shown: dict[str, set[str]] = {"client": set(), "server": set()}
    own = {
        frame.item.get("id") for frame in run.frames if frame.kind == "response.output_item.added"
    }
    previous = "none"
    for frame in events:
        if not frame.kind.startswith("conversation.item.") or not frame.item:
            continue
        side = "server" if frame.item.get("id") in own else "client"
        shown[side].add(frame.kind.rpartition(".")[2])
        if side == "server" and frame.kind == "conversation.item.done":
            shown_id = frame.body.get("previous_item_id", "absent")
            previous = "null" if shown_id is None else "none" if shown_id == "absent" else "named"
    client, server = shown["client"], shown["server"]
    why = f"the client's item: {_listed(client)}; the answer's: {_listed(server)}"
    know = lab.know
    halves = client == {"added"} and server == {"done"}
    lone = client <= {"created"} and not server and bool(client)
    how = "halves" if halves else "created" if lone else "added"
    if client or server:
        know.knob("items_announced", how, why)
    if how != "added":
        know.unknown("item_done", Mark.HIDDEN, f"hidden by items_announced={how}")
    else:
        know.knob("item_done", "yes" if "done" in server else "no", why)
    if previous == "none":
        know.unknown(
            "previous_item_id_quirk",
            Mark.HIDDEN,
            "hidden: no conversation.item.done of the answer names its predecessor",
        )
    else:
        quirk = "yes" if previous == "null" else "no"
        know.knob(
            "previous_item_id_quirk", quirk, f"previous_item_id of the second item: {previous}"
        )


def _listed(kinds: set[str]) -> str:
    return ", ".join(sorted(kinds)) or "nothing"


def _dialect(lab: Lab, run: Run) -> None:
    kinds = {str(frame.body.get("type")) for frame in run.frames}
    parts = [frame for frame in run.frames if frame.kind.startswith("response.content_part.")]
    old = any(kind.startswith("response.text.") for kind in kinds)
    beside = any("content" in frame.body and "part" in frame.body for frame in parts)
    done_parts = [frame.body.get("part") for frame in parts if frame.kind.endswith(".done")]
    blank = any(isinstance(part, Mapping) and part.get("text") == "" for part in done_parts)
    details = run.resource.get("status_details")
    if isinstance(details, str):
        name, why = "xai", "status_details is a string"
    elif old:
        name = "voice_live" if blank else "beta"
        why = "response.text.* and a content part " + ("without" if blank else "with") + " its text"
    elif beside:
        name, why = "azure_ga", "content beside part in content_part events"
    else:
        name, why = "ga", "the names and shapes of one whole response"
    lab.know.knob("dialect", name, why)


def _extras(lab: Lab, run: Run) -> None:
    padded = sum("obfuscation" in frame.body for frame in run.outputs)
    lab.know.knob(
        "obfuscation", "yes" if padded else "no", f"{padded}/{len(run.outputs)} deltas have it"
    )
    items = [f.item for f in run.frames if f.kind.startswith("response.output_item.")]
    phased = sum("phase" in item for item in items)
    if items:
        lab.know.knob("phase", "yes" if phased else "no", f"{phased}/{len(items)} output items")


def _rate_limits(lab: Lab, events: Sequence[Frame], run: Run) -> None:
    assert run.done is not None
    places = [frame.place for frame in events if frame.kind == "rate_limits.updated"]
    if not places:
        told = "never"
    else:
        told = "after_done" if places[-1] > run.done.place else "after_created"
    lab.know.knob("rate_limits_updated", told, f"{len(places)} came around one response")


async def _beside(lab: Lab) -> Verdict:
    """One response out of band, undisturbed."""
    talk, mark = lab.talk, len(lab.talk.frames)
    talk.send(lab.create(40, beside=True))
    await talk.until(
        lambda: any(run.done for run in talk.runs_since(mark)) or talk.since(mark, "error"),
        patience=lab.plan.patience + 30,
    )
    runs = talk.runs_since(mark)
    if not runs or runs[0].done is None:
        errors = talk.since(mark, "error")
        if errors:
            lab.know.seen["beside_id"] = "refused"
            lab.know.knob("max_parallel_oob", "0", f"a lone one is refused with {errors[0].code}")
        raise NotPossible(f"refused with {errors[0].code}" if errors else "nothing came of it")
    run = runs[0]
    if talk.has_fence:
        talk.send(talk.fence)
        await talk.passed()
    items = [
        frame.kind for frame in talk.since(mark) if frame.kind.startswith("conversation.item.")
    ]
    lab.know.seen["beside_id"] = {True: "null", False: "named", None: "absent"}[run.is_beside]
    lab.know.seen["beside_items"] = "yes" if items else "no"
    place = {
        True: "conversation_id is null: it is out of band",
        False: "conversation_id names the conversation: it is not out of band",
        None: "it says nothing of its conversation",
    }[run.is_beside]
    return Verdict(
        Mark.SEEN,
        f"{run.status}; {place}; "
        + (f"{len(items)} conversation.item events came" if items else "no conversation.item event")
        + ".",
    )


async def _reads(lab: Lab) -> Verdict:
    """Whether a fence is answered before the response that runs is over."""
    if not lab.talk.has_fence:
        raise Inconclusive("nothing harmless is answered, so there is no fence")
    late = 0
    for attempt in range(3):
        if attempt and lab.pace is not None:
            lab.pace = min(1e6, lab.pace * 2)  # perhaps it was only too short
        (run,) = await lab.started(lab.create())
        lab.talk.send(lab.talk.fence)
        passed = await lab.talk.passed(patience=lab.plan.patience + 6 * lab.long_s)
        if passed is None:
            raise Inconclusive("the fence got no answer")
        if run.ran_at(passed):
            lab.know.knob("reads_while_responding", "yes", "a fence was answered in mid-response")
            await lab.quiet()
            return Verdict(Mark.SEEN, "Yes: a session.update in mid-response is answered at once.")
        late += 1
        took = (run.done or passed).at - run.created.at
        if took < 3 * lab.trip + 0.05:
            continue
    if took < 2 * lab.trip + 0.05:
        raise Inconclusive(
            f"the longest answer took {took * 1000:.0f} ms: too short to do anything to it"
        )
    lab.know.knob("reads_while_responding", "no", f"{late}/3 fences were answered after the end")
    return Verdict(
        Mark.SEEN,
        f"No: in {late}/3 responses the session.update was answered only when the response was "
        "over. What is sent meanwhile waits; silence proves nothing here.",
    )


EXPERIMENTS = experiments(
    "The session, and an answer nobody disturbs",
    (
        _greeting,
        "What opens a session?",
        "nothing; then what may serve as a fence",
        "P-116, P-250, P-254, P-255, P-257",
        "conversation_created voice model silence_duration_ms session_max_s",
        0,
    ),
    (
        _answer,
        "What does an answer look like?",
        "a user's message, a response that counts to 40",
        "P-36, P-117, P-126, P-136, P-142, P-144, P-290 to P-297",
        (
            "dialect metadata_echo items_announced item_done previous_item_id_quirk"
            " rate_limits_updated obfuscation phase"
        ),
        400,
    ),
    (
        _beside,
        "What is an answer beside the conversation?",
        'a response with conversation "none"',
        "P-31, P-37, P-41, L-7",
        "oob_emits_conversation_items out_of_band",
        400,
    ),
    (
        _reads,
        "Does it read while it speaks?",
        "a long response, and a session.update in the middle of it",
        "P-466",
        "reads_while_responding",
        4000,
    ),
)
