"""The session's configuration: what is in force, and what a next connection has to be told."""

from collections.abc import Mapping
from typing import Any

from antiphon.protocol.effects import Effects
from antiphon.protocol.input_audio import BYTES_PER_MS, InputAudio
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.responses import Responses
from antiphon.protocol.snapshot import merged
from antiphon.wire.client_events import SessionUpdate
from antiphon.wire.server_events import SessionCreated, SessionUpdated

__all__ = ["Configuration", "stands_in"]


class Configuration:
    """What the server said of the session, and what of it was our wish.

    Attributes:
        in_force: as the server last told it, with what it is being told anew after a reconnect.
        accepted: what was asked for and is not known to be refused.
    """

    __slots__ = (
        "_input_audio",
        "_requests",
        "_responses",
        "_shared",
        "_told",
        "accepted",
        "in_force",
    )

    def __init__(
        self,
        requests: Requests,
        input_audio: InputAudio,
        responses: Responses,
        *,
        shared: bool = False,
    ) -> None:
        self._requests = requests
        self._shared = shared
        self._input_audio = input_audio
        self._responses = responses
        self._told: dict[str, Any] = {}
        self.accepted: dict[str, Any] = {}
        self.in_force: dict[str, Any] = {}

    def update(self, config: Mapping[str, Any], now: float, effects: Effects) -> Request:
        """P-251: the server takes all of it or nothing."""
        whole = {"type": "realtime", **config}
        event_id = self._requests.next_event_id()
        request = Request(event_id, RequestKind.SESSION_UPDATE, payload=whole)
        event = SessionUpdate(event_id=event_id, session=whole)
        return self._requests.ask(event, request, now, effects)

    def follow(self, lost: "Configuration") -> None:
        """What was in force stays so until the server is told otherwise."""
        self.accepted = lost.accepted
        self._show(lost.in_force)

    def replay(self, config: Mapping[str, Any], now: float, effects: Effects) -> None:
        """Tell it to a new server-side session."""
        # Already so in the snapshot of this connection, should it be lost before the answer.
        self.accepted = dict(config)
        self._show(merged(self._told, self.accepted))
        if config:
            request = self.update(config, now, effects)
            request.event = None  # it is accepted already, and not asked for a second time

    def created(self, event: SessionCreated, now: float, effects: Effects) -> None:
        self._told = event.session
        # The server does not know yet what an earlier one knew, and will be told next.
        self._show(merged(event.session, self.accepted))

    def updated(self, event: SessionUpdated, now: float, effects: Effects) -> None:
        self._told = event.session
        self._show(event.session)
        request = self._requests.find(RequestKind.SESSION_UPDATE)
        if request is not None and self._shared and not stands_in(request.payload, event.session):
            request = None  # another controller's update (P-380)
        if request is not None:
            self.accepted = merged(self.accepted, request.payload)
            self._requests.answer(request, event.session, effects)

    def refused(self) -> None:
        """An update was refused: what the server last told holds."""
        self._show(self._told)

    def _show(self, session: dict[str, Any]) -> None:
        self.in_force = session
        self._input_audio.bytes_per_ms = _bytes_per_ms(session, "input")
        detection = _turn_detection(session)
        self._input_audio.by_hand = detection is None
        self._input_audio.replies = (detection or {}).get("create_response") is not False
        self._input_audio.interrupts = (detection or {}).get("interrupt_response") is not False
        self._responses.produced.output_bytes_per_ms = _bytes_per_ms(session, "output")


def stands_in(asked: Any, told: Any) -> bool:
    """Whether all that was asked for is so in what the server tells, which may be more."""
    if isinstance(asked, Mapping):
        return isinstance(told, Mapping) and all(
            # P-252: empty instructions bring the server's own text back.
            (name == "instructions" and value == "" and isinstance(told.get(name), str))
            or stands_in(value, told.get(name))
            for name, value in asked.items()
        )
    if isinstance(asked, (list, tuple)):
        # A tool comes back with whatever fields the server adds to it.
        same_length = isinstance(told, list) and len(told) == len(asked)
        return same_length and all(map(stands_in, asked, told))
    return bool(asked == told)


def _turn_detection(session: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """How the server finds the user's turns; null means that the client commits them."""
    audio = session.get("audio")
    part = audio.get("input") if isinstance(audio, Mapping) else None
    found = part.get("turn_detection") if isinstance(part, Mapping) else None
    if found is None or isinstance(found, Mapping):
        return found
    return {}


def _bytes_per_ms(session: Mapping[str, Any], side: str) -> int:
    """Bytes of one ms of audio in the session's format for this side (P-240)."""
    audio = session.get("audio")
    part = audio.get(side) if isinstance(audio, Mapping) else None
    format_ = part.get("format") if isinstance(part, Mapping) else None
    name = format_.get("type") if isinstance(format_, Mapping) else None
    return BYTES_PER_MS.get(str(name), BYTES_PER_MS["audio/pcm"])
