"""A faithful local OpenAI Realtime server, for testing clients without a key.

It is an independent reading of docs/protocol.md: nothing here comes from the client.

Names are imported when they are first used, so that the pytest plugin, which pytest loads in every
project where antiphon is installed, costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from antiphon.emulator.behaviour import Behaviour as Behaviour
    from antiphon.emulator.effects import (
        Abort as Abort,
    )
    from antiphon.emulator.effects import (
        CloseConnection as CloseConnection,
    )
    from antiphon.emulator.effects import (
        SendFrame as SendFrame,
    )
    from antiphon.emulator.effects import (
        SendHalfFrame as SendHalfFrame,
    )
    from antiphon.emulator.effects import (
        ServerEffect as ServerEffect,
    )
    from antiphon.emulator.engine import Engine as Engine
    from antiphon.emulator.faults import (
        Chance as Chance,
    )
    from antiphon.emulator.faults import (
        Faults as Faults,
    )
    from antiphon.emulator.faults import (
        after as after,
    )
    from antiphon.emulator.faults import (
        on as on,
    )
    from antiphon.emulator.memory import (
        MemoryConnector as MemoryConnector,
    )
    from antiphon.emulator.memory import (
        MemoryTransport as MemoryTransport,
    )
    from antiphon.emulator.pace import Pace as Pace
    from antiphon.emulator.profiles import PROFILES as PROFILES
    from antiphon.emulator.profiles import profile as profile
    from antiphon.emulator.script import (
        Answer as Answer,
    )
    from antiphon.emulator.script import (
        Prompt as Prompt,
    )
    from antiphon.emulator.script import (
        Script as Script,
    )
    from antiphon.emulator.script import (
        ScriptNotConsumed as ScriptNotConsumed,
    )
    from antiphon.emulator.script import (
        answer as answer,
    )
    from antiphon.emulator.script import (
        call as call,
    )
    from antiphon.emulator.script import (
        fail as fail,
    )
    from antiphon.emulator.script import (
        incomplete as incomplete,
    )
    from antiphon.emulator.script import (
        misheard as misheard,
    )
    from antiphon.emulator.script import (
        say as say,
    )
    from antiphon.emulator.script import (
        silence as silence,
    )
    from antiphon.emulator.script import (
        stall as stall,
    )
    from antiphon.emulator.script import (
        text as text,
    )
    from antiphon.emulator.server import EmulatorServer as EmulatorServer
    from antiphon.emulator.threaded import ThreadedServer as ThreadedServer
    from antiphon.emulator.virtual_time import (
        VirtualDeadlock as VirtualDeadlock,
    )
    from antiphon.emulator.virtual_time import (
        VirtualTimeLoop as VirtualTimeLoop,
    )
    from antiphon.emulator.virtual_time import (
        VirtualTimeout as VirtualTimeout,
    )
    from antiphon.emulator.virtual_time import (
        run_virtual as run_virtual,
    )

__all__ = [
    "PROFILES",
    "Abort",
    "Answer",
    "Behaviour",
    "Chance",
    "CloseConnection",
    "EmulatorServer",
    "Engine",
    "Faults",
    "MemoryConnector",
    "MemoryTransport",
    "Pace",
    "Prompt",
    "Script",
    "ScriptNotConsumed",
    "SendFrame",
    "SendHalfFrame",
    "ServerEffect",
    "ThreadedServer",
    "VirtualDeadlock",
    "VirtualTimeLoop",
    "VirtualTimeout",
    "after",
    "answer",
    "call",
    "fail",
    "incomplete",
    "misheard",
    "on",
    "profile",
    "run_virtual",
    "say",
    "silence",
    "stall",
    "text",
]

# Where each name comes from.
_HOME = {
    "Behaviour": "behaviour",
    "Abort": "effects",
    "CloseConnection": "effects",
    "SendFrame": "effects",
    "SendHalfFrame": "effects",
    "ServerEffect": "effects",
    "Engine": "engine",
    "Chance": "faults",
    "Faults": "faults",
    "after": "faults",
    "on": "faults",
    "MemoryConnector": "memory",
    "MemoryTransport": "memory",
    "Pace": "pace",
    "PROFILES": "profiles",
    "profile": "profiles",
    "Answer": "script",
    "Prompt": "script",
    "Script": "script",
    "ScriptNotConsumed": "script",
    "answer": "script",
    "call": "script",
    "fail": "script",
    "incomplete": "script",
    "misheard": "script",
    "say": "script",
    "silence": "script",
    "stall": "script",
    "text": "script",
    "EmulatorServer": "server",
    "ThreadedServer": "threaded",
    "VirtualDeadlock": "virtual_time",
    "VirtualTimeLoop": "virtual_time",
    "VirtualTimeout": "virtual_time",
    "run_virtual": "virtual_time",
}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
