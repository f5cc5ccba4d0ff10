"""`antiphon probe`: what a Realtime server does, with the evidence."""

import argparse
import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from antiphon.bench.probe import (
    ALL,
    Experiment,
    Plan,
    Progress,
    browsers,
    dial,
    is_loopback,
    post,
    probe,
    without_secrets,
)
from antiphon.bench.report import Mark, Report, html_page, text_report, to_json
from antiphon.bench.report.text import SIGNS
from antiphon.cli.arguments import Parser
from antiphon.cli.console import wants_plain
from antiphon.cli.demo.files import spoken_sentence
from antiphon.cli.profile_file import profile_text
from antiphon.exceptions import ConnectError
from antiphon.models import DEFAULT_MODEL

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Ask a Realtime server {count} questions and report what it does: what a cancel without id stops,
whether responses run beside each other, what comes after an interruption, how errors look, what
speech stops, what becomes of a call's sound. Each answer counts its evidence and shows the
exchange; what could not be told says why.

It looks at raw frames over a plain socket. Against a server that is not on this machine it says
first what that may cost, and asks.

  antiphon serve                                         (in another terminal)
  antiphon probe ws://127.0.0.1:8765/v1/realtime
  antiphon probe wss://api.openai.com/v1/realtime --model {model}
"""
_KEY = "OPENAI_API_KEY"
_EXAMPLE = "ws://127.0.0.1:8765/v1/realtime"


def add_arguments(parser: Parser) -> None:
    """Say what the command takes."""
    parser.description = _DESCRIPTION.format(count=len(ALL), model=DEFAULT_MODEL)
    add = parser.add_argument
    add("url", metavar="URL", help=f"the server, such as {_EXAMPLE}")
    add("--model", help="the model to ask for (default: none, or the address's own)")
    add(
        "--key-env",
        default=_KEY,
        metavar="NAME",
        help="the environment variable that holds the key (default: %(default)s)",
    )
    add(
        "--other-key-env",
        metavar="NAME",
        help="a variable with a key of another project, to see whether it may join a call",
    )
    add(
        "--max-tokens",
        type=_count,
        default=40_000,
        metavar="N",
        help="output tokens at which no further question is asked (default: %(default)s)",
    )
    add("--no-calls", action="store_true", help="make no call over HTTP and ask nothing of calls")
    add("--dry-run", action="store_true", help="say what would be asked and what it may cost")
    add("--yes", action="store_true", help="do not ask before anything that may cost")
    add(
        "--html",
        type=Path,
        default=Path("antiphon-probe.html"),
        metavar="FILE",
        help="the report with every exchange (default: %(default)s)",
    )
    add("--no-html", action="store_true", help="write no such file")
    add("--json", action="store_true", help="print the whole report as JSON")
    add(
        "--write-profile",
        type=Path,
        metavar="FILE",
        help="write the knobs that were found; antiphon serve --profile FILE behaves like it",
    )
    add("--name", help="what to call the server in the report (default: its address)")
    add("--server-version", default="", metavar="TEXT", help="its version, for the report")
    add("--plain", action="store_true", help="lines of text, without live progress")


def run(args: argparse.Namespace) -> int:
    """Carry it out.

    Returns:
        0; 1 if nobody answers or it is no Realtime server; 2 if it was not begun.
    """
    try:
        plan = _plan(args)
    except ValueError as error:
        print(f"antiphon probe: {error}", file=sys.stderr)
        return 2
    if args.dry_run:
        print(_told(plan))
        return 0
    if not is_loopback(plan.url) and not args.yes and not _agreed(plan):
        return 2
    try:
        report = _probed(plan, args)
    except ConnectError as error:
        print(f"antiphon probe: {_advice(error, plan)}", file=sys.stderr)
        return 1
    return _written(report, args)


def _plan(args: argparse.Namespace) -> Plan:
    url = args.url
    scheme = urlsplit(url).scheme
    if scheme in ("http", "https"):
        url = "ws" + url[4:]
    elif scheme not in ("ws", "wss"):
        raise ValueError(f"the address must begin with ws:// or wss://, such as {_EXAMPLE}")
    if not urlsplit(url).hostname:
        raise ValueError(f"the address names no host; it should look like {_EXAMPLE}")
    if args.model and "model=" not in url:
        url += ("&" if "?" in url else "?") + urlencode({"model": args.model})
    key = os.environ.get(args.key_env, "").strip()
    host = urlsplit(url).hostname or ""
    azure = host.endswith((".azure.com", ".azure.us", ".azure.cn"))

    def headers(key: str) -> dict[str, str]:
        return {"api-key": key} if azure else {"Authorization": f"Bearer {key}"}

    other = os.environ.get(args.other_key_env, "").strip() if args.other_key_env else ""
    if args.other_key_env and other in ("", key):
        told = "the same key" if other else "no key"
        raise ValueError(f"{args.other_key_env} (--other-key-env) holds {told}")
    return Plan(
        url=url,
        headers=headers(key) if key else {},
        dial=dial,
        key_given=bool(key),
        max_tokens=args.max_tokens,
        clip=spoken_sentence(),
        post=None if args.no_calls else post,
        peer=browsers(url),
        stranger=headers(other) if other else None,
    )


def _asked(plan: Plan) -> list[Experiment]:
    return [experiment for experiment in ALL if plan.post is not None or not experiment.needs_call]


def _told(plan: Plan) -> str:
    asked = _asked(plan)
    tokens = sum(experiment.tokens for experiment in asked)
    calls = sum(experiment.needs_call for experiment in asked)
    called = f"up to {calls} calls over HTTP, with answers aloud; each is hung up within seconds"
    if plan.peer is None:
        called += (
            ";\n  nobody holds their media, which takes aiortc (pip install 'antiphon[webrtc]')"
        )
    spoken = 3 + (calls > 0 and plan.peer is not None)
    tokens, speech = min(tokens, plan.max_tokens), spoken * len(plan.clip) // 48_000
    key = "a" if plan.key_given else "no"
    lines = [
        f"antiphon probe {without_secrets(plan.url)}",
        f"  {len(asked)} questions, about {5 + 2 * calls} handshakes, {key} key",
        f"  {called if calls else 'no call'}",
        f"  at most {tokens} output tokens, most of text; {speech} s of speech are sent",
        "  what a token costs is in your provider's price list; --max-tokens N stops it earlier",
        "",
    ]
    group = ""
    for experiment in asked:
        if experiment.group != group:
            group = experiment.group
            lines.append(group)
        lines.append(f"  {experiment.question}")
        lines.append(f"      sends {experiment.sends}; at most {experiment.tokens} tokens")
    return "\n".join(lines)


def _agreed(plan: Plan) -> bool:
    print(_told(plan).partition("\n\n")[0], file=sys.stderr)
    if not sys.stdin.isatty():
        print("antiphon probe: this may cost something; go on with --yes", file=sys.stderr)
        return False
    print("Go on? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _probed(plan: Plan, args: argparse.Namespace) -> Report:
    with _view(args) as told:
        return asyncio.run(
            probe(
                plan,
                told,
                experiments=_asked(plan),
                name=args.name or "",
                version_of_server=args.server_version,
            )
        )


class _Lines:
    """Progress as lines on standard error."""

    def __enter__(self) -> Callable[[Progress], None]:
        return self._tell

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""

    def _tell(self, step: Progress) -> None:
        if step.case is not None:
            print(
                f"{step.number:2}/{step.total} {SIGNS[step.case.mark]} {step.case.question} "
                f"[{step.case.mark}]",
                file=sys.stderr,
                flush=True,
            )


_COLOURS = {Mark.SEEN: "green", Mark.MIXED: "yellow", Mark.NOT_POSSIBLE: "dim", Mark.HIDDEN: "dim"}


class _Live:
    """Progress as a bar, with each answer above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        self._console = Console(stderr=True, highlight=False)
        self._bar = Bar(
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[spent]}", style="dim"),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=len(ALL), spent="")

    def __enter__(self) -> Callable[[Progress], None]:
        self._bar.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _tell(self, step: Progress) -> None:
        from rich.text import Text

        spent = f"{step.tokens} tokens" if step.tokens else ""
        done = step.number - (step.case is None)
        self._bar.update(
            self._task,
            total=step.total,
            completed=done,
            description=step.experiment.question,
            spent=spent,
        )
        if step.case is not None:
            style = _COLOURS.get(step.case.mark, "yellow")
            self._console.print(
                Text.assemble(
                    (f"{SIGNS[step.case.mark]} ", style),
                    (step.case.question, "bold"),
                    f"\n  {step.case.verdict}",
                )
            )


