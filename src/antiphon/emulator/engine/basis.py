"""What one emulated session stands on: its time, its chance, its ids and its deadlines."""

from collections.abc import Callable
from random import Random

from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.choices import Dialect
from antiphon.emulator.state.agenda import Agenda, Entry
from antiphon.emulator.state.ids import Ids

__all__ = ["Basis"]


class Basis:
    """Time, chance, ids and deadlines: all that makes a run repeatable.

    Args:
        behaviour: for the form of ids.
        seed: everything random follows from it.
        epoch: Unix time in seconds at the start.

    `now` is the time of the present input, in seconds, and `started` that of the first; both are
    set by the engine only.
    """

    def __init__(self, behaviour: Behaviour, seed: int | str, epoch: float) -> None:
        self.now = 0.0
        self.started = 0.0
        self.epoch = epoch
        self.rng = Random(seed)
        self.ids = Ids(self.rng, self.wall, as_uuid=behaviour.dialect is Dialect.XAI)
        self.agenda = Agenda()

    def wall(self) -> float:
        """Unix time that the session believes it is."""
        return self.epoch + self.now - self.started

    def later(self, delay_s: float, action: Callable[[], None]) -> Entry:
        """Do something `delay_s` seconds from now."""
        return self.agenda.at(self.now + delay_s, action)
