"""Microphone audio: rates, sizes, a slow network, and the turns that the server makes of it."""

import asyncio
import wave
from array import array
from math import pi, sin
from pathlib import Path
from typing import Any

import pybase64
import pytest

import antiphon
from antiphon.client.audio import Resampler
from antiphon.emulator import Behaviour, MemoryConnector, Script, say
from antiphon.emulator.audio import speech
from tests.client.peer import Line, Peer, soon, virtual

__all__: list[str] = []

SPOKEN = Path(__file__).parent.parent / "data" / "what_is_the_weather.wav"


def appended(line: Line) -> bytes:
    return b"".join(
        pybase64.b64decode(one["audio"]) for one in line.of("input_audio_buffer.append")
    )


async def _came(session: antiphon.Session, name: str) -> None:
    came = asyncio.Event()
    session.on(name, lambda _: came.set())
    await came.wait()


def tone(rate: int, seconds: float, hertz: float = 440.0) -> bytes:
    samples = (int(9000 * sin(2 * pi * hertz * n / rate)) for n in range(int(rate * seconds)))
    return array("h", samples).tobytes()


@virtual
async def test_audio_in_the_sessions_format_is_sent_as_it_is() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        session.append_audio(b"\1\2\3\4")
        session.append_audio(b"")
        session.append_audio(b"\5\6", sample_rate=24000)
        assert appended(peer.line) == b"\1\2\3\4\5\6"
        assert len(peer.line.sent) == 2, "nothing is sent for nothing"


@virtual
async def test_half_a_sample_is_refused() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        with pytest.raises(antiphon.LocalProtocolError, match="samples"):
            session.append_audio(b"\1\2\3")
        assert peer.line.sent == []


@virtual
@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
async def test_another_rate_is_resampled_as_one_stream(rate: int) -> None:
    peer = Peer()
    async with await peer.connect() as session:
        pcm = tone(rate, 1.0)
        for start in range(0, len(pcm), 2 * 441):
            session.append_audio(pcm[start : start + 2 * 441], sample_rate=rate)
        pending = session.commit_audio()
        sent = appended(peer.line)
        assert len(sent) == pytest.approx(48_000, abs=200), "the filter's rest went out, too"
        assert peer.line.sent[-1]["type"] == "input_audio_buffer.commit"
        # Chunking must not be heard: the stream equals what one piece would have given.
        whole = Resampler(rate, 24000)
        expected = array("h", whole.process(pcm) + whole.process(b"", last=True))
        assert len(expected) == len(sent) // 2
        off = max(abs(a - b) for a, b in zip(array("h", sent), expected, strict=True))
        assert off <= 2, "but for rounding"
        peer.line.say({"type": "input_audio_buffer.committed", "item_id": "item_1"})
        assert await soon(pending) == "item_1"


@virtual
async def test_what_is_resampled_before_the_first_line_is_whole() -> None:
    peer = Peer()
    async with antiphon.connect(
        url="ws://localhost/v1/realtime", connector=peer
    ).begin() as session:
        session.append_audio(tone(16000, 0.1), sample_rate=16000)
        pending = session.commit_audio()
        await soon(_came(session, "connected"))
        whole = Resampler(16000, 24000)
        expected = whole.process(tone(16000, 0.1)) + whole.process(b"", last=True)
        assert len(appended(peer.line)) == len(expected), "the filter's rest, too"
        peer.line.say({"type": "input_audio_buffer.committed", "item_id": "item_1"})
        assert await soon(pending) == "item_1"


@virtual
async def test_a_commit_or_a_clear_from_another_thread_does_nothing() -> None:
    peer = Peer()
    async with await peer.connect(batch_audio_ms=100) as session:
        session.append_audio(bytes(480))
        for ask in (session.commit_audio, session.clear_audio):
            with pytest.raises(antiphon.LocalProtocolError, match="event loop"):
                await asyncio.to_thread(ask)
        assert peer.line.sent == []
        await asyncio.sleep(0.2)
        assert appended(peer.line) == bytes(480), "nor was it forgotten"


@virtual
async def test_clear_forgets_what_the_resampler_held() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        session.append_audio(tone(16000, 0.1), sample_rate=16000)
        cleared = session.clear_audio()
        before = len(appended(peer.line))
        _ = session.commit_audio()
        assert len(appended(peer.line)) == before
        peer.line.say({"type": "input_audio_buffer.cleared"})
        await soon(cleared)


@virtual
@pytest.mark.parametrize("rate", [0, -1])
async def test_no_such_rate(rate: int) -> None:
    peer = Peer()
    async with await peer.connect() as session:
        with pytest.raises(antiphon.LocalProtocolError, match="rate"):
            session.append_audio(b"\0\0", sample_rate=rate)


