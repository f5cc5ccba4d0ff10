"""Models that are going to be switched off are asked for nowhere (P-479)."""

import re
from pathlib import Path

import pytest

from antiphon import models

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
RETIRED = re.compile(
    r"\b(gpt-realtime(-mini|-2025-08-28)?(?![\w.-])|whisper-1|gpt-4o(-mini)?-transcribe\b)"
)
# Where such a name is meant: facts, what a server still takes or was seen to have, and other
# people's clients, which are run as their own documents have it, against the emulator only.
MEANT = {
    "docs/conformance.md",
    "docs/protocol.md",
    "src/antiphon/models.py",
    "src/antiphon/emulator/state/models.py",
    "src/antiphon/bench/prove/adapters/foreign",
}
ASKING = [
    path
    for pattern in ("README.md", "docs/*.md", "examples/**/*.*", "src/**/*.*")
    for path in sorted(ROOT.glob(pattern))
    if path.suffix in {".py", ".md", ".mjs", ".html", ".js"}
]


def lines_with(pattern: re.Pattern[str], path: Path) -> list[str]:
    return [line.strip() for line in path.read_text().splitlines() if pattern.search(line)]


def test_no_retired_model_is_asked_for() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in ASKING
        if not any(str(path.relative_to(ROOT)).startswith(meant) for meant in MEANT)
        and (lines := lines_with(RETIRED, path))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "retired"),
    [
        ('model="gpt-realtime"', True),
        ("?model=gpt-realtime-mini", True),
        ("gpt-realtime-2025-08-28", True),
        ("gpt-4o-mini-transcribe", True),
        ("whisper-1", True),
        ("gpt-realtime-2.1", False),
        ("gpt-realtime-2.1-mini", False),
        ("gpt-realtime-whisper", False),
        ("gpt-transcribe", False),
    ],
)
def test_what_is_retired(text: str, retired: bool) -> None:
    assert bool(RETIRED.search(text)) is retired


def test_the_defaults_are_not_retired() -> None:
    assert not RETIRED.search(f"{models.DEFAULT_MODEL} {models.DEFAULT_TRANSCRIPTION_MODEL}")
