"""The probe finds the emulator's knobs, or says what hides them; near and far, the same."""

import dataclasses
from enum import EnumType

import pytest

from antiphon.bench.probe import ALL, Lab, Plan
from antiphon.bench.probe.lab import Inconclusive
from antiphon.bench.report import Mark, Report
from antiphon.emulator import (
    PROFILES,
    Behaviour,
    MemoryConnector,
    Pace,
    Script,
    fail,
    profile,
    run_virtual,
)
from antiphon.emulator.knobs.calls import CallKnobs
from tests.bench.probe.bench import URL, Far, probed, settings, shown_as

__all__: list[str] = []

# No probe can tell these of an emulator that does all else right.
NEVER = {"expiry", "response_done_on_failure"}
CALLS = {spec.name for spec in dataclasses.fields(CallKnobs)}
# What a call without a telephone cannot settle.
UNTRIED = {
    "output_stopped_latency_ms",
    "call_end_close",
    "refer",
    "refer_latency_ms",
    "sip_turn_detection_limits",
    "dtmf",
}
MEASURED = {"cancel_latency_ms", "created_latency_ms", "slot_free_at", "transcription_latency_ms"}

# Each knob's other values, a few at a time: those that hide others have a row of their own.
OTHERWISE: dict[str, dict[str, object]] = {
    "most, otherwise": {
        "cancel_no_id_scope": "only_if_single",
        "cancel_no_match_reply": "other_code",
        "cancel_unknown_or_finished_id": "other_code",
        "cancel_repeat_before_done": "error",
        "cancel_latency_ms": 60,
        "straggler_deltas": 3,
        "cancel_close_items": "output_item_only",
        "cancel_output_in_done": "empty",
        "cancel_usage": "zeros",
        "created_latency_ms": 120,
        "max_parallel_oob": 2,
        "oob_emits_conversation_items": True,
        "vad_create_when_busy": "error",
        "metadata_echo": False,
        "active_error_form": "short",
        "error_event_id_echo": "per_code",
        "bad_json_reply": "close",
        "duplicate_item_id": "ignore",
        "previous_item_id_quirk": True,
        "transcription_timing": "before_item",
        "rate_limits_updated": "after_created",
        "conversation_created": "after_session_created",
        "ping_interval_s": 2.0,
        "obfuscation": True,
        "phase": True,
        "model": "other",
        "voice": "cedar",
        "silence_duration_ms": 700,
        "max_id_chars": 64,
        "voices": "any",
    },
    "most, otherwise again": {
        "cancel_no_id_scope": "any",
        "cancel_no_match_reply": "silent",
        "cancel_unknown_or_finished_id": "silent",
        "cancel_close_items": "none",
        "cancel_usage": "null",
        "vad_create_when_busy": "queued",
        "vad_interrupts_oob": True,
        "create_when_busy": "queue",
        "error_event_id_place": "outer",
        "bad_json_reply": "close_1011",
        "unknown_event": "ignore",
        "unknown_field": "ignore",
        "unsupported_events": frozenset({"input_audio_buffer.commit"}),
        "duplicate_item_id": "error",
        "items_announced": "created",
        "cancelled_items": "removed",
        "pending_call": "error",
        "truncate_reply": "silent",
        "transcription_timing": "after_response",
        "multi_item_done_order": "item_by_item",
        "dialect": "azure_ga",
    },
    "the next response": {
        "cancel_no_id_scope": "next_response",
        "cancel_function_args": "none",
        "old_done_vs_new_created": "created_first",
        "active_error_form": "code_null",
        "item_done": False,
        "items_during_response": "after_done",
        "truncate_reply": "unsupported",
        "bad_json_reply": "cut",
        "behind_proxy": True,
        "transcription_latency_ms": 200,
        "dialect": "beta",
    },
    "slow to let go": {"slot_free_at": 80, "items_announced": "halves"},
    "cancelled before it is created": {
        "cancel_before_created": "cancels",
        "created_latency_ms": 100,
    },
    "done at once": {"cancel_latency_ms": 0, "straggler_deltas": 0},
    "none beside": {"max_parallel_oob": 0},
    "all in one slot": {"out_of_band": "shared_slot", "error_code_place": "type"},
    "nothing beside": {"out_of_band": "ignored", "error_event_id_echo": "never"},
    "superseded in silence": {"create_when_busy": "supersede", "superseded_done": "omitted"},
    "any id will do": {"cancel_target": "ignores_id"},
    "no cancel": {"cancel_target": "unsupported"},
    "a cancel that does nothing": {"cancel_target": "nothing"},
    "reads nothing meanwhile": {"reads_while_responding": False},
    "hears nothing meanwhile": {"vad_while_responding": False},
    "needs a model": {"missing_model": "close_4000"},
}


def mistaken(report: Report, behaviour: Behaviour) -> list[str]:
    """What the report says wrongly."""
    truth = shown_as(behaviour)
    wrong = []
    for name, found in settings(report).items():
        true = truth[name]
        if found.value is None:
            if found.candidates and true not in found.candidates:
                wrong.append(f"{name} is {true}, not {' or '.join(found.candidates)}")
        elif name in MEASURED:
            if abs(float(found.value) - float(true)) > 10 + 0.2 * float(true):
                wrong.append(f"{name} is {true}, not {found.value}")
        elif found.value != true:
            wrong.append(f"{name} is {true}, not {found.value} ({found.why})")
    return wrong


