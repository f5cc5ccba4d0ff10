"""Shapes of the session and per-response configuration, for type checkers.

On the wire these are passed through as plain dicts: a server echoes its whole effective
configuration, with fields of its own, and the client must be able to send fields that this
version has never heard of. Every key is optional here; leaving one out keeps the server's value.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

__all__ = [
    "AudioConfig",
    "AudioFormat",
    "AudioInputConfig",
    "AudioOutputConfig",
    "CustomVoice",
    "FunctionTool",
    "InputTranscriptionConfig",
    "McpTool",
    "NoiseReductionConfig",
    "PromptConfig",
    "ReasoningConfig",
    "ResponseAudioConfig",
    "ResponseAudioOutputConfig",
    "ResponseConfig",
    "SemanticVadConfig",
    "ServerVadConfig",
    "SessionConfig",
    "SessionSettings",
    "Tool",
    "ToolChoice",
    "ToolChoiceFunction",
    "ToolChoiceMcp",
    "TracingConfig",
    "TranscriptionAudioConfig",
    "TranscriptionSessionConfig",
    "TruncationConfig",
    "TruncationTokenLimits",
    "TurnDetectionConfig",
]


class AudioFormat(TypedDict, total=False):
    """``audio/pcm`` with rate 24000 (Hz; PCM16 LE mono), ``audio/pcmu`` or ``audio/pcma``."""

    type: str
    rate: int


class NoiseReductionConfig(TypedDict, total=False):
    """Noise reduction of the input, before turn detection and the model hear it."""

    type: Literal["near_field", "far_field"]
    strength: float


class InputTranscriptionConfig(TypedDict, total=False):
    """Transcription of the user's audio, by a model of its own."""

    model: str
    language: str
    languages: Sequence[str]
    prompt: str
    keywords: Sequence[str]
    delay: str


class ServerVadConfig(TypedDict, total=False):
    """Turn detection by silence. Times in ms, ``threshold`` from 0.0 to 1.0."""

    type: Literal["server_vad"]
    threshold: float
    prefix_padding_ms: int
    silence_duration_ms: int
    idle_timeout_ms: int | None
    create_response: bool
    interrupt_response: bool


class SemanticVadConfig(TypedDict, total=False):
    """Turn detection by a model that judges whether the user has finished."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"]
    create_response: bool
    interrupt_response: bool


TurnDetectionConfig: TypeAlias = ServerVadConfig | SemanticVadConfig


class CustomVoice(TypedDict):
    """A voice of the account's own, by id."""

    id: str


class AudioInputConfig(TypedDict, total=False):
    """How the server takes audio. ``turn_detection: None`` leaves turns to the client."""

    format: AudioFormat
    noise_reduction: NoiseReductionConfig | None
    transcription: InputTranscriptionConfig | None
    turn_detection: TurnDetectionConfig | None


class AudioOutputConfig(TypedDict, total=False):
    """How the server speaks. ``speed`` from 0.25 to 1.5."""

    format: AudioFormat
    voice: str | CustomVoice
    speed: float


class AudioConfig(TypedDict, total=False):
    """Both directions of audio."""

    input: AudioInputConfig
    output: AudioOutputConfig


class FunctionTool(TypedDict, total=False):
    """A function that the model may call; ``parameters`` is a JSON schema."""

    type: Literal["function"]
    name: str
    description: str
    parameters: Mapping[str, Any]


class McpTool(TypedDict, total=False):
    """Tools of a remote MCP server, called by the Realtime server itself."""

    type: Literal["mcp"]
    server_label: str
    server_url: str
    server_description: str
    connector_id: str
    tunnel_id: str
    authorization: str
    headers: Mapping[str, str] | None
    allowed_tools: Sequence[str] | Mapping[str, Any] | None
    allowed_callers: Sequence[str] | None
    require_approval: str | Mapping[str, Any] | None
    defer_loading: bool


Tool: TypeAlias = FunctionTool | McpTool


class ToolChoiceFunction(TypedDict):
    """Make the model call this function."""

    type: Literal["function"]
    name: str


class ToolChoiceMcp(TypedDict, total=False):
    """Make the model call a tool of this MCP server."""

    type: Literal["mcp"]
    server_label: str
    name: str | None


ToolChoice: TypeAlias = Literal["none", "auto", "required"] | ToolChoiceFunction | ToolChoiceMcp


class TracingConfig(TypedDict, total=False):
    """Where the session's trace goes in the provider's dashboard."""

    workflow_name: str
    group_id: str
    metadata: Mapping[str, Any]


class TruncationTokenLimits(TypedDict, total=False):
    """Limits of the conversation in tokens, instructions not counted."""

    post_instructions: int


class TruncationConfig(TypedDict, total=False):
    """How much of the conversation to keep when it outgrows the model's context."""

    type: Literal["retention_ratio"]
    retention_ratio: float
    token_limits: TruncationTokenLimits


class ReasoningConfig(TypedDict, total=False):
    """How hard a reasoning model thinks before it speaks."""

    effort: Literal["minimal", "low", "medium", "high", "xhigh"]


class PromptConfig(TypedDict, total=False):
    """A prompt stored at the provider."""

    id: str
    version: str | None
    variables: Mapping[str, Any] | None


class SessionConfig(TypedDict, total=False):
    """A ``realtime`` session. GA servers require ``type`` in every ``session.update``."""

    type: Literal["realtime"]
    model: str
    instructions: str
    output_modalities: Sequence[Literal["text", "audio"]]
    audio: AudioConfig
    tools: Sequence[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | Literal["inf"]
    reasoning: ReasoningConfig
    prompt: PromptConfig | None
    tracing: Literal["auto"] | TracingConfig | None
    truncation: Literal["auto", "disabled"] | TruncationConfig
    include: Sequence[str]


class TranscriptionAudioConfig(TypedDict, total=False):
    """The one direction of audio that a transcription session has."""

    input: AudioInputConfig


class TranscriptionSessionConfig(TypedDict, total=False):
    """A ``transcription`` session: it listens and never answers."""

    type: Literal["transcription"]
    audio: TranscriptionAudioConfig
    include: Sequence[str]


SessionSettings: TypeAlias = SessionConfig | TranscriptionSessionConfig | Mapping[str, Any]
"""What a session is configured with. Any mapping will do: servers have fields of their own."""


class ResponseAudioOutputConfig(TypedDict, total=False):
    """How the server speaks in one response."""

    format: AudioFormat
    voice: str | CustomVoice


class ResponseAudioConfig(TypedDict, total=False):
    """The one direction of audio that a response has."""

    output: ResponseAudioOutputConfig


class ResponseConfig(TypedDict, total=False):
    """What one response does differently from the session.

    ``conversation="none"`` makes it out-of-band: it runs beside others and leaves no trace in the
    default conversation. ``input`` replaces the conversation as context; ``[]`` is an empty one.
    ``metadata`` is echoed by the server: 16 pairs, keys of 64 and values of 512 characters at most.
    """

    conversation: Literal["auto", "none"]
    metadata: Mapping[str, str] | None
    input: Sequence[Mapping[str, Any]]
    instructions: str
    output_modalities: Sequence[Literal["text", "audio"]]
    audio: ResponseAudioConfig
    tools: Sequence[Tool]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | Literal["inf"]
    reasoning: ReasoningConfig
    prompt: PromptConfig | None
