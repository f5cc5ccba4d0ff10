"""One session with the server under the probe: every frame with its time, fences, and waiting.

What decides is order, not time. The server answers one channel in order, so what a harmless
`session.update` gets tells that everything sent before it has been read: a *fence*. What had not
come by then was not an answer to what went before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from antiphon.bench.probe.dialling import Dial, Wire
from antiphon.bench.probe.names import Json, ga_name, is_output, json_object, response_id_of
from antiphon.exceptions import ConnectError

__all__ = ["Frame", "NoFence", "Run", "Talk", "connected"]

# What may serve as a fence, in the order in which it is tried.
_FENCES: tuple[tuple[Json, str], ...] = (
    ({"type": "session.update", "session": {"type": "realtime"}}, "session.updated"),
    ({"type": "session.update", "session": {}}, "session.updated"),
    ({"type": "input_audio_buffer.clear"}, "input_audio_buffer.cleared"),
)
# A server that floods is cut off: nothing here needs more.
_MOST_FRAMES = 60_000


class NoFence(Exception):
    """The server answers nothing that could serve as a fence."""


@dataclass(slots=True, eq=False)
class Frame:
    """One frame, sent or received.

    Args:
        at: seconds on the loop's clock.
        sent: whether it is ours.
        event: parsed, or None if it is no JSON object.
        raw: as it came; kept only if it is no JSON object.
        note: a remark of the probe's own, in place of a frame.
    """

    at: float
    sent: bool
    event: Json | None
    raw: bytes = b""
    note: str = ""
    place: int = 0

    @property
    def kind(self) -> str:
        """The event's type, by its GA name."""
        return ga_name(self.event.get("type")) if self.event is not None else ""

    @property
    def body(self) -> Json:
        """The event, or nothing."""
        return self.event or {}

    @property
    def error(self) -> Json:
        """The error in it, or nothing."""
        found = self.body.get("error")
        return found if isinstance(found, dict) else {}

    @property
    def item(self) -> Json:
        """The item in it, or nothing."""
        found = self.body.get("item")
        return found if isinstance(found, dict) else {}

    @property
    def code(self) -> str:
        """Of an error: its code or, where there is none, its type."""
        return str(self.error.get("code") or self.error.get("type") or "")


@dataclass(slots=True, eq=False)
class Run:
    """One response."""

    id: str
    created: Frame
    frames: list[Frame] = field(default_factory=list)
    done: Frame | None = None

    @property
    def resource(self) -> Json:
        """What `response.done` shows, or `response.created` so far."""
        found = (self.done or self.created).body.get("response")
        return found if isinstance(found, dict) else {}

    @property
    def status(self) -> str:
        """The final status, "" while it runs."""
        return str(self.resource.get("status")) if self.done is not None else ""

    @property
    def cancelled(self) -> bool:
        """Whether it ended by a cancel."""
        return self.status == "cancelled"

    @property
    def outputs(self) -> list[Frame]:
        """Its deltas."""
        return [frame for frame in self.frames if is_output(frame.kind)]

    @property
    def is_beside(self) -> bool | None:
        """Whether it says to be of no conversation; None if it says nothing of it."""
        shown = self.created.body.get("response")
        if not isinstance(shown, dict) or "conversation_id" not in shown:
            return None
        return shown["conversation_id"] is None

    def ran_at(self, frame: Frame) -> bool:
        """Whether it was in progress when this frame came."""
        return self.created.place < frame.place and (
            self.done is None or self.done.place > frame.place
        )


