"""The sentences once more, for every way in which a server may behave, on virtual time."""

import asyncio
from enum import StrEnum
from importlib import import_module
from typing import Any

import pytest

from antiphon.emulator import Behaviour
from antiphon.emulator.knobs.behaviour import knobs
from tests.interruption.stage import MODELS, SENTENCES, Sentence, perform

__all__: list[str] = []

# These modules hold the sentences.
for _name in ("test_who_is_stopped", "test_when_it_is_asked", "test_when_all_goes_wrong"):
    import_module(f"tests.interruption.{_name}")

NUMBERS: dict[str, tuple[Any, ...]] = {
    "cancel_latency_ms": (0, 500, 2000),
    "straggler_deltas": (0, 7),
    "created_latency_ms": (30, 700),
    "slot_free_at": (40, 400),
    "max_parallel_oob": (9,),
}
# Knobs that neither cancelling nor the course of several responses depends on.
LEFT_OUT = frozenset(
    {
        "dialect",
        "model",
        "voice",
        "session_max_s",
        "expiry",
        "auth_failure",
        "missing_model",
        "bad_json_reply",
        "pace",
        "silence_duration_ms",
        "error_codes_without_echo",
        "duplicate_item_id",
        "previous_item_id_quirk",
        "item_done",
        "truncate_reply",
        "transcription_timing",
        "transcription_latency_ms",
        "conversation_created",
        "obfuscation",
        "phase",
        "unknown_event",
        "vad_while_responding",
        "unsupported_events",
        "unknown_field",
        "behind_proxy",
        "items_announced",
        # What is not read cannot be carried out: nothing is interrupted there.
        "reads_while_responding",
    }
)

# Knobs that only mean something together with another one.
TOGETHER: dict[str, dict[str, Any]] = {
    "superseded_done": {"create_when_busy": "supersede"},
    # Such servers know no out-of-band responses (P-304, P-305); where there are some, a cancel
    # whose id is ignored never reaches them, whoever sends it.
    "ignores_id": {"out_of_band": "ignored"},
}


def impossible(value: str, model: str, one: Sentence) -> str | None:
    """Why a sentence cannot hold with this server; no client can make it do what it cannot."""
    if value == "unsupported" and one.number != 13:
        return "it refuses every cancel; test_a_server_that_refuses_every_cancel is about it"
    if value == "nothing":
        return "it stops nothing, whoever asks (P-466)"
    if value in ("ignores_id", "shared_slot", "ignored") and model == "many":
        return "it runs one response at a time: such a server is used with max_in_flight=1"
    if value == "metadata_echo=False" and "after_its_create_timed_out" in one.name:
        return "who was given up can then not be told from what the server makes of its own accord"
    return None


def variants() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, default, _, _ in knobs():
        if name in LEFT_OUT:
            continue
        if name in NUMBERS:
            found += [(name, value) for value in NUMBERS[name]]
        elif isinstance(default, bool):
            found.append((name, not default))
        elif isinstance(default, StrEnum):
            found += [(name, value) for value in type(default) if value is not default]
    return found


def sentences(knob: str, value: Any, model: str) -> list[Sentence]:
    given = value if isinstance(value, str) else f"{knob}={value}"
    return [
        one
        for one in SENTENCES
        if model in one.models and not one.is_control and not impossible(given, model, one)
    ]


# One test for each server, not for each sentence with it: two thousand would be slow to collect.
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("knob", "value"), variants(), ids=str)
def test_every_sentence_holds_for_every_knob_value(knob: str, value: Any, model: str) -> None:
    changes = {knob: value, **TOGETHER.get(knob, {}), **TOGETHER.get(str(value), {})}
    # A client must be told that a server does not echo metadata.
    options = {"echoes_metadata": changes.get("metadata_echo", True)}
    broken: list[Exception] = []
    for one in sentences(knob, value, model):
        try:
            perform(one.play, "memory", model, behaviour=Behaviour(**changes), options=options)
        except (Exception, asyncio.CancelledError) as failure:
            failure.add_note(f"sentence {one.number}: {one.name}")
            broken.append(failure if isinstance(failure, Exception) else RuntimeError(one.name))
    if broken:
        raise ExceptionGroup(f"{knob}={value}, {model}", broken)


def test_every_server_is_played_to() -> None:
    played = {
        (knob, str(value), model): len(sentences(knob, value, model))
        for knob, value in variants()
        for model in MODELS
    }
    one_at_a_time = {"ignores_id", "shared_slot", "ignored"}
    assert len(variants()) > 40
    assert all(
        count > 15
        for (_, value, model), count in played.items()
        if value not in ("unsupported", "nothing")
        and not (value in one_at_a_time and model == "many")
    )
