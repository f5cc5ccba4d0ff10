"""Small checks that are put together into the shape of an event.

A check takes a JSON value and its path from the root of the event and either returns or raises
a `Refusal` in the server's words. Nothing here knows the protocol; see client_events.py.
"""

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import Refusal, UnknownField

__all__ = [
    "Check",
    "anything",
    "array",
    "boolean",
    "checked_without_unknown",
    "integer",
    "mapping",
    "nullable",
    "number",
    "obj",
    "one_of",
    "string",
    "tagged",
]

Check = Callable[[Any, str], None]
# Fields of one event that are passed over; each costs a walk through it.
MOST_UNKNOWN = 64


def anything(value: Any, path: str) -> None:
    """Accept whatever there is."""


def string(
    *, limit: int | None = None, values: tuple[str, ...] = (), pattern: str | None = None
) -> Check:
    """A string, at most `limit` characters, one of `values`, matching `pattern` as a whole."""
    matcher = re.compile(pattern) if pattern else None

    def check(value: Any, path: str) -> None:
        if not isinstance(value, str):
            raise errors.invalid_type(path, "a string", value)
        if limit is not None and len(value) > limit:
            raise errors.too_long(path, limit, len(value))
        if values and value not in values:
            raise errors.invalid_value(path, value, values)
        if matcher and not matcher.fullmatch(value):
            raise errors.bad_pattern(path, f"^{pattern}$")

    return check


def boolean(value: Any, path: str) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise errors.invalid_type(path, "a boolean", value)


def integer(low: int, high: int) -> Check:
    """A whole number within bounds."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise errors.invalid_type(path, "an integer", value)
        if not low <= value <= high:
            raise errors.out_of_range(path, value, low, high)

    return check


def number(low: float, high: float) -> Check:
    """Any number within bounds."""

    def check(value: Any, path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise errors.invalid_type(path, "a decimal", value)
        if not low <= value <= high:
            raise errors.out_of_range(path, value, low, high)

    return check


def nullable(inner: Check) -> Check:
    """Null, or what `inner` accepts."""

    def check(value: Any, path: str) -> None:
        if value is not None:
            inner(value, path)

    return check


def array(element: Check, *, limit: int | None = None) -> Check:
    """An array of checked elements."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, list):
            raise errors.invalid_type(path, "an array", value)
        if limit is not None and len(value) > limit:
            raise errors.too_many(path, limit, len(value), what="elements")
        for place, inner in enumerate(value):
            element(inner, f"{path}[{place}]")

    return check


def obj(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """An object with these fields and no others; the first offence in order of the input counts."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise errors.invalid_type(path, "an object", value)
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                raise errors.missing(prefix + name)
        for name, inner in value.items():
            field = fields.get(name)
            if field is None:
                raise errors.unknown_field(prefix + name, value, name)
            field(inner, prefix + name)

    return check


def mapping(value_check: Check, *, limit: int, key_limit: int) -> Check:
    """An object with free keys."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise errors.invalid_type(path, "an object", value)
        if len(value) > limit:
            raise errors.too_many(path, limit, len(value), what="properties")
        for name, inner in value.items():
            if len(name) > key_limit:
                raise errors.too_long(path, key_limit, len(name))
            value_check(inner, f"{path}.{name}")

    return check


def tagged(tag: str, shapes: Mapping[str, Check], *, default: str | None = None) -> Check:
    """An object whose field `tag` says which shape it has."""

    def check(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise errors.invalid_type(path, "an object", value)
        prefix = f"{path}." if path else ""
        if tag not in value and default is None:
            raise errors.missing(prefix + tag)
        kind = value.get(tag, default)
        if not isinstance(kind, str):
            raise errors.invalid_type(prefix + tag, "a string", kind)
        if kind not in shapes:
            raise errors.invalid_value(prefix + tag, kind, shapes)
        shapes[kind](value, path)

    return check


def one_of(*choices: Check) -> Check:
    """What any of the checks accepts; else the first refusal not about the kind of value."""

    def check(value: Any, path: str) -> None:
        refusals: list[Refusal] = []
        for choice in choices:
            try:
                choice(value, path)
            except Refusal as refusal:
                refusals.append(refusal)
            else:
                return
        # A refusal about the value's kind says less than one about what is in it.
        telling = [refusal for refusal in refusals if refusal.code != "invalid_type"]
        raise (telling or refusals)[0]

    return check


def checked_without_unknown(check: Check, event: dict[str, Any]) -> dict[str, Any]:
    """The event without the fields that its schema does not have.

    Raises:
        Refusal: something else is wrong with it, or it has more than 64 such fields.
    """
    kept = event
    for _ in range(MOST_UNKNOWN):
        try:
            check(kept, "")
            return kept
        except UnknownField as unknown:
            if kept is event:  # the client's own frame stays as it was sent
                kept = copy.deepcopy(event)
                continue
            del unknown.holder[unknown.name]
    check(kept, "")
    return kept
