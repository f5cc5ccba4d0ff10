"""A faithful local OpenAI Realtime server, for testing clients without a key.

It is an independent reading of docs/protocol.md: nothing here comes from the client.

Names are imported when they are first used, so that the pytest plugin, which pytest loads in every
project where antiphon is installed, costs next to nothing.
"""

from typing import TYPE_CHECKING

from antiphon.lazy import lazily

if TYPE_CHECKING:
    from antiphon.emulator.behaviour import Behaviour
    from antiphon.emulator.brain import ChatBrain
    from antiphon.emulator.effects import (
        Abort,
        Ask,
        CloseConnection,
        Drop,
        Proceed,
        SendFrame,
        SendHalfFrame,
        ServerEffect,
    )
    from antiphon.emulator.engine import Engine
    from antiphon.emulator.faults import Chance, Faults, after, on
    from antiphon.emulator.memory import MemoryConnector, MemoryTransport
    from antiphon.emulator.pace import Pace
    from antiphon.emulator.profiles import PROFILES, profile
    from antiphon.emulator.script import (
        Answer,
        Prompt,
        Script,
        ScriptNotConsumed,
        answer,
        call,
        fail,
        incomplete,
        misheard,
        say,
        silence,
        stall,
        text,
    )
    from antiphon.emulator.server import EmulatorServer
    from antiphon.emulator.threaded import ThreadedServer
    from antiphon.emulator.virtual_time import (
        VirtualDeadlock,
        VirtualTimeLoop,
        VirtualTimeout,
        run_virtual,
    )
    from antiphon.emulator.voice import Voice

__all__ = [
    "PROFILES",
    "Abort",
    "Answer",
    "Ask",
    "Behaviour",
    "Chance",
    "ChatBrain",
    "CloseConnection",
    "Drop",
    "EmulatorServer",
    "Engine",
    "Faults",
    "MemoryConnector",
    "MemoryTransport",
    "Pace",
    "Proceed",
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
    "Voice",
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

# As above; loaded when first used.
_HOMES = {
    "behaviour": "Behaviour",
    "brain": "ChatBrain",
    "effects": "Abort Ask CloseConnection Drop Proceed SendFrame SendHalfFrame ServerEffect",
    "engine": "Engine",
    "faults": "Chance Faults after on",
    "memory": "MemoryConnector MemoryTransport",
    "pace": "Pace",
    "profiles": "PROFILES profile",
    "script": (
        "Answer Prompt Script ScriptNotConsumed answer call fail incomplete misheard say "
        "silence stall text"
    ),
    "server": "EmulatorServer",
    "threaded": "ThreadedServer",
    "virtual_time": "VirtualDeadlock VirtualTimeLoop VirtualTimeout run_virtual",
    "voice": "Voice",
}

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
