"""Real media for calls, by aiortc: a browser's microphone comes in, and it hears what plays.

The gateway of a call still decides on the engine's clock what plays and what is dropped; here its
sound becomes a track, and the browser's data channel becomes a line of the call.
"""

import asyncio
import contextvars
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import aioice.ice
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler

from antiphon.emulator.engine.call import CallState
from antiphon.emulator.engine.effects import Abort, CloseConnection, SendFrame, ServerEffect
from antiphon.emulator.engine.lines import LineKind
from antiphon.emulator.running.emulated_call import CallLine, EmulatedCall
from antiphon.emulator.shapes.errors import Refusal

__all__ = ["OutputTrack", "Peers", "only_on"]

RATE = 24_000
FRAME_MS = 20
FRAME_BYTES = RATE * 2 * FRAME_MS // 1000
_TIME_BASE = Fraction(1, RATE)

# aioice offers every address of the machine and never the loopback interface; it has no setting for
# that. Its function is replaced by one that does the same unless a host was named, for the task
# that gathers only: other users of aioice in this process see no difference.
_host: contextvars.ContextVar[str | None] = contextvars.ContextVar("_host", default=None)
_every_address = aioice.ice.get_host_addresses


def _addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    host = _host.get()
    if host is None:
        return _every_address(use_ipv4, use_ipv6)
    return [host] if (use_ipv6 if ":" in host else use_ipv4) else []


aioice.ice.get_host_addresses = _addresses


@contextmanager
def only_on(host: str | None) -> Iterator[None]:
    """Within this, candidates are gathered on this address only; None: on all but loopback."""
    token = _host.set(host)
    try:
        yield
    finally:
        _host.reset(token)


class OutputTrack(MediaStreamTrack):
    """What the media peer hears: what was given to `play`, then silence, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sound = bytearray()
        self._began: float | None = None
        self._frames = 0

    def play(self, data: bytes) -> None:
        """Play this after what waits already."""
        self._sound += data

    def hush(self) -> None:
        """Forget what waits."""
        self._sound.clear()

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when it is time for them."""
        if self.readyState != "live":
            raise MediaStreamError
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        due = self._began + self._frames * FRAME_MS / 1000
        if due > now:
            await asyncio.sleep(due - now)
        data = bytes(self._sound[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0")
        del self._sound[:FRAME_BYTES]
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_BYTES // 2)
        frame.planes[0].update(data)
        frame.sample_rate = RATE
        frame.time_base = _TIME_BASE
        frame.pts = self._frames * (FRAME_BYTES // 2)
        self._frames += 1
        return frame


class _Peer:
    """The media of one call."""

    def __init__(self, call: EmulatedCall, peers: "Peers") -> None:
        self._call = call
        self._peers = peers
        self._track = OutputTrack()
        self._listening: asyncio.Task[None] | None = None
        # No STUN server: nothing is asked of anybody.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("datachannel", self._channel_opened)
        self._connection.on("track", self._track_added)
        self._connection.on("connectionstatechange", self._state_changed)

    async def answer(self, offer: str, host: str | None) -> str:
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            self._connection.addTrack(self._track)
            with only_on(host):
                await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:
            # aiortc raises whatever its parser meets; what the offer holds must not get further.
            await self._connection.close()
            why = f"Failed to parse the SDP offer ({type(error).__name__})."
            raise Refusal("invalid_offer", why, "sdp") from error
        return str(self._connection.localDescription.sdp)

    # As `Media`

    def play(self, data: bytes) -> None:
        self._track.play(data)

    def hush(self) -> None:
        self._track.hush()

    def close(self) -> None:
        self._track.stop()
        if self._listening is not None:
            # Where no media ever came, the track would wait for ever.
            self._listening.cancel()
        self._peers.close(self._connection)

    # From the browser

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("closed", "failed"):
            self._call.hang_up()

    def _track_added(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            self._listening = self._peers.run(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, AudioFrame), "an audio track brings audio"
            for part in resampler.resample(frame):
                self._call.hear(bytes(part.planes[0])[: part.samples * 2])

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        line = CallLine(self._call, LineKind.DATA_CHANNEL)
        loop = asyncio.get_running_loop()

        def apply(effects: list[ServerEffect]) -> None:
            for effect in effects:
                match effect:
                    case SendFrame(data) if channel.readyState == "open":
                        channel.send(data.decode())
                    case CloseConnection() | Abort() if self._call.state is CallState.UP:
                        channel.close()  # a fault; at the end of the call all of it is closed

        def received(message: str | bytes) -> None:
            is_text = isinstance(message, str)
            line.receive(message, loop.time(), is_text=is_text)

        channel.on("message", received)
        channel.on("close", lambda: line.lost(loop.time()))
        line.deliver_to(apply)
        line.connect(loop.time())


class Peers:
    """The media of all calls of a server.

    Args:
        host: where candidates are gathered.
    """

    def __init__(self, host: str | None) -> None:
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, call: EmulatedCall, offer: str) -> str:
        """Answer an offer: the call has sound from then on.

        Raises:
            Refusal: it is no offer that can be answered.
        """
        peer = _Peer(call, self)
        answer = await peer.answer(offer, self._host)
        call.media = peer
        return answer

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something done that `stop` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self, connection: RTCPeerConnection) -> None:
        """Close a connection; `stop` waits for that."""
        _ = self.run(connection.close())

    async def stop(self) -> None:
        """Wait until every peer is closed; the calls have ended before."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
