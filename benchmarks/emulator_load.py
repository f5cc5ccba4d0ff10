"""What the emulator costs per session, with many sessions streaming audio both ways.

    python -m benchmarks.emulator_load                # 1,000 sessions: half a minute
    python -m benchmarks.emulator_load --sessions 100 --seconds 5

One server process and one client process, each on a core of its own. Every session streams speech
to the server and gets speech back, in real time, in pieces of 100 ms. Of every session each delta
is counted; of some, every millisecond is checked for whose it is and where it belongs. One run
has a reader that reads nothing for as long as the others stream, and everything after that.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import picows
import pybase64

from antiphon.emulator import Behaviour, EmulatorServer, Pace, Prompt, Script, say
from antiphon.emulator.audio import speech
from antiphon.emulator.scripts.script import Answer

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
SPOKEN = ROOT / "tests" / "data" / "what_is_the_weather.wav"
PIECE_MS = 100
SAMPLE_EVERY = 50
CONNECTING = 50
# The slow reader is sent so many times more than the others, to fill every buffer on the way.
SLOW_SPEED = 15
DELTA = b'"response.output_audio.delta"'
DONE = b'"response.done"'
NO_TURNS = {"turn_detection": None}
# Listens to everything, and answers nothing: the response that streams goes on.
TURNS = {
    "turn_detection": {
        "type": "server_vad",
        "create_response": False,
        "interrupt_response": False,
    }
}


@dataclass
class Result:
    """Figures of one run. CPU is of the server's process, all threads, user and system."""

    turns: str
    slow_reader: bool
    sessions: int
    seconds: float
    connect_s: float
    cpu_ms_per_session_s: float
    cpu_cores: float
    idle_kb_per_session: float
    peak_kb_per_session: float
    lateness_ms_p50: float
    lateness_ms_p99: float
    lateness_ms_max: float
    incomplete_sessions: int
    checked_sessions: int
    wrong_sessions: int


# The server's process


def _answer(prompt: Prompt) -> Answer:
    seconds = float(prompt.instructions.rpartition(" ")[2])
    slow = prompt.instructions.startswith("fast")
    pace = Pace(speed=SLOW_SPEED if slow else 1.0, audio_ms_per_delta=PIECE_MS, first_output_ms=0)
    length = int(seconds * 1000) * (SLOW_SPEED if slow else 1)
    return say("A long answer.", ms=length).paced(pace)


async def _serve(sessions: int) -> None:
    _raise_limits()
    script = Script(otherwise=_answer)
    limit = sessions + 10
    async with EmulatorServer(
        Behaviour(), script, max_connections=limit, keep_sessions=limit, keep_received=100
    ) as server:
        print(json.dumps({"url": server.url}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({**_usage(), "connections": server.connections}), flush=True)


def _usage() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "cpu_s": used.ru_utime + used.ru_stime,
        "rss_kb": pages * resource.getpagesize() / 1024,
    }


def _raise_limits() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16384)), hard))


class _Server:
    """The server's process, seen from here."""

    def __init__(self, sessions: int, core: int) -> None:
        command = [sys.executable, "-m", "benchmarks.emulator_load", "--server", str(sessions)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT)
        os.sched_setaffinity(self._process.pid, {core})
        self.url = str(self._line()["url"])

    async def usage(self) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return await asyncio.to_thread(self._line)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line: dict[str, Any] = json.loads(self._process.stdout.readline())
        return line


# The client's process


class _Session(picows.WSListener):
    """One client: counts, and keeps the audio if it is one of those to be checked."""

    def __init__(self, keeps: bool) -> None:
        self.transport: Any = None
        self.gone = False
        self.deltas = 0
        self.done = asyncio.Event()
        self.late_ms: list[float] = []
        self.frames: list[bytes] | None = [] if keeps else None
        self._began = 0.0

    def on_ws_connected(self, transport: Any) -> None:
        self.transport = transport

    def on_ws_disconnected(self, transport: Any) -> None:
        self.gone = True
        self.done.set()

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        payload = frame.get_payload_as_bytes()
        head = payload[:300]
        if DELTA in head:
            self._delta(payload)
        elif DONE in head:
            self.done.set()

    def _delta(self, payload: bytes) -> None:
        now = time.monotonic()
        if self.deltas == 0:
            self._began = now
        else:
            self.late_ms.append((now - self._began) * 1000 - self.deltas * PIECE_MS)
        self.deltas += 1
        if self.frames is not None:
            self.frames.append(payload)

    def send(self, data: bytes) -> None:
        if not self.gone:
            self.transport.send(picows.WSMsgType.TEXT, data)

    def is_right(self, length_ms: int) -> bool:
        """Whether what was kept is one response, whole and in order."""
        assert self.frames is not None
        events = [msgspec.json.decode(frame) for frame in self.frames]
        pcm = b"".join(pybase64.b64decode(event["delta"]) for event in events)
        (response_id,) = {event["response_id"] for event in events} or {""}
        return speech.spans(pcm) == [speech.Span(speech.tag_of(response_id), 0, length_ms)]


def _pieces() -> Iterator[bytes]:
    """Appends of the recording with a pause after it, over and over."""
    with wave.open(str(SPOKEN)) as recording:
        pcm = recording.readframes(recording.getnframes()) + bytes(48 * 800)
    size = 48 * PIECE_MS
    appends = []
    for at in range(0, len(pcm) - size + 1, size):
        audio = pybase64.b64encode_as_string(pcm[at : at + size])
        appends.append(msgspec.json.encode({"type": "input_audio_buffer.append", "audio": audio}))
    while True:
        yield from appends


