"""A faithful local OpenAI Realtime server, for testing clients without a key.

It is an independent reading of docs/protocol.md: nothing here comes from the client.
"""

from antiphon.emulator.behaviour import Behaviour
from antiphon.emulator.effects import (
    Abort,
    CloseConnection,
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
    say,
    silence,
    stall,
    text,
)
from antiphon.emulator.server import EmulatorServer
from antiphon.emulator.virtual_time import (
    VirtualDeadlock,
    VirtualTimeLoop,
    VirtualTimeout,
    run_virtual,
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
    "VirtualDeadlock",
    "VirtualTimeLoop",
    "VirtualTimeout",
    "after",
    "answer",
    "call",
    "fail",
    "incomplete",
    "on",
    "profile",
    "run_virtual",
    "say",
    "silence",
    "stall",
    "text",
]
