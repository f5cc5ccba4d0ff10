"""What a player plays to. A sink takes one block at a time, at the pace at which it is heard."""

import asyncio
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from antiphon.client.audio import check_rate

__all__ = ["CallbackSink", "Closing", "Sink", "WavSink", "WriterSink"]


# A block that comes later than this begins anew; one that is less late follows without a gap, as
# from the buffer of a sound card.
_CAUGHT_UP_S = 0.1


class Sink(Protocol):
    """Where sound goes; write your own for a device that antiphon does not know.

    Attributes:
        sample_rate: Hz of what it plays.
    """

    sample_rate: int

    async def play(self, block: bytes) -> None:
        """Take a block of PCM16 little-endian, mono, and return when there is room for the next.

        Sound that is taken faster than it is heard must be dropped by `stop`.
        """

    def stop(self) -> None:
        """Fall silent now: drop what was taken and is not heard yet. Must not wait."""

    def waiting_ms(self) -> float:
        """How much of what was taken is not heard yet, in ms."""


class Closing:
    """What is closed when its `with` block is left."""

    def close(self) -> None:
        """Give back what is held."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Paced:
    """Gives each block away at once, and has room again when it has been heard."""

    def __init__(self, sample_rate: int) -> None:
        check_rate(sample_rate)
        self.sample_rate = sample_rate
        # When all that was taken will have been heard, on the loop's clock.
        self._until = 0.0

    async def play(self, block: bytes) -> None:
        now = asyncio.get_running_loop().time()
        begins = self._until if now - self._until < _CAUGHT_UP_S else now
        self._until = begins + len(block) / 2 / self.sample_rate
        await self._give(block)
        await asyncio.sleep(self._until - asyncio.get_running_loop().time())

    async def _give(self, block: bytes) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._until = 0.0

    def waiting_ms(self) -> float:
        return max(0.0, self._until - asyncio.get_running_loop().time()) * 1000


class CallbackSink(_Paced):
    """Calls a function with each block, at the pace at which it is heard.

    Args:
        callback: takes a block of PCM16 little-endian, mono. It must not block.
        sample_rate: Hz; another than the session's needs `antiphon[audio]`.
    """

    def __init__(self, callback: Callable[[bytes], object], sample_rate: int = 24000) -> None:
        super().__init__(sample_rate)
        self._callback = callback

    async def _give(self, block: bytes) -> None:
        self._callback(block)


class WriterSink(_Paced):
    """Awaits a function with each block, such as a WebSocket's `send_bytes`.

    Args:
        write: takes a block of PCM16 little-endian, mono. A slow one delays the next block.
        sample_rate: Hz; another than the session's needs `antiphon[audio]`.
    """

    def __init__(
        self, write: Callable[[bytes], Awaitable[object]], sample_rate: int = 24000
    ) -> None:
        super().__init__(sample_rate)
        self._write = write

    async def _give(self, block: bytes) -> None:
        await self._write(block)


class WavSink(_Paced, Closing):
    """Writes what would be heard to a WAV file, silence between replies included.

    Args:
        path: the file; it is complete once the sink is left or closed.
        sample_rate: Hz.
    """

    def __init__(self, path: str | Path, sample_rate: int = 24000) -> None:
        super().__init__(sample_rate)
        self._file = wave.open(str(path), "wb")
        self._file.setparams((1, 2, sample_rate, 0, "NONE", ""))
        self._begun: float | None = None
        # Samples written; what is missing until now was silence.
        self._written = 0

    async def _give(self, block: bytes) -> None:
        self._pad(self._until - len(block) / 2 / self.sample_rate)
        self._file.writeframes(block)
        self._written += len(block) // 2

    def _pad(self, until: float) -> None:
        if self._begun is None:
            self._begun = until
        missing = round((until - self._begun) * self.sample_rate) - self._written
        per_ms = self.sample_rate // 1000
        silence = missing // per_ms * per_ms  # whole ms, so that what follows begins on one
        if silence > 0:
            self._file.writeframes(bytes(2 * silence))
            self._written += silence

    def close(self) -> None:
        """Complete the file. What is played afterwards raises."""
        self._file.close()
