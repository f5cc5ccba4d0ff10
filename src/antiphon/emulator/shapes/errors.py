"""What the emulated server says when it refuses something: types, codes, messages, params.

Messages known word for word are quoted from docs/protocol.md; the others are in the same manner.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from antiphon.exceptions import MissingDependency

__all__ = [
    "INVALID_REQUEST",
    "Refusal",
    "UnknownField",
    "another_protocol",
    "append_too_large",
    "bad_pattern",
    "call_id_not_found",
    "call_not_found",
    "call_not_ringing",
    "call_not_up",
    "call_pending",
    "cancel_not_active",
    "cancel_unsupported",
    "check_modalities",
    "commit_too_small",
    "invalid_audio",
    "invalid_model",
    "invalid_type",
    "invalid_value",
    "item_exists",
    "item_missing",
    "mcp_without_server",
    "media_elsewhere",
    "missing",
    "model_fixed",
    "no_responses_here",
    "no_turns",
    "not_an_event",
    "not_installed",
    "nothing_to_clear",
    "out_of_range",
    "previous_item_missing",
    "reference_missing",
    "slot_taken",
    "speed_fixed",
    "too_long",
    "too_many",
    "too_many_oob",
    "truncate_missing",
    "truncate_not_audio",
    "truncate_too_long",
    "unknown_field",
    "unknown_parameter",
    "voice_fixed",
    "webrtc_only",
    "wrong_session_kind",
]

INVALID_REQUEST = "invalid_request_error"


@dataclass(eq=False)
class Refusal(Exception):
    """A client event is refused. The engine turns this into one `error` event."""

    code: str | None
    message: str
    param: str | None = None
    type: str = INVALID_REQUEST

    def __str__(self) -> str:
        return self.message


def _listed(values: Iterable[object]) -> str:
    shown = [f"'{value}'" for value in values]
    if len(shown) < 2:
        return "".join(shown)
    if len(shown) == 2:
        return f"{shown[0]} and {shown[1]}"
    return ", ".join(shown[:-1]) + f", and {shown[-1]}"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a decimal"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


@dataclass(eq=False)
class UnknownField(Refusal):
    """A field that is not in the schema (P-89); `holder` is the object that has it, as `name`."""

    holder: dict[str, Any] = field(default_factory=dict)
    name: str = ""


def unknown_field(path: str, holder: dict[str, Any], name: str) -> UnknownField:
    """P-89, with where the field is."""
    known = unknown_parameter(path)
    return UnknownField(known.code, known.message, known.param, holder=holder, name=name)


def unknown_parameter(path: str) -> Refusal:
    """P-89."""
    return Refusal("unknown_parameter", f"Unknown parameter: '{path}'.", path)


def missing(path: str) -> Refusal:
    """P-253."""
    return Refusal("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def invalid_type(path: str, expected: str, value: Any) -> Refusal:
    """A JSON value of the wrong kind."""
    return Refusal(
        "invalid_type",
        f"Invalid type for '{path}': expected {expected}, but got {_kind(value)} instead.",
        path,
    )


def invalid_value(path: str, value: object, supported: Iterable[object]) -> Refusal:
    """A value outside its list (P-87 for the event type)."""
    shown = str(value)
    shown = shown if len(shown) <= 64 else shown[:61] + "..."
    listed = _listed(supported)
    return Refusal(
        "invalid_value", f"Invalid value: '{shown}'. Supported values are: {listed}.", path
    )


def out_of_range(path: str, value: float, low: float, high: float) -> Refusal:
    """A number outside its bounds."""
    kind = "integer" if isinstance(value, int) else "decimal"
    if value < low:
        side, bound, code = "below minimum value", f">= {low}", f"{kind}_below_min_value"
    else:
        side, bound, code = "above maximum value", f"<= {high}", f"{kind}_above_max_value"
    return Refusal(
        code, f"Invalid '{path}': {kind} {side}. Expected a value {bound}, but got {value}.", path
    )


def too_long(path: str, limit: int, length: int) -> Refusal:
    """P-90, P-214."""
    return Refusal(
        "string_above_max_length",
        f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead.",
        path,
    )


def bad_pattern(path: str, pattern: str) -> Refusal:
    """P-215."""
    return Refusal(
        "invalid_value",
        f"Invalid '{path}': string does not match pattern. Expected a string that matches the "
        f"pattern '{pattern}'.",
        path,
    )


def too_many(path: str, limit: int, count: int, *, what: str) -> Refusal:
    """Too many elements of an array, or properties of an object (P-112)."""
    name = "array" if what == "elements" else "object"
    code = "array_above_max_length" if name == "array" else "object_above_max_properties"
    return Refusal(
        code,
        f"Invalid '{path}': too many {what}. Expected an {name} with at most {limit} {what}, "
        f"but got an {name} with {count} {what} instead.",
        path,
    )


def invalid_model(model: str, mode: str) -> Refusal:
    """P-269; `mode` is `realtime` or `transcription`."""
    return Refusal("invalid_model", f'Model "{model}" is not supported in {mode} mode.')


def wrong_session_kind(sent: str, present: str) -> Refusal:
    """P-470; both are `realtime` or `transcription`."""
    return Refusal(
        "invalid_parameter",
        f"Passing a {sent} session update to a {present} session is not allowed.",
        "",
    )


def no_turns() -> Refusal:
    """P-471: words and param are known, the code is a guess."""
    return Refusal(
        "invalid_value",
        "Turn detection is not supported for this transcription model.",
        "session.audio.input.turn_detection",
    )


def no_responses_here() -> Refusal:
    """P-469: that a transcription session has none is documented; code and words are a guess."""
    return Refusal("invalid_value", "A transcription session does not create responses.", "type")


def mcp_without_server(path: str) -> Refusal:
    """P-473: that one is needed is documented; the words are a guess."""
    names = ("server_url", "connector_id", "tunnel_id")
    return Refusal(
        "missing_required_parameter",
        f"Missing required parameter: one of {', '.join(names)} must be given in '{path}'.",
        f"{path}.server_url",
    )


def not_an_event(detail: str) -> Refusal:
    """P-88: unknown on the real server; this wording is a guess."""
    return Refusal("invalid_json", f"The frame is not a JSON event: {detail}.")


def slot_taken(response_id: str) -> Refusal:
    """P-42."""
    return Refusal(
        "conversation_already_has_active_response",
        "Conversation already has an active response in progress: "
        f"{response_id}. Wait until the response is finished before creating a new one.",
    )


def cancel_not_active(code: str = "response_cancel_not_active") -> Refusal:
    """P-6."""
    return Refusal(code, "Cancellation failed: no active response found")


def cancel_unsupported() -> Refusal:
    """P-309."""
    return Refusal(None, "response.cancel is not implemented", type="server_error")


def not_installed(missing: MissingDependency) -> Refusal:
    """No server's error but ours: the emulator lacks a package for what was asked."""
    return Refusal("missing_dependency", str(missing), type="server_error")


