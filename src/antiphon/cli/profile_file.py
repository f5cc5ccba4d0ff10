"""A profile in a file: what `antiphon probe --write-profile` writes and `antiphon serve` reads.

It is TOML, with the knobs by their names under `[knobs]` and values as `--set` takes them.
"""

import argparse
import tomllib
from pathlib import Path

from antiphon.bench.report import Setting, reason
from antiphon.cli.arguments import profile_name
from antiphon.cli.knobs import knob, turned
from antiphon.emulator import PROFILES, Behaviour

__all__ = ["ProfileFileError", "profile_or_file", "profile_text", "read_profile"]


class ProfileFileError(Exception):
    """The file is no profile; the message says why, and where."""


def profile_or_file(word: str) -> "str | Path":
    """One of the emulator's profiles, or the path of a file."""
    path = Path(word)
    if word not in PROFILES and (path.suffix == ".toml" or path.exists()):
        return path
    return profile_name(word)


def read_profile(path: Path) -> Behaviour:
    """The behaviour that a file describes; what it does not name is as documented.

    Raises:
        ProfileFileError: it cannot be read, or a knob or a value in it is wrong.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileFileError(f"cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileFileError(f"{path} is no TOML: {error}") from None
    table = found.get("knobs")
    if not isinstance(table, dict):
        raise ProfileFileError(f"{path} has no table [knobs]")
    settings = []
    for name, value in table.items():
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
        try:
            settings.append(knob(f"{name}={text}"))
        except argparse.ArgumentTypeError as error:
            raise ProfileFileError(f"{path}: {error}") from None
    try:
        return turned(Behaviour(), settings)
    except ValueError as error:
        raise ProfileFileError(f"{path}: {error}") from None


def profile_text(settings: "tuple[Setting, ...]", about: str) -> str:
    """The text of a profile file.

    Args:
        settings: the knobs as they were found; what was not found is written as a comment.
        about: one line on where it comes from.
    """
    lines = [f"# {_one_line(about)}", "# Run it: antiphon serve --profile THIS_FILE", "", "[knobs]"]
    for setting in settings:
        why = _one_line(setting.why)
        if setting.value is not None:
            lines.append(f"{setting.name} = {_quoted(setting.value)}  # {setting.mark}: {why}")
        elif setting.candidates and _allowed(setting.name, setting.candidates[0]):
            others = " or ".join(setting.candidates)
            lines.append(
                f"{setting.name} = {_quoted(setting.candidates[0])}  # {others} fit: {why}"
            )
        else:
            lines.append(f"# {setting.name}: {_one_line(reason(setting))}")
    return "\n".join(lines) + "\n"


def _allowed(name: str, value: str) -> bool:
    try:
        knob(f"{name}={value}")
    except argparse.ArgumentTypeError:
        return False
    return True


def _quoted(value: str) -> str:
    kept = "".join(letter for letter in value if letter.isprintable())
    return '"' + kept.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
