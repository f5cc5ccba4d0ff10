"""`python -m antiphon.bench.report PAGE REPORT.json ...`: write reports into a page of docs/."""

import sys
from pathlib import Path

from antiphon.bench.report.markdown import write_conformance
from antiphon.bench.report.model import from_json

__all__: list[str] = []


def _main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print("usage: python -m antiphon.bench.report PAGE REPORT.json ...", file=sys.stderr)
        return 2
    reports = [from_json(Path(path).read_text(encoding="utf-8")) for path in arguments[1:]]
    write_conformance(Path(arguments[0]), reports)
    return 0


if __name__ == "__main__":
    raise SystemExit(_main(sys.argv[1:]))
