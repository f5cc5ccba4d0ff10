"""What kind of terminal this is."""

import os
import sys

__all__ = ["nobody_reads", "wants_plain"]


def wants_plain(asked: bool) -> bool:
    """Whether to print plain text: asked to, no terminal, a dumb one, or NO_COLOR is set."""
    return (
        asked
        or not sys.stdout.isatty()
        or bool(os.environ.get("NO_COLOR"))
        or os.environ.get("TERM") == "dumb"
    )


def nobody_reads() -> None:
    """Standard output was closed by its reader, as with `| head`: print to nowhere from now on.

    Without this, Python complains about the broken pipe once more when it ends.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
