"""Work done for engines: in threads and tasks, bounded, and stopped when it is dropped."""

import asyncio
import logging
import threading
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest

from antiphon.emulator import MemoryConnector, run_virtual
from antiphon.emulator.audio.formats import PCM16, PCMA, AudioFormat
from antiphon.emulator.engine.effects import Ask, Drop, Proceed
from antiphon.emulator.faculties.brain import Finished, Said, Thought
from antiphon.emulator.faculties.chat import Chat
from antiphon.emulator.faculties.work import (
    Ended,
    Failed,
    Heard,
    Opened,
    Piece,
    Respond,
    Result,
    Transcribe,
    Words,
)
from antiphon.emulator.running import performer
from antiphon.emulator.running.performer import (
    Brain,
    Errands,
    Performer,
    SpokenLanguage,
    cut_off,
    sentences,
)
from antiphon.emulator.scripts.script import Output, OutputKind

__all__: list[str] = []

SECONDS = 5
CHAT = Chat(())
SAY_IT = Output(OutputKind.SPEECH, "One two three four. Five six seven eight. 🙂")


@dataclass
class Tones:
    """A voice that can be held up: 10 ms for each word."""

    spoken: list[str] = field(default_factory=list)
    may_go_on: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.may_go_on.set()

    def load(self) -> None:
        pass

    def hear(self, audio: bytes, form: AudioFormat) -> str:
        assert self.may_go_on.wait(SECONDS)
        if self.error is not None:
            raise self.error
        return f"{len(audio)} bytes"

    def speak(self, words: str, form: AudioFormat) -> bytes:
        assert self.may_go_on.wait(SECONDS)
        self.spoken.append(words)
        return bytes(10 * form.bytes_per_ms) * sum(word.isalpha() for word in words.split())


@dataclass
class Tokens:
    """A brain that says the same each time."""

    words: list[str]
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def think(self, chat: Chat) -> AsyncGenerator[Thought, None]:
        try:
            for word in self.words:
                await asyncio.sleep(0)
                yield Said(word)
            yield Finished("stop")
        finally:
            self.closed.set()


class Customer:
    """Somebody who asks, and keeps what comes."""

    def __init__(self, voice: SpokenLanguage | None = None, brain: Brain | None = None) -> None:
        self.results: list[tuple[int, Result]] = []
        self.performer = Performer(voice, brain)
        self.errands = Errands(self.performer, self._answered)
        self._changed = asyncio.Event()

    def ask(self, work_id: int, work: Transcribe | Respond) -> None:
        self.errands.apply(Ask(work_id, work))

    async def count(self, count: int) -> list[Result]:
        """The results, once there are so many."""
        async with asyncio.timeout(SECONDS):
            while len(self.results) < count:
                self._changed.clear()
                await self._changed.wait()
        return [result for _, result in self.results]

    def _answered(self, work_id: int, result: Result) -> None:
        self.results.append((work_id, result))
        self._changed.set()


async def pieces(performer: Performer, work: Respond) -> list[Piece]:
    async with asyncio.timeout(SECONDS):
        return [piece async for piece in performer.respond(work)]


async def test_speech_is_made_sentence_by_sentence_and_a_smile_is_a_pause() -> None:
    voice = Tones()
    found = await pieces(Performer(voice, None), Respond("audio", PCM16, outputs=(SAY_IT,)))
    assert found == [
        Opened(SAY_IT),
        Words("One two three four. ", bytes(480 * 3)),
        Words("Five six seven eight. ", bytes(480 * 3)),
        Words("🙂", bytes(48 * performer.SILENT_MS)),
        Ended(),
    ]
    assert voice.spoken == ["One two three four.", "Five six seven eight.", "🙂"]


async def test_silence_is_silence_in_g711_too() -> None:
    (_, words, _) = await pieces(
        Performer(Tones(), None),
        Respond("audio", PCMA, outputs=(Output(OutputKind.SPEECH, "🙂"),)),
    )
    assert isinstance(words, Words)
    assert words.audio == b"\xd5" * 8 * performer.SILENT_MS


async def test_a_brain_without_voice_gives_words_without_audio() -> None:
    brain = Tokens(["One two ", "three. ", "Four"])
    found = await pieces(Performer(None, brain), Respond("audio", PCM16, chat=CHAT))
    assert found[1:-1] == [Words("One two three. "), Words("Four")]


async def test_two_pieces_may_be_ahead_and_no_more() -> None:
    brain = Tokens([f"{number} " for number in range(10)])
    customer = Customer(brain=brain)
    customer.ask(1, Respond("text", PCM16, chat=CHAT))
    await customer.count(2)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(customer.results) == 2
    customer.errands.apply(Proceed(1))
    await customer.count(3)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(customer.results) == 3
    customer.errands.close()


