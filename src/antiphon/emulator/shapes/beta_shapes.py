"""The beta's flat session and old content names, to GA and back (P-127, P-128, P-240).

Pure functions on JSON. They take whatever a client sent: what has the wrong shape is passed on as
it is, for the engine's own checks to refuse.
"""

from typing import Any

from antiphon.emulator.shapes import errors

__all__ = [
    "flat_item",
    "flat_response",
    "flat_session",
    "nested_item",
    "nested_response",
    "nested_session",
]

Json = dict[str, Any]

_FORMATS = {
    "pcm16": {"type": "audio/pcm", "rate": 24000},
    "g711_ulaw": {"type": "audio/pcmu"},
    "g711_alaw": {"type": "audio/pcma"},
}
_FORMAT_NAMES = {"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
# Where a field of the flat session stands in the nested one.
_PLACES: dict[str, tuple[str, ...]] = {
    "modalities": ("output_modalities",),
    "max_response_output_tokens": ("max_output_tokens",),
    "input_audio_format": ("audio", "input", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "output_audio_format": ("audio", "output", "format"),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
}
_GA_ONLY = frozenset({"type", "output_modalities", "max_output_tokens", "audio"})
_TO_FLAT_CONTENT = {"output_text": "text", "output_audio": "audio"}
_TO_NESTED_CONTENT = {"text": "output_text", "audio": "output_audio"}
_TEMPERATURE = 0.8  # a field that only the beta has; nothing depends on it


def nested_session(flat: Any, *, strict: bool = True) -> Any:
    """The flat session of a `session.update` in GA's shape.

    Args:
        flat: the session as the client sent it.
        strict: refuse GA's own fields (P-291); else they are passed on.

    Raises:
        Refusal: strict, and there is a field that only GA has.
    """
    if not isinstance(flat, dict):
        return flat
    nested: Json = {"type": "realtime"}
    for name, value in flat.items():
        if strict and name in _GA_ONLY:
            raise errors.unknown_parameter(f"session.{name}")
        if name == "temperature":
            continue
        _put(nested, _PLACES.get(name, (name,)), _to_ga(name, value))
    return nested


def nested_response(flat: Any) -> Any:
    """The parameters of a `response.create` in GA's shape."""
    if not isinstance(flat, dict):
        return flat
    nested: Json = {}
    for name, value in flat.items():
        if name == "temperature":
            continue
        if name == "input" and isinstance(value, list):
            value = [nested_item(item) for item in value]
        _put(nested, _PLACES.get(name, (name,)), _to_ga(name, value))
    return nested


def nested_item(item: Any) -> Any:
    """An item with GA's content types."""
    return _with_content(item, _TO_NESTED_CONTENT) if _role(item) == "assistant" else item


def flat_session(nested: Json) -> Json:
    """The effective session as the beta shows it."""
    heard, spoken = nested["audio"]["input"], nested["audio"]["output"]
    audio_too = nested["output_modalities"] == ["audio"]
    return {
        "object": nested["object"],
        "id": nested["id"],
        "model": nested["model"],
        "modalities": ["audio", "text"] if audio_too else ["text"],
        "instructions": nested["instructions"],
        "voice": spoken["voice"],
        "speed": spoken["speed"],
        "input_audio_format": _FORMAT_NAMES[heard["format"]["type"]],
        "output_audio_format": _FORMAT_NAMES[spoken["format"]["type"]],
        "input_audio_transcription": heard["transcription"],
        "input_audio_noise_reduction": heard["noise_reduction"],
        "turn_detection": heard["turn_detection"],
        "tools": nested["tools"],
        "tool_choice": nested["tool_choice"],
        "temperature": _TEMPERATURE,
        "max_response_output_tokens": nested["max_output_tokens"],
        "expires_at": nested["expires_at"],
    }


def flat_response(nested: Json) -> Json:
    """A response as the beta shows it."""
    flat = {
        name: value
        for name, value in nested.items()
        if name not in ("output_modalities", "audio", "output")
    }
    audio_too = nested["output_modalities"] == ["audio"]
    spoken = nested["audio"]["output"]
    flat["output"] = [flat_item(item) for item in nested["output"]]
    flat["modalities"] = ["audio", "text"] if audio_too else ["text"]
    flat["voice"] = spoken["voice"]
    flat["output_audio_format"] = _FORMAT_NAMES[spoken["format"]["type"]]
    flat["temperature"] = _TEMPERATURE
    return flat


def flat_item(item: Json) -> Json:
    """An item with the beta's content types."""
    flat: Json = _with_content(item, _TO_FLAT_CONTENT)
    return flat


def _to_ga(name: str, value: Any) -> Any:
    if name in ("input_audio_format", "output_audio_format") and isinstance(value, str):
        return _FORMATS.get(value, {"type": value})
    if name == "modalities" and isinstance(value, list):
        return ["audio"] if "audio" in value else value
    return value


def _put(nested: Json, path: tuple[str, ...], value: Any) -> None:
    place = nested
    for name in path[:-1]:
        inner = place.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # the client sent something else there, which will be refused
        place = inner
    place[path[-1]] = value


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _with_content(item: Any, names: dict[str, str]) -> Any:
    content = item.get("content") if isinstance(item, dict) else None
    if not isinstance(content, list):
        return item
    return {**item, "content": [_renamed(part, names) for part in content]}


def _renamed(part: Any, names: dict[str, str]) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    return {**part, "type": names[kind]} if isinstance(kind, str) and kind in names else part