def _view(args: argparse.Namespace) -> "_Lines | _Live":
    if wants_plain(args.plain or args.json) or not sys.stderr.isatty():
        return _Lines()
    try:
        return _Live()
    except ImportError:  # rich is in antiphon[cli]
        return _Lines()


def _written(report: Report, args: argparse.Namespace) -> int:
    (subject,) = report.subjects
    files = []
    try:
        if not args.no_html:
            args.html.write_text(html_page(report), encoding="utf-8")
            files.append(f"the report with every exchange: {args.html}")
        if args.write_profile is not None:
            about = f"What {report.by} saw of {subject.name} on {report.made}."
            args.write_profile.write_text(profile_text(subject.settings, about), encoding="utf-8")
            files.append(f"a server like it: antiphon serve --profile {args.write_profile}")
    except OSError as error:
        print(f"antiphon probe: cannot write {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    if args.json:
        print(to_json(report))
    else:
        print(text_report(report, min(100, shutil.get_terminal_size().columns)))
        print()
    for file in files:
        print(file, file=sys.stderr)
    return 0 if any(case.mark is Mark.SEEN for case in subject.cases) else 1


def _advice(error: ConnectError, plan: Plan) -> str:
    told = str(error)
    if error.status == 401:
        return f"{told}: the key is missing or wrong; it is read from {_KEY} (or --key-env NAME)"
    if error.status is not None:
        return f"{told}: there is no Realtime server at {without_secrets(plan.url)}"
    if is_loopback(plan.url):
        return f"{told}\nA server to try it on: antiphon serve"
    return told


def _count(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
