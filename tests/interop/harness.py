"""Drives a real client, in its own process, against an emulator in this one.

The client's script reads one command a line, plays that scenario, and writes one JSON object a
line: what it observed. A process plays many scenarios, because importing some of these clients
takes seconds; each scenario makes and closes a session of its own.
"""

import asyncio
import base64
import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from antiphon.bench.prove.environments import Environment
from antiphon.emulator import EmulatorServer, Engine
from antiphon.emulator.audio import speech

__all__ = ["CACHE", "SPOKEN", "ClientProcess", "Observed", "heard_whole", "sent_by"]

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "interop"
SPOKEN = ROOT / "tests" / "data" / "what_is_the_weather.wav"
# The first scenario pays for the client's imports, with cold caches.
FIRST_LINE_S = 90.0
LINE_S = 30.0


class Observed(list[Json]):
    """What a client told of one scenario, in order."""

    def of(self, saw: str) -> list[Json]:
        """All observations of one kind."""
        return [one for one in self if one["saw"] == saw]

    def one(self, saw: str) -> Json:
        """The only observation of one kind."""
        found = self.of(saw)
        assert len(found) == 1, f"{len(found)} times {saw!r} in {self.kinds()}"
        return found[0]

    def words(self, saw: str = "text") -> str:
        """The text of all observations of one kind, joined."""
        return "".join(one["text"] for one in self.of(saw))

    def audio(self, saw: str = "audio") -> bytes:
        """The PCM16 of all observations of one kind, joined."""
        return b"".join(base64.b64decode(one["pcm"]) for one in self.of(saw))

    def kinds(self) -> list[str]:
        """The kinds of observation, in order, without repetition of neighbours."""
        kinds = [str(one["saw"]) for one in self]
        return [kind for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1]]


class ClientProcess:
    """A client's script, started when it is first needed."""

    def __init__(self, environment: Environment, script: str) -> None:
        self._environment = environment
        self._script = script
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._stderr = tempfile.TemporaryFile()

    async def play(
        self,
        scenario: str,
        server: EmulatorServer,
        *,
        cues: Mapping[str, Callable[[], None]] | None = None,
        timeout_s: float = LINE_S,
    ) -> Observed:
        """Have the client play a scenario.

        Args:
            scenario: a function of the script.
            server: the emulator to play against.
            cues: what to do at once when the client tells of a certain observation.
            timeout_s: how long it may say nothing.

        Raises:
            AssertionError: it failed, died or fell silent; the message holds what it said.
        """
        first = self._process is None
        process = self._started()
        command = {"scenario": scenario, "url": server.url, "http_url": server.http_url}
        assert process.stdin is not None
        process.stdin.write(json.dumps({**command, "wav": str(SPOKEN)}).encode() + b"\n")
        process.stdin.flush()
        observed = Observed()
        while True:
            patience = FIRST_LINE_S if first else timeout_s
            try:
                line = await asyncio.to_thread(self._lines.get, True, patience)
            except queue.Empty:
                self.stop()
                raise AssertionError(self._told("fell silent", observed)) from None
            if not line:
                self.stop()
                raise AssertionError(self._told("died", observed))
            seen = json.loads(line)
            first = False
            if seen["saw"] == "end":
                return observed
            if seen["saw"] == "failed":
                raise AssertionError(self._told(f"failed\n{seen['trace']}", observed))
            observed.append(seen)
            if cues and seen["saw"] in cues:
                cues[seen["saw"]]()

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()

    def close(self) -> None:
        """End the process for good."""
        self.stop()
        self._stderr.close()

    def _started(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            self._lines = queue.SimpleQueue()
            self._process = subprocess.Popen(
                self._environment.command(_program(self._script), CACHE),
                cwd=ROOT,
                env={**_without_ours(), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
            )
            reader = threading.Thread(target=_read, args=(self._process, self._lines), daemon=True)
            reader.start()
        return self._process

    def _told(self, what: str, observed: Observed) -> str:
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 6000))
        stderr = self._stderr.read().decode(errors="replace")
        return f"{self._script} {what}\nit saw: {_shortened(observed)}\nits stderr:\n{stderr}"


def _program(script: str) -> Path:
    (found,) = (ROOT / "tests" / "interop" / "clients").glob(f"{script}.*")
    return found


def _read(process: "subprocess.Popen[bytes]", lines: "queue.SimpleQueue[bytes]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(b"")


def _without_ours() -> dict[str, str]:
    """The environment, without what would make a client talk to somebody else or log a lot."""
    ours = ("OPENAI_", "LIVEKIT_", "PYTHON", "VIRTUAL_ENV", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "OPENAI_API_KEY": "unused", "OPENAI_AGENTS_DISABLE_TRACING": "1"}


def _shortened(observed: Observed) -> list[str]:
    return [json.dumps(one)[:200] for one in observed][-60:]


def heard_whole(pcm: bytes, response_id: str, length_ms: int) -> None:
    """Assert that audio is that of one response: all of it, in order, once."""
    assert speech.spans(pcm) == [speech.Span(speech.tag_of(response_id), 0, length_ms)]


def sent_by(engine: Engine) -> list[str]:
    """Types of what the client sent, in order; of a run of audio only the first."""
    kinds = [one["type"] if isinstance(one, dict) else "junk" for one in engine.received]
    audio = "input_audio_buffer.append"
    return [
        kind for n, kind in enumerate(kinds) if n == 0 or (kind, kinds[n - 1]) != (audio, audio)
    ]
