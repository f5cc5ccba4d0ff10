"""The way out: events become frames in the dialect's names, frames become effects.

The channel is ordered (P-131): while one frame is delayed, those behind it wait. Faults act here.
"""

from collections import deque
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

from antiphon.emulator.engine.basis import Basis
from antiphon.emulator.engine.core import Outlet
from antiphon.emulator.engine.effects import (
    Abort,
    Ask,
    CloseConnection,
    Drop,
    Proceed,
    SendFrame,
    SendHalfFrame,
    ServerEffect,
)
from antiphon.emulator.engine.faults import Act, Chance, Faults, Rule, half_of, response_id_of
from antiphon.emulator.shapes.dialect import Translator

__all__ = ["FrameOutlet", "WayOut"]

Json = dict[str, Any]
_MALFORMED = b'{"type":"response.output_audio.delta","delta":'


class WayOut(Outlet, Protocol):
    """What an engine needs of its way out."""

    @property
    def cut(self) -> bool:
        """Whether a fault has ended the connection."""

    def start(self) -> None:
        """The connection is open."""

    def close(self, code: int | None, reason: str) -> None:
        """Close it after what was sent."""

    def cut_off(self) -> None:
        """Cut it after what was sent."""

    def take(self) -> list[ServerEffect]:
        """The effects since the last call."""

    def keep_appointments(self) -> None:
        """All other deadlines are void: make those of the frames that wait anew."""


