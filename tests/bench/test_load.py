"""`antiphon load`: what it reports is what happened."""

import json
import subprocess
import sys

import msgspec
import pytest

from antiphon.bench.load import Measured, percentile
from antiphon.bench.load import _check as check
from antiphon.emulator.audio import speech

__all__: list[str] = []


class Handle:
    """As much of a response as the check looks at."""

    def __init__(self, response_id: str, cause: str | None = None) -> None:
        self.id = response_id
        self.cause = cause


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "antiphon", "load", *arguments],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_sessions_are_held_and_no_byte_is_misrouted() -> None:
    spread = ("--sessions", "6", "--processes", "2", "--ramp", "0", "--seconds", "1")
    done = load(*spread, "--interrupt", "0.5", "--json")
    assert done.returncode == 0, done.stderr
    seen = msgspec.convert(json.loads(done.stdout), Measured)
    assert (seen.opened, seen.failed, seen.lost) == (6, 0, 0)
    assert seen.audio_bytes > 0
    assert (seen.misrouted_bytes, seen.unmarked_bytes, seen.late_bytes) == (0, 0, 0)
    assert seen.completed + seen.cancelled == 2 * seen.rounds
    assert seen.cancelled > 0
    assert "6/6 sessions" in done.stderr


def test_a_server_that_is_not_there_fails_every_session() -> None:
    done = load("--url", "ws://127.0.0.1:9/v1/realtime", "--sessions", "2", "--ramp", "0")
    assert done.returncode == 1
    assert "sessions held         0 of 2" in done.stdout
    assert "ConnectError x2" in done.stdout


@pytest.mark.parametrize(
    ("marked_as", "cause", "misrouted", "late"),
    [("resp_a", None, 0, 0), ("resp_b", None, 480, 0), ("resp_a", "cancelled", 0, 480)],
)
def test_audio_of_another_response_or_after_a_cancel_is_counted(
    marked_as: str, cause: str | None, misrouted: int, late: int
) -> None:
    seen = Measured()
    chunk = speech.synthesize(marked_as, 0, 10)
    check(Handle("resp_a", cause), chunk, seen)  # type: ignore[arg-type]
    assert (seen.audio_bytes, seen.misrouted_bytes, seen.late_bytes) == (480, misrouted, late)


def test_what_processes_saw_adds_up() -> None:
    whole = Measured(opened=1, first_audio=[0.1], errors={"A": 1})
    whole.add(Measured(opened=2, first_audio=[0.3, 0.2], errors={"A": 1, "B": 1}))
    assert whole.opened == 3
    assert percentile(whole.first_audio, 0.5) == 0.2
    assert whole.errors == {"A": 2, "B": 1}