class Talk:
    """A session. Made by `connected`."""

    def __init__(self, patience: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._changed = asyncio.Event()
        self._numbered = 0
        self._fence: tuple[Json, str] | None = None
        self._fences_sent = self._fences_before = 0
        self._answers: dict[str, list[Frame]] = {answer: [] for _, answer in _FENCES}
        self.patience = patience
        self.opened_at = self._loop.time()
        self.frames: list[Frame] = []
        self.runs: dict[str, Run] = {}
        self.closed: tuple[int | None, str] | None = None
        self.flooded = False

    # The socket

    def frame_received(self, data: bytes, is_text: bool) -> None:
        """A message has come."""
        if len(self.frames) >= _MOST_FRAMES:
            self.flooded = True
            self.close()
            return
        event = json_object(data) if is_text else None
        frame = Frame(self._loop.time(), False, event, b"" if event is not None else data[:200])
        self._keep(frame)
        if frame.kind in self._answers:
            self._answers[frame.kind].append(frame)
        if event is not None:
            self._follow(frame, event)
        self._changed.set()

    def connection_lost(self, code: int | None, reason: str) -> None:
        """The connection is over."""
        self.closed = (code, reason)
        self._changed.set()

    def attach(self, wire: Wire) -> None:
        """The handshake is done."""
        self._wire = wire

    def close(self) -> None:
        """End the session."""
        if self._wire is not None and self.closed is None:
            self._wire.close()

    # Sending

    def send(self, *events: Json) -> list[Frame]:
        """Send events in one write, each with an `event_id`; returns them as sent."""
        return self.send_all(events)

    def send_all(self, events: Sequence[Json | bytes]) -> list[Frame]:
        """As `send`, and raw bytes as they are."""
        frames, raw = [], []
        for given in events:
            if isinstance(given, bytes):
                frames.append(self._keep(Frame(self._loop.time(), True, None, given)))
                raw.append(given)
                continue
            self._numbered += 1
            event = {"event_id": f"probe_{self._numbered}", **given}
            if self._fence is not None and event["type"] == self._fence[0]["type"]:
                self._fences_sent += 1
            frames.append(self._keep(Frame(self._loop.time(), True, event)))
            raw.append(msgspec.json.encode(event))
        if self._wire is not None and self.closed is None:
            self._wire.send_text(*raw)
        return frames

    def remark(self, note: str) -> None:
        """Say something between the frames, for who reads the trace."""
        self._keep(Frame(self._loop.time(), False, None, note=note))

    # Fences

    @property
    def fence(self) -> Json:
        """What to send as a fence, in a burst; ask `passed` for its answer."""
        if self._fence is None:
            raise NoFence("nothing harmless is answered, so there is no fence")
        return self._fence[0]

    @property
    def has_fence(self) -> bool:
        """Whether anything harmless is answered at all."""
        return self._fence is not None

    async def find_fence(self) -> None:
        """Try what may serve as a fence."""
        for event, answer in _FENCES:
            mark = len(self.frames)
            self.send(event)
            await self.until(lambda m=mark, a=answer: self.since(m, a, "error"))  # type: ignore[misc]
            if self.since(mark, answer):
                self._fence = (event, answer)
                self._fences_before = len(self._answers[answer])
                self._fences_sent = 0
                return

    def unsent(self) -> None:
        """A `session.update` of ours was refused: no fence's answer is to be expected of it."""
        self._fences_sent -= 1

    async def passed(self, later: int = 0, *, patience: float | None = None) -> Frame | None:
        """Wait for the answer to a fence.

        Args:
            later: how many fences were sent after the one meant; 0 is the last.
            patience: seconds to wait.

        Returns:
            The answer, or None if none came in time.
        """
        if self._fence is None:
            return None
        answers = self._answers[self._fence[1]]
        wanted = self._fences_before + self._fences_sent - later
        await self.until(lambda: len(answers) >= wanted, patience=patience)
        return answers[wanted - 1] if len(answers) >= wanted else None

    # Waiting

    async def until(self, condition: Callable[[], Any], *, patience: float | None = None) -> bool:
        """Wait until something holds, the session is over, or patience ends.

        Returns:
            Whether it holds.
        """
        deadline = self._loop.time() + (self.patience if patience is None else patience)
        while not condition():
            left = deadline - self._loop.time()
            if left <= 0 or self.closed is not None:
                return bool(condition())
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return bool(condition())
        return True

    # What has come

    def since(self, mark: int, *kinds: str) -> list[Frame]:
        """What came from this place on, of these types; without types, all."""
        return [
            frame
            for frame in self.frames[mark:]
            if not frame.sent and not frame.note and (not kinds or frame.kind in kinds)
        ]

    def runs_since(self, mark: int) -> list[Run]:
        """The responses created from this place on, in order."""
        return [run for run in self.runs.values() if run.created.place >= mark]

    @property
    def running(self) -> list[Run]:
        """The responses that are not done."""
        return [run for run in self.runs.values() if run.done is None]

    def _keep(self, frame: Frame) -> Frame:
        frame.place = len(self.frames)
        self.frames.append(frame)
        return frame

    def _follow(self, frame: Frame, event: Json) -> None:
        response_id = response_id_of(event)
        if response_id is None:
            return
        run = self.runs.get(response_id)
        if run is None:
            run = self.runs[response_id] = Run(response_id, frame)
        run.frames.append(frame)
        if frame.kind == "response.done" and run.done is None:
            run.done = frame


async def connected(
    dial: Dial, url: str, headers: Mapping[str, str], *, patience: float, hello: float
) -> Talk:
    """Open a session, and wait for what the server says first.

    Args:
        dial: opens the socket.
        url: where.
        headers: for the handshake.
        patience: seconds to wait for an answer in this session.
        hello: seconds to wait for the first event.

    Raises:
        ConnectError: nobody answers, or the handshake is refused.
    """
    talk = Talk(patience)
    await _dialled(dial(url, headers, talk), talk)
    await talk.until(lambda: talk.since(0), patience=hello)
    return talk


async def _dialled(opening: Awaitable[Wire], talk: Talk) -> None:
    try:
        async with asyncio.timeout(20.0):
            talk.attach(await opening)
    except TimeoutError:
        raise ConnectError("the handshake took more than 20 s") from None
