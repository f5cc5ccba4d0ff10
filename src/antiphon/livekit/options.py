"""The options of the model: read, checked, and put into the shape of `session.update`.

An option may be given as plain data or as any object with `model_dump()`, such as the types of the
openai package, so that what worked with the stock plugin works here.
"""

import dataclasses
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from livekit.agents import llm
from livekit.agents.types import NOT_GIVEN, APIConnectOptions
from livekit.agents.utils import is_given

from antiphon.livekit.compat import OptionError
from antiphon.models import AZURE_TRANSCRIPTION_MODEL, DEFAULT_TRANSCRIPTION_MODEL

__all__ = [
    "AZURE_TURN_DETECTION",
    "AZURE_TRANSCRIPTION",
    "DEFAULTS",
    "InterruptOutOfBand",
    "SAMPLE_RATE",
    "ModelOptions",
    "Settings",
    "address",
    "changes",
    "config",
    "server_only_interrupts",
    "on_this_machine",
    "read",
    "read_given",
    "server_takes_turns",
    "wire_tool_choice",
]

SAMPLE_RATE = 24000
"""Hz of the audio in both directions (P-240)."""

Settings = dict[str, Any]
"""Option name to the value that goes on the wire."""

InterruptOutOfBand = Literal["always", "on_speech", "never"]
"""Which of the framework's interruptions stop responses out of band too."""

DEFAULTS: Settings = {
    "voice": "marin",
    "speed": 1.0,
    "turn_detection": {
        "type": "semantic_vad",
        "create_response": True,
        "eagerness": "medium",
        "interrupt_response": True,
    },
    "input_audio_transcription": {"model": DEFAULT_TRANSCRIPTION_MODEL},
    "input_audio_noise_reduction": None,
    "tool_choice": "auto",
    "max_response_output_tokens": "inf",
    "tracing": None,
    "truncation": None,
    "reasoning": None,
}
AZURE_TURN_DETECTION = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 200,
    "create_response": True,
}
AZURE_TRANSCRIPTION = {"model": AZURE_TRANSCRIPTION_MODEL}

# Where a setting stands in the session's configuration.
_PLACES: dict[str, tuple[str, ...]] = {
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "tool_choice": ("tool_choice",),
    "max_response_output_tokens": ("max_output_tokens",),
    "tracing": ("tracing",),
    "truncation": ("truncation",),
    "reasoning": ("reasoning",),
}
# Left out at first unless they were given: not every model and server knows them.
_ONLY_IF_SET = frozenset({"truncation", "reasoning"})


@dataclasses.dataclass
class ModelOptions:
    """What a model was made with; `settings` is what may change later."""

    model: str
    modalities: list[Literal["text", "audio"]]
    settings: Settings
    url: str
    headers: dict[str, str]
    azure: bool
    beta: bool
    max_session_duration: float | None
    conn_options: APIConnectOptions
    max_in_flight: int | None
    interrupt_out_of_band: InterruptOutOfBand


def config(
    model: str | None, modalities: list[Literal["text", "audio"]], settings: Settings
) -> Settings:
    """The whole session configuration, in GA's shape. `model` is None where it has no say."""
    format_ = {"type": "audio/pcm", "rate": SAMPLE_RATE}
    whole: Settings = {
        "type": "realtime",
        **({"model": model} if model is not None else {}),
        # Not both: with audio the words come along as its transcript (P-111).
        "output_modalities": ["audio" if "audio" in modalities else "text"],
        "audio": {"input": {"format": dict(format_)}, "output": {"format": dict(format_)}},
    }
    for name, value in settings.items():
        if value is not None or name not in _ONLY_IF_SET:
            _place(whole, name, value)
    return whole


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Settings:
    """The part of the configuration in which `new` differs from `old`; empty if in none."""
    part: Settings = {}
    for name, value in new.items():
        if old.get(name) != value:
            _place(part, name, value)
    return part


def _place(whole: Settings, name: str, value: Any) -> None:
    *path, last = _PLACES[name]
    for step in path:
        whole = whole.setdefault(step, {})
    whole[last] = value


def server_takes_turns(turn_detection: Any) -> bool:
    """Whether the server both detects turns and answers them."""
    return turn_detection is not None and turn_detection.get("create_response") is not False


def server_only_interrupts(turn_detection: Any) -> bool:
    """Whether the server interrupts on turns that it leaves to the client: rarely what is meant."""
    return (
        turn_detection is not None
        and turn_detection.get("create_response") is False
        and turn_detection.get("interrupt_response") is not False
    )


# --- reading ------------------------------------------------------------------------------------


def read(name: str, value: Any) -> Any:
    """One option as it goes on the wire.

    Raises:
        OptionError: it cannot mean anything; the message begins with the option's name.
    """
    try:
        return _READERS[name](value)
    except (TypeError, ValueError) as wrong:
        raise OptionError(f"{name}: {wrong}") from None


