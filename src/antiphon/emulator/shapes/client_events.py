"""The shape of every client event (P-100 to P-113), and of what is inside.

Limits and lists here are the server's; a field that is not listed is refused (P-89).
"""

from typing import Any

from antiphon.emulator.shapes import errors
from antiphon.emulator.shapes.schema import (
    Check,
    anything,
    array,
    boolean,
    integer,
    mapping,
    nullable,
    number,
    obj,
    one_of,
    string,
    tagged,
)

__all__ = ["CLIENT_EVENTS", "ITEM", "RESPONSE_PARAMS", "SESSION"]

_ANY_STRING = string()
_ID = string(limit=512)
# P-214 to P-216; how long they may be differs between servers, and is checked where they are added.
_NEW_ID = string(limit=512, pattern="[a-zA-Z0-9_-]+")
_CALL_ID = _NEW_ID
_STATUS = string(values=("completed", "incomplete", "in_progress"))

_FORMAT = tagged(
    "type",
    {
        # P-240, P-267
        "audio/pcm": obj({"type": _ANY_STRING, "rate": integer(24000, 24000)}, ("rate",)),
        "audio/pcmu": obj({"type": _ANY_STRING}),
        "audio/pcma": obj({"type": _ANY_STRING}),
    },
)
_VOICE = one_of(string(limit=256), obj({"id": string(limit=256)}, required=("id",)))
_TOKENS = one_of(integer(1, 4096), string(values=("inf",)))  # P-111
_MODALITIES = array(string(values=("text", "audio")), limit=2)

_FUNCTION_TOOL = obj(
    {
        "type": _ANY_STRING,
        "name": string(limit=64, pattern="[a-zA-Z0-9_-]+"),
        "description": string(limit=1024),  # P-217
        "parameters": anything,
    },
    required=("name",),
)
_MCP_SHAPE = obj(
    {
        "type": _ANY_STRING,
        "server_label": _ANY_STRING,
        "server_url": _ANY_STRING,
        "server_description": _ANY_STRING,
        "connector_id": _ANY_STRING,
        "authorization": _ANY_STRING,
        "headers": anything,
        "allowed_tools": anything,
        "require_approval": anything,
        "defer_loading": boolean,
        "tunnel_id": _ANY_STRING,
        "allowed_callers": anything,
    },
    required=("server_label",),
)


def _mcp_tool(value: Any, path: str) -> None:
    _MCP_SHAPE(value, path)
    if not any(value.get(name) for name in ("server_url", "connector_id", "tunnel_id")):
        raise errors.mcp_without_server(path)  # P-473


_TOOLS = array(tagged("type", {"function": _FUNCTION_TOOL, "mcp": _mcp_tool}), limit=128)
_TOOL_CHOICE = one_of(
    string(values=("none", "auto", "required")),
    tagged(
        "type",
        {
            "function": obj({"type": _ANY_STRING, "name": _ANY_STRING}, required=("name",)),
            "mcp": obj(
                {"type": _ANY_STRING, "server_label": _ANY_STRING, "name": nullable(_ANY_STRING)},
                required=("server_label",),
            ),
        },
    ),
)
_PROMPT = obj(
    {"id": _ANY_STRING, "version": nullable(_ANY_STRING), "variables": nullable(anything)},
    required=("id",),
)
_REASONING = obj({"effort": nullable(string(values=("minimal", "low", "medium", "high", "xhigh")))})
_TRANSCRIPTION = obj(
    {
        "model": _ANY_STRING,
        "language": _ANY_STRING,
        "languages": array(_ANY_STRING),
        "prompt": _ANY_STRING,
        "keywords": array(_ANY_STRING),
        "delay": string(values=("minimal", "low", "medium", "high", "xhigh")),
    }
)
_NOISE_REDUCTION = obj(
    {"type": string(values=("near_field", "far_field")), "strength": number(0, 1)}
)
# P-180 to P-183
_TURN_DETECTION = tagged(
    "type",
    {
        "server_vad": obj(
            {
                "type": _ANY_STRING,
                "threshold": number(0, 1),
                "prefix_padding_ms": integer(0, 10000),
                "silence_duration_ms": integer(0, 10000),
                "create_response": boolean,
                "interrupt_response": boolean,
                "idle_timeout_ms": nullable(integer(5000, 30000)),
            }
        ),
        "semantic_vad": obj(
            {
                "type": _ANY_STRING,
                "eagerness": string(values=("low", "medium", "high", "auto")),
                "create_response": boolean,
                "interrupt_response": boolean,
            }
        ),
    },
)
_AUDIO_INPUT = obj(
    {
        "format": _FORMAT,
        "noise_reduction": nullable(_NOISE_REDUCTION),
        "transcription": nullable(_TRANSCRIPTION),
        "turn_detection": nullable(_TURN_DETECTION),
    }
)
_INCLUDE = nullable(array(string(values=("item.input_audio_transcription.logprobs",))))

