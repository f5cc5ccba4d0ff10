"""What goes wrong, by script or by chance; a seed repeats a run exactly.

    Faults(
        on("response.done", nth=1).drop(),
        on("response.output_audio.delta", nth=5).delay(2.0),
        on("response.created").hold(until="response.output_audio.delta"),
        after(10.0).abort(),
        chance=Chance(delay=0.05, drop=0.01),
    )

Rules look at server events by their GA type, before the dialect renames them. The channel is
ordered, as a socket is (P-131): a delayed frame delays all frames behind it. Only `hold` changes
the order, as a server does that sends an event late.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from antiphon.emulator.engine.effects import SendFrame

__all__ = [
    "Act",
    "After",
    "Chance",
    "Faults",
    "On",
    "Rule",
    "after",
    "half_of",
    "on",
    "response_id_of",
]

Json = dict[str, Any]


class Act(StrEnum):
    """What is done to an event, or to the connection."""

    DELAY = "delay"
    DROP = "drop"
    DUPLICATE = "duplicate"
    HOLD = "hold"
    CHANGE = "change"
    REPLACE_FRAME = "replace_frame"
    SEND = "send"
    CLOSE = "close"
    ABORT = "abort"
    HALF_FRAME = "half_frame"
    STALL = "stall"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault. Made by `on` and `after`.

    Args:
        act: what happens.
        event: which events it happens to: a type, with `*` for any part; "" for a time.
        nth: only the nth such event (from 1); None for each.
        test: only if this function of the event says so.
        at_s: seconds after the connection, for a rule of time.
        seconds: how long, for delays and stalls.
        until: for `hold`: the type of event that it is held until.
        same_response: for `hold`: that event must not be of another response.
        change: for `change`: makes the event that is sent instead.
        frame: for `replace_frame`: makes the bytes that are sent instead.
        extra: for `send`: the event.
        code: close code; None for a close frame without one.
        reason: close reason.
    """

    act: Act
    event: str = ""
    nth: int | None = None
    test: Callable[[Json], bool] | None = None
    at_s: float = 0.0
    seconds: float = 0.0
    until: str = ""
    same_response: bool = True
    change: Callable[[Json], Json] | None = None
    frame: Callable[[bytes], bytes] | None = None
    extra: Json | None = None
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class After:
    """Faults of the connection, at a time."""

    rule: Rule

    def close(self, code: int | None = 1000, reason: str = "") -> Rule:
        """Close with this code, or with a close frame that holds none."""
        return replace(self.rule, act=Act.CLOSE, code=code, reason=reason)

    def abort(self) -> Rule:
        """Cut the connection without a close frame."""
        return replace(self.rule, act=Act.ABORT)

    def stall(self, seconds: float = float("inf")) -> Rule:
        """Send nothing for so long, with the socket open; then everything that waited."""
        return replace(self.rule, act=Act.STALL, seconds=seconds)

    def send(self, event: Json) -> Rule:
        """Send an event that nobody asked for."""
        return replace(self.rule, act=Act.SEND, extra=event)


@dataclass(frozen=True, slots=True)
class On(After):
    """Faults of certain events. The connection's faults happen in place of the event."""

    def drop(self) -> Rule:
        """Do not send it."""
        return replace(self.rule, act=Act.DROP)

    def delay(self, seconds: float) -> Rule:
        """Send it, and all that is behind it, so much later."""
        return replace(self.rule, act=Act.DELAY, seconds=seconds)

    def duplicate(self) -> Rule:
        """Send it twice."""
        return replace(self.rule, act=Act.DUPLICATE)

    def hold(self, *, until: str, same_response: bool = True) -> Rule:
        """Send it late: right after the next event of type `until`.

        Args:
            until: that event's type. If it never comes, neither does this one.
            same_response: events of other responses do not count; those of no response do.
        """
        return replace(self.rule, act=Act.HOLD, until=until, same_response=same_response)

    def change(self, to: Callable[[Json], Json]) -> Rule:
        """Send what the function makes of it."""
        return replace(self.rule, act=Act.CHANGE, change=to)

    def without(self, *path: str) -> Rule:
        """Send it without a field, such as `without("error", "event_id")`."""
        return self.change(lambda event: _without(event, path))

    def with_value(self, value: Any, *path: str) -> Rule:
        """Send it with a field set to a value, such as `with_value(None, "error", "event_id")`."""
        return self.change(lambda event: _with(event, path, value))

    def malformed(self, frame: bytes = b'{"type":"response.done","resp') -> Rule:
        """Send bytes that are no JSON instead."""
        return replace(self.rule, act=Act.REPLACE_FRAME, frame=lambda sent: frame)

    def oversized(self, size: int) -> Rule:
        """Send it blown up with spaces to `size` bytes."""
        return replace(self.rule, act=Act.REPLACE_FRAME, frame=lambda sent: sent.ljust(size))

    def half_frame(self) -> Rule:
        """Send half of its frame and cut the connection."""
        return replace(self.rule, act=Act.HALF_FRAME)


