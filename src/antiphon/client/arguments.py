"""What a caller gave, checked where it was given.

A wrong argument must not travel: the server would refuse it a round trip later, or take it for
something else. Every check names the argument and says what is allowed. What was given is shown
only where it is a number or a short word; texts may hold a key, or what a user said.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.interruption import PlaybackMode, Scope
from antiphon.protocol.response import OnBusy
from antiphon.wire.base import UNSET
from antiphon.wire.client_events import ResponseCreateParams
from antiphon.wire.items import Item

__all__ = [
    "PLAYBACK_MODES",
    "SCOPES",
    "a_bool",
    "a_choice",
    "a_function",
    "a_mapping",
    "a_list",
    "a_name",
    "a_text",
    "a_time",
    "an_instance",
    "an_int",
    "an_item",
    "as_bytes",
    "items_of",
    "no_scope",
    "on_busy_of",
    "response_params",
]

SCOPES: tuple[Scope, ...] = ("all", "default", "out_of_band")
"""What an interruption may mean, where it is no handles."""

PLAYBACK_MODES: tuple[PlaybackMode, ...] = ("exact", "always", "never")
"""How an interruption treats what is heard."""

T = TypeVar("T")
_LONGEST_SHOWN = 40


def _wrong(name: str, value: Any, allowed: str) -> LocalProtocolError:
    shown = isinstance(value, (bool, int, float)) or value is None
    given = repr(value) if shown else f"of type {type(value).__name__}"
    return LocalProtocolError(f"{name} is {given}; it must be {allowed}")


def a_text(name: str, value: Any) -> str:
    """Any text."""
    if not isinstance(value, str):
        hint = "; json.dumps() makes one" if isinstance(value, (Mapping, list)) else ""
        raise _wrong(name, value, f"a str{hint}")
    return value


def a_name(name: str, value: Any) -> str:
    """A text with something in it, such as an id."""
    text = a_text(name, value)
    if not text:
        raise LocalProtocolError(f"{name} is empty")
    return text


def a_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """One of a few words."""
    choices = list(choices)
    if isinstance(value, str) and value in choices:
        return str(value)
    listed = ", ".join(f'"{one}"' for one in choices)
    if isinstance(value, str) and len(value) <= _LONGEST_SHOWN:
        raise LocalProtocolError(f"{name} is {value!r}; it must be one of {listed}")
    raise _wrong(name, value, f"one of {listed}")


def a_bool(name: str, value: Any) -> bool:
    """True or False, and nothing that merely counts as one."""
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value


def an_int(name: str, value: Any, least: int, allowed: str = "") -> int:
    """A whole number that is not too small."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _wrong(name, value, allowed or f"a whole number, {least} or more")
    return value


def a_time(name: str, value: Any, *, or_none_at_all: bool = False) -> float:
    """Seconds, not for ever, and more than none unless none is of use."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0 or (value == 0 and not or_none_at_all):
        raise _wrong(name, value, f"seconds, {'0 or more' if or_none_at_all else 'more than 0'}")
    return float(value)


def a_mapping(name: str, value: Any) -> dict[str, Any]:
    """A JSON object, copied, so that what is changed later does not count."""
    if not isinstance(value, Mapping):
        raise _wrong(name, value, "a mapping, such as a dict")
    return dict(value)


def a_list(name: str, value: Any) -> list[Any]:
    """Several things; a text is one thing, not its letters."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes, bytearray)):
        raise _wrong(name, value, "a list")
    return list(value)