_REALTIME_SESSION = obj(
    {
        "type": _ANY_STRING,
        "model": _ANY_STRING,
        "instructions": _ANY_STRING,
        "output_modalities": _MODALITIES,
        "tools": _TOOLS,
        "tool_choice": _TOOL_CHOICE,
        "parallel_tool_calls": boolean,
        "max_output_tokens": _TOKENS,
        "reasoning": nullable(_REASONING),
        "prompt": nullable(_PROMPT),
        "tracing": nullable(
            one_of(
                string(values=("auto",)),
                obj({"workflow_name": _ANY_STRING, "group_id": _ANY_STRING, "metadata": anything}),
            )
        ),
        "truncation": one_of(
            string(values=("auto", "disabled")),
            obj(
                {
                    "type": string(values=("retention_ratio",)),
                    "retention_ratio": number(0, 1),
                    "token_limits": anything,
                },
                required=("type", "retention_ratio"),
            ),
        ),
        "include": _INCLUDE,
        "audio": obj(
            {
                "input": _AUDIO_INPUT,
                "output": obj({"format": _FORMAT, "voice": _VOICE, "speed": number(0.25, 1.5)}),
            }
        ),
    }
)
_TRANSCRIPTION_SESSION = obj(
    {"type": _ANY_STRING, "include": _INCLUDE, "audio": obj({"input": _AUDIO_INPUT})}
)
SESSION: Check = tagged(
    "type", {"realtime": _REALTIME_SESSION, "transcription": _TRANSCRIPTION_SESSION}
)

_INPUT_TEXT = obj({"type": _ANY_STRING, "text": string(limit=256_000)}, required=("text",))  # P-217
_USER_CONTENT = array(
    tagged(
        "type",
        {
            "input_text": _INPUT_TEXT,
            "input_audio": obj(
                {"type": _ANY_STRING, "audio": _ANY_STRING, "transcript": nullable(_ANY_STRING)}
            ),
            "input_image": obj(
                {
                    "type": _ANY_STRING,
                    "image_url": _ANY_STRING,
                    "detail": string(values=("auto", "low", "high")),
                },
                required=("image_url",),
            ),
        },
    )
)
_SYSTEM_CONTENT = array(tagged("type", {"input_text": _INPUT_TEXT}))
_ASSISTANT_CONTENT = array(  # P-226, P-228
    tagged(
        "type",
        {
            "output_text": obj({"type": _ANY_STRING, "text": _ANY_STRING}, ("text",)),
            "output_audio": obj(
                {"type": _ANY_STRING, "audio": _ANY_STRING, "transcript": nullable(_ANY_STRING)}
            ),
        },
    )
)


def _item(fields: dict[str, Check], required: tuple[str, ...]) -> Check:
    common = {"id": _NEW_ID, "object": string(values=("realtime.item",)), "type": _ANY_STRING}
    return obj({**common, "status": _STATUS, **fields}, required=required)


def _message(content: Check) -> Check:
    return _item(
        {"role": _ANY_STRING, "content": content, "phase": nullable(_ANY_STRING)},
        required=("role", "content"),
    )


