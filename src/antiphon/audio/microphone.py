"""What a session hears: a source of sound, sent as it comes."""

import asyncio
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from antiphon.client.session import Session
from antiphon.exceptions import ConnectionClosed, LocalProtocolError

__all__ = ["Microphone", "Source", "WavSource"]


class Source(Protocol):
    """Where sound comes from; write your own for a device that antiphon does not know.

    Attributes:
        sample_rate: Hz of what it gives.
    """

    sample_rate: int

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Pieces of PCM16 little-endian, mono, as they are recorded."""
        ...


class WavSource:
    """A WAV file at the pace at which it is spoken, and silence after it, until nobody listens.

    Args:
        path: mono, 16 bits a sample.
        piece_ms: how much is given at a time, in ms.

    Raises:
        LocalProtocolError: the file is not mono, or not of 16 bits.
    """

    def __init__(self, path: str | Path, piece_ms: int = 20) -> None:
        with wave.open(str(path)) as file:
            if file.getnchannels() != 1 or file.getsampwidth() != 2:
                raise LocalProtocolError(f"{path} is not a mono WAV of 16 bits a sample")
            self.sample_rate = file.getframerate()
            self._pcm = file.readframes(file.getnframes())
        self._piece_bytes = 2 * (self.sample_rate * piece_ms // 1000)
        self.ended = asyncio.Event()
        """Set once the whole file was given."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        due = loop.time()
        at = 0
        while True:
            piece = self._pcm[at : at + self._piece_bytes]
            at += self._piece_bytes
            yield piece + bytes(self._piece_bytes - len(piece))
            if at >= len(self._pcm):
                self.ended.set()
            due += self._piece_bytes / 2 / self.sample_rate
            await asyncio.sleep(due - loop.time())


class Microphone:
    """Sends what a source gives to a session, while it is entered.

        async with Microphone(session, SoundCardMicrophone()):
            ...

    Args:
        session: who is to hear it. Another rate than the session's needs `antiphon[audio]`.
        source: what it hears: `WavSource`, `SoundCardMicrophone`, or one of your own.
    """

    def __init__(self, session: Session, source: Source) -> None:
        self._session = session
        self._source = source
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening.

        Raises:
            Exception: what the source raised while it was listened to.
        """
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (failed := task.exception()) is not None:
                raise failed

    async def _run(self) -> None:
        try:
            async for pcm in self._source:
                self._session.append_audio(pcm, sample_rate=self._source.sample_rate)
        except ConnectionClosed:
            pass  # the session has ended, and says so itself