class FrameOutlet:
    """Encodes events at once, so that what they refer to may change afterwards.

    Args:
        basis: for time, chance and appointments.
        translator: the dialect.
        faults: what goes wrong.
        behind_proxy: whether a proxy passes on how the connection ends (P-468).

    Invariant: `_queue` is empty, or its head waits for `_open_at`.
    """

    def __init__(
        self,
        basis: Basis,
        translator: Translator,
        faults: Faults | None,
        *,
        behind_proxy: bool = False,
    ) -> None:
        self._basis = basis
        self._behind_proxy = behind_proxy
        self._translator = translator
        self._faults = faults
        self._effects: list[ServerEffect] = []
        self._queue: deque[tuple[float, ServerEffect]] = deque()
        self._open_at = 0.0
        self._seen: dict[int, int] = {}
        self._held: dict[str, list[tuple[str | None, Json]]] = {}
        self._encode = msgspec.json.Encoder().encode
        self.cut = False

    def start(self) -> None:
        """The connection is open: make the appointments of timed faults."""
        for rule in self._faults.timed if self._faults else ():
            self._basis.later(rule.at_s, lambda rule=rule: self._apply_to_connection(rule))  # type: ignore[misc]

    def send(self, event: Json) -> None:
        """Send one event, or what the faults make of it."""
        if self.cut:
            return
        if self._faults is None:
            self._put(event)
            return
        rule = self._rule_for(event)
        if rule is not None:
            self._apply(rule, event)
        else:
            self._try_luck(self._faults.chance, event)
        # What is held itself has not been sent, so nothing is let go by it.
        if rule is None or rule.act is not Act.HOLD:
            self._let_go(event)

    def ask(self, effect: Ask | Proceed | Drop) -> None:
        """Have something done, or not done any more; that is no frame, and passes them."""
        self._effects.append(effect)

    def close(self, code: int | None, reason: str) -> None:
        """Close the connection after what was sent."""
        self._end(CloseConnection(code, reason))

    def cut_off(self) -> None:
        """Cut the connection after what was sent."""
        self._end(Abort())

    def abort(self) -> None:
        """Cut the connection now: what was on its way is lost."""
        self._queue.clear()
        self._open_at = 0.0
        self._push(Abort())

    def take(self) -> list[ServerEffect]:
        """The effects since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def keep_appointments(self) -> None:
        """All other deadlines are void: make those of the frames that wait anew."""
        for when, _ in self._queue:
            if when != float("inf"):
                self._basis.agenda.at(when, self._flush)

    # The ordered channel

    def _put(self, event: Json) -> None:
        for shown in self._translator.outgoing(event):
            self._push(SendFrame(self._encode(shown)))

    def _end(self, effect: CloseConnection | Abort) -> None:
        if self._behind_proxy:
            effect = _as_a_proxy_ends(effect)
            if effect.code != 1000:
                error = {"type": "server_error", "message": effect.reason}
                self._push(SendFrame(self._encode({"type": "error", "error": error})))
        self._push(effect)

    def _push(self, effect: ServerEffect, delay_s: float = 0.0) -> None:
        if self.cut:
            return
        now = self._basis.now
        self._open_at = max(self._open_at, now) + delay_s
        if isinstance(effect, Abort | CloseConnection):
            self.cut = True
        if self._open_at <= now and not self._queue:
            self._effects.append(effect)
            return
        self._queue.append((self._open_at, effect))
        if self._open_at != float("inf"):
            self._basis.agenda.at(self._open_at, self._flush)

    def _flush(self) -> None:
        while self._queue and self._queue[0][0] <= self._basis.now:
            self._effects.append(self._queue.popleft()[1])

    # Faults

    def _rule_for(self, event: Json) -> Rule | None:
        assert self._faults is not None
        chosen = None
        for number, rule in self._faults.fitting(event):
            count = self._seen[number] = self._seen.get(number, 0) + 1
            if chosen is None and rule.nth in (None, count):
                chosen = rule
        return chosen

    def _apply(self, rule: Rule, event: Json) -> None:
        match rule.act:
            case Act.DROP:
                pass
            case Act.DELAY:
                self._open_at = max(self._open_at, self._basis.now) + rule.seconds
                self._put(event)
            case Act.DUPLICATE:
                self._put(event)
                self._put(event)
            case Act.HOLD:
                owner = response_id_of(event) if rule.same_response else None
                self._held.setdefault(rule.until, []).append((owner, event))
            case Act.CHANGE if rule.change is not None:
                self._put(rule.change(event))
            case Act.REPLACE_FRAME if rule.frame is not None:
                for shown in self._translator.outgoing(event):
                    self._push(SendFrame(rule.frame(self._encode(shown))))
            case Act.HALF_FRAME:
                for shown in self._translator.outgoing(event):
                    half = half_of(SendFrame(self._encode(shown)))
                    self._push(SendHalfFrame(half))
                self._push(Abort())
            case _:
                self._apply_to_connection(rule)

    def _apply_to_connection(self, rule: Rule) -> None:
        match rule.act:
            case Act.CLOSE:
                self._end(CloseConnection(rule.code, rule.reason))
            case Act.ABORT:
                self._queue.clear()
                self._open_at = 0.0
                self._end(Abort())
            case Act.STALL:
                self._open_at = max(self._open_at, self._basis.now) + rule.seconds
            case Act.SEND if rule.extra is not None:
                self._put({"event_id": self._basis.ids.new("event"), **rule.extra})

    def _try_luck(self, chance: Chance | None, event: Json) -> None:
        if chance is None or not self._fits(chance, event):
            self._put(event)
            return
        draw = self._basis.rng.random
        # Each draw is made whatever the others say, so that one probability's change does not
        # shift the others' luck.
        delayed, dropped, doubled, broken, cut = (draw() for _ in range(5))
        length = draw() * chance.max_delay_s
        if cut < chance.abort:
            self._end(Abort())
        elif dropped < chance.drop:
            return
        elif broken < chance.malformed:
            self._push(SendFrame(_MALFORMED))
        else:
            if delayed < chance.delay:
                self._open_at = max(self._open_at, self._basis.now) + length
            self._put(event)
            if doubled < chance.duplicate:
                self._put(event)

    @staticmethod
    def _fits(chance: Chance, event: Json) -> bool:
        return chance.only == "*" or fnmatchcase(event["type"], chance.only)

    def _let_go(self, event: Json) -> None:
        held = self._held.pop(event["type"], None)
        if held is None:
            return
        cause = response_id_of(event)
        kept: list[tuple[str | None, Json]] = []
        for owner, late in held:
            if cause is None or owner in (None, cause):
                self._put(late)
            else:
                kept.append((owner, late))
        if kept:
            self._held[event["type"]] = kept


def _as_a_proxy_ends(effect: CloseConnection | Abort) -> CloseConnection:
    """P-468: without a close frame, or without a code in it, the client gets 1011."""
    if isinstance(effect, Abort):
        return CloseConnection(1011, "The connection to the server was lost.")
    if effect.code is None:
        return CloseConnection(1011, effect.reason or "The server closed the connection.")
    return effect
