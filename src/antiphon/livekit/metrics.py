"""What the framework counts: tokens and times of responses, transcriptions and connections."""

import asyncio
import time
from typing import Any

from livekit.agents.metrics import RealtimeModelMetrics, STTMetrics

from antiphon import OutcomeKind, ResponseHandle

__all__ = ["connection_metrics", "response_metrics", "transcription_metrics"]


def response_metrics(
    handle: ResponseHandle, *, spoken: bool, label: str, model: str, provider: str
) -> RealtimeModelMetrics:
    """Metrics of a response that is done.

    Args:
        handle: the response.
        spoken: whether its text is only the transcript of what is spoken, and does not count.
        label: names the plugin.
        model, provider: whose it was.
    """
    times = handle.times
    settled = times.settled if times.settled is not None else asyncio.get_running_loop().time()
    created = times.created if times.created is not None else settled
    firsts = (times.first_audio, None if spoken else times.first_text)
    first_token = min((first for first in firsts if first is not None), default=None)
    duration = settled - created
    usage = handle.usage
    given = usage.input_token_details if usage is not None else None
    made = usage.output_token_details if usage is not None else None
    cached = given.cached_tokens_details if given else None
    output_tokens = _count(usage, "output_tokens")
    cancelled = handle.outcome is not None and handle.outcome.kind is OutcomeKind.CANCELLED
    # From data, so that a version of the framework that lacks a field leaves it out.
    return RealtimeModelMetrics.model_validate(
        {
            # The framework has it as time.time().
            "timestamp": time.time() - (asyncio.get_running_loop().time() - created),
            "request_id": handle.id or "",
            "ttft": first_token - created if first_token is not None else -1,
            "duration": duration,
            "cancelled": cancelled,
            "label": label,
            "input_tokens": _count(usage, "input_tokens"),
            "output_tokens": output_tokens,
            "total_tokens": _count(usage, "total_tokens"),
            "tokens_per_second": output_tokens / duration if duration > 0 else 0,
            "input_token_details": {
                "audio_tokens": _count(given, "audio_tokens"),
                "text_tokens": _count(given, "text_tokens"),
                "image_tokens": _count(given, "image_tokens"),
                "cached_tokens": _count(given, "cached_tokens"),
                "cached_tokens_details": {
                    "audio_tokens": _count(cached, "audio_tokens"),
                    "text_tokens": _count(cached, "text_tokens"),
                    "image_tokens": _count(cached, "image_tokens"),
                },
            },
            "output_token_details": {
                "text_tokens": _count(made, "text_tokens"),
                "audio_tokens": _count(made, "audio_tokens"),
                "image_tokens": 0,
            },
            "metadata": {"model_name": model, "model_provider": provider},
        }
    )


def connection_metrics(
    seconds: float, *, label: str, model: str, provider: str
) -> RealtimeModelMetrics:
    """How long the handshake took; counts no tokens."""
    return RealtimeModelMetrics.model_validate(
        {
            "request_id": "",
            "timestamp": time.time(),
            "label": label,
            "duration": 0,
            "ttft": -1,
            "cancelled": False,
            "input_tokens": 0,
            "output_tokens": 0,
            "total_tokens": 0,
            "tokens_per_second": 0,
            "acquire_time": seconds,
            "connection_reused": False,
            "input_token_details": {
                "audio_tokens": 0,
                "text_tokens": 0,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": None,
            },
            "output_token_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            "metadata": {"model_name": model, "model_provider": provider},
        }
    )


def transcription_metrics(
    usage: Any, *, request_id: str, label: str, model: str | None, provider: str
) -> STTMetrics | None:
    """Metrics of one transcription; None where the server does not say what it cost.

    Args:
        usage: `usage` of the transcription's `completed` event.
        request_id: the id of that event.
        model: the model that transcribed.
    """
    counted: dict[str, Any]
    if usage and usage.type == "tokens":
        counted = {
            "audio_duration": 0.0,
            "input_tokens": _count(usage, "input_tokens"),
            "output_tokens": _count(usage, "output_tokens"),
            "total_tokens": _count(usage, "total_tokens"),
            "input_audio_tokens": _count(usage.input_token_details or None, "audio_tokens"),
        }
    elif usage and usage.type == "duration":
        counted = {"audio_duration": usage.seconds or 0.0}
    else:
        return None
    return STTMetrics.model_validate(
        {
            "request_id": request_id,
            "timestamp": time.time(),
            "duration": 0.0,
            "label": label,
            "streamed": True,
            "metadata": {"model_name": model, "model_provider": provider},
            **counted,
        }
    )


def _count(of: object, name: str) -> int:
    """A number that servers may leave out."""
    return getattr(of, name, None) or 0
