"""`antiphon demo`: many responses at once, and an interruption that stops the ones it means."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import antiphon
from antiphon.cli.arguments import profile_name
from antiphon.cli.console import wants_plain
from antiphon.cli.demo.claims import Claim, Seen, check
from antiphon.cli.demo.files import leave, spoken_sentence
from antiphon.cli.demo.observer import Line, Observer
from antiphon.cli.demo.plain import PlainView
from antiphon.cli.demo.scene import CONFIG, Scene, SceneBroke, script
from antiphon.emulator import EmulatorServer, profile
from antiphon.emulator.audio.formats import PCM16
from antiphon.emulator.audio.vad import VoiceDetector

__all__ = ["View", "add_arguments", "perform", "run"]

DESCRIPTION = """\
A spoken question goes in as from a microphone. The server answers it, two more responses run beside
that answer, a bare cancel is tried, interrupt() stops all three by their ids, and the next reply
follows at once. The demonstration checks itself: it ends with 1 if anything did not hold.

Without --url it brings its own server, and needs neither a key nor a network."""

DEFAULT_PROFILE = "openai-2025-06-03"
_HURRY = 10.0
_ONCE = antiphon.ReconnectPolicy(attempts=0)  # a lost connection is to be seen, not healed
_BETA = ("beta", "voice_live")  # dialects of the emulator with the beta's event names


class View(Protocol):
    """How a run is shown."""

    async def __aenter__(self) -> Any: ...
    async def __aexit__(self, *exc: object) -> None: ...
    def watch(self, observer: Observer) -> None: ...
    def title(self, text: str) -> None: ...
    def announce(self, text: str) -> None: ...
    def tell(self, line: Line) -> None: ...
    def report(
        self,
        observer: Observer,
        receipt: antiphon.Receipt,
        claims: Sequence[Claim],
        files: Sequence[Path],
    ) -> None: ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "--url", help="play it with this server instead, such as wss://api.openai.com/v1/realtime"
    )
    parser.add_argument(
        "--model",
        default=antiphon.DEFAULT_MODEL,
        help="the model to ask that server for (default: %(default)s); "
        "its key is taken from OPENAI_API_KEY",
    )
    parser.add_argument(
        "--profile",
        type=profile_name,
        default=DEFAULT_PROFILE,
        help="how the embedded server behaves (default: %(default)s, "
        "where a bare cancel stops nothing while several responses are in flight)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where to leave a WAV of each response, and the trace (default: a new folder)",
    )
    parser.add_argument(
        "--fast", action="store_true", help="play it ten times as fast, as tests do"
    )
    parser.add_argument(
        "--plain", action="store_true", help="print text; no live view (also with NO_COLOR)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 if everything held, else 1.
    """
    view: View = PlainView()
    if not wants_plain(args.plain):
        try:
            from antiphon.cli.demo.screen import ScreenView
        except ImportError:
            print("For the live view: pip install 'antiphon[cli]'. Without it, text:\n")
        else:
            view = ScreenView()
    return asyncio.run(
        perform(
            view,
            args.out,
            url=args.url,
            model=args.model,
            profile_name=args.profile,
            speed=_HURRY if args.fast else 1.0,
        )
    )


async def perform(
    view: View,
    out: Path | None = None,
    *,
    url: str | None = None,
    model: str = antiphon.DEFAULT_MODEL,
    profile_name: str = DEFAULT_PROFILE,
    speed: float = 1.0,
) -> int:
    """Play the scene, show it, and check what it claims.

    Args:
        view: shows it.
        out: where files are left; a new folder by default.
        url: a server to play it with; None brings one.
        model: what to ask that server for.
        profile_name: how the embedded server behaves.
        speed: how many times faster than real time.

    Returns:
        0 if everything held, else 1.

    Raises:
        ConnectError: the server cannot be reached, or refuses the key.
        MissingDependency: the embedded server's voice detector is not installed.
    """
    spoken = spoken_sentence()
    seen = Seen(bare_must_miss=url is None and profile_name == DEFAULT_PROFILE)
    broke = ""
    async with AsyncExitStack() as stack:
        if url is None:
            VoiceDetector(PCM16)  # raises now what would otherwise break the server later
            behaviour = profile(profile_name)
            server = await stack.enter_async_context(EmulatorServer(behaviour, script(speed)))
            view.title(f"antiphon demo on its own server, profile {profile_name}: {server.url}")
            connecting = antiphon.connect(
                url=server.url,
                session=CONFIG,
                reconnect=_ONCE,
                dialect="beta" if behaviour.dialect in _BETA else "ga",
            )
            session = await stack.enter_async_context(connecting)
            seen.engine = server.sessions[0]
        else:
            view.title(f"antiphon demo on {url}, model {model}")
            connecting = antiphon.connect(url=url, model=model, session=CONFIG, reconnect=_ONCE)
            session = await stack.enter_async_context(connecting)
        observer = Observer(session, view.tell)
        stack.push_async_callback(observer.close)
        view.watch(observer)
        async with view:
            scene = Scene(session, observer, view.announce, speed=speed, seen=seen)
            try:
                await scene.play(spoken)
            except SceneBroke as problem:
                broke = str(problem)
        claims = check(observer, seen)
    folder = out or Path(tempfile.mkdtemp(prefix="antiphon-demo-"))
    files = leave(folder, observer.tracks, observer.trace)
    view.report(observer, seen.receipt, claims, files)
    failed = [claim for claim in claims if claim.holds is False]
    if broke or failed:
        said = [broke] if broke else [f"not so: {claim.says}" for claim in failed]
        print("\nantiphon demo: " + "; ".join(said), file=sys.stderr)
        return 1
    return 0
