"""`antiphon serve`: the emulator as a local Realtime server, for any client."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from antiphon.cli.arguments import port_number
from antiphon.cli.journal import Journal, to_stderr
from antiphon.cli.knobs import knob, listing, turned
from antiphon.cli.profile_file import ProfileFileError, profile_or_file, read_profile
from antiphon.cli.script_file import FORMAT, ScriptFileError, read_script
from antiphon.emulator import (
    PROFILES,
    Behaviour,
    ChatBrain,
    EmulatorServer,
    Pace,
    Script,
    Voice,
    profile,
)
from antiphon.emulator.audio.formats import PCM16
from antiphon.emulator.audio.vad import VoiceDetector
from antiphon.exceptions import MissingDependency
from antiphon.models import DEFAULT_MODEL

__all__ = ["add_arguments", "run"]

DESCRIPTION = """\
A local server that speaks the OpenAI Realtime protocol, for any client. It needs no key and no
network. It hears real audio (server VAD), and answers by a small built-in conversation or a script.
With --voice it understands what it hears and speaks its answers (English, offline); with --brain it
answers by a model of your own. How it behaves where servers differ, or where nobody knows, is set
by knobs."""

DEFAULT_PORT = 8765
BRAIN_KEY = "ANTIPHON_BRAIN_API_KEY"

_CLIENTS = """\
Point a client at it{key_needed}:

  any OpenAI SDK   export OPENAI_BASE_URL={http} OPENAI_API_KEY={key}
  antiphon         antiphon.connect(url="{ws}")
  livekit          antiphon.realtime.RealtimeModel(base_url="{http}")
                   (from livekit.plugins import antiphon; or the stock openai)
  openai-python    AsyncOpenAI(base_url="{http}").realtime.connect(model="{model}")
  openai-agents    runner.run(model_config={{"url": "{ws}?model={model}"}})
  pipecat          OpenAIRealtimeLLMService(base_url="{ws}")
