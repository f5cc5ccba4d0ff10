"""What a server says to what is wrong."""

from antiphon.bench.probe.experiments.common import experiments
from antiphon.bench.probe.lab import Inconclusive, Lab, Verdict
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Frame
from antiphon.bench.report import Mark

__all__ = ["EXPERIMENTS"]

UNKNOWN: Json = {"type": "antiphon.probe.unknown"}


async def _answers(lab: Lab, event: Json) -> tuple[Frame, list[Frame]]:
    """Send an event with a fence behind it; the event as sent, and what came before the fence."""
    if not lab.talk.has_fence:
        raise Inconclusive("nothing harmless is answered, so there is no fence")
    mark, passed = await lab.burst(event)
    came = [frame for frame in lab.talk.since(mark) if frame.place < passed.place]
    return lab.talk.frames[mark], came


async def _unknown_event(lab: Lab) -> Verdict:
    _, came = await _answers(lab, UNKNOWN)
    errors = [frame for frame in came if frame.kind == "error"]
    lab.know.knob("unknown_event", "error" if errors else "ignore", "1/1 event of unknown type")
    lab.know.seen["unknown_code"] = errors[0].code if errors else ""
    if errors:
        return Verdict(Mark.SEEN, f"It gets an error, {errors[0].code}.")
    return Verdict(Mark.SEEN, "Nothing: it is ignored.")


def _harmless(lab: Lab) -> dict[str, Json]:
    item = "item_antiphonProbeUnknown"
    for frame in lab.talk.frames:
        if frame.kind.startswith("conversation.item.") and frame.item.get("id"):
            item = str(frame.item["id"])
            break
    return {
        "input_audio_buffer.clear": {},
        "input_audio_buffer.commit": {},
        "conversation.item.retrieve": {"item_id": item},
        "conversation.item.delete": {"item_id": "item_antiphonProbeUnknown"},
        "output_audio_buffer.clear": {},
    }


async def _known_events(lab: Lab) -> Verdict:
    """Events of the documentation that this server treats as it treats an unknown one."""
    unknown = lab.know.seen.get("unknown_code")
    if unknown is None:
        raise Inconclusive("it is not known what an unknown event gets")
    missing, told = [], []
    for kind, fields in _harmless(lab).items():
        _, came = await _answers(lab, {"type": kind, **fields})
        errors = [frame for frame in came if frame.kind == "error"]
        answered = [frame.kind for frame in came if frame.kind != "error"]
        as_unknown = bool(errors) and errors[0].code == unknown if unknown else not came
        if as_unknown:
            missing.append(kind)
        got = errors[0].code if errors else answered[0] if answered else "no answer"
        told.append(f"{kind}: {got}")
    lab.know.knob("unsupported_events", ",".join(sorted(missing)), f"{len(told)} events tried")
    how = f"{len(missing)} of {len(told)} are treated as unknown" if missing else "all are known"
    return Verdict(Mark.SEEN, f"Of those tried {how}: {'; '.join(told)}.")


async def _unknown_field(lab: Lab) -> Verdict:
    mark = len(lab.talk.frames)
    session: Json = {"antiphon_probe": 1}
    if not lab.beta:
        session["type"] = "realtime"
    lab.talk.send({"type": "session.update", "session": session})
    await lab.talk.until(lambda: lab.talk.since(mark, "session.updated", "error"))
    errors = lab.talk.since(mark, "error")
    if errors:
        lab.talk.unsent()
    elif not lab.talk.since(mark, "session.updated"):
        raise Inconclusive("the session.update got no answer")
    lab.know.knob("unknown_field", "error" if errors else "ignore", "1/1 session.update")
    if errors:
        return Verdict(Mark.SEEN, f"It gets an error, {errors[0].code}.")
    return Verdict(Mark.SEEN, "It is taken in silence: session.updated comes.")


async def _echo(lab: Lab) -> Verdict:
    """Which errors name the event that they answer, and where."""
    call = {"type": "function_call_output", "call_id": "call_antiphonProbe", "output": "1"}
    wrong: list[Json] = [
        UNKNOWN,
        {"type": "conversation.item.create"},
        {"type": "conversation.item.delete", "item_id": "item_antiphonProbeUnknown"},
        {"type": "conversation.item.create", "item": call},
        {"type": "conversation.item.retrieve", "item_id": "item_antiphonProbeUnknown"},
        {"type": "response.cancel"},
    ]
    places: dict[str, str] = {}
    in_type = coded = 0
    for event in wrong:
        sent, came = await _answers(lab, event)
        for frame in came:
            if frame.kind == "error":
                places[frame.code] = _place(frame, str(sent.body["event_id"]))
                coded += _has_code(frame)
                in_type += _code_in_type(frame)
    if not places:
        lab.know.unknown("error_event_id_echo", Mark.HIDDEN, "hidden: no error could be provoked")
        raise Inconclusive(f"0 errors came of {len(wrong)} mistakes")
    _settle_echo(lab, places)
    if coded or in_type:
        place = "type" if in_type > coded else "code"
        lab.know.knob("error_code_place", place, f"{coded} errors with a code, {in_type} in type")
    named = [code for code, place in places.items() if place != "none"]
    without = [code for code, place in places.items() if place == "none"]
    told = f"{len(named)} of {len(places)} kinds of error name the event they answer"
    if without and named:
        told += f"; not {', '.join(without)}"
    if in_type > coded:
        told += "; the code stands in type"
    return Verdict(Mark.SEEN, told + ".")


