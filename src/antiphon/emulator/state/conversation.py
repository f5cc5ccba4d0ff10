"""The default conversation: items in order, and what clients may do to them (P-210 to P-228).

A doubly linked list, so that inserting after any item, deleting, and finding the end all take the
same time however long the conversation is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from antiphon.emulator.knobs.choices import DuplicateItemId
from antiphon.emulator.shapes import errors

__all__ = ["Conversation", "ConversationItem", "count_tokens"]

Json = dict[str, Any]
ROOT = "root"


def count_tokens(text: str) -> int:
    """Tokens of a text as the emulator counts them: one per four characters, rounded up."""
    return -(-len(text) // 4)


@dataclass(slots=True, eq=False)
class ConversationItem:
    """An item as the server keeps it.

    `body` is the item as it goes over the wire, without audio. `audio` is what the user said, if
    the client sent it. `audio_ms` is how much audio the item holds; for the assistant's audio,
    `audio_start_ms` says where it begins in its response's audio, and `truncated` that a client
    cut it: what is generated after that no longer adds to it.

    `is_unheard` while the user's audio is being transcribed. `spoken` is the assistant's audio if
    it is real speech. `heard_by_user` is what a chat model is told of an item that was cut.
    """

    body: Json
    audio: bytes | None = None
    audio_ms: int = 0
    audio_start_ms: int = 0
    truncated: bool = False
    response_id: str | None = None
    transcript: str | None = None
    is_unheard: bool = False
    spoken: bytearray = field(default_factory=bytearray, repr=False)
    heard_by_user: str = ""
    text_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    before: "ConversationItem | None" = field(default=None, repr=False)
    after: "ConversationItem | None" = field(default=None, repr=False)

    @property
    def id(self) -> str:
        """The item's id."""
        return str(self.body["id"])

    def text(self) -> str:
        """What the item says, in words, as far as the server knows them."""
        kind = self.body["type"]
        if kind == "function_call_output":
            return str(self.body["output"])
        if kind != "message":
            return ""
        words = [part.get("text") or part.get("transcript") or "" for part in self.body["content"]]
        return self.transcript or " ".join(word for word in words if word)

    def remember(self, words: str, length_ms: int) -> None:
        """Keep of the words of a cut item, `length_ms` long, what was played before the cut."""
        played = words[: len(words) * self.audio_ms // max(1, length_ms)]
        self.heard_by_user = played.rpartition(" ")[0] if played != words else words

    def recount(self) -> None:
        """Bring the token counts up to date with the body."""
        kind = self.body["type"]
        texts = [str(self.body.get("arguments") or ""), str(self.body.get("output") or "")]
        self.image_tokens = 0
        if kind == "message":
            for part in self.body["content"]:
                texts.append(str(part.get("text") or part.get("transcript") or ""))
                self.image_tokens += 258 if part["type"] == "input_image" else 0
        self.text_tokens = sum(map(count_tokens, texts))
        # Ten tokens a second of user audio, twenty of the assistant's.
        per_token = 50 if self.body.get("role") == "assistant" else 100
        self.audio_tokens = -(-self.audio_ms // per_token)


class Conversation:
    """Items of the default conversation.

    Invariant: `_by_id[x]` is the item last added under id x, and is in the list.
    Invariant: the token sums equal the sums over the list.
    """

    def __init__(self, conversation_id: str) -> None:
        self.id = conversation_id
        self.first: ConversationItem | None = None
        self.last: ConversationItem | None = None
        self.text_tokens = 0
        self.audio_tokens = 0
        self.image_tokens = 0
        self._by_id: dict[str, ConversationItem] = {}
        self._calls: dict[str, list[str]] = {}
        self._unanswered: dict[str, None] = {}

    def __iter__(self) -> Iterator[ConversationItem]:
        item = self.first
        while item is not None:
            yield item
            item = item.after

    def latest(self) -> Iterator[ConversationItem]:
        """Items from the last to the first."""
        item = self.last
        while item is not None:
            yield item
            item = item.before

    def get(self, item_id: str) -> ConversationItem | None:
        """The item of this id, or None."""
        return self._by_id.get(item_id)

    def has_call(self, call_id: str) -> bool:
        """Whether a function call of this id is in the conversation."""
        return call_id in self._calls

    def item_of_call(self, call_id: str) -> str | None:
        """Id of the item that holds this function call, or None."""
        items = self._calls.get(call_id)
        return items[-1] if items else None

    def unanswered(self) -> str | None:
        """Id of the oldest function call without output, or None."""
        return next(iter(self._unanswered), None)

    def place(self, previous_item_id: str | None) -> ConversationItem | None:
        """The item after which `previous_item_id` puts a new one; None for the very front.

        Raises:
            Refusal: there is no such item (P-212).
        """
        if not previous_item_id:  # absent, null or "" append (P-210)
            return self.last
        if previous_item_id == ROOT:  # P-211
            return None
        found = self._by_id.get(previous_item_id)
        if found is None:
            raise errors.previous_item_missing(previous_item_id)
        return found

    def insert(self, item: ConversationItem, after: ConversationItem | None) -> None:
        """Put an item behind `after`, or in front of everything."""
        item.before = after
        item.after = self.first if after is None else after.after
        if item.before is None:
            self.first = item
        else:
            item.before.after = item
        if item.after is None:
            self.last = item
        else:
            item.after.before = item
        self._by_id[item.id] = item
        if item.body["type"] == "function_call":
            self._calls.setdefault(str(item.body["call_id"]), []).append(item.id)
            self._unanswered[str(item.body["call_id"])] = None
        elif item.body["type"] == "function_call_output":
            self._unanswered.pop(str(item.body["call_id"]), None)
        item.recount()
        self._count(item, 1)

    def append(self, item: ConversationItem) -> None:
        """Put an item at the end."""
        self.insert(item, self.last)

    def recount(self, item: ConversationItem) -> None:
        """Take a changed body into the sums; harmless for an item that is gone."""
        present = self._by_id.get(item.id) is item
        if present:
            self._count(item, -1)
        item.recount()
        if present:
            self._count(item, 1)

    def delete(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            Refusal: there is none (P-223).
        """
        item = self._by_id.pop(item_id, None)
        if item is None:
            raise errors.item_missing("delete", item_id)
        if item.before is None:
            self.first = item.after
        else:
            item.before.after = item.after
        if item.after is None:
            self.last = item.before
        else:
            item.after.before = item.before
        if item.body["type"] == "function_call":
            call_id = str(item.body["call_id"])
            self._calls[call_id].remove(item_id)
            if not self._calls[call_id]:
                del self._calls[call_id]
                self._unanswered.pop(call_id, None)
        self._count(item, -1)

    def forget_audio(self) -> None:
        """Let the audio of all items go: nobody can ask for it any more."""
        for item in self:
            item.audio = None
            item.spoken.clear()

    def discard(self, items: Iterable[ConversationItem]) -> None:
        """Remove items if they are still there, without a word."""
        for item in items:
            if self._by_id.get(item.id) is item:
                self.delete(item.id)

    def duplicate(self, item_id: str, policy: DuplicateItemId) -> bool:
        """Whether a client item of this id is to be passed over without a word (P-213).

        Raises:
            Refusal: the policy is to refuse it.
        """
        if item_id not in self._by_id or policy is DuplicateItemId.APPEND:
            return False
        if policy is DuplicateItemId.ERROR:
            raise errors.item_exists(item_id)
        return True

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> ConversationItem:
        """Cut an assistant's audio to `audio_end_ms` and forget its transcript (P-218).

        Raises:
            Refusal: no such item (P-219), not such audio (P-221), or not so much of it (P-220).
        """
        item = self._by_id.get(item_id)
        if item is None:
            raise errors.truncate_missing(item_id)
        content = item.body.get("content") or []
        is_audio = (
            item.body.get("role") == "assistant"
            and content_index < len(content)
            and content[content_index]["type"] == "output_audio"
            and (item.audio_ms > 0 or item.truncated)
        )
        if not is_audio:
            raise errors.truncate_not_audio()
        if audio_end_ms > item.audio_ms:
            raise errors.truncate_too_long(item.audio_ms, audio_end_ms)
        length_ms, item.audio_ms = item.audio_ms, audio_end_ms
        item.truncated = True
        words = str(content[content_index].pop("transcript", None) or item.heard_by_user)
        item.remember(words, length_ms)
        item.transcript = None
        self.recount(item)
        return item

    def _count(self, item: ConversationItem, sign: int) -> None:
        self.text_tokens += sign * item.text_tokens
        self.audio_tokens += sign * item.audio_tokens
        self.image_tokens += sign * item.image_tokens
