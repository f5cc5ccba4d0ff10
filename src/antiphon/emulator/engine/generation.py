"""An answer as a sequence of timed steps.

Pure: nothing here knows of responses, lanes or time; `plan` is run by responses.py, one step at a
time, so that an answer of an hour costs no more memory than one of a second.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.audio.speech import block_ms
from antiphon.emulator.faculties.work import Ended, Failed, Opened, Result, Words
from antiphon.emulator.knobs.pace import Pace
from antiphon.emulator.scripts.script import Answer, Ending, Output, OutputKind, Status

__all__ = ["Feed", "Step", "StepKind", "plan", "plan_from"]


class StepKind(StrEnum):
    """What happens next in a response."""

    OPEN_ITEM = "open_item"
    AUDIO = "audio"
    TRANSCRIPT = "transcript"
    TEXT = "text"
    ARGUMENTS = "arguments"
    CLOSE_ITEM = "close_item"
    WAIT = "wait"
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
        sound: that audio, or b"" for the response's tone.
        ending: how the response ends, for `END`; None leaves it as it was.
    """

    kind: StepKind
    gap_s: float = 0.0
    output: Output | None = None
    delta: str = ""
    audio_ms: int = 0
    sound: bytes = b""
    ending: Ending | None = None

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
        if output.kind in (OutputKind.CALL, OutputKind.MCP_CALL):
            yield from _text_steps(StepKind.ARGUMENTS, output.text, pace)
        elif output.kind is OutputKind.MCP_APPROVAL:
            pass  # it comes whole
        elif output.kind is OutputKind.SPEECH and modality == "audio":
            yield from _speech_steps(output.text, output.length_ms, pace, audio)
        else:
            yield from _text_steps(StepKind.TEXT, output.text, pace)
        yield Step(StepKind.CLOSE_ITEM)
    yield Step(StepKind.END, first_gap)


class Feed:
    """Pieces of an answer that is made elsewhere, in order.

    Args:
        taken: called when a piece was taken, so that another one may be made.
    """

    def __init__(self, taken: Callable[[], None]) -> None:
        self._taken = taken
        self._pieces: deque[Result] = deque()

    def __len__(self) -> int:
        return len(self._pieces)

    def put(self, piece: Result) -> None:
        """Add a piece."""
        self._pieces.append(piece)

    def take(self) -> Result:
        """Take the oldest piece; there must be one."""
        piece = self._pieces.popleft()
        self._taken()
        return piece


def plan_from(feed: Feed, *, modality: str, pace: Pace, audio: AudioFormat) -> Iterator[Step]:
    """The steps of an answer that comes in pieces, ending with `END`; `WAIT` while there is none.

    Args:
        feed: where the pieces come.
        modality: `audio` or `text`, for what can be either.
        pace: how fast they are passed on, once they are there.
        audio: the output format.
    """
    opened: Output | None = None
    gap = 0.0
    while True:
        if not feed:
            yield Step(StepKind.WAIT)
            continue
        piece = feed.take()
        if isinstance(piece, Opened):
            if opened is not None:
                yield Step(StepKind.CLOSE_ITEM)
            opened, gap = piece.output, 0.0
            yield Step(StepKind.OPEN_ITEM, output=opened)
        elif isinstance(piece, Words) and opened is not None:
            if opened.kind is OutputKind.CALL:
                yield from _text_steps(StepKind.ARGUMENTS, piece.text, pace, gap)
                gap = pace.text_gap_s
            elif opened.kind is OutputKind.SPEECH and modality == "audio":
                yield from _spoken_steps(piece, pace, audio, gap)
                gap = pace.audio_gap_s
            else:
                yield from _text_steps(StepKind.TEXT, piece.text, pace, gap)
                gap = pace.text_gap_s
        elif isinstance(piece, Ended):
            if opened is not None:
                yield Step(StepKind.CLOSE_ITEM)
            yield Step(StepKind.END, ending=piece.ending)
            return
        elif isinstance(piece, Failed):
            failed = Ending(Status.FAILED, code=piece.code, message=piece.message, type=piece.type)
            yield Step(StepKind.END, ending=failed)
            return


def _spoken_steps(piece: Words, pace: Pace, audio: AudioFormat, gap: float) -> Iterator[Step]:
    if piece.audio is None:
        length = Output(OutputKind.SPEECH, piece.text).length_ms
        return _speech_steps(piece.text, length, pace, audio, gap=gap)
    length = len(piece.audio) // audio.bytes_per_ms
    return _speech_steps(piece.text, length, pace, audio, sound=piece.audio, gap=gap)


def _text_steps(kind: StepKind, words: str, pace: Pace, gap: float = 0.0) -> Iterator[Step]:
    for delta in _deltas(words, pace.chars_per_delta):
        yield Step(kind, gap, delta=delta)
        gap = pace.text_gap_s


def _speech_steps(
    text: str,
    length_ms: int,
    pace: Pace,
    audio: AudioFormat,
    *,
    sound: bytes = b"",
    gap: float = 0.0,
) -> Iterator[Step]:
    # A mark must not be cut: audio comes in whole blocks (see speech.py).
    block, size = block_ms(audio), audio.bytes_per_ms
    total = -(-length_ms // block) * block
    step = -(-pace.audio_ms_per_delta // block) * block
    words = list(_deltas(text, pace.chars_per_delta))
    told, place = 0, 0
    while place < total:
        length = min(step, total - place)
        # P-133: the transcript runs ahead of the audio.
        ahead = min(1.0, (place + length) / total * pace.transcript_lead)
        until = -(-int(ahead * len(words) * 1000) // 1000)
        if until > told:
            yield Step(StepKind.TRANSCRIPT, gap, delta="".join(words[told:until]))
            told, gap = until, 0.0
        part = sound[place * size : (place + length) * size]
        yield Step(StepKind.AUDIO, gap, audio_ms=length, sound=part)
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
