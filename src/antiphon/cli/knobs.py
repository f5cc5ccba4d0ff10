"""`--set KNOB=VALUE`: the emulator's knobs from a command line."""

import argparse
import dataclasses
import inspect
import re
from collections.abc import Iterable
from enum import EnumType
from textwrap import wrap
from types import UnionType
from typing import Any, get_args

from antiphon.cli.arguments import suggestion
from antiphon.emulator import Behaviour, Pace

__all__ = ["knob", "listing", "turned"]

_YES, _NO = ("yes", "true", "on", "1"), ("no", "false", "off", "0")
_KNOBS = {spec.name: spec for spec in dataclasses.fields(Behaviour)}
_PACE = {f"pace.{spec.name}": spec for spec in dataclasses.fields(Pace)}


def knob(text: str) -> tuple[str, Any]:
    """Read one `KNOB=VALUE`.

    Returns:
        The knob's name, `pace.NAME` for a part of the pace, and its value.
    """
    name, equals, value = text.partition("=")
    known = [name for name in _KNOBS if name != "pace"] + list(_PACE)
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KNOB=VALUE")
    if name not in known:
        raise argparse.ArgumentTypeError(
            f"no knob {name!r}.{suggestion(name, known)} See them all: antiphon serve --knobs"
        )
    kind = (_KNOBS.get(name) or _PACE[name]).type
    try:
        return name, _read(value, kind)
    except ValueError:
        values = [member.value for member in kind] if isinstance(kind, EnumType) else []
        meant = suggestion(value, values)
        raise argparse.ArgumentTypeError(
            f"{name} cannot be {value!r}.{meant} It takes: {_takes(kind)}"
        ) from None


def turned(behaviour: Behaviour, settings: Iterable[tuple[str, Any]]) -> Behaviour:
    """The behaviour with these knobs set.

    Raises:
        ValueError: a value is out of its knob's bounds.
    """
    plain: dict[str, Any] = {}
    pace: dict[str, Any] = {}
    for name, value in settings:
        if name.startswith("pace."):
            pace[name.removeprefix("pace.")] = value
        else:
            plain[name] = value
    if pace:
        plain["pace"] = dataclasses.replace(behaviour.pace, **pace)
    return behaviour.but(**plain)


def listing(behaviour: Behaviour, width: int = 100) -> str:
    """Every knob: its value in this behaviour, what else it takes, and what it is."""
    lines = []
    for name, spec in _KNOBS.items():
        if name != "pace":
            says = f"{spec.metadata['says']} ({spec.metadata['facts']})"
            lines += _entry(name, _shown(getattr(behaviour, name)), spec.type, says, width)
    told = _told_of(Pace)
    for name, spec in _PACE.items():
        value = getattr(behaviour.pace, spec.name)
        lines += _entry(name, _shown(value), spec.type, told.get(spec.name, ""), width)
    return "\n".join(lines)


def _told_of(settings: type) -> dict[str, str]:
    """What the docstring of a class says of each of its arguments."""
    _, _, arguments = (inspect.getdoc(settings) or "").partition("Args:\n")
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", arguments, re.MULTILINE | re.DOTALL)
    told = {name: " ".join(words.split()) for name, words in found}
    return {name: words[:1].upper() + words[1:] for name, words in told.items()}


def _entry(name: str, value: str, kind: Any, says: str, width: int) -> list[str]:
    text = wrap(says.replace("`", ""), width - 6)
    return [f"{name}={value}", f"      takes {_takes(kind)}", *(f"      {line}" for line in text)]


def _read(value: str, kind: Any) -> Any:
    if isinstance(kind, UnionType):  # a number, or none
        if value.lower() in ("none", "null", ""):
            return None
        kind = next(choice for choice in get_args(kind) if choice is not type(None))
    if kind is bool:
        if value.lower() in _YES:
            return True
        if value.lower() in _NO:
            return False
        raise ValueError(value)
    if kind in (int, float, str) or isinstance(kind, EnumType):
        return kind(value)
    return frozenset(part.strip() for part in value.split(",") if part.strip())


def _takes(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return "a whole number, or none"
    if isinstance(kind, EnumType):
        return " | ".join(kind)
    names = {bool: "yes | no", int: "a whole number", float: "a number", str: "a word"}
    return names.get(kind, "words, separated by commas")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
