"""The clients that can be proved by name, and how to run one of your own."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from antiphon.bench.prove.channel import ProcessChannel
from antiphon.bench.prove.environments import ENVIRONMENTS, Environment

__all__ = ["CLIENTS", "Client", "own"]

ADAPTERS = Path(__file__).parent / "adapters"
FOREIGN = ADAPTERS / "foreign"
# The folder that holds the package, for clients that run in this same environment.
HOME = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Client:
    """A client and the program that drives it.

    Args:
        name: in a command line.
        says: what it is.
        package: whose version is told.
        program: in adapters/, or the file or command of one's own.
        environment: where it is installed; None for the environment that antiphon is in.
        needs: a module that must be there, for a client in this environment.
        arguments: for the program.
        command: what to run, instead of a program.
        leaves: groups of scenarios, or single ones, that are left to its user, and why.
    """

    name: str
    says: str
    package: str
    program: Path
    environment: Environment | None = None
    needs: str = ""
    arguments: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    leaves: Mapping[str, str] = field(default_factory=dict)

    def version(self) -> str:
        """Its version, as installed or as it will be."""
        if self.environment is not None:
            return _pinned(self.environment.wanted, self.package)
        try:
            return version(self.package) if self.package else ""
        except PackageNotFoundError:
            return ""

    def unusable(self) -> str | None:
        """Why it cannot be run here, or None."""
        if self.environment is not None:
            return self.environment.unusable()
        if self.needs and not _importable(self.needs):
            return f"{self.needs} is not installed: pip install 'antiphon[livekit]'"
        if self.command and shutil.which(self.command[0]) is None:
            return f"there is no program {self.command[0]!r} here"
        if not self.command and not self.program.is_file():
            return f"there is no file {self.program}"
        return None

    def channel(
        self, cache: Path, env: Mapping[str, str] | None = None
    ) -> Callable[[], ProcessChannel]:
        """How to start it; it must have been installed.

        Args:
            cache: where environments are.
            env: what it is to find in its own, beside what it inherits.
        """
        # The programs of other people's clients find stage.py, and nothing else of ours.
        paths = [str(ADAPTERS)]
        if self.command:
            command: Sequence[str] = self.command
        elif self.environment is not None:
            command = [*self.environment.command(self.program, cache), *self.arguments]
        else:
            command = [sys.executable, str(self.program), *self.arguments]
            paths.append(str(HOME))
        given = {"PYTHONPATH": os.pathsep.join(paths), **(env or {})}
        return lambda: ProcessChannel(command, given)


def own(word: str) -> Client:
    """A client of one's own, by its program's file or by a whole command."""
    path = Path(word)
    whole = " " in word and not path.exists()  # a command with its arguments
    if path.suffix == ".py" and not whole:
        return Client(path.stem, "a program of yours", "", path.absolute())
    if path.suffix in (".js", ".mjs") and not whole:
        return Client(path.stem, "", "", path, command=("node", str(path.absolute())))
    command = tuple(shlex.split(word, posix=os.name == "posix"))
    return Client(Path(command[0]).name, "a command of yours", "", path, command=command)


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _pinned(wanted: Path, package: str) -> str:
    text = wanted.read_text()
    if wanted.suffix == ".json":
        return str(json.loads(text)["dependencies"].get(package, ""))
    found = re.search(rf"^{re.escape(package)}(?:\[[^\]]*\])?==(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


_NO_MEMORY = "its user remembers of which calls he has been told"
_NO_NAMES = "it does not tell its user which response is the one that he asked for"
_NO_QUEUE = "it queues nothing: who asks while a reply runs is told of the refusal"

_ALL = (
    Client("antiphon", "antiphon's own Session", "antiphon", ADAPTERS / "antiphon_session.py"),
    Client(
        "antiphon-livekit",
        "antiphon's plugin for LiveKit Agents, its RealtimeSession",
        "antiphon",
        FOREIGN / "livekit_session.py",
        needs="livekit.agents",
        arguments=("antiphon",),
    ),
    Client(
        "livekit",
        "livekit-plugins-openai, its RealtimeSession",
        "livekit-plugins-openai",
        FOREIGN / "livekit_session.py",
        ENVIRONMENTS["livekit"],
        leaves={
            "two-replies-asked-for": _NO_QUEUE,
            "an-aside-frees-no-lane": _NO_QUEUE,
        },
    ),
    Client(
        "livekit-agents",
        "LiveKit Agents on that plugin, a whole AgentSession in text mode",
        "livekit-agents",
        FOREIGN / "livekit_agent.py",
        ENVIRONMENTS["livekit"],
    ),
    Client(
        "openai-agents",
        "openai-agents, RealtimeRunner",
        "openai-agents",
        FOREIGN / "openai_agents.py",
        ENVIRONMENTS["openai_agents"],
        leaves={"anothers-reply-is-not-taken-for-ours": _NO_NAMES},
    ),
    Client(
        "openai-agents-js",
        "@openai/agents-realtime, RealtimeSession",
        "@openai/agents-realtime",
        FOREIGN / "openai_agents_js.mjs",
        ENVIRONMENTS["openai_agents_js"],
        leaves={"anothers-reply-is-not-taken-for-ours": _NO_NAMES},
    ),
    Client(
        "pipecat",
        "pipecat, OpenAIRealtimeLLMService in a pipeline",
        "pipecat-ai",
        FOREIGN / "pipecat_service.py",
        ENVIRONMENTS["pipecat"],
    ),
    Client(
        "openai",
        "openai-python, client.realtime.connect",
        "openai",
        FOREIGN / "openai_python.py",
        ENVIRONMENTS["openai"],
        leaves={
            "interruption": "its user sends each cancel, and reads what comes",
            "admission": "its user decides when to ask, and reads each refusal",
            "tools": "its user runs the functions, and asks for what comes after",
            "truncation": "its user says where to cut",
            "told-of-a-call-again": _NO_MEMORY,
            "told-of-a-call-twice-at-once": _NO_MEMORY,
            "it-comes-back-knowing": "its user tells a new session what was said",
        },
    ),
)

CLIENTS: dict[str, Client] = {client.name: client for client in _ALL}
