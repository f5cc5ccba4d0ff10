"""Where the cases of the knobs are put together."""

from collections.abc import Callable
from typing import Any

from antiphon.emulator import Behaviour, Script, say
from tests.helpers.emulated import Emulated, Json

__all__ = ["CASES", "LONG", "Case", "code", "shows", "story"]

Case = Callable[[Behaviour], None]
CASES: list[tuple[str, Any, Case]] = []
LONG = say("A story that goes on and on for quite a while.", ms=4000)


def shows(knob: str, value: Any) -> Callable[[Case], Case]:
    """This function shows the knob at this value; it is given a behaviour that has it."""

    def register(case: Case) -> Case:
        CASES.append((knob, value, case))
        return case

    return register


def story(behaviour: Behaviour) -> Emulated:
    """A client whose every response is long."""
    return Emulated(behaviour, Script([LONG.always()]))


def code(event: Json) -> Any:
    """The error code of an event, which must be an error."""
    assert event["type"] == "error", event
    return event["error"]["code"]
