"""Microphone audio gathered into fewer frames: nothing lost, reordered or later than said."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

import antiphon
from antiphon.emulator import Engine, MemoryConnector, run_virtual

__all__: list[str] = []

PIECE = bytes(20 * 48)
MANUAL = {"audio": {"input": {"turn_detection": None}}}


def played(story: Callable[[antiphon.Session, Engine], Awaitable[None]], batch_ms: int) -> None:
    async def play() -> None:
        connector = MemoryConnector()
        async with antiphon.connect(
            url="ws://localhost/v1/realtime",
            connector=connector,
            session=MANUAL,
            batch_audio_ms=batch_ms,
        ) as session:
            await story(session, connector.sessions[0])

    run_virtual(play())


def appended(engine: Engine) -> int:
    return len(engine.received_of("input_audio_buffer.append"))


def test_five_pieces_make_one_frame() -> None:
    async def story(session: antiphon.Session, engine: Engine) -> None:
        for _ in range(5):
            session.append_audio(PIECE)
        await session.commit_audio()
        assert appended(engine) == 1

    played(story, 100)


def test_without_it_each_piece_is_a_frame() -> None:
    async def story(session: antiphon.Session, engine: Engine) -> None:
        for _ in range(5):
            session.append_audio(PIECE)
        await session.commit_audio()
        assert appended(engine) == 5

    played(story, 0)


def test_a_lone_piece_is_sent_after_the_delay_and_not_before() -> None:
    async def story(session: antiphon.Session, engine: Engine) -> None:
        session.append_audio(PIECE)
        await asyncio.sleep(0.099)
        assert appended(engine) == 0
        await asyncio.sleep(0.002)
        assert appended(engine) == 1

    played(story, 100)


def test_a_commit_sends_what_is_held_first() -> None:
    async def story(session: antiphon.Session, engine: Engine) -> None:
        for _ in range(7):
            session.append_audio(PIECE)
        await session.commit_audio()
        told = [event["type"] for event in engine.received if isinstance(event, dict)]
        kinds = [kind for kind in told if kind.startswith("input_audio_buffer")]
        assert kinds == ["input_audio_buffer.append"] * 2 + ["input_audio_buffer.commit"]

    played(story, 100)


def test_clearing_forgets_what_is_held() -> None:
    async def story(session: antiphon.Session, engine: Engine) -> None:
        session.append_audio(PIECE)
        await session.clear_audio()
        await asyncio.sleep(1)
        assert appended(engine) == 0

    played(story, 100)


def test_nothing_is_sent_after_the_session_was_closed() -> None:
    async def story(session: antiphon.Session, engine: Engine) -> None:
        session.append_audio(PIECE)
        await session.close()
        await asyncio.sleep(1)
        assert appended(engine) == 0
        with pytest.raises(antiphon.ConnectionClosed):
            session.append_audio(PIECE)

    played(story, 100)


def test_a_negative_delay_is_refused() -> None:
    with pytest.raises(antiphon.LocalProtocolError, match="batch_audio_ms"):
        _ = antiphon.connect(url="ws://localhost/v1/realtime", batch_audio_ms=-1)
