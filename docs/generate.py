"""Write the parts of the documents that are drawn from the code.

`make docs` runs this; tests/test_protocol_page.py fails when a document is out of date. A drawn
part stands between `<!-- drawn: NAME -->` and `<!-- end of NAME -->`.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.calls import CallKnobs
from antiphon.emulator.knobs.profiles import PROFILES
from antiphon.protocol.lifecycle import TOLERANCES, TRANSITIONS, ResponseState
from antiphon.protocol.playout import PLAYOUT, PlayoutState

__all__ = ["DRAWN", "main", "redraw"]

DOCS = Path(__file__).parent


def values(spec: "dataclasses.Field[object]") -> str:
    """What the knob can be, its default first and bold."""
    kind, default = spec.type, spec.default
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        others = [value.value for value in kind if value is not default]
        return ", ".join([f"**{default}**", *others])
    if isinstance(default, bool):
        return "**yes**, no" if default else "**no**, yes"
    if isinstance(default, frozenset):
        return ", ".join(f"**{value}**" for value in sorted(default)) or "**none**, names"
    if dataclasses.is_dataclass(default):
        return f"see `{type(default).__name__}`"
    return "**none**, a number" if default is None else f"**{default}**"


def knobs(*, of_calls: bool = False) -> str:
    """One line for every knob: those of calls, or all others."""
    calls = {spec.name for spec in dataclasses.fields(CallKnobs)}
    rows = ["| knob | values | what it is | facts it varies |", "| --- | --- | --- | --- |"]
    for spec in dataclasses.fields(Behaviour):
        if (spec.name in calls) is not of_calls:
            continue
        says, facts = spec.metadata["says"], spec.metadata["facts"]
        rows.append(f"| K-{spec.name} | {values(spec)} | {says} | {facts} |")
    return "\n".join(rows)


def profiles() -> str:
    """What each profile changes."""
    rows = ["| profile | knobs that are not at their default |", "| --- | --- |"]
    for name, behaviour in PROFILES.items():
        changed = [
            f"{spec.name} {_shown(getattr(behaviour, spec.name))}"
            for spec in dataclasses.fields(Behaviour)
            if getattr(behaviour, spec.name) != spec.default
        ]
        rows.append(f"| `{name}` | {', '.join(changed) or 'none'} |")
    return "\n".join(rows)


def _shown(value: object) -> str:
    return " and ".join(sorted(value)) if isinstance(value, frozenset) else str(value)


State = TypeVar("State", bound=StrEnum)
Input = TypeVar("Input", bound=StrEnum)
Done = TypeVar("Done", bound=StrEnum)
Rows = Mapping[State, Mapping[Input, tuple[tuple[Done, ...], State]]]


def transitions(table: Rows[State, Input, Done]) -> str:
    """One line for every row of the table."""
    lines = ["| state | input | actions | next state |", "| --- | --- | --- | --- |"]
    for state, rows in table.items():
        for fired, (actions, target) in rows.items():
            done = ", ".join(actions) or "nothing"
            to = "the same" if target is state else f"`{target}`"
            lines.append(f"| `{state}` | `{fired}` | {done} | {to} |")
    return "\n".join(lines)


def tolerances() -> str:
    parts = [f"`{tolerance}`\n\n{transitions(table)}" for tolerance, table in TOLERANCES.items()]
    return "\n\n".join(parts)


def diagram(table: Rows[State, Input, Done], first: State, *last: State) -> str:
    """A table as a picture, without the rows that change nothing."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    for state, rows in table.items():
        inputs: dict[State, list[str]] = {}
        for fired, (_, target) in rows.items():
            if target is not state:
                inputs.setdefault(target, []).append(fired)
        lines += [f"    {state} --> {to}: {', '.join(fired)}" for to, fired in inputs.items()]
    return "\n".join([*lines, *(f"    {state} --> [*]" for state in last), "```"])


# Document and name of each drawn part -> what draws it.
def program(path: str) -> str:
    """An example, as it stands in its file and is run by its tests."""
    return f"```python\n{(DOCS.parent / 'examples' / path).read_text()}```"


DRAWN: dict[tuple[str, str], Callable[[], str]] = {
    ("protocol.md", "knobs"): knobs,
    ("protocol.md", "call-knobs"): lambda: knobs(of_calls=True),
    ("emulator.md", "profiles"): profiles,
    ("calls.md", "browser_call"): lambda: program("browser_call/server.py"),
    ("calls.md", "phone_agent"): lambda: program("phone_agent.py"),
    ("state-machine.md", "diagram"): lambda: diagram(
        TRANSITIONS, ResponseState.IDLE, ResponseState.CLOSED
    ),
    ("state-machine.md", "transitions"): lambda: transitions(TRANSITIONS),
    ("state-machine.md", "tolerances"): tolerances,
    ("state-machine.md", "playout diagram"): lambda: diagram(
        PLAYOUT, PlayoutState.SILENT, PlayoutState.OVER, PlayoutState.REFUSED
    ),
    ("state-machine.md", "playout"): lambda: transitions(PLAYOUT),
}


def redraw(text: str, name: str, drawn: str) -> str:
    """The document with one drawn part replaced.

    Raises:
        ValueError: the document has no place for it.
    """
    start, end = f"<!-- drawn: {name} -->\n", f"\n<!-- end of {name} -->"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    text, count = pattern.subn(lambda _: f"{start}\n{drawn}\n{end}", text)
    if count != 1:
        raise ValueError(f"{count} places for {name}")
    return text


def main() -> None:
    for (document, name), draw in DRAWN.items():
        path = DOCS / document
        path.write_text(redraw(path.read_text(), name, draw()))


if __name__ == "__main__":
    main()
