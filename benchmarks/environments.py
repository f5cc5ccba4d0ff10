"""Virtual environments for the clients under test, made once and kept in a folder git ignores."""

import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path

__all__ = ["CACHE", "REQUIREMENTS", "SHOWN", "python", "versions"]

CACHE = Path(__file__).parent / ".cache"
_ROOT = Path(__file__).parent.parent

# Environments in which antiphon runs: it is installed there, from this checkout, with these.
_WITH_ANTIPHON = ("bare", "livekit")
_OURS = ["msgspec==0.22.0", "picows==2.3.1", "pybase64==1.5.1", "uvloop==0.23.0"]

REQUIREMENTS = {
    "bare": [*_OURS, "aiohttp==3.14.5", "trustme==1.2.1", "websockets==17.4"],
    "livekit": [*_OURS, "livekit-agents==1.8.9", "livekit-plugins-openai==1.8.9"],
    "openai": ["openai[realtime]==3.54.0", "uvloop==0.23.0"],
    "openai-agents": ["openai-agents[realtime]==0.24.0", "uvloop==0.23.0"],
    "pipecat": ["pipecat-ai[openai]==1.14.0", "uvloop==0.23.0"],
}

# What the page says of each.
SHOWN = {
    "bare": ["picows", "aiofastnet", "aiohttp", "websockets", "msgspec", "pybase64", "uvloop"],
    "livekit": ["livekit-agents", "livekit-plugins-openai", "aiohttp"],
    "openai": ["openai", "websockets"],
    "openai-agents": ["openai-agents", "openai", "websockets"],
    "pipecat": ["pipecat-ai", "websockets"],
}


def python(name: str) -> Path:
    """Return the interpreter of environment `name`, installing it first if it is new.

    Raises subprocess.CalledProcessError when pip cannot install it.
    """
    wanted = REQUIREMENTS[name]
    digest = hashlib.sha256(" ".join([sys.version, str(_ROOT), *wanted]).encode()).hexdigest()[:8]
    folder = CACHE / f"{name}-{digest}"
    interpreter = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "complete").exists():
        print(f"installing {name}: {' '.join(wanted)}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted], check=True)
        if name in _WITH_ANTIPHON:
            subprocess.run([*pip, "--no-deps", "--editable", str(_ROOT)], check=True)
        (folder / "complete").touch()
    return interpreter


def versions(name: str) -> dict[str, str]:
    """Return the versions installed in environment `name` of what is shown of it."""
    command = [str(python(name)), "-m", "pip", "list", "--format=json"]
    listing = subprocess.run(command, check=True, capture_output=True).stdout
    found = {row["name"]: row["version"] for row in json.loads(listing)}
    return {shown: found[shown] for shown in SHOWN[name] if shown in found}
