"""The conversation's items: what the server tells of them, and what was shown or heard of them."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from livekit.agents import llm

from antiphon import ConnectionClosed, FunctionCall, Item, Session
from antiphon.livekit.chat_ctx import Create, Delete, Mirror, from_wire, to_wire
from antiphon.livekit.names import Names
from antiphon.livekit.reconciling import GONE_ALREADY, Reconciler, Step
from antiphon.livekit.snapshot import Snapshot, taken_at
from antiphon.livekit.telling import Teller

__all__ = ["Items"]

logger = logging.getLogger("antiphon.livekit")


class Items:
    """Keeps the mirror of the default conversation, and has the server follow it.

    Args:
        writes: whether a response is in flight that this message belongs to.
    """

    def __init__(self, client: Session, teller: Teller, *, writes: Callable[[str], bool]) -> None:
        self._client = client
        self._teller = teller
        self._writes = writes
        self._names = Names()
        self._mirror = Mirror()
        self._reconciler = Reconciler(client, self._mirror, self._names)
        # Messages cut while they are written: the words that stand for them (None: left as they
        # are), and those that the server is to be given in place of its own when it is done.
        self._cut: dict[str, str | None] = {}
        self._rewrite: set[str] = set()
        # Deleted and created again in one go: they do not leave the mirror in between.
        self._replacing: set[str] = set()
        # Words of items that are not there yet (P-187).
        self._early_words: dict[str, tuple[str, float | None]] = {}
        listeners: dict[str, Callable[[Any], None]] = {
            "conversation.item.added": self._on_item,
            "conversation.item.created": self._on_item,
            "conversation.item.done": self._on_item,
            "conversation.item.deleted": self._on_deleted,
            "response.output_item.done": self._on_output_item_done,
            "function_call": self._on_function_call,
            "disconnected": self._on_new_conversation,
            "reconnected": self._on_new_conversation,
        }
        for name, listener in listeners.items():
            client.on(name, listener)

    @property
    def context(self) -> llm.ChatContext:
        """The default conversation as the server has it."""
        return Snapshot(self._mirror.items, self._mirror.taken)

    def to_wire(self, item: Any) -> Mapping[str, Any]:
        """A chat item, or the protocol's own, as context for one response.

        Raises:
            ValueError: nothing of it can be sent.
        """
        if isinstance(item, Mapping):
            return item
        wire = to_wire(item, self._names)
        if wire is None:
            raise ValueError(f"input: nothing of item {item.id} can be sent")
        return wire

    def replay(self) -> tuple[Item, ...]:
        """For a new connection: the framework's items, which know what was heard of them."""
        return tuple(msgspec.convert(item, Item) for item in self._mirror.replay(self._names))

    async def bring_to(self, context: llm.ChatContext) -> None:
        """Make the conversation this one; see `Reconciler.bring_to`."""
        await self._reconciler.bring_to(context.items, taken_at(context))

    # --- what was shown or heard ----------------------------------------------------------------

    def cut_text(self, message_id: str, shown: str) -> None:
        """Only this much of a written message was shown; the server is to keep no more.

        A message that is still being written is replaced when the server is done with it: until
        then it would write on.
        """
        message = self._mirror.message(message_id)
        writing = self._writes(message_id)
        if message is not None:
            message.content = [shown] if shown else []
        if writing:
            self._cut[message_id] = shown
            self._rewrite.add(message_id)
        elif message is not None:
            self._replace(message)

    def cut_audio(self, message_id: str, heard_ms: int, heard: str | None) -> None:
        """Only this much of a spoken message was heard."""
        if self._writes(message_id):
            self._cut[message_id] = heard
        if heard_ms <= 0:
            self._delete(message_id)
            return
        for request in self._client.truncate(self._names.out(message_id), heard_ms=heard_ms):
            # Some servers cannot (P-299), and some words cannot be cut (P-221); the chat context
            # has the words that were heard all the same.
            self._teller.watch(request, housekeeping=True)
        message = self._mirror.message(message_id)
        if message is not None and heard:
            message.content = [heard]

    def written(self, words: Mapping[str, str], *, lost: bool) -> None:
        """A response is over; these are the words of its messages, by item id.

        Args:
            lost: whether the connection went, and the conversation with it.
        """
        for message_id, whole in words.items():
            message = self._mirror.message(message_id)
            if message_id in self._cut:
                # The server may have written on after the last word that came here (P-64), so
                # what it has is replaced even where all that came was shown.
                del self._cut[message_id]
                rewrite = message_id in self._rewrite
                self._rewrite.discard(message_id)
                if rewrite and message is not None and not lost:
                    with suppress(ConnectionClosed):
                        self._replace(message)
            elif message is not None and whole and whole not in message.content:
                message.content.append(whole)

    def hear(self, item_id: str, words: str, sure: float | None) -> None:
        """The words of the user's audio; `sure` from 0 to 1."""
        item = self._mirror.get(item_id)
        if item is not None:
            _hear(item, words, sure)
        elif item_id:
            self._early_words[item_id] = words, sure

    def _replace(self, message: llm.ChatMessage) -> None:
        """Have the server forget its version of the message, and know ours."""
        steps: list[Step] = [Delete(message.id)]
        if message.content:
            steps.append(Create(self._mirror.before(message.id), message))
            self._replacing.add(message.id)

        def refused() -> None:
            self._replacing.discard(message.id)
            self._mirror.deleting.pop(message.id, None)

        for request in self._reconciler.send(steps):
            self._teller.watch(request, expected=GONE_ALREADY, on_refusal=refused)

    def _delete(self, message_id: str) -> None:
        for request in self._reconciler.send([Delete(message_id)]):
            self._teller.watch(
                request,
                expected=GONE_ALREADY,
                on_refusal=lambda: self._mirror.deleting.pop(message_id, None),
            )

    # --- what the server tells ------------------------------------------------------------------

    def _on_item(self, event: Any) -> None:
        wire_id = event.item.id
        # Not in the client's conversation: it belongs to an out-of-band response (P-31, P-41).
        if not wire_id or self._client.item(wire_id) is None:
            return
        item_id = self._names.back(wire_id)
        if event.type == "conversation.item.done" and item_id in self._mirror:
            return
        item = from_wire(event.item, self._names)
        if item is None:
            return
        if item_id in self._early_words:
            _hear(item, *self._early_words.pop(item_id))
        if item_id in self._rewrite and isinstance(item, llm.ChatMessage):
            shown = self._cut[item_id]
            item.content = [shown] if shown else []
        known_before = self._mirror.get(item_id)
        previous = self._names.back(event.previous_item_id) if event.previous_item_id else None
        placed_after = self._mirror.add(item, previous)
        if previous is not None and previous not in self._mirror:
            previous = placed_after
        self._teller.emit(
            "remote_item_added",
            llm.RemoteItemAddedEvent(previous_item_id=previous, item=known_before or item),
        )

    def _on_deleted(self, event: Any) -> None:
        if event.item_id:
            item_id = self._names.back(event.item_id)
        else:
            # P-313: one server leaves the id empty; it answers in order.
            item_id = next(iter(self._mirror.deleting), "")
        self._mirror.deleting.pop(item_id, None)
        if item_id in self._replacing:
            self._replacing.discard(item_id)
            return
        self._mirror.remove(item_id)

    def _on_output_item_done(self, event: Any) -> None:
        """`item.added` came before the arguments; a replay needs them."""
        if event.item.status == "incomplete":
            self._mirror.break_off(self._names.back(event.item.id or ""))
        if event.item.id and event.item.arguments:
            self._set_arguments(event.item.id, event.item.arguments)

    def _on_function_call(self, call: FunctionCall) -> None:
        self._names.back(call.call_id)  # the server's, whatever it looks like
        if call.item_id:
            self._set_arguments(call.item_id, call.arguments)

    def _set_arguments(self, wire_id: str, arguments: str) -> None:
        call = self._mirror.get(self._names.back(wire_id))
        if isinstance(call, llm.FunctionCall):
            call.arguments = arguments

    def _on_new_conversation(self, _: Any) -> None:
        """The next connection gives the user's items new ids, and knows of no deletion."""
        self._early_words.clear()
        self._replacing.clear()
        self._mirror.deleting.clear()


def _hear(item: llm.ChatItem, words: str, sure: float | None) -> None:
    if not isinstance(item, llm.ChatMessage):
        return
    # An item may come with its words already, or with the first of them (P-298).
    kept = [part for part in item.content if not (isinstance(part, str) and words.startswith(part))]
    item.content = [*kept, words]
    if hasattr(item, "transcript_confidence"):
        item.transcript_confidence = sure
