"""`antiphon COMMAND`: finds the command and runs it."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

from antiphon.cli.arguments import Parser, suggestion
from antiphon.cli.console import nobody_reads
from antiphon.exceptions import RealtimeError

__all__ = ["COMMANDS", "main"]

# Each is a module with add_arguments(parser) and run(args), loaded when it is called.
COMMANDS = {
    "demo": "see responses run side by side, and an interruption stop the ones it means",
    "serve": "run the emulator: a local Realtime server for any client, no key needed",
    "probe": "find out what a Realtime server does, and write a report",
    "prove": "play scenarios with a Realtime client and report what it does",
    "load": "drive many sessions against a server and report what it held",
}

_HELP = """\
Many responses on one Realtime session, and interruptions that stop exactly the ones they mean.

Commands:
{commands}

Begin with:
  antiphon demo                  watch it happen; needs no key and no network
  antiphon serve                 a Realtime server for the client you are writing
  antiphon probe URL             what another server does, with the evidence
  antiphon COMMAND --help        what a command takes

In Python:
  async with antiphon.connect() as session: ...
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: the arguments; default: those of the process.

    Returns:
        The exit status: 0, 1 if the command failed, 2 if the arguments are wrong, 130 if it was
        interrupted.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {says}" for name, says in COMMANDS.items())
    top = Parser(prog="antiphon", description=_HELP.format(commands=listed), usage=_USAGE)
    top.add_argument("--version", action="version", version=f"antiphon {version('antiphon')}")
    if not given:
        top.print_help()
        return 2
    if given[0] not in COMMANDS:
        _, rest = top.parse_known_args(given)
        if rest and not rest[0].startswith("-"):
            top.error(f"no command {rest[0]!r}.{suggestion(rest[0], COMMANDS)}")
        top.refuse_rest(rest)
    command: Any = import_module(f"antiphon.cli.{given[0]}")
    parser = Parser(prog=f"antiphon {given[0]}")
    command.add_arguments(parser)
    args, rest = parser.parse_known_args(given[1:])
    parser.refuse_rest(rest)
    return _run(command.run, parser.prog, args)


_USAGE = "antiphon [-h] [--version] COMMAND ..."


def _run(command: Callable[[Any], int], prog: str, args: Any) -> int:
    try:
        status = command(args)
        sys.stdout.flush()  # here, where a reader that has gone away can be told from an error
        return status
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        nobody_reads()
        return 1
    except RealtimeError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 1
