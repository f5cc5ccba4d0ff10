"""Say how much `make test` is about to install: `PYTHONPATH=src python -m tools.installs`.

It runs before anything is there: it needs nothing but Python, and its figures were measured.
tests/interop/test_installs.py fails when they are no longer true; it prints the new ones.
"""

import os
from pathlib import Path

from antiphon.bench.prove.environments import ENVIRONMENTS
from tests.livekit.oldest import ENVIRONMENT as OLDEST_LIVEKIT

__all__ = ["MEASURED_MB", "announcement", "folders", "measured_mb"]

ROOT = Path(__file__).parents[1]
VENV = ".venv"
CLIENTS = ".cache/interop"
# What is shared counts for .venv; of the others, what is theirs alone.
MEASURED_MB = {
    VENV: 750,
    "pipecat": 35,
    "livekit": 1,
    "openai_agents": 17,
    "openai_agents_js": 67,
    "openai": 1,
    "livekit_oldest": 47,
}


def folders(root: Path) -> dict[str, Path]:
    """Where each environment is, or will be."""
    every = [*ENVIRONMENTS.values(), OLDEST_LIVEKIT]
    return {VENV: root / VENV, **{one.name: one.folder(root / CLIENTS) for one in every}}


def announcement(root: Path) -> str:
    """What is about to be installed where, in one line; nothing if all of it is there."""
    missing = {name for name, folder in folders(root).items() if not _whole(folder)}
    said = []
    if VENV in missing:
        said.append(f"{MEASURED_MB[VENV]} MB into {VENV}")
    if clients := missing - {VENV}:
        said.append(f"{sum(MEASURED_MB[name] for name in clients)} MB into {CLIENTS}")
    if not said:
        return ""
    return f"this installs about {' and '.join(said)}, once; `make clean` removes it"


def measured_mb(root: Path) -> dict[str, int]:
    """What the environments that are there take now; a file that two of them share counts once."""
    seen: set[tuple[int, int]] = set()
    there = {name: folder for name, folder in folders(root).items() if _whole(folder)}
    return {name: round(_size(folder, seen) / 1e6) for name, folder in there.items()}


def _whole(folder: Path) -> bool:
    # make leaves a stamp in its environment; the others are renamed when they are whole.
    return (folder / ".antiphon-dev").exists() if folder.name == VENV else folder.exists()


def _size(folder: Path, seen: set[tuple[int, int]]) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            found = os.lstat(os.path.join(parent, file))
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_size
    return total


if __name__ == "__main__":
    if sentence := announcement(ROOT):
        print(f"==> {sentence}")