def too_many_oob(limit: int) -> Refusal:
    """No limit is known (P-40): form and code are a guess."""
    return Refusal(
        "too_many_active_responses",
        f"Too many out-of-band responses in progress: at most {limit} at a time.",
    )


def item_missing(action: str, item_id: str) -> Refusal:
    """P-223; `action` is `delete` or `retrieve`."""
    doing = {"delete": "deleting", "retrieve": "retrieving"}[action]
    return Refusal(
        f"item_{action}_invalid_item_id",
        f"Error {doing} item: the item with id '{item_id}' does not exist.",
    )


def reference_missing(path: str, item_id: str) -> Refusal:
    """An `item_reference` to no item; form and code are a guess."""
    return Refusal("item_reference_invalid_item_id", f"Item with id '{item_id}' not found.", path)


def previous_item_missing(item_id: str) -> Refusal:
    """P-212: an error, but code and text are not known."""
    return Refusal(
        "item_create_invalid_previous_item_id",
        f"Error adding item: the previous item with id '{item_id}' does not exist.",
        "previous_item_id",
    )


def item_exists(item_id: str) -> Refusal:
    """P-213 in the variant that refuses."""
    return Refusal(
        "item_create_duplicate_item_id",
        f"Error adding item: an item with id '{item_id}' already exists.",
        "item.id",
    )


def call_not_found(call_id: str) -> Refusal:
    """P-225."""
    return Refusal("invalid_tool_call_id", f"Tool call ID '{call_id}' not found in conversation.")


