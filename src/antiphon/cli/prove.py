"""`antiphon prove`: what does a Realtime client do?"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from antiphon.bench.prove.clients import CLIENTS, Client, own
from antiphon.bench.prove.environments import InstallError, cache_folder
from antiphon.bench.prove.outcome import report_of
from antiphon.bench.prove.run import prove
from antiphon.bench.prove.scenario import GROUPS, Result, Scenario, Verdict
from antiphon.bench.prove.scenarios import SCENARIOS
from antiphon.bench.report import html_page, text_report, to_json
from antiphon.cli.arguments import Parser, suggestion

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Play scenarios with Realtime clients against a local server, and report what each client does.

Each scenario is judged by what went over the wire and by what the client handed to its user. What
a client does not have is "not applicable". Clients:

{clients}

A client of other people's is installed into a folder of its own first. For your own, give the file
of its program (.py, .mjs) or a command in quotes: see docs/prove.md.
"""

_CACHE = "where clients are installed (default: antiphon/prove in your folder for caches)"


def add_arguments(parser: Parser) -> None:
    """Declare what the command takes."""
    width = max(map(len, CLIENTS))
    listed = "\n".join(f"  {name:<{width}}  {client.says}" for name, client in CLIENTS.items())
    parser.description = _DESCRIPTION.format(clients=listed)
    add = parser.add_argument
    add("clients", nargs="*", metavar="CLIENT", help="one or several, or 'all'")
    add(
        "--only",
        action="append",
        metavar="NAME",
        help=f"a scenario, or a group ({', '.join(GROUPS)}); may be repeated",
    )
    add("--list", action="store_true", help="list the scenarios and end")
    add("--json", action="store_true", help="print the whole report as JSON")
    add(
        "--html",
        type=Path,
        default=Path("antiphon-prove.html"),
        metavar="FILE",
        help="the report with the exchange of each failure (default: %(default)s)",
    )
    add("--no-html", action="store_true", help="write no such file")
    add("--jobs", type=int, default=5, help="scenarios at once (default: %(default)s)")
    add("--cache", type=Path, default=None, metavar="FOLDER", help=_CACHE)


def run(args: argparse.Namespace) -> int:
    """Carry it out; 1 if a client failed a scenario or could not be run."""
    if args.list:
        _list()
        return 0
    scenarios = _chosen(args.only)
    clients = _clients(args.clients)
    if scenarios is None or clients is None:
        return 2
    cache = args.cache or cache_folder()
    results: dict[str, list[Result]] = {}
    missing = False
    for client in clients:
        if _ready(client, cache):
            results[client.name] = _prove(client, scenarios, cache, max(1, args.jobs))
        else:
            missing = True
    if not results:
        return 1
    report = report_of(results, {client.name: client for client in clients}, SCENARIOS)
    print(to_json(report) if args.json else text_report(report))
    if not args.no_html:
        args.html.write_text(html_page(report), encoding="utf-8")
        print(f"the report with the exchange of each failure: {args.html}", file=sys.stderr)
    failed = any(result.verdict is Verdict.FAIL for found in results.values() for result in found)
    return 1 if failed or missing else 0


def _list() -> None:
    group = ""
    for scenario in SCENARIOS.values():
        if scenario.group != group:
            group = scenario.group
            print(f"\n{group}: {GROUPS[group]}")
        sources = ", ".join((*scenario.reproduces, scenario.facts))
        print(f"  {scenario.name}\n      {scenario.expects} [{sources}]")


def _chosen(only: Sequence[str] | None) -> list[Scenario] | None:
    if not only:
        return list(SCENARIOS.values())
    known = [*SCENARIOS, *GROUPS]
    for word in only:
        if word not in known:
            _wrong(f"no scenario or group {word!r}.{suggestion(word, known)} See: --list")
            return None
    return [
        scenario
        for scenario in SCENARIOS.values()
        if scenario.name in only or scenario.group in only
    ]


def _clients(words: Sequence[str]) -> list[Client] | None:
    if not words:
        _wrong(f"name a client: {', '.join(CLIENTS)}, all, or a program of your own")
        return None
    chosen: list[Client] = []
    for word in words:
        if word == "all":
            chosen += CLIENTS.values()
        elif word in CLIENTS:
            chosen.append(CLIENTS[word])
        elif "." in word or " " in word or "/" in word:
            chosen.append(own(word))
        else:
            _wrong(
                f"no client {word!r}.{suggestion(word, CLIENTS)} There are: {', '.join(CLIENTS)}, "
                "all; or give the file of a program, such as ./my_client.py"
            )
            return None
    return list({client.name: client for client in chosen}.values())


def _ready(client: Client, cache: Path) -> bool:
    """Install it if need be, after saying so."""
    reason = client.unusable()
    if reason is not None:
        _wrong(f"{client.name} cannot be run: {reason}")
        return False
    environment = client.environment
    if environment is None or environment.folder(cache).exists():
        return True
    print(
        f"installing {client.name} {client.version()} into {environment.folder(cache)}",
        file=sys.stderr,
    )
    try:
        environment.build(cache)
    except (InstallError, OSError) as error:
        _wrong(f"{client.name} cannot be installed: {error}")
        return False
    return True


def _prove(client: Client, scenarios: Sequence[Scenario], cache: Path, jobs: int) -> list[Result]:
    began = time.monotonic()
    done: list[Result] = []

    def progress(result: Result) -> None:
        done.append(result)
        failed = sum(result.verdict is Verdict.FAIL for result in done)
        line = (
            f"{client.name}: {len(done)}/{len(scenarios)} scenarios, {failed} failed, "
            f"{time.monotonic() - began:.0f} s"
        )
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif len(done) % 10 == 0 or len(done) == len(scenarios):
            print(line, file=sys.stderr, flush=True)

    results = asyncio.run(
        prove(client.channel(cache), scenarios, progress, jobs=jobs, leaves=client.leaves)
    )
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return results


def _wrong(message: str) -> None:
    print(f"antiphon prove: {message}", file=sys.stderr)
