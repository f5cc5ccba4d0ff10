"""Does the work that engines ask for: hears and speaks in threads, thinks over the network.

One `Performer` serves all connections of a server; each connection has its `Errands`, which stop
with it. Whatever is dropped, stops: a request to the brain at once, speech before its next
sentence, and listening when its turn comes or its audio ends.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Protocol, TypeVar

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.audio.speech import block_ms
from antiphon.emulator.engine.effects import Ask, Drop, Proceed
from antiphon.emulator.faculties.brain import BrainError, Called, Finished, Said, Thought
from antiphon.emulator.faculties.chat import Chat
from antiphon.emulator.faculties.work import (
    Ended,
    Faculties,
    Failed,
    Heard,
    Opened,
    Piece,
    Respond,
    Result,
    Transcribe,
    Words,
)
from antiphon.emulator.scripts.script import Ending, Output, OutputKind, Status

__all__ = ["Brain", "Errands", "Performer", "SpokenLanguage", "cut_off", "sentences"]

_logger = logging.getLogger("antiphon.emulator")
T = TypeVar("T")
# Pieces of hearing or speaking that may wait for their thread, over all connections.
MAX_WAITING = 64
# Pieces of work that one connection may have open, and pieces that each may be ahead.
MAX_OPEN = 64
AHEAD = 2
SILENT_MS = 200


class SpokenLanguage(Protocol):
    """Ears and a mouth, such as `voice.Voice`. Called in threads, each method in its own."""

    def load(self) -> None:
        """Get ready."""

    def hear(self, audio: bytes, form: AudioFormat) -> str:
        """What was said."""

    def speak(self, words: str, form: AudioFormat) -> bytes:
        """The words as audio, in whole blocks (see `speech.block_ms`)."""


class Brain(Protocol):
    """What thinks of answers, such as `brain.ChatBrain`."""

    def think(self, chat: Chat) -> AsyncGenerator[Thought, None]:
        """Answer as it comes, ending with `Finished`, or raise `BrainError`."""


class _Overloaded(Exception):
    """Too much waits already."""


class Performer:
    """Hears, speaks and thinks.

    Args:
        voice: ears and mouth, or None for neither.
        brain: what thinks, or None.
        inline: hear and speak within the event loop instead of in threads; for virtual time.
    """

    def __init__(
        self, voice: SpokenLanguage | None, brain: Brain | None, *, inline: bool = False
    ) -> None:
        self.faculties = Faculties(
            hears=voice is not None, speaks=voice is not None, thinks=brain is not None
        )
        self._voice = voice
        self._brain = brain
        self._inline = inline
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._waiting = 0

    async def start(self) -> None:
        """Get the voice ready, which may take seconds."""
        if self._voice is not None:
            await self._in_thread("mouth", self._voice.load)

    def stop(self) -> None:
        """Begin nothing more. What a thread is doing it finishes, for nobody."""
        for threads in self._threads.values():
            threads.shutdown(wait=False, cancel_futures=True)
        self._threads.clear()

    async def transcribe(self, work: Transcribe) -> Heard:
        """Listen."""
        voice = self._voice
        assert voice is not None, "asked to listen without ears"
        return Heard(await self._in_thread("ears", lambda: voice.hear(work.audio, work.format)))

    async def respond(self, work: Respond) -> AsyncGenerator[Piece, None]:
        """Make an answer, piece by piece.

        Raises:
            BrainError: the brain failed.
        """
        pieces = self._recite(work) if work.chat is None else self._think(work, work.chat)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    async def _recite(self, work: Respond) -> AsyncGenerator[Piece, None]:
        for output in work.outputs:
            yield Opened(output)
            if output.kind is not OutputKind.SPEECH:
                yield Words(output.text)
                continue
            # A length that the script gives holds for real speech too.
            left = output.audio_ms
            for words in sentences(output.text):
                audio = await self._speak(words, work)
                if left is not None and audio is not None:
                    audio = audio[: left * work.format.bytes_per_ms]
                    left -= len(audio) // work.format.bytes_per_ms
                yield Words(words, audio)
            if left:
                yield Words("", _silence(left, work.format))
        yield Ended()

    async def _think(self, work: Respond, chat: Chat) -> AsyncGenerator[Piece, None]:
        assert self._brain is not None, "asked to think without a brain"
        spoken = work.modality == "audio"
        kind = OutputKind.SPEECH if spoken else OutputKind.TEXT
        unsaid, speaking, reason = "", False, "stop"
        async with aclosing(self._brain.think(chat)) as thoughts:
            async for thought in thoughts:
                match thought:
                    case Said(words):
                        if not speaking:
                            speaking = True
                            yield Opened(Output(kind, ""))
                        if not spoken:
                            yield Words(words)
                            continue
                        unsaid += words
                        while (end := cut_off(unsaid)) is not None:
                            sentence, unsaid = unsaid[:end], unsaid[end:]
                            yield Words(sentence, await self._speak(sentence, work))
                    case Called(name, arguments):
                        if unsaid:
                            yield Words(unsaid, await self._speak(unsaid, work))
                        unsaid, speaking = "", False
                        yield Opened(Output(OutputKind.CALL, "", name=name))
                        yield Words(arguments)
                    case Finished(why):
                        reason = why
        if unsaid:
            yield Words(unsaid, await self._speak(unsaid, work))
        yield Ended(_ENDINGS.get(reason, Ending()))

    async def _speak(self, words: str, work: Respond) -> bytes | None:
        voice = self._voice
        if voice is None or work.modality != "audio":
            return None
        audio = await self._in_thread("mouth", lambda: voice.speak(words.strip(), work.format))
        # Words without a sound, such as a smile, are a pause.
        return audio or _silence(SILENT_MS, work.format)

    async def _in_thread(self, name: str, call: Callable[[], T]) -> T:
        if self._inline:
            return call()
        if self._waiting >= MAX_WAITING:
            raise _Overloaded
        threads = self._threads.get(name)
        if threads is None:
            threads = ThreadPoolExecutor(1, thread_name_prefix=f"antiphon-{name}")
            self._threads[name] = threads
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        finally:
            self._waiting -= 1


_ENDINGS = {
    "length": Ending(Status.INCOMPLETE, reason="max_output_tokens"),
    "content_filter": Ending(Status.INCOMPLETE, reason="content_filter"),
}


class Errands:
    """The open work of one connection.

    Args:
        performer: who does it.
        answered: called with an ask's id and what came of it, in the event loop.
    """

    def __init__(self, performer: Performer, answered: Callable[[int, Result], None]) -> None:
        self._performer = performer
        self._answered = answered
        self._open: dict[int, tuple[asyncio.Task[None], asyncio.Semaphore]] = {}

    def apply(self, effect: Ask | Proceed | Drop) -> None:
        """Carry out one of the engine's effects. Nothing is answered before this returns."""
        match effect:
            case Ask(work_id, work):
                credit = asyncio.Semaphore(AHEAD)
                task = asyncio.get_running_loop().create_task(self._do(work_id, work, credit))
                self._open[work_id] = task, credit
            case Proceed(work_id) if work_id in self._open:
                self._open[work_id][1].release()
            case Drop(work_id) if work_id in self._open:
                self._open.pop(work_id)[0].cancel()

    def close(self) -> None:
        """Drop everything."""
        for task, _ in self._open.values():
            task.cancel()
        self._open.clear()

    async def _do(
        self, work_id: int, work: Transcribe | Respond, credit: asyncio.Semaphore
    ) -> None:
        try:
            await asyncio.sleep(0)  # an eager task would begin before it is known
            if len(self._open) > MAX_OPEN:
                raise _Overloaded
            if isinstance(work, Transcribe):
                self._tell(work_id, await self._performer.transcribe(work))
                return
            async with aclosing(self._performer.respond(work)) as pieces:
                async for piece in pieces:
                    await credit.acquire()
                    self._tell(work_id, piece)
        except BrainError as error:
            self._tell(work_id, Failed(error.code, str(error)))
        except _Overloaded:
            busy = "The server is overloaded. Please try again later."
            self._tell(work_id, Failed("server_overloaded", busy))
        except Exception as error:
            # Its message might hold what was said.
            kind = type(error).__name__
            _logger.error("work failed", extra={"kind": kind, "work": type(work).__name__})
            self._tell(work_id, Failed("server_error", f"The work failed ({kind})."))
        finally:
            self._open.pop(work_id, None)

    def _tell(self, work_id: int, result: Result) -> None:
        if work_id in self._open:
            self._answered(work_id, result)