"""

_TRUST = """\
Its certificate was made for this run. This file makes clients trust it, and is removed at the end:
  {ca_file}

  Node             export NODE_EXTRA_CA_CERTS={ca_file}
  Python           export SSL_CERT_FILE={ca_file}
                   (then a process trusts no other authority), or, in a program,
                   ssl.create_default_context(cafile="{ca_file}")
  curl             curl --cacert {ca_file} {http}/models
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = DESCRIPTION
    parser.epilog = f"Profiles: {', '.join(PROFILES)}\n\n{FORMAT}"
    parser.add_argument("--host", default="127.0.0.1", help="interface (default: %(default)s)")
    parser.add_argument(
        "--port",
        type=port_number,
        default=DEFAULT_PORT,
        help="0 picks a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--profile",
        type=profile_or_file,
        default="openai",
        metavar="NAME|FILE",
        help="the server to behave like, or a file that antiphon probe --write-profile wrote "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        type=knob,
        action="append",
        default=[],
        dest="knobs",
        metavar="KNOB=VALUE",
        help="turn one knob of the profile; may be given again",
    )
    parser.add_argument(
        "--knobs", action="store_true", dest="list_knobs", help="list the knobs, and end"
    )
    parser.add_argument(
        "--script", type=Path, metavar="FILE", help="what it answers; the form is told below"
    )
    parser.add_argument(
        "--voice",
        action="store_true",
        help="really transcribe what it hears and speak what it answers, in English; offline; "
        "needs antiphon[voice]",
    )
    parser.add_argument(
        "--brain",
        metavar="URL",
        help="answer by the model of this OpenAI-compatible chat endpoint, such as "
        f"http://127.0.0.1:8080/v1; its key, if any, is read from {BRAIN_KEY}",
    )
    parser.add_argument("--brain-model", metavar="NAME", help="the model's name there")
    parser.add_argument(
        "--tls",
        action="store_true",
        help="wss and https, with a certificate made on the spot; says which file makes clients "
        "trust it; needs antiphon[tls]",
    )
    parser.add_argument(
        "--tls-cert", metavar="FILE", help="wss and https, with this certificate (chain), PEM"
    )
    parser.add_argument("--tls-key", metavar="FILE", help="its private key, PEM, not encrypted")
    parser.add_argument("--api-key", help="the only key to let in (default: everybody)")
    parser.add_argument(
        "--pace",
        type=_pace,
        metavar="SPEED",
        help="audio made per time: 1 is real time; or: instant (default: 5)",
    )
    told = parser.add_mutually_exclusive_group()
    told.add_argument(
        "-v", "--verbose", action="store_true", help="tell of every frame, audio as its size"
    )
    told.add_argument("-q", "--quiet", action="store_true", help="tell nothing while it runs")
    parser.add_argument(
        "--seed", default="0", help="ids and chance follow from it (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0 once it was stopped; 1 if it could not start; 2 if a knob, the script or a certificate is
        wrong.
    """
    try:
        behaviour = _behaviour(args)
        if args.list_knobs:
            print(listing(behaviour, min(100, shutil.get_terminal_size().columns)))
            return 0
        script = read_script(args.script) if args.script is not None else Script()
        brain = _brain(args)
        voice = Voice() if args.voice else None
        server = EmulatorServer(
            behaviour,
            script,
            host=args.host,
            port=args.port,
            api_key=args.api_key,
            seed=args.seed,
            voice=voice,
            brain=brain,
            keep_received=0,  # nobody asserts here on what a client had sent
            keep_sessions=0,
            watch=None if args.quiet else Journal(frames=args.verbose),
            tls=_tls(args),
        )
    except (ProfileFileError, ScriptFileError, ValueError) as error:
        print(f"antiphon serve: {error}", file=sys.stderr)
        return 2
    except MissingDependency as missing:
        print(f"antiphon serve: {missing}", file=sys.stderr)
        return 1
    to_stderr()
    return asyncio.run(_serve(server, args))


def _brain(args: argparse.Namespace) -> ChatBrain | None:
    if (args.brain is None) != (args.brain_model is None):
        raise ValueError("--brain URL and --brain-model NAME go together")
    if args.brain is None:
        return None
    return ChatBrain(args.brain, args.brain_model, os.environ.get(BRAIN_KEY))


def _tls(args: argparse.Namespace) -> bool | tuple[str, str]:
    if (args.tls_cert is None) != (args.tls_key is None):
        raise ValueError("--tls-cert FILE and --tls-key FILE go together")
    return bool(args.tls) if args.tls_cert is None else (args.tls_cert, args.tls_key)


def _behaviour(args: argparse.Namespace) -> Behaviour:
    named = args.profile
    behaviour = read_profile(named) if isinstance(named, Path) else profile(named)
    if args.pace is not None:
        behaviour = behaviour.but(pace=args.pace(behaviour.pace))
    return turned(behaviour, args.knobs)


async def _serve(server: EmulatorServer, args: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Where signals cannot be handled in the loop (Windows), Ctrl-C raises KeyboardInterrupt.
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    try:
        await server.start()
    except OSError as error:
        print(
            f"antiphon serve: cannot listen on {args.host} port {args.port}: "
            f"{error.strerror or error}\nAnother port: --port N; a free one: --port 0",
            file=sys.stderr,
        )
        return 1
    try:
        # The key itself is not printed: what a server writes is often kept.
        key = "none" if args.api_key is None else "KEY"
        key_needed = "; any key will do" if args.api_key is None else ", with the key that you gave"
        print(f"antiphon serve, profile {args.profile}: {server.url}\n")
        print(
            _CLIENTS.format(
                http=server.http_url,
                ws=server.url,
                key=key,
                key_needed=key_needed,
                model=DEFAULT_MODEL,
            )
        )
        if server.ca_file is not None:
            print(_TRUST.format(ca_file=server.ca_file, http=server.http_url))
        print("Ctrl-C stops it.", flush=True)
        _warn_if_deaf()
        await stop.wait()
    finally:
        await server.stop()
    print("\nstopped")
    return 0


def _warn_if_deaf() -> None:
    try:
        VoiceDetector(PCM16)
    except MissingDependency as missing:
        print(f"\nWithout turn detection: {missing}", file=sys.stderr)


def _pace(text: str) -> Any:
    """Read `--pace`: how a pace is changed by it."""
    if text == "instant":
        return lambda _: Pace.instant()
    try:
        speed = float(text)
        Pace(speed=speed)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no speed; give a number such as 1 or 5, or: instant"
        ) from None
    return lambda pace: replace(pace, speed=speed)
