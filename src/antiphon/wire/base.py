"""What every message on the wire has in common, and what stands in for one that is not understood.

Three things can come out of a frame: a typed event (see `server_events` and `client_events`), an
`UnknownEvent` when its type is not one of ours, or a `Malformed` report when it is no event at all.
None of them is an exception: a peer decides what it sends, so nothing it sends may raise.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import cache
from types import MemberDescriptorType
from typing import Any, ClassVar, TypeAlias, TypeVar, cast, final, get_args

import msgspec
from msgspec import UNSET, UnsetType

__all__ = [
    "UNSET",
    "Event",
    "Malformed",
    "MalformedReason",
    "Maybe",
    "UnknownEvent",
    "UnsetType",
    "WireStruct",
    "attach_raw",
]

_T = TypeVar("_T")

Maybe: TypeAlias = _T | UnsetType | None
"""A field that may be absent (``UNSET``: falsy, left out when encoding) or null (``None``)."""


class WireStruct(msgspec.Struct, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """A JSON object inside an event: an item, a response, a usage record, ..."""


class _RawSlot:
    # A slot outside the struct's fields: the JSON encoder, equality and repr do not see it.
    __slots__ = ("_raw",)
    _raw: bytes


class Event(
    _RawSlot, msgspec.Struct, frozen=True, kw_only=True, tag_field="type", repr_omit_defaults=True
):
    """One message, of either direction. Immutable; ``msgspec.structs.replace`` makes a variant.

    Field names are the names on the wire. `type` is the GA name, also when the event arrived
    under a beta name.
    """

    type: ClassVar[str]

    event_id: Maybe[str] = UNSET

    @property
    def raw(self) -> bytes:
        """The frame that this event was decoded from, as UTF-8 JSON; halves of characters in it
        are U+FFFD.

        Empty for an event made in code, and for an audio delta whose every byte was accounted
        for while decoding, so that there is nothing in the frame that the fields do not hold.
        """
        try:
            return self._raw
        except AttributeError:
            return b""

    def unknown_fields(self) -> dict[str, Any]:
        """Return what the frame held beyond the fields of this class, by path.

        A path is ``"phase"`` for a field of the event and ``"item.content[0].phase"`` for one
        further in. Objects that are passed on whole (a session, metadata, a tool's parameters)
        are not searched. Costs a second parse of `raw`; nothing is kept. Empty when the frame
        cannot be parsed as a whole: the decoder never looks inside a field that it does not know.
        """
        found: dict[str, Any] = {}
        if self.raw:
            try:
                frame = msgspec.json.decode(self.raw)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                return found
            _collect_unknown(frame, type(self), "", found)
            found.pop("type", None)
        return found


attach_raw: Callable[[Event, bytes], None] = cast(
    MemberDescriptorType, _RawSlot.__dict__["_raw"]
).__set__
"""Remember the frame that an event was decoded from. For the codec only: the slot's own
descriptor, because events are frozen for everyone else."""


def _collect_unknown(
    value: Any, struct: type[msgspec.Struct], path: str, found: dict[str, Any]
) -> None:
    known = _nested_structs(struct)
    for name, inner in value.items():
        where = f"{path}.{name}" if path else name
        if name not in known:
            found[where] = inner
        elif (nested := known[name]) is not None:
            if isinstance(inner, dict):
                _collect_unknown(inner, nested, where, found)
            elif isinstance(inner, list):
                for index, element in enumerate(inner):
                    _collect_unknown(element, nested, f"{where}[{index}]", found)


@cache
def _nested_structs(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct] | None]:
    """Map each field's wire name to the struct that it, or its list's elements, decode to."""
    return {f.encode_name: _struct_in(f.type) for f in msgspec.structs.fields(struct)}


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    for argument in get_args(annotation):
        if (found := _struct_in(argument)) is not None:
            return found
    return None


class UnknownEvent(msgspec.Struct, frozen=True):
    """A well-formed event of a type that this version does not know.

    Never an error: servers add events. Can be encoded, too, to send a provider's own event.

    Args:
        type: the type as it stood on the wire.
        fields: every field of the frame, ``type`` included.
        raw: the frame it was decoded from; empty when made in code.
    """

    type: str
    fields: dict[str, Any]
    raw: bytes = b""


class MalformedReason(StrEnum):
    """Why a frame is no event."""

    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    NOT_OBJECT = "not_object"
    NO_TYPE = "no_type"
    TYPE_NOT_STRING = "type_not_string"
    MISSING_FIELD = "missing_field"
    BAD_BASE64 = "bad_base64"
    WRONG_FIELD = "wrong_field"


@final
class Malformed(msgspec.Struct, frozen=True):
    """A frame that could not be read as an event. Holds no text of the payload.

    Args:
        reason: what is wrong.
        detail: one sentence more, with field names and byte offsets only.
        size: length of the frame in bytes (of a text frame given as ``str``: in UTF-8).
        type: the event type, if the frame named one of ours.
        response_id: the response that it concerns, if that much could be read: then only this
            response is in doubt, not the session.
        param: path of the offending field, such as ``"item.id"``, when one field is to blame.
    """

    reason: MalformedReason
    detail: str
    size: int
    type: str | None = None
    response_id: str | None = None
    param: str | None = None
