"""The scene that `antiphon demo` plays, with any Realtime server.

A caller asks something; the server answers of its own accord. Beside that reply two more responses
speak out of band. A bare cancel is tried, then `interrupt()`, and at once the next reply is asked
for. Everything here is the public API, as a program of the user's would call it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import antiphon
from antiphon.cli.demo.claims import Seen
from antiphon.cli.demo.files import RATE
from antiphon.cli.demo.observer import BYTES_PER_S, Observer, Track
from antiphon.emulator import Pace, Script, say
from antiphon.emulator.scripts.script import Answer
from antiphon.wire.client_events import ResponseCancel

__all__ = ["CONFIG", "Scene", "SceneBroke", "script"]

T = TypeVar("T")

_PIECE_MS = 40
_PATIENCE_S = 20.0
_ENOUGH_S = 5.0
_AUDIO = {"type": "audio/pcm", "rate": RATE}

CONFIG: dict[str, Any] = {
    "type": "realtime",
    "instructions": "You answer the telephone of a bicycle shop. Invent what you do not know, "
    "and tell it at length: speak for a whole minute.",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": _AUDIO,
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500},
        },
        "output": {"format": _AUDIO},
    },
}
"""What the session is told; it would suit any server."""

_INTERPRET = (
    "You interpret for a colleague. Say what the caller asked in other words, then explain each "
    "word of it slowly, with examples. Speak for a whole minute."
)
_COACH = (
    "You coach the person on the telephone. Say in English what a good answer to the caller would "
    "be, with three variants and reasons. Speak for a whole minute."
)
_GO_ON = "Say only: Of course. What else can I do for you?"

_REPLY = (
    "Good morning! Your bicycle left our workshop on Thursday, after we had fitted the lights and "
    "the larger basket that you asked for. It is now with the carrier, who has told us that the "
    "parcel is on the road and will reach you on Tuesday before noon. If nobody is at home the "
    "driver leaves it with a neighbour and puts a card into your letter box. I can also send "
    "it to a shop nearby, where it waits for you for a week. Which of these would you like?"
)
_INTERPRETED = (
    "The caller wants to know where something is, and when it comes. Where asks for a place. The "
    "bicycle is the thing, ordered means that it was asked for and paid, and last week is the "
    "time, about seven days ago. The tone is polite and a little worried. One would translate it "
    "with the most usual word for ordering, not with the one for giving commands."
)
_ADVICE = (
    "A good answer names the day and the place first, and only then the choices. First variant: it "
    "is on the road and comes on Tuesday. Second variant: it is on the road, shall I have it "
    "left with a neighbour? Third variant: apologise for the wait, then the day. The first is the "
    "shortest, and what the caller wanted to know stands at its beginning."
)


def script(speed: float) -> Script:
    """What the embedded server answers in this scene.

    Args:
        speed: how many times faster than real time the scene is played.
    """

    def spoken(words: str, pace: float) -> Answer:
        # Audio comes faster than it plays, as from the real server (P-65). There is enough of it
        # for 20 s and more at any speed: on a slow machine, too, nothing ends by itself.
        return say(words, ms=round(40_000 * speed)).paced(
            Pace(first_output_ms=120 / speed, speed=pace * speed, text_interval_ms=0)
        )

    return Script(
        [
            spoken(_REPLY, 2.0).when(automatic=True),
            spoken(_INTERPRETED, 1.6).when(contains="interpret"),
            spoken(_ADVICE, 1.3).when(contains="coach"),
            say("Of course. What else can I do for you?").paced(Pace(speed=1.5 * speed)),
        ]
    )


class SceneBroke(Exception):
    """The scene could not go on; the message says why."""


class Scene:
    """One run of the scene.

    Args:
        session: connected, and configured with `CONFIG`.
        observer: watches it.
        announce: is told, in words, what happens next.
        speed: how many times faster than real time it is played.
        seen: where notes for the claims are left.
    """

    def __init__(
        self,
        session: antiphon.Session,
        observer: Observer,
        announce: Callable[[str], None],
        *,
        speed: float,
        seen: Seen,
    ) -> None:
        self._session = session
        self._observer = observer
        self._announce = announce
        self._speed = speed
        self._seen = seen

    async def play(self, spoken: bytes) -> None:
        """Play it.

        Args:
            spoken: the caller's question, PCM16 at 24 kHz.

        Raises:
            SceneBroke: the server did not do its part.
        """
        acts = asyncio.ensure_future(self._acts(spoken))
        closed = asyncio.ensure_future(_result(self._session.closed))
        try:
            await asyncio.wait({acts, closed}, return_when=asyncio.FIRST_COMPLETED)
            if not acts.done():
                raise SceneBroke(str(await closed))
            await acts
        except antiphon.RealtimeError as error:  # a RequestTimeout, too, which says more
            raise SceneBroke(f"{type(error).__name__}: {error}") from error
        except TimeoutError:
            raise SceneBroke(f"the server was silent for {_PATIENCE_S:g} s") from None
        finally:
            acts.cancel()
            closed.cancel()
            await asyncio.gather(acts, closed, return_exceptions=True)

    async def _acts(self, spoken: bytes) -> None:
        async with self._microphone(spoken):
            reply = await self._hear_reply()
            await self._run_beside(reply)
            await self._try_bare_cancel()
            await self._interrupt_and_go_on()

    # --- acts -----------------------------------------------------------------------------------

    async def _hear_reply(self) -> Track:
        self._announce("A caller asks a question; the server hears when it ends, and answers.")
        arrived: asyncio.Future[antiphon.ResponseHandle] = (
            asyncio.get_running_loop().create_future()
        )

        def answer(handle: antiphon.ResponseHandle) -> None:
            if not arrived.done():
                arrived.set_result(handle)

        remove = self._session.on("response", answer)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                handle = await arrived
        finally:
            remove()
        self._seen.reply = self._observer.follow(handle, "reply")
        return self._seen.reply

    async def _run_beside(self, reply: Track) -> None:
        self._announce("Two more responses begin beside it, out of band.")
        beside = [
            self._observer.follow(
                self._session.create_response(
                    instructions=instructions, conversation="none", purpose=label
                ),
                label,
            )
            for label, instructions in (("interpreter", _INTERPRET), ("coach", _COACH))
        ]
        running = [reply, *beside]
        for track in beside:
            await track.handle.created
        async with asyncio.timeout(_PATIENCE_S):
            await self._observer.until(
                lambda: all(
                    len(track.heard) > BYTES_PER_S // 5 or _is_over(track) for track in running
                )
            )
        if not any(map(_is_over, running)):
            await self._pause(2.0)
        self._seen.running = [track for track in running if not _is_over(track)]
        if len(self._seen.running) < len(running):
            over = ", ".join(track.label for track in running if _is_over(track))
            raise SceneBroke(
                f"{over} ended too early: this "
                "server does not run responses side by side, or its answers are too short"
            )

    async def _try_bare_cancel(self) -> None:
        self._announce("A bare cancel, without an id, as most clients send it: what does it stop?")
        running, errors = self._seen.running, len(self._observer.error_codes)
        self._session.send_raw(ResponseCancel(event_id="bare_cancel"))
        # First what comes of it, an error or an end; then whoever it missed goes on speaking.
        await self._hear_until(
            lambda: any(map(_is_over, running)) or len(self._observer.error_codes) > errors
        )
        before = {track.label: len(track.heard) for track in running}
        await self._pause(2.5)
        await self._hear_until(
            lambda: all(
                len(track.heard) > before[track.label] or _is_over(track) for track in running
            )
        )
        for track in self._seen.running:
            self._seen.grown[track.label] = len(track.heard) - before[track.label]
        over = [track.label for track in self._seen.running if _is_over(track)]
        speaking = [track.label for track in self._seen.running if not _is_over(track)]
        self._observer.note(
            f"after the bare cancel: over: {', '.join(over) or 'none'}; "
            f"still speaking: {', '.join(speaking) or 'none'}"
        )
        if not speaking:
            raise SceneBroke(
                "the answers were over before they could be interrupted; "
                "this model speaks too briefly, or too fast, for this scene"
            )

    async def _interrupt_and_go_on(self) -> None:
        self._announce("interrupt(): each response in flight, by its id. At once, the next reply.")
        seen = self._seen
        seen.interrupted = [track for track in seen.running if not _is_over(track)]
        for track in seen.interrupted:
            track.heard_at_interrupt = len(track.heard)

        interrupted = self._session.interrupt()
        fresh = self._session.create_response(instructions=_GO_ON, purpose="next reply")

        seen.fresh = self._observer.follow(fresh, "next reply")
        seen.receipt = await interrupted
        self._observer.note(f"receipt: {len(seen.receipt.cancelled)} cancelled")
        async with asyncio.timeout(_PATIENCE_S):
            outcome = await fresh.done
            if seen.fresh.hearing is not None:
                await seen.fresh.hearing
        self._observer.note(f"next reply: {outcome}")

    # --- help -----------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _microphone(self, spoken: bytes) -> AsyncIterator[None]:
        """A microphone that is never switched off: the question, then silence."""
        sending = asyncio.get_running_loop().create_task(self._send_audio(spoken))
        try:
            yield
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _send_audio(self, spoken: bytes) -> None:
        loop = asyncio.get_running_loop()
        size = BYTES_PER_S * _PIECE_MS // 1000
        due = loop.time()
        at = 0
        while True:
            piece = spoken[at : at + size]
            at += size
            self._session.append_audio(piece + bytes(size - len(piece)))
            due += _PIECE_MS / 1000 / self._speed
            await asyncio.sleep(due - loop.time())

    async def _hear_until(self, condition: Callable[[], bool]) -> None:
        """Go on listening until it holds, or for long enough to say that it does not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENOUGH_S):
                await self._observer.until(condition)

    async def _pause(self, seconds: float) -> None:
        """Let the scene be watched."""
        await asyncio.sleep(seconds / self._speed)


def _is_over(track: Track) -> bool:
    return track.handle.audio.ended


async def _result(awaited: Awaitable[T]) -> T:
    return await awaited
