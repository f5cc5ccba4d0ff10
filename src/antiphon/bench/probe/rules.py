"""Knobs that several experiments fix together."""

import dataclasses

from antiphon.bench.probe.lab import Knowledge
from antiphon.bench.report import Mark
from antiphon.emulator.knobs.calls import CallKnobs

__all__ = ["infer"]

# What a cancel without id does, in each situation, under each value of the knob (P-2 to P-5, P-15).
_SCOPES = {
    "default_conversation": {
        "bare_two": "nothing",
        "bare_one_beside": "nothing",
        "bare_default": "one",
        "bare_mixed": "default",
        "bare_next": "ran on",
    },
    "only_if_single": {
        "bare_two": "nothing",
        "bare_one_beside": "one",
        "bare_default": "one",
        "bare_mixed": "nothing",
        "bare_next": "ran on",
    },
    "next_response": {
        "bare_two": "nothing",
        "bare_one_beside": "nothing",
        "bare_default": "one",
        "bare_mixed": "default",
        "bare_next": "stopped",
    },
    "any": {
        "bare_two": "one",
        "bare_one_beside": "one",
        "bare_default": "one",
        "bare_mixed": "default",
        "bare_next": "ran on",
    },
}
_CANCEL_KNOBS = (
    "cancel_no_id_scope",
    "cancel_no_match_reply",
    "cancel_unknown_or_finished_id",
    "cancel_repeat_before_done",
    "cancel_before_created",
    "cancel_latency_ms",
    "straggler_deltas",
    "cancel_close_items",
    "cancel_output_in_done",
    "cancel_usage",
    "cancel_function_args",
    "cancelled_items",
    "old_done_vs_new_created",
)


def infer(know: Knowledge) -> None:
    """Draw what follows from the experiments together."""
    _target(know)
    target = know.value("cancel_target")
    if target in ("unsupported", "nothing"):
        for name in _CANCEL_KNOBS:
            know.unknown(name, Mark.HIDDEN, f"hidden by cancel_target={target}")
    else:
        _scope(know)
        _no_match(know)
    if know.value("reads_while_responding") == "no":
        for name in _UNREAD:
            know.unknown(name, Mark.HIDDEN, "hidden by reads_while_responding=no")
    place = know.value("out_of_band")
    if place in ("shared_slot", "ignored"):
        for name in ("max_parallel_oob", "vad_interrupts_oob"):
            know.unknown(name, Mark.HIDDEN, f"hidden by out_of_band={place}")
    if know.value("vad_while_responding") == "no":
        know.unknown("vad_create_when_busy", Mark.HIDDEN, "hidden by vad_while_responding=no")
    _proxy(know)
    _call_end(know)
    for spec in dataclasses.fields(CallKnobs):
        if spec.name not in know.knobs:
            why = _NEEDS.get(spec.name, "it takes a call")
            know.unknown(spec.name, Mark.NOT_POSSIBLE, f"not tried: {why}")


# What a call without a telephone leaves untried.
_TELEPHONE = "it takes a call from a telephone"
_NEEDS = {
    "output_stopped_latency_ms": "no event tells how long a sound is",
    "call_end_close": _TELEPHONE,
    "refer": _TELEPHONE,
    "refer_latency_ms": _TELEPHONE,
    "sip_turn_detection_limits": _TELEPHONE,
    "dtmf": _TELEPHONE,
}


_UNREAD = (
    "create_when_busy",
    "superseded_done",
    "active_error_form",
    "out_of_band",
    "oob_emits_conversation_items",
    "max_parallel_oob",
    "items_during_response",
    "vad_while_responding",
    "vad_interrupts_oob",
    "vad_create_when_busy",
    "slot_free_at",
    *_CANCEL_KNOBS,
)


