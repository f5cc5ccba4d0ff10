"""Brings the server's conversation to what the framework wants, and learns what was refused."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from livekit.agents import llm

from antiphon import (
    ConnectionClosed,
    LocalProtocolError,
    PendingRequest,
    RequestError,
    RequestTimeout,
    Session,
)
from antiphon.livekit.chat_ctx import ROOT, Create, Delete, Mirror, diff, to_wire
from antiphon.livekit.compat import realtime_error
from antiphon.livekit.names import Names

__all__ = ["GONE_ALREADY", "Reconciler", "Step"]

logger = logging.getLogger("antiphon.livekit")

Step = Create | Delete

GONE_ALREADY = frozenset({"item_delete_invalid_item_id"})
"""What a deletion gets of an item that is not there (P-223): as was wanted."""

_AS_WANTED = GONE_ALREADY | {"item_create_duplicate_item_id"}
_TIMEOUT = 5.0
_RESENDS = 3


class Reconciler:
    """Creates and deletes items. One list at a time; each request gets its own answer."""

    def __init__(self, client: Session, mirror: Mirror, names: Names) -> None:
        self._client = client
        self._mirror = mirror
        self._names = names
        self._lock = asyncio.Lock()

    async def bring_to(self, items: Iterable[llm.ChatItem], taken: int | None = None) -> None:
        """Make the conversation this one, but for what its author cannot know of.

        Args:
            items: the conversation.
            taken: when they were; see `Mirror.unknown_to`.

        Raises:
            llm.RealtimeError: something was refused, or not answered in time.
            ConnectionClosed: the session has ended.
        """
        async with self._lock:
            spared = self._mirror.unknown_to(taken)
            steps = self._sendable(diff(self._mirror.items, items, spared))
            if not steps:
                return
            try:
                async with asyncio.timeout(_TIMEOUT):
                    refused = await self._carry_out(steps)
            except TimeoutError:
                raise realtime_error("update_chat_ctx timed out.") from None
        if refused:
            first = refused[0]
            raise realtime_error(
                f"the server refused {len(refused)} of {len(steps)} changes: {first}",
                code=getattr(first, "code", None),
            )

    def send(self, steps: Sequence[Step]) -> list[PendingRequest[Any]]:
        """Send these without waiting.

        Raises:
            ConnectionClosed: the session has ended.
            LocalProtocolError: an item cannot be written as JSON.
        """
        return [self._send(step) for step in self._sendable(steps)]

    async def _carry_out(self, steps: Sequence[Step]) -> list[RequestError | LocalProtocolError]:
        """All at once, in order; then once more what only its predecessor's refusal spoiled."""
        sent: list[tuple[Step, PendingRequest[Any] | LocalProtocolError]] = []
        for step in steps:
            try:
                sent.append((step, self._send(step)))
            except LocalProtocolError as wrong:  # no JSON: this one alone stays out
                sent.append((step, wrong))
        answers = [(step, await self._answer(step, request)) for step, request in sent]
        spoiled = {step.item.id for step, error in answers if error and isinstance(step, Create)}
        missing: dict[str, str] = {}
        refused: list[RequestError | LocalProtocolError] = []
        for step, error in answers:
            if error is None:
                continue
            if isinstance(step, Create):
                previous = step.previous_item_id
                while previous in missing:
                    previous = missing[previous]
                if step.previous_item_id in spoiled:
                    again = Create(previous, step.item)
                    error = await self._answer(again, self._send(again))
                if error is not None:
                    missing[step.item.id] = previous
            if error is not None:
                refused.append(error)
        return refused

    async def _answer(
        self, step: Step, request: PendingRequest[Any] | LocalProtocolError
    ) -> RequestError | LocalProtocolError | None:
        """None when the server did it. A request that was lost with its connection goes again."""
        if isinstance(request, LocalProtocolError):
            return request
        for _ in range(_RESENDS):
            try:
                await request
            except RequestError as refused:
                if isinstance(step, Delete):
                    self._mirror.deleting.pop(step.item_id, None)
                else:
                    self._mirror.ours.discard(step.item.id)
                if refused.code not in _AS_WANTED:
                    return refused
                if isinstance(step, Delete):
                    self._mirror.remove(step.item_id)
            except RequestTimeout as late:
                raise realtime_error(str(late)) from late
            except ConnectionClosed:
                # Raises when the session has ended; else it is held for the next connection,
                # behind the replay.
                request = self._send(step)
                continue
            return None
        raise realtime_error("the connection was lost again and again")

    def _send(self, step: Step) -> PendingRequest[Any]:
        if isinstance(step, Delete):
            request = self._client.delete_item(self._names.out(step.item_id))
            self._mirror.deleting[step.item_id] = None
            return request
        if step.previous_item_id == ROOT:
            self._mirror.first.add(step.item.id)
        self._mirror.ours.add(step.item.id)
        item = to_wire(step.item, self._names)
        assert item is not None, "only what can be sent gets here"
        previous = self._names.out(step.previous_item_id)
        return self._client.create_item(item, previous_item_id=previous)

    def _sendable(self, steps: Sequence[Step]) -> list[Step]:
        """Without items that have nothing to send; what was to follow them follows others."""
        instead: dict[str, str] = {}
        kept: list[Step] = []
        for step in steps:
            if isinstance(step, Create):
                previous = step.previous_item_id
                previous = instead.get(previous, previous)
                try:
                    sendable = to_wire(step.item, self._names) is not None
                except Exception as wrong:
                    # An image that is none, audio that cannot be resampled: the rest goes on.
                    kind = type(wrong).__name__
                    logger.warning("item %s was left out: %s: %s", step.item.id, kind, wrong)
                    sendable = False
                if not sendable:
                    instead[step.item.id] = previous
                    continue
                step = Create(previous, step.item)
            kept.append(step)
        return kept
