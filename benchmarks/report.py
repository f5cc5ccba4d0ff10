"""Writes docs/performance.md and its plot from results.json."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.environments import SHOWN
from benchmarks.harness import RESULTS
from benchmarks.plans import ROWS, SCENARIOS
from benchmarks.plot import bars

__all__ = ["write"]

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"

Results = dict[str, Any]
_NONE = "–"


_DISTURBED = 0.05  # of a run's time: a process waited for its core, for something else ran there


_TIMES = {"us_per_event", "p50_us", "p99_us", "delay_us", "ms_per_s", "import_s"}


class _Value(float):
    """A median. `shaken` if there was no run that was left in peace."""

    shaken = False


class _Book:
    """The results, looked up as medians over the rounds that were left in peace, if any were."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.scenarios: Results = results["scenarios"]

    def value(self, scenario: str, row: str, name: str) -> _Value | None:
        runs = self.scenarios.get(scenario, {}).get("rows", {}).get(row, [])
        runs = [run for run in runs if name in run]
        if not runs:
            return None
        quiet = [run for run in runs if run["disturbed"] <= _DISTURBED]
        value = _Value(statistics.median(run[name] for run in quiet or runs))
        value.shaken = not quiet and name in _TIMES
        return value

    def ratio(
        self, scenario: str, row: str, base: str, name: str = "us_per_event"
    ) -> _Value | None:
        over, under = self.value(scenario, row, name), self.value(scenario, base, name)
        if over is None or under is None:
            return None
        ratio = _Value(over / under)
        ratio.shaken = over.shaken or under.shaken
        return ratio

    def right(self, scenario: str, row: str) -> str:
        """The share of deltas that were right in the worst round, and where the rest went."""
        runs = self.scenarios.get(scenario, {}).get("rows", {}).get(row, [])
        shares = [run for run in runs if "right" in run]
        if not shares:
            return "failed" if runs else _NONE
        worst = min(shares, key=lambda run: run["right"])
        if worst["right"] == 1:
            checked = any(run.get("verified") for run in runs)
            return "100 %" if checked else "100 %, bytes differ"
        wrong, lost = worst["misrouted"], worst["lost"]
        parts = [f"{100 * worst['right']:.3g} %"]
        parts += [f"{100 * wrong:.3g} % misrouted"] if wrong else []
        parts += [f"{100 * lost:.3g} % lost"] if lost > 0 else []
        return ", ".join(parts)

    def measured(self, *scenarios: str) -> list[str]:
        """Return the rows measured in any of these, in the order of the plans."""
        found = {row for s in scenarios for row in self.scenarios.get(s, {}).get("rows", {})}
        return [key for key in ROWS if key in found]


def _figure(value: float | None, form: str = "{:.3g}") -> str:
    if value is None:
        return _NONE
    shown = f"{value:,.0f}" if value >= 1000 else form.format(float(value))
    return f"~{shown}" if isinstance(value, _Value) and value.shaken else shown


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


# -- the parts -------------------------------------------------------------------------------


def _downlink(book: _Book) -> str:
    loads = ["flood", "paced", "saturated"]
    head = ["client", "flood: µs", "× floor", "paced: µs", "× floor", "p50, p99 (µs)"]
    head += ["saturated: µs", "× floor", "audio right"]
    rows = []
    for key in book.measured(*loads):
        cells = [ROWS[key].label]
        for load in loads:
            cells.append(_figure(book.value(load, key, "us_per_event")))
            cells.append(_figure(book.ratio(load, key, "floor")))
            if load == "paced":
                p50, p99 = (book.value(load, key, name) for name in ("p50_us", "p99_us"))
                both = f"{_figure(p50, '{:.0f}')}, {_figure(p99, '{:.0f}')}"
                cells.append(both if p50 is not None else _NONE)
        shares = {book.right(load, key) for load in loads} - {_NONE}
        cells.append(" / ".join(sorted(shares)))
        rows.append(cells)
    return _table(head, rows)


def _live(book: _Book) -> str:
    rows = []
    for key in book.measured("live"):
        cells = [_figure(book.value("live", key, "us_per_event"))]
        cells += [_figure(book.ratio("live", key, base)) for base in ("picows", "livekit")]
        cells += [_figure(book.value("live", key, name), "{:.0f}") for name in ("p50_us", "p99_us")]
        rows.append([ROWS[key].label, *cells, book.right("live", key)])
    head = ["client", "µs per event", "× picows", "× livekit-plugins-openai"]
    return _table([*head, "p50 (µs)", "p99 (µs)", "audio right"], rows)


