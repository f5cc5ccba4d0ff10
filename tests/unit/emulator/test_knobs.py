"""Every knob, at every value that it has, does what it says.

A case is a function marked `@shows(knob, value)`. `test_every_value_has_a_case` fails for a value
of a list, or a switch, that no case shows, and for a number that is not shown at two values.
The cases are in knob_cases/, by what they are about.
"""

import dataclasses
from enum import StrEnum
from typing import Any

import pytest

from antiphon.emulator import Behaviour
from antiphon.emulator.knobs.behaviour import knobs
from tests.unit.emulator.knob_cases import calls, cancelling, elsewhere, exchange, lanes, others
from tests.unit.emulator.knob_cases.registry import CASES, Case

__all__: list[str] = []

MODULES = (calls, cancelling, elsewhere, exchange, lanes, others)


def wanted_values() -> set[tuple[str, Any]]:
    wanted: set[tuple[str, Any]] = set()
    for spec in dataclasses.fields(Behaviour):
        if isinstance(spec.type, type) and issubclass(spec.type, StrEnum):
            wanted |= {(spec.name, value.value) for value in spec.type}
        elif spec.type is bool:
            wanted |= {(spec.name, True), (spec.name, False)}
    return wanted


@pytest.mark.parametrize(
    ("knob", "value", "case"),
    [pytest.param(*case, id=f"{case[0]}={case[1]}-{case[2].__name__}") for case in CASES],
)
def test_knob(knob: str, value: Any, case: Case) -> None:
    behaviour = Behaviour().but(**{knob: value})
    assert getattr(behaviour, knob) == value
    case(behaviour)


def test_every_value_has_a_case() -> None:
    assert MODULES
    shown = {(knob, value) for knob, value, _ in CASES}
    assert wanted_values() - shown == set()


def test_every_number_has_cases_at_two_values() -> None:
    listed = {name for name, _ in wanted_values()}
    for name, *_ in knobs():
        if name not in listed:
            values = {repr(value) for knob, value, _ in CASES if knob == name}
            assert len(values) >= 2, name


@pytest.mark.parametrize(("name", "default"), [(name, default) for name, default, *_ in knobs()])
def test_a_value_that_a_knob_does_not_have_is_refused(name: str, default: object) -> None:
    if isinstance(default, StrEnum):
        with pytest.raises(ValueError, match="nonsense"):
            Behaviour().but(**{name: "nonsense"})
    assert getattr(Behaviour(), name) == default


def test_an_unknown_knob_is_refused() -> None:
    with pytest.raises(TypeError):
        Behaviour().but(no_such_knob=1)


@pytest.mark.parametrize(
    "name",
    [
        "cancel_latency_ms",
        "straggler_deltas",
        "created_latency_ms",
        "slot_free_at",
        "max_parallel_oob",
        "sideband_ready_ms",
        "max_sidebands",
        "output_started_latency_ms",
        "output_stopped_latency_ms",
        "refer_latency_ms",
    ],
)
def test_negative_durations_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Behaviour().but(**{name: -1})
