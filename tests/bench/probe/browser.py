"""A browser in memory, for calls of an emulator in the same event loop: no socket, no codec."""

import asyncio

from antiphon.bench.probe.peer import MakePeer, NoMedia
from antiphon.emulator import MemoryConnector
from antiphon.emulator.running.emulated_call import EmulatedCall

__all__ = ["MemoryBrowser", "browsers"]

_OFFER = "\r\n".join(["v=0", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:0", ""]).encode()
_PIECE = 960  # 20 ms of PCM16 at 24 kHz


class MemoryBrowser:
    """As `Peer`, and as the call's `Media`: it is connected where `call_media` is `webrtc`.

    Args:
        memory: the emulator.
        only_peers: whether its calls play to peers alone: without one they are as with `none`.
    """

    def __init__(self, memory: MemoryConnector, *, only_peers: bool = False) -> None:
        self._memory = memory
        self._only_peers = only_peers
        self._call: EmulatedCall | None = None
        self._hears = asyncio.Event()
        self._heard_ms = 0.0
        self._speaking: list[asyncio.TimerHandle] = []

    async def offer(self) -> bytes:
        if self._only_peers:  # the next call is this one
            self._memory.behaviour = self._memory.behaviour.but(call_media="webrtc")
        return _OFFER

    async def answered(self, answer: bytes, patience: float) -> None:
        if self._only_peers:
            self._memory.behaviour = self._memory.behaviour.but(call_media="none")
        call = list(self._memory.calls)[-1]
        if call.engine.behaviour.call_media != "webrtc":
            await asyncio.sleep(patience)
            raise NoMedia("nobody answers at its candidates")
        self._call, call.media = call, self

    def speak(self, pcm: bytes) -> None:
        assert self._call is not None
        loop = asyncio.get_running_loop()
        for number, start in enumerate(range(0, len(pcm) - _PIECE, _PIECE)):
            piece = pcm[start : start + _PIECE]
            self._speaking.append(loop.call_later(number * 0.02, self._call.hear, piece))

    async def heard_ms(self, patience: float) -> float:
        try:
            async with asyncio.timeout(patience):
                await self._hears.wait()
        except TimeoutError:
            pass
        return self._heard_ms

    async def leave(self) -> None:
        for piece in self._speaking:
            piece.cancel()
        if self._call is not None:
            self._call.hang_up()

    # As `Media`

    def play(self, data: bytes) -> None:
        self._heard_ms += len(data) / 48
        self._hears.set()

    def hush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is open here."""


def browsers(memory: MemoryConnector, *, only_peers: bool = False) -> MakePeer:
    """What makes browsers for this emulator's calls."""
    return lambda: MemoryBrowser(memory, only_peers=only_peers)
