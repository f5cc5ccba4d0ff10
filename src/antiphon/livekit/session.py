"""The framework's realtime session, over antiphon's.

Which response an event belongs to, what an interruption means and what a reconnect loses is
decided below, by `antiphon.Session`. Here the framework's calls become its methods; `listening`
turns what it tells into the framework's events and futures.
"""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from livekit.agents import llm
from livekit.agents.types import NOT_GIVEN, NotGivenOr
from livekit.agents.utils import is_given

from antiphon import (
    ConnectionClosed,
    Connector,
    Item,
    PendingReceipt,
    PicowsConnector,
    ReconnectPolicy,
    RequestError,
    Session,
    Snapshot,
    StreamOverflow,
    connect,
)
from antiphon.livekit.audio import LiveKitResponse, Microphone
from antiphon.livekit.chat_ctx import Mirror, diff, to_wire
from antiphon.livekit.compat import realtime_error
from antiphon.livekit.connecting import AiohttpConnector, TimedConnector
from antiphon.livekit.items import ItemSync
from antiphon.livekit.listening import Listening
from antiphon.livekit.options import (
    changes,
    config,
    read_given,
    server_takes_turns,
    wire_tool_choice,
)
from antiphon.livekit.tools import tools_to_wire
from livekit import rtc

if TYPE_CHECKING:
    from antiphon.livekit.model import RealtimeModel

__all__ = ["RealtimeSession"]

logger = logging.getLogger("antiphon.livekit")

RawHook = Literal["openai_server_event_received", "openai_client_event_queued"]

# What antiphon's session calls the source of each raw hook.
_RAW_HOOKS = {
    "openai_server_event_received": "server_event",
    "openai_client_event_queued": "client_frame",
}
# The server commits by itself with turn detection on, and may have been quicker (P-196).
_COMMIT_RACE = frozenset({"input_audio_buffer_commit_empty"})
_GONE_ALREADY = frozenset({"item_delete_invalid_item_id"})
_ACK_TIMEOUT = 5.0


