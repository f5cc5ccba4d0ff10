"""The wire's names, old and new, as the probe reads them. Names only, no rules."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Json", "error_code", "ga_name", "is_output", "json_object", "response_id_of"]

Json = dict[str, Any]

# P-127: what the beta called them.
_BETA = {
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}


def ga_name(kind: Any) -> str:
    """The GA name of an event type; what has none stays as it is."""
    return _BETA.get(kind, kind) if isinstance(kind, str) else ""


def response_id_of(event: Mapping[str, Any]) -> str | None:
    """The response that an event is about, or None."""
    response = event.get("response")
    found = response.get("id") if isinstance(response, Mapping) else event.get("response_id")
    return found if isinstance(found, str) else None


def is_output(kind: str) -> bool:
    """Whether the event carries a piece of a response's output."""
    return kind.startswith("response.") and kind.endswith(".delta")


def json_object(data: bytes) -> Json | None:
    """The JSON object that this is, or None."""
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def error_code(body: bytes) -> str:
    """The code or, where there is none, the type of an error over HTTP; "" if it is none."""
    error = (json_object(body) or {}).get("error")
    code = (error.get("code") or error.get("type")) if isinstance(error, dict) else None
    return code if isinstance(code, str) else ""
