"""Items of the default conversation: what is asked of the server about them, and what it tells.

`conversation` is the mirror. After a loss the next connection is told what it holds, in a form in
which a client may create it (see `snapshot`); what has to wait until then waits here.
"""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from antiphon.protocol.conversation import Conversation
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.effects import Effects
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.snapshot import replayed
from antiphon.wire.base import UNSET, Maybe
from antiphon.wire.client_events import (
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
)
from antiphon.wire.items import ErrorInfo, Item, ResponseResource
from antiphon.wire.server_events import (
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemRetrieved,
    ConversationItemTruncated,
)

__all__ = ["Items"]

_Told = ConversationItemAdded | ConversationItemCreated | ConversationItemDone


class Items:
    """The items of one connection.

    Args:
        prefix: begins every item id made here.
        requests: the connection's.
        remembered: of how many out-of-band items it is known that they are such.

    Attributes:
        conversation: the mirror.
        truncates: whether the server knows how to truncate, as far as is known.
    """

    __slots__ = (
        "_calls_left",
        "_in_words",
        "_made",
        "_out_of_band",
        "_prefix",
        "_remembered",
        "_replayed",
        "_requests",
        "conversation",
        "truncates",
    )

    def __init__(self, prefix: str, requests: Requests, remembered: int) -> None:
        self._prefix = prefix
        self._requests = requests
        self._remembered = remembered
        self._made = 0
        # Items of out-of-band responses, which never belong to the conversation (P-31).
        self._out_of_band: dict[str, None] = {}
        # Ids of items of an earlier connection that the server has not answered yet.
        self._replayed: set[str] = set()
        # Calls of an earlier connection that were not replayed, for want of an output, by call id.
        self._calls_left: dict[str, Item] = {}
        # Items that the server knows as words, since it was told them again (P-226); None: all.
        self._in_words: set[str] | None = set()
        self.conversation = Conversation()
        self.truncates = True

    # --- asked ----------------------------------------------------------------------------------

    def create(self, item: Item, previous_item_id: Maybe[str], now: float, to: Effects) -> Request:
        """Put an item into the conversation. It gets an id here if it has none."""
        if not item.id:
            self._made += 1
            item = replace(item, id=f"item_{self._prefix}{self._made}"[:32])
        event_id = self._requests.next_event_id()
        event = ConversationItemCreate(
            event_id=event_id, item=item, previous_item_id=previous_item_id
        )
        if self._requests.online:
            self.put_back_call(event, now, to)
        request = Request(
            event_id, RequestKind.ITEM_CREATE, subject=item.id or None, payload=previous_item_id
        )
        return self._requests.ask(event, request, now, to)

    def retrieve(self, item_id: str, now: float, effects: Effects) -> Request:
        event_id = self._requests.next_event_id()
        event = ConversationItemRetrieve(event_id=event_id, item_id=item_id)
        request = Request(event_id, RequestKind.ITEM_RETRIEVE, subject=item_id)
        return self._requests.ask(event, request, now, effects)

    def delete(self, item_id: str, now: float, effects: Effects) -> Request:
        event_id = self._requests.next_event_id()
        event = ConversationItemDelete(event_id=event_id, item_id=item_id)
        request = Request(event_id, RequestKind.ITEM_DELETE, subject=item_id)
        return self._requests.ask(event, request, now, effects)

    def truncate(self, point: TruncatePoint, share: float, now: float, effects: Effects) -> Request:
        """Have the server forget what was not heard.

        Args:
            point: where.
            share: which part of the whole was heard, from 0 to 1.
            now: the time.
            effects: takes what follows.
        """
        if self._in_words is None or point.item_id in self._in_words:
            return self._cut_words(point, share, now, effects)
        event_id = self._requests.next_event_id()
        event = ConversationItemTruncate(
            event_id=event_id,
            item_id=point.item_id,
            content_index=point.content_index,
            audio_end_ms=point.audio_end_ms,
        )
        request = Request(event_id, RequestKind.ITEM_TRUNCATE, subject=point.item_id, payload=share)
        return self._requests.ask(event, request, now, effects)

    def _cut_words(
        self, point: TruncatePoint, share: float, now: float, effects: Effects
    ) -> Request:
        """As `truncate`, for what was said over an earlier connection.

        There is no audio of it on this server (P-226), so it is said anew: as many of its words
        as were heard, by the share of the time, and none where that is less than one.
        """
        item_id = point.item_id
        request = Request("", RequestKind.ITEM_TRUNCATE, subject=item_id)
        item = self.conversation.get(item_id)
        if item is None:
            self._requests.answer(request, None, effects)
            return request
        heard = _heard(item, share)
        if self._in_words is None:
            # There is no server yet; the next one is told no more than this.
            self.conversation.put(heard)
            self._requests.answer(request, None, effects)
            return request
        before = self.conversation.before(item_id)
        request = self.delete(item_id, now, effects)
        words = replayed(heard)
        if words is not None:
            anew = self.create(replace(words, id=None), before or "root", now, effects)
            self._in_words.add(str(anew.subject))
        return request

    # --- from one connection to the next --------------------------------------------------------

    def cut_unanswered(self, request: Request) -> None:
        """The connection went before the server said that it had truncated this."""
        item = self.conversation.get(request.subject or "")
        if item is not None:
            self.conversation.put(_heard(item, request.payload))

    def follow(self, lost: "Items") -> None:
        """Show what the other one had, and keep what it could not have replayed."""
        self.conversation = lost.conversation
        self._in_words = None
        self._calls_left = dict(lost._calls_left)
        for item in lost.conversation.unanswered:
            if item.type == "function_call" and item.call_id:
                self._calls_left[item.call_id] = item

    def replay(self, items: Iterable[Item], now: float, effects: Effects) -> None:
        """Make this the conversation. It is shown at once; what the server refuses goes again."""
        self.conversation = Conversation()
        self._in_words = set()
        for item in items:
            request = self.create(item, UNSET, now, effects)
            request.event = None  # it is in the conversation, and not asked for a second time
            assert request.subject is not None, "every item that is created has an id"
            self._replayed.add(request.subject)
            self._in_words.add(request.subject)
            self.conversation.add(replace(item, id=request.subject), None)
            if item.type == "function_call" and item.call_id:
                self._calls_left.pop(item.call_id, None)

    def put_back_call(self, event: ConversationItemCreate, now: float, effects: Effects) -> None:
        """P-225: an output needs its call, which was not replayed as long as it had none."""
        if event.item.type != "function_call_output":
            return
        call = self._calls_left.pop(event.item.call_id or "", None)
        call = None if call is None else replayed(call)
        if call is not None:
            self.create(call, event.previous_item_id, now, effects)

    # --- told -----------------------------------------------------------------------------------

    def added(self, event: _Told, now: float, effects: Effects) -> None:
        item_id = event.item.id
        if not item_id or item_id in self._out_of_band:
            return
        request = self._requests.find(RequestKind.ITEM_CREATE, item_id)
        previous = event.previous_item_id or None
        if request is not None:
            self.conversation.admit(item_id)
            if previous is None and request.payload == "root":
                previous = "root"
        self.conversation.add(event.item, previous)
        self._replayed.discard(item_id)
        self._requests.answer(request, event.item, effects)

    def done(self, event: ConversationItemDone, now: float, effects: Effects) -> None:
        if event.item.id and event.item.id in self.conversation:
            self.conversation.update(event.item)
        else:
            self.added(event, now, effects)

    def retrieved(self, event: ConversationItemRetrieved, now: float, effects: Effects) -> None:
        request = self._requests.find(RequestKind.ITEM_RETRIEVE, event.item.id or None)
        self._requests.answer(request, event.item, effects)

    def truncated(self, event: ConversationItemTruncated, now: float, effects: Effects) -> None:
        if event.item_id:
            self.conversation.truncate(event.item_id, event.content_index or 0)
        request = self._requests.find(RequestKind.ITEM_TRUNCATE, event.item_id or None)
        self._requests.answer(request, None, effects)

    def deleted(self, event: ConversationItemDeleted, now: float, effects: Effects) -> None:
        request = self._requests.find_deletion(event.item_id or None)
        item_id = event.item_id or (request.subject if request is not None else None)
        if item_id:
            self.conversation.delete(item_id)
        self._requests.answer(request, None, effects)

    def refused(self, request: Request, error: ErrorInfo) -> None:
        """The server would not do it."""
        if request.kind is RequestKind.ITEM_TRUNCATE and error.param == "type":
            self.truncates = False  # P-299: there is no such event on this server
        if request.kind is RequestKind.ITEM_CREATE and request.subject in self._replayed:
            self._replayed.discard(request.subject)
            self.conversation.drop(request.subject)

    # --- what responses bring forth -------------------------------------------------------------

    def note_out_of_band(self, item_id: str) -> None:
        self._out_of_band[item_id] = None
        if len(self._out_of_band) > self._remembered:
            del self._out_of_band[next(iter(self._out_of_band))]

    def in_conversation(self, item_ids: Sequence[str]) -> list[str]:
        """Those that no response brought forth out of band: the server keeps none of these."""
        return [item_id for item_id in item_ids if item_id not in self._out_of_band]

    def learn(self, item: Item) -> None:
        """An item of a response of the default conversation is complete."""
        if item.id and item.id not in self._out_of_band:
            self.conversation.learn(item)

    def learn_all(self, resource: ResponseResource) -> None:
        """As `learn`, for all that a response says it brought forth."""
        for item in resource.output or ():
            self.learn(item)


def _heard(item: Item, share: float) -> Item:
    """The item with the words that were heard of it, rounded down to whole ones."""
    content = []
    for part in item.content or ():
        words = (part.transcript or part.text or "").split()
        said = " ".join(words[: int(len(words) * share)]) or None
        content.append(replace(part, transcript=said, text=None))
    return replace(item, content=content)
