"""Runs the plans in shuffled rounds and keeps what came out."""

import datetime
import json
import os
import platform
import random
import shutil
import ssl
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import environments, runner
from benchmarks.plans import ROWS, SCENARIOS, Row, Scenario, plan_for

__all__ = ["RESULTS", "keep", "measure", "today"]

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
_DISTURBED = 0.05  # share of its time that a process waited for its core
_TRIES = 3


class _Skip(Exception):
    """This row cannot run here; the text says why."""


def _floor() -> str:
    """Compile the floor."""
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None or not sys.platform.startswith("linux"):
        raise _Skip("the C floor needs Linux and a C compiler")
    environments.CACHE.mkdir(exist_ok=True)
    binary = environments.CACHE / "floor"
    source = HERE / "floor.c"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run([compiler, "-O3", "-o", str(binary), str(source)], check=True)
    return str(binary)


def _certificate() -> Path:
    """Make a certificate for localhost, and the trust store that clients are told to use.

    It holds what this machine trusts besides: how often a client reads it shows in its memory.
    """
    folder = environments.CACHE / "tls"
    if not (folder / "trusted.pem").exists():
        folder.mkdir(parents=True, exist_ok=True)
        code = (
            "import sys, trustme; ca = trustme.CA(); c = ca.issue_cert('localhost'); "
            "c.private_key_and_cert_chain_pem.write_to_path(sys.argv[1] + '/server.pem'); "
            "ca.cert_pem.write_to_path(sys.argv[1] + '/ca.pem')"
        )
        subprocess.run([str(environments.python("bare")), "-c", code, str(folder)], check=True)
        system = ssl.get_default_verify_paths().cafile
        others = Path(system).read_text() if system else ""
        (folder / "trusted.pem").write_text((folder / "ca.pem").read_text() + others)
    return folder


def _command(row: Row) -> list[str]:
    if row.adapter == "floor":
        return [_floor()]
    return [str(environments.python(row.environment)), f"adapters/{row.adapter}.py"]


def _run(scenario: Scenario, row: Row, *, quick: bool, verify: bool = False) -> dict[str, Any]:
    plan = plan_for(scenario, row, quick=quick, verify=verify)
    env = {}
    if plan.get("tls"):
        folder = _certificate()
        plan["tls"] = str(folder / "server.pem")
        env["SSL_CERT_FILE"] = str(folder / "trusted.pem")
    log = environments.CACHE / f"{scenario.key}.{row.key}.log"
    best: dict[str, Any] = {}
    for _ in range(1 if verify or quick else _TRIES):
        results = runner.run(_command(row), plan, log=log, env=env, timeout_s=120)
        figures = _digest(plan, results)
        if not best or figures["disturbed"] < best["disturbed"]:
            best = figures
        if best["disturbed"] <= _DISTURBED:
            break
    return best


