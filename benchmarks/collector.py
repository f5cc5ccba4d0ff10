"""What Python's garbage collector adds to latency, and what `gc.freeze()` takes away.

    python -m benchmarks.collector [--rounds 3] [--rate 20000]

The paced load of the benchmark, 100 sessions, read by the LiveKit plugin and by the plain session,
in this environment, each with the collector as it is, with `gc.freeze()` once all sessions are
there, and without a collector. Orders are shuffled; medians of the rounds are printed, as JSON.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import runner

__all__ = ["measure"]

CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plugin": ("livekit_openai", {"plugin": "antiphon"}),
    "session": ("antiphon_session", {}),
}
COLLECTORS = ("as it is", "frozen", "off")


def measure(*, rounds: int, rate: int, sessions: int = 100, responses: int = 13) -> dict[str, Any]:
    """Latency and collections by client and collector; times in ms."""
    plan = {
        "scenario": "downlink",
        "mode": "paced",
        "deltas": 50,
        "sessions": sessions,
        "responses": responses,
        "rate": rate,
        "timed": True,
    }
    found: dict[str, list[dict[str, Any]]] = {}
    cases = [(client, how) for client in CLIENTS for how in COLLECTORS]
    for _ in range(rounds):
        random.shuffle(cases)
        for client, how in cases:
            adapter, more = CLIENTS[client]
            command = [sys.executable, f"adapters/{adapter}.py"]
            with tempfile.NamedTemporaryFile() as log:
                given = {**plan, **more, "collector": how}
                results = runner.run(command, given, log=Path(log.name), timeout_s=120)
            found.setdefault(f"{client}, {how}", []).append(results)
    return {name: _summary(runs) for name, runs in sorted(found.items())}


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    def median(values: list[float]) -> float:
        return round(statistics.median(values), 3)

    return {
        "p50": median([one["latency_us"]["50"] / 1000 for one in runs]),
        "p99": median([one["latency_us"]["99"] / 1000 for one in runs]),
        "full collections": median([len(one["pauses_ms"]) for one in runs]),
        "longest": median([max(one["pauses_ms"], default=0.0) for one in runs]),
        "right": min(one["right"] / one["sent"]["deltas"] for one in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=20_000, help="events per second, all sessions")
    parser.add_argument("--responses", type=int, default=13, help="in each of 100 sessions")
    asked = parser.parse_args()
    found = measure(rounds=asked.rounds, rate=asked.rate, responses=asked.responses)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
