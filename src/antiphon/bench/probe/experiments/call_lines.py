"""Calls: how one is made and joined, and who is told what on its sidebands."""

import re
from collections.abc import Mapping

import pybase64

from antiphon.bench.probe.calling import Call, a_call, burst, ephemeral
from antiphon.bench.probe.experiments.call_common import call_experiments, refusal, session_of
from antiphon.bench.probe.lab import Hidden, Inconclusive, Lab, NotPossible, Verdict
from antiphon.bench.probe.names import Json
from antiphon.bench.probe.talk import Frame, Talk
from antiphon.bench.report import Mark
from antiphon.exceptions import ConnectError
from antiphon.models import DEFAULT_MODEL, DEFAULT_TRANSCRIPTION_MODEL

__all__ = ["JOINING"]

_STYLES = {
    "u_suffix": re.compile(r"rtc_u\d+_\w+"),
    "hex": re.compile(r"rtc_[0-9a-f]{32}"),
    "uuid": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
}
_FORMS = {
    "multipart": "multipart",
    "bare": "a bare offer, not multipart,",
    "ephemeral": "an offer with an ephemeral key, and not one with the API key,",
}
# Sidebands attached at once, to see whether there is a limit.
_MANY = 5
_APPENDED_MS = 200


async def _calls(lab: Lab) -> Verdict:
    """An offer, as a browser's server would send it."""
    try:
        async with a_call(lab) as call:
            location = "location" in call.answer.headers
            lab.know.knob("location", "yes" if location else "no", f"1/1: {call.answer.told}")
            if not call.id:
                lab.no_calls = "hidden by location=no: the answer to an offer names no call"
                told = f"{_FORMS[lab.call_form]} gets {call.answer.told}"
                raise Hidden(f"{lab.no_calls}, so nothing can join it; {told}")
            style = next((name for name, form in _STYLES.items() if form.fullmatch(call.id)), "")
            if style:
                lab.know.knob("call_id_style", style, "1/1 call")
            else:
                lab.know.unknown("call_id_style", Mark.MIXED, "it is of no known form")
            talk = await call.join()
            _ready(lab, call)
            first = talk.since(0)[0].kind if talk.since(0) else "nothing"
            shown = call.answer.headers.get("content-type", "none")
            how = _FORMS[lab.call_form]
            return Verdict(
                Mark.SEEN,
                f"Yes: {how} gets HTTP {call.answer.status}, an SDP answer as {shown} and a "
                f"Location; a sideband joins, and is told {first} first.",
            )
    except NotPossible as not_possible:
        lab.no_calls = lab.no_calls or str(not_possible)
        raise
    except ConnectError as refused:
        if lab.calls:
            told = f"the call was made, and no sideband can join it: {refusal(refused)}"
        else:
            told = "nothing answers HTTP where the WebSocket is"
        lab.no_calls = told
        raise NotPossible(told) from None


def _ready(lab: Lab, call: Call) -> None:
    # A handshake that takes long was not refused: only who was has come too early.
    took = (call.ready_ms or 0.0) if call.too_early else 0.0
    tries = f"refused until {took:.0f} ms after it" if took else "the first sideband attached"
    lab.know.knob("sideband_ready_ms", f"{round(took, -1):g}", f"1/1 call: {tries}")
    lab.call_ready_s = took / 1000


async def _sideband_hello(lab: Lab) -> Verdict:
    """L-12."""
    async with a_call(lab) as call:
        waited = 0.5 + 6 * lab.trip
        talk = await call.join(hello=waited)
        answered = talk.since(0, "session.updated")
        if not answered:
            raise Inconclusive("no session.update is answered")
        before = [frame.kind for frame in talk.since(0) if frame.place < answered[0].place]
        greeted = "session.created" in before
        why = f"1/1 sideband, before the answer to its first event and within {waited:.1f} s"
        lab.know.knob("sideband_session_created", "yes" if greeted else "no", why)
        shown = sorted(set(session_of(answered[0])) & {"id", "expires_at", "audio"})
        return Verdict(
            Mark.SEEN,
            f"{'session.created comes' if greeted else 'Nothing comes'} by itself. An empty "
            f"session.update gets session.updated with {', '.join(shown) or 'no session'}.",
        )


