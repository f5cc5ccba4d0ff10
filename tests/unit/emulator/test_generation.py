"""Plans: an answer as timed steps, nothing lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.emulator import Pace, answer, call, say, silence, text
from antiphon.emulator.audio.formats import PCM16, PCMU
from antiphon.emulator.engine.generation import Step, StepKind, plan

__all__: list[str] = []


def kinds(steps: list[Step]) -> list[StepKind]:
    return [step.kind for step in steps]


def test_empty_answer_ends_after_the_first_gap() -> None:
    (end,) = plan(silence(), modality="audio", pace=Pace(first_output_ms=250), audio=PCM16)
    assert (end.kind, end.gap_s) == (StepKind.END, 0.25)


def test_every_item_is_opened_and_closed() -> None:
    steps = list(plan(answer(text("a"), call("f")), modality="audio", pace=Pace(), audio=PCM16))
    assert kinds(steps) == [
        StepKind.OPEN_ITEM,
        StepKind.TEXT,
        StepKind.CLOSE_ITEM,
        StepKind.OPEN_ITEM,
        StepKind.ARGUMENTS,
        StepKind.CLOSE_ITEM,
        StepKind.END,
    ]


def test_speech_is_text_where_text_is_wanted() -> None:
    steps = list(plan(say("Hi."), modality="text", pace=Pace(), audio=PCM16))
    assert StepKind.TEXT in kinds(steps)
    assert StepKind.AUDIO not in kinds(steps)


@given(
    words=st.text(max_size=200),
    ms=st.integers(0, 3000),
    chunk=st.integers(1, 700),
    chars=st.integers(1, 40),
    lead=st.floats(1, 5),
)
def test_no_word_and_no_millisecond_is_lost(
    words: str, ms: int, chunk: int, chars: int, lead: float
) -> None:
    pace = Pace(audio_ms_per_delta=chunk, chars_per_delta=chars, transcript_lead=lead)
    steps = list(plan(say(words, ms=ms), modality="audio", pace=pace, audio=PCM16))
    assert "".join(step.delta for step in steps) == words
    assert sum(step.audio_ms for step in steps) == ms
    assert all(step.delta or step.audio_ms for step in steps if step.is_delta)


@given(words=st.text(max_size=200), chars=st.integers(1, 40))
def test_text_comes_in_pieces_of_the_size_asked_for(words: str, chars: int) -> None:
    pace = Pace(chars_per_delta=chars)
    steps = [s for s in plan(text(words), modality="text", pace=pace, audio=PCM16) if s.is_delta]
    assert "".join(step.delta for step in steps) == words
    assert all(len(step.delta) >= chars for step in steps[:-1])


def test_g711_comes_in_whole_blocks() -> None:
    pace = Pace(audio_ms_per_delta=25)
    steps = list(plan(say("Hi.", ms=95), modality="audio", pace=pace, audio=PCMU))
    assert [step.audio_ms for step in steps if step.audio_ms] == [30, 30, 30, 10]


def test_time_follows_the_pace() -> None:
    pace = Pace(first_output_ms=100, audio_ms_per_delta=50, speed=2)
    steps = list(plan(say("Hi.", ms=500), modality="audio", pace=pace, audio=PCM16))
    assert sum(step.gap_s for step in steps) == pytest.approx(0.1 + 9 * 0.025)


@pytest.mark.parametrize(
    "wrong",
    [
        {"audio_ms_per_delta": 0},
        {"chars_per_delta": 0},
        {"speed": -1},
        {"first_output_ms": -1},
        {"transcript_lead": 0.5},
    ],
)
def test_impossible_paces_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Pace(**wrong)  # type: ignore[arg-type]


def test_named_paces() -> None:
    assert Pace.instant().audio_gap_s == Pace.instant().text_gap_s == 0
    assert Pace.real_time().audio_gap_s == 0.1
