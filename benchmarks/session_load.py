"""`antiphon load` at several sizes, for the table in docs/performance.md.

`python -m benchmarks` runs it after everything else; `python -m benchmarks.session_load` runs it
alone.
"""

import json
import subprocess
import sys
from typing import Any

from antiphon.bench.load import percentile
from benchmarks.harness import keep, today

__all__ = ["SIZES", "measure"]

# Sessions, processes, responses in flight on each session.
SIZES = [(1, 1, 2), (10, 1, 2), (100, 1, 2), (250, 1, 2), (250, 2, 2), (400, 2, 2), (25, 1, 8)]


def measure(*, quick: bool = False) -> None:
    """Run each size once and keep the figures."""
    rows = []
    for sessions, processes, responses in SIZES:
        print(f"antiphon load: {sessions} sessions, {processes} processes", flush=True)
        rows.append(_run(sessions, processes, responses, seconds=3 if quick else 12))
    keep(load={"date": today(), "quick": quick, "rows": rows})


def _run(sessions: int, processes: int, responses: int, *, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "antiphon", "load", "--json"]
    command += ["--sessions", str(sessions), "--processes", str(processes)]
    command += ["--responses", str(responses), "--seconds", str(seconds)]
    command += ["--ramp", str(max(1.0, sessions / 50))]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    seen: dict[str, Any] = json.loads(done.stdout)
    return {
        "sessions": sessions,
        "processes": processes,
        "responses": responses,
        "held": seen["opened"] - seen["lost"],
        "completed": seen["completed"],
        "cancelled": seen["cancelled"],
        "misrouted_bytes": seen["misrouted_bytes"],
        "late_bytes": seen["late_bytes"],
        "first_audio_ms": _shares(seen["first_audio"]),
        "interrupted_ms": _shares(seen["interrupted"]),
        "cpu_ms_per_audio_s": 1000 * seen["cpu_seconds"] / (seen["audio_bytes"] / 48000),
        "peak_rss_mib": seen["peak_rss_kib"] / 1024,
    }


def _shares(seconds: list[float]) -> list[float] | None:
    """Median and 99th percentile in ms."""
    if not seconds:
        return None
    return [percentile(seconds, share) * 1000 for share in (0.5, 0.99)]


if __name__ == "__main__":
    from benchmarks import report

    measure()
    report.write()
