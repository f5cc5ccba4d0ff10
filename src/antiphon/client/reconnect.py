"""When to connect again, and when never to."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from antiphon.client.arguments import a_time, an_int
from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.snapshot import Snapshot
from antiphon.wire.client_events import ConversationItemCreate, SessionUpdate
from antiphon.wire.codec import Codec
from antiphon.wire.items import Item

__all__ = [
    "ReconnectPolicy",
    "Replay",
    "is_passing",
    "is_passing_status",
    "is_retryable",
    "told_instead",
]

Replay = Callable[[Snapshot], Snapshot]
"""Is given what a new connection would be told after a loss; returns what it is told instead."""

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

    def __post_init__(self) -> None:
        an_int("attempts", self.attempts, 0)
        for name in ("first_delay", "max_delay", "stable_after"):
            a_time(name, getattr(self, name), or_none_at_all=True)
        for name in ("rotate_after", "rotate_latest"):
            if getattr(self, name) is not None or name == "rotate_latest":
                a_time(name, getattr(self, name))

    def delay(self, attempt: int) -> float:
        """The pause before this attempt (counted from 0), spread so that clients do not flock."""
        if attempt == 0:
            return 0.0
        longest = min(self.max_delay, self.first_delay * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)


def told_instead(replay: Replay, snapshot: Snapshot, codec: Codec) -> Snapshot:
    """What the caller's `replay` makes of it, in a form that can be sent.

    Raises:
        LocalProtocolError: it is no `Snapshot`, or holds what cannot be sent.
        Exception: its own.
    """
    changed: Any = replay(snapshot)
    if not isinstance(changed, Snapshot):
        raise LocalProtocolError(
            f"replay= must return a Snapshot, and returned {type(changed).__name__}"
        )
    if not isinstance(changed.session, Mapping):
        raise LocalProtocolError("the `session` of a Snapshot must be a mapping")
    items = tuple(_item(item) for item in changed.items)
    codec.encode(SessionUpdate(session=dict(changed.session)))
    for item in items:
        codec.encode(ConversationItemCreate(item=item))
    return Snapshot(session=dict(changed.session), items=items, left_out=changed.left_out)


def _item(item: Any) -> Item:
    if isinstance(item, Item):
        return item
    try:
        return msgspec.convert(item, Item)
    except msgspec.ValidationError as wrong:
        raise LocalProtocolError(f"replay= returned no conversation item: {wrong}") from wrong
