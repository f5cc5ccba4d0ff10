"""`make conformance`: probe every server that can be run here, and write docs/conformance.md.

    python -m tests.conformance [NAME ...]

A server that cannot be installed or started is told, and the others go on; then nothing is written.
"""

import asyncio
import sys
from datetime import UTC, datetime
from importlib.metadata import version

from antiphon.bench.probe import Plan, browsers, dial, post, probe
from antiphon.bench.prove.environments import InstallError
from antiphon.bench.report import Report, html_page, text_report, to_json, write_conformance
from antiphon.cli.demo.files import spoken_sentence
from tests.conformance.harness import CACHE, ROOT, SERVERS, Server
from tests.conformance.judging import unlike

__all__ = ["main", "probed"]


def probed(server: Server) -> Report:
    """The report on one server."""
    with server.running() as running:
        headers = {"Authorization": f"Bearer {running.key}"} if running.key else {}
        plan = Plan(
            url=running.url,
            headers=headers,
            dial=dial,
            clip=spoken_sentence(),
            post=post,
            peer=browsers(running.url),
        )
        shown = server.version or f"{version('antiphon')}, with call_media=webrtc"
        return asyncio.run(probe(plan, name=server.name, version_of_server=shown))


def main(names: list[str]) -> int:
    """Probe these servers, or all."""
    reports, failed = [], []
    for name in names or list(SERVERS):
        print(f"==> {name}", flush=True)
        try:
            report = probed(SERVERS[name])
        except (InstallError, RuntimeError, OSError) as error:
            print(error)
            failed.append(name)
            continue
        reports.append(report)
        CACHE.mkdir(parents=True, exist_ok=True)
        stem = name.replace(" ", "-")
        (CACHE / f"{stem}.json").write_text(to_json(report))
        (CACHE / f"{stem}.html").write_text(html_page(report))
        print(text_report(report).splitlines()[2])
        for knob, found, profile in unlike(report, SERVERS[name].profile):
            print(f"    {knob}: found {found}, the profile has {profile}")
    if failed or names:
        print(f"nothing is written: {', '.join(failed) or 'not all were asked for'}")
        return 1 if failed else 0
    print(f"reports with every exchange: {CACHE}; {datetime.now(UTC):%Y-%m-%d}")
    write_conformance(ROOT / "docs" / "conformance.md", reports)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