# Where to cut what is to be spoken: after a sentence, or in a long one after a clause.
_SENTENCE = re.compile(r"[.!?…:;。！？][\"'”’)\]]*\s+|\n+")
_CLAUSE = re.compile(r"[,–—][\"'”’)\]]*\s+")
_SHORTEST, _LONG, _LONGEST = 12, 120, 400


def cut_off(text: str) -> int | None:
    """Where the first piece of `text` ends that can be spoken by itself; None if more is needed.

    Every cut is between words, and nothing is lost: pieces joined are the text.
    """
    for found in _SENTENCE.finditer(text):
        # Something so short may be "Dr. " or "1. ", and sounds clipped alone.
        if found.end() >= _SHORTEST:
            return found.end()
    if len(text) >= _LONG:
        for found in _CLAUSE.finditer(text):
            if found.end() >= _LONG // 2:
                return found.end()
    if len(text) >= _LONGEST:
        return text.rfind(" ", 0, _LONGEST) + 1 or _LONGEST
    return None


def sentences(text: str) -> Iterator[str]:
    """The text in pieces that can be spoken one by one."""
    while text:
        end = cut_off(text) or len(text)
        yield text[:end]
        text = text[end:]


def _silence(length_ms: int, form: AudioFormat) -> bytes:
    block = block_ms(form)
    size = -(-length_ms // block) * block * form.bytes_per_ms
    # G.711's zero: 0xff in mu-law, 0xd5 in A-law (ITU-T G.711).
    return {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5"}.get(form.name, b"\0") * size
