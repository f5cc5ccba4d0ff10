"""What clients do to items: create, retrieve, truncate, delete (P-104 to P-107, P-210 to P-228)."""

import re
from typing import Any

import pybase64

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.audio.speech import block_ms, synthesize
from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.hearing import Hearing
from antiphon.emulator.engine.lanes import Lanes
from antiphon.emulator.engine.output import announce_item
from antiphon.emulator.engine.response import Response
from antiphon.emulator.knobs.choices import Dialect, ItemsDuringResponse, TruncateReply
from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.conversation import ConversationItem

__all__ = ["Items", "audio_in", "check_ids", "decode_audio"]

Json = dict[str, Any]
MAX_APPEND_BYTES = 15 * 1024 * 1024  # P-101
_SPACE = re.compile(r"\s")


def decode_audio(text: str, audio: AudioFormat) -> bytes:
    """Audio from base64, whole samples.

    Raises:
        Refusal: it is no base64, too much, or ends within a sample.
    """
    expected = "mono PCM16 at 24kHz" if audio.sample_bytes == 2 else f"{audio.name} at 8kHz"
    try:
        data = pybase64.b64decode(text, validate=True)
    except ValueError:
        raise errors.invalid_audio(expected) from None
    if len(data) > MAX_APPEND_BYTES:
        raise errors.append_too_large(MAX_APPEND_BYTES)
    if len(data) % audio.sample_bytes:
        raise errors.invalid_audio(expected)
    return data


def check_ids(core: Core, asked: Json, path: str) -> None:
    """Refuse ids that are longer than this server takes (P-214, P-216).

    Raises:
        Refusal: one is.
    """
    limit = core.behaviour.max_id_chars
    for name in ("id", "call_id"):
        given = asked.get(name)
        if given is not None and len(given) > limit:
            raise errors.too_long(f"{path}.{name}", limit, len(given))


def audio_in(core: Core, part: Json) -> tuple[bytes, AudioFormat]:
    """The audio of a content part that a client gave, and its format.

    Raises:
        Refusal: it is no audio.
    """
    session = core.session
    heard = part["type"] == "input_audio"
    audio = session.input_format if heard else session.output_format  # P-226
    return decode_audio(_SPACE.sub("", part.get("audio") or ""), audio), audio