_MESSAGE = tagged(
    "role",
    {
        "user": _message(_USER_CONTENT),
        "assistant": _message(_ASSISTANT_CONTENT),
        "system": _message(_SYSTEM_CONTENT),
    },
)
_LISTED_TOOL = obj(
    {
        "name": _ANY_STRING,
        "input_schema": anything,
        "description": nullable(_ANY_STRING),
        "annotations": nullable(anything),
    },
    required=("name", "input_schema"),
)
_ITEM_SHAPES: dict[str, Check] = {
    "message": _MESSAGE,
    "function_call": _item(
        {"call_id": _CALL_ID, "name": _ANY_STRING, "arguments": _ANY_STRING},
        required=("name", "arguments"),
    ),
    "function_call_output": _item(
        {"call_id": _CALL_ID, "output": _ANY_STRING}, required=("call_id", "output")
    ),
    # P-474: what a client may give back of an earlier session.
    "mcp_call": _item(
        {
            "name": _ANY_STRING,
            "arguments": _ANY_STRING,
            "server_label": _ANY_STRING,
            "approval_request_id": nullable(_ANY_STRING),
            "error": nullable(anything),
            "output": nullable(_ANY_STRING),
        },
        required=("name", "arguments", "server_label"),
    ),
    "mcp_list_tools": _item(
        {"server_label": _ANY_STRING, "tools": array(_LISTED_TOOL)},
        required=("server_label", "tools"),
    ),
    "mcp_approval_request": _item(
        {"name": _ANY_STRING, "arguments": _ANY_STRING, "server_label": _ANY_STRING},
        required=("name", "arguments", "server_label"),
    ),
    "mcp_approval_response": _item(
        {"approval_request_id": _ANY_STRING, "approve": boolean, "reason": nullable(_ANY_STRING)},
        required=("approval_request_id", "approve"),
    ),
}
ITEM: Check = tagged("type", _ITEM_SHAPES)

_REFERENCE = obj({"type": _ANY_STRING, "id": _ID}, required=("id",))  # P-113
_METADATA = mapping(string(limit=512), limit=16, key_limit=64)  # P-112

# The service takes null for "use the session's" here: frameworks send `instructions: null`.
RESPONSE_PARAMS: Check = obj(
    {
        "output_modalities": nullable(_MODALITIES),
        "instructions": nullable(_ANY_STRING),
        "audio": nullable(
            obj({"output": obj({"format": nullable(_FORMAT), "voice": nullable(_VOICE)})})
        ),
        "tools": nullable(_TOOLS),
        "tool_choice": nullable(_TOOL_CHOICE),
        "parallel_tool_calls": nullable(boolean),
        "reasoning": nullable(_REASONING),
        "max_output_tokens": nullable(_TOKENS),
        "conversation": nullable(string(values=("auto", "none"))),
        "metadata": nullable(_METADATA),
        "prompt": nullable(_PROMPT),
        "input": nullable(array(tagged("type", {**_ITEM_SHAPES, "item_reference": _REFERENCE}))),
    }
)


def _event(fields: dict[str, Check], required: tuple[str, ...] = ()) -> Check:
    return obj({"type": _ANY_STRING, "event_id": string(limit=512), **fields}, required)  # P-80


_MS = integer(0, 2**53)
_INDEX = integer(0, 2**31)

CLIENT_EVENTS: dict[str, Check] = {
    "session.update": _event({"session": SESSION}, ("session",)),
    "input_audio_buffer.append": _event({"audio": _ANY_STRING}, ("audio",)),
    "input_audio_buffer.commit": _event({}),
    "input_audio_buffer.clear": _event({}),
    "conversation.item.create": _event(
        {"item": ITEM, "previous_item_id": nullable(_ID)}, ("item",)
    ),
    "conversation.item.retrieve": _event({"item_id": _ID}, ("item_id",)),
    "conversation.item.truncate": _event(
        {"item_id": _ID, "content_index": _INDEX, "audio_end_ms": _MS},
        ("item_id", "content_index", "audio_end_ms"),
    ),
    "conversation.item.delete": _event({"item_id": _ID}, ("item_id",)),
    "response.create": _event({"response": nullable(RESPONSE_PARAMS)}),
    "response.cancel": _event({"response_id": nullable(_ID)}),
    "output_audio_buffer.clear": _event({}),
}
