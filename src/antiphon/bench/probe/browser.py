"""A browser for a call, by aiortc: a microphone, an ear, and a data channel nobody reads.

Only imported where there is aiortc (the extra `webrtc`).
"""

import asyncio
import contextlib
from array import array

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from antiphon.bench.probe.peer import NoMedia
from antiphon.emulator.running.webrtc import OutputTrack, only_on

__all__ = ["Browser"]

# Of 32767: what a codec makes of silence is softer, what anybody says is louder.
_LOUD = 200
_CLOSED_S = 5.0


class Browser:
    """One page with one call. As `Peer`.

    Args:
        host: the interface for its media; None: every one but the loopback's.
    """

    def __init__(self, host: str | None) -> None:
        self._host = host
        # No STUN server: the answer's own candidates are public (P-334), and nobody else is asked.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._microphone = OutputTrack()
        self._heard_ms = 0.0
        self._hears, self._changed = asyncio.Event(), asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._connection.addTrack(self._microphone)
        self._connection.createDataChannel("oai-events")  # P-335
        self._connection.on("track", self._track_added)
        self._connection.on("connectionstatechange", self._changed.set)

    async def offer(self) -> bytes:
        """As of `Peer`."""
        with only_on(self._host):
            await self._connection.setLocalDescription(await self._connection.createOffer())
        return self._connection.localDescription.sdp.encode()

    async def answered(self, answer: bytes, patience: float) -> None:
        """As of `Peer`."""
        try:
            told = RTCSessionDescription(answer.decode("utf-8", "replace"), "answer")
            await self._connection.setRemoteDescription(told)
        except Exception as error:  # aiortc raises whatever its parser meets
            raise NoMedia(f"its SDP answer is not understood ({type(error).__name__})") from error
        try:
            async with asyncio.timeout(patience):
                while self._connection.connectionState not in ("connected", "failed", "closed"):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise NoMedia(f"nobody answers at its candidates within {patience:.0f} s") from None
        if self._connection.connectionState != "connected":
            raise NoMedia("nobody answers at its candidates")

    def speak(self, pcm: bytes) -> None:
        """As of `Peer`."""
        self._microphone.play(pcm)

    async def heard_ms(self, patience: float) -> float:
        """As of `Peer`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._hears.wait()
        return self._heard_ms

    async def leave(self) -> None:
        """As of `Peer`."""
        self._microphone.stop()
        if self._listening is not None:
            self._listening.cancel()
        closing = asyncio.ensure_future(self._connection.close())
        await asyncio.wait([closing], timeout=_CLOSED_S)

    def _track_added(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio" and self._listening is None:
            self._listening = asyncio.ensure_future(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame), "an audio track brings audio"
            loudest = max(map(abs, array("h", bytes(frame.planes[0]))), default=0)
            if loudest >= _LOUD:
                self._heard_ms += 1000 * frame.samples / frame.sample_rate
                self._hears.set()