def _target(know: Knowledge) -> None:
    if know.value("cancel_target") is not None:
        return
    stops = know.seen.get("cancel_by_id") == "stops"
    left_alone = "cancel_unknown" in know.seen
    if stops and left_alone:
        why = "a cancel with its id stopped a response, one with another id left it alone"
        know.knob("cancel_target", "by_id", why)
    elif stops:
        know.unknown(
            "cancel_target",
            Mark.INCONCLUSIVE,
            "a cancel with its id stops a response; what one with a wrong id does is not known",
            ("by_id", "ignores_id"),
        )


def _scope(know: Knowledge) -> None:
    made = {name: know.seen[name] for name in _SCOPES["any"] if name in know.seen}
    if know.value("out_of_band") == "ignored":
        made.pop("bare_one_beside", None)  # it was in the conversation like any other
    if not made or set(made) == {"bare_next"}:
        know.unknown("cancel_no_id_scope", Mark.INCONCLUSIVE, "no cancel without id hit its moment")
        return
    fits = [
        scope
        for scope, expected in _SCOPES.items()
        if all(expected[name] == what for name, what in made.items())
    ]
    told = ", ".join(f"{name.removeprefix('bare_')}: {what}" for name, what in made.items())
    why = f"{len(made)} situations together ({told})"
    if len(fits) == 1:
        know.knob("cancel_no_id_scope", fits[0], why)
    elif fits:
        place = know.value("out_of_band")
        by = (
            f"hidden by out_of_band={place}"
            if place not in (None, "separate")
            else "not told apart"
        )
        mark = Mark.HIDDEN if place not in (None, "separate") else Mark.INCONCLUSIVE
        know.unknown("cancel_no_id_scope", mark, f"{by}: {why}", fits)
    else:
        know.unknown("cancel_no_id_scope", Mark.MIXED, f"no known rule explains {why}")


def _no_match(know: Knowledge) -> None:
    scope = know.value("cancel_no_id_scope")
    reply = know.seen.get("bare_idle")
    if scope == "next_response":
        why = "hidden by cancel_no_id_scope=next_response: it always hits something in the end"
        know.unknown("cancel_no_match_reply", Mark.HIDDEN, why)
    elif reply in ("error", "silent", "other_code"):
        know.knob("cancel_no_match_reply", reply, "1/1 cancel when nothing ran")
    elif reply == "response.cancelled":
        know.unknown(
            "cancel_no_match_reply", Mark.MIXED, "it gets response.cancelled, which no value names"
        )


def _proxy(know: Knowledge) -> None:
    seen = know.seen.get("close_after_error")
    if seen is not None:
        told = "an" if seen == "yes" else "no"
        if seen == "yes" and know.value("bad_json_reply") == "close_1011":
            # P-468: a proxy makes this close of a connection that is cut behind it.
            del know.knobs["bad_json_reply"]
            why = "hidden by behind_proxy: it shows a cut connection as close 1011"
            know.unknown("bad_json_reply", Mark.HIDDEN, why, ("cut", "close_1011"))
        know.knob(
            "behind_proxy", seen, f"the close was preceded by {told} error without id and code"
        )
    else:
        know.unknown("behind_proxy", Mark.HIDDEN, "hidden: no close could be provoked")


def _call_end(know: Knowledge) -> None:
    """`hangup` and a browser that leaves, of which one knob speaks."""
    name = "call_end_close_webrtc"
    causes = {"hangup": "hangup", "leaving": "a browser that left"}
    ends = {
        told: know.seen[f"end_by_{cause}"]
        for cause, told in causes.items()
        if f"end_by_{cause}" in know.seen
    }
    if not ends:
        return
    told = ", 1/1 ".join(f"{cause}: {value}" for cause, value in ends.items())
    values = set(ends.values())
    (value, *others) = sorted(values)
    if others:
        know.unknown(name, Mark.MIXED, told)
    elif value == "proxy":
        know.unknown(name, Mark.HIDDEN, "hidden by behind_proxy, which passes on an end as its own")
    elif value.startswith("closed with"):
        know.unknown(name, Mark.MIXED, f"it is {value}")
    else:
        know.knob(name, value, f"1/1 {told}")