async def _sidebands(lab: Lab) -> Verdict:
    """P-381, P-386: how many at once; and whether the call goes on without any."""
    async with a_call(lab) as call:
        talks: list[Talk] = []
        refused = ""
        for _ in range(_MANY):
            try:
                talks.append(await call.join(fence=False))
            except ConnectError as full:
                if not talks:
                    raise
                refused = refusal(full)
                break
        await talks[0].until(lambda: talks[0].closed, patience=0.3 + 6 * lab.trip)
        closed = [talk for talk in talks if talk.closed is not None]
        if refused:
            most, how = str(len(talks)), f"one more is refused with {refused}"
            if refused.startswith("HTTP 409"):
                lab.know.knob("sideband_overflow", "http_409", f"1/1: {refused}")
            else:
                lab.know.unknown("sideband_overflow", Mark.MIXED, f"it gets {refused}")
        elif closed:
            most, how = str(len(talks) - len(closed)), "for one more the oldest is closed"
            lab.know.knob("sideband_overflow", "replace_oldest", f"{len(closed)}/{len(closed)}")
        else:
            most, how = "none", f"{_MANY} were attached at once"
            lab.know.unknown("sideband_overflow", Mark.HIDDEN, "hidden by max_sidebands=none")
        lab.know.knob("max_sidebands", most, how)
        await call.left(*talks)
        after = "the call goes on without any"
        try:
            again = await call.join(fence=False)
        except ConnectError as gone:
            after = f"when all have left, attaching gets {refusal(gone)}"
        else:
            again.send(_named(lab, "again"))
            if not await again.until(lambda: again.since(0, "session.updated")):
                after = "when all have left, one may attach, and is not answered"
        return Verdict(Mark.SEEN, f"{how[0].upper()}{how[1:]}; {after}.")


async def _audience(lab: Lab) -> Verdict:
    """L-17: what one sideband causes, and the other is told."""
    if lab.know.value("max_sidebands") == "1":
        raise Hidden("hidden by max_sidebands=1: there is never another one")
    async with a_call(lab) as call:
        watcher = await call.join(fence=False)
        cause = await call.join(fence=False)
        wrong: Json = {"type": "conversation.item.retrieve", "item_id": "item_probe_none"}
        cause.send(_named(lab, "one"), wrong, _named(lab, "two"))
        if not await cause.until(lambda: _updates(cause, "two")):
            raise Inconclusive("a session.update on a sideband is not answered as one")
        told_error = bool(cause.since(0, "error"))
        cause.send(lab.create(say="Say yes.", limit=60))
        await cause.until(lambda: cause.since(0, "response.created"))
        # Whatever the watcher is told of all this comes before the answer to its own event.
        watcher.send(_named(lab, "three"))
        if not await watcher.until(lambda: _updates(watcher, "three")):
            raise Inconclusive("a session.update on the other sideband is not answered")
        states = len(_updates(watcher, "one")) + len(_updates(watcher, "two"))
        errors = len(watcher.since(0, "error"))
        responses = watcher.since(0, "response.created")
        if states not in (0, 2):
            raise Inconclusive(f"the other sideband was told {states} of 2 updates")
        name = "event_audience"
        if states and not told_error:
            both, mark, why = ("state_to_all", "all_to_all"), Mark.INCONCLUSIVE, "no error came"
            if wrong["type"] in (lab.know.value("unsupported_events") or "").split(","):
                mark, why = Mark.HIDDEN, "hidden by unsupported_events: a mistake gets no error"
            lab.know.unknown(name, mark, why, both)
        elif errors and not states:
            lab.know.unknown(name, Mark.MIXED, "errors go to all, updates do not")
        else:
            value = "own_only" if not states else "all_to_all" if errors else "state_to_all"
            lab.know.knob(name, value, "2 updates and 1 error of the other sideband")
        await cause.until(lambda: not cause.running, patience=lab.plan.patience + 10)
        return Verdict(
            Mark.SEEN,
            f"Of the other's: {states}/2 session.updated, {errors}/{int(told_error)} error, "
            f"{len(responses)}/{len(cause.since(0, 'response.created'))} response.created.",
        )


