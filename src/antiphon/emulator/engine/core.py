"""What the parts of one emulated session share: its time, ids, deadlines and way out."""

from collections.abc import Callable
from typing import Any, Protocol

from antiphon.emulator.engine.basis import Basis
from antiphon.emulator.engine.caching import PromptCache
from antiphon.emulator.engine.desk import Desk
from antiphon.emulator.engine.effects import Ask, Drop, Proceed
from antiphon.emulator.faculties.work import NO_FACULTIES, Faculties
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.choices import ErrorCodePlace, EventIdEcho, EventIdPlace
from antiphon.emulator.scripts.script import Script
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.agenda import Entry
from antiphon.emulator.state.conversation import Conversation
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

    Args:
        basis: time, chance, ids and deadlines.
        outlet: the way out.
        behaviour: the knobs.
        script: what the model answers.
        model: the model that the connection asked for, or "".
        faculties: what may be asked for by `Ask` effects.
    """

    def __init__(
        self,
        basis: Basis,
        outlet: Outlet,
        behaviour: Behaviour,
        script: Script,
        model: str,
        faculties: Faculties = NO_FACULTIES,
    ) -> None:
        self.behaviour = behaviour
        self.script = script
        self.rng = basis.rng
        self.ids = basis.ids
        self.session = SessionState(
            behaviour, self.ids.new("sess"), model, basis.epoch + behaviour.session_max_s
        )
        self.prompt_cache = PromptCache()
        self.conversation = Conversation(self.ids.new("conv"))
        self._basis = basis
        self._outlet = outlet
        self.desk = Desk(faculties, outlet.ask)

    def later(self, delay_s: float, action: Callable[[], None]) -> Entry:
        """Do something `delay_s` seconds from now."""
        return self._basis.later(delay_s, action)

    def emit(self, kind: str, **fields: Any) -> None:
        """Send a server event with an id of its own (P-81)."""
        self._outlet.send({"type": kind, "event_id": self.ids.new("event"), **fields})

    def refuse(self, refusal: Refusal, event_id: str | None) -> None:
        """Send the `error` event for a client event (P-82, P-83, P-86)."""
        echo = event_id if self._echoes(refusal) else None
        kind, code = refusal.type, refusal.code
        if self.behaviour.error_code_place is ErrorCodePlace.TYPE:  # P-306
            kind, code = code or kind, None
        error: Json = {
            "type": kind,
            "code": code,
            "message": refusal.message,
            "param": refusal.param,
            "event_id": echo,
        }
        if self.behaviour.error_event_id_place is EventIdPlace.ERROR or echo is None:
            self.emit("error", error=error)
        else:
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
