"""Command lines: arguments that say what was meant when they are misspelt."""

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

from antiphon.emulator import PROFILES

__all__ = ["Parser", "port_number", "profile_name", "suggestion"]

MAX_PORT = 65535


def suggestion(word: str, known: Iterable[str]) -> str:
    """` Did you mean …?`, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]!r}?" if close else ""


class Parser(argparse.ArgumentParser):
    """A parser that keeps the shape of descriptions and suggests what was meant."""

    def __init__(self, **settings: object) -> None:
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            **settings,  # type: ignore[arg-type]
        )

    def options(self) -> list[str]:
        """Every option it knows."""
        return [name for action in self._actions for name in action.option_strings]

    def error(self, message: str) -> NoReturn:
        """End the program with 2."""
        print(f"{self.prog}: {message}", file=sys.stderr)
        print(f"See: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)

    def refuse_rest(self, rest: Sequence[str]) -> None:
        """End the program if arguments were left over."""
        if rest:
            word = rest[0]
            known = self.options() if word.startswith("-") else []
            self.error(f"unknown argument {word!r}.{suggestion(word.split('=')[0], known)}")


def profile_name(word: str) -> str:
    """One of the emulator's profiles."""
    if word not in PROFILES:
        raise argparse.ArgumentTypeError(
            f"no profile {word!r}.{suggestion(word, PROFILES)} There are: {', '.join(PROFILES)}"
        )
    return word


def port_number(word: str) -> int:
    """A TCP port, 0 for a free one."""
    if not (word.isascii() and word.isdigit() and int(word) <= MAX_PORT):
        raise argparse.ArgumentTypeError(f"{word!r} is no port; ports are 0 to {MAX_PORT}")
    return int(word)