def _named(lab: Lab, name: str) -> Json:
    """An update that its acknowledgement can be told by."""
    session: Json = {"instructions": f"probe {name}"}
    return {"type": "session.update", "session": session if lab.beta else _realtime(**session)}


def _realtime(**session: object) -> Json:
    return {"type": "realtime", **session}


def _updates(talk: Talk, name: str) -> list[Frame]:
    return [
        frame
        for frame in talk.since(0, "session.updated")
        if session_of(frame).get("instructions") == f"probe {name}"
    ]


async def _model_too(lab: Lab) -> Verdict:
    """P-371."""
    async with a_call(lab) as call:
        await call.left(await call.join())  # the control: without a model it attaches
        try:
            talk = await call.join(fence=False, model=DEFAULT_MODEL)
        except ConnectError as refused:
            if refused.status != 400:
                lab.know.unknown("sideband_model_too", Mark.MIXED, f"it gets {refusal(refused)}")
            else:
                lab.know.knob("sideband_model_too", "http_400", "1/1 sideband")
            return Verdict(Mark.SEEN, f"It is refused: {refusal(refused)}.")
        talk.send(_named(lab, "both"))
        if not await talk.until(lambda: talk.since(0, "session.updated")):
            raise Inconclusive("it is let in, and not answered")
        lab.know.knob("sideband_model_too", "accept", "1/1 sideband")
        return Verdict(Mark.SEEN, "It is let in.")


async def _append(lab: Lab) -> Verdict:
    """L-20: audio over a sideband, and whether any of it is there."""
    async with a_call(lab) as call:
        talk = await call.join()
        silence = pybase64.b64encode_as_string(bytes(48 * _APPENDED_MS))
        mark = len(talk.frames)
        await burst(talk, {"type": "input_audio_buffer.append", "audio": silence})
        errors = talk.since(mark, "error")
        if errors:
            lab.know.knob("sideband_append", "error", f"1/1: {errors[0].code}")
            return Verdict(Mark.SEEN, f"It is refused with {errors[0].code}.")
        came, _ = await burst(talk, {"type": "input_audio_buffer.commit"})
        kinds = [frame.kind for frame in came]
        if "input_audio_buffer.committed" in kinds:
            lab.know.knob("sideband_append", "accept", "1/1: a commit finds it")
            return Verdict(Mark.SEEN, "It is taken: a commit finds it.")
        if "error" in kinds:
            code = next(frame.code for frame in came if frame.kind == "error")
            lab.know.knob("sideband_append", "ignore", f"1/1: no error, and a commit gets {code}")
            return Verdict(Mark.SEEN, f"It is dropped in silence: a commit gets {code}.")
        raise Inconclusive("no error came, and a commit is not answered")


async def _nested_update(lab: Lab) -> Verdict:
    """P-348."""
    if lab.beta:
        raise Hidden("hidden by the dialect: its session has no audio.input")
    async with a_call(lab) as call:
        talk = await call.join()
        first = {"audio": {"input": {"transcription": {"model": DEFAULT_TRANSCRIPTION_MODEL}}}}
        second = {"audio": {"input": {"turn_detection": None}}}
        mark = len(talk.frames)
        talk.send(
            {"type": "session.update", "session": _realtime(**first)},
            {"type": "session.update", "session": _realtime(**second)},
        )
        await talk.until(lambda: len(talk.since(mark, "session.updated", "error")) >= 2)
        shown = [_heard(frame) for frame in talk.since(mark, "session.updated")]
        errors = [frame.code for frame in talk.since(mark, "error")]
        if errors or len(shown) < 2 or not shown[0].get("transcription"):
            told = f"refused with {errors[0]}" if errors else "not shown as set"
            raise Inconclusive(f"transcription is {told}")
        kept = bool(shown[1].get("transcription"))
        lab.know.knob("nested_update", "merged" if kept else "replaced", "1/1 pair of updates")
        return Verdict(
            Mark.SEEN,
            f"Transcription {'stays' if kept else 'is gone'} when only turn detection is named.",
        )


def _heard(frame: Frame) -> Json:
    audio = session_of(frame).get("audio")
    heard = audio.get("input") if isinstance(audio, dict) else None
    return heard if isinstance(heard, dict) else {}


