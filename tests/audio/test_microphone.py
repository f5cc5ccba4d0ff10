"""What a microphone sends, at which pace, and how it ends."""

import asyncio
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import antiphon
from antiphon.audio import Microphone, SoundCardMicrophone, WavSource
from antiphon.emulator.audio import speech
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []


def wav(path: Path, pcm: bytes, *, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, 24_000, 0, "NONE", ""))
        file.writeframes(pcm)
    return path


def test_a_file_is_sent_at_its_own_pace_and_silence_after_it(tmp_path: Path) -> None:
    pcm = speech.user_voice(500)
    path = wav(tmp_path / "question.wav", pcm)

    @virtual
    async def story() -> None:
        peer = Peer()
        async with await peer.connect() as session:
            source = WavSource(path)
            async with Microphone(session, source):
                await soon(source.ended.wait())
                sent = len(peer.line.of("input_audio_buffer.append"))
                assert sent == 25, "500 ms, 20 ms at a time"
                await asyncio.sleep(1.0)
            frames = peer.line.of("input_audio_buffer.append")
            assert sent + 48 <= len(frames) <= sent + 51
            await asyncio.sleep(1.0)
            assert len(peer.line.of("input_audio_buffer.append")) == len(frames)

    story()


def test_a_file_that_is_not_mono_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(antiphon.LocalProtocolError, match=r"two\.wav is not a mono WAV"):
        WavSource(wav(tmp_path / "two.wav", bytes(8), channels=2))


class Broken:
    """A source that gives one piece and fails."""

    sample_rate = 24_000

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield bytes(960)
        raise OSError("the cable is out")


@virtual
async def test_what_a_source_raises_comes_out_where_the_microphone_is_left() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        with pytest.raises(OSError, match="the cable is out"):
            async with Microphone(session, Broken()):
                await asyncio.sleep(0.1)
        assert len(peer.line.of("input_audio_buffer.append")) == 1


@virtual
async def test_a_session_that_ends_ends_it() -> None:
    peer = Peer()
    session = await peer.connect()
    async with Microphone(session, Endless()):
        await soon(session.close())
        await asyncio.sleep(0.1)


class Endless:
    """A source that never ends."""

    sample_rate = 24_000

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield bytes(960)
            await asyncio.sleep(0.02)


def test_a_sound_card_without_its_package_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(antiphon.MissingDependency, match=r"pip install 'antiphon\[sound\]'"):
        SoundCardMicrophone()
