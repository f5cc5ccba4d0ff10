"""What a server's error says, whichever server wrote it."""

import re

from antiphon.exceptions import RequestError
from antiphon.wire.items import ErrorInfo

__all__ = [
    "ACTIVE_RESPONSE",
    "NOTHING_TO_CANCEL",
    "blocker_of",
    "error_code",
    "request_error",
    "says_busy",
]

ACTIVE_RESPONSE = "conversation_already_has_active_response"
NOTHING_TO_CANCEL = "response_cancel_not_active"


def error_code(error: ErrorInfo) -> str | None:
    """The code to compare. One server family puts it into `type` (P-306)."""
    return error.code or error.type or None


def says_busy(error: ErrorInfo) -> bool:
    """Whether it refuses a create because the default conversation has a response (P-42)."""
    if ACTIVE_RESPONSE in (error.code, error.type):
        return True
    # P-43: an older form has no code at all, so here alone the sentence has to serve.
    return not error.code and (error.message or "").startswith(
        "Conversation already has an active response"
    )


def blocker_of(error: ErrorInfo) -> str | None:
    """The response that a busy error names as active, if its words do."""
    named = re.search(r"resp_\w+", error.message or "")
    return named.group() if named else None


def request_error(error: ErrorInfo) -> RequestError:
    """The server's `error` as an exception."""
    return RequestError(
        error.message or error.code or "the server reported an error without a message",
        type=error.type or None,
        code=error.code or None,
        param=error.param or None,
        event_id=error.event_id or None,
    )
