"""The input buffer and the user's turns."""

import pytest

from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.input_audio import InputAudio, TurnPhase
from antiphon.protocol.items import Items
from antiphon.protocol.requests import Requests

__all__: list[str] = []


def microphone(**settings: int) -> InputAudio:
    requests = Requests("t", Deadlines(), 10.0)
    return InputAudio(requests, Items("t", requests, 8), **settings)


def test_time_is_counted_from_bytes() -> None:
    audio = microphone()
    audio.append(bytes(4800))
    assert (audio.sent_ms, audio.uncommitted_ms) == (100, 100)
    audio.forget()
    audio.append(bytes(480))
    assert (audio.sent_ms, audio.uncommitted_ms) == (110, 10)


def test_time_follows_the_format() -> None:
    audio = microphone()
    audio.bytes_per_ms = 8  # G.711
    audio.append(bytes(800))
    assert audio.sent_ms == audio.uncommitted_ms == 100


def test_commit_takes_what_was_sent_before_it() -> None:
    audio = microphone()
    audio.append(bytes(4800))
    committed = audio.sent_bytes
    audio.append(bytes(960))
    audio.took(committed)
    assert audio.uncommitted_ms == 20


def test_commit_that_was_overtaken_by_a_clear_gives_nothing_back() -> None:
    audio = microphone()
    audio.append(bytes(4800))
    committed = audio.sent_bytes
    audio.append(bytes(960))
    audio.forget()
    audio.took(committed)
    assert audio.uncommitted_bytes == 0


def test_no_turn_no_speech() -> None:
    audio = microphone()
    assert audio.current is None and not audio.awaits_commit


@pytest.mark.parametrize(
    ("phase", "speaks", "awaits_commit"),
    [
        ("speech_started", True, True),
        ("speech_stopped", False, True),
        ("committed", False, False),
        ("timed_out", False, False),
        ("transcribed", False, False),
        ("transcription_failed", False, False),
    ],
)
def test_current_turn_is_the_one_whose_speech_goes_on(
    phase: TurnPhase, speaks: bool, awaits_commit: bool
) -> None:
    audio = microphone()
    turn = audio.turn("item_1")
    turn.phase = phase
    assert audio.current is (turn if speaks else None)
    assert audio.awaits_commit is awaits_commit
    assert audio.turn("item_1") is turn


def test_old_turns_are_forgotten() -> None:
    # I9.
    audio = microphone(remembered=2)
    first = audio.turn("item_1")
    for name in ("item_2", "item_3"):
        audio.turn(name)
    assert len(audio._turns) == 2
    assert audio.turn("item_1") is not first