def _tls(book: _Book) -> str:
    rows = [
        [
            ROWS[key].label,
            _figure(book.value("paced-tls", key, "us_per_event")),
            _figure(book.ratio("paced-tls", key, "antiphon")),
            book.right("paced-tls", key),
        ]
        for key in book.measured("paced-tls")
    ]
    return _table(["client", "µs per event", "× antiphon", "audio right"], rows)


def _interleaved(book: _Book) -> str:
    keys = [key for key in SCENARIOS if key.startswith("flight-")]
    head = ["client"]
    for key in keys:
        head += [f"{SCENARIOS[key].title}: µs", "right"]
    rows = []
    for row in book.measured(*keys):
        cells = [ROWS[row].label]
        for key in keys:
            cells += [_figure(book.value(key, row, "us_per_event")), book.right(key, row)]
        rows.append(cells)
    return _table(head, rows)


def _interrupts(book: _Book) -> str:
    head = ["client", "idle: µs to the last cancel", "× picows"]
    head += ["loaded: µs", "× picows", "cancels sent", "naming an id", "deltas delivered after"]
    rows = []
    for key in book.measured("interrupt", "interrupt-loaded"):
        if book.value("interrupt", key, "core_us") is not None:
            continue
        cells = [ROWS[key].label]
        for scenario in ("interrupt", "interrupt-loaded"):
            base = "picows+uvloop" if key.endswith("+uvloop") else "picows"
            cells.append(_figure(book.value(scenario, key, "delay_us"), "{:.0f}"))
            cells.append(_figure(book.ratio(scenario, key, base, "delay_us")))
        cells.append(_figure(book.value("interrupt", key, "cancels")))
        by_id = book.value("interrupt", key, "by_id")
        cells.append(
            _NONE if by_id is None else "yes" if by_id >= 1 else "no" if not by_id else "some"
        )
        # The bare rows know of no responses: they stop nothing.
        late = book.value("interrupt-loaded", key, "late_deltas")
        cells.append(_NONE if ROWS[key].adapter.startswith("bare_") else _figure(late))
        rows.append(cells)
    stages = _stages(book)
    return _table(head, rows) + (f"\n\n{_STAGES}\n\n{stages}" if stages else "")


_STAGES = """Where antiphon's own time goes, in µs from the call: the state machine decides what is
to be sent, the cancels are written as JSON, the socket takes them; after that the readers' streams
are ended. What is left until the server has read the eighth is the kernel's and the server's."""


def _stages(book: _Book) -> str:
    names = ("core_us", "frames_us", "write_us", "streams_us")
    rows = []
    for title, scenario in (("idle", "interrupt"), ("loaded", "interrupt-loaded")):
        taken = [book.value(scenario, "antiphon-parts", name) for name in names]
        if taken[0] is not None:
            rows.append([title, *(_figure(one, "{:.0f}") for one in taken)])
    head = ["", "state machine", "JSON of eight", "socket", "then: streams"]
    return _table(head, rows) if rows else ""


def _resources(book: _Book) -> str:
    head = ["client", "idle session: KiB", "TLS: KiB", "import: s", "process after it: MB"]
    head += ["uplink: ms per s of audio", "× picows", "frames per s"]
    rows = []
    for key in book.measured("memory", "memory-tls", "import", "uplink"):
        size = book.value("import", key, "rss_end_kib")
        rows.append(
            [
                ROWS[key].label,
                _figure(book.value("memory", key, "session_kib")),
                _figure(book.value("memory-tls", key, "session_kib")),
                _figure(book.value("import", key, "import_s"), "{:.2f}"),
                _figure(size / 1024 if size else None, "{:.0f}"),
                _figure(book.value("uplink", key, "ms_per_s")),
                _figure(book.ratio("uplink", key, "picows", "ms_per_s")),
                _figure(book.value("uplink", key, "frames_per_s"), "{:.0f}"),
            ]
        )
    return _table(head, rows)


def _flatness(book: _Book) -> str:
    rows = []
    for key in book.measured("flat"):
        start, end = (book.value("flat", key, name) for name in ("rss_start_kib", "rss_end_kib"))
        more = end - start if start is not None and end is not None else None
        rows.append([ROWS[key].label, *(_figure(x, "{:.0f}") for x in (start, end, more))])
    return _table(["client", "KiB after a tenth", "KiB at the end", "grown by"], rows)


def _scale(book: _Book) -> str:
    keys = [key for key in SCENARIOS if key.startswith(("sessions-", "load-"))]
    head = ["client", *[SCENARIOS[key].title for key in keys]]
    rows = [
        [ROWS[row].label, *[_figure(book.value(key, row, "us_per_event")) for key in keys]]
        for row in book.measured(*keys)
    ]
    return _table(head, rows)