def _digest(plan: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Reduce what the two processes said to figures."""
    sent, server = results["sent"], results["server"]
    figures: dict[str, Any] = {"disturbed": _disturbance(results, sent)}
    if plan["scenario"] == "downlink":
        deltas = sent["deltas"]
        figures["right"] = results["right"] / deltas
        figures["misrouted"] = results["misrouted"] / deltas
        figures["lost"] = (deltas - results["right"] - results["misrouted"]) / deltas
        if plan.get("verify"):
            figures["verified"] = results["corrupt"] == 0 and results["right"] == deltas
            return figures
        figures["us_per_event"] = results["cpu_s"] * 1e6 / sent["events"]
        figures["wall_us_per_event"] = results["wall_s"] * 1e6 / sent["events"]
        if "latency_us" in results:
            figures |= {f"p{p}_us": value for p, value in results["latency_us"].items()}
        if plan.get("sample_rss") and results["rss_kib"]:
            figures["rss_start_kib"] = results["rss_kib"][0]
            figures["rss_end_kib"] = results["rss_kib"][-1]
    elif plan["scenario"] == "interrupt":
        figures |= _interruptions(results["called_ns"], server["cancels"], plan["in_flight"])
        figures["late_deltas"] = results["after_stop"] / len(results["called_ns"])
        figures |= results["stages"]
    elif plan["scenario"] == "uplink":
        seconds = plan["sessions"] * plan["chunks"] * 0.02
        figures["ms_per_s"] = results["cpu_s"] * 1000 / seconds
        figures["arrived"] = server["audio_bytes"] / (seconds * 48000)
        figures["frames_per_s"] = server["appends"] / seconds
    elif plan["scenario"] == "memory":
        figures["session_kib"] = results["session_kib"]
    else:
        figures["import_s"] = results["wall_s"]
        figures |= {key: results[key] for key in ("import_kib", "rss_end_kib")}
    return figures


def _disturbance(results: dict[str, Any], sent: dict[str, Any]) -> float:
    """Return the share of a run that the client or the server waited for its own core.

    Then something else ran there, and neither pace nor latency was what was asked for.
    """
    shares = [
        side["waited_s"] / side["wall_s"] for side in (results, sent) if side.get("wall_s", 0) > 0
    ]
    return max(shares, default=0.0)


def _interruptions(
    called: list[int], rounds: list[list[list[int]]], wanted: int
) -> dict[str, float]:
    """From each call to the last cancel it caused."""
    read = sorted(time for cancels in rounds for time, _ in cancels)
    named = [by_id for cancels in rounds for _, by_id in cancels]
    delays, counts = [], []
    for number, start in enumerate(called):
        end = called[number + 1] if number + 1 < len(called) else sys.maxsize
        caused = [time for time in read if start <= time < end]
        counts.append(len(caused))
        if caused:
            delays.append((caused[:wanted][-1] - start) / 1000)
    figures = {"cancels": statistics.mean(counts) if counts else 0.0}
    figures["by_id"] = sum(named) / len(named) if named else 0.0
    if delays:
        figures["delay_us"] = statistics.median(delays)
        figures["delay_p90_us"] = sorted(delays)[len(delays) * 9 // 10]
    return figures


def measure(scenarios: list[str], rows: list[str], *, rounds: int, quick: bool) -> None:
    """Run everything asked for, in a new order each round, and add it to the results.

    Results of a scenario that is measured again are replaced.
    """
    skipped: dict[str, str] = {}
    jobs = [(s, r) for s in scenarios for r in SCENARIOS[s].rows if r in rows]
    for key in sorted({r for _, r in jobs}):
        try:
            _command(ROWS[key])
        except (_Skip, subprocess.CalledProcessError) as why:
            skipped[key] = str(why)
            print(f"- {key}: {why}", flush=True)
    jobs = [job for job in jobs if job[1] not in skipped]
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number in range(rounds + 1):
        random.shuffle(jobs)
        for done, (scenario, row) in enumerate(jobs):
            verify = number == 0
            if verify and SCENARIOS[scenario].plan["scenario"] != "downlink":
                continue
            try:
                figures = _run(SCENARIOS[scenario], ROWS[row], quick=quick, verify=verify)
            except (runner.RunError, KeyError) as why:
                figures = {"failed": str(why)}
            found.setdefault(scenario, {}).setdefault(row, []).append(figures)
            shown = " ".join(f"{k}={_short(v)}" for k, v in figures.items())
            print(
                f"[{number}/{rounds} {done + 1}/{len(jobs)}] {scenario} {row}: {shown}", flush=True
            )
    _keep(found, skipped, rounds, quick)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def today() -> str:
    """The date that results are kept with."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def keep(**parts: Any) -> None:
    """Put these parts of the results in the place of what was kept."""
    RESULTS.write_text(json.dumps(_kept() | parts, indent=1) + "\n")


def _kept() -> dict[str, Any]:
    text = RESULTS.read_text() if RESULTS.exists() else '{"scenarios": {}}'
    kept: dict[str, Any] = json.loads(text)
    return kept


def _keep(found: dict[str, Any], skipped: dict[str, str], rounds: int, quick: bool) -> None:
    kept = _kept()
    kept["machine"] = {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }
    kept["skipped"] = skipped
    used = {ROWS[row].environment for rows in found.values() for row in rows} - {""}
    kept.setdefault("versions", {}).update({name: environments.versions(name) for name in used})
    for scenario, rows in found.items():
        entry = kept["scenarios"].setdefault(scenario, {"rows": {}})
        entry |= {"date": today(), "rounds": rounds, "quick": quick}
        entry["rows"] |= rows
    keep(**kept)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
