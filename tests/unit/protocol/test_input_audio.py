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


def test_what_was_sent_and_not_committed_is_counted() -> None:
    audio = microphone()
    audio.append(bytes(4800))
    assert (audio.sent_bytes, audio.uncommitted_bytes) == (4800, 4800)
    audio.forget()
    audio.append(bytes(480))
    assert (audio.sent_bytes, audio.uncommitted_bytes) == (5280, 480)


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_latest_is_kept_for_the_next_server(by_hand: bool) -> None:
    audio = microphone(kept_ms=2000)
    audio.by_hand = by_hand
    audio.bytes_per_ms = 8  # G.711
    for second in range(4):
        audio.append(bytes([second]) * 8000)
    kept = b"\2" * 8000 + b"\3" * 8000 if by_hand else b"\3" * 8000
    assert b"".join(audio.latest) == kept


def test_of_a_turn_under_way_more_is_kept_than_of_silence() -> None:
    audio = microphone(kept_ms=3000)
    audio.by_hand = False
    audio.append(bytes(48 * 1000))
    audio.turn("item_1").phase = "speech_started"
    audio.append(bytes(48 * 1000))
    audio.append(bytes(48 * 1000))
    assert sum(map(len, audio.latest)) == 48 * 3000
    audio.took(audio.sent_bytes)
    assert audio.latest == ()


def test_one_piece_that_is_too_much_is_cut_at_its_beginning() -> None:
    audio = microphone(kept_ms=10)
    audio.append(bytes(480) + b"\1" * 480)
    assert audio.latest == (b"\1" * 480,)


def test_commit_takes_what_was_sent_before_it() -> None:
    audio = microphone()
    audio.append(bytes(4800))
    committed = audio.sent_bytes
    audio.append(bytes(960))
    audio.took(committed)
    assert audio.uncommitted_bytes == 960


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
    assert not audio.awaits_commit


@pytest.mark.parametrize(
    ("phase", "awaits_commit"),
    [
        ("speech_started", True),
        ("speech_stopped", True),
        ("committed", False),
        ("timed_out", False),
        ("transcribed", False),
        ("transcription_failed", False),
    ],
)
def test_speech_awaits_its_commit(phase: TurnPhase, awaits_commit: bool) -> None:
    audio = microphone()
    turn = audio.turn("item_1")
    turn.phase = phase
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
