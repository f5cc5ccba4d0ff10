"""An environment for each client of other people's, made once, in a folder for caches.

What goes into one is in requirements/: every version is fixed there, so that a client which
changes its ways is met when somebody raises its version, not on a Tuesday. What the environment
that antiphon runs in has in the same version is shared with it (sharing.py).
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from antiphon.bench.prove.sharing import share_installed

__all__ = [
    "ENVIRONMENTS",
    "Environment",
    "InstallError",
    "NodeEnvironment",
    "PythonEnvironment",
    "cache_folder",
]

HERE = Path(__file__).parent
OLDEST_NODE = 20
# A registry that has not answered within this many seconds will not.
INSTALL_TIMEOUT_S = 420
ATTEMPTS = 2


class InstallError(RuntimeError):
    """An installer failed: in one line why, and then its last words."""


def cache_folder() -> Path:
    """Where environments are kept unless told otherwise: the user's folder for caches."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "antiphon" / "prove"


@dataclass(frozen=True)
class Environment:
    """Where one client is installed.

    Args:
        name: of the environment.
        wanted: file that lists its packages.
    """

    name: str
    wanted: Path

    def folder(self, cache: Path) -> Path:
        """Its folder; a change of packages or of the interpreter makes it another one."""
        tell = f"{self._interpreter()}\n{self.wanted.read_text()}"
        return cache / f"{self.name}-{hashlib.sha256(tell.encode()).hexdigest()[:10]}"

    def unusable(self) -> str | None:
        """Why this machine cannot run the client at all, or None."""
        return None

    def build(self, cache: Path) -> None:
        """Install the client unless that was done before.

        Raises:
            InstallError: the installer failed; its last words are in the message.
        """
        folder = self.folder(cache)
        if folder.exists():
            return
        cache.mkdir(parents=True, exist_ok=True)
        # Made aside and renamed when complete: what stands in the folder is whole, and two test
        # runs at once do not meet in it.
        aside = Path(tempfile.mkdtemp(prefix=f"{self.name}-", suffix=".part", dir=cache))
        try:
            self._install(aside)
            aside.rename(folder)
        except OSError:
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def command(self, script: Path, cache: Path) -> list[str]:
        """The command that runs a client's program."""
        raise NotImplementedError

    def _interpreter(self) -> str:
        raise NotImplementedError

    def _install(self, folder: Path) -> None:
        raise NotImplementedError

    def _run(self, *command: str) -> None:
        # Tests run meanwhile, and some of them look at the clock.
        nice = shutil.which("nice")
        politely = [nice, "-n", "10", *command] if nice else list(command)
        said = ""
        for _ in range(ATTEMPTS):
            try:
                done = subprocess.run(
                    politely,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=INSTALL_TIMEOUT_S,
                )
            except subprocess.TimeoutExpired:
                said = f"not done after {INSTALL_TIMEOUT_S} s"
                break
            if done.returncode == 0:
                return
            said = done.stdout[-2000:]
        tool = Path(command[0]).name
        lines = said.strip().splitlines() or ["it said nothing"]
        raise InstallError(f"{tool} cannot install {self.name}: {lines[-1]}\n{said}")


@dataclass(frozen=True)
class PythonEnvironment(Environment):
    """A virtual environment.

    Args:
        complete: whether the file lists all that is needed, so that nothing else is installed.
    """

    complete: bool = False

    @staticmethod
    def python_in(folder: Path) -> Path:
        """The interpreter of a virtual environment."""
        return folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"

    def python(self, cache: Path) -> Path:
        """Its interpreter, once it was built."""
        return self.python_in(self.folder(cache))

    def command(self, script: Path, cache: Path) -> list[str]:
        """The command that runs a client's program."""
        return [str(self.python(cache)), str(script)]

    def _interpreter(self) -> str:
        return sys.version

    def _install(self, folder: Path) -> None:
        # The tests' own pip installs into it: a pip for each environment takes seconds to make.
        self._run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        share_installed(self.wanted.read_text(), folder)
        pip = [sys.executable, "-m", "pip", "--python", str(self.python_in(folder))]
        pip += ["--disable-pip-version-check", "--no-input"]
        options = ["--quiet", "--no-compile", *(["--no-deps"] if self.complete else [])]
        self._run(*pip, "install", *options, "-r", str(self.wanted))


class NodeEnvironment(Environment):
    """A folder with node_modules."""

    def unusable(self) -> str | None:
        """Why this machine cannot run the client at all, or None."""
        if shutil.which("node") is None or shutil.which("npm") is None:
            return "node and npm are not installed"
        version = self._interpreter()
        if int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
            return f"node {version} is too old: {OLDEST_NODE} or newer is needed"
        return None

    def command(self, script: Path, cache: Path) -> list[str]:
        """The command that runs a client's program."""
        # Node looks for packages beside the script, so the script goes to the packages; each
        # version of it under a name of its own, whole from the first moment, for two runs at once.
        text = script.read_bytes()
        digest = hashlib.sha256(text).hexdigest()[:10]
        copied = self.folder(cache) / f"{script.stem}-{digest}.mjs"
        if not copied.exists():
            aside = copied.with_suffix(f".{os.getpid()}.part")
            aside.write_bytes(text)
            aside.replace(copied)
        return [str(shutil.which("node")), str(copied)]

    def _interpreter(self) -> str:
        node = shutil.which("node")
        if node is None:
            return "no node"
        return subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip()

    def _install(self, folder: Path) -> None:
        shutil.copyfile(self.wanted, folder / "package.json")
        options = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        options += ["--loglevel", "error"]
        self._run(str(shutil.which("npm")), "install", *options, "--prefix", str(folder))


def _python(name: str) -> PythonEnvironment:
    return PythonEnvironment(name, HERE / "requirements" / f"{name}.txt", complete=True)


# The slowest to install come first.
ENVIRONMENTS: dict[str, Environment] = {
    "pipecat": _python("pipecat"),
    "livekit": _python("livekit"),
    "openai_agents": _python("openai_agents"),
    "openai_agents_js": NodeEnvironment("openai_agents_js", HERE / "requirements" / "package.json"),
    "openai": _python("openai"),
}
