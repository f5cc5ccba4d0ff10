"""What is measured, and on whom: the scenarios and the rows of the tables."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ROWS", "SCENARIOS", "Row", "Scenario", "plan_for"]


@dataclass(frozen=True)
class Row:
    """One client: which adapter, in which environment, with which options in its plan."""

    key: str
    label: str
    environment: str
    adapter: str
    options: dict[str, Any] = field(default_factory=dict)


def _both_loops(key: str, label: str, environment: str, adapter: str, **options: Any) -> list[Row]:
    return [
        Row(key, label, environment, adapter, options),
        Row(
            f"{key}+uvloop", f"{label}, uvloop", environment, adapter, {**options, "loop": "uvloop"}
        ),
    ]


_ALL = [
    Row("floor", "C floor", "", "floor"),
    *_both_loops("picows", "picows + msgspec + pybase64", "bare", "bare_picows"),
    *_both_loops("aiohttp", "aiohttp + msgspec + pybase64", "bare", "bare_aiohttp"),
    *_both_loops("websockets", "websockets + msgspec + pybase64", "bare", "bare_websockets"),
    Row("aiohttp-stdlib", "aiohttp + json + base64", "bare", "bare_aiohttp", {"codec": "stdlib"}),
    *_both_loops("antiphon", "**antiphon**", "bare", "antiphon_session"),
    Row(
        "antiphon-callbacks",
        "**antiphon**, `subscribe` in place of streams",
        "bare",
        "antiphon_session",
        {"callbacks": True},
    ),
    Row(
        "antiphon-batched",
        "**antiphon**, 100 ms pieces",
        "bare",
        "antiphon_session",
        {"batch_audio_ms": 100},
    ),
    Row("antiphon-parts", "**antiphon**, its transport alone", "bare", "antiphon_parts"),
    *_both_loops(
        "antiphon-livekit",
        "**antiphon in LiveKit**",
        "livekit",
        "livekit_openai",
        plugin="antiphon",
    ),
    Row(
        "antiphon-livekit-frozen",
        "**antiphon in LiveKit**, `gc.freeze()`",
        "livekit",
        "livekit_openai",
        {"plugin": "antiphon", "collector": "frozen"},
    ),
    *_both_loops("livekit", "livekit-plugins-openai", "livekit", "livekit_openai"),
    Row(
        "livekit-frozen",
        "livekit-plugins-openai, `gc.freeze()`",
        "livekit",
        "livekit_openai",
        {"collector": "frozen"},
    ),
    Row(
        "agents-model", "openai-agents, model", "openai-agents", "openai_agents", {"layer": "model"}
    ),
    Row("agents", "openai-agents, session", "openai-agents", "openai_agents"),
    Row("openai", "openai-python", "openai", "openai_python"),
    Row(
        "pipecat-service",
        "pipecat, service alone",
        "pipecat",
        "pipecat_service",
        {"layer": "service"},
    ),
    Row("pipecat", "pipecat, pipeline", "pipecat", "pipecat_service"),
]
ROWS = {row.key: row for row in _ALL}

_BATCHED = "antiphon-batched"  # differs in what it sends, and in nothing else
_PARTS = "antiphon-parts"  # shows where the time goes
_CALLBACKS = "antiphon-callbacks"
_FROZEN = ["antiphon-livekit-frozen", "livekit-frozen"]  # differ in their pauses alone
_EVERY = [row.key for row in _ALL if row.key not in (_BATCHED, _PARTS, *_FROZEN)]
_PLAIN = [key for key in _EVERY if not key.endswith("+uvloop") and key != _CALLBACKS]
_CLIENTS = [key for key in _PLAIN if key != "floor"]
_WHOLE = [  # clients that keep responses apart, or ought to
    "antiphon",
    "antiphon-livekit",
    "livekit",
    "agents",
    "openai",
    "pipecat",
]


@dataclass(frozen=True)
class Scenario:
    """One way of loading a client. `plan` is what both processes are told.

    `responses` is per session; a `heavy` one is cut down in a quick run.
    """

    key: str
    title: str
    rows: list[str]
    plan: dict[str, Any]
    quick: dict[str, Any] = field(default_factory=dict)


def _downlink(mode: str, **plan: Any) -> dict[str, Any]:
    return {"scenario": "downlink", "deltas": 50, "sessions": 1, "mode": mode, **plan}


def _interleaved() -> list[Scenario]:
    rows = ["floor", "picows", *_WHOLE]
    found = []
    for in_flight, staggered in ((1, False), (2, False), (2, True), (8, False), (8, True)):
        shape = "" if in_flight == 1 else ", staggered" if staggered else ", aligned"
        plan = _downlink("flood", responses=240, in_flight=in_flight, staggered=staggered)
        key = f"flight-{in_flight}{'-staggered' if staggered else ''}"
        title = f"{in_flight} in flight{shape}"
        found.append(Scenario(key, title, rows, plan, {"responses": 48}))
    return found


_INTERRUPT = {
    "scenario": "interrupt",
    "mode": "interrupt",
    "in_flight": 8,
    "responses": 8 * 200,
    "deltas": 50,
}
_FEW = {"responses": 8 * 30}
_IDLE = {"mode": "idle"}

_SCENARIOS = [
    Scenario(
        "flood",
        "a flood on one connection",
        _EVERY,
        _downlink("flood", responses=600),
        {"responses": 100},
    ),
    Scenario(
        "live",
        "2,000 events/s over 100 sessions, the pace of calls",
        [
            "floor",
            *(
                f"{key}{loop}"
                for key in ("picows", "antiphon", "antiphon-livekit", "livekit")
                for loop in ("", "+uvloop")
            ),
            *_FROZEN,
        ],
        _downlink("paced", responses=3, sessions=100, rate=2000, timed=True),
        {"responses": 1},
    ),
    Scenario(
        "paced",
        "20,000 events/s over 100 sessions",
        _EVERY,
        _downlink("paced", responses=13, sessions=100, rate=20000, timed=True),
        {"responses": 3},
    ),
    Scenario(
        "saturated",
        "100 sessions, each event by itself, as fast as the client takes them",
        _EVERY,
        _downlink("saturated", responses=13, sessions=100),
        {"responses": 3},
    ),
    Scenario(
        "paced-tls",
        "5,000 events/s over 50 sessions, TLS",
        [*_CLIENTS],
        _downlink("paced", responses=6, sessions=50, rate=5000, tls=True),
        {"responses": 2},
    ),
    *_interleaved(),
    Scenario(
        "interrupt",
        "interruption, idle",
        [*_CLIENTS, "picows+uvloop", "antiphon+uvloop", _PARTS],
        _INTERRUPT,
        _FEW,
    ),
    Scenario(
        "interrupt-loaded",
        "interruption, deltas arriving as fast as they are taken",
        [*_CLIENTS, "picows+uvloop", "antiphon+uvloop", _PARTS],
        {**_INTERRUPT, "loaded": True},
        _FEW,
    ),
    Scenario(
        "memory",
        "an idle session",
        _CLIENTS,
        {"scenario": "memory", "sessions": 100, **_IDLE},
        {"sessions": 40},
    ),
    Scenario(
        "memory-tls",
        "an idle session, TLS",
        _CLIENTS,
        {"scenario": "memory", "sessions": 60, "tls": True, **_IDLE},
        {"sessions": 30},
    ),
    Scenario(
        "flat",
        "10,000 responses on one session",
        ["picows", "antiphon", "antiphon-livekit", "livekit"],
        _downlink("flood", responses=10_000, deltas=3, sample_rss=True),
        {"responses": 2000},
    ),
    Scenario(
        "uplink",
        "20 ms pieces of microphone audio, 50 sessions in real time",
        [*_CLIENTS, _BATCHED, _PARTS],
        {"scenario": "uplink", "sessions": 50, "chunks": 200, **_IDLE},
        {"chunks": 50},
    ),
    Scenario("import", "importing the client", _CLIENTS, {"scenario": "import", **_IDLE}),
    *[
        Scenario(
            f"sessions-{count}",
            f"20,000 events/s over {count} session{'s' if count > 1 else ''}",
            ["picows", "antiphon"],
            _downlink("paced", responses=max(1, 1000 // count), sessions=count, rate=20000),
            {"responses": max(1, 200 // count)},
        )
        for count in (1, 10, 100, 500)
    ],
    *[
        Scenario(
            f"load-{in_flight}",
            f"a flood, {in_flight} in flight",
            ["picows", "antiphon"],
            _downlink("flood", responses=640, in_flight=in_flight),
            {"responses": 128},
        )
        for in_flight in (1, 8, 64)
    ],
]
SCENARIOS = {scenario.key: scenario for scenario in _SCENARIOS}


def plan_for(scenario: Scenario, row: Row, *, quick: bool, verify: bool) -> dict[str, Any]:
    """Return the plan for one run; `verify` makes it a short one that looks at every byte."""
    plan = {**scenario.plan, **(scenario.quick if quick else {}), **row.options}
    if plan["scenario"] == "downlink":
        if verify:
            in_flight = plan.get("in_flight", 1)
            plan |= {"verify": True, "timed": False, "sessions": min(plan["sessions"], 4)}
            plan["responses"] = min(plan["responses"], max(in_flight, 8))
        plan["expected"] = plan["sessions"] * plan["responses"] * plan["deltas"]
    return plan
