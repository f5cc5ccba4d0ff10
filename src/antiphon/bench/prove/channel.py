"""The way to a client in a process of its own."""

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from antiphon.bench.prove.play import ClientGone
from antiphon.bench.prove.record import Json, Record

__all__ = ["SPOKEN", "ProcessChannel"]

# The user's spoken question.
SPOKEN = Path(__file__).parents[2] / "cli" / "demo" / "spoken.wav"
# More than this in one scenario is a client that talks without end.
MAX_LINE_BYTES = 16 * 1024 * 1024
MAX_LINES = 50_000
GOODBYE_S = 2.0


class ProcessChannel:
    """A client in a process of its own, spoken to by lines of JSON.

    Args:
        command: what to run.
        env: its environment, beside what it inherits.
        cwd: its working folder.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self._command = command
        self._env = env
        self._cwd = cwd
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._record: Record | None = None
        self._stderr = tempfile.TemporaryFile()
        self._lines = 0
        self.warm = False
        self.gone = ""

    async def start(self, record: Record) -> None:
        """Have the next observations come to this record; start the process if there is none."""
        self._record = record
        self._lines = 0
        if self._process is not None and not self.gone:
            return
        await self.stop()
        self.gone, self.warm = "", False
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._stderr,
            env=_without_secrets() | {"PROVE_WAV": str(SPOKEN)} | dict(self._env),
            cwd=self._cwd,
            limit=MAX_LINE_BYTES,
            start_new_session=sys.platform != "win32",
        )
        self._reader = asyncio.get_running_loop().create_task(self._read(self._process))

    def send(self, command: Json) -> None:
        """Write a command.

        Raises:
            ClientGone: the process has ended.
        """
        if self.gone or self._process is None or self._process.stdin is None:
            raise ClientGone(self.gone or "not started")
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                self._take(line)
                if self.gone:
                    break
            else:
                status = await process.wait()
                self.gone = f"its process ended with status {status}"
        except ValueError:
            self.gone = f"it wrote a line of more than {MAX_LINE_BYTES} bytes"
        if self._record is not None:
            self._record.on_news()

    def _take(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > MAX_LINES:
            self.gone = f"it talks without end: {MAX_LINES} observations in one scenario"
            return
        try:
            observation = _checked(json.loads(line))
        except (ValueError, TypeError, KeyError):
            self.gone = f"it wrote a line that is no observation: {line[:80]!r}"
            return
        if "n" in observation:
            self.warm = True
        if self._record is not None:
            self._record.observe(observation)

    def last_words(self) -> str:
        """The end of what it wrote to stderr."""
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 3000))
        return self._stderr.read().decode(errors="replace")

    async def stop(self) -> None:
        """End the process and all that it started. Harmless when there is none."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if not self.gone:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_S):
                    await process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform != "win32":
                os.killpg(process.pid, signal.SIGKILL)
            elif process.returncode is None:
                process.kill()
        await process.wait()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    def close(self) -> None:
        """Let go of what is kept; after `stop`."""
        self._stderr.close()


def _checked(observation: Any) -> Json:
    """What all that is looked at later relies on.

    Raises:
        ValueError, TypeError, KeyError: it is no observation.
    """
    if not isinstance(observation["saw"], str):
        raise TypeError("`saw` is the kind of observation")
    if observation["saw"] in ("audio", "ended") and not isinstance(observation["reader"], str):
        raise TypeError("`reader` is a name")
    if observation["saw"] == "audio":
        base64.b64decode(observation["pcm"], validate=True)
    return dict(observation)


def _without_secrets() -> dict[str, str]:
    """The environment, without what would make a client talk to somebody else or log a lot."""
    ours = ("OPENAI_", "AZURE_", "LIVEKIT_", "PYTHON", "VIRTUAL_ENV", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "OPENAI_API_KEY": "unused", "OPENAI_AGENTS_DISABLE_TRACING": "1"}
