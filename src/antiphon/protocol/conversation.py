"""Mirror of the default conversation: its items, their order, what was truncated.

Items of out-of-band responses never enter it (P-31). Audio is never kept, so its size follows the
words that were spoken.
"""

from collections.abc import Iterator

from msgspec.structs import replace

from antiphon.wire.items import ContentPart, Item

__all__ = ["Conversation"]

# P-211: "root" puts an item first.
_ROOT = "root"
# What the first item comes after. No item has this id.
_START = ""
# How many deleted ids are remembered.
_DELETED = 256


class Conversation:
    """Items by id, in order. Every operation takes constant time, however long the talk."""

    __slots__ = (
        "_after",
        "_answered",
        "_before",
        "_deleted",
        "_items",
        "_last",
        "_truncated",
        "_unanswered",
    )

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        # A doubly linked list. Invariant: _before[_after[x]] == x for every x, _START included,
        # and _last is the one that nothing comes after.
        self._after: dict[str, str] = {}
        self._before: dict[str, str] = {}
        self._last = _START
        # Invariant: ids of items whose audio was cut.
        self._truncated: set[str] = set()
        # Invariant: what waits for an answer of the application's, by what the answer will name.
        self._unanswered: dict[str, str] = {}
        # What has its answer, by the same; as long as the answer is there.
        self._answered: dict[str, str] = {}
        # The latest ids that were deleted: a server may go on about an item that is gone.
        self._deleted: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def __iter__(self) -> Iterator[Item]:
        at = self._after.get(_START)
        while at is not None:
            yield self._items[at]
            at = self._after.get(at)

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    @property
    def unanswered(self) -> tuple[Item, ...]:
        """Calls without their output, and MCP approvals that were asked for and not given."""
        return tuple(self._items[item_id] for item_id in self._unanswered.values())

    @property
    def owes(self) -> bool:
        """Whether anything is `unanswered`."""
        return bool(self._unanswered)

    def add(self, item: Item, previous_item_id: str | None) -> None:
        """Insert after `previous_item_id`; None or an unknown id appends, "root" puts it first.

        A null on the wire can mean "first" (P-211), but some servers put a stray null on every
        event (P-297), so the caller says "root" only where it knows that first was asked for.
        """
        item_id = item.id
        if not item_id or item_id in self._deleted:
            return
        self._note_answer(item, item_id)
        if item_id in self._items:
            # P-213: some servers accept a duplicate id. There is still one item of that name.
            self._items[item_id] = item
            return
        if previous_item_id and previous_item_id in self._items:
            before = previous_item_id
        else:
            before = _START if previous_item_id == _ROOT else self._last
        self._items[item_id] = item
        after = self._after.get(before)
        self._after[before] = item_id
        self._before[item_id] = before
        if after is None:
            self._last = item_id
        else:
            self._after[item_id] = after
            self._before[after] = item_id

    def update(self, item: Item) -> None:
        """Replace an item by a fuller version of it; unknown ids are left alone.

        What a client was told of the words stays when the new version lacks them: the server's
        item events for user audio carry no transcript (P-185).
        """
        item_id = item.id
        old = self._items.get(item_id) if item_id else None
        if old is None or not item_id:
            return
        if item_id in self._truncated:
            # P-218: what was cut off stays forgotten, whoever still tells it.
            content = [replace(part, transcript=None) for part in item.content or ()]
            item = replace(item, content=content)
        elif old.content and item.content:
            known = [part.transcript for part in old.content]
            known += [None] * (len(item.content) - len(known))
            content = [
                replace(part, transcript=words) if words and not part.transcript else part
                for part, words in zip(item.content, known, strict=False)
            ]
            item = replace(item, content=content)
        self._note_answer(item, item_id)
        self._items[item_id] = item

    def put(self, item: Item) -> None:
        """Put another version of an item in its place; unknown ids are left alone."""
        if item.id in self._items:
            self._items[item.id] = item

    def before(self, item_id: str) -> str | None:
        """What it comes after; None where it is the first, or unknown."""
        return self._before.get(item_id) or None

    def learn(self, item: Item) -> None:
        """Take note of an item of a response, from whatever tells of it first, or tells more.

        Some servers complete an item of their own only in `response.output_item.done` or in
        `response.done` (P-136, P-295).
        """
        if item.id in self._items:
            self.update(item)
        else:
            self.add(item, None)

    def delete(self, item_id: str) -> bool:
        """Remove an item for good: what is said of it later is ignored. False: there was none."""
        self._deleted[item_id] = None
        if len(self._deleted) > _DELETED:
            del self._deleted[next(iter(self._deleted))]
        return self.drop(item_id)

    def admit(self, item_id: str) -> None:
        """An item of this id may be there (again)."""
        self._deleted.pop(item_id, None)

    def drop(self, item_id: str) -> bool:
        """Remove an item; False when there was none."""
        item = self._items.pop(item_id, None)
        if item is None:
            return False
        self._forget_answer(item, item_id)
        before = self._before.pop(item_id)
        after = self._after.pop(item_id, None)
        if after is None:
            self._after.pop(before, None)
            self._last = before
        else:
            self._after[before] = after
            self._before[after] = before
        self._truncated.discard(item_id)
        return True

    def truncate(self, item_id: str, content_index: int) -> None:
        """P-218: truncating deletes the item's transcript, here as on the server."""
        if item_id in self._items:
            self._truncated.add(item_id)
            self._set_transcript(item_id, content_index, None)

    def transcribe(self, item_id: str, content_index: int, transcript: str) -> None:
        """Put the words of the user's audio into its item, if the item is there yet (P-187)."""
        if item_id in self._items:
            self._set_transcript(item_id, content_index, transcript)

    def _note_answer(self, item: Item, item_id: str) -> None:
        if item.type in _ANSWERS:
            answers = _answers(item)
            self._answered[answers] = item_id
            self._unanswered.pop(answers, None)
        elif item.type in _ASKS:
            name = _asks(item, item_id)
            if item.status and item.status != "completed":
                self._unanswered.pop(name, None)  # not complete yet, or never (I8)
            elif name not in self._answered:
                self._unanswered[name] = item_id

    def _forget_answer(self, item: Item, item_id: str) -> None:
        if item.type in _ANSWERS:
            self._answered.pop(_answers(item), None)
        elif item.type in _ASKS:
            self._unanswered.pop(_asks(item, item_id), None)

    def _set_transcript(self, item_id: str, content_index: int, transcript: str | None) -> None:
        item = self._items[item_id]
        content = list(item.content or [ContentPart(type="input_audio")])
        if 0 <= content_index < len(content):
            content[content_index] = replace(content[content_index], transcript=transcript)
            self._items[item_id] = replace(item, content=content)


_ASKS = frozenset({"function_call", "mcp_approval_request"})
_ANSWERS = frozenset({"function_call_output", "mcp_approval_response"})


def _asks(item: Item, item_id: str) -> str:
    return (item.call_id or item_id) if item.type == "function_call" else item_id


def _answers(item: Item) -> str:
    name = item.call_id if item.type == "function_call_output" else item.approval_request_id
    return name or ""
