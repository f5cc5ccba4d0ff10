"""What the server's account of a response says, whichever server wrote it."""

from collections.abc import Mapping
from typing import Any

from antiphon.protocol.response import Lane, Outcome, OutcomeKind
from antiphon.wire.base import UNSET, UnsetType
from antiphon.wire.items import ErrorInfo, ResponseResource, StatusDetails

__all__ = ["bytes_per_ms", "cancelled_by_client", "lane_of", "outcome_of"]

_KINDS = {
    "completed": OutcomeKind.COMPLETED,
    "cancelled": OutcomeKind.CANCELLED,
    "incomplete": OutcomeKind.INCOMPLETE,
    "failed": OutcomeKind.FAILED,
}


def lane_of(resource: ResponseResource) -> Lane | None:
    """P-37: null marks a response as out of band. None where the server does not tell."""
    if resource.conversation_id is UNSET:
        return None
    return Lane.OUT_OF_BAND if resource.conversation_id is None else Lane.DEFAULT


def outcome_of(resource: ResponseResource) -> Outcome:
    """P-160 to P-164. Some servers put a plain string where the details belong (P-294)."""
    details = resource.status_details
    reason: str | None = None
    error: ErrorInfo | None = None
    if isinstance(details, StatusDetails):
        reason = details.reason or None
        if isinstance(details.error, ErrorInfo):
            error = details.error
        elif isinstance(details.error, str):
            error = ErrorInfo(message=details.error)
    elif isinstance(details, str):
        reason = details
    kind = _KINDS.get(resource.status or "")
    if kind is None:
        return Outcome(OutcomeKind.UNKNOWN, resource.status or reason, error)
    return Outcome(kind, reason, error)


def cancelled_by_client(resource: ResponseResource) -> bool:
    """P-16: this end is the answer to a cancel, and there is no other."""
    details = resource.status_details
    return isinstance(details, StatusDetails) and details.reason == "client_cancelled"


def bytes_per_ms(audio: Mapping[str, Any] | UnsetType | None) -> int | None:
    """Bytes per ms of a response's own output format; None where it takes the session's."""
    output = (audio or {}).get("output")
    format_ = output.get("format") if isinstance(output, Mapping) else None
    if not isinstance(format_, Mapping):
        return None
    return 48 if format_.get("type") == "audio/pcm" else 8