class RealtimeSession(llm.RealtimeSession[RawHook]):
    """One conversation. Made by `RealtimeModel.session()`.

    Beyond the framework's interface:

    * `interrupt()` may be awaited for a receipt, and stops each response by its id;
    * `create_response()` runs responses beside the conversation;
    * `generate_reply()` takes `conversation="none"` and `input=`.

    It also emits `openai_server_event_received` and `openai_client_event_queued`, each with the
    event as a dict, as long as somebody listens.
    """

    def __init__(self, model: "RealtimeModel", *, turn_detection_disabled: bool = False) -> None:
        super().__init__(model)
        self._model = model
        options = model.options
        self._settings = dict(options.settings)
        if turn_detection_disabled:
            self._settings["turn_detection"] = None
        # A copy: turn detection can be off here and on for the model.
        self._own_capabilities = dataclasses.replace(
            model.capabilities,
            turn_detection=model.capabilities.turn_detection and not turn_detection_disabled,
        )
        self._instructions: str | None = None
        self._tools = llm.ToolContext([])
        self._wire_tools: list[dict[str, Any]] = []
        self._mirror = Mirror()
        self._microphone = Microphone()
        self._raw_listeners: dict[str, dict[Callable[..., Any], None]] = {}
        self._raw_removers: dict[str, Callable[[], None]] = {}
        self._options_lock = asyncio.Lock()
        self._client = self._connect()
        self._listening = Listening(self, self._client, self._mirror)
        self._items = ItemSync(self._client, self._mirror)
        self._watch(self._client.update(self._config()))

    def _connect(self) -> Session:
        options = self._model.options
        retry = options.conn_options
        connector: Connector
        if self._model.http_session is not None:
            connector = AiohttpConnector(self._model.http_session)
        else:
            connector = PicowsConnector(handshake_timeout=retry.timeout)
        oldest = options.max_session_duration
        return connect(
            url=options.url,
            headers=options.headers,
            dialect="beta" if options.beta else "ga",
            max_in_flight=options.max_in_flight,
            reconnect=ReconnectPolicy(
                attempts=retry.max_retry,
                first_delay=retry.retry_interval,
                max_delay=retry.retry_interval,
                rotate_after=oldest,
                rotate_latest=max(59 * 60.0, oldest or 0.0),
            ),
            connector=TimedConnector(connector, lambda taken: self._listening.connected_in(taken)),
            connect_timeout=retry.timeout,
            handle_type=LiveKitResponse,
            replay=self._replay,
        ).begin()

    def _config(self) -> dict[str, Any]:
        """All that the server is to know, as of now."""
        options = self._model.options
        # On Azure the deployment in the address decides (P-254).
        model = None if options.azure else options.model
        whole = config(model, options.modalities, self._settings)
        if self._instructions is not None:
            whole["instructions"] = self._instructions
        if self._wire_tools:
            whole["tools"] = self._wire_tools
        return whole

    def _replay(self, snapshot: Snapshot) -> Snapshot:
        """For a new connection: the framework's items, which know what was heard of them."""
        items = [msgspec.convert(item, Item) for item in self._mirror.replay()]
        return Snapshot(session=self._config(), items=tuple(items))

    # --- what is known --------------------------------------------------------------------------

    @property
    def capabilities(self) -> llm.RealtimeCapabilities:
        return self._own_capabilities

    @property
    def chat_ctx(self) -> llm.ChatContext:
        """The default conversation as the server has it; nothing out of band is in it."""
        return llm.ChatContext(self._mirror.items)

    @property
    def tools(self) -> llm.ToolContext:
        return self._tools.copy()

    @property
    def model(self) -> "RealtimeModel":
        return self._model

    @property
    def transcription_model(self) -> str | None:
        """What transcribes the user's speech, if anything does."""
        return (self._settings["input_audio_transcription"] or {}).get("model")

    @property
    def has_active_generation(self) -> bool:
        """Whether any response is in flight, or asked for."""
        return bool(self._client.in_flight)

    @property
    def client(self) -> Session:
        """antiphon's own session, for what the framework has no name for."""
        return self._client

    # --- responses ------------------------------------------------------------------------------

    def generate_reply(
        self,
        *,
        instructions: NotGivenOr[str] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        tools: NotGivenOr[list[llm.Tool]] = NOT_GIVEN,
        conversation: Literal["auto", "none"] = "auto",
        input: NotGivenOr[Sequence[llm.ChatItem | Mapping[str, Any]]] = NOT_GIVEN,
        output_modalities: NotGivenOr[Sequence[Literal["audio", "text"]]] = NOT_GIVEN,
        metadata: NotGivenOr[Mapping[str, str]] = NOT_GIVEN,
        purpose: str | None = None,
        interruptible: bool = True,
    ) -> asyncio.Future[llm.GenerationCreatedEvent]:
        """Ask for a response and read it the framework's way.

        Where the default conversation is busy, also with a response that is being cancelled, the
        request waits for it. Cancelling the future before the server has named the response
        stops that response, and no other.

        Args:
            instructions: added to the session's instructions, for this response.
            conversation: `"none"` runs it out of band: it enters no chat context.
            input: the context in place of the conversation: chat items, or the protocol's.
            output_modalities: `["text"]` or `["audio"]`; the model's by default.
            metadata: comes back with the response.
            purpose: a word for receipts and logs.
            interruptible: False survives `interrupt()`.

        Returns:
            A future of the generation. It fails with `llm.RealtimeError` (with `code` where the
            server gave one) when the response is refused, interrupted before it was named, not
            named in time, or lost with the connection.
        """
        waiting: asyncio.Future[llm.GenerationCreatedEvent] = (
            asyncio.get_running_loop().create_future()
        )
        try:
            handle = self.create_response(
                instructions=instructions or None,
                tool_choice=tool_choice,
                tools=tools,
                conversation=conversation,
                input=input,
                output_modalities=output_modalities,
                metadata=metadata,
                purpose=purpose,
                interruptible=interruptible,
            )
        except ConnectionClosed:
            waiting.set_exception(realtime_error("realtime session closed"))
            return waiting
        modalities = output_modalities or self._model.options.modalities
        self._listening.expect(handle, waiting, audio_output="audio" in modalities)
        return waiting

    def create_response(
        self,
        *,
        instructions: str | None = None,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        tools: NotGivenOr[list[llm.Tool]] = NOT_GIVEN,
        conversation: Literal["auto", "none"] = "auto",
        input: NotGivenOr[Sequence[llm.ChatItem | Mapping[str, Any]]] = NOT_GIVEN,
        output_modalities: NotGivenOr[Sequence[Literal["audio", "text"]]] = NOT_GIVEN,
        metadata: NotGivenOr[Mapping[str, str]] = NOT_GIVEN,
        purpose: str | None = None,
        interruptible: bool = True,
        **more: Any,
    ) -> LiveKitResponse:
        """Ask for a response and get antiphon's handle of it.

        The framework is not told of it: read the handle, play its `audio_frames`, or only look at
        its outcome. Arguments are those of `generate_reply`, and any other of
        `antiphon.Session.create_response` (`voice`, `max_output_tokens`, `on_busy`, `timeout`, …).

        Raises:
            ConnectionClosed: the session has ended.
            ResponseRejected: the lane is busy and `on_busy="reject"`.
            LocalProtocolError, TypeError: an argument is out of bounds or unknown.
        """
        if instructions and self._instructions:
            # The server replaces the session's instructions by those of the response.
            instructions = f"{self._instructions}\n{instructions}"
        handle = self._client.create_response(
            instructions=instructions,
            conversation=conversation,
            input=[_context_item(one) for one in input] if is_given(input) else None,
            output_modalities=output_modalities if is_given(output_modalities) else None,
            tools=tools_to_wire(tools)[0] if is_given(tools) else None,
            tool_choice=wire_tool_choice(tool_choice) if is_given(tool_choice) else None,
            metadata=metadata if is_given(metadata) else None,
            purpose=purpose,
            interruptible=interruptible,
            **more,
        )
        return cast(LiveKitResponse, handle)

    def interrupt(  # type: ignore[override]  # the framework does not look at what it returns
        self, scope: Literal["all", "default", "out_of_band"] = "all"
    ) -> PendingReceipt:
        """Stop what is in flight, each response by its own id; with nothing in flight, nothing.

        It has taken effect when this returns. Awaiting the result tells, within a bounded time,
        what became of each response. A response made with `interruptible=False` goes on.
        """
        return self._client.interrupt(scope)

    # --- configuration --------------------------------------------------------------------------

    def update_options(
        self,
        *,
        tool_choice: NotGivenOr[llm.ToolChoice | None] = NOT_GIVEN,
        voice: NotGivenOr[Any] = NOT_GIVEN,
        turn_detection: NotGivenOr[Any] = NOT_GIVEN,
        max_response_output_tokens: NotGivenOr[int | Literal["inf"] | None] = NOT_GIVEN,
        input_audio_transcription: NotGivenOr[Any] = NOT_GIVEN,
        input_audio_noise_reduction: NotGivenOr[Any] = NOT_GIVEN,
        speed: NotGivenOr[float] = NOT_GIVEN,
        tracing: NotGivenOr[Any] = NOT_GIVEN,
        truncation: NotGivenOr[Any] = NOT_GIVEN,
        reasoning: NotGivenOr[Any] = NOT_GIVEN,
    ) -> None:
        """Change options of this session; those that are not given stay.

        Only what differs is sent. What the server refuses is told by an `error` event, and the
        old value stays.

        Raises:
            ValueError: a value cannot mean anything; nothing was changed.
        """
        self.change(
            read_given(
                tool_choice=tool_choice,
                voice=voice,
                turn_detection=turn_detection,
                max_response_output_tokens=max_response_output_tokens,
                input_audio_transcription=input_audio_transcription,
                input_audio_noise_reduction=input_audio_noise_reduction,
                speed=speed,
                tracing=tracing,
                truncation=truncation,
                reasoning=reasoning,
            )
        )

    def change(self, given: Mapping[str, Any]) -> None:
        """As `update_options`, for options that were read already."""
        before = {name: self._settings[name] for name in given}
        part = changes(self._settings, given)
        self._settings |= given
        self._follow(given)
        if not part:
            return

        def refused() -> None:
            self._settings |= before
            self._follow(before)

        try:
            self._watch(self._client.update(part), on_refusal=refused)
        except ConnectionClosed:
            pass

    def _follow(self, settings: Mapping[str, Any]) -> None:
        """Capabilities follow the options that they are derived from."""
        if "turn_detection" in settings:
            self._own_capabilities.turn_detection = server_takes_turns(settings["turn_detection"])
        if "input_audio_transcription" in settings:
            transcribes = settings["input_audio_transcription"] is not None
            self._own_capabilities.user_transcription = transcribes

    async def update_instructions(self, instructions: str) -> None:
        """Raises `llm.RealtimeError` when the server refuses them; the old ones stay then."""
        async with self._options_lock:
            before, self._instructions = self._instructions, instructions
            try:
                await self._answered({"instructions": instructions})
            except llm.RealtimeError:
                self._instructions = before
                raise

    async def update_tools(self, tools: list[llm.Tool]) -> None:
        """Raises `llm.RealtimeError` when the server refuses them; the old ones stay then."""
        async with self._options_lock:
            wire, usable = tools_to_wire(tools)
            before = self._wire_tools, self._tools
            self._wire_tools, self._tools = wire, llm.ToolContext(usable)
            try:
                await self._answered({"tools": wire})
            except llm.RealtimeError:
                self._wire_tools, self._tools = before
                raise

    async def _answered(self, part: Mapping[str, Any]) -> None:
        """Send a part of the configuration and wait, for a while, that the server takes it."""
        try:
            async with asyncio.timeout(_ACK_TIMEOUT):
                await self._client.update(part)
        except RequestError as refused:
            raise realtime_error(str(refused), code=refused.code) from refused
        except TimeoutError:
            logger.warning("the server did not confirm %s in time", ", ".join(part))
        except ConnectionClosed as closed:
            if self._listening.over:
                raise realtime_error("realtime session closed") from closed
            # A new connection is told the whole configuration, this part included.

    # --- chat context ---------------------------------------------------------------------------

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        """Make the server's conversation this one, with the fewest changes.

        Instructions, handoffs and empty messages are not part of it.

        Raises:
            llm.RealtimeError: an item was refused (the others are in place all the same), or the
                server did not answer in time.
        """
        await self._items.become(chat_ctx.items)

    def truncate(
        self,
        *,
        message_id: str,
        modalities: list[Literal["text", "audio"]],
        audio_end_ms: int,
        audio_transcript: NotGivenOr[str] = NOT_GIVEN,
    ) -> None:
        """Have the server forget what was not heard, or not shown.

        Audio is cut at `audio_end_ms`, never beyond what was delivered; a message of which
        nothing was heard is deleted, as is a text of which nothing was shown.
        """
        message = self._mirror.message(message_id)
        heard = audio_transcript if is_given(audio_transcript) else None
        self._listening.fixed(message_id)
        try:
            if "audio" not in modalities:
                if message is not None and heard is not None:
                    shown = message.model_copy(update={"content": [heard] if heard else []})
                    wanted = [shown if one.id == message_id else one for one in self._mirror.items]
                    if not heard:
                        wanted.remove(shown)
                    for request in self._items.issue(diff(self._mirror.items, wanted)):
                        self._watch(request)
            elif audio_end_ms > 0:
                for request in self._client.truncate(message_id, heard_ms=audio_end_ms):
                    self._watch(request)
                if message is not None and heard:
                    message.content = [heard]
            else:
                self._watch(self._client.delete_item(message_id), expected=_GONE_ALREADY)
        except ConnectionClosed:
            pass

    # --- input ----------------------------------------------------------------------------------

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        """Audio of the user's, of any rate and number of channels."""
        for piece in self._microphone.push(frame):
            self._append(piece)

    def _append(self, piece: bytes) -> None:
        try:
            self._client.append_audio(piece)
        except ConnectionClosed:
            pass
        except StreamOverflow:
            # Late audio is worth nothing; the counter tells that it happened.
            self._client.counters["audio_pieces_dropped_overflow"] += 1

    def push_video(self, frame: rtc.VideoFrame) -> None:
        """Adds the frame to the conversation as an image. Encoding takes place here and now."""
        message = llm.ChatMessage(role="user", content=[llm.ImageContent(image=frame)])
        item = to_wire(message)
        if item is not None:
            try:
                self._watch(self._client.create_item(item))
            except ConnectionClosed:
                pass

    def commit_audio(self) -> None:
        """Make the audio so far a user message; less than 100 ms would be refused (P-224)."""
        for piece in self._microphone.flush():
            self._append(piece)
        if self._microphone.uncommitted_ms > 100:
            self._microphone.uncommitted_ms = 0.0
            detects = self._settings["turn_detection"] is not None
            try:
                self._watch(
                    self._client.commit_audio(), expected=_COMMIT_RACE if detects else frozenset()
                )
            except ConnectionClosed:
                pass

    def clear_audio(self) -> None:
        self._microphone.clear()
        try:
            self._watch(self._client.clear_audio())
        except ConnectionClosed:
            pass

    def send_event(self, event: Any) -> None:
        """Send one raw event: a dict, or an object with `model_dump()`. Ignored when closed."""
        if hasattr(event, "model_dump"):
            event = event.model_dump(by_alias=True, exclude_unset=True)
        try:
            self._client.send_raw(event)
        except ConnectionClosed:
            pass

    # --- raw hooks ------------------------------------------------------------------------------

    def on(self, event: Any, callback: Callable[..., Any] | None = None) -> Callable[..., Any]:
        """As in the framework. The raw hooks cost something only while they are listened to."""
        registered = super().on(event, callback)
        if callback is not None and event in _RAW_HOOKS:
            self._raw_listeners.setdefault(event, {})[callback] = None
            if event not in self._raw_removers:
                tell = self._tell_server if event.startswith("openai_server") else self._tell_client
                self._raw_removers[event] = self._client.on(_RAW_HOOKS[event], tell)
        return registered

    def off(self, event: Any, callback: Callable[..., Any]) -> None:
        super().off(event, callback)
        listeners = self._raw_listeners.get(event)
        if listeners is not None:
            listeners.pop(callback, None)
            if not listeners:
                self._raw_removers.pop(event)()
                del self._raw_listeners[event]

    def _tell_server(self, event: Any) -> None:
        # An audio delta keeps no frame: its fields are all that was in it.
        told = json.loads(event.raw) if event.raw else msgspec.to_builtins(event)
        told["type"] = event.type  # a beta server's names are told as GA's
        self.emit("openai_server_event_received", told)

    def _tell_client(self, frame: bytes) -> None:
        self.emit("openai_client_event_queued", json.loads(frame))

    # --- life -----------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """End the session and everything in flight. Calling it again is harmless."""
        await self._listening.close()

    def _watch(
        self,
        request: Awaitable[Any],
        *,
        expected: frozenset[str] = frozenset(),
        on_refusal: Callable[[], None] | None = None,
    ) -> None:
        self._listening.watch(request, expected=expected, on_refusal=on_refusal)


def _context_item(item: Any) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    wire = to_wire(item)
    if wire is None:
        raise ValueError(f"input: nothing of item {item.id} can be sent")
    return wire