class Items:
    """Client events about items of the default conversation."""

    def __init__(self, core: Core, lanes: Lanes, hearing: Hearing) -> None:
        self._core = core
        self._hearing = hearing
        self._lanes = lanes
        self._deferred: dict[str, list[tuple[Json, str | None, str | None]]] = {}

    def create(self, body: Json, previous_item_id: str | None, event_id: str | None) -> None:
        """`conversation.item.create`.

        Raises:
            Refusal: the item is not added.
        """
        response = self._calling_response(body) or self._response_to_wait_for()
        if response is not None:
            # P-143: an output that comes before its call's response is done waits for it.
            waiting = self._deferred.setdefault(response.id, [])
            waiting.append((body, previous_item_id, event_id))
        else:
            self._add(body, previous_item_id)

    def add(self, body: Json) -> None:
        """Append an item that came in another way than its own event."""
        self._add(body, None)

    def flush(self, response: Response) -> None:
        """Add what waited for this response's done."""
        for body, previous_item_id, event_id in self._deferred.pop(response.id, ()):
            try:
                self._add(body, previous_item_id)
            except Refusal as refusal:
                self._core.refuse(refusal, event_id)

    def retrieve(self, item_id: str) -> None:
        """`conversation.item.retrieve`: the item with its audio (P-105, P-227)."""
        item = self._core.conversation.get(item_id)
        if item is None:
            raise errors.item_missing("retrieve", item_id)
        body = dict(item.body)
        audio = self._audio_of(item)
        if audio and body.get("content"):
            part = {**body["content"][0], "audio": pybase64.b64encode_as_string(audio)}
            body["content"] = [part, *body["content"][1:]]
        self._core.emit("conversation.item.retrieved", item=body)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """`conversation.item.truncate` (P-106, P-218 to P-221)."""
        match self._core.behaviour.truncate_reply:
            case TruncateReply.SILENT:
                return  # P-308
            case TruncateReply.UNSUPPORTED:
                values = ("conversation.item.create", "conversation.item.delete")  # P-299
                raise errors.invalid_value("type", "conversation.item.truncate", values)
        self._core.conversation.truncate(item_id, content_index, audio_end_ms)
        self._core.emit(
            "conversation.item.truncated",
            item_id=item_id,
            content_index=content_index,
            audio_end_ms=audio_end_ms,
        )

    def delete(self, item_id: str) -> None:
        """`conversation.item.delete` (P-107, P-223)."""
        self._core.conversation.delete(item_id)
        self._core.emit("conversation.item.deleted", item_id=item_id)

    def _calling_response(self, body: Json) -> Response | None:
        if body["type"] != "function_call_output":
            return None
        item_id = self._core.conversation.item_of_call(str(body["call_id"]))
        item = self._core.conversation.get(item_id) if item_id is not None else None
        if item is None or item.response_id is None:
            return None
        return self._lanes.active.get(item.response_id)

    def _response_to_wait_for(self) -> Response | None:
        if self._core.behaviour.items_during_response is ItemsDuringResponse.AT_ONCE:
            return None
        return self._lanes.default_in_progress()  # P-308

    def _add(self, asked: Json, previous_item_id: str | None) -> None:
        core, conversation = self._core, self._core.conversation
        check_ids(core, asked, "item")
        if asked["type"] == "function_call_output" and not conversation.has_call(asked["call_id"]):
            raise errors.call_not_found(asked["call_id"])
        item = self._new(asked)
        after = conversation.place(previous_item_id)
        if conversation.duplicate(item.id, core.behaviour.duplicate_item_id):
            return
        conversation.insert(item, after)
        announce_item(core, item)

    def _new(self, asked: Json) -> ConversationItem:
        core = self._core
        body: Json = {
            "id": asked.get("id") or self._new_id(),
            "object": "realtime.item",
            "type": asked["type"],
            "status": "completed",
        }
        if asked["type"].startswith("mcp_"):  # P-474
            del body["object"], body["status"]
        body |= {name: value for name, value in asked.items() if name not in _OWN_FIELDS}
        if asked["type"] == "function_call":
            body.setdefault("call_id", core.ids.new("call"))
        item = ConversationItem(body)
        if "content" in asked:
            body["content"] = [self._part(part, item) for part in asked["content"]]
        return item

    def _new_id(self) -> str:
        # P-292: one character more than elsewhere.
        longer = "0" if self._core.behaviour.dialect is Dialect.VOICE_LIVE else ""
        return self._core.ids.new("item") + longer

    def _part(self, part: Json, item: ConversationItem) -> Json:
        if part["type"] not in ("input_audio", "output_audio"):
            return dict(part)
        data, audio = audio_in(self._core, part)
        item.audio = (item.audio or b"") + data
        item.audio_ms = len(item.audio) // audio.bytes_per_ms
        if part["type"] == "input_audio":
            self._hearing.hear(item, audio, known=part.get("transcript") or "")
        return {"type": part["type"], "transcript": part.get("transcript")}

    def _audio_of(self, item: ConversationItem) -> bytes:
        if item.response_id is None and item.body.get("role") != "assistant":
            return item.audio or b""
        audio = self._core.session.output_format
        if item.response_id is None:
            return (item.audio or b"")[: item.audio_ms * audio.bytes_per_ms]
        if item.spoken:
            return bytes(item.spoken[: item.audio_ms * audio.bytes_per_ms])
        length = item.audio_ms // block_ms(audio) * block_ms(audio)
        return synthesize(item.response_id, item.audio_start_ms, length, audio)


_OWN_FIELDS = frozenset({"id", "object", "type", "status", "content"})
