"""The chat context: the framework's items and the protocol's, and how one list becomes another."""

import base64
import logging
from bisect import bisect_left
from collections.abc import Container, Iterable, Sequence
from typing import Any, NamedTuple

from livekit.agents import llm

from antiphon import Item
from antiphon.livekit.audio import to_pcm
from antiphon.livekit.names import Names

__all__ = ["ROOT", "Create", "Delete", "Mirror", "diff", "from_wire", "to_wire"]

logger = logging.getLogger("antiphon.livekit")

ROOT = "root"
"""P-211: as `previous_item_id` it puts an item first."""

_KINDS = ("message", "function_call", "function_call_output")
# The framework keeps an agent's instructions as messages of these ids; they are sent as the
# session's instructions, never as items. Its source says that the values must not change.
_INSTRUCTIONS = frozenset({"lk.agent_task.instructions", "lk.agent_task.instructions.dynamic"})


class Create(NamedTuple):
    """Put `item` after the item of this id, or first."""

    previous_item_id: str
    item: llm.ChatItem


class Delete(NamedTuple):
    """Remove the item of this id."""

    item_id: str


def diff(
    old: Sequence[llm.ChatItem], new: Iterable[llm.ChatItem], spared: Container[str] = ()
) -> list[Create | Delete]:
    """What turns the server's conversation, `old`, into `new`, with the fewest steps.

    Messages whose text changed are replaced. A message without content stands for something that
    is not mirrored here (audio, say): it is left alone where it exists, and not created. What is
    spared stays, although `new` does not have it.
    """
    at = {item.id: place for place, item in enumerate(old)}
    wanted: dict[str, llm.ChatItem] = {}
    for item in new:
        if item.type not in _KINDS or item.id in _INSTRUCTIONS or item.id in wanted:
            continue
        if item.type != "message" or item.content or item.id in at:
            wanted[item.id] = item
    stay = _longest_rising([(at[key], key) for key in wanted if key in at])
    steps: list[Create | Delete] = [
        Delete(item.id)
        for item in old
        if item.id not in stay and (item.id in wanted or item.id not in spared)
    ]
    previous = ROOT
    for key, item in wanted.items():
        if key not in stay:
            steps.append(Create(previous, item))
        elif _text_changed(old[at[key]], item):
            steps += (Delete(key), Create(previous, item))
        previous = key
    return steps


def _longest_rising(places: list[tuple[int, str]]) -> set[str]:
    """The most items that can stay where they are (longest increasing subsequence)."""
    tails: list[int] = []
    tail_at: list[int] = []
    before: list[int] = []
    for index, (place, _) in enumerate(places):
        length = bisect_left(tails, place)
        before.append(tail_at[length - 1] if length else -1)
        if length == len(tails):
            tails.append(place)
            tail_at.append(index)
        else:
            tails[length], tail_at[length] = place, index
    chosen: set[str] = set()
    index = tail_at[-1] if tail_at else -1
    while index >= 0:
        chosen.add(places[index][1])
        index = before[index]
    return chosen


def _text_changed(old: llm.ChatItem, new: llm.ChatItem) -> bool:
    if old.type != "message" or new.type != "message" or not old.content:
        return False
    return _as_sent(old.text_content or "") != _as_sent(new.text_content or "")