def unexplained(report: Report) -> list[str]:
    """Knobs without a value of which the report does not say why."""
    found = settings(report).values()
    missing = [one for one in found if one.value is None]
    return [one.name for one in missing if not one.why or one.mark is Mark.SEEN]


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_is_found(name: str) -> None:
    report = probed(profile(name), calls=True, media="browser")
    assert [told for told in mistaken(report, profile(name)) if "latency_ms" not in told] == []
    assert unexplained(report) == []
    of_calls = {knob: settings(report)[knob] for knob in CALLS - UNTRIED}
    assert {
        knob
        for knob, found in of_calls.items()
        if found.value is None and found.mark is not Mark.HIDDEN
    } == set()
    hidden = {one.name for one in settings(report).values() if one.value is None}
    changed = {
        knob
        for knob, value in shown_as(profile(name)).items()
        if value != shown_as(Behaviour())[knob]
    }
    # What makes the profile what it is, is found, or hidden by something that is named.
    assert {
        knob for knob in changed & hidden if settings(report)[knob].mark is not Mark.HIDDEN
    } <= NEVER | UNTRIED | {"ping_interval_s"}


@pytest.mark.parametrize("what", OTHERWISE)
def test_each_value_is_found_or_hidden(what: str) -> None:
    behaviour = Behaviour().but(**OTHERWISE[what])
    report = probed(behaviour)
    assert mistaken(report, behaviour) == []
    unfound = {
        name: settings(report)[name].why
        for name in OTHERWISE[what]
        if settings(report)[name].value is None and settings(report)[name].mark is not Mark.HIDDEN
    }
    assert unfound == {}


def test_every_value_of_every_choice_is_tried() -> None:
    tried: dict[str, set[str]] = {}
    for changes in OTHERWISE.values():
        shown = shown_as(Behaviour().but(**changes))
        for name in changes:
            tried.setdefault(name, set()).add(shown[name])
    for behaviour in PROFILES.values():
        for name, value in shown_as(behaviour).items():
            tried.setdefault(name, set()).add(value)
    missing = {
        f"{spec.name}={value}"
        for spec in dataclasses.fields(Behaviour)
        if isinstance(spec.type, EnumType) and spec.name not in NEVER | CALLS
        for value in spec.type
        if str(value) not in tried.get(spec.name, set())
    }
    assert missing == {"auth_failure=always_401"}  # below: it takes a key


def test_how_a_wrong_key_is_refused_is_found_where_a_key_is_needed() -> None:
    for value in ("always_401", "http_401_or_close_3000"):
        report = probed(Behaviour().but(auth_failure=value), api_key="sk-right")
        assert settings(report)["auth_failure"].value == value


@pytest.mark.parametrize(
    ("name", "seed"), [("openai", 1), ("openai-2025-06-03", 2), ("localai", 3), ("aimock", 4)]
)
def test_far_away_the_verdicts_are_the_same(name: str, seed: int) -> None:
    near, far = (settings(probed(profile(name), far=at)) for at in (None, (0.060, 0.040, seed)))
    elsewhere = {
        knob
        for knob in near
        if (near[knob].value, near[knob].mark) != (far[knob].value, far[knob].mark)
    }
    # Times are measured, and the longer run has time for a ping, or to see that none comes.
    assert elsewhere <= MEASURED | {"ping_interval_s"}


def test_a_network_with_jitter_is_told_beside_a_measured_time() -> None:
    found = settings(probed(far=(0.060, 0.040, 3)))["cancel_latency_ms"]
    assert "the network gives or takes" in found.why
    assert found.value is not None
    assert float(found.value) <= 20 + 80


def test_answers_too_short_to_be_cut_prove_nothing() -> None:
    report = probed(Behaviour(pace=Pace.instant()))
    for knob in ("cancel_target", "cancel_no_id_scope", "create_when_busy", "cancel_latency_ms"):
        assert settings(report)[knob].value is None, knob
    cases = {case.key: case for case in report.subjects[0].cases}
    assert cases["bare-beside-two"].mark is Mark.INCONCLUSIVE


def test_an_answer_that_ended_before_the_cancel_was_read_proves_nothing() -> None:
    # It takes 300 ms to count to forty, and a cancel that is sent on its first word as long again.
    report = probed(far=(0.150, 0.0, 1), numbers=40)
    for case in report.subjects[0].cases:
        if case.key.startswith(("bare-beside", "bare-default", "cancel-by-id", "cancel-one")):
            assert case.mark is Mark.INCONCLUSIVE, (case.key, case.verdict)
    for knob in ("cancel_no_id_scope", "cancel_target", "create_when_busy", "cancel_latency_ms"):
        assert settings(report)[knob].value is None, knob


@pytest.mark.parametrize("key", ["bare-beside-two", "bare-default", "cancel-one-of-two"])
def test_no_cancel_is_judged_by_a_response_that_was_over(key: str) -> None:
    (one,) = [experiment for experiment in ALL if experiment.key == key]

    async def main() -> None:
        near = MemoryConnector()
        plan = Plan(url=URL, headers={}, dial=Far(near, 0.150, 0.0, 1), numbers=40)
        lab = Lab(plan)
        await lab.open()
        lab.know.seen["cancel_by_id"], lab.pace = "stops", 1.0
        try:
            with pytest.raises(Inconclusive, match="over before the cancel was read"):
                await one.run(lab)
        finally:
            lab.close()

    run_virtual(main())


def test_a_script_without_answers_to_the_probe_is_told_as_such() -> None:
    report = probed(script=Script([fail().always()]))
    cases = {case.key: case for case in report.subjects[0].cases}
    assert cases["answer"].mark is Mark.NOT_POSSIBLE
    assert "failed" in cases["answer"].verdict
    assert settings(report)["response_done_on_failure"].value == "always"
    assert settings(report)["unknown_event"].value == "error"  # what needs no answer is still asked
