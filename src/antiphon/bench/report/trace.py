"""Raw events as lines that a person reads."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from antiphon.bench.report.model import Line, Role, Side

__all__ = ["Tracer", "fold"]

Json = Mapping[str, Any]
_LONGEST = 160  # characters of a line
_WORDS = 48  # characters of a delta or a message that are shown


class Tracer:
    """Names responses as they appear (R1, R2, ...) and describes events.

    Args:
        names: names for responses known beforehand, by response id.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._names = dict(names or {})

    def name(self, response_id: str, *, hint: str = "") -> str:
        """The name of a response; `hint` is added when the name is made."""
        if response_id not in self._names:
            self._names[response_id] = f"R{len(self._names) + 1}{hint and ' ' + hint}"
        return self._names[response_id]

    def line(self, at_ms: float, side: Side, event: Json | bytes | str) -> Line:
        """One event as a line.

        Args:
            at_ms: milliseconds since the beginning of the case.
            side: who sent it.
            event: parsed; or what was no JSON object.
        """
        if not isinstance(event, Mapping):
            raw = event if isinstance(event, str) else event.decode("utf-8", "replace")
            text = f"(no JSON event) {_short(raw, _LONGEST)!r}"
            return Line(at_ms=at_ms, side=side, text=text, role=Role.ERROR)
        kind = str(event.get("type"))
        lane = self._lane(event)
        told = " ".join(part for part in (kind, self._says(kind, event)) if part)
        return Line(
            at_ms=at_ms,
            side=side,
            text=_short(told, _LONGEST),
            lane=lane,
            role=_role(kind, side),
        )

    def note(self, at_ms: float, text: str, lane: str = "") -> Line:
        """A remark between the events."""
        return Line(at_ms=at_ms, side=Side.NOTE, text=text, lane=lane)

    def _lane(self, event: Json) -> str:
        response = event.get("response")
        if isinstance(response, Mapping) and isinstance(response.get("id"), str):
            hint = ""
            if event.get("type") == "response.created" and "conversation_id" in response:
                hint = "beside" if response["conversation_id"] is None else "default"
            return self.name(response["id"], hint=hint)
        found = event.get("response_id")
        return self.name(found) if isinstance(found, str) else ""

    def _says(self, kind: str, event: Json) -> str:
        if kind == "error":
            return _error(event)
        if kind == "response.done":
            return _outcome(event.get("response"))
        if kind == "response.create":
            return _asked(event.get("response"))
        if kind == "session.update":
            return _compact(event.get("session"))
        if isinstance(event.get("item"), Mapping):
            return _item(event["item"])
        if isinstance(event.get("delta"), str):
            if "audio.delta" in kind:
                return f"{len(event['delta']) * 3 // 4} bytes"
            return repr(_short(event["delta"], _WORDS))
        if isinstance(event.get("audio"), str):
            return f"{len(event['audio']) * 3 // 4} bytes"
        for name in ("text", "transcript", "arguments"):
            if isinstance(event.get(name), str):
                return repr(_short(event[name], _WORDS))
        if isinstance(event.get("audio_end_ms"), int | float):
            return f"{event['audio_end_ms']} ms"
        return ""


def fold(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Neighbouring deltas of one response as one line each."""
    folded: list[Line] = []
    for line in lines:
        last = folded[-1] if folded else None
        same = (
            last is not None
            and line.role is Role.DELTA
            and last.role is Role.DELTA
            and (last.lane, last.side, _kind(last)) == (line.lane, line.side, _kind(line))
        )
        if last is not None and same:
            folded[-1] = msgspec.structs.replace(
                last, count=last.count + line.count, until_ms=line.until_ms or line.at_ms
            )
        else:
            folded.append(line)
    return tuple(folded)


def _kind(line: Line) -> str:
    return line.text.split(" ", 1)[0]


def _role(kind: str, side: Side) -> Role:
    if kind == "error" or (kind.endswith(".failed") and side is Side.SERVER):
        return Role.ERROR
    if kind in ("response.cancel", "response.cancelled"):
        return Role.CANCEL
    if kind == "response.created":
        return Role.BEGIN
    if kind == "response.done":
        return Role.END
    if kind.endswith(".delta"):
        return Role.DELTA
    if kind in ("session.update", "session.updated"):
        return Role.FENCE
    return Role.OTHER


def _error(event: Json) -> str:
    error = event.get("error")
    if not isinstance(error, Mapping):
        return _compact(error)
    named = error.get("code") or error.get("type")
    return f"{named}: {_short(str(error.get('message')), 90)}"


def _outcome(response: Any) -> str:
    if not isinstance(response, Mapping):
        return ""
    details = response.get("status_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    return f"{response.get('status')}" + (f" ({reason})" if reason else "")


def _asked(response: Any) -> str:
    if not isinstance(response, Mapping):
        return ""
    parts = []
    if response.get("conversation") == "none":
        parts.append("beside the conversation")
    if response.get("instructions"):
        parts.append(repr(_short(str(response["instructions"]), _WORDS)))
    return ", ".join(parts)


def _item(item: Json) -> str:
    parts = [str(item.get("role") or item.get("type") or "")]
    if item.get("name"):
        parts.append(str(item["name"]))
    if item.get("status"):
        parts.append(str(item["status"]))
    return ", ".join(part for part in parts if part)


def _compact(value: Any) -> str:
    if not value:
        return ""
    return _short(json.dumps(value, default=str, separators=(",", ":")), 70)


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