def _place(frame: Frame, event_id: str) -> str:
    if frame.error.get("event_id") == event_id:
        return "error"
    return "outer" if frame.body.get("event_id") == event_id else "none"


_TYPES = ("invalid_request_error", "server_error", "error", "rate_limit_error")


def _has_code(frame: Frame) -> bool:
    return bool(frame.error.get("code"))


def _code_in_type(frame: Frame) -> bool:
    error = frame.error
    return not error.get("code") and bool(error.get("type")) and error["type"] not in _TYPES


def _settle_echo(lab: Lab, places: dict[str, str]) -> None:
    know = lab.know
    named = {place for place in places.values() if place != "none"}
    without = sorted(code for code, place in places.items() if place == "none")
    count = f"{len(places) - len(without)}/{len(places)} kinds of error"
    how = "never" if not named else "per_code" if without else "always"
    know.knob("error_event_id_echo", how, f"{count} name the event")
    if how == "never":
        know.unknown("error_event_id_place", Mark.HIDDEN, "hidden by error_event_id_echo=never")
    else:
        know.knob("error_event_id_place", "outer" if "outer" in named else "error", count)
    if how == "per_code":
        know.knob("error_codes_without_echo", ",".join(without), count)
    else:
        know.unknown(
            "error_codes_without_echo", Mark.HIDDEN, f"hidden by error_event_id_echo={how}"
        )


async def _bad_json(lab: Lab) -> Verdict:
    """A frame that is no JSON, in a session of its own: it may be the end of it."""
    talk = await lab.second()
    mark = len(talk.frames)
    talk.send_all([b'{"type": "session.update", ', *([talk.fence] if talk.has_fence else [])])
    await (talk.passed() if talk.has_fence else talk.until(lambda: talk.since(mark)))
    await talk.until(lambda: talk.closed is not None, patience=0.3 if talk.since(mark) else None)
    errors = talk.since(mark, "error")
    lab.extra_talk = talk
    closed = talk.closed
    talk.close()
    anonymous = [f for f in errors if not _has_code(f) and not f.error.get("event_id")]
    if closed is None:
        if not errors:
            raise Inconclusive("it got no answer")
        lab.know.knob("bad_json_reply", "error", f"1/1 got {errors[0].code}, the session lived on")
        return Verdict(Mark.SEEN, f"It gets an error, {errors[0].code}; the session lives on.")
    code = closed[0]
    value = {None: "cut", 1007: "close", 1011: "close_1011", 1006: "cut"}.get(code, "close")
    lab.know.seen["close_after_error"] = "yes" if anonymous else "no"
    lab.know.knob("bad_json_reply", value, f"the session ended: {code or 'cut'}")
    return Verdict(
        Mark.SEEN,
        f"The session ends: {'it is cut without a close' if code is None else f'close {code}'}"
        + (f", after the error {errors[0].code}" if errors else "")
        + ".",
    )


async def _same_id_twice(lab: Lab) -> Verdict:
    """Two items of one id, the same words in both."""
    content = [{"type": "input_text", "text": "The same words."}]
    item = {"id": "item_probeTwice", "type": "message", "role": "user", "content": content}
    event = {"type": "conversation.item.create", "item": item}
    _, first = await _answers(lab, event)
    if not any(frame.kind.startswith("conversation.item.") for frame in first):
        raise Inconclusive("not even the first one was added")
    _, second = await _answers(lab, event)
    errors = [frame for frame in second if frame.kind == "error"]
    added = [frame for frame in second if frame.kind.startswith("conversation.item.")]
    value = "error" if errors else "append" if added else "ignore"
    lab.know.knob("duplicate_item_id", value, "1/1 pair of items of one id")
    told = {
        "error": f"an error, {errors[0].code if errors else ''}",
        "append": "it is added, too",
        "ignore": "nothing",
    }[value]
    return Verdict(Mark.SEEN, f"The second gets: {told}.")


_LENGTHS = (32, 64, 512)


