"""The way out of a call: every controller on its line, and the gateway, which takes the sound.

Each line is a channel of its own, in order by itself (P-388), with the faults of its own
connection. What is said to whom is a knob (`event_audience`, P-380).
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from antiphon.emulator.engine.basis import Basis
from antiphon.emulator.engine.effects import Ask, Drop, Hush, Play, Proceed, ServerEffect
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.outlet import FrameOutlet
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.call_choices import EventAudience
from antiphon.emulator.shapes.dialect import translator

__all__ = ["Line", "LineKind", "Lines", "Watcher"]

Json = dict[str, Any]
# Event ids whose line is remembered, for errors that come late.
REMEMBERED = 512
# What a controller gets for its own event when it succeeds.
_ACKNOWLEDGEMENTS = frozenset(
    {
        "session.updated",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.retrieved",
        "conversation.item.truncated",
        "conversation.item.deleted",
        "input_audio_buffer.committed",
        "input_audio_buffer.cleared",
    }
)


class LineKind(StrEnum):
    """Who is at the other end of a line."""

    SIDEBAND = "sideband"
    DATA_CHANNEL = "data_channel"


class Watcher(Protocol):
    """Sees every event of the session; the gateway."""

    def before(self, event: Json) -> None:
        """It is about to be sent."""

    def after(self, event: Json) -> None:
        """It was sent."""


@dataclass(slots=True, eq=False)
class Line:
    """One connection to a call."""

    number: int
    kind: LineKind
    outlet: FrameOutlet


class Lines:
    """All lines of a call.

    Args:
        basis: for time, chance and appointments.
        behaviour: the knobs.

    Attributes:
        cause: the number of the line whose event is being handled, or None.
        watcher: sees every event.
    """

    def __init__(self, basis: Basis, behaviour: Behaviour) -> None:
        self.cause: int | None = None
        self.watcher: Watcher | None = None
        self._basis = basis
        self._knobs = behaviour
        self._lines: dict[int, Line] = {}
        self._number = 0
        self._asked: list[ServerEffect] = []
        self._causes: OrderedDict[str, int] = OrderedDict()

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    def get(self, number: int) -> Line | None:
        """The line of this number, if it is still there."""
        return self._lines.get(number)

    def add(self, kind: LineKind, faults: Faults | None) -> Line:
        """One more line; its faults count from now."""
        self._number += 1
        outlet = FrameOutlet(
            self._basis,
            translator(self._knobs.dialect),
            faults,
            behind_proxy=self._knobs.behind_proxy,
        )
        line = Line(self._number, kind, outlet)
        self._lines[line.number] = line
        line.outlet.start()
        return line

    def remove(self, number: int) -> None:
        """A line is gone. Harmless if it was."""
        self._lines.pop(number, None)

    def remember(self, event_id: object, number: int) -> None:
        """This line has sent an event with this id: an error that names it is for this line."""
        if isinstance(event_id, str):
            self._causes[event_id] = number
            self._causes.move_to_end(event_id)
            if len(self._causes) > REMEMBERED:
                self._causes.popitem(last=False)

    def collect(self) -> list[tuple[int, list[ServerEffect]]]:
        """What is to be done on each line since the last call."""
        return [(line.number, effects) for line in self if (effects := line.outlet.take())]

    def publish(self, event: Json) -> None:
        """Send an event to all, whoever caused it."""
        for line in list(self):
            line.outlet.send(event)

    # The way out of an engine

    @property
    def cut(self) -> bool:
        """A call does not end with one of its lines."""
        return False

    def start(self) -> None:
        """The call begins; there are no lines yet."""

    def send(self, event: Json) -> None:
        """Send an event to whom it concerns, with the gateway watching."""
        if self.watcher is not None:
            self.watcher.before(event)
        if event["type"] != "response.output_audio.delta":  # P-378
            for line in self._addressees(event):
                line.outlet.send(event)
        if self.watcher is not None:
            self.watcher.after(event)

    def ask(self, effect: Ask | Proceed | Drop | Play | Hush) -> None:
        """Have something done, or not done any more."""
        self._asked.append(effect)

    def close(self, code: int | None, reason: str) -> None:
        """Close every line after what was sent."""
        for line in self:
            line.outlet.close(code, reason)

    def cut_off(self) -> None:
        """Cut every line after what was sent."""
        for line in self:
            line.outlet.cut_off()

    def take(self) -> list[ServerEffect]:
        """The effects of the session, none of which is for a line."""
        asked, self._asked = self._asked, []
        return asked

    def keep_appointments(self) -> None:
        """All other deadlines are void: make those of the frames that wait anew."""
        for line in self:
            line.outlet.keep_appointments()

    def _addressees(self, event: Json) -> list[Line]:
        everybody = list(self._lines.values())
        kind = event["type"]
        if kind == "error":
            if self._knobs.event_audience is EventAudience.ALL_TO_ALL:
                return everybody
            cause = self._cause_of(event)
        elif self._knobs.event_audience is EventAudience.OWN_ONLY and kind in _ACKNOWLEDGEMENTS:
            cause = self.cause
        else:
            cause = None
        if cause is None:
            return everybody
        own = self._lines.get(cause)
        return [own] if own is not None else []

    def _cause_of(self, event: Json) -> int | None:
        if self.cause is not None:
            return self.cause
        # An error that comes late, such as one for an item that had to wait.
        named = event["error"].get("event_id") or event.get("event_id")
        return self._causes.get(named) if isinstance(named, str) else None
