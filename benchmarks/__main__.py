"""`python -m benchmarks`: measure, and write docs/performance.md from what was measured."""

import argparse

from benchmarks import harness, report, session_load, stages
from benchmarks.plans import ROWS, SCENARIOS

__all__: list[str] = []


def _choice(text: str, names: list[str]) -> list[str]:
    if not text:
        return names
    chosen = [name for name in names for part in text.split(",") if name == part]
    unknown = set(text.split(",")) - set(chosen)
    if unknown:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    return chosen


parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
parser.add_argument("--scenarios", default="", help="some only, by name, with commas between")
parser.add_argument("--rows", default="", help="some clients only")
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--quick", action="store_true", help="short runs, to see that all of it works")
parser.add_argument("--report", action="store_true", help="only write the page from the results")
parser.add_argument("--list", action="store_true", help="name the scenarios and the clients")
asked = parser.parse_args()
if asked.list:
    print("scenarios:", *SCENARIOS, "\nrows:", *ROWS)
else:
    if not asked.report:
        scenarios = _choice(asked.scenarios, list(SCENARIOS))
        rows = _choice(asked.rows, list(ROWS))
        harness.measure(scenarios, rows, rounds=asked.rounds, quick=asked.quick)
        if not (asked.scenarios or asked.rows):
            session_load.measure(quick=asked.quick)
            stages.measure()
    report.write()
