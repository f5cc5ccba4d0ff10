"""The far end of the framework's console: a microphone and a loudspeaker over TCP.

It stands in for the `lk` command: `python -m livekit.agents console agent.py --connect-addr` dials
it and sends what the agent says, as 48 kHz PCM16 in protobuf messages of known length.
"""

import asyncio
import struct
from typing import Any

from livekit.protocol.agent_pb.agent_session import AgentSessionMessage

__all__ = ["Console"]

_RATE = 48000


class Console:
    """Listens for one agent. What is played takes its time, as with a loudspeaker.

    Attributes:
        heard: all audio that the agent sent, PCM16 at 48 kHz.
        played: how much of it was played, in seconds, per utterance.
        cleared: how often the agent took back what was not played yet.
    """

    def __init__(self) -> None:
        self.heard = bytearray()
        self.played: list[float] = []
        self.cleared = 0
        self.connected = asyncio.Event()
        self.speaking = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._utterance = 0.0
        self._began = 0.0
        self._finish: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Console":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        if self._finish is not None:
            self._finish.cancel()
        if self._writer is not None:
            self._writer.close()
        self._server.close()

    @property
    def address(self) -> str:
        assert self._server is not None
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def say(self, pcm: bytes, *, faster: float = 1.0) -> None:
        """Speak PCM16 at 24 kHz into the microphone, in real time or faster."""
        wide = b"".join(pcm[at : at + 2] * 2 for at in range(0, len(pcm), 2))
        size = _RATE // 100 * 2
        for at in range(0, len(wide), size):
            piece = wide[at : at + size]
            frame = AgentSessionMessage.ConsoleIO.AudioFrame(
                data=piece,
                sample_rate=_RATE,
                num_channels=1,
                samples_per_channel=len(piece) // 2,
            )
            self._send(AgentSessionMessage(audio_input=frame))
            await asyncio.sleep(0.01 / faster)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.connected.set()
        try:
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                message = AgentSessionMessage()
                message.ParseFromString(await reader.readexactly(length))
                self._take(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass

    def _take(self, message: Any) -> None:
        now = asyncio.get_running_loop().time()
        kind = message.WhichOneof("message")
        if kind == "audio_output":
            if not self._utterance:
                self._began = now
            self.heard += message.audio_output.data
            self._utterance += len(message.audio_output.data) / 2 / _RATE
            self.speaking.set()
        elif kind == "audio_playback_flush" and self._utterance:
            left = max(0.0, self._began + self._utterance - now)
            self._finish = asyncio.create_task(self._play_out(left, self._utterance))
        elif kind == "audio_playback_clear":
            self.cleared += 1
            if self._finish is not None:
                self._finish.cancel()
            self._end(min(self._utterance, now - self._began))

    async def _play_out(self, left: float, whole: float) -> None:
        await asyncio.sleep(left)
        self._end(whole)

    def _end(self, played: float) -> None:
        if self._utterance:
            self._utterance = 0.0
            self.speaking.clear()
            self.played.append(played)
            finished = AgentSessionMessage.ConsoleIO.AudioPlaybackFinished()
            self._send(AgentSessionMessage(audio_playback_finished=finished))

    def _send(self, message: Any) -> None:
        assert self._writer is not None, "no agent has connected"
        data = message.SerializeToString()
        self._writer.write(struct.pack(">I", len(data)) + data)
