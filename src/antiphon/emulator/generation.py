"""An answer as a sequence of timed steps.

Pure: nothing here knows of responses, lanes or time; `plan` is run by responses.py, one step at a
time, so that an answer of an hour costs no more memory than one of a second.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from antiphon.emulator.formats import AudioFormat
from antiphon.emulator.pace import Pace
from antiphon.emulator.script import Answer, Output, OutputKind
from antiphon.emulator.speech import block_ms

__all__ = ["Step", "StepKind", "plan"]


class StepKind(StrEnum):
    """What happens next in a response."""

    OPEN_ITEM = "open_item"
    AUDIO = "audio"
    TRANSCRIPT = "transcript"
    TEXT = "text"
    ARGUMENTS = "arguments"
    CLOSE_ITEM = "close_item"
    END = "end"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a response.

    Args:
        kind: what happens.
        gap_s: seconds after the step before.
        output: the item, for `OPEN_ITEM`.
        delta: the text, for the kinds that carry some.
        audio_ms: milliseconds of audio, for `AUDIO`.
    """

    kind: StepKind
    gap_s: float = 0.0
    output: Output | None = None
    delta: str = ""
    audio_ms: int = 0

    @property
    def is_delta(self) -> bool:
        """Whether this is output proper."""
        return self.kind in _DELTAS


_DELTAS = frozenset({StepKind.AUDIO, StepKind.TRANSCRIPT, StepKind.TEXT, StepKind.ARGUMENTS})


def plan(answer: Answer, *, modality: str, pace: Pace, audio: AudioFormat) -> Iterator[Step]:
    """The steps of an answer, in order, ending with `END`.

    Args:
        answer: what to say.
        modality: `audio` or `text`, for what can be either.
        pace: how fast; `first_output_ms` is the gap of the first step.
        audio: the output format.
    """
    first_gap = pace.first_output_ms / 1000
    for output in answer.items:
        yield Step(StepKind.OPEN_ITEM, first_gap, output)
        first_gap = 0.0
        if output.kind is OutputKind.CALL:
            yield from _text_steps(StepKind.ARGUMENTS, output.text, pace)
        elif output.kind is OutputKind.SPEECH and modality == "audio":
            yield from _speech_steps(output, pace, block_ms(audio))
        else:
            yield from _text_steps(StepKind.TEXT, output.text, pace)
        yield Step(StepKind.CLOSE_ITEM)
    yield Step(StepKind.END, first_gap)


def _text_steps(kind: StepKind, words: str, pace: Pace) -> Iterator[Step]:
    gap = 0.0
    for delta in _deltas(words, pace.chars_per_delta):
        yield Step(kind, gap, delta=delta)
        gap = pace.text_gap_s


def _speech_steps(output: Output, pace: Pace, block: int) -> Iterator[Step]:
    # A mark must not be cut: audio comes in whole blocks (see speech.py).
    total = -(-output.length_ms // block) * block
    step = -(-pace.audio_ms_per_delta // block) * block
    words = list(_deltas(output.text, pace.chars_per_delta))
    told, place, gap = 0, 0, 0.0
    while place < total:
        length = min(step, total - place)
        # P-133: the transcript runs ahead of the audio.
        ahead = min(1.0, (place + length) / total * pace.transcript_lead)
        until = -(-int(ahead * len(words) * 1000) // 1000)
        if until > told:
            yield Step(StepKind.TRANSCRIPT, gap, delta="".join(words[told:until]))
            told, gap = until, 0.0
        yield Step(StepKind.AUDIO, gap, audio_ms=length)
        place += length
        gap = pace.audio_gap_s
    if told < len(words):
        yield Step(StepKind.TRANSCRIPT, delta="".join(words[told:]))


def _deltas(words: str, size: int) -> Iterator[str]:
    """Cut into pieces of at least `size` characters, at the starts of words; nothing is lost."""
    piece = ""
    for part in re.findall(r"\s*\S+|\s+", words):
        piece += part
        if len(piece) >= size:
            yield piece
            piece = ""
    if piece:
        yield piece
