"""The sound card, by way of PortAudio: `pip install 'antiphon[sound]'`."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from antiphon.audio.sinks import Closing
from antiphon.exceptions import MissingDependency

__all__ = ["SoundCardMicrophone", "SoundCardSpeaker"]

_BLOCK_MS = 20
# How much the speaker takes ahead of what it plays.
_AHEAD_MS = 60


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as missing:
        raise MissingDependency(
            "the sound card needs sounddevice: pip install 'antiphon[sound]'"
        ) from missing
    except OSError as missing:
        raise MissingDependency(
            "sounddevice finds no PortAudio; on Debian: apt-get install libportaudio2"
        ) from missing
    return sounddevice


class SoundCardSpeaker(Closing):
    """The default output of this machine.

    Args:
        sample_rate: Hz.

    Raises:
        MissingDependency: sounddevice, or PortAudio, is not installed.
    """

    def __init__(self, sample_rate: int = 24000) -> None:
        self.sample_rate = sample_rate
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._held = bytearray()
        self._room = asyncio.Event()
        self._stream = _sounddevice().RawOutputStream(
            samplerate=sample_rate, channels=1, dtype="int16", callback=self._fill
        )
        self._stream.start()

    def _fill(self, out: Any, frames: int, time: Any, status: Any) -> None:
        """Called by PortAudio, in a thread of its own."""
        with self._lock:
            count = min(len(out), len(self._held))
            out[:count] = bytes(self._held[:count])
            del self._held[:count]
        out[count:] = bytes(len(out) - count)
        self._loop.call_soon_threadsafe(self._room.set)

    async def play(self, block: bytes) -> None:
        with self._lock:
            self._held += block
        while len(self._held) > 2 * self.sample_rate * _AHEAD_MS // 1000:
            self._room.clear()
            await self._room.wait()

    def stop(self) -> None:
        with self._lock:
            self._held.clear()

    def waiting_ms(self) -> float:
        held_ms = len(self._held) * 500 / self.sample_rate
        return held_ms + float(self._stream.latency) * 1000

    def close(self) -> None:
        """Give the sound card back."""
        self._stream.close()


class SoundCardMicrophone:
    """The default input of this machine. What nobody takes in time is dropped, the oldest first.

    Args:
        sample_rate: Hz.

    Raises:
        MissingDependency: sounddevice, or PortAudio, is not installed.
    """

    def __init__(self, sample_rate: int = 24000) -> None:
        self.sample_rate = sample_rate
        self._sounddevice = _sounddevice()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[bytes] = asyncio.Queue(maxsize=100)

        def keep(piece: bytes) -> None:
            if pieces.full():
                pieces.get_nowait()
            pieces.put_nowait(piece)

        def recorded(data: Any, frames: int, time: Any, status: Any) -> None:
            loop.call_soon_threadsafe(keep, bytes(data))

        with self._sounddevice.RawInputStream(
            samplerate=self.sample_rate,
            channels=1,
            dtype="int16",
            blocksize=self.sample_rate * _BLOCK_MS // 1000,
            callback=recorded,
        ):
            while True:
                yield await pieces.get()