def on(event: str, *, nth: int | None = None, test: Callable[[Json], bool] | None = None) -> On:
    """Something goes wrong with a server event.

    Args:
        event: its GA type; `*` stands for any part, as in `response.output_*.delta`.
        nth: only the nth such event of the connection, from 1; by default each.
        test: only if this function of the event (in GA names) says so; tested before counting.
    """
    return On(Rule(act=Act.DROP, event=event, nth=nth, test=test))


def after(seconds: float) -> After:
    """Something goes wrong so many seconds after the connection was opened."""
    return After(Rule(act=Act.ABORT, at_s=seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chance:
    """Faults by chance: a probability for each event (0 to 1), drawn from the engine's seed.

    Args:
        delay: that an event is delayed by up to `max_delay_s`.
        max_delay_s: the longest such delay, in seconds.
        drop: that it is lost.
        duplicate: that it is sent twice.
        malformed: that bytes are sent in its place that are no JSON.
        abort: that the connection is cut in its place.
        only: which events may be hit: a type, with `*` for any part.
    """

    delay: float = 0.0
    max_delay_s: float = 0.2
    drop: float = 0.0
    duplicate: float = 0.0
    malformed: float = 0.0
    abort: float = 0.0
    only: str = "*"


class Faults:
    """A set of faults: rules, and what happens by chance. Immutable; each engine counts for itself.

    Args:
        *rules: made by `on` and `after`; for one event the first that fits counts.
        chance: what happens to events that no rule fits.
    """

    def __init__(self, *rules: Rule, chance: Chance | None = None) -> None:
        self.timed = [rule for rule in rules if not rule.event]
        self.chance = chance
        self._exact: dict[str, list[tuple[int, Rule]]] = {}
        self._globs: list[tuple[int, Rule]] = []
        for number, rule in enumerate(rules):
            if not rule.event:
                continue
            if "*" in rule.event:
                self._globs.append((number, rule))
            else:
                self._exact.setdefault(rule.event, []).append((number, rule))

    def fitting(self, event: Json) -> list[tuple[int, Rule]]:
        """Rules that speak of this event, with their numbers, in order."""
        kind = event["type"]
        found = list(self._exact.get(kind, ()))
        found += [(n, rule) for n, rule in self._globs if fnmatchcase(kind, rule.event)]
        found = [(n, rule) for n, rule in found if rule.test is None or rule.test(event)]
        return sorted(found, key=lambda pair: pair[0])


def half_of(frame: SendFrame) -> bytes:
    """The first half of a frame's payload."""
    return frame.data[: len(frame.data) // 2]


def response_id_of(event: Json) -> str | None:
    """The response that an event belongs to, if it says so."""
    inner = event.get("response")
    found = inner.get("id") if isinstance(inner, dict) else event.get("response_id")
    return found if isinstance(found, str) else None


def _without(event: Json, path: tuple[str, ...]) -> Json:
    changed = dict(event)
    if len(path) == 1:
        changed.pop(path[0], None)
    elif isinstance(changed.get(path[0]), dict):
        changed[path[0]] = _without(changed[path[0]], path[1:])
    return changed


def _with(event: Json, path: tuple[str, ...], value: Any) -> Json:
    if not path:
        raise ValueError("name the field to set")
    inner = value if len(path) == 1 else _with(event.get(path[0]) or {}, path[1:], value)
    return {**event, path[0]: inner}
