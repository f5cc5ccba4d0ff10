"""What a caller holds of one response: its streams, its moments, its outcome."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from antiphon.client.arguments import a_bool, a_function, an_int
from antiphon.client.audio import FromFormat, check_rate, format_in
from antiphon.client.listeners import Listening
from antiphon.client.streams import Moment, Stream
from antiphon.exceptions import (
    ConnectionClosed,
    LocalProtocolError,
    RealtimeError,
    RequestTimeout,
    ResponseFailed,
    ResponseRejected,
)
from antiphon.protocol.playout import PlaybackKind
from antiphon.protocol.response import Cause, Lane, Outcome, OutcomeKind, Response
from antiphon.protocol.times import ResponseTimes
from antiphon.wire.items import ErrorInfo, Item, Usage
from antiphon.wire.server_events import ServerEvent

__all__ = ["FunctionCall", "HandleOwner", "ResponseHandle", "StreamLimits"]


# The hint is for servers of which that could not be learned (ADR-0005).
_UNNAMED = (
    "did not name the response (if it does not return metadata, "
    "say so: Options(echoes_metadata=False))"
)


class StreamLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reader may fall behind before its stream overflows.

    Attributes:
        audio_bytes: of decoded audio; the default is about 11 minutes of 24 kHz PCM16.
        text_chars: of text.
        events: of event objects.
    """

    audio_bytes: int = 32 * 1024 * 1024
    text_chars: int = 4 * 1024 * 1024
    events: int = 20_000

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            an_int(name, getattr(self, name), 1)


class FunctionCall(msgspec.Struct, frozen=True):
    """A function that the model asks to be called. Its arguments are complete (I8).

    Attributes:
        call_id: to be given back with the output.
        name: the function's name.
        arguments: a JSON text.
        item_id: the conversation item of the call.
        response_id: the response that made it.
    """

    call_id: str
    name: str
    arguments: str
    item_id: str | None = None
    response_id: str | None = None

    def parsed(self) -> Any:
        """The arguments as Python objects.

        Raises:
            ValueError: the model wrote no valid JSON.
        """
        import json  # here, since many programs have their arguments read by a framework

        return json.loads(self.arguments or "{}")


class HandleOwner(Protocol):
    """What a handle asks of its session."""

    def cancel(self, handles: Iterable["ResponseHandle"], /) -> None:
        """Stop these."""

    def check_loop(self) -> None:
        """Raise `LocalProtocolError` outside of the session's event loop."""

    def output_format(self) -> str:
        """What audio comes in, where a response has no format of its own."""


