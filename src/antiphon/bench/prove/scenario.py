"""What a scenario is, and what can come of it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from antiphon.bench.report import Line
from antiphon.emulator import Behaviour, Faults, Script

if TYPE_CHECKING:
    from antiphon.bench.prove.play import Play

__all__ = [
    "GROUPS",
    "Failure",
    "NotApplicable",
    "Result",
    "Scenario",
    "ScenarioTable",
    "Verdict",
]

GROUPS = {
    "turns": "a turn, spoken or written, a tool, a greeting after a cut",
    "isolation": "several responses in flight, each with its own reader",
    "interruption": "who is stopped, when, and what comes after",
    "admission": "one response at a time in the default conversation",
    "tools": "functions that the model calls",
    "truncation": "what the server is told of what was heard",
    "reconnect": "connections that end",
    "calls": "browser and telephone calls, which a program joins beside the caller",
    "errors": "what the server refuses, and what nobody expects",
}


class Verdict(StrEnum):
    """What a client did with a scenario."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not applicable"


class Failure(Exception):
    """The client did not do what a correct one does.

    Args:
        loss: one sentence: what the user hears or loses.
        because: what was seen.
    """

    def __init__(self, loss: str, because: str = "") -> None:
        super().__init__(loss)
        self.loss = loss
        self.because = because


class NotApplicable(Exception):
    """The client does not have what this scenario is about."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script for the emulator, and what a correct client does with it.

    Args:
        name: in a command line, `group-of-words-like-this`.
        group: one of `GROUPS`.
        expects: one sentence: what a correct client does.
        reproduces: the public issue, as `owner/repository#number`.
        facts: where docs/protocol.md tells of it: `P-n` and `R-n`.
        play: drives the client and looks at what came of it; raises `Failure` or `NotApplicable`.
        control: which deliberately wrong client must fail it, in tests/prove/control.
        script, behaviour, faults: the server's.
    """

    name: str
    group: str
    expects: str
    reproduces: tuple[str, ...]
    facts: str
    play: Callable[["Play"], Awaitable[None]]
    control: str
    script: Callable[[], Script] = Script
    behaviour: Behaviour = field(default_factory=Behaviour)
    faults: Faults | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What one client did with one scenario.

    Args:
        scenario: its name.
        verdict: pass, fail, or not applicable.
        says: for a failure, what the user hears or loses; else why it is not applicable.
        because: what was seen.
        trace: for a failure: the exchange, and what the client told.
        seconds: how long it took.
    """

    scenario: str
    verdict: Verdict
    says: str = ""
    because: str = ""
    trace: tuple[Line, ...] = ()
    seconds: float = 0.0


class ScenarioTable:
    """Scenarios of one group, in the order of their definition; a decorator adds one."""

    def __init__(self, group: str) -> None:
        self._group = group
        self.scenarios: list[Scenario] = []

    def __call__(
        self,
        *,
        reproduces: str | tuple[str, ...] = (),
        facts: str = "",
        control: str,
        script: Callable[[], Script] = Script,
        behaviour: Behaviour | None = None,
        faults: Faults | None = None,
    ) -> Callable[[Callable[["Play"], Awaitable[None]]], Scenario]:
        """Add a scenario: its name is the function's, and its docstring what is expected."""

        def add(play: Callable[["Play"], Awaitable[None]]) -> Scenario:
            issues = (reproduces,) if isinstance(reproduces, str) else reproduces
            expects = " ".join((play.__doc__ or "").split())
            made = Scenario(
                name=play.__name__.replace("_", "-"),
                group=self._group,
                expects=expects,
                reproduces=issues,
                facts=facts,
                play=play,
                control=control,
                script=script,
                behaviour=behaviour or Behaviour(),
                faults=faults,
            )
            self.scenarios.append(made)
            return made

        return add
