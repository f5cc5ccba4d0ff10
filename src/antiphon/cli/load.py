"""`antiphon load`: many sessions against any endpoint, or against an emulator of its own."""

import argparse
import asyncio
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe

import msgspec

from antiphon.bench.load import Measured, Plan, percentile, run_load
from antiphon.cli.arguments import Parser
from antiphon.exceptions import ConnectError
from antiphon.models import DEFAULT_MODEL

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Open many sessions, hold a conversation on each, interrupt some of its rounds, and report how many
were held, how long things took, and whether a byte reached the wrong response.

Without --url an emulator is started in a process of its own. Its audio says which response it
belongs to, so misrouted bytes are counted; against another server that line says "not known".
Against a real endpoint this costs money: sessions x seconds of speech.
"""


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    parser.description = _DESCRIPTION
    add = parser.add_argument
    add(
        "--url",
        help="endpoint, such as wss://host/v1/realtime (default: an emulator); its key is taken "
        "from OPENAI_API_KEY",
    )
    add("--model", default=DEFAULT_MODEL, help="model to ask for (default: %(default)s)")
    add("--sessions", type=_count, default=50, help="sessions at once (default: %(default)s)")
    add("--processes", type=_count, default=1, help="processes (default: %(default)s)")
    add("--responses", type=_count, default=2, help="in flight per session (default: %(default)s)")
    add("--seconds", type=float, default=10.0, help="length of each session (default: %(default)s)")
    add("--ramp", type=float, default=2.0, help="seconds to open them in (default: %(default)s)")
    add(
        "--interrupt",
        type=float,
        default=0.25,
        metavar="SHARE",
        help="share of the rounds that is interrupted, 0 to 1 (default: %(default)s)",
    )
    add("--json", action="store_true", help="print the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Carry it out; 1 if a session failed or a byte was misrouted."""
    with _endpoint(args.url) as url:
        plan = Plan(
            url=url,
            model=args.model,
            api_key=os.environ.get("OPENAI_API_KEY"),
            sessions=args.sessions,
            processes=args.processes,
            responses=args.responses,
            seconds=args.seconds,
            ramp=args.ramp,
            interrupt_share=args.interrupt,
        )
        began = time.monotonic()
        seen = Measured()
        for seen in run_load(plan):
            _progress(plan, seen, time.monotonic() - began)
        print(file=sys.stderr)
    if args.json:
        print(msgspec.json.encode(seen).decode())
    else:
        print(_table(plan, seen, marked=seen.unmarked_bytes < seen.audio_bytes))
    bad = seen.failed or seen.lost or seen.late_bytes or "ProcessDied" in seen.errors
    return 1 if bad or seen.misrouted_bytes else 0


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _progress(plan: Plan, seen: Measured, elapsed: float) -> None:
    line = (
        f"{elapsed:5.0f} s  {seen.opened}/{plan.sessions} sessions  {seen.rounds} rounds  "
        f"{seen.audio_bytes / 1e6:.1f} MB  {seen.failed + seen.lost} lost"
    )
    end = "" if sys.stderr.isatty() else "\n"
    print(f"\r{line}" if not end else line, end=end, file=sys.stderr, flush=True)


def _table(plan: Plan, seen: Measured, *, marked: bool) -> str:
    errors = ", ".join(f"{name} x{count}" for name, count in sorted(seen.errors.items()))
    rows = [
        ("sessions held", f"{seen.opened - seen.lost} of {plan.sessions}"),
        (
            "responses",
            f"{seen.completed} completed, {seen.cancelled} cancelled, {seen.other} other",
        ),
        ("audio read", f"{seen.audio_bytes / 1e6:.1f} MB"),
        ("misrouted bytes", str(seen.misrouted_bytes) if marked else "not known"),
        ("bytes after a cancel", str(seen.late_bytes)),
        ("first audio", _times(seen.first_audio)),
        ("interrupt to receipt", _times(seen.interrupted)),
        ("client CPU", f"{seen.cpu_seconds:.1f} s in {plan.processes} processes"),
        ("client memory", f"{seen.peak_rss_kib / 1024:.0f} MiB at the most, all processes"),
        ("errors", errors or "none"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _times(values: list[float]) -> str:
    if not values:
        return "none measured"
    p50, p99 = percentile(values, 0.5) * 1e3, percentile(values, 0.99) * 1e3
    return f"{p50:.1f} ms median, {p99:.1f} ms p99, {len(values)} measured"


@contextmanager
def _endpoint(url: str | None) -> Iterator[str]:
    if url is not None:
        yield url
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        if not ours.poll(20):
            raise ConnectError("the emulator did not start")
        yield ours.recv()
    finally:
        ours.close()
        process.join(timeout=5)
        if process.is_alive():
            process.terminate()


def _serve(pipe: "Pipe[str, None]") -> None:
    async def serve() -> None:
        from antiphon.emulator import EmulatorServer

        async with EmulatorServer(max_connections=100_000) as server:
            pipe.send(server.url)
            gone = asyncio.Event()
            asyncio.get_running_loop().add_reader(pipe.fileno(), gone.set)
            await gone.wait()

    asyncio.run(serve())
