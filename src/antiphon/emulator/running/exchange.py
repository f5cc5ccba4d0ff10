"""The calls of one emulator: placed, rung, found by their ids, and let go when they are over."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from antiphon.emulator.engine.call import Call, CallKind
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.handshake import HttpRefusal
from antiphon.emulator.engine.lines import LineKind
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.call_choices import SidebandOverflow, SidebandUnknownCall
from antiphon.emulator.running.emulated_call import CallLine, EmulatedCall
from antiphon.emulator.running.performer import Performer
from antiphon.emulator.scripts.script import Script

__all__ = ["Exchange", "Settings"]

Json = dict[str, Any]
# A call that nobody ends lasts an hour.
MAX_CALLS = 1000


class Settings:
    """What new calls are made with; an emulator gives its own, which may change."""

    def __init__(
        self,
        behaviour: Callable[[], Behaviour],
        script: Callable[[], Script],
        faults: Callable[[], Faults | None],
        seed: int | str,
        epoch: Callable[[], float],
        performer: Performer,
        keep_received: int = 10_000,
    ) -> None:
        self.behaviour = behaviour
        self.script = script
        self.faults = faults
        self.seed = seed
        self.epoch = epoch
        self.performer = performer
        self.keep_received = keep_received


class Exchange:
    """Where calls are placed and found.

    Iterating gives the calls that are ringing or up, oldest first.

    Args:
        settings: what new calls are made with.

    Attributes:
        max_calls: offers beyond so many calls are refused; who is asked by HTTP asks `is_full`.
    """

    def __init__(self, settings: Settings) -> None:
        self.max_calls = MAX_CALLS
        self._settings = settings
        self._calls: dict[str, EmulatedCall] = {}
        self._made = 0

    def __iter__(self) -> Iterator[EmulatedCall]:
        return iter(list(self._calls.values()))

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def is_full(self) -> bool:
        """Whether there are as many calls as may be."""
        return len(self._calls) >= self.max_calls

    def get(self, call_id: str) -> EmulatedCall | None:
        """The call of this id, while it rings or is up."""
        return self._calls.get(call_id)

    def place(self, session: Mapping[str, Any] | None = None) -> EmulatedCall:
        """A browser has called and was answered; without sound, unless media is added.

        Args:
            session: its configuration, as in the offer's `session` part.

        Raises:
            Refusal: the session cannot be so; there is no call.
        """
        asked: Json = {"type": "realtime", **(session or {})}
        call = self._make(CallKind.WEBRTC, str(asked.get("model") or ""))
        call.accept(asked)
        self._calls[call.id] = call
        return call

    def ring(self, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> EmulatedCall:
        """A telephone rings: the call waits for `accept` or `reject`.

        Args:
            headers: SIP headers, such as From and To, in order; names may repeat in pairs.
        """
        call = self._make(CallKind.SIP, "")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        call.headers = list(pairs)
        self._calls[call.id] = call
        return call

    def sideband(self, call_id: str) -> CallLine | HttpRefusal:
        """A line for a sideband, or why there is none (P-370, P-381, P-384, P-385)."""
        knobs = self._settings.behaviour()
        call = self._calls.get(call_id)
        if call is None or not call.is_ready:
            if knobs.sideband_unknown_call is SidebandUnknownCall.HTTP_404_EMPTY:
                return HttpRefusal(404, "", "")
            return HttpRefusal(404, "call_id_not_found", f"No call found with id '{call_id}'.")
        knobs = call.engine.behaviour
        if knobs.max_sidebands is not None and call.sidebands >= knobs.max_sidebands:
            if knobs.sideband_overflow is SidebandOverflow.HTTP_409 or not call.sidebands:
                most = f"This call has {call.sidebands} sidebands already."
                return HttpRefusal(409, "too_many_sidebands", most)
            call.close_oldest_sideband()
        return CallLine(call, LineKind.SIDEBAND)

    def close(self) -> None:
        """End every call."""
        for call in self:
            call.shut_down()

    def _make(self, kind: CallKind, model: str) -> EmulatedCall:
        settings = self._settings
        call = Call(
            settings.behaviour(),
            settings.script(),
            kind=kind,
            # Calls and plain connections of one seed have other ids.
            seed=f"{settings.seed}:call:{self._made}",
            faults=settings.faults(),
            epoch=settings.epoch(),
            model=model,
            keep_received=settings.keep_received,
            faculties=settings.performer.faculties,
        )
        self._made += 1
        return EmulatedCall(call, settings.performer, self._ended)

    def _ended(self, call: EmulatedCall) -> None:
        self._calls.pop(call.id, None)
