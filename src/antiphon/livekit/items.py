"""Brings the server's conversation to what the framework wants, and learns what was refused."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from livekit.agents import llm

from antiphon import ConnectionClosed, PendingRequest, RequestError, RequestTimeout, Session
from antiphon.livekit.chat_ctx import ROOT, Create, Delete, Mirror, diff, to_wire
from antiphon.livekit.compat import realtime_error

__all__ = ["ItemSync"]

logger = logging.getLogger("antiphon.livekit")

Step = Create | Delete

# The item is there, or is gone, as was wanted.
_AS_WANTED = frozenset({"item_create_duplicate_item_id", "item_delete_invalid_item_id"})
_TIMEOUT = 5.0
_RESENDS = 3


class ItemSync:
    """Creates and deletes items. One list at a time; each request gets its own answer."""

    def __init__(self, client: Session, mirror: Mirror) -> None:
        self._client = client
        self._mirror = mirror
        self._lock = asyncio.Lock()

    async def become(self, items: Iterable[llm.ChatItem]) -> None:
        """Make the conversation this one.

        Raises:
            llm.RealtimeError: something was refused, or not answered in time.
        """
        async with self._lock:
            steps = self._sendable(diff(self._mirror.items, items))
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
                code=first.code,
            )

    def issue(self, steps: Sequence[Step]) -> list[PendingRequest[Any]]:
        """Send these without waiting."""
        return [self._send(step) for step in self._sendable(steps)]

    async def _carry_out(self, steps: Sequence[Step]) -> list[RequestError]:
        """All at once, in order; then once more what only its predecessor's refusal spoiled."""
        sent = [(step, self._send(step)) for step in steps]
        answers = [(step, await self._answer(step, request)) for step, request in sent]
        spoiled = {step.item.id for step, error in answers if error and isinstance(step, Create)}
        missing: dict[str, str] = {}
        refused: list[RequestError] = []
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

    async def _answer(self, step: Step, request: PendingRequest[Any]) -> RequestError | None:
        """None when the server did it. A request that was lost with its connection goes again."""
        for _ in range(_RESENDS):
            try:
                await request
            except RequestError as refused:
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
        try:
            if isinstance(step, Delete):
                return self._client.delete_item(step.item_id)
            if step.previous_item_id == ROOT:
                self._mirror.first.add(step.item.id)
            item = to_wire(step.item)
            assert item is not None, "only what can be sent gets here"
            return self._client.create_item(item, previous_item_id=step.previous_item_id)
        except ConnectionClosed as closed:
            raise realtime_error("realtime session closed") from closed

    def _sendable(self, steps: Sequence[Step]) -> list[Step]:
        """Without items that have nothing to send; what was to follow them follows others."""
        instead: dict[str, str] = {}
        kept: list[Step] = []
        for step in steps:
            if isinstance(step, Create):
                previous = step.previous_item_id
                previous = instead.get(previous, previous)
                try:
                    sendable = to_wire(step.item) is not None
                except ValueError as wrong:
                    logger.warning("item %s was left out: %s", step.item.id, wrong)
                    sendable = False
                if not sendable:
                    instead[step.item.id] = previous
                    continue
                step = Create(previous, step.item)
            kept.append(step)
        return kept