class ResponseHandle:
    """One response. Made by `Session.create_response`, or by the server's own turn detection.

    Cancelling a task that reads or awaits here never cancels the response; `cancel()` does, and so
    does leaving a block of `async with session.create_response(...) as reply:`.
    """

    __slots__ = (
        "__weakref__",
        "_created",
        "_done",
        "_form",
        "_limits",
        "_owner",
        "_played",
        "_response",
        "_silent",
        "_sound_over",
        "_subscribers",
        "audio",
        "calls",
        "text_stream",
    )

    def __init__(self, owner: HandleOwner, response: Response, limits: StreamLimits) -> None:
        self._owner = owner
        self._response = response
        self._limits = limits
        params = response.params
        # The format of its sound, where its own differs from the session's.
        self._form = format_in({"audio": params.audio}, "output") if params is not None else None
        self._created: Moment[bool] = Moment()
        self._done: Moment[Outcome] = Moment()
        self._played: Moment[PlaybackKind] | None = None
        # Once True nothing of the response reaches anybody any more (I1).
        self._silent = False
        # Whether listeners of "played" have been told.
        self._sound_over = False
        self._subscribers: list[Listening] = []
        self.audio: Stream[bytes] = Stream(limits.audio_bytes)
        """Decoded audio in the session's output format (by default PCM16 LE, mono, 24 kHz)."""
        self.text_stream: Stream[str] = Stream(limits.text_chars)
        """The words as they come: of a text response, or the transcript of a spoken one."""
        self.calls: Stream[FunctionCall] = Stream(limits.events, size=_one)
        """Function calls as they are completed."""

    # --- what is known --------------------------------------------------------------------------

    @property
    def id(self) -> str | None:
        """The server's id; None until the server has named the response."""
        return self._response.id

    @property
    def lane(self) -> Lane:
        """Whether it writes to the default conversation or runs out of band."""
        return self._response.lane

    @property
    def purpose(self) -> str | None:
        """As given to `create_response`."""
        return self._response.purpose

    @property
    def metadata(self) -> dict[str, str]:
        """The caller's metadata, without the key that antiphon adds."""
        return self._response.metadata

    @property
    def from_server(self) -> bool:
        """Whether the server made it of its own accord, as after a user's turn."""
        return self._response.from_server

    @property
    def state(self) -> str:
        """One word for a log or a screen; branch on `outcome`, not on this."""
        return str(self._response.state)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None until that is known."""
        return self._response.outcome

    @property
    def cause(self) -> Cause | None:
        """Why the streams ended; known at once, when the outcome may still be on its way."""
        return self._response.cause

    @property
    def usage(self) -> Usage | None:
        """Tokens used, once it is done and if the server said so."""
        resource = self._response.resource
        return (resource.usage or None) if resource is not None else None

    @property
    def output(self) -> tuple[Item, ...]:
        """The items that it produced, once it is done; without audio."""
        resource = self._response.resource
        return tuple(resource.output or ()) if resource is not None else ()

    @property
    def times(self) -> ResponseTimes:
        """When it was asked for, sent, created, first heard of, cancelled and settled, so far."""
        return self._response.times

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of its items so far, in order."""
        return tuple(self._response.item_ids)

    def __repr__(self) -> str:
        return f"<ResponseHandle {self.id or '(unnamed)'} {self.lane} {self.outcome or self.state}>"

    # --- what can be awaited --------------------------------------------------------------------

    @property
    def created(self) -> Moment[bool]:
        """Whether the server created it; False when it was cancelled before that.

        Awaiting raises `ResponseRejected`, `RequestTimeout` or `ConnectionClosed` when it never
        came to be for that reason.
        """
        return self._created

    @property
    def done(self) -> Moment[Outcome]:
        """How it ended. Never raises and always comes: by the server's word or by a deadline.

        `if handle.done:` asks without waiting, as `outcome` does.
        """
        return self._done

    @property
    def heard_ms(self) -> int | None:
        """How much of it was heard, in ms, once its playback is over; None where nobody can know.

        A player of `antiphon.audio` knows to the millisecond; on a call the server tells, when the
        playback was cut (P-422).
        """
        playout = self._response.playout
        return playout.heard_ms if playout is not None else None

    async def played(self, timeout: float) -> PlaybackKind:  # noqa: ASYNC109 (it returns)
        """Wait until nothing more of it is heard: for "goodbye, then hang up".

        `done` comes seconds earlier, when the last word is generated (P-404). Cancelling the wait
        stops nothing that is heard.

        Args:
            timeout: seconds to wait at most, for a call whose playback nobody ends (P-416).

        Returns:
            What became of its sound; `UNSETTLED` when the time was over first.

        Raises:
            LocalProtocolError: nobody here knows what is heard: this is no call, and no player of
                `antiphon.audio` plays it.
        """
        try:
            async with asyncio.timeout(timeout):
                if self._response.playout is None:
                    await self._done
                playout = self._response.playout
                if playout is None:
                    if self._response.audio_part is None:
                        return PlaybackKind.NONE
                    raise LocalProtocolError(
                        "nobody knows when a reader of `audio` has played it; "
                        "have it played by an antiphon.audio.Player"
                    )
                if playout.kind is not None:
                    return playout.kind
                if self._played is None:
                    self._played = Moment()
                return await self._played
        except TimeoutError:
            return PlaybackKind.UNSETTLED

    async def text(self) -> str:
        """Read `text_stream` to its end. After a cancellation: what was read until then.

        Raises:
            ResponseFailed, ResponseRejected, RequestTimeout, ConnectionClosed: as the stream.
        """
        return "".join([part async for part in self.text_stream])

    def pcm(self, sample_rate: int = 24000) -> AsyncIterator[bytes]:
        """Read `audio` to its end as PCM16 little-endian, mono, at this rate.

        Args:
            sample_rate: Hz; another than the server's needs `antiphon[audio]`. In a G.711
                session the server's is 8000, and the bytes are decoded here.

        Raises:
            LocalProtocolError: no such rate.
            MissingDependency: resampling is not installed.
            ResponseFailed, ResponseRejected, RequestTimeout, ConnectionClosed: as the stream.
        """
        check_rate(sample_rate)
        form = self._form or self._owner.output_format()
        return self._converted(FromFormat(form, sample_rate))

    async def _converted(self, converter: FromFormat) -> AsyncIterator[bytes]:
        async for chunk in self.audio:
            if pcm := converter.process(chunk):
                yield pcm
        if not self._silent and (rest := converter.process(b"", last=True)):
            yield rest

    # --- what can be done -----------------------------------------------------------------------

    def cancel(self) -> Moment[Outcome]:
        """Stop this response, and no other.

        Once this returns the streams have ended: nothing further is delivered, not even what had
        already arrived. The server is told by id, as soon as there is one; and a player, or a call
        where nothing else would be silenced by it, stops playing what is generated already.
        Cancelling twice is harmless. Await the result to learn how it ended on the server, or use
        `Session.interrupt([handle])` for a receipt that says what became of its sound.

        Raises:
            LocalProtocolError: called outside the session's event loop.
        """
        self._owner.cancel([self])
        return self._done

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leaving the block cancels the response, unless it is over; this does not wait."""
        if self.outcome is None:
            _ = self.cancel()

    def subscribe(
        self, callback: Callable[[ServerEvent], object], *, streams: bool = True
    ) -> Callable[[], None]:
        """Have every output event of this response given to `callback`, from now on.

        Called synchronously, in order, and never after the response was cancelled. It must not
        block. Subscribe where the handle is made, or in the `"response"` listener, to miss nothing.

        Args:
            callback: takes one event.
            streams: False switches `audio` and `text_stream` off, to save their memory.

        Returns:
            How to stop that: called, it takes effect at once.

        Raises:
            LocalProtocolError: `callback` cannot be called, or this is not the session's loop.
        """
        self._owner.check_loop()
        a_function("callback", callback)
        if not a_bool("streams", streams):
            self.audio.end(discard=True)
            self.text_stream.end(discard=True)
        subscriber = Listening(callback)
        self._subscribers.append(subscriber)

        def remove() -> None:
            subscriber.active = False
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return remove

    # --- called by the session ------------------------------------------------------------------

    def _open(self) -> None:
        self._created.set(True)

    def _feed(self, event: ServerEvent) -> None:
        """Every delta comes through here."""
        match event.type:
            case "response.output_audio.delta":
                self.audio.push(event.delta)  # type: ignore[attr-defined]
            case "response.output_text.delta" | "response.output_audio_transcript.delta":
                self.text_stream.push(event.delta)  # type: ignore[attr-defined]

    def _publish(self, event: ServerEvent) -> None:
        """To whoever has subscribed by the time it is called."""
        for subscriber in tuple(self._subscribers):
            if subscriber.active and not self._silent:
                subscriber.listener(event)

    def _call(self, item: Item) -> FunctionCall:
        call = FunctionCall(
            call_id=item.call_id or item.id or "",
            name=item.name or "",
            arguments=item.arguments or "",
            item_id=item.id or None,
            response_id=self.id,
        )
        self.calls.push(call)
        return call

    def _end(self) -> None:
        """The reader hears no more, whatever becomes of the response."""
        cause = self._response.cause
        if cause is Cause.CANCELLED:
            self._silence()
            self._created.set(False)
        elif cause in (Cause.TIMED_OUT, Cause.STALLED):
            what = "said nothing more" if cause is Cause.STALLED else _UNNAMED
            error = RequestTimeout(f"the server {what} in time; the response was cancelled")
            self._created.fail(error)
            self._end_streams(error)

    def _settle(self, closed: ConnectionClosed | None) -> None:
        """The outcome is known."""
        outcome = self._response.outcome
        assert outcome is not None, "settled means that there is an outcome"
        if outcome.kind is OutcomeKind.CANCELLED:
            # Also where the server cancelled it (barge-in): what was not read is not to be heard.
            self._silence()
        else:
            self._end_streams(self._error(outcome, closed))
        self._created.set(False)
        self._done.set(outcome)

    def _sound_settled(self) -> None:
        """Nothing more of it is heard."""
        playout = self._response.playout
        if self._played is not None and playout is not None and playout.kind is not None:
            self._played.set(playout.kind)

    def _error(self, outcome: Outcome, closed: ConnectionClosed | None) -> RealtimeError | None:
        match outcome.kind:
            case OutcomeKind.FAILED:
                return ResponseFailed(outcome)
            case OutcomeKind.REJECTED:
                error = _rejection(outcome.error or ErrorInfo())
                self._created.fail(error)
                return error
            case OutcomeKind.LOST if closed is not None:
                self._created.fail(closed)
                return closed
            case _:
                return None

    @property
    def _unread(self) -> bool:
        """Whether a reader has not taken all of its audio."""
        return self.audio.buffered > 0

    def _silence(self) -> None:
        self._silent = True
        self.audio.end(discard=True)
        self.text_stream.end(discard=True)
        self.calls.end(discard=True)

    def _end_streams(self, error: RealtimeError | None) -> None:
        self.audio.end(error)
        self.text_stream.end(error)
        self.calls.end(error)


def _one(_: object) -> int:
    return 1


def _rejection(error: ErrorInfo) -> ResponseRejected:
    return ResponseRejected(
        error.message or error.code or "the server refused the response",
        type=error.type or None,
        code=error.code or None,
        param=error.param or None,
        event_id=error.event_id or None,
    )
