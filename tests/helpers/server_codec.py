"""The server's end of the wire: it writes what `Codec` reads, and reads what `Codec` writes.

Works on plain JSON, so that it shares the message types with the codec and no way through them.
"""

import json
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import CLIENT_EVENTS, ClientEvent
from antiphon.wire.dialects import BETA, GA, Dialect, session_from_beta, session_to_beta
from antiphon.wire.server_events import ServerEvent

__all__ = ["ServerCodec"]

# P-127
_BETA_TYPES = {
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "conversation.item.added": "conversation.item.created",
}
# P-128
_TO_BETA_PARTS = {"output_text": "text", "output_audio": "audio"}
_FROM_BETA_PARTS = {beta: ga for ga, beta in _TO_BETA_PARTS.items()}

_decoder = msgspec.json.Decoder(reduce(or_, CLIENT_EVENTS))


class ServerCodec:
    """Reads and writes the frames of a server.

    Args:
        dialect: how they are spelled; on this side events are GA events always.
    """

    def __init__(self, dialect: Dialect = GA) -> None:
        self._beta = dialect is BETA

    def encode(self, event: ServerEvent | UnknownEvent) -> bytes:
        """One event as a server sends it, without a space in the frame."""
        fields = event.fields if isinstance(event, UnknownEvent) else event
        frame = msgspec.json.encode(fields)
        return _compact(_event_to_beta(json.loads(frame))) if self._beta else frame

    def decode(self, frame: bytes) -> ClientEvent:
        """One event of a client.

        Raises:
            msgspec.MsgspecError: it is none.
        """
        if self._beta:
            frame = _compact(_event_from_beta(json.loads(frame)))
        event: ClientEvent = _decoder.decode(frame)
        return event


def _compact(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def _event_to_beta(event: dict[str, Any]) -> dict[str, Any]:
    changed = {**event, "type": _BETA_TYPES.get(event["type"], event["type"])}
    if event["type"] in ("session.created", "session.updated"):
        changed["session"] = session_to_beta(event["session"])
    elif event["type"] in ("response.created", "response.done"):
        response = session_to_beta(event["response"])
        # Only a request calls it max_response_output_tokens; a response never did.
        if "max_response_output_tokens" in response:
            response["max_output_tokens"] = response.pop("max_response_output_tokens")
        changed["response"] = _with_items(response, "output", _TO_BETA_PARTS)
    elif isinstance(event.get("item"), dict):
        changed["item"] = _item(event["item"], _TO_BETA_PARTS)
    return changed


def _event_from_beta(event: dict[str, Any]) -> dict[str, Any]:
    changed = dict(event)
    if event["type"] == "session.update":
        changed["session"] = session_from_beta(event["session"])
    elif event["type"] == "response.create" and isinstance(event.get("response"), dict):
        response = session_from_beta(event["response"])
        changed["response"] = _with_items(response, "input", _FROM_BETA_PARTS)
    elif isinstance(event.get("item"), dict):
        changed["item"] = _item(event["item"], _FROM_BETA_PARTS)
    return changed


def _with_items(holder: dict[str, Any], name: str, part_types: dict[str, str]) -> dict[str, Any]:
    if not holder.get(name):
        return holder
    return {**holder, name: [_item(item, part_types) for item in holder[name]]}


def _item(item: dict[str, Any], part_types: dict[str, str]) -> dict[str, Any]:
    if not item.get("content"):
        return item
    parts = [
        {**part, "type": part_types.get(part.get("type"), part.get("type"))}
        if "type" in part
        else part
        for part in item["content"]
    ]
    return {**item, "content": parts}
