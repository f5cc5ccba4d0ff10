"""What the parts of one emulated session share: its time, ids, deadlines and way out."""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from antiphon.emulator.engine.desk import Desk
from antiphon.emulator.engine.effects import Ask, Drop, Proceed
from antiphon.emulator.faculties.work import NO_FACULTIES, Faculties
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.choices import Dialect, EventIdEcho, EventIdPlace
from antiphon.emulator.scripts.script import Script
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.agenda import Agenda, Entry
from antiphon.emulator.state.conversation import Conversation
from antiphon.emulator.state.ids import Ids
from antiphon.emulator.state.session import SessionState

__all__ = ["Core", "Outlet"]

Json = dict[str, Any]


class Outlet(Protocol):
    """Where server events leave the engine."""

    def send(self, event: Json) -> None:
        """Send one event, or what the faults make of it."""

    def ask(self, effect: Ask | Proceed | Drop) -> None:
        """Have something done, or not done any more."""


class Core:
    """Shared by the parts of one engine. Holds no rule of the protocol but the form of errors.

    `now` is the time of the present input, in seconds; it is set by the engine only.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        script: Script,
        seed: int | str,
        epoch: float,
        model: str,
        faculties: Faculties = NO_FACULTIES,
    ) -> None:
        self.behaviour = behaviour
        self.script = script
        self.rng = Random(seed)
        self.now = 0.0
        self.started = 0.0
        self.epoch = epoch
        self.ids = Ids(self.rng, self.wall, as_uuid=behaviour.dialect is Dialect.XAI)
        self.agenda = Agenda()
        self.session = SessionState(
            behaviour, self.ids.new("sess"), model, epoch + behaviour.session_max_s
        )
        self.conversation = Conversation(self.ids.new("conv"))
        self._outlet: Outlet | None = None
        self.desk = Desk(faculties, self._ask)

    def attach(self, outlet: Outlet) -> None:
        """Set the way out."""
        self._outlet = outlet

    def wall(self) -> float:
        """Unix time that the session believes it is."""
        return self.epoch + self.now - self.started

    def later(self, delay_s: float, action: Callable[[], None]) -> Entry:
        """Do something `delay_s` seconds from now."""
        return self.agenda.at(self.now + delay_s, action)

    def emit(self, kind: str, **fields: Any) -> None:
        """Send a server event with an id of its own (P-81)."""
        if self._outlet is not None:
            self._outlet.send({"type": kind, "event_id": self.ids.new("event"), **fields})

    def _ask(self, effect: Ask | Proceed | Drop) -> None:
        if self._outlet is not None:
            self._outlet.ask(effect)

    def refuse(self, refusal: Refusal, event_id: str | None) -> None:
        """Send the `error` event for a client event (P-82, P-83, P-86)."""
        echo = event_id if self._echoes(refusal) else None
        error: Json = {
            "type": refusal.type,
            "code": refusal.code,
            "message": refusal.message,
            "param": refusal.param,
            "event_id": echo,
        }
        if self.behaviour.error_event_id_place is EventIdPlace.ERROR or echo is None:
            self.emit("error", error=error)
        elif self._outlet is not None:
            error.pop("event_id")
            self._outlet.send({"type": "error", "event_id": echo, "error": error})

    def _echoes(self, refusal: Refusal) -> bool:
        match self.behaviour.error_event_id_echo:
            case EventIdEcho.ALWAYS:
                return True
            case EventIdEcho.NEVER:
                return False
            case _:
                return refusal.code not in self.behaviour.error_codes_without_echo