async def test_dropped_work_stops_and_says_no_more() -> None:
    brain = Tokens([f"{number} " for number in range(10)])
    customer = Customer(brain=brain)
    customer.ask(1, Respond("text", PCM16, chat=CHAT))
    await customer.count(2)
    customer.errands.apply(Drop(1))
    async with asyncio.timeout(SECONDS):
        await brain.closed.wait()
    assert len(customer.results) == 2


async def test_a_lost_connection_drops_everything() -> None:
    voice = Tones()
    voice.may_go_on.clear()
    customer = Customer(voice)
    for work_id in range(3):
        customer.ask(work_id, Transcribe(bytes(4), PCM16))
    await asyncio.sleep(0)
    customer.errands.close()
    voice.may_go_on.set()
    other = Customer()
    other.performer = customer.performer
    other.errands = Errands(customer.performer, other._answered)
    other.ask(9, Transcribe(bytes(6), PCM16))
    assert await other.count(1) == [Heard("6 bytes")]
    assert customer.results == []
    customer.performer.stop()


async def test_hearing_waits_in_line_and_the_loop_goes_on() -> None:
    voice = Tones()
    voice.may_go_on.clear()
    customer = Customer(voice)
    customer.ask(1, Transcribe(bytes(2), PCM16))
    customer.ask(2, Transcribe(bytes(4), PCM16))
    for _ in range(20):
        await asyncio.sleep(0)
    assert customer.results == []
    voice.may_go_on.set()
    assert await customer.count(2) == [Heard("2 bytes"), Heard("4 bytes")]
    customer.performer.stop()


async def test_too_much_at_once_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer, "MAX_WAITING", 2)
    voice = Tones()
    voice.may_go_on.clear()
    customer = Customer(voice)
    for work_id in range(3):
        customer.ask(work_id, Transcribe(bytes(2), PCM16))
    (failed,) = await customer.count(1)
    assert isinstance(failed, Failed)
    assert failed.code == "server_overloaded"
    voice.may_go_on.set()
    await customer.count(3)
    customer.performer.stop()


async def test_one_connection_may_not_open_more_than_its_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(performer, "MAX_OPEN", 1)
    customer = Customer(brain=Tokens(["word "] * 10))
    customer.ask(1, Respond("text", PCM16, chat=CHAT))
    customer.ask(2, Respond("text", PCM16, chat=CHAT))
    results = await customer.count(1)
    assert isinstance(results[0], Failed)
    customer.errands.close()


async def test_a_defect_fails_the_work_and_tells_nothing_of_what_was_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    customer = Customer(Tones(error=ValueError("my secret")))
    with caplog.at_level(logging.ERROR):
        customer.ask(1, Transcribe(bytes(2), PCM16))
        (failed,) = await customer.count(1)
    assert failed == Failed("server_error", "The work failed (ValueError).")
    assert [record.message for record in caplog.records] == ["work failed"]
    assert "secret" not in caplog.text
    customer.performer.stop()


class Silent:
    """A client in memory that minds nothing."""

    def frame_received(self, data: bytes, is_text: bool) -> None:
        pass

    def connection_lost(self, code: int | None, reason: str) -> None:
        pass


def test_a_connection_in_memory_that_is_cut_drops_its_work() -> None:
    brain = Tokens([f"{number} " for number in range(10)])

    async def main() -> None:
        connector = MemoryConnector(brain=brain)
        transport = await connector("ws://emulator/v1/realtime", {}, Silent())
        transport.send_text(b'{"type":"response.create","response":{"output_modalities":["text"]}}')
        await asyncio.sleep(0.01)
        assert connector.sessions[0].active_responses != []
        transport.abort()
        async with asyncio.timeout(SECONDS):
            await brain.closed.wait()

    run_virtual(main())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One.", ["One."]),
        ("One two three four", ["One two three four"]),
        ("Is it so? Yes, it is so! Well", ["Is it so? Yes, it is so! ", "Well"]),
        ("It costs 3.50 in all. Good.", ["It costs 3.50 in all. ", "Good."]),
        ("He said “it is so.” And left.", ["He said “it is so.” ", "And left."]),
        ("word " * 30 + "end, and more", ["word " * 30 + "end, ", "and more"]),
        ("word " * 100, ["word " * 80, "word " * 20]),
        ("x" * 900, ["x" * 400, "x" * 400, "x" * 100]),
    ],
)
def test_text_is_cut_between_sentences_and_nothing_is_lost(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected
    assert "".join(expected) == text


def test_a_sentence_is_not_over_before_what_follows_it_is_seen() -> None:
    assert cut_off("It costs 3.") is None
    assert cut_off("It costs three. ") == 16
