"""Responses, as the framework's generations: who is waiting for which, and what became of it."""

import asyncio
from collections.abc import Callable
from typing import Any

from livekit.agents import APIError, llm

from antiphon import FunctionCall, Lane, Outcome, OutcomeKind, ResponseHandle, Session
from antiphon.livekit.compat import realtime_error
from antiphon.livekit.generation import Generation
from antiphon.livekit.items import Items
from antiphon.livekit.metrics import response_metrics
from antiphon.livekit.telling import Teller

__all__ = ["Replies"]

Created = asyncio.Future[llm.GenerationCreatedEvent]

_NO_RESPONSE = frozenset({OutcomeKind.LOST, OutcomeKind.REJECTED, OutcomeKind.TIMED_OUT})


class Replies:
    """The responses of one session.

    Invariant: a handle is in `_generations` from its first sight until it is done, and in
    `_waiting` as long as nobody has answered its future.

    Args:
        audio_output: whether responses that the server makes by itself are spoken.
    """

    def __init__(
        self, client: Session, teller: Teller, items: Items, *, audio_output: bool
    ) -> None:
        self._teller = teller
        self._items = items
        self._audio_output = audio_output
        self._generations: dict[ResponseHandle, Generation] = {}
        # Those that began, and whether they are spoken: the framework is to have their metrics.
        self._counted: dict[ResponseHandle, bool] = {}
        self._waiting: dict[ResponseHandle, Created] = {}
        listeners: dict[str, Callable[[Any], None]] = {
            "opened": self._on_opened,
            "ended": self._on_ended,
            "done": self._on_done,
            "function_call": self._on_function_call,
        }
        for name, listener in listeners.items():
            client.on(name, listener)

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

    def writes(self, item_id: str) -> bool:
        """Whether a response is in flight that this message belongs to."""
        return any(item_id in generation.words for generation in self._generations.values())

    def end(self) -> None:
        """Nothing more is to be read."""
        for generation in self._generations.values():
            generation.end()

    def _on_opened(self, handle: ResponseHandle) -> None:
        generation = self._generations.get(handle)
        if generation is None:
            if not handle.from_server:
                self._counted[handle] = False  # its text may be all that it is
                return
            if handle.outcome is not None:
                return  # P-67: nothing but its end was ever sent
            generation = self._generations[handle] = Generation(
                handle, audio_output=self._audio_output
            )
        waiting = self._waiting.get(handle)
        if waiting is not None:
            outcome = handle.outcome
            # P-311: one that was never announced is known from its end, and is all here.
            whole = outcome is None or outcome.kind is OutcomeKind.COMPLETED
            if waiting.done() or not whole:
                return  # cancelled just now: the response is about to be
            del self._waiting[handle]
        self._counted[handle] = generation.audio_output
        event = generation.event()
        if waiting is not None:
            waiting.set_result(event)
        self._teller.emit("generation_created", event)

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
        spoken = self._counted.pop(handle, None)
        if waiting is not None and not waiting.done():
            waiting.set_exception(_not_created(outcome))
        if generation is not None:
            if handle.lane is not Lane.OUT_OF_BAND:
                self._items.written(generation.words, lost=outcome.kind is OutcomeKind.LOST)
            generation.end()
        if spoken is not None and outcome.kind not in _NO_RESPONSE and not self._teller.silent:
            names = self._teller.names()
            self._teller.emit("metrics_collected", response_metrics(handle, spoken=spoken, **names))
        if outcome.kind is OutcomeKind.FAILED:
            error = outcome.error
            kind = (error.code or error.type or None) if error is not None else None
            self._teller.said(f"response failed: {kind or 'unknown error'}", error)
        elif outcome.kind is OutcomeKind.REJECTED:
            error = outcome.error
            said = error.message if error is not None else None
            words = "the server refused a response" + (f": {said}" if said else "")
            self._teller.recoverable(APIError(words, body=error, retryable=True))


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
