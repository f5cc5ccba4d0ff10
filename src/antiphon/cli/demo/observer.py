"""What happened in a session, as the demonstration shows and checks it.

It watches from outside, with the session's public listeners and streams, as any program could.
Two counts are kept apart for each response: what the wire carried, and what reached its reader.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import antiphon
from antiphon.wire.client_events import ResponseCancel
from antiphon.wire.server_events import ResponseOutputAudioDelta

__all__ = ["BYTES_PER_S", "Line", "Observer", "Track"]

BYTES_PER_S = 48_000
"""PCM16, mono, 24 kHz: what the session is told to speak."""

# What comes so often that a line for each would hide the rest; it is counted instead.
_UNTOLD = (
    "input_audio_buffer.append",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_text.delta",
)
# What tells the story. The rest of the trace is written down, and not shown.
_TOLD = frozenset(
    {
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "response.create",
        "response.created",
        "response.cancel",
        "response.done",
        "error",
    }
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the trace.

    Attributes:
        at: seconds since the beginning.
        mark: `C>` the client sent it, `S<` the server did, `=` what came of it, `!` an error.
        text: the event's type and what matters of it; ids in full.
        minor: it is only written down, not shown.
    """

    at: float
    mark: str
    text: str
    minor: bool = False

    def __str__(self) -> str:
        return f"{self.at:7.3f} {self.mark:<2} {self.text}"


@dataclass(slots=True, eq=False)
class Track:
    """One response."""

    label: str
    handle: antiphon.ResponseHandle
    heard: bytearray = field(default_factory=bytearray)
    """The audio that reached the reader."""
    words: str = ""
    """Its transcript, as far as it reached the reader."""
    on_wire: int = 0
    """Bytes of audio that the wire carried."""
    heard_at_interrupt: int | None = None
    """Bytes heard when it was interrupted; None if it was not."""
    hearing: asyncio.Task[None] | None = None
    """Done when the audio has been heard to its end."""

    @property
    def discarded(self) -> int:
        """Bytes that came and reached nobody, because the response had been cancelled."""
        return self.on_wire - len(self.heard) - self.handle.audio.buffered

    @property
    def state(self) -> str:
        """How it stands, or how it ended."""
        outcome = self.handle.outcome
        return str(outcome) if outcome is not None else self.handle.state.replace("_", " ")


class Observer:
    """Watches one session.

    Args:
        session: the session.
        tell: is given each line of the trace as it is written.
    """

    def __init__(self, session: antiphon.Session, tell: Callable[[Line], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._tell = tell
        self._readers: list[asyncio.Task[None]] = []
        self._heard_more = asyncio.Event()
        self.tracks: list[Track] = []
        self.trace: list[Line] = []
        self.microphone = 0
        """Bytes of audio that were sent."""
        self.cancels: list[str | None] = []
        """The id in each `response.cancel` that was sent; None for a bare one."""
        self.error_codes: list[str] = []
        """The code of each error that the server sent."""
        session.on("client_event", self._sent)
        session.on("server_event", self._received)

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self._loop.time() - self._started

    def note(self, text: str, mark: str = "=", *, minor: bool = False) -> None:
        """Write a line into the trace, of one's own by default."""
        line = Line(self.now, mark, text, minor)
        self.trace.append(line)
        if not minor:
            self._tell(line)

    def follow(self, handle: antiphon.ResponseHandle, label: str) -> Track:
        """Listen to a response from now on, under this name."""
        track = Track(label, handle)
        self.tracks.append(track)
        track.hearing = self._loop.create_task(self._hear(track))
        self._readers += [track.hearing, self._loop.create_task(self._read(track))]
        return track

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that audio brings about. The caller bounds it."""
        while not condition():
            self._heard_more.clear()
            await self._heard_more.wait()

    async def close(self) -> None:
        """Stop listening."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    # --- readers --------------------------------------------------------------------------------

    async def _hear(self, track: Track) -> None:
        try:
            async for chunk in track.handle.audio:
                track.heard += chunk
                self._heard_more.set()
        except antiphon.RealtimeError as error:
            self.note(f"{track.label}: {type(error).__name__}: {error}", "!")
        finally:
            self._heard_more.set()

    async def _read(self, track: Track) -> None:
        try:
            async for delta in track.handle.text_stream:
                track.words += delta
        except antiphon.RealtimeError:
            pass  # the same error ends the audio, and is told there

    # --- listeners ------------------------------------------------------------------------------

    def _sent(self, event: Any) -> None:
        if event.type == "input_audio_buffer.append":
            self.microphone += len(event.audio)
        if isinstance(event, ResponseCancel):
            self.cancels.append(event.response_id or None)
        if event.type not in _UNTOLD:
            self.note(self._client_line(event), "C>", minor=event.type not in _TOLD)

    def _received(self, event: Any) -> None:
        if isinstance(event, ResponseOutputAudioDelta):
            track = self._track(event.response_id or None)
            if track is not None:
                track.on_wire += len(event.delta)
        if event.type == "error":
            self.error_codes.append(event.error.code or event.error.type or "error")
        if event.type not in _UNTOLD:
            self.note(self._server_line(event), "S<", minor=event.type not in _TOLD)

    # --- lines ----------------------------------------------------------------------------------

    def _client_line(self, event: Any) -> str:
        match event.type:
            case "response.cancel":
                return f"response.cancel {self._named(event.response_id or None)}"
            case "response.create":
                given = event.response or None
                lane = (given.conversation if given is not None else None) or "auto"
                return f"response.create conversation={lane}"
            case _:
                return str(event.type)

    def _server_line(self, event: Any) -> str:
        match event.type:
            case "response.created":
                return f"response.created {self._named(event.response.id or None)}"
            case "response.done":
                status = event.response.status or "?"
                return f"response.done {self._named(event.response.id or None)} {status}"
            case "error":
                about = f" about {event.error.event_id}" if event.error.event_id else ""
                return f"error {event.error.code or event.error.type or ''}{about}"
            case _:
                return str(event.type)

    def _named(self, response_id: str | None) -> str:
        if response_id is None:
            return "(no id)"
        track = self._track(response_id)
        return f"{response_id} ({track.label})" if track is not None else response_id

    def _track(self, response_id: str | None) -> Track | None:
        known = (track for track in self.tracks if track.handle.id == response_id)
        return next(known, None) if response_id is not None else None
