"""Plays responses one after the other, and knows what was heard of each."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from antiphon.audio.sinks import Sink
from antiphon.client.arguments import an_int
from antiphon.client.handle import ResponseHandle
from antiphon.client.session import Session
from antiphon.exceptions import LocalProtocolError, RealtimeError
from antiphon.protocol.playout import PlayoutInput
from antiphon.protocol.response import Lane

__all__ = ["Player"]

logger = logging.getLogger("antiphon.audio")


class _Track:
    """One response that is played, or waits its turn."""

    def __init__(self, handle: ResponseHandle, sink: Sink) -> None:
        self.handle = handle
        self._sink = sink
        self.taken_bytes = 0
        self.stopped = False

    @property
    def heard_ms(self) -> int:
        """How much of it was heard, in whole ms; never more than was."""
        if not self.taken_bytes:
            return 0
        taken_ms = self.taken_bytes * 500 / self._sink.sample_rate
        return max(0, int(taken_ms - self._sink.waiting_ms()))

    def stop(self) -> int:
        """Fall silent, and say how much was heard."""
        heard_ms = self.heard_ms
        if self.taken_bytes:
            self._sink.stop()
        self.stopped = True
        return heard_ms


class Player:
    """Plays what a session says: each response to its end, in the order in which they were made.

    `interrupt()`, `cancel()` and, where the server's turn detection interrupts, the user's voice
    stop it at once: not one block more is handed to the sink (I10). What was not heard is taken
    out of the conversation (P-197), without a line of yours. `await handle.played()` waits for the
    last word, and `handle.heard_ms` says how much was heard.

        async with Player(session, CallbackSink(speaker.write)):
            ...

    Args:
        session: whose responses.
        sink: where to play them: `CallbackSink`, `WriterSink`, `WavSink`, `SoundCardSpeaker`, or
            one of your own.
        follow: play every response of the default conversation, as it comes. False plays only
            what is given to `play`.
        block_ms: how much is handed to the sink at a time, in ms.

    Raises:
        LocalProtocolError: `block_ms` is no whole number of ms, 1 or more.
    """

    def __init__(
        self, session: Session, sink: Sink, *, follow: bool = True, block_ms: int = 20
    ) -> None:
        an_int("block_ms", block_ms, 1)
        self._session = session
        self._sink = sink
        self._follow = follow
        self._block_bytes = 2 * (sink.sample_rate * block_ms // 1000)
        self._tracks: deque[_Track] = deque()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._remove: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        if self._follow:
            self._remove = self._session.on("opened", self._opened)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Fall silent at once. What was not heard is taken out of the conversation."""
        if self._remove is not None:
            self._remove()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        for track in self._tracks:
            self._give_up(track)
        self._tracks.clear()

    def play(self, handle: ResponseHandle) -> None:
        """Play this one after those that were given before. It reads `handle.audio`.

        From here on it is in flight until it was heard to its end: `interrupt()` means it, too.

        Raises:
            LocalProtocolError: it is of another session, or the player was not entered.
        """
        if self._task is None:
            raise LocalProtocolError("the player is not running; enter it with `async with`")
        track = _Track(handle, self._sink)
        self._session._shell.play(handle, track.stop)
        self._tracks.append(track)
        self._more.set()

    def _opened(self, handle: ResponseHandle) -> None:
        if handle.lane is Lane.DEFAULT:
            self.play(handle)

    async def _run(self) -> None:
        while True:
            while not self._tracks:
                self._more.clear()
                await self._more.wait()
            track = self._tracks[0]
            try:
                await self._play_one(track)
            except Exception:
                # A sink may be the user's own. What comes after this one is played all the same.
                logger.exception("the sink failed")
                self._give_up(track)
            self._tracks.popleft()
            if not track.stopped:
                ended = PlayoutInput.STOPPED if track.taken_bytes else PlayoutInput.UNHEARD
                self._say(track, ended, track.heard_ms)

    async def _play_one(self, track: _Track) -> None:
        rest = b""
        # A response that failed or was lost says so by its outcome; what came of it is played.
        with contextlib.suppress(RealtimeError):
            async for pcm in track.handle.pcm(self._sink.sample_rate):
                rest += pcm
                while len(rest) >= self._block_bytes and not track.stopped:
                    block, rest = rest[: self._block_bytes], rest[self._block_bytes :]
                    await self._give(track, block)
                if track.stopped:
                    return
        if rest and not track.stopped:
            await self._give(track, rest)

    async def _give(self, track: _Track, block: bytes) -> None:
        if not track.taken_bytes:
            self._say(track, PlayoutInput.STARTED)
        track.taken_bytes += len(block)
        await self._sink.play(block)

    def _give_up(self, track: _Track) -> None:
        if not track.stopped:
            self._say(track, PlayoutInput.CLEARED, track.stop())

    def _say(self, track: _Track, fired: PlayoutInput, heard_ms: int | None = None) -> None:
        self._session._shell.heard(track.handle._response, fired, heard_ms)
