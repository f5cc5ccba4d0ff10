"""Run the `antiphon` command as a user does: in a process of its own."""

import os
import signal
import subprocess
import sys

__all__ = ["COMMAND", "antiphon", "environment", "hears_ctrl_c"]

COMMAND = (sys.executable, "-m", "antiphon")
SECONDS = 40


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without keys and colours, and with what is given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OPENAI_") and name not in ("NO_COLOR", "COLUMNS", "LINES")
    }
    return {**kept, "COLUMNS": "100", "PYTHONUNBUFFERED": "1", **changes}


def hears_ctrl_c() -> None:
    """For `preexec_fn` of a process that is to be sent SIGINT.

    A shell starts background jobs with SIGINT ignored, and every process below inherits that: under
    `nohup make test &` a Ctrl-C would find nobody who listens.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def antiphon(*arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; keywords are environment variables."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
