"""The sentences once more, for every way in which a server may behave, on virtual time."""

from enum import StrEnum
from importlib import import_module
from typing import Any

import pytest

from antiphon.emulator import Behaviour
from antiphon.emulator.behaviour import knobs
from tests.interruption.stage import SENTENCES, Sentence, perform

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


def cases() -> list[Any]:
    return [
        pytest.param(knob, value, one, model, id=f"{knob}={value}-{one.number}-{one.short}-{model}")
        for knob, value in variants()
        for one in SENTENCES
        for model in one.models
        if not one.is_control
        and not impossible(value if isinstance(value, str) else f"{knob}={value}", model, one)
    ]


@pytest.mark.parametrize(("knob", "value", "one", "model"), cases())
def test_sentence_holds_for_every_knob_value(
    knob: str, value: Any, one: Sentence, model: str
) -> None:
    changes = {knob: value, **TOGETHER.get(knob, {}), **TOGETHER.get(str(value), {})}
    # A client must be told that a server does not echo metadata.
    options = {"echoes_metadata": changes.get("metadata_echo", True)}
    perform(one.play, "memory", model, behaviour=Behaviour(**changes), options=options)