@virtual
async def test_more_than_a_server_takes_in_one_event_is_split() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        piece = bytes(range(256)) * 80_000  # 20 MB
        session.append_audio(piece)
        events = peer.line.of("input_audio_buffer.append")
        assert len(events) > 1
        assert max(len(one["audio"]) for one in events) < 15 * 1024 * 1024
        assert appended(peer.line) == piece


@virtual
async def test_a_network_that_falls_behind_is_said_so_and_can_be_waited_for() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        peer.line.waiting_bytes = 17 * 1024 * 1024
        assert session.pending_bytes == peer.line.waiting_bytes
        with pytest.raises(antiphon.StreamOverflow, match="drain"):
            session.append_audio(b"\0\0")
        asyncio.get_running_loop().call_later(1.0, setattr, peer.line, "waiting_bytes", 0)
        await soon(session.drain())
        session.append_audio(b"\0\0")
        assert appended(peer.line) == b"\0\0"


@virtual
async def test_g711_has_bytes_for_samples() -> None:
    peer = Peer(greets=False)
    asyncio.get_running_loop().call_later(
        0.1,
        lambda: peer.line.hello(audio={"input": {"format": {"type": "audio/pcmu"}}}),
    )
    async with await peer.connect() as session:
        session.append_audio(b"\1\2\3")
        assert appended(peer.line) == b"\1\2\3"


@virtual
async def test_a_spoken_turn_is_heard_committed_transcribed_and_answered() -> None:
    connector = MemoryConnector(
        Behaviour(),
        Script([say("It rains.", ms=400).when(automatic=True)], hears=["What is the weather?"]),
    )
    async with antiphon.connect(
        url="ws://localhost/v1/realtime",
        connector=connector,
        session={"audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}},
    ) as session:
        turns: list[antiphon.Turn] = []
        session.on("turn", turns.append)
        theirs: list[antiphon.ResponseHandle] = []
        session.on("response", theirs.append)
        with wave.open(str(SPOKEN)) as recording:
            assert (recording.getnchannels(), recording.getsampwidth()) == (1, 2)
            rate, pcm = recording.getframerate(), recording.readframes(recording.getnframes())
        step = rate // 50 * 2  # 20 ms
        for start in range(0, len(pcm), step):
            session.append_audio(pcm[start : start + step], sample_rate=rate)
            await asyncio.sleep(0.02)
        for _ in range(40):
            session.append_audio(bytes(960))
            await asyncio.sleep(0.02)
        assert [one.phase for one in turns] == [
            "speech_started",
            "speech_stopped",
            "committed",
            "transcribed",
        ]
        assert len({one.item_id for one in turns}) == 1
        assert turns[-1].transcript == "What is the weather?"
        assert turns[1].stopped_ms is not None and turns[0].started_ms is not None
        assert 500 < turns[1].stopped_ms - turns[0].started_ms < 4000
        (answer,) = theirs
        assert answer.from_server and answer.metadata == {}
        assert (await soon(answer.done)).kind is antiphon.OutcomeKind.COMPLETED
        assert b"".join([chunk async for chunk in answer.audio]) == speech.synthesize(
            answer.id or "", 0, 400
        )
        item = session.item(turns[0].item_id)
        assert item is not None and item.content
        assert item.content[0].transcript == "What is the weather?"
        assert [one.role for one in session.items] == ["user", "assistant"]


@virtual
async def test_responses_are_iterated_as_the_server_makes_them_until_the_close() -> None:
    connector = MemoryConnector(Behaviour(), Script([say("Yes?", ms=200).always()]))
    session = await antiphon.connect(url="ws://localhost/v1/realtime", connector=connector)
    seen: list[Any] = []

    async def watch() -> None:
        async for handle in session.responses():
            outcome = await handle.done
            seen.append((handle.from_server, outcome))

    watcher = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    await soon(session.create_response().done)
    for _ in range(2):
        session.append_audio(speech.user_voice(600) + bytes(48 * 500))
        await asyncio.sleep(2.0)
    await session.close()
    await soon(watcher)
    completed = antiphon.Outcome(antiphon.OutcomeKind.COMPLETED)
    assert seen == [(True, completed)] * 2


@virtual
async def test_a_commit_by_hand_without_turn_detection() -> None:
    connector = MemoryConnector(Behaviour(), Script())
    async with antiphon.connect(
        url="ws://localhost/v1/realtime",
        connector=connector,
        session={"audio": {"input": {"turn_detection": None}}},
    ) as session:
        session.append_audio(bytes(48 * 300))
        item_id = await soon(session.commit_audio())
        await asyncio.sleep(0.1)  # the item's own event follows
        assert session.item(item_id) is not None
        with pytest.raises(antiphon.RequestError) as caught:
            await soon(session.commit_audio())
        assert caught.value.code == "input_audio_buffer_commit_empty"