async def _connect(url: str, count: int) -> list[_Session]:
    gate = asyncio.Semaphore(CONNECTING)

    async def one(number: int) -> _Session:
        async with gate:
            session = _Session(number % SAMPLE_EVERY == 0)
            await picows.ws_connect(lambda: session, url, max_frame_size=1 << 24)
            return session

    return await asyncio.gather(*(one(number) for number in range(count)))


def _create(session: _Session, how: str, seconds: float) -> None:
    response = {"instructions": f"{how} {seconds}"}
    session.send(msgspec.json.encode({"type": "response.create", "response": response}))


async def _stream(sessions: list[_Session], turns: dict[str, Any], seconds: float) -> None:
    """Begin all responses, and send speech in real time; each session has its own moment."""
    loop = asyncio.get_running_loop()
    update = {"type": "session.update", "session": {"type": "realtime", "audio": {"input": turns}}}
    configure = msgspec.json.encode(update)
    slots = 20
    pieces = _pieces()
    began = loop.time()
    for tick in range(int(seconds * 1000 / PIECE_MS)):
        piece = next(pieces)
        for slot in range(slots):
            due = began + (tick + slot / slots) * PIECE_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
            for session in sessions[slot::slots]:
                if tick == 0:
                    session.send(configure)
                    _create(session, "real", seconds)
                session.send(piece)


async def _measure(count: int, seconds: float, turns: str, slow_reader: bool, core: int) -> Result:
    server = _Server(count, core)
    try:
        before = await server.usage()
        began = time.monotonic()
        sessions = await _connect(server.url, count)
        connect_s = time.monotonic() - began
        idle = await server.usage()
        assert idle["connections"] == count, idle
        slow = sessions[0] if slow_reader else None
        others = sessions[1:] if slow_reader else sessions
        if slow is not None:
            _create(slow, "fast", seconds)
            slow.transport.underlying_transport.pause_reading()
        began = time.monotonic()
        await _stream(others, TURNS if turns == "server_vad" else NO_TURNS, seconds)
        peak = await server.usage()
        await asyncio.wait_for(asyncio.gather(*(one.done.wait() for one in others)), 60)
        spent = (await server.usage())["cpu_s"] - idle["cpu_s"]
        wall = time.monotonic() - began
        wanted = {id(one): int(seconds * 1000) for one in others}
        if slow is not None:
            slow.transport.underlying_transport.resume_reading()
            await asyncio.wait_for(slow.done.wait(), 30)
            wanted[id(slow)] = int(seconds * 1000) * SLOW_SPEED
        late = sorted(one for session in others for one in session.late_ms)
        checked = [one for one in sessions if one.frames is not None]
        return Result(
            turns=turns,
            slow_reader=slow_reader,
            sessions=count,
            seconds=seconds,
            connect_s=round(connect_s, 2),
            cpu_ms_per_session_s=round(spent * 1000 / (count * seconds), 3),
            cpu_cores=round(spent / wall, 2),
            idle_kb_per_session=round((idle["rss_kb"] - before["rss_kb"]) / count, 1),
            peak_kb_per_session=round((peak["rss_kb"] - before["rss_kb"]) / count, 1),
            lateness_ms_p50=round(late[len(late) // 2], 1),
            lateness_ms_p99=round(late[len(late) * 99 // 100], 1),
            lateness_ms_max=round(late[-1], 1),
            incomplete_sessions=sum(
                one.deltas * PIECE_MS != wanted[id(one)] or one.gone for one in sessions
            ),
            checked_sessions=len(checked),
            wrong_sessions=sum(not one.is_right(wanted[id(one)]) for one in checked),
        )
    finally:
        server.stop()


def _table(results: list[Result]) -> str:
    columns: dict[str, Callable[[Any], str]] = {
        "sessions": lambda one: str(one.sessions),
        "turn detection": lambda one: one.turns,
        "slow reader": lambda one: "one" if one.slow_reader else "none",
        "CPU per session": lambda one: f"{one.cpu_ms_per_session_s:.2f} ms/s",
        "cores used": lambda one: f"{one.cpu_cores:.2f}",
        "memory, idle": lambda one: f"{one.idle_kb_per_session:.0f} kB",
        f"after {results[0].seconds:.0f} s": lambda one: f"{one.peak_kb_per_session:.0f} kB",
        "late, median": lambda one: f"{one.lateness_ms_p50:.0f} ms",
        "99 %": lambda one: f"{one.lateness_ms_p99:.0f} ms",
        "worst": lambda one: f"{one.lateness_ms_max:.0f} ms",
        "incomplete": lambda one: f"{one.incomplete_sessions} of {one.sessions}",
        "wrong": lambda one: f"{one.wrong_sessions} of {one.checked_sessions}",
    }
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += ["| " + " | ".join(show(one) for show in columns.values()) + " |" for one in results]
    return "\n".join(lines)


async def _main(count: int, seconds: float) -> None:
    _raise_limits()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[0]})
    results = []
    # All of them; then as many as leave the core time to spare, without and with a slow reader.
    fewer = max(1, count // 10)
    runs = [(count, "none", False), (count, "server_vad", False)]
    runs += [(fewer, "server_vad", False), (fewer, "server_vad", True)]
    for sessions, turns, slow_reader in runs:
        result = await _measure(sessions, seconds, turns, slow_reader, cores[-1])
        results.append(result)
        print(json.dumps(asdict(result)), flush=True)
    print(_table(results))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.emulator_load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--server", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.server is not None:
        asyncio.run(_serve(asked.server))
    else:
        asyncio.run(_main(asked.sessions, asked.seconds))
