"""`--set KNOB=VALUE` reads every knob there is, and the list shows them."""

import argparse
import dataclasses
import re
from typing import Any

import pytest

from antiphon.cli.knobs import knob, listing, turned
from antiphon.emulator import PROFILES, Behaviour, Pace, profile
from antiphon.emulator.knobs.choices import CancelNoIdScope

__all__: list[str] = []

LISTED = [line for line in listing(Behaviour()).splitlines() if not line.startswith(" ")]


def values(behaviour: Behaviour) -> dict[str, Any]:
    plain = {spec.name: getattr(behaviour, spec.name) for spec in dataclasses.fields(behaviour)}
    pace = dataclasses.asdict(plain.pop("pace"))
    return plain | {f"pace.{name}": value for name, value in pace.items()}


def test_every_knob_is_listed() -> None:
    assert {line.partition("=")[0] for line in LISTED} == set(values(Behaviour()))


def test_every_knob_is_explained() -> None:
    entries = re.split(r"^(?=\S)", listing(Behaviour()), flags=re.MULTILINE)[1:]
    # Its value, what it takes, and at least a line on what it is.
    assert [one for one in entries if len(one.splitlines()) < 3] == []
    assert "multiple of real time" in next(one for one in entries if one.startswith("pace.speed="))


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_what_the_list_shows_can_be_set_and_gives_the_same_behaviour(name: str) -> None:
    behaviour = profile(name)
    shown = [line for line in listing(behaviour).splitlines() if not line.startswith(" ")]
    # From another behaviour, so that a knob that is not set shows.
    other = Behaviour(cancel_latency_ms=1, model="other", pace=Pace(speed=9))
    assert turned(other, [knob(line) for line in shown]) == behaviour


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("cancel_no_id_scope=any", "cancel_no_id_scope", CancelNoIdScope.ANY),
        ("item_done=no", "item_done", False),
        ("phase=ON", "phase", True),
        ("max_parallel_oob=2", "max_parallel_oob", 2),
        ("max_parallel_oob=none", "max_parallel_oob", None),
        ("cancel_latency_ms=1.5", "cancel_latency_ms", 1.5),
        ("error_codes_without_echo=a, b", "error_codes_without_echo", frozenset({"a", "b"})),
        ("model=gpt=4", "model", "gpt=4"),
        ("pace.speed=2", "pace.speed", 2.0),
    ],
)
def test_values_are_read_by_the_knobs_type(text: str, name: str, value: object) -> None:
    assert knob(text) == (name, value)


@pytest.mark.parametrize("text", ["item_done=perhaps", "max_parallel_oob=x", "pace=2", "=", "x"])
def test_what_is_no_setting_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        knob(text)


def test_a_part_of_the_pace_leaves_the_rest() -> None:
    behaviour = turned(Behaviour(), [("pace.speed", 2.0)])
    assert behaviour == Behaviour(pace=Pace(speed=2.0))