def as_bytes(name: str, value: Any) -> bytes:
    """Audio, however it is kept; numpy's arrays have `tobytes()`."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise _wrong(name, value, "bytes")


def a_function(name: str, value: Any) -> Any:
    """Something to call."""
    if not callable(value):
        raise _wrong(name, value, "something that can be called")
    return value


def no_scope(value: Any) -> LocalProtocolError:
    """What is neither a scope nor handles."""
    given = repr(value) if isinstance(value, str) else f"of type {type(value).__name__}"
    return LocalProtocolError(
        f'scope is {given}; it must be "all", "default" or "out_of_band", or handles'
    )


def an_instance(name: str, value: Any, kind: type[T]) -> T:
    """An object of this class."""
    if not isinstance(value, kind):
        raise _wrong(name, value, f"a {kind.__name__}")
    return value


def an_item(name: str, value: Any) -> Item:
    """A conversation item, or an object that has its shape."""
    if isinstance(value, Item):
        return value
    if not isinstance(value, Mapping):
        raise _wrong(name, value, 'an Item, or a mapping such as {"type": "message", …}')
    try:
        return msgspec.convert(dict(value), Item)
    except msgspec.ValidationError as wrong:
        raise LocalProtocolError(f"{name} is no conversation item: {wrong}") from wrong


def items_of(name: str, value: Any) -> list[Item]:
    """Several of them."""
    return [an_item(f"{name}[{n}]", one) for n, one in enumerate(a_list(name, value))]


# --- what a response is asked with ----------------------------------------------------------------


def on_busy_of(value: Any) -> OnBusy:
    """What to do while the lane is busy."""
    return OnBusy(a_choice("on_busy", value, list(OnBusy)))


def response_params(
    *,
    instructions: Any,
    conversation: Any,
    input: Any,
    output_modalities: Any,
    voice: Any,
    audio: Any,
    tools: Any,
    tool_choice: Any,
    parallel_tool_calls: Any,
    max_output_tokens: Any,
    reasoning: Any,
    prompt: Any,
    metadata: Any,
) -> ResponseCreateParams:
    """The arguments of `Session.create_response` that are sent; None is left out (P-111).

    Raises:
        LocalProtocolError: one of them is of no use to any server.
    """
    lane = a_choice("conversation", conversation, ("auto", "none"))
    return ResponseCreateParams(
        instructions=_given(a_text, "instructions", instructions),
        conversation="none" if lane == "none" else UNSET,
        input=_given(items_of, "input", input),
        output_modalities=_given(_modalities, "output_modalities", output_modalities),
        audio=_audio(audio, voice),
        tools=_given(_tools, "tools", tools),
        tool_choice=_given(_tool_choice, "tool_choice", tool_choice),
        parallel_tool_calls=_given(a_bool, "parallel_tool_calls", parallel_tool_calls),
        max_output_tokens=_given(_tokens, "max_output_tokens", max_output_tokens),
        reasoning=_given(a_mapping, "reasoning", reasoning),
        prompt=_given(a_mapping, "prompt", prompt),
        metadata=_given(a_mapping, "metadata", metadata),
    )


def _given(check: Callable[[str, Any], T], name: str, value: Any) -> Any:
    return UNSET if value is None else check(name, value)


def _modalities(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        raise LocalProtocolError(f'{name} is a str; it must be a list: ["audio"] or ["text"]')
    words = [
        a_choice(f"{name}[{n}]", one, ("audio", "text"))
        for n, one in enumerate(a_list(name, value))
    ]
    if not words:
        raise LocalProtocolError(f'{name} is empty; it must be ["audio"] or ["text"]')
    return words


def _audio(audio: Any, voice: Any) -> Any:
    if voice is None:
        return _given(a_mapping, "audio", audio)
    whole = {} if audio is None else a_mapping("audio", audio)
    output = a_mapping("audio['output']", whole.get("output", {}))
    # A voice of one's own is an object with an id.
    chosen = dict(voice) if isinstance(voice, Mapping) else a_name("voice", voice)
    whole["output"] = {**output, "voice": chosen}
    return whole


def _tools(name: str, value: Any) -> list[dict[str, Any]]:
    return [a_mapping(f"{name}[{n}]", one) for n, one in enumerate(a_list(name, value))]


def _tool_choice(name: str, value: Any) -> str | dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    return a_choice(name, value, ("auto", "none", "required"))


def _tokens(name: str, value: Any) -> int | str:
    if value == "inf":
        return "inf"
    return an_int(name, value, 1, 'a whole number, 1 or more, or "inf"')