def _as_sent(text: str) -> str:
    """As the client writes it: half a surrogate pair becomes U+FFFD.

    A backend leaves half an emoji where it cuts a text by UTF-16 units. The server has it mended,
    the framework as it was, and that is no difference.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


# --- the mirror ---------------------------------------------------------------------------------


class Mirror:
    """The default conversation as the server has it, in the framework's items.

    It lives through a reconnect, because the items are then told to the new connection.

    Attributes:
        taken: how many items the server has brought by itself so far.
    """

    def __init__(self) -> None:
        self._items: dict[str, llm.ChatItem] = {}
        # Invariant: the keys of _items, each once, in the order of the conversation.
        self._order: list[str] = []
        # Invariant: of the keys of _items, those that the server brought, and as which of them.
        self._came: dict[str, int] = {}
        self.taken = 0
        # Asked for here, and not there yet.
        self.ours: set[str] = set()
        # Of the keys of _items, those that were broken off: nobody answers such a call.
        self._broken: set[str] = set()
        # Created here with "root": a null predecessor means first for these, unknown for others.
        self.first: set[str] = set()
        # Deletions under way, in the order in which they were sent (P-313).
        self.deleting: dict[str, None] = {}

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    @property
    def items(self) -> list[llm.ChatItem]:
        return [self._items[key] for key in self._order]

    def get(self, item_id: str | None) -> llm.ChatItem | None:
        return self._items.get(item_id) if item_id else None

    def message(self, item_id: str | None) -> llm.ChatMessage | None:
        item = self.get(item_id)
        return item if isinstance(item, llm.ChatMessage) else None

    def add(self, item: llm.ChatItem, previous_item_id: str | None) -> str | None:
        """Insert; returns the id of the item that it stands after, None for the first one.

        A predecessor that is not known here, as after a deletion, means the end.
        """
        key = item.id
        if key in self._items:
            place = self._order.index(key)
        else:
            if not self._order or (previous_item_id is None and key in self.first):
                place = 0
            elif previous_item_id is None or previous_item_id == self._order[-1]:
                place = len(self._order)
            elif previous_item_id in self._items:
                place = self._order.index(previous_item_id) + 1
            else:
                place = len(self._order)
            self._order.insert(place, key)
            self._items[key] = item
            if key not in self.ours:
                self.taken += 1
                self._came[key] = self.taken
        self.first.discard(key)
        self.ours.discard(key)
        return self._order[place - 1] if place else None

    def before(self, item_id: str) -> str:
        """The id of the item in front of this one; ROOT for the first."""
        place = self._order.index(item_id)
        return self._order[place - 1] if place else ROOT

    def remove(self, item_id: str) -> None:
        if self._items.pop(item_id, None) is not None:
            self._order.remove(item_id)
            self._came.pop(item_id, None)
            self._broken.discard(item_id)

    def break_off(self, item_id: str) -> None:
        """The server has not written this item to its end. Harmless if it is not here."""
        if item_id in self._items:
            self._broken.add(item_id)

    def keep(self, item_ids: Iterable[str]) -> None:
        """Forget all but these."""
        kept = set(item_ids)
        for key in [key for key in self._order if key not in kept]:
            self.remove(key)

    def unknown_to(self, taken: int | None) -> set[str]:
        """What a context cannot mean to have deleted by not having it.

        Args:
            taken: what `taken` was when the context was; None for one that was not made here, of
                which nobody knows how old it is. Then it is the calls that are being answered:
                without them their outputs would be refused (P-225).
        """
        if taken is not None:
            return {key for key, number in self._came.items() if number > taken}
        answered = {item.call_id for item in self.items if item.type == "function_call_output"}
        return {
            item.id
            for item in self.items
            if item.type == "function_call"
            and item.call_id not in answered
            and item.id in self._came
            and item.id not in self._broken
        }

    def replay(self, names: Names) -> list[dict[str, Any]]:
        """The items for a new connection; what cannot be put into words is forgotten.

        Out-of-band items were never here. A function call may still wait for its output; an
        output whose call is gone would be refused (P-225).
        """
        calls = {item.call_id for item in self.items if item.type == "function_call"}
        answered = {item.call_id for item in self.items if item.type == "function_call_output"}
        told: dict[str, dict[str, Any]] = {}
        for item in self.items:
            if item.type == "function_call_output" and item.call_id not in calls:
                continue
            if item.type == "function_call" and not item.arguments:
                if item.call_id not in answered:
                    continue  # it was being written when the connection was lost: nobody has it
            try:
                wire = to_wire(item, names)
            except Exception as wrong:
                kind = type(wrong).__name__
                logger.warning("item %s is not told again: %s: %s", item.id, kind, wrong)
                continue
            if wire is not None:
                told[item.id] = wire
        self.keep(told)
        return list(told.values())


# --- items --------------------------------------------------------------------------------------


def to_wire(item: llm.ChatItem, names: Names) -> dict[str, Any] | None:
    """An item as a client may create it; None for one that has no place on the server.

    Raises:
        Exception: an image or a piece of audio cannot be read; of the framework's kind or PIL's.
    """
    if item.type == "function_call":
        wire: dict[str, Any] = {
            "call_id": names.out(item.call_id),
            "name": item.name,
            "arguments": item.arguments,
        }
    elif item.type == "function_call_output":
        wire = {"call_id": names.out(item.call_id), "output": item.output}
    elif item.type == "message":
        role = "system" if item.role == "developer" else item.role
        parts = [_part(part, role) for part in item.content]
        content = [part for part in parts if part is not None]
        if not content:
            return None
        wire = {"role": role, "content": content}
    else:
        return None
    return {"id": names.out(item.id), "type": item.type, **wire}


def _part(part: Any, role: str) -> dict[str, Any] | None:
    if isinstance(part, llm.ImageContent):
        return _image(part) if role == "user" else None
    if isinstance(part, llm.AudioContent):
        if role != "user":
            words = part.transcript or ""
            return {"type": "output_text", "text": words} if words else None
        audio = base64.b64encode(to_pcm(part.frame)).decode()
        spoken = {"type": "input_audio", "audio": audio}
        words = part.transcript or ""
        return {**spoken, "transcript": words} if words else spoken
    if isinstance(part, str) or hasattr(part, "render"):  # the framework's Instructions
        kind = "output_text" if role == "assistant" else "input_text"
        return {"type": kind, "text": str(part)}
    return None


def _image(image: llm.ImageContent) -> dict[str, Any] | None:
    serialized = llm.utils.serialize_image(image)
    if serialized.data_bytes is None:
        logger.warning("an image at an external address was left out: the API takes data only")
        return None
    data = base64.b64encode(serialized.data_bytes).decode()
    part = {"type": "input_image", "image_url": f"data:{serialized.mime_type};base64,{data}"}
    # "auto" is the server's default.
    detail = serialized.inference_detail
    return part if detail == "auto" else {**part, "detail": detail}


def from_wire(item: Item, names: Names) -> llm.ChatItem | None:
    """The server's item as the framework has it, without audio; None for a kind it has not."""
    if not item.id:
        return None
    item_id = names.back(item.id)
    call_id = names.back(item.call_id) if item.call_id else item_id
    if item.type == "function_call":
        return llm.FunctionCall(
            id=item_id,
            call_id=call_id,
            name=item.name or "",
            arguments=item.arguments or "",
        )
    if item.type == "function_call_output":
        return llm.FunctionCallOutput(
            id=item_id, call_id=call_id, output=item.output or "", is_error=False
        )
    if item.type != "message" or item.role not in ("user", "assistant", "system"):
        return None
    content: list[llm.ChatContent] = []
    for part in item.content or ():
        if part.image_url:
            content.append(llm.ImageContent(image=part.image_url))
        elif words := part.text or part.transcript:
            content.append(words)
    return llm.ChatMessage(id=item_id, role=item.role, content=content)  # type: ignore[arg-type]
