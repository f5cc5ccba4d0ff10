"""What antiphon's session tells, as the framework's events, futures and streams."""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from livekit.agents import APIConnectionError, APIError, llm

from antiphon import (
    ConnectError,
    ConnectionClosed,
    ErrorInfo,
    FunctionCall,
    Lane,
    Outcome,
    OutcomeKind,
    Report,
    ReportKind,
    RequestError,
    RequestTimeout,
    ResponseHandle,
    Session,
)
from antiphon.livekit.chat_ctx import Mirror, from_wire
from antiphon.livekit.compat import known, realtime_error
from antiphon.livekit.generation import Generation
from antiphon.livekit.metrics import (
    Stopwatch,
    connection_metrics,
    response_metrics,
    transcription_metrics,
)

if TYPE_CHECKING:
    from antiphon.livekit.session import RealtimeSession

__all__ = ["FATAL_CODES", "Listening"]

logger = logging.getLogger("antiphon.livekit")

Created = asyncio.Future[llm.GenerationCreatedEvent]

FATAL_CODES = frozenset(
    {
        "account_deactivated",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
    }
)
"""P-92: with these every response fails, so a new connection would only fail again."""

_NO_RESPONSE = frozenset({OutcomeKind.LOST, OutcomeKind.REJECTED, OutcomeKind.TIMED_OUT})


