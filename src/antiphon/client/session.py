"""The session: what a user calls. What happens then is `shell.py`'s business."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from antiphon.client.arguments import (
    PLAYBACK_MODES,
    SCOPES,
    a_bool,
    a_choice,
    a_function,
    a_mapping,
    a_name,
    a_text,
    a_time,
    an_instance,
    an_int,
    an_item,
    as_bytes,
    no_scope,
    on_busy_of,
    response_params,
)
from antiphon.client.audio import ToFormat, check_rate, format_in
from antiphon.client.dial import Dial
from antiphon.client.handle import ResponseHandle
from antiphon.client.listeners import Arrivals, Listener, Listening, check_name
from antiphon.client.pending import PendingReceipt, PendingRequest, PendingRequests
from antiphon.client.shell import Shell
from antiphon.client.streams import Moment, Stream
from antiphon.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    LocalProtocolError,
    StreamOverflow,
)
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Effects
from antiphon.protocol.interruption import PlaybackMode, Scope
from antiphon.protocol.playback import TruncatePoint
from antiphon.protocol.requests import Request
from antiphon.protocol.response import Lane
from antiphon.protocol.snapshot import Snapshot
from antiphon.wire.base import UNSET, UnknownEvent
from antiphon.wire.client_events import (
    ClientEvent,
    ConversationItemCreate,
    ResponseCreate,
    SessionUpdate,
)
from antiphon.wire.items import ContentPart, Item
from antiphon.wire.server_events import ServerEvent
from antiphon.wire.session_config import SessionSettings

__all__ = ["Session"]

_CLOSE_TIMEOUT = 2.0

OnBusyName = Literal["queue", "replace", "reject", "send"]


class Session(Shell):
    """A conversation with a Realtime server. Made by `antiphon.connect`.

    Methods that send return at once; what they return may be awaited or left alone. Methods and
    handles belong to the event loop in which the session was made; called from another thread
    they raise `LocalProtocolError`. There, use `loop.call_soon_threadsafe(session.interrupt)`.
    """

    # --- responses ------------------------------------------------------------------------------

    def create_response(
        self,
        *,
        instructions: str | None = None,
        conversation: Literal["auto", "none"] = "auto",
        input: Sequence[Item | Mapping[str, Any]] | None = None,
        output_modalities: Sequence[Literal["audio", "text"]] | None = None,
        voice: str | None = None,
        audio: Mapping[str, Any] | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        parallel_tool_calls: bool | None = None,
        max_output_tokens: int | Literal["inf"] | None = None,
        reasoning: Mapping[str, Any] | None = None,
        prompt: Mapping[str, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        purpose: str | None = None,
        interruptible: bool = True,
        on_busy: OnBusyName = "queue",
        timeout: float | None = None,
    ) -> ResponseHandle:
        """Ask for a response, and return its handle at once.

        What is not given follows the session's configuration (P-111). As `async with
        session.create_response(...) as reply:` it is cancelled where the block is left.

        Args:
            instructions: for this response only.
            conversation: `"none"` runs it out of band, beside whatever else is in flight, and
                leaves the conversation as it is (P-31).
            input: the context, in place of the conversation: items, or
                `{"type": "item_reference", "id": …}`; `[]` is an empty context (P-32).
            output_modalities: `["audio"]` or `["text"]`.
            voice: short for `audio={"output": {"voice": …}}`.
            purpose: a word of your own, for receipts and logs; it is not sent.
            interruptible: False survives `interrupt()`; only the handle's `cancel()` stops it.
            on_busy: what to do while the default conversation is busy with another response
                (P-30): `"queue"` waits for it, `"replace"` cancels it and goes next, `"reject"`
                raises, `"send"` leaves it to the server. Out-of-band responses never wait, unless
                `max_in_flight` says so.
            timeout: seconds within which the server must have named the response, waiting for the
                lane included. Default: the session's `create_timeout` from when it is sent.

        Raises:
            ResponseRejected: the lane is busy and `on_busy="reject"`.
            LocalProtocolError: an argument is out of the protocol's bounds; it is named.
            ConnectionClosed: the session has ended.
        """
        self._check_open()
        if self._transcribes:
            raise LocalProtocolError("a transcription session makes no responses, only turns")
        params = response_params(
            instructions=instructions,
            conversation=conversation,
            input=input,
            output_modalities=output_modalities,
            voice=voice,
            audio=audio,
            tools=tools,
            tool_choice=tool_choice,
            parallel_tool_calls=parallel_tool_calls,
            max_output_tokens=max_output_tokens,
            reasoning=reasoning,
            prompt=prompt,
            metadata=metadata,
        )
        self._check_encodable(ResponseCreate(response=params))
        response, effects = self._connection.create_response(
            params,
            self._loop.time(),
            purpose=None if purpose is None else a_text("purpose", purpose),
            interruptible=a_bool("interruptible", interruptible),
            on_busy=on_busy_of(on_busy),
            timeout=None if timeout is None else a_time("timeout", timeout),
        )
        handle = self._handle_type(self, response, self._limits)
        response.owner = handle
        self._apply(effects)
        return handle

    def interrupt(
        self,
        scope: Scope | ResponseHandle | Iterable[ResponseHandle] = "all",
        *,
        playback: PlaybackMode = "exact",
    ) -> PendingReceipt:
        """Stop everything in flight that is meant: what is generated, and what is still heard.

        It has taken effect when this returns: no stream of what was being generated delivers
        anything any more, and no player in this process is handed another sample. The server is
        told at once, each response by its own id, or for one that it has not named yet, as soon as
        it does. With nothing in flight nothing is sent. Calling it again sends nothing twice.

        A response that the server has completed is in flight as long as it is heard. Its sound is
        dropped: by a player of `antiphon.audio`, which also has the conversation truncated at what
        was heard; by a call, which does both by itself (P-411); and where a program reads
        `handle.audio` on its own, all that it has not read yet. Its text, and its function calls,
        have arrived and stay readable. To drop these as well, name its handle.

        Args:
            scope: `"all"`, `"default"` or `"out_of_band"`, each without the responses created
                with `interruptible=False`; or a handle or several, which are stopped as by
                their `cancel()`.
            playback: a call has one buffer for the sound of all its responses, and clears it as a
                whole (P-408, P-410). `"exact"` clears it only where nothing else would be
                silenced; otherwise the receipt says `kept`. `"always"` clears it all the same,
                `"never"` leaves all finished sound alone. A player in this process stops each
                response by itself, so that there `"always"` is `"exact"`.

        Returns:
            Something that may be awaited for the receipt: what became of each response, of its
            sound, and how much of it was heard.

        Raises:
            LocalProtocolError: no such scope, no such `playback`, or called outside the session's
                event loop.
        """
        self._check_loop()
        if playback not in PLAYBACK_MODES:
            a_choice("playback", playback, PLAYBACK_MODES)
        now = self._loop.time()
        if isinstance(scope, str):
            if scope not in SCOPES:
                raise no_scope(scope)
            if self._unread is not None and playback != "never":
                self._note_unread(self._unread, scope)
            interruption, effects = self._connection.interrupt(scope, now, playback=playback)
        elif isinstance(scope, ResponseHandle):
            interruption, effects = self._cancelling([scope], now, playback)
        elif isinstance(scope, Iterable):
            interruption, effects = self._cancelling(scope, now, playback)
        else:
            raise no_scope(scope)
        receipt = PendingReceipt(interruption)
        if interruption.settled:
            receipt._settle()
        interruption.owner = receipt
        self._apply(effects)
        return receipt

    @property
    def in_flight(self) -> tuple[ResponseHandle, ...]:
        """What is asked for, being generated, or, with a player or on a call, still to be heard.

        `interrupt()` stops these, and drops what readers of `handle.audio` have not read yet.
        """
        generating = [one for one in self._connection.unsettled if one.in_flight]
        heard = [one for one in self._connection.playouts.audible if one.owner is not None]
        return tuple(one.owner for one in dict.fromkeys((*generating, *heard)))

    async def quiet(self, timeout: float) -> bool:  # noqa: ASYNC109 (it returns)
        """Wait until nothing is generated and nothing is heard: for "goodbye, then hang up".

        Cancelling the wait changes nothing.

        Args:
            timeout: seconds to wait at most: on a call nobody may ever say that a playback has
                ended (P-404, P-416).

        Returns:
            Whether it is quiet; False when the time was over first. What a program reads from
            `handle.audio` and plays by itself is not known here, and not waited for.
        """
        try:
            async with asyncio.timeout(timeout):
                while not self._is_quiet():
                    self._quiet = self._quiet or Moment()
                    await self._quiet
        except TimeoutError:
            return False
        return True

    def responses(self) -> Arrivals[ResponseHandle]:
        """Responses that the server makes of its own accord, from now on (server VAD, P-39)."""
        return self._arrivals("response")

    # --- the session and its items --------------------------------------------------------------

    @property
    def config(self) -> dict[str, Any]:
        """The configuration in force, as the server last told it."""
        return self._connection.session

    @property
    def items(self) -> tuple[Item, ...]:
        """The default conversation, in order, as far as it is known here. Without audio."""
        return tuple(self._connection.conversation)

    def item(self, item_id: str) -> Item | None:
        """One item of the default conversation; None where there is none of this id."""
        return self._connection.conversation.get(item_id)

    def update(self, config: SessionSettings) -> PendingRequest[dict[str, Any]]:
        """Change the session's configuration; what is left out stays (P-252).

        Args:
            config: the shape of GA's `session`, e.g. `{"instructions": "…"}`; `SessionConfig`
                names what there is.

        Returns:
            Awaited: the whole configuration in force. It is changed as a whole or not at all
            (P-251), and then raises `RequestError`.
        """
        connection = self._open_connection()
        config = a_mapping("config", config)
        if self._transcribes:
            config = {"type": "transcription", **config}
        self._check_encodable(SessionUpdate(session=config))
        pending = self._ask(connection.update_session(config, self._loop.time()))
        if (form := format_in(config, "input")) is not None:
            self._asked_format = (pending, form)
        return pending

    def create_item(
        self, item: Item | Mapping[str, Any], *, previous_item_id: str | None = None
    ) -> PendingRequest[Item]:
        """Put an item into the conversation.

        Args:
            item: as in the protocol; it gets an id if it has none.
            previous_item_id: the item to insert it after; `"root"` puts it first; None appends.

        Returns:
            Awaited: the item as the server took it. `item_id` is known at once.
        """
        connection = self._open_connection()
        checked = an_item("item", item)
        after = UNSET if previous_item_id is None else a_name("previous_item_id", previous_item_id)
        self._check_encodable(ConversationItemCreate(item=checked))
        return self._ask(connection.create_item(checked, self._loop.time(), previous_item_id=after))

    def send_text(
        self, text: str, *, role: Literal["user", "system", "assistant"] = "user"
    ) -> PendingRequest[Item]:
        """Add a text message to the conversation. It starts no response."""
        a_text("text", text)
        a_choice("role", role, ("user", "system", "assistant"))
        kind = "output_text" if role == "assistant" else "input_text"
        return self.create_item(
            Item(type="message", role=role, content=[ContentPart(type=kind, text=text)])
        )

    def send_image(
        self, image_url: str, *, detail: Literal["auto", "low", "high"] | None = None
    ) -> PendingRequest[Item]:
        """Add an image of the user's, as a `data:` URL. It starts no response."""
        a_name("image_url", image_url)
        if detail is not None:
            a_choice("detail", detail, ("auto", "low", "high"))
        part = ContentPart(type="input_image", image_url=image_url, detail=detail)
        return self.create_item(Item(type="message", role="user", content=[part]))

    def send_function_output(self, call_id: str, output: str) -> PendingRequest[Item]:
        """Answer a function call. It starts no response: call `create_response` after it.

        Args:
            call_id: as the `FunctionCall` has it.
            output: what the function returned, as text; often JSON.
        """
        a_name("call_id", call_id)
        a_text("output", output)
        return self.create_item(Item(type="function_call_output", call_id=call_id, output=output))

    def retrieve_item(self, item_id: str) -> PendingRequest[Item]:
        """Ask for an item as the server has it, its audio included (P-227)."""
        connection = self._open_connection()
        return self._ask(connection.retrieve_item(a_name("item_id", item_id), self._loop.time()))

    def delete_item(self, item_id: str) -> PendingRequest[None]:
        """Remove an item from the conversation."""
        connection = self._open_connection()
        return self._ask(connection.delete_item(a_name("item_id", item_id), self._loop.time()))

    def truncate(self, what: ResponseHandle | str, *, heard_ms: int) -> PendingRequests:
        """Tell the server how much of a spoken reply was heard, so that it forgets the rest.

        On a WebSocket the server does not know (P-197). What was heard to its end is left alone
        (P-222), and never more is asked for than was delivered (P-220), so this may send nothing.

        Args:
            what: the response, or the id of one item of it.
            heard_ms: how much was played, in ms, from the start of the response or item.

        Returns:
            One request per item that was cut short, to be awaited together or one by one; none
            for an out-of-band response, of which the conversation holds nothing.

        Raises:
            LocalProtocolError: `heard_ms` is negative, or no whole number; or the response is
                another session's.
        """
        self._check_carries_sound()
        an_int("heard_ms", heard_ms, 0, "whole milliseconds, 0 or more")
        connection = self._open_connection()
        if isinstance(what, str):
            item_ids = [a_name("what", what)]
        else:
            self._own(an_instance("what", what, ResponseHandle))
            if what.lane is Lane.OUT_OF_BAND:
                return PendingRequests()  # the server keeps none of it (P-31)
            item_ids = list(what.item_ids)
        points = connection.truncate_points(item_ids, heard_ms)
        return PendingRequests(self._truncate(point) for point in points)

    def _truncate(self, point: TruncatePoint) -> PendingRequest[None]:
        return self._ask(self._open_connection().truncate_item(point, self._loop.time()))

    def send_raw(self, event: ClientEvent | Mapping[str, Any]) -> None:
        """Send a client event as it is, past the core's bookkeeping.

        For a provider's own events, and to try out how a server behaves. Nothing waits for an
        answer: output that it causes is routed by its response id as always, and an error comes
        to the `"report"` listeners. Prefer the other methods for what they can do; a
        `response.cancel` sent here may hit a response that nobody meant (P-2 to P-5).

        Args:
            event: an event of `antiphon.wire.client_events`, or the whole JSON object, `type`
                included.

        Raises:
            LocalProtocolError: the object has no `type`, or is no JSON.
            ConnectionClosed: the session has ended.
        """
        self._check_open()
        if isinstance(event, ClientEvent):
            self._send_raw(event)
            return
        fields = a_mapping("event", event)
        kind = fields.get("type")
        if not isinstance(kind, str):
            raise LocalProtocolError("an event needs a `type`, a string")
        self._send_raw(UnknownEvent(kind, fields))

    def _send_raw(self, event: ClientEvent | UnknownEvent) -> None:
        self._check_encodable(event)
        self._apply(self._connection.send(event))

    # --- audio in -------------------------------------------------------------------------------

    def append_audio(
        self, audio: bytes | bytearray | memoryview, *, sample_rate: int | None = None
    ) -> None:
        """Send microphone audio. Never waits; use `drain()` to follow a slow network.

        With `batch_audio_ms` (see `connect`) it is sent so much later at the most.

        Args:
            audio: mono, in the session's format: PCM16 little-endian at 24000 Hz, or G.711.
            sample_rate: Hz. With it, `audio` is PCM16 little-endian of that rate, whatever the
                session's format is, and is made what the session takes. To resample needs
                `antiphon[audio]`; to make G.711 of 8000 Hz needs nothing.

        Raises:
            LocalProtocolError: half a sample, or no such rate.
            StreamOverflow: the network has fallen behind by more than `max_pending_bytes`.
            MissingDependency: resampling is not installed.
            ConnectionClosed: the session has ended.
        """
        if self._options.call:
            self._check_carries_sound()
        try:
            # Here and not in `_check_open`, for this is called fifty times a second.
            if asyncio.get_running_loop() is not self._loop or self._closing:
                self._check_open()
        except RuntimeError:
            self._check_open()
        if type(audio) is not bytes:
            audio = as_bytes("audio", audio)
        if self._asked_format is None and self._connection.input_audio.bytes_per_ms == 48:
            form = "audio/pcm"
        else:
            form = self._input_format()
        if sample_rate is not None:
            # What has a rate is PCM16, whatever the session's format is.
            audio = self._converted(audio, sample_rate, form)
        elif form == "audio/pcm" and len(audio) % 2:
            raise LocalProtocolError(f"{len(audio)} bytes are no whole number of samples")
        if not audio:
            return
        if self.pending_bytes > self._max_pending_bytes:
            raise StreamOverflow(
                f"more than {self._max_pending_bytes} bytes wait for the network; "
                "await session.drain() between pieces"
            )
        self._queue_audio(audio)

    def commit_audio(self) -> PendingRequest[str]:
        """Make the audio sent so far a user item; awaited, its id. It starts no response.

        With server VAD the server commits by itself, and may have been quicker: then this raises
        `RequestError` with code `input_audio_buffer_commit_empty` (P-196).
        """
        self._check_carries_sound()
        self._flush_resamplers()
        if self._batch is not None:
            self._batch.flush()
        return self._ask(self._open_connection().commit_audio(self._loop.time()))

    def clear_audio(self) -> PendingRequest[None]:
        """Forget the audio that was sent and not yet committed."""
        self._check_carries_sound()
        self._resamplers.clear()
        if self._batch is not None:
            self._batch.drop()
        return self._ask(self._open_connection().clear_audio(self._loop.time()))

    @property
    def pending_bytes(self) -> int:
        """How much was sent here and not yet taken by the network."""
        transport = self._link.transport if self._link is not None else None
        return transport.pending_bytes() if transport is not None else 0

    async def drain(self) -> None:
        """Wait until the network has caught up. Returns at once when it has.

        Cancelling the wait takes back nothing of what was sent.
        """
        transport = self._link.transport if self._link is not None else None
        if transport is not None:
            await transport.drain()

    # --- watching -------------------------------------------------------------------------------

    def on(self, name: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` with one argument whenever `name` happens; returns how to stop that.

        Listeners are called in order, outside of the core, and must not block; an exception of
        theirs is logged and harms nothing.

        Args:
            name: `"response"` (ResponseHandle: the server made one), `"opened"` (ResponseHandle:
                the server named one, whoever asked for it), `"done"` (ResponseHandle: settled),
                `"played"` (ResponseHandle: nothing more of it is heard; on calls and with a
                player),
                `"function_call"` (FunctionCall), `"turn"` (Turn), `"report"` (Report),
                `"ended"` (ResponseHandle: nothing more is delivered, the outcome may be on its
                way), `"connected"` (Session: the first time), `"connect_failed"` (ConnectError:
                one attempt, others may follow), `"disconnected"` (ConnectionClosed: being
                reconnected), `"reconnected"` (Session), `"closed"` (ConnectionClosed: for good),
                `"server_event"` and `"client_event"` (every event on the wire; called before
                whatever follows from it), `"client_frame"` (bytes, as sent), or the type of a
                server event, such as `"rate_limits.updated"`.
            listener: takes that one argument.

        Raises:
            LocalProtocolError: nothing is called so, or called outside the session's loop.
        """
        self._check_loop()
        check_name(name)
        a_function("listener", listener)
        listening = Listening(listener)
        self._listeners.setdefault(name, []).append(listening)

        def remove() -> None:
            listening.active = False
            left = [one for one in self._listeners.get(name, ()) if one.active]
            if left:
                self._listeners[name] = left
            else:
                self._listeners.pop(name, None)

        return remove

    def events(self) -> Arrivals[ServerEvent | UnknownEvent]:
        """Every event that the server sends from now on, unknown ones included."""
        return self._arrivals("server_event")

    @property
    def closed(self) -> Moment[ConnectionClosed]:
        """Awaited: how the session ended, once it has ended for good.

        `if session.closed:` asks without waiting.
        """
        return self._ended

    # --- life -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the session. Everything in flight is told so; takes two seconds at most.

        Cancelled, it has ended all the same; only the wait for the sockets is cut short.
        """
        self._check_loop()
        links = [one for one in (self._link, self._standby) if one is not None]
        tasks = self._tasks - {asyncio.current_task()}
        self._finish(ConnectionClosedOK(1000, "", "client"))
        for link in links:
            link.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                for link in links:
                    await link.gone.wait()
                if tasks:
                    await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _start(self) -> None:
        """Called once, by `connect`."""
        self._attach(await self._dial.open(self, self._connection, Dial.PATIENCE))
        if self._config:
            try:
                await self.update(self._config)
            except BaseException:
                await self.close()
                raise

    def _begin(self) -> None:
        """As `_start`, in the background; what is asked meanwhile is held, in order."""
        if self._config:
            # As after a loss: the core keeps it until it has been taken, through further losses.
            self._check_encodable(SessionUpdate(session=self._config))
            beginning = Snapshot(session=self._config)
            self._apply(self._connection.resume(beginning, self._loop.time()))
        self._spawn(self._establish())

    def _ask(self, asked: tuple[Request, Effects]) -> PendingRequest[Any]:
        request, effects = asked
        pending: PendingRequest[Any] = PendingRequest(request.subject)
        request.owner = pending
        self._apply(effects)
        return pending

    def _check_encodable(self, event: ClientEvent | UnknownEvent) -> None:
        """Raise `LocalProtocolError` now, not when it is sent, which may be from a callback."""
        self._codec.encode(event)

    @property
    def _transcribes(self) -> bool:
        """Whether this is a session that only writes down what it hears (P-469)."""
        kind = (self._connection.session or self._config).get("type")
        return kind == "transcription" or (kind is None and self._endpoint.transcription)

    def _check_carries_sound(self) -> None:
        if self._options.call:
            raise LocalProtocolError(
                "the sound of a call goes elsewhere: its peer sends it, and the call truncates by "
                "itself what was not heard (P-382, P-417)"
            )

    def _open_connection(self) -> Connection:
        self._check_open()
        return self._connection

    def _check_open(self) -> None:
        self._check_loop()
        if self._closing:
            end = self._end or ConnectionClosedOK(1000, "", "client")
            raise end.with_traceback(None)

    def _arrivals(self, name: str) -> Arrivals[Any]:
        """What `on(name)` is given from now on, until the session ends."""
        arrivals: Stream[Any] = Stream(self._limits.events, size=lambda _: 1)
        stop = self.on(name, arrivals.push)
        self._observers.append(arrivals)
        if self._ended.is_set():
            arrivals.end()

        def remove() -> None:
            stop()
            if arrivals in self._observers:
                self._observers.remove(arrivals)

        return Arrivals(arrivals, remove)

    def _input_format(self) -> str:
        """What the server will take audio for when it gets there: as asked, until it answers."""
        if self._asked_format is not None:
            pending, form = self._asked_format
            if not pending.done:
                return form
            self._asked_format = None
        in_force = self._connection.session
        # Before the server has said anything, what it is going to be asked for.
        return format_in(in_force or self._config, "input") or "audio/pcm"

    def _converted(self, audio: bytes, sample_rate: int, form: str) -> bytes:
        check_rate(sample_rate)
        if len(audio) % 2:
            raise LocalProtocolError(f"{len(audio)} bytes are no whole number of samples")
        if form == "audio/pcm" and sample_rate == 24000:
            return audio
        converter = self._resamplers.get((sample_rate, form))
        if converter is None:
            converter = self._resamplers[sample_rate, form] = ToFormat(sample_rate, form)
        return converter.process(audio)

    def _flush_resamplers(self) -> None:
        for resampler in self._resamplers.values():
            rest = resampler.process(b"", last=True)
            if rest and self._link is not None:
                self._queue_audio(rest)
        self._resamplers.clear()
