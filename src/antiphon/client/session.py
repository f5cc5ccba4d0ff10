"""The session: what a user calls.

It checks what it is given, and has the rest done by its parts: `shell.py` carries out what the core
asks for, `lifeline.py` keeps it on a line, `outbox.py` sends, `audio_in.py` takes the microphone's
audio, `callbacks.py` tells listeners.
"""

import asyncio
from collections import Counter
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
    no_scope,
    on_busy_of,
    response_params,
)
from antiphon.client.audio_in import AudioIn
from antiphon.client.callbacks import Callbacks
from antiphon.client.dial import Dial
from antiphon.client.endpoint import Endpoint
from antiphon.client.handle import ResponseHandle, StreamLimits
from antiphon.client.lifeline import Lifeline, new_connection
from antiphon.client.listeners import Arrivals, Listener, check_name
from antiphon.client.outbox import Outbox
from antiphon.client.pending import PendingReceipt, PendingRequest, PendingRequests
from antiphon.client.reconnect import ReconnectPolicy, Replay
from antiphon.client.shell import Shell
from antiphon.client.streams import Moment
from antiphon.client.transport import Connector
from antiphon.exceptions import ConnectionClosed, ConnectionClosedOK, LocalProtocolError
from antiphon.protocol.connection import Connection
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.effects import Effects
from antiphon.protocol.interruption import PlaybackMode, Scope
from antiphon.protocol.options import Options
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
from antiphon.wire.codec import Codec
from antiphon.wire.items import ContentPart, Item
from antiphon.wire.server_events import ServerEvent
from antiphon.wire.session_config import SessionSettings

__all__ = ["Session"]

OnBusyName = Literal["queue", "replace", "reject", "send"]


