"""When to connect again, and when never to."""

import random

import msgspec

__all__ = ["ReconnectPolicy", "is_passing", "is_passing_status", "is_retryable"]

# P-277, and 1012/1013 by RFC 6455's registry: "service restart" and "try again later". None is a
# connection that went without a close frame, which libraries report as 1006.
_RETRYABLE = frozenset({None, 1001, 1005, 1006, 1011, 1012, 1013})
# RFC 9110 §15.5: of the client's errors, these alone say "later".
_LATER = frozenset({408, 425, 429})


def is_retryable(code: int | None) -> bool:
    """Whether a connection that ended with this code is worth a new one."""
    return code in _RETRYABLE


def is_passing_status(status: int) -> bool:
    """Whether an HTTP request that was answered so may succeed later."""
    return status in _LATER or status >= 500


def is_passing(failed: BaseException) -> bool:
    """Whether what a connector raised may be gone at the next attempt.

    Networks have bad moments. A `ValueError` is an address that is none, or a certificate that
    does not verify; anything else is a mistake in somebody's code.
    """
    # IncompleteReadError of asyncio's streams is an EOFError.
    return isinstance(failed, (OSError, EOFError)) and not isinstance(failed, ValueError)


class ReconnectPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How hard to try. Times are in seconds.

    Attributes:
        attempts: how often to try before the session is given up; 0 never reconnects.
        first_delay: the pause before the second attempt (the first is made at once); it doubles.
        max_delay: the longest pause.
        stable_after: a connection that lasted so long was a success: `attempts` counts anew. One
            that is lost sooner was a failed attempt, so a server that accepts and hangs up is
            given up, too.
        rotate_after: age at which a session is replaced at its next quiet moment, before the
            server ends it after 60 minutes (P-257); None never rotates.
        rotate_latest: age at which it is replaced even though something is in flight.
    """

    attempts: int = 6
    first_delay: float = 0.5
    max_delay: float = 15.0
    stable_after: float = 10.0
    rotate_after: float | None = 55 * 60.0
    rotate_latest: float = 59 * 60.0

    def delay(self, attempt: int) -> float:
        """The pause before this attempt (counted from 0), spread so that clients do not flock."""
        if attempt == 0:
            return 0.0
        longest = min(self.max_delay, self.first_delay * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)
