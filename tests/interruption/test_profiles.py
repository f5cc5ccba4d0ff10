"""The sentences with the servers that are known, each used as its profile says."""

from importlib import import_module
from typing import Any

import pytest
from msgspec.structs import asdict

import antiphon
from antiphon.emulator import PROFILES
from tests.interruption.stage import SENTENCES, Sentence, perform

__all__: list[str] = []

for _name in ("test_who_is_stopped", "test_when_it_is_asked", "test_when_all_goes_wrong"):
    import_module(f"tests.interruption.{_name}")


def options_for(name: str) -> dict[str, Any]:
    usual = asdict(antiphon.Options())
    known = asdict(antiphon.Options.for_server(name))
    return {setting: value for setting, value in known.items() if value != usual[setting]}


HOW: dict[str, dict[str, Any]] = {
    "openai": {},
    "openai-2025-06-03": {},
    "azure": {},
    "azure-beta": {"dialect": "beta"},
    "xai": {"dialect": "beta"},
    "localai": {"options": options_for("localai")},
    "speaches": {"options": options_for("speaches")},
    "speech-to-speech": {},
    "aimock": {"options": options_for("aimock")},
    "litellm": {},
}


def can(name: str, one: Sentence) -> bool:
    """Whether the server has what the sentence is about."""
    if one.is_control or name == "aimock":  # it stops nothing, whoever asks (P-466)
        return False
    if name == "speaches" and one.number != 13:
        return "refuses_every_cancel" in one.name  # it does (P-309)
    # Its turn detection does not listen while it speaks (P-299).
    return not (name == "xai" and "barge_in" in one.name)


@pytest.mark.parametrize(
    ("name", "one"),
    [
        pytest.param(name, one, id=f"{name}-{one.number}-{one.name[5:60]}")
        for name in PROFILES
        for one in SENTENCES
        if can(name, one)
    ],
)
def test_sentence_holds_with_a_known_server(name: str, one: Sentence) -> None:
    # One response at a time, which is what the lesser ones among them can do.
    # What the stage itself takes for its cues is known to all of them.
    behaviour = PROFILES[name].but(unsupported_events=frozenset())
    perform(one.play, "memory", "single", behaviour=behaviour, **HOW[name])


def test_every_profile_is_known_here() -> None:
    assert set(HOW) == set(PROFILES)
