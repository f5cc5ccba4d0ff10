"""What a new connection needs to go on where the old one was lost.

A new socket is a new conversation (P-278). The snapshot holds the configuration that the server had
accepted and the items of the default conversation in a form in which a client may create them.
Out-of-band items were never in the mirror, so they are not replayed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from antiphon.wire.items import ContentPart, Item

__all__ = ["Snapshot", "merged", "replayable", "replayed"]


class Snapshot(msgspec.Struct, frozen=True):
    """The state to build a `Connection` from.

    Attributes:
        session: the configuration to send, as for `session.update`.
        items: the items to create, in order.
        left_out: how many items are not in it: without words (untranscribed audio, images dropped
            by the server, tool listings), or calls that wait for their output.
    """

    session: dict[str, Any]
    items: tuple[Item, ...] = ()
    left_out: int = 0


def replayable(items: Iterable[Item]) -> tuple[tuple[Item, ...], int]:
    """The items as a client may create them, and how many could not be kept.

    Whether a client may create assistant audio is in doubt (P-226), and audio is not kept here, so
    it is replayed as its words, as is the user's. A function call is kept only with its output, and
    the other way round: half a pair would be refused (P-225).
    """
    everything = list(items)
    called = {item.call_id for item in everything if item.type == "function_call"}
    answered = {item.call_id for item in everything if item.type == "function_call_output"}
    kept: list[Item] = []
    for item in everything:
        half = item.call_id not in called & answered and item.type in _PAIRED
        copy = None if half else replayed(item)
        if copy is not None:
            kept.append(copy)
    return tuple(kept), len(everything) - len(kept)


def replayed(item: Item) -> Item | None:
    """The item as a client may create it; None where it cannot."""
    if item.type == "message":
        text_type = "output_text" if item.role == "assistant" else "input_text"
        parts = (_replay_part(part, text_type) for part in item.content or ())
        content = [part for part in parts if part is not None]
        if not content:
            return None
        return Item(type="message", id=item.id, role=item.role, content=content)
    if item.type == "function_call":
        return Item(
            type="function_call",
            id=item.id,
            call_id=item.call_id,
            name=item.name,
            arguments=item.arguments,
        )
    if item.type == "function_call_output":
        return Item(
            type="function_call_output", id=item.id, call_id=item.call_id, output=item.output
        )
    return None


_PAIRED = frozenset({"function_call", "function_call_output"})


def _replay_part(part: ContentPart, text_type: str) -> ContentPart | None:
    words = part.text or part.transcript
    if words:
        return ContentPart(type=text_type, text=words)
    if part.type == "input_image" and part.image_url:
        return ContentPart(type="input_image", image_url=part.image_url)
    return None


def merged(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """P-252: fields left out of an update keep their value; nested objects merge likewise."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and key not in _WHOLE:
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


# Objects that replace one another instead of merging: another `type` means other fields.
_WHOLE = frozenset({"turn_detection", "tool_choice", "tracing", "prompt"})