async def _ephemeral_key(lab: Lab) -> Verdict:
    """L-19: a key as it is made for browsers."""
    if lab.plan.post is None:
        raise NotPossible("no call is made: that was not asked for")
    if _lets_all_in(lab):
        raise Hidden("hidden: everybody is let in, with a key or without")
    headers, made = await ephemeral(lab)
    if not headers:
        raise NotPossible(f"no ephemeral key is to be had: {made.told}")
    async with a_call(lab) as call:
        await call.left(await call.join())  # the control: with the other key it attaches
        return await _attaching(lab, call, headers)


def _lets_all_in(lab: Lab) -> bool:
    door = lab.know.knobs.get("auth_failure")
    return not lab.plan.headers or (door is not None and door.mark is Mark.HIDDEN)


async def _attaching(lab: Lab, call: Call, headers: Mapping[str, str]) -> Verdict:
    """What becomes of a sideband with another key than that which made the call."""
    try:
        talk = await call.join(fence=False, headers=headers)
    except ConnectError as refused:
        return Verdict(Mark.SEEN, f"It is refused: {refusal(refused)}. The API key attaches.")
    talk.send(_named(lab, "another key"))
    if not await talk.until(lambda: talk.since(0, "session.updated")):
        return Verdict(Mark.SEEN, "It is let in, and not answered. The API key is.")
    return Verdict(Mark.SEEN, "It attaches, and is answered, as the API key is.")


async def _other_project(lab: Lab) -> Verdict:
    """L-19: a key that is good, and has nothing to do with the call."""
    if lab.plan.stranger is None:
        raise NotPossible("it takes a key of another project (--other-key-env NAME)")
    if _lets_all_in(lab):
        raise Hidden("hidden: everybody is let in, with a key or without")
    try:
        own = await lab.dial(lab.url, lab.plan.stranger)
    except ConnectError as refused:
        raise NotPossible(f"no session is to be had with that key: {refusal(refused)}") from None
    own.close()
    if not own.since(0, "session.created"):  # the control
        raise NotPossible("no session is to be had with that key: it is not greeted")
    async with a_call(lab) as call:
        await call.left(await call.join())  # the other one: with the call's own key it attaches
        return await _attaching(lab, call, lab.plan.stranger)


JOINING = call_experiments(
    (
        _calls,
        "Can a call be made over HTTP, and joined?",
        "POST …/calls with an offer, a handshake with ?call_id=, and hangup, as with each call",
        "P-330 to P-337, P-370, P-385",
        "location call_id_style sideband_ready_ms",
        0,
    ),
    (
        _sideband_hello,
        "What comes first on a sideband?",
        "nothing for half a second; then an empty session.update",
        "P-373, P-376, L-12",
        "sideband_session_created",
        0,
    ),
    (
        _sidebands,
        "How many sidebands may a call have, and does it end with them?",
        f"{_MANY} handshakes; then all are closed, and one more",
        "P-381, P-386, P-387",
        "max_sidebands sideband_overflow",
        0,
    ),
    (
        _audience,
        "What is one sideband told of what another one does?",
        "on the other one two updates, an error and a short answer",
        "P-379, P-380, L-17",
        "event_audience",
        60,
    ),
    (
        _model_too,
        "What does a sideband get that names a model, too?",
        "?call_id= and model=",
        "P-371",
        "sideband_model_too",
        0,
    ),
    (
        _append,
        "What becomes of audio that is appended on a sideband?",
        f"{_APPENDED_MS} ms of silence; then a commit",
        "P-382, L-20",
        "sideband_append",
        0,
    ),
    (
        _nested_update,
        "Does an update of one part of audio.input leave the others?",
        "transcription on; then turn detection off",
        "P-348",
        "nested_update",
        0,
    ),
    (
        _ephemeral_key,
        "May an ephemeral key join?",
        "POST …/client_secrets, and a handshake with that key",
        "P-338, P-372, L-19",
        "",
        0,
    ),
    (
        _other_project,
        "May the key of another project join?",
        "a plain session with that key, and a handshake with ?call_id= and it",
        "P-372, L-19",
        "",
        0,
    ),
)
