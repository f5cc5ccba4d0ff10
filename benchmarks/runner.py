"""Runs one adapter against one replay server, each in its own process on its own core."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

__all__ = ["CLIENT_CORE", "SERVER_CORE", "RunError", "run"]

HERE = Path(__file__).parent
_CORES = sorted(os.sched_getaffinity(0))
CLIENT_CORE, SERVER_CORE = _CORES[0], _CORES[-1]
_QUIET_S = 1.0  # all is sent, and the client still waits: it is told so


class RunError(Exception):
    """A process ended or fell silent before it gave a result."""


@dataclass
class _Child:
    process: "subprocess.Popen[bytes]"
    name: str
    buffer: bytes = b""

    def ask(self, word: str) -> None:
        stdin: IO[bytes] | None = self.process.stdin
        assert stdin is not None
        try:
            stdin.write(word.encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            pass

    def line(self, timeout: float) -> dict[str, Any] | None:
        """Return the next JSON line, or None if none came in time."""
        stdout: IO[bytes] | None = self.process.stdout
        assert stdout is not None
        end = time.monotonic() + timeout
        while True:
            text, newline, rest = self.buffer.partition(b"\n")
            if newline:
                self.buffer = rest
                if text.startswith(b"{"):
                    parsed: dict[str, Any] = json.loads(text)
                    return parsed
                continue  # some clients print of their own accord
            left = end - time.monotonic()
            if left <= 0 or not select.select([stdout], [], [], left)[0]:
                return None
            data = os.read(stdout.fileno(), 1 << 16)
            if not data:
                raise RunError(f"{self.name} ended with {self.process.wait(5)}")
            self.buffer += data

    def need(self, timeout: float) -> dict[str, Any]:
        answer = self.line(timeout)
        if answer is None:
            raise RunError(f"{self.name} said nothing for {timeout:.0f} s")
        return answer


def _start(command: list[str], name: str, log: IO[bytes], env: dict[str, str]) -> _Child:
    pipe = subprocess.PIPE
    return _Child(
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, cwd=HERE, env=env), name
    )


def run(
    command: list[str],
    plan: dict[str, Any],
    *,
    log: Path,
    env: dict[str, str] | None = None,
    timeout_s: float = 60,
) -> dict[str, Any]:
    """Run `plan` with the client started by `command`; return its results and the server's.

    Raises RunError when either process gives none; what they wrote to standard error is in `log`.
    """
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})}
    children: list[_Child] = []
    with log.open("wb") as errors:
        try:
            serving = json.dumps({**plan, "core": SERVER_CORE})
            server = _start(
                [sys.executable, str(HERE / "replay_server.py"), serving],
                "server",
                errors,
                environment,
            )
            children.append(server)
            url = server.need(20)["url"]
            asked = json.dumps({**plan, "core": CLIENT_CORE, "url": url})
            client = _start([*command, asked], "client", errors, environment)
            children.append(client)
            client.need(timeout_s)
            server.ask("go")
            sent = server.need(timeout_s)
            results = client.line(_QUIET_S if sent["events"] else timeout_s)
            if results is None:
                client.ask("stop")
                results = client.need(timeout_s)
            server.ask("stop")
            answer = {**results, "sent": sent, "server": server.need(10)}
            client.ask("stop")
            return answer
        finally:
            for child in children:
                child.process.kill()
                child.process.wait()
                for pipe in (child.process.stdin, child.process.stdout):
                    if pipe is not None:
                        with contextlib.suppress(BrokenPipeError):
                            pipe.close()
