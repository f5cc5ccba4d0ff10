"""What can be set about a connection's behaviour. Times are in seconds."""

import math
from typing import Any, Self

import msgspec

from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.lifecycle import Tolerance

__all__ = ["DEFAULT_TOLERANCES", "Options"]

# Met on OpenAI's own servers or on the way there (P-67), and safe to forgive: the events still name
# their response by id, so nothing can land on the wrong one.
DEFAULT_TOLERANCES = frozenset({Tolerance.DONE_WITHOUT_CREATED, Tolerance.OUTPUT_BEFORE_CREATED})


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one `Connection`.

    Attributes:
        max_in_flight: how many responses may occupy the server at once; None for no limit, 1 for
            the single-slot model.
        create_timeout: how long the server may take to name a response that was asked for.
        settle_timeout: how long it may take to answer a cancel.
        stall_timeout: how long it may say nothing about a response it is working on.
        request_timeout: how long it may take to answer anything else.
        echoes_metadata: whether `response.created` carries the metadata of its create (P-36).
            False falls back to the order of the creates.
        announces: whether there is a `response.created` before output (P-311). False takes the
            first output of an unknown response for the announcement of the oldest create.
        tolerances: deviations from the documented order that are forgiven.
        remembered: how many finished responses are remembered to recognise stragglers (I9).
        kept_events: how many events of responses that nobody announced are kept, in all. What
            is over is reported, and missing from its response should that be announced yet.
        kept_audio: how many seconds of the caller's latest audio go over to the next connection: of
            a turn that the lost one had not finished, and of what is said meanwhile. Older audio
            would be stale by then; it is dropped and counted. 0 keeps none.
        busy_retries: how often a create that lost the lane to another response is tried again.
        busy_backoff: the first pause before that where nothing shows when the lane becomes free.
        call: whether this is a sideband on a call, whose sound goes elsewhere (P-370): there is no
            audio in the events, playback is told by `output_audio_buffer.*`, and others may
            control the same session.
        playback_timeout: how long after its end a response's sound may take to begin to play, or
            to be said to have ended once another one plays. On calls only.
        heard_timeout: how long a receipt waits to learn how much was heard. On calls only.
    """

    max_in_flight: int | None = None
    create_timeout: float = 10.0
    settle_timeout: float = 5.0
    stall_timeout: float = 60.0
    request_timeout: float = 10.0
    echoes_metadata: bool = True
    announces: bool = True
    tolerances: frozenset[Tolerance] = DEFAULT_TOLERANCES
    remembered: int = 256
    kept_events: int = 256
    kept_audio: float = 5.0
    busy_retries: int = 8
    busy_backoff: float = 0.05
    call: bool = False
    playback_timeout: float = 2.0
    heard_timeout: float = 0.25

    def __post_init__(self) -> None:
        for name in _TIMEOUTS:
            _check(name, getattr(self, name), float, "seconds, more than 0", 0.0)
        for name in ("kept_audio", "busy_backoff"):
            _check(name, getattr(self, name), float, "seconds, 0 or more")
        for name in ("remembered", "kept_events", "busy_retries"):
            _check(name, getattr(self, name), int, "a whole number, 0 or more")
        if self.max_in_flight is not None:
            _check("max_in_flight", self.max_in_flight, int, "1 or more, or None", 0)
        for name in ("echoes_metadata", "announces", "call"):
            if not isinstance(getattr(self, name), bool):
                raise LocalProtocolError(f"{name} must be True or False")
        known = isinstance(self.tolerances, frozenset)
        if not known or not all(isinstance(member, Tolerance) for member in self.tolerances):
            raise LocalProtocolError("tolerances must be a frozenset of Tolerance")

    @classmethod
    def for_server(cls, name: str, **settings: Any) -> Self:
        """What is known to suit a server other than OpenAI's.

            antiphon.connect(url=url, options=Options.for_server("speaches"))

        Args:
            name: `"speaches"` (P-309), `"localai"` (P-303), `"aimock"` (P-466).
            settings: any of the attributes above, which then go before what is known.

        Raises:
            LocalProtocolError: no such server is known here; most need nothing. Or a setting is
                of no use, as from the constructor.
        """
        known = _FOR_SERVERS.get(name)
        if known is None:
            names = ", ".join(map(repr, sorted(_FOR_SERVERS)))
            raise LocalProtocolError(
                f"nothing is known of a server {name!r}; there is {names}, and most need no options"
            )
        return cls(**{**known, **settings})


_TIMEOUTS = (
    "create_timeout",
    "settle_timeout",
    "stall_timeout",
    "request_timeout",
    "playback_timeout",
    "heard_timeout",
)


def _check(
    name: str, value: Any, kind: type[float], allowed: str, above: float | None = None
) -> None:
    """A number of this kind that is not below 0, or is above what is given; never infinite."""
    number = isinstance(value, (kind, int)) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf or (above is not None and value <= above):
        given = repr(value) if number else f"of type {type(value).__name__}"
        raise LocalProtocolError(f"{name} is {given}; it must be {allowed}")


_SUPERSEDING = DEFAULT_TOLERANCES | {Tolerance.SUPERSEDES}
_FOR_SERVERS: dict[str, dict[str, Any]] = {
    "aimock": {"echoes_metadata": False},
    "localai": {"tolerances": _SUPERSEDING},
    "speaches": {"tolerances": _SUPERSEDING, "echoes_metadata": False},
}