def call_pending(call_id: str) -> Refusal:
    """P-308: the code is known, the words are not."""
    return Refusal("function_call_output_pending", f"Tool call '{call_id}' has no output yet.")


def truncate_missing(item_id: str) -> Refusal:
    """P-219."""
    return Refusal(
        "item_truncate_invalid_item_id", f"Item with item_id not found: {item_id}", "item_id"
    )


def truncate_not_audio() -> Refusal:
    """P-221."""
    return Refusal("unsupported_content_type", "Only model output audio messages can be truncated")


def truncate_too_long(has_ms: int, asked_ms: int) -> Refusal:
    """P-220."""
    return Refusal(
        "invalid_value",
        f"Audio content of {has_ms}ms is already shorter than {asked_ms}ms",
        "audio_end_ms",
    )


def commit_too_small(has_ms: float) -> Refusal:
    """P-224."""
    return Refusal(
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of "
        f"audio, but buffer only has {has_ms:.2f}ms of audio.",
    )


def invalid_audio(expected: str) -> Refusal:
    """Audio that is no base64, or no whole number of samples."""
    return Refusal(
        "invalid_value",
        f"Invalid 'audio'. Expected base64-encoded audio bytes ({expected}) but got an invalid "
        "value.",
        "audio",
    )


def append_too_large(limit: int) -> Refusal:
    """P-101."""
    return Refusal(
        "input_audio_buffer_append_too_large",
        f"Invalid 'audio': an append holds at most {limit} bytes of audio.",
        "audio",
    )


def voice_fixed() -> Refusal:
    """P-255."""
    return Refusal(
        "cannot_update_voice",
        "Cannot update a conversation's voice if assistant audio is present.",
    )


def model_fixed() -> Refusal:
    """P-254: that it cannot change is documented; the form of the refusal is a guess."""
    return Refusal("cannot_update_model", "Cannot update a session's model.", "session.model")


def speed_fixed() -> Refusal:
    """P-256: only between turns; the form of the refusal is a guess."""
    return Refusal(
        "cannot_update_speed",
        "Cannot update the speed while a response is in progress.",
        "session.audio.output.speed",
    )


def call_id_not_found(call_id: str) -> Refusal:
    """P-344, P-384: the code is known, the words are not."""
    return Refusal("call_id_not_found", f"No call found with id '{call_id}'.")


def call_not_ringing(call_id: str) -> Refusal:
    """A second accept, or one after the answer: not known, a guess."""
    return Refusal("call_already_answered", f"Call '{call_id}' was answered already.")


def call_not_up(call_id: str) -> Refusal:
    """A transfer of what is no telephone call in progress: not known, a guess."""
    return Refusal("call_not_transferable", f"Call '{call_id}' is no SIP call in progress.")


def another_protocol(path: str) -> Refusal:
    """No server's error but ours: what is asked for is not the Realtime API."""
    return Refusal(
        "not_emulated",
        f"{path} belongs to another protocol than the Realtime API; it is not emulated here.",
    )


def nothing_to_clear() -> Refusal:
    """P-415: one public client ignores this code; the words are a guess."""
    return Refusal(
        "output_audio_buffer_clear_no_active_response",
        "Cannot clear the output audio buffer: no response is playing.",
    )


def media_elsewhere() -> Refusal:
    """P-382: unknown; the code is that of another server."""
    return Refusal(
        "invalid_event_for_transport",
        "input_audio_buffer.append is not available on this connection: the audio of a call "
        "comes from its media peer.",
        "type",
    )


def webrtc_only() -> Refusal:
    """P-323: unknown; presumably an error."""
    return Refusal(
        "output_audio_buffer_not_available",
        "output_audio_buffer.clear is available on WebRTC and SIP connections only.",
        "type",
    )


def check_modalities(modalities: list[str], path: str) -> None:
    """P-111: audio or text, not both and not neither.

    Raises:
        Refusal: it is something else.
    """
    if modalities not in (["audio"], ["text"]):
        raise Refusal(
            "invalid_value",
            f"Invalid modalities: {modalities}. Supported combinations are: ['text'] and "
            "['audio'].",
            path,
        )
