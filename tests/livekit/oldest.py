"""The LiveKit tests with the oldest livekit-agents supported: `make test-livekit-oldest`.

In an environment of its own, since two versions of one package do not go together.
"""

import os
import subprocess
import sys
from pathlib import Path

from antiphon.bench.prove.environments import PythonEnvironment

__all__ = ["ENVIRONMENT", "main"]

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "interop"


class _WithAntiphon(PythonEnvironment):
    """As `PythonEnvironment`, with antiphon: its metadata and its pytest plugin are looked for."""

    def _install(self, folder: Path) -> None:
        super()._install(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(self.python_in(folder))]
        self._run(*pip, "install", "--quiet", "--no-deps", "--editable", str(ROOT))


ENVIRONMENT = _WithAntiphon("livekit_oldest", Path(__file__).parent / "oldest.txt")


def main(arguments: list[str]) -> int:
    """What pytest returns; arguments are for it."""
    ENVIRONMENT.build(CACHE)
    command = [str(ENVIRONMENT.python(CACHE)), "-m", "pytest", "tests/livekit", *arguments]
    # These sources, even if the environment was made for a checkout that is elsewhere now.
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(command, cwd=ROOT, env=env).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
