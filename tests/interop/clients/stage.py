"""What the clients' scripts share: commands in, observations out."""

import asyncio
import base64
import json
import os
import sys
import traceback
import wave
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["SILENCE_MS", "Stage", "perform"]

SCENARIO_LIMIT_S = 25.0
# More than any turn detection here waits for.
SILENCE_MS = 800


class Stage:
    """One scenario: where the server is, and where to tell what was observed."""

    def __init__(self, command: dict[str, str], out: int) -> None:
        self.url = command["url"]
        self.http_url = command["http_url"]
        self._wav = command["wav"]
        self._out = out

    def tell(self, saw: str, **facts: Any) -> None:
        """Report an observation; `bytes` are PCM16."""
        shown = {
            name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in facts.items()
        }
        line = json.dumps({"saw": saw, **shown}, default=str).encode() + b"\n"
        while line:
            line = line[os.write(self._out, line) :]

    def spoken(self, chunk_ms: int = 100) -> list[bytes]:
        """The spoken question, 24 kHz PCM16, with silence after it, in pieces."""
        with wave.open(self._wav) as recording:
            pcm = recording.readframes(recording.getnframes())
        pcm += bytes(48 * SILENCE_MS)
        size = 48 * chunk_ms
        return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


Scenario = Callable[[Stage], Awaitable[None]]


def perform(*scenarios: Scenario) -> None:
    """Play what is asked for on stdin until it ends."""
    # Whatever a library prints must not land among the observations.
    out = os.dup(1)
    os.dup2(2, 1)
    asyncio.run(_perform({one.__name__: one for one in scenarios}, out))  # type: ignore[attr-defined]


async def _perform(scenarios: dict[str, Scenario], out: int) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        stage = Stage(command, out)
        try:
            async with asyncio.timeout(SCENARIO_LIMIT_S):
                await scenarios[command["scenario"]](stage)
        except Exception:
            stage.tell("failed", trace=traceback.format_exc())
        else:
            stage.tell("end")
