"""Small pieces of microphone audio, gathered into fewer frames.

A frame of 20 ms costs nearly as much as one of 100 ms, and microphones deliver 50 of them a second.
"""

import asyncio
from collections.abc import Callable

__all__ = ["AudioBatch"]


class AudioBatch:
    """Holds audio back until there is enough of it, and never longer than that much takes to come.

    Args:
        delay_ms: how much to gather, and so how late a piece may be sent, in ms.
        send: takes what was gathered.
    """

    __slots__ = ("_delay_ms", "_held", "_send", "_timer")

    def __init__(self, delay_ms: int, send: Callable[[bytes], None]) -> None:
        self._delay_ms = delay_ms
        self._send = send
        self._held = bytearray()
        # Invariant: set exactly while something is held.
        self._timer: asyncio.TimerHandle | None = None

    def add(self, audio: bytes, bytes_per_ms: int) -> None:
        """Take one piece; sends what is held once it is enough."""
        self._held += audio
        if len(self._held) >= self._delay_ms * bytes_per_ms:
            self.flush()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._delay_ms / 1000, self.flush)

    def flush(self) -> None:
        """Send what is held."""
        held = bytes(self._held)
        self.drop()
        if held:
            self._send(held)

    def drop(self) -> None:
        """Forget what is held."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
