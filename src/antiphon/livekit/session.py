"""The framework's realtime session, over antiphon's.

Which response an event belongs to, what an interruption means and what a reconnect loses is
decided below, by `antiphon.Session`. Here the framework's calls become its methods. What it tells
becomes the framework's events and futures in `replies` (responses), `speech` (the user's), `items`
(the chat context), `connectivity` and `telling` (errors).
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from livekit.agents import llm
from livekit.agents.types import NOT_GIVEN, NotGivenOr
from livekit.agents.utils import is_given

from antiphon import (
    ConnectionClosed,
    Connector,
    PendingReceipt,
    PicowsConnector,
    ReconnectPolicy,
    RequestError,
    Session,
    Snapshot,
    StreamOverflow,
    connect,
)
from antiphon.livekit.audio import FrameConverter, LiveKitResponse
from antiphon.livekit.chat_ctx import to_wire
from antiphon.livekit.compat import as_framework_error, realtime_error
from antiphon.livekit.configuration import Configuration
from antiphon.livekit.connecting import AiohttpConnector, TimedConnector
from antiphon.livekit.connectivity import Connectivity
from antiphon.livekit.items import Items
from antiphon.livekit.names import Names
from antiphon.livekit.options import changes, read_given, wire_tool_choice
from antiphon.livekit.replies import Replies
from antiphon.livekit.speech import Speech
from antiphon.livekit.telling import Teller
from antiphon.livekit.tools import tools_to_wire
from livekit import rtc

if TYPE_CHECKING:
    from antiphon.livekit.model import RealtimeModel

__all__ = ["RealtimeSession"]

logger = logging.getLogger("antiphon.livekit")

RawHook = Literal["openai_server_event_received", "openai_client_event_queued"]

Scope = Literal["all", "default", "out_of_band"]

# What antiphon's session calls the source of each raw hook.
_RAW_HOOKS = {
    "openai_server_event_received": "server_event",
    "openai_client_event_queued": "client_frame",
}
# The server commits by itself with turn detection on, and may have been quicker (P-196).
_COMMIT_RACE = frozenset({"input_audio_buffer_commit_empty"})
_ACK_TIMEOUT = 5.0


class RealtimeSession(llm.RealtimeSession[RawHook]):
    """One conversation. Made by `RealtimeModel.session()`.

    Beyond the framework's interface:

    * `interrupt()` may be awaited for a receipt, and stops each response by its id;
    * `create_response()` runs responses beside the conversation;
    * `generate_reply()` takes `conversation="none"` and `input=`.

    It also emits `openai_server_event_received` and `openai_client_event_queued`, each with the
    event as a dict, as long as somebody listens.

    The framework's own methods raise `llm.RealtimeError` and nothing else. `create_response` and
    `client` are antiphon's, with antiphon's errors.
    """

    def __init__(self, model: "RealtimeModel", *, turn_detection_disabled: bool = False) -> None:
        super().__init__(model)
        self._model = model
        self._configuration = Configuration(
            model.options, model.capabilities, turn_detection_disabled=turn_detection_disabled
        )
        self._microphone = FrameConverter()
        self._raw_listeners: dict[str, dict[Callable[..., Any], None]] = {}
        self._raw_removers: dict[str, Callable[[], None]] = {}
        self._options_lock = asyncio.Lock()
        self._client = client = self._connect()
        self._teller = teller = Teller(self.emit, model, client)
        self._items = Items(client, teller, writes=lambda item_id: self._replies.writes(item_id))
        self._replies = Replies(
            client, teller, self._items, audio_output=model.capabilities.audio_output
        )
        self._speech = Speech(client, teller, self._items, self._configuration)
        self._connectivity = Connectivity(
            client, teller, retries=model.options.conn_options.max_retry
        )
        teller.watch(client.update(self._configuration.whole()))

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
            connector=TimedConnector(
                connector, lambda taken: self._connectivity.connected_in(taken)
            ),
            connect_timeout=retry.timeout,
            handle_type=LiveKitResponse,
            replay=self._replay,
        ).begin()

    def _replay(self, _: Snapshot) -> Snapshot:
        """For a new connection."""
        return Snapshot(session=self._configuration.whole(), items=self._items.replay())

    # --- what is known --------------------------------------------------------------------------

    @property
    def capabilities(self) -> llm.RealtimeCapabilities:
        return self._configuration.capabilities

    @property
    def chat_ctx(self) -> llm.ChatContext:
        """The default conversation as the server has it; nothing out of band is in it."""
        return self._items.context

    @property
    def tools(self) -> llm.ToolContext:
        return self._configuration.tools.copy()

    @property
    def model(self) -> "RealtimeModel":
        return self._model

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
            named in time, lost with the connection, or cannot be asked for in these words.
        """
        waiting: asyncio.Future[llm.GenerationCreatedEvent] = (
            asyncio.get_running_loop().create_future()
        )
        try:
            with as_framework_error("generate_reply"):
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
        except llm.RealtimeError as wrong:
            waiting.set_exception(wrong)
            return waiting
        modalities = output_modalities or self._model.options.modalities
        self._replies.expect(handle, waiting, audio_output="audio" in modalities)
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
        if instructions and self._configuration.instructions:
            # The server replaces the session's instructions by those of the response.
            instructions = f"{self._configuration.instructions}\n{instructions}"
        context = [self._items.to_wire(item) for item in input] if is_given(input) else None
        handle = self._client.create_response(
            instructions=instructions,
            conversation=conversation,
            input=context,
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
        self, scope: Scope | None = None
    ) -> PendingReceipt:
        """Stop what is in flight, each response by its own id; with nothing in flight, nothing.

        It has taken effect when this returns. Awaiting the result tells, within a bounded time,
        what became of each response. A response made with `interruptible=False` goes on.

        Args:
            scope: which responses. None, which is how the framework calls it, leaves that to the
                model's `interrupt_out_of_band`.
        """
        with as_framework_error("interrupt"):
            return self._client.interrupt(scope or self._scope())

    def _scope(self) -> Scope:
        """What an interruption means that does not say so.

        The framework has one word for a caller who speaks up, a tool's reply and a handoff. Only
        the first is news of the user.
        """
        match self._model.options.interrupt_out_of_band:
            case "never":
                return "default"
            case "on_speech" if not self._speech.unanswered:
                return "default"
        return "all"

    def start_user_activity(self) -> None:
        """The framework hears the user, by a voice detector of its own."""
        self._speech.unanswered = True

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
        part = changes(self._configuration.settings, given)
        before = self._configuration.set(given)
        if not part:
            return
        with as_framework_error("update_options"):
            try:
                self._teller.watch(
                    self._client.update(part),
                    on_refusal=lambda: self._configuration.set(before),
                )
            except ConnectionClosed:
                pass

    async def update_instructions(self, instructions: str) -> None:
        """Replace the agent's instructions, and wait 5 s at most for the server to take them.

        Raises:
            llm.RealtimeError: the server refused them, and the old ones stay; or the session has
                ended.
        """
        configuration = self._configuration
        async with self._options_lock:
            with as_framework_error("update_instructions"):
                before, configuration.instructions = configuration.instructions, instructions
                try:
                    await self._answered({"instructions": instructions})
                except Exception:
                    configuration.instructions = before
                    raise

    async def update_tools(self, tools: list[llm.Tool]) -> None:
        """Replace the tools, and wait 5 s at most for the server to take them.

        Raises:
            llm.RealtimeError: the server refused them, and the old ones stay; or the session has
                ended.
        """
        configuration = self._configuration
        async with self._options_lock:
            with as_framework_error("update_tools"):
                wire, usable = tools_to_wire(tools)
                before = configuration.wire_tools, configuration.tools
                configuration.wire_tools, configuration.tools = wire, llm.ToolContext(usable)
                try:
                    await self._answered({"tools": wire})
                except Exception:
                    configuration.wire_tools, configuration.tools = before
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
            if self._connectivity.over:
                raise realtime_error("realtime session closed") from closed
            # A new connection is told the whole configuration, this part included.

    # --- chat context ---------------------------------------------------------------------------

    async def update_chat_ctx(self, chat_ctx: llm.ChatContext) -> None:
        """Make the server's conversation this one, with the fewest changes.

        Instructions, handoffs and empty messages are not part of it. What came after `chat_ctx` was
        taken from this session stays, and so does a call that is being answered where the context
        is not of this session.

        Raises:
            llm.RealtimeError: an item was refused (the others are in place all the same), or the
                server did not answer in time.
        """
        with as_framework_error("update_chat_ctx"):
            await self._items.bring_to(chat_ctx)

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
        heard = audio_transcript if is_given(audio_transcript) else None
        with as_framework_error("truncate"):
            try:
                if "audio" in modalities:
                    self._items.cut_audio(message_id, audio_end_ms, heard)
                elif heard is not None:
                    self._items.cut_text(message_id, heard)
            except ConnectionClosed:
                pass

    # --- input ----------------------------------------------------------------------------------

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        """Audio of the user's, of any rate and number of channels."""
        with as_framework_error("push_audio"):
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
        with as_framework_error("push_video"):
            message = llm.ChatMessage(role="user", content=[llm.ImageContent(image=frame)])
            item = to_wire(message, Names())
            if item is not None:
                try:
                    self._teller.watch(self._client.create_item(item))
                except ConnectionClosed:
                    pass

    def commit_audio(self) -> None:
        """Make the audio so far a user message.

        With 100 ms or less nothing is sent: the server would refuse it (P-224).
        """
        with as_framework_error("commit_audio"):
            for piece in self._microphone.flush():
                self._append(piece)
            if self._microphone.uncommitted_ms <= 100:
                return
            self._microphone.uncommitted_ms = 0.0
            expected = _COMMIT_RACE if self._configuration.detects_turns else frozenset[str]()
            try:
                self._teller.watch(self._client.commit_audio(), expected=expected)
            except ConnectionClosed:
                pass

    def clear_audio(self) -> None:
        """Forget the audio that is not committed, here and on the server."""
        self._microphone.clear()
        with as_framework_error("clear_audio"):
            try:
                self._teller.watch(self._client.clear_audio())
            except ConnectionClosed:
                pass

    def send_event(self, event: Any) -> None:
        """Send one raw event: a dict, or an object with `model_dump()`. Ignored when closed."""
        with as_framework_error("send_event"):
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
        self._replies.end()
        await self._teller.close()
