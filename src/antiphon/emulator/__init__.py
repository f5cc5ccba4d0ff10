"""A faithful local OpenAI Realtime server, for testing clients without a key.

It is an independent reading of docs/protocol.md: nothing here comes from the client.

Names are imported when they are first used, so that the pytest plugin, which pytest loads in every
project where antiphon is installed, costs next to nothing.
"""

from typing import TYPE_CHECKING

from antiphon.lazy import lazily

if TYPE_CHECKING:
    from antiphon.emulator.audio import speech
    from antiphon.emulator.engine.effects import (
        Abort,
        Ask,
        CloseConnection,
        Drop,
        Proceed,
        SendFrame,
        SendHalfFrame,
        ServerEffect,
    )
    from antiphon.emulator.engine.engine import Engine
    from antiphon.emulator.engine.faults import Chance, Faults, after, on
    from antiphon.emulator.faculties.brain import ChatBrain
    from antiphon.emulator.faculties.voice import Voice
    from antiphon.emulator.knobs.behaviour import Behaviour
    from antiphon.emulator.knobs.pace import Pace
    from antiphon.emulator.knobs.profiles import PROFILES, profile
    from antiphon.emulator.running.emulated_call import EmulatedCall
    from antiphon.emulator.running.memory import MemoryConnector, MemoryTransport
    from antiphon.emulator.running.server import EmulatorServer
    from antiphon.emulator.running.threaded import ThreadedServer
    from antiphon.emulator.running.tls import CertificateError
    from antiphon.emulator.scripts.script import (
        Answer,
        Prompt,
        Script,
        ScriptNotConsumed,
        answer,
        call,
        fail,
        incomplete,
        mcp_approval,
        mcp_call,
        misheard,
        say,
        silence,
        stall,
        text,
    )
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
    "Ask",
    "Behaviour",
    "CertificateError",
    "Chance",
    "ChatBrain",
    "CloseConnection",
    "Drop",
    "EmulatedCall",
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
    "mcp_approval",
    "mcp_call",
    "misheard",
    "on",
    "profile",
    "run_virtual",
    "say",
    "silence",
    "speech",
    "stall",
    "text",
]

# As above; loaded when first used.
_HOMES = {
    "audio": "speech",
    "knobs.behaviour": "Behaviour",
    "faculties.brain": "ChatBrain",
    "engine.effects": "Abort Ask CloseConnection Drop Proceed SendFrame SendHalfFrame ServerEffect",
    "engine.engine": "Engine",
    "engine.faults": "Chance Faults after on",
    "running.emulated_call": "EmulatedCall",
    "running.memory": "MemoryConnector MemoryTransport",
    "knobs.pace": "Pace",
    "knobs.profiles": "PROFILES profile",
    "scripts.script": (
        "Answer Prompt Script ScriptNotConsumed answer call fail incomplete mcp_approval mcp_call "
        "misheard say silence stall text"
    ),
    "running.server": "EmulatorServer",
    "running.threaded": "ThreadedServer",
    "running.tls": "CertificateError",
    "virtual_time": "VirtualDeadlock VirtualTimeLoop VirtualTimeout run_virtual",
    "faculties.voice": "Voice",
}

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