def _goals(book: _Book) -> str:
    """What antiphon set out to reach, beside what it reaches."""
    livekit, floor, ours, plugin = "livekit", "floor", "antiphon", "antiphon-livekit"
    rows: list[list[str]] = []

    def row(what: str, value: float | None, unit: str, goal: str, met: bool) -> None:
        if value is not None:
            shaken = isinstance(value, _Value) and value.shaken
            verdict = "not measured in peace" if shaken else "yes" if met else "**no**"
            rows.append([what, f"{_figure(value)} {unit}".strip(), goal.strip(), verdict])

    def most(what: str, value: float | None, limit: float, unit: str = "×") -> None:
        row(what, value, unit, f"at most {limit:g} {unit}", value is not None and value <= limit)

    def least(what: str, value: float | None, limit: float) -> None:
        row(what, value, "×", f"at least {limit:g} ×", value is not None and value >= limit)

    most("flood, to the floor", book.ratio("flood", ours, floor), 7)
    least("flood, ahead of livekit-plugins-openai", book.ratio("flood", livekit, ours), 8)
    # Figures of another harness at the pace of calls: antiphon 63 µs, with uvloop 49, the stock
    # plugin 129, bare picows 38, a C floor 19.5. At 20,000 events/s the stock one does not keep up.
    most("pace of calls, to picows", book.ratio("live", ours, "picows"), 1.7)
    most("pace of calls, to the floor", book.ratio("live", ours, floor), 3.2)
    least("pace of calls, ahead of livekit-plugins-openai", book.ratio("live", livekit, ours), 2)
    least(
        "LiveKit plugin, pace of calls, ahead of the stock one",
        book.ratio("live", livekit, plugin),
        1.8,
    )
    most("paced, to the floor", book.ratio("paced", ours, floor), 1.9)
    most("paced, p50 latency to the floor's", book.ratio("paced", ours, floor, "p50_us"), 1.3)
    least("saturated, ahead of livekit-plugins-openai", book.ratio("saturated", livekit, ours), 3.4)
    least("LiveKit plugin, flood, ahead of the stock one", book.ratio("flood", livekit, plugin), 3)
    for name, load in (("idle", "interrupt"), ("loaded", "interrupt-loaded")):
        value = book.ratio(load, ours, "picows", "delay_us")
        most(f"interruption of eight, {name}, to eight bare sends", value, 1.5)
    late = book.value("interrupt-loaded", ours, "late_deltas")
    most("deltas delivered after an interruption", late, 0, "")
    most("idle session", book.value("memory", ours, "session_kib"), 50, "KiB")
    most("idle session, TLS", book.value("memory-tls", ours, "session_kib"), 100, "KiB")
    most("import", book.value("import", ours, "import_s"), 0.15, "s")
    size = book.value("import", ours, "rss_end_kib")
    most("process after the import", size / 1024 if size is not None else None, 30, "MB")
    most("uplink, to the bare library", book.ratio("uplink", ours, "picows", "ms_per_s"), 1.2)
    batched = book.ratio("uplink", "antiphon-batched", livekit, "ms_per_s")
    most("uplink in 100 ms pieces, to livekit-plugins-openai", batched, 1)
    return _table(["antiphon on asyncio", "measured", "goal", "reached"], rows)


def _delta(book: _Book) -> str:
    what = {
        "base64": "base64 alone, by pybase64",
        "decode": "a frame to an event, base64 included",
        "core": "the state machine: which response, may it speak, what follows",
        "shell": "carrying that out: the buffer of its stream",
        "reader": "the reader's `async for`, many deltas at a turn of the loop",
    }
    stages = book.results["stages"]
    rows = [[text, _figure(stages[name], "{:.2f}")] for name, text in what.items()]
    return _table(["one 100 ms delta, hot, without a socket", "µs"], rows)


def _load(book: _Book) -> str:
    head = ["sessions", "processes", "in flight on each", "held", "completed", "cancelled"]
    head += ["first audio: p50, p99 (ms)", "interruption to receipt: p50, p99 (ms)"]
    head += ["misrouted bytes", "bytes after a cancel", "CPU per second of audio (ms)", "MiB"]
    rows = []
    for run in book.results["load"]["rows"]:
        latencies = [
            ", ".join(f"{ms:.0f}" for ms in run[name]) if run[name] else _NONE
            for name in ("first_audio_ms", "interrupted_ms")
        ]
        counts = ("sessions", "processes", "responses", "held", "completed", "cancelled")
        wrong = ("misrouted_bytes", "late_bytes")
        cost = [_figure(run["cpu_ms_per_audio_s"]), _figure(run["peak_rss_mib"], "{:.0f}")]
        rows.append(
            [str(run[name]) for name in counts]
            + latencies
            + [str(run[name]) for name in wrong]
            + cost
        )
    return _table(head, rows)