def _plain(value: Any) -> dict[str, Any]:
    """An object as data, without what was never set or is None."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(by_alias=True, exclude_unset=True)
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping or a model with model_dump(), not {value!r}")
    return {str(key): part for key, part in value.items() if part is not None}


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"expected a number from {low:g} to {high:g}, not {value!r}")
    return value


def _one_of(value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"expected one of {', '.join(allowed)}, not {value!r}")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected some text, not {value!r}")
    return value


def _voice(value: Any) -> Any:
    # A voice of one's own is an object with an id.
    return _plain(value) if not isinstance(value, str) else _text(value)


def _modalities(value: Any) -> list[str]:
    if isinstance(value, str) or not value:
        raise ValueError(f'expected ["text"], ["audio"] or both, not {value!r}')
    return [_one_of(modality, ("text", "audio")) for modality in value]


def _turn_detection(value: Any) -> dict[str, Any] | None:
    if value is NOT_GIVEN:
        return dict(DEFAULTS["turn_detection"])
    if value is None:
        return None
    plain = _plain(value)
    _text(plain.get("type"))
    if "threshold" in plain:
        _number(plain["threshold"], 0, 1)
    for name in ("prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"):
        if name in plain:
            _number(plain[name], 0, 3_600_000)
    if plain["type"] == "semantic_vad" and "eagerness" in plain:
        _one_of(plain["eagerness"], ("low", "medium", "high", "auto"))
    for name in ("create_response", "interrupt_response"):
        if name in plain and not isinstance(plain[name], bool):
            raise ValueError(f"{name} is {plain[name]!r}; expected True or False")
    return plain


def _transcription(value: Any) -> dict[str, Any] | None:
    if value is NOT_GIVEN:
        return dict(DEFAULTS["input_audio_transcription"])
    return None if value is None else _plain(value)


def _noise_reduction(value: Any) -> dict[str, Any] | None:
    if value is None or value is NOT_GIVEN:
        return None
    plain = {"type": value} if isinstance(value, str) else _plain(value)
    _text(plain.get("type"))
    if isinstance(value, str):
        _one_of(value, ("near_field", "far_field"))
    return plain


def _tool_choice(value: Any) -> str | dict[str, Any]:
    if not value:
        return "auto"
    if isinstance(value, str):
        return _one_of(value, ("auto", "none", "required"))
    plain = _plain(value)
    function = plain.get("function")
    if isinstance(function, Mapping):  # the framework's shape
        return {"type": "function", "name": _text(function.get("name"))}
    return plain


def _max_tokens(value: Any) -> int | str:
    if value is None or value == "inf":
        return "inf"
    return int(_number(value, 1, 4096))


def _optional(value: Any) -> Any:
    if not value:
        return None
    return value if isinstance(value, str) else _plain(value)


def _tracing(value: Any) -> Any:
    return _one_of(value, ("auto",)) if value and isinstance(value, str) else _optional(value)


def _truncation(value: Any) -> Any:
    if value and isinstance(value, str):
        return _one_of(value, ("auto", "disabled"))
    return _optional(value)


def _reasoning(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(f'expected {{"effort": …}}, not {value!r}')
    return _optional(value)


def _duration(value: Any) -> float | None:
    return None if value is None else float(_number(value, 1, 24 * 3600))


def _connect_options(value: Any) -> APIConnectOptions:
    if not isinstance(value, APIConnectOptions):
        raise ValueError(f"expected APIConnectOptions, not {value!r}")
    return value


def _in_flight(value: Any) -> int | None:
    if value is not None and (not isinstance(value, int) or value < 1):
        raise ValueError(f"expected 1 or more, or None, not {value!r}")
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "model": _text,
    "voice": _voice,
    "modalities": _modalities,
    "turn_detection": _turn_detection,
    "input_audio_transcription": _transcription,
    "input_audio_noise_reduction": _noise_reduction,
    "tool_choice": _tool_choice,
    "speed": lambda value: float(_number(value, 0.25, 1.5)),  # P-256
    "max_response_output_tokens": _max_tokens,  # P-111
    "tracing": _tracing,
    "truncation": _truncation,
    "reasoning": _reasoning,
    "max_session_duration": _duration,
    "conn_options": _connect_options,
    "max_in_flight": _in_flight,
    "interrupt_out_of_band": lambda value: _one_of(value, ("always", "on_speech", "never")),
}


def read_given(**options: Any) -> Settings:
    """The options among these that were given, read."""
    return {name: read(name, value) for name, value in options.items() if is_given(value)}


def wire_tool_choice(value: llm.ToolChoice | None) -> str | dict[str, Any]:
    """The framework's tool choice as it goes on the wire."""
    choice: str | dict[str, Any] = read("tool_choice", value)
    return choice


# --- the address --------------------------------------------------------------------------------


def address(base_url: str, *, model: str, azure: bool, api_version: str | None) -> str:
    """The WebSocket's address.

    Args:
        base_url: up to `/v1` (or `/openai` on Azure), or the whole address of the endpoint.
        model: the model, or the deployment on Azure.
        azure: whether it is Azure's kind of address.
        api_version: the version of Azure's preview address (P-291); without it, its GA address
            is used (P-290).

    Raises:
        ValueError: it is no http, https, ws or wss address.
    """
    parts = urlsplit(base_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"base_url: {base_url!r} is no http, https, ws or wss address")
    path = parts.path.rstrip("/")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if azure:
        if path in ("", "/openai"):
            path += "/realtime" if api_version else "/v1/realtime"
        elif path == "/openai/v1":
            path += "/realtime"
        query.pop("api-version", None)
        if api_version:
            query |= {"api-version": api_version, "deployment": model}
    elif path in ("", "/v1", "/openai", "/openai/v1"):
        path += "/realtime"
    if not (azure and api_version):
        query.setdefault("model", model)
    return urlunsplit((scheme, parts.netloc, path, urlencode(query), ""))


def on_this_machine(url: str) -> bool:
    """Whether the server is reached over loopback: then no key leaves, and none is needed."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