async def _long_id(lab: Lab) -> Verdict:
    """Items whose id is one character longer than each length that servers were seen to allow."""
    taken = 0
    for length in _LENGTHS:
        content = [{"type": "input_text", "text": "A long id."}]
        name = f"item_{length}_".ljust(length + 1, "x")
        item = {"id": name, "type": "message", "role": "user", "content": content}
        _, came = await _answers(lab, {"type": "conversation.item.create", "item": item})
        errors = [frame for frame in came if frame.kind == "error"]
        if errors:
            if taken:
                lab.know.knob("max_id_chars", str(length), f"{taken} taken, {length + 1} refused")
            else:
                lab.know.knob("max_id_chars", str(length), f"{length + 1} characters are refused")
            return Verdict(Mark.SEEN, f"{length + 1} characters get an error, {errors[0].code}.")
        if not came:
            raise Inconclusive(f"an item with an id of {length + 1} characters got no answer")
        taken = length + 1
    why = f"{taken} characters are taken, and no longer ones were tried"
    lab.know.unknown("max_id_chars", Mark.NOT_POSSIBLE, why, (str(_LENGTHS[-1]),))
    return Verdict(Mark.SEEN, f"Even {taken} characters are taken.")


async def _odd_voice(lab: Lab) -> Verdict:
    """A voice that nobody has; taken, it is taken back."""
    voice = lab.know.value("voice")
    refused = await lab.configure_voice("antiphonprobe")
    if refused is None and voice is not None:
        await lab.configure_voice(voice)
    if refused is not None and refused.code == "cannot_update_voice":
        raise Inconclusive("the voice cannot be changed any more")
    lab.know.knob("voices", "any" if refused is None else "openai", "1/1 voice of no server")
    if refused is None:
        return Verdict(Mark.SEEN, "It is taken.")
    return Verdict(Mark.SEEN, f"It gets an error, {refused.code}.")


async def _after_nothing(lab: Lab) -> Verdict:
    """An item behind one that does not exist."""
    content = [{"type": "input_text", "text": "Behind nothing."}]
    item = {"type": "message", "role": "user", "content": content}
    event = {
        "type": "conversation.item.create",
        "previous_item_id": "item_antiphonProbeUnknown",
        "item": item,
    }
    _, came = await _answers(lab, event)
    errors = [frame for frame in came if frame.kind == "error"]
    if errors:
        return Verdict(Mark.SEEN, f"It gets an error, {errors[0].code}.")
    added = any(frame.kind.startswith("conversation.item.") for frame in came)
    return Verdict(Mark.SEEN, "It is added all the same." if added else "It gets no answer.")


async def _clear_output(lab: Lab) -> Verdict:
    """`output_audio_buffer.clear` on a plain WebSocket."""
    _, came = await _answers(lab, {"type": "output_audio_buffer.clear"})
    errors = [frame for frame in came if frame.kind == "error"]
    if errors:
        return Verdict(Mark.SEEN, f"It gets an error, {errors[0].code}.")
    kinds = [frame.kind for frame in came]
    return Verdict(Mark.SEEN, f"It gets {kinds[0]}." if kinds else "It gets no answer.")


EXPERIMENTS = experiments(
    "Mistakes",
    (
        _unknown_event,
        "What does an event of unknown type get?",
        "an event of the type antiphon.probe.unknown, and a fence",
        "P-87, L-10",
        "unknown_event",
        0,
    ),
    (
        _known_events,
        "Which events of the documentation does it not know?",
        "buffer clears, a commit, retrieve and delete, each with a fence",
        "P-87, P-466, P-467",
        "unsupported_events",
        0,
    ),
    (
        _unknown_field,
        "What does an unknown field of a session get?",
        "a session.update with a field antiphon_probe",
        "P-89, P-466, P-467",
        "unknown_field",
        0,
    ),
    (
        _echo,
        "Do errors name the event that they answer?",
        "six mistakes, each with an event_id and a fence behind it",
        "P-80 to P-86, P-305, P-306",
        "error_event_id_echo error_event_id_place error_codes_without_echo error_code_place",
        0,
    ),
    (
        _bad_json,
        "What does a frame get that is no JSON?",
        "half a JSON object, in a session of its own",
        "P-88, P-467, L-10",
        "bad_json_reply behind_proxy",
        0,
    ),
    (
        _same_id_twice,
        "What does a second item of the same id get?",
        "two conversation.item.create with one id",
        "P-213",
        "duplicate_item_id",
        0,
    ),
    (
        _long_id,
        "How long may an id be that a client gives?",
        "items whose ids have 33, 65 and 513 characters",
        "P-214, P-216",
        "max_id_chars",
        0,
    ),
    (
        _odd_voice,
        "What does a voice get that no server has?",
        "a session.update with the voice antiphonprobe",
        "P-268",
        "voices",
        0,
    ),
    (
        _after_nothing,
        "What does an item get that is to stand behind one that does not exist?",
        "conversation.item.create with an unknown previous_item_id",
        "P-212, L-10",
        "",
        0,
    ),
    (
        _clear_output,
        "What does output_audio_buffer.clear get on a plain WebSocket?",
        "output_audio_buffer.clear, and a fence",
        "P-320, P-323, L-10, L-13",
        "",
        0,
    ),
)