def _versions(book: _Book) -> str:
    found = book.results.get("versions", {})
    lines = []
    for environment, names in SHOWN.items():
        versions = found.get(environment, {})
        listed = ", ".join(f"{name} {versions[name]}" for name in names if name in versions)
        if listed:
            lines.append(f"- {environment}: {listed}")
    return "\n".join(lines)


_PARTS: list[tuple[list[str], str, Callable[[_Book], str]]] = [
    (
        ["flood"],
        "## Goals",
        _goals,
    ),
    (
        ["flood", "paced", "saturated"],
        """## Server events in

CPU time of the client per server event. *Flood*: one connection, many events in a read. *Paced*:
20,000 events/s over 100 sessions, each event by itself, as live calls have it; the latency is from
the server's send to the reader's hand. *Saturated*: the same as fast as the client takes them.

![CPU per server event](performance.svg)""",
        _downlink,
    ),
    (
        ["live"],
        """### At the pace of calls

2,000 events/s over 100 sessions, as a worker full of calls has it: every client keeps up, and each
event finds caches that others have used meanwhile.""",
        _live,
    ),
    (["paced-tls"], "### Over TLS\n\n5,000 events/s over 50 sessions.", _tls),
    (
        [key for key in SCENARIOS if key.startswith("flight-")],
        """## Several responses at once

A flood on one connection, its responses interleaved; every event carries its right `response_id`.
*Aligned* responses start together; *staggered* ones start while others run.""",
        _interleaved,
    ),
    (
        ["interrupt"],
        """## Interruption

Eight responses in flight; from the call to the last `response.cancel` read by the server. A client
that sends one cancel where eight were needed is quick and wrong. The bare rows send eight prepared
cancels. *Deltas delivered after*: how many reached the reader after the call had returned, per
interruption, with deltas arriving as fast as they are taken.""",
        _interrupts,
    ),
    (["memory", "import", "uplink"], "## Memory, start, microphone", _resources),
    (
        ["flat"],
        "## Many responses on one session\n\n10,000 short responses, one after the other.",
        _flatness,
    ),
    (["sessions-1", "load-1"], "## Scale\n\nµs per server event.", _scale),
]


_LOAD = """## A worker full of sessions

`antiphon load`: whole sessions against an emulator on the same two cores, which speaks five times
as fast as it is heard; a quarter of the rounds are interrupted. First audio is from the call of
`create_response`, and the emulator takes its share of it; from 250 sessions on it is the emulator's
core that is full. The CPU time is that of all client processes."""


def write() -> None:
    """Write docs/performance.md and docs/performance.svg."""
    book = _Book(json.loads(RESULTS.read_text()))
    dates = sorted({entry["date"] for entry in book.scenarios.values()})
    rounds = sorted({entry["rounds"] for entry in book.scenarios.values()})
    quick = sorted(key for key, entry in book.scenarios.items() if entry["quick"])
    machine = book.results["machine"]
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    many = f"{rounds[0]}" if len(rounds) == 1 else f"{rounds[0]} to {rounds[-1]}"
    intro = (
        f"Measured {span}: {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}; medians of shuffled rounds ({many}). Client and server have "
        "a core each. Ratios within a run can be compared, figures of different runs cannot. "
        "Rows of one table may be of several runs. Before a client is timed, its every byte is "
        "checked; while it is, the head of every delta is. "
        "[How to run it, and what each figure means](../benchmarks/README.md)."
    )
    text = ["<!-- Written by `python -m benchmarks`; do not edit. -->", "# Performance", intro]
    text.append(
        "A figure with ~ is of runs in which the client or the server waited more than 5 % of the "
        "time for its core, because something else ran there."
    )
    if quick:
        text.append(f"Short runs, good for orientation only: {', '.join(quick)}.")
    for needed, head, part in _PARTS:
        if any(key in book.scenarios for key in needed):
            text += [head, part(book)]
    if "load" in book.results:
        text += [_LOAD, _load(book)]
    text.append((HERE / "rest.md").read_text().strip())
    if "stages" in book.results:
        text.append(_delta(book))
    changes = HERE / "changes.md"
    if changes.exists():
        text.append(changes.read_text().strip())
    text += ["## Versions", _versions(book)]
    for key, why in book.results.get("skipped", {}).items():
        text.append(f"Left out: {ROWS[key].label}: {why}.")
    (DOCS / "performance.md").write_text("\n\n".join(text) + "\n")
    drawn: list[tuple[str, list[float | None]]] = [
        (
            ROWS[key].label.replace("*", "").replace("`", ""),
            [book.value(load, key, "us_per_event") for load in ("flood", "paced", "saturated")],
        )
        for key in book.measured("flood", "paced", "saturated")
    ]
    (DOCS / "performance.svg").write_text(bars(drawn, ["flood", "paced", "saturated"]))