class Listening:
    """Listens to one client session for one session of the framework's.

    Invariant: a handle is in `_generations` from its first sight until it is done, and in
    `_waiting` as long as nobody has answered its future.
    """

    def __init__(self, session: "RealtimeSession", client: Session, mirror: Mirror) -> None:
        self._session = session
        self._client = client
        self._mirror = mirror
        self._model = session.model
        self._generations: dict[ResponseHandle, Generation] = {}
        self._watches: dict[ResponseHandle, Stopwatch] = {}
        self._waiting: dict[ResponseHandle, Created] = {}
        # Messages whose words are known better than from what was generated: as they were heard.
        self._fixed: set[str] = set()
        self._speech_began: dict[str, float] = {}
        self._heard: dict[tuple[str, int], str] = {}
        # Words of items that are not there yet (P-187).
        self._early_words: dict[str, tuple[str, float | None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._attempts_left = self._retries + 1
        self._failed = False
        self._closing = False
        self.over = False
        """Whether the session has ended for good."""
        for name, listener in self._table().items():
            client.on(name, listener)

    def _table(self) -> dict[str, Callable[[Any], None]]:
        transcription = "conversation.item.input_audio_transcription"
        return {
            "opened": self._on_opened,
            "ended": self._on_ended,
            "done": self._on_done,
            "function_call": self._on_function_call,
            "conversation.item.added": self._on_item,
            "conversation.item.created": self._on_item,
            "conversation.item.done": self._on_item,
            "conversation.item.deleted": self._on_item_deleted,
            "response.output_item.done": self._on_output_item_done,
            "input_audio_buffer.speech_started": self._on_speech_started,
            "input_audio_buffer.speech_stopped": self._on_speech_stopped,
            f"{transcription}.delta": self._on_transcription_delta,
            f"{transcription}.completed": self._on_transcribed,
            f"{transcription}.failed": self._on_transcription_failed,
            "error": self._on_error,
            "report": self._on_report,
            "connected": self._on_connected,
            "connect_failed": self._on_connect_failed,
            "disconnected": self._on_disconnected,
            "reconnected": self._on_reconnected,
            "closed": self._on_closed,
        }

    @property
    def _retries(self) -> int:
        return self._model.options.conn_options.max_retry

    # --- responses ------------------------------------------------------------------------------

    def expect(self, handle: ResponseHandle, waiting: Created, *, audio_output: bool) -> None:
        """`waiting` is to learn of this response, which the framework asked for."""
        self._generations[handle] = Generation(
            handle, audio_output=audio_output, user_initiated=True
        )
        self._waiting[handle] = waiting

        def settled(future: Created) -> None:
            if future.cancelled():
                _ = handle.cancel()
            elif future.exception() is not None:
                pass  # looked at, so that asyncio does not log what the caller chose not to see

        waiting.add_done_callback(settled)

    def _on_opened(self, handle: ResponseHandle) -> None:
        generation = self._generations.get(handle)
        if generation is None:
            if not handle.from_server:
                watch = self._watches[handle] = Stopwatch()
                handle.subscribe(watch.feed)
                return
            if handle.outcome is not None:
                return  # P-67: nothing but its end was ever sent
            audio = self._model.capabilities.audio_output
            generation = self._generations[handle] = Generation(handle, audio_output=audio)
        waiting = self._waiting.get(handle)
        if waiting is not None:
            if waiting.done() or handle.outcome is not None:
                return  # cancelled just now: the response is about to be
            del self._waiting[handle]
        self._watches[handle] = generation.watch
        generation.watch.start()
        event = generation.event()
        if waiting is not None:
            waiting.set_result(event)
        self._session.emit("generation_created", event)

    def _on_ended(self, handle: ResponseHandle) -> None:
        generation = self._generations.get(handle)
        if generation is not None:
            generation.end()

    def _on_function_call(self, call: FunctionCall) -> None:
        for handle, generation in self._generations.items():
            if handle.id == call.response_id:
                generation.call(call)

    def _on_done(self, handle: ResponseHandle) -> None:
        outcome = handle.outcome
        assert outcome is not None, "done means that there is an outcome"
        generation = self._generations.pop(handle, None)
        waiting = self._waiting.pop(handle, None)
        watch = self._watches.pop(handle, None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(_not_created(outcome))
        if generation is not None:
            self._remember_words(handle, generation)
            generation.end()
        if watch is not None and outcome.kind not in _NO_RESPONSE and not self._closing:
            self._session.emit(
                "metrics_collected",
                response_metrics(handle, watch, **self._names()),
            )
        if outcome.kind is OutcomeKind.FAILED:
            self._fail_or_tell(
                f"response failed: {_kind_of(outcome.error) or 'unknown error'}", outcome.error
            )
        elif outcome.kind is OutcomeKind.REJECTED:
            self._tell(_api_error("the server refused a response", outcome.error))

    def _remember_words(self, handle: ResponseHandle, generation: Generation) -> None:
        if handle.lane is Lane.OUT_OF_BAND:
            return
        for item_id, words in generation.words.items():
            message = self._mirror.message(item_id)
            if message is not None and words and item_id not in self._fixed:
                message.content.append(words)
            self._fixed.discard(item_id)

    def fixed(self, item_id: str) -> None:
        """The message's words are set by what was heard of it."""
        if any(item_id in one.words for one in self._generations.values()):
            self._fixed.add(item_id)

    # --- items ----------------------------------------------------------------------------------

    def _on_item(self, event: Any) -> None:
        item_id = event.item.id
        # Not in the client's conversation: it belongs to an out-of-band response (P-31, P-41).
        if not item_id or self._client.item(item_id) is None:
            return
        if event.type == "conversation.item.done" and item_id in self._mirror:
            return
        item = from_wire(event.item)
        if item is None:
            return
        if item_id in self._early_words:
            self._hear(item, *self._early_words.pop(item_id))
        known_before = self._mirror.get(item_id)
        previous = event.previous_item_id or None
        placed_after = self._mirror.add(item, previous)
        if previous is not None and previous not in self._mirror:
            previous = placed_after
        self._session.emit(
            "remote_item_added",
            llm.RemoteItemAddedEvent(previous_item_id=previous, item=known_before or item),
        )

    def _on_item_deleted(self, event: Any) -> None:
        self._mirror.remove(event.item_id or "")
        self._speech_began.pop(event.item_id or "", None)

    def _on_output_item_done(self, event: Any) -> None:
        """`item.added` came before the arguments; a replay needs them."""
        call = self._mirror.get(event.item.id or None)
        if isinstance(call, llm.FunctionCall) and event.item.arguments:
            call.arguments = event.item.arguments

    # --- the user's speech ----------------------------------------------------------------------

    def _on_speech_started(self, event: Any) -> None:
        # Taken out again by the transcript, so it is kept only where one will come.
        if event.item_id and self._session.capabilities.user_transcription:
            self._speech_began[event.item_id] = time.time()
        self._session.emit("input_speech_started", llm.InputSpeechStartedEvent())

    def _on_speech_stopped(self, _: Any) -> None:
        self._session.emit(
            "input_speech_stopped",
            llm.InputSpeechStoppedEvent(
                user_transcription_enabled=self._session.capabilities.user_transcription
            ),
        )

    def _on_transcription_delta(self, event: Any) -> None:
        if event.delta:
            key = event.item_id or "", event.content_index or 0
            self._heard[key] = self._heard.get(key, "") + event.delta
            self._transcribed(key[0], self._heard[key], is_final=False)

    def _on_transcribed(self, event: Any) -> None:
        item_id, words = event.item_id or "", event.transcript or ""
        self._heard.pop((item_id, event.content_index or 0), None)
        sure = _confidence(event.logprobs)
        if item_id in self._mirror:
            self._hear(self._mirror.get(item_id), words, sure)
        elif item_id:
            self._early_words[item_id] = words, sure
        self._transcribed(item_id, words, is_final=True, confidence=sure)
        names = self._names()
        measured = transcription_metrics(
            event.usage,
            request_id=event.event_id or "",
            label=names["label"],
            model=self._session.transcription_model,
            provider=names["provider"],
        )
        if measured is not None:
            self._session.emit("metrics_collected", measured)

    def _hear(self, item: llm.ChatItem | None, words: str, sure: float | None) -> None:
        if isinstance(item, llm.ChatMessage):
            if words not in item.content:  # an item may come with its words already
                item.content.append(words)
            if hasattr(item, "transcript_confidence"):
                item.transcript_confidence = sure

    def _on_transcription_failed(self, event: Any) -> None:
        logger.error("the server could not transcribe the user's audio")
        words = self._heard.pop((event.item_id or "", event.content_index or 0), None)
        if words is not None:  # whoever shows the partial words waits for the final ones
            self._transcribed(event.item_id or "", words, is_final=True)
        self._speech_began.pop(event.item_id or "", None)

    def _transcribed(
        self, item_id: str, words: str, *, is_final: bool, confidence: float | None = None
    ) -> None:
        began = self._speech_began.pop(item_id, None) if is_final else None
        self._session.emit(
            "input_audio_transcription_completed",
            known(
                llm.InputTranscriptionCompleted,
                item_id=item_id,
                transcript=words,
                is_final=is_final,
                confidence=confidence,
                turn_started_at=began,
            ),
        )

    # --- errors and requests --------------------------------------------------------------------

    def watch(
        self,
        request: Awaitable[Any],
        *,
        expected: frozenset[str] = frozenset(),
        on_refusal: Callable[[], None] | None = None,
    ) -> None:
        """Nobody awaits this request: a refusal becomes an `error` event, if not expected."""

        async def look() -> None:
            try:
                await request
            except RequestError as refused:
                if on_refusal is not None:
                    on_refusal()
                if refused.code not in expected:
                    self._tell(APIError(str(refused), body=refused, retryable=True))
            except RequestTimeout as late:
                logger.warning("%s", late)
            except ConnectionClosed:
                pass

        self._spawn(look())

    def _on_error(self, event: Any) -> None:
        if _is_fatal(event.error):
            self._fail(_api_error("the server returned an error", event.error, fatal=True))

    def _on_report(self, report: Report) -> None:
        if report.kind is ReportKind.ERROR:
            self._tell(_api_error(report.detail, report.error))
        elif report.kind is not ReportKind.ABSORBED:
            logger.debug("%s: %s", report.kind, report.detail)

    def _fail_or_tell(self, message: str, error: ErrorInfo | None) -> None:
        if _is_fatal(error):
            self._fail(_api_error(message, error, fatal=True))
        else:
            self._tell(_api_error(message, error))

    def _fail(self, error: APIError) -> None:
        """It cannot go on, nor would a new connection help."""
        if not self._failed and not self._closing:
            self._failed = True
            self._emit_error(error, recoverable=False)
            self._spawn(self._client.close())

    def _tell(self, error: APIError) -> None:
        if not self._failed and not self._closing:
            self._emit_error(error, recoverable=True)

    def _emit_error(self, error: APIError, *, recoverable: bool) -> None:
        self._session.emit(
            "error",
            llm.RealtimeModelError(
                timestamp=time.time(),
                label=self._model.label,
                error=error,
                recoverable=recoverable,
            ),
        )

    # --- the connection -------------------------------------------------------------------------

    def connected_in(self, seconds: float) -> None:
        self._session.emit("metrics_collected", connection_metrics(seconds, **self._names()))

    def _on_connected(self, _: Session) -> None:
        self._attempts_left = self._retries

    def _on_connect_failed(self, failed: ConnectError) -> None:
        self._attempts_left -= 1
        if failed.retryable and self._attempts_left > 0:
            self._tell(APIConnectionError(str(failed)))

    def _on_disconnected(self, closed: ConnectionClosed) -> None:
        self._attempts_left = self._retries
        self._forget_turns()
        self._tell(APIConnectionError(str(closed)))

    def _on_reconnected(self, _: Session) -> None:
        self._attempts_left = self._retries
        self._forget_turns()
        self._session.emit("session_reconnected", llm.RealtimeSessionReconnectedEvent())

    def _on_closed(self, closed: ConnectionClosed) -> None:
        self.over = True
        cause = closed.__cause__
        self._fail(APIConnectionError(str(cause or closed), retryable=False))

    def _forget_turns(self) -> None:
        """The next connection gives the user's items new ids."""
        self._speech_began.clear()
        self._heard.clear()
        self._early_words.clear()

    async def close(self) -> None:
        self._closing = True
        for generation in self._generations.values():
            generation.end()
        await self._client.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _names(self) -> dict[str, str]:
        model = self._model
        return {"label": model.label, "model": model.model, "provider": model.provider}

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _not_created(outcome: Outcome) -> llm.RealtimeError:
    error = outcome.error
    match outcome.kind:
        case OutcomeKind.TIMED_OUT:
            return realtime_error("generate_reply timed out.")
        case OutcomeKind.LOST:
            return realtime_error("pending response discarded due to session reconnection")
        case OutcomeKind.CANCELLED:
            return realtime_error("interrupted before the server had created the response")
        case _:
            said = (error.message if error is not None else None) or f"response {outcome}"
            return realtime_error(said, code=(error.code or None) if error is not None else None)


def _api_error(message: str, error: ErrorInfo | None, *, fatal: bool = False) -> APIError:
    said = error.message if error is not None else None
    return APIError(f"{message}: {said}" if said else message, body=error, retryable=not fatal)


def _kind_of(error: ErrorInfo | None) -> str | None:
    return (error.code or error.type or None) if error is not None else None


def _is_fatal(error: ErrorInfo | None) -> bool:
    return error is not None and bool({error.code, error.type} & FATAL_CODES)


def _confidence(logprobs: Any) -> float | None:
    """How sure the transcriber was: the geometric mean of its tokens' probabilities."""
    if not logprobs:
        return None
    return math.exp(sum(one.logprob or 0.0 for one in logprobs) / len(logprobs))