class Session:
    """A conversation with a Realtime server. Made by `antiphon.connect`.

    Methods that send return at once; what they return may be awaited or left alone. Methods and
    handles belong to the event loop in which the session was made; called from another thread
    they raise `LocalProtocolError`. There, use `loop.call_soon_threadsafe(session.interrupt)`.

    Attributes:
        counters: how often each kind of report was made, and what was dropped; for monitoring.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        connector: Connector,
        *,
        config: Mapping[str, Any] | None = None,
        options: Options | None = None,
        limits: StreamLimits | None = None,
        reconnect: ReconnectPolicy | None = None,
        connect_timeout: float = 15.0,
        max_pending_bytes: int = 16 * 1024 * 1024,
        batch_audio_ms: int = 0,
        handle_type: type[ResponseHandle] = ResponseHandle,
        replay: Replay | None = None,
    ) -> None:
        options = options or Options()
        codec = Codec(endpoint.dialect)
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._config = dict(config or {})
        self._on_call = options.call
        self._limits = limits or StreamLimits()
        self.counters: Counter[str] = Counter()
        self._callbacks = Callbacks()
        self._outbox = Outbox(codec, self._callbacks, self.counters)
        self._shell = Shell(
            # All the audio that comes before the first socket is for the first server.
            new_connection(options, kept_audio_bytes=max_pending_bytes),
            self._outbox,
            self._callbacks,
            self.counters,
            handle_type=handle_type,
            limits=self._limits,
        )
        self._audio_in = AudioIn(
            self._shell,
            self._outbox,
            self._config,
            batch_ms=batch_audio_ms,
            max_pending_bytes=max_pending_bytes,
        )
        self._lifeline = Lifeline(
            self,
            self._shell,
            self._outbox,
            self._audio_in,
            dial=Dial(connector, endpoint, connect_timeout, codec, self.counters),
            codec=codec,
            options=options,
            policy=reconnect or ReconnectPolicy(),
            replay=replay,
        )

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
            interruptible: False survives `interrupt()`; its `cancel()`, or `interrupt([handle])`,
                stops it.
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
        self._outbox.check(ResponseCreate(response=params))
        response, effects = self._shell.connection.create_response(
            params,
            self._loop.time(),
            purpose=None if purpose is None else a_text("purpose", purpose),
            interruptible=a_bool("interruptible", interruptible),
            on_busy=on_busy_of(on_busy),
            timeout=None if timeout is None else a_time("timeout", timeout),
        )
        handle = self._shell.handle_of(response)
        self._shell.apply(effects)
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
        self._shell.check_loop()
        if playback not in PLAYBACK_MODES:
            a_choice("playback", playback, PLAYBACK_MODES)
        now = self._loop.time()
        if isinstance(scope, str):
            if scope not in SCOPES:
                raise no_scope(scope)
            if playback != "never":
                self._shell.note_unread(scope)
            interruption, effects = self._shell.connection.interrupt(scope, now, playback=playback)
        elif isinstance(scope, ResponseHandle):
            interruption, effects = self._shell.cancelling([scope], now, playback)
        elif isinstance(scope, Iterable):
            interruption, effects = self._shell.cancelling(scope, now, playback)
        else:
            raise no_scope(scope)
        receipt = PendingReceipt(interruption)
        if interruption.settled:
            receipt._settle()
        interruption.owner = receipt
        self._shell.apply(effects)
        return receipt

    @property
    def in_flight(self) -> tuple[ResponseHandle, ...]:
        """What is asked for, being generated, or, with a player or on a call, still to be heard.

        `interrupt()` stops these, and drops what readers of `handle.audio` have not read yet.
        """
        connection = self._shell.connection
        generating = [response for response in connection.unsettled if response.in_flight]
        heard = [response for response in connection.playouts.audible if response.owner is not None]
        return tuple(response.owner for response in dict.fromkeys((*generating, *heard)))

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
                await self._shell.wait_until_quiet()
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
        return self._shell.connection.session

    @property
    def items(self) -> tuple[Item, ...]:
        """The default conversation, in order, as far as it is known here. Without audio."""
        return tuple(self._shell.connection.conversation)

    def item(self, item_id: str) -> Item | None:
        """One item of the default conversation; None where there is none of this id."""
        return self._shell.connection.conversation.get(item_id)

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
        self._outbox.check(SessionUpdate(session=config))
        pending = self._ask(connection.update_session(config, self._loop.time()))
        self._audio_in.asked(pending, config)
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
        self._outbox.check(ConversationItemCreate(item=checked))
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
            self._shell.own(an_instance("what", what, ResponseHandle))
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
        self._outbox.check(event)
        self._shell.apply(self._shell.connection.send(event))

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
        if self._on_call:
            self._check_carries_sound()
        try:
            # Here and not in `_check_open`, for this is called fifty times a second.
            if asyncio.get_running_loop() is not self._loop or self._shell.over:
                self._check_open()
        except RuntimeError:
            self._check_open()
        self._audio_in.append(audio, sample_rate)

    def commit_audio(self) -> PendingRequest[str]:
        """Make the audio sent so far a user item; awaited, its id. It starts no response.

        With server VAD the server commits by itself, and may have been quicker: then this raises
        `RequestError` with code `input_audio_buffer_commit_empty` (P-196).
        """
        self._check_carries_sound()
        connection = self._open_connection()
        self._audio_in.flush()
        return self._ask(connection.commit_audio(self._loop.time()))

    def clear_audio(self) -> PendingRequest[None]:
        """Forget the audio that was sent and not yet committed."""
        self._check_carries_sound()
        connection = self._open_connection()
        self._audio_in.drop()
        return self._ask(connection.clear_audio(self._loop.time()))

    @property
    def pending_bytes(self) -> int:
        """How much was sent here and not yet taken by the network."""
        return self._outbox.pending_bytes

    async def drain(self) -> None:
        """Wait until the network has caught up. Returns at once when it has.

        Cancelling the wait takes back nothing of what was sent.
        """
        await self._outbox.drain()

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
        self._shell.check_loop()
        check_name(name)
        return self._callbacks.add(name, a_function("listener", listener))

    def events(self) -> Arrivals[ServerEvent | UnknownEvent]:
        """Every event that the server sends from now on, unknown ones included."""
        return self._arrivals("server_event")

    @property
    def closed(self) -> Moment[ConnectionClosed]:
        """Awaited: how the session ended, once it has ended for good.

        `if session.closed:` asks without waiting.
        """
        return self._lifeline.ended

    # --- life -----------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the session. Everything in flight is told so; takes two seconds at most.

        Cancelled, it has ended all the same; only the wait for the sockets is cut short.
        """
        self._shell.check_loop()
        await self._lifeline.close()

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
        await self._lifeline.open()
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
            self._outbox.check(SessionUpdate(session=self._config))
            beginning = Snapshot(session=self._config)
            self._shell.apply(self._shell.connection.resume(beginning, self._loop.time()))
        self._lifeline.begin()

    def _ask(self, asked: tuple[Request, Effects]) -> PendingRequest[Any]:
        request, effects = asked
        pending: PendingRequest[Any] = PendingRequest(request.subject)
        request.owner = pending
        self._shell.apply(effects)
        return pending

    @property
    def _transcribes(self) -> bool:
        """Whether this is a session that only writes down what it hears (P-469)."""
        kind = (self._shell.connection.session or self._config).get("type")
        return kind == "transcription" or (kind is None and self._endpoint.transcription)

    def _check_carries_sound(self) -> None:
        if self._on_call:
            raise LocalProtocolError(
                "the sound of a call goes elsewhere: its peer sends it, and the call truncates by "
                "itself what was not heard (P-382, P-411)"
            )

    def _open_connection(self) -> Connection:
        self._check_open()
        return self._shell.connection

    def _check_open(self) -> None:
        self._shell.check_loop()
        if self._shell.over:
            end = self._shell.end or ConnectionClosedOK(1000, "", "client")
            raise end.with_traceback(None)

    def _arrivals(self, name: str) -> Arrivals[Any]:
        self._shell.check_loop()
        arrivals = self._callbacks.arrivals(name, self._limits.events)
        if self._shell.over:
            arrivals.close()
        return arrivals
