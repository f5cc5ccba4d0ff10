"""A server played by hand, and the loop on which a client is tested against it.

`Peer` is a `Connector` whose lines a test holds in its hands: what the client sends is in
`line.sent`, what the server says is `line.say(...)`. For all that follows rules there is the
emulator; this is for what no server would do, and for exact moments.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import antiphon
from antiphon.emulator import run_virtual

__all__ = ["Json", "Line", "Peer", "soon", "virtual"]

P = ParamSpec("P")
T = TypeVar("T")
Json = dict[str, Any]


def virtual(play: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """An asynchronous test on virtual time; it may leave no task and no unhandled error behind."""

    @wraps(play)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        async def main() -> None:
            failures: list[dict[str, Any]] = []
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: failures.append(context))
            await play(*args, **kwargs)
            for _ in range(3):
                await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks left behind: {left}"
            assert failures == []

        run_virtual(main(), limit_s=7200.0)

    return test


async def soon(what: Awaitable[T], within: float = 120.0) -> T:
    """Await it, but not for ever."""
    async with asyncio.timeout(within):
        return await what


class Line:
    """One connection, seen from the server."""

    def __init__(
        self, url: str, headers: Mapping[str, str], handler: antiphon.FrameHandler
    ) -> None:
        self.url = url
        self.headers = dict(headers)
        self.sent: list[Json] = []
        self.closed: tuple[int, str] | None = None
        self.waiting_bytes = 0
        self.over = False
        self._handler = handler
        self._made = 0

    # The transport that the client holds

    def send_text(self, *messages: bytes) -> None:
        self.sent.extend(json.loads(message) for message in messages)

    def pending_bytes(self) -> int:
        return self.waiting_bytes

    async def drain(self) -> None:
        while self.waiting_bytes and not self.over:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self.closed is None:
            self.closed = (code, reason)
            asyncio.get_running_loop().call_soon(self.lose, code, reason)

    # The server's hand

    def say(self, *events: Json) -> None:
        """Send events, one after the other."""
        for event in events:
            self.frame(json.dumps(event).encode())

    def frame(self, data: bytes, is_text: bool = True) -> None:
        """Send any bytes."""
        if not self.over:
            self._handler.frame_received(data, is_text)

    def lose(self, code: int | None = None, reason: str = "") -> None:
        """End the connection; without a code, as a network does."""
        if not self.over:
            self.over = True
            self._handler.connection_lost(code, reason)

    def of(self, kind: str) -> list[Json]:
        """What the client sent of one type."""
        return [event for event in self.sent if event["type"] == kind]

    def hello(self, **session: Any) -> None:
        self.say({"type": "session.created", "session": {"type": "realtime", **session}})

    def created(self, create: Json | None = None, id: str = "", lane: str | None = "conv") -> str:
        """Name the response that `create` asked for, or one of the server's own."""
        self._made += 1
        id = id or f"resp_{self._made}"
        metadata = create["response"]["metadata"] if create is not None else None
        response = {"id": id, "status": "in_progress", "metadata": metadata}
        self.say({"type": "response.created", "response": {**response, "conversation_id": lane}})
        return id

    def text(self, id: str, delta: str) -> None:
        self.say({"type": "response.output_text.delta", "response_id": id, "delta": delta})

    def done(self, id: str, status: str = "completed", **fields: Any) -> None:
        self.say({"type": "response.done", "response": {"id": id, "status": status, **fields}})


class Peer:
    """A `Connector` for a server played by hand.

    Args:
        greets: whether each line begins with `session.created`.
        refusals: what the first attempts raise instead of connecting; None lets one through.
    """

    def __init__(
        self, *, greets: bool = True, refusals: list[Exception | None] | None = None
    ) -> None:
        self.lines: list[Line] = []
        self.attempts = 0
        self.greets = greets
        self.refusals = refusals or []
        self.arrived = asyncio.Event()

    async def __call__(
        self, url: str, headers: Mapping[str, str], handler: antiphon.FrameHandler
    ) -> antiphon.Transport:
        self.attempts += 1
        await asyncio.sleep(0)
        refusal = self.refusals.pop(0) if self.refusals else None
        if refusal is not None:
            raise refusal
        line = Line(url, headers, handler)
        self.lines.append(line)
        self.arrived.set()
        self.arrived = asyncio.Event()
        if self.greets:
            asyncio.get_running_loop().call_soon(line.hello)
        return line

    @property
    def line(self) -> Line:
        """The latest connection."""
        return self.lines[-1]

    async def connect(self, **settings: Any) -> antiphon.Session:
        """A session with this server."""
        settings.setdefault("reconnect", antiphon.ReconnectPolicy(attempts=0))
        return await antiphon.connect(url="ws://localhost/v1/realtime", connector=self, **settings)
