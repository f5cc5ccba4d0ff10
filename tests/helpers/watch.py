"""A connection under watch: the invariants I1 to I9, checked after every step; and the times.

What is checked here is stated in docs/architecture.md; nothing here knows how the core keeps it.
`finish` lets all the time pass that anything waits for, and then nothing may be left.
"""

from collections.abc import Iterable
from typing import Any

from antiphon.exceptions import ConnectionClosedError
from antiphon.protocol.connection import Connection
from antiphon.protocol.directory import METADATA_KEY
from antiphon.protocol.effects import (
    Answered,
    CallReady,
    Effects,
    Ended,
    Interrupted,
    Opened,
    Output,
    Refused,
    Report,
    Send,
    Settled,
)
from antiphon.protocol.interruption import Interruption, Scope
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.options import Options
from antiphon.protocol.requests import Request
from antiphon.protocol.response import Cause, Lane, OnBusy, Outcome, OutcomeKind, Response
from antiphon.protocol.times import ResponseTimes
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.client_events import ResponseCancel, ResponseCreate, ResponseCreateParams
from antiphon.wire.items import Item
from antiphon.wire.server_events import ResponseCreated, ResponseDone, ServerEvent

__all__ = ["GIVEN_UP", "Life", "Watched", "check_order"]

PREFIX = "t"
# From one step to the next, so that no two of them have the same time. A binary fraction.
TICK = 2.0**-20
GIVEN_UP = (OutcomeKind.UNSETTLED, OutcomeKind.TIMED_OUT)
WORDS = ("response.output_text.delta", "response.output_audio_transcript.delta")


def check_order(times: ResponseTimes, *, given_up: bool = False) -> None:
    """What `ResponseTimes` promises of the order in which things happen.

    Args:
        times: of one response.
        given_up: whether it was settled without the server's word, which may come after that.
    """
    one = times
    firsts = [one.first_text, one.first_audio]
    for known in (
        [one.asked, one.sent, one.created, *(() if given_up else (one.settled,))],
        *([one.created, first] for first in firsts),
        *([one.asked, first, one.settled] for first in firsts),
        [one.asked, one.cancel_sent, *(() if given_up else (one.settled,))],
        [one.asked, one.first_heard],
        [one.asked, one.settled],
    ):
        happened = [when for when in known if when is not None]
        assert happened == sorted(happened), times


class Life:
    """What a reader and the server have seen of one response."""

    def __init__(self, response: Response, on_busy: OnBusy = OnBusy.QUEUE) -> None:
        self.response = response
        self.on_busy = on_busy
        self.sent = 0
        self.opened = False
        self.ended = False
        self.stopped = False
        self.outcome: Outcome | None = None
        # The place of the latest output among all that came, by the id that it bore.
        self.places: dict[str | None, int] = {}
        self.seen: dict[str, float] = {}

    def saw(self, what: str, now: float, *, again: bool = False) -> None:
        """This happened just now; the first time counts, or the last."""
        if again or what not in self.seen:
            self.seen[what] = now

    @property
    def reads(self) -> bool:
        return self.opened and not self.ended

    @property
    def holds_lane(self) -> bool:
        return (self.sent > 0 or self.opened) and self.outcome is None

    @property
    def refused(self) -> bool:
        return self.response.state is ResponseState.QUEUED


class Watched:
    """A connection, driven step by step."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.connection = Connection(PREFIX, self.options)
        self.now = 0.0
        self.lives: dict[Response, Life] = {}
        self.mine: list[Response] = []
        self.sent: list[Any] = []
        self.log: list[tuple[object, Effects]] = []
        self._by_key: dict[str, Life] = {}
        self._arrived: dict[str | None, list[ServerEvent]] = {}
        self._interruptions: dict[int, Interruption] = {}
        self._over: set[int] = set()
        self._requests: dict[int, Request] = {}
        self._answered: set[int] = set()
        self._cancelled: set[str] = set()
        self._cancel_times: dict[str | None, float] = {}
        # Ids that may be cancelled though no reader knows of such a response: of output that was
        # there when everything was interrupted, or made with a key of ours.
        self._revocable: set[str | None] = set()
        self._stopped_now: set[str | None] = set()
        self._stops = False

    # --- steps ----------------------------------------------------------------------------------

    def create(
        self,
        *,
        lane: Lane = Lane.DEFAULT,
        on_busy: OnBusy = OnBusy.QUEUE,
        interruptible: bool = True,
        timeout: float | None = None,
    ) -> Response:
        self.now += TICK
        params = ResponseCreateParams(conversation="none" if lane is Lane.OUT_OF_BAND else "auto")
        response, effects = self.connection.create_response(
            params, self.now, on_busy=on_busy, interruptible=interruptible, timeout=timeout
        )
        self.mine.append(response)
        life = self.lives[response] = Life(response, on_busy)
        life.saw("asked", self.now)
        self._by_key[str(response.key)] = life
        self._stops = on_busy is OnBusy.REPLACE
        self._take(f"* create {response.key} {lane} {on_busy}", effects)
        return response

    def cancel(self, responses: Iterable[Response]) -> Interruption:
        self.now += TICK
        targets = list(responses)
        self._stops = True
        interruption, effects = self.connection.cancel(targets, self.now)
        return self._interrupted(f"* cancel {targets}", interruption, effects)

    def interrupt(self, scope: Scope = "all") -> Interruption:
        self._stops = True
        if scope != "out_of_band":
            known = {life.response.id for life in self.lives.values() if life.opened}
            self._revocable |= self._arrived.keys() - known
        self.now += TICK
        interruption, effects = self.connection.interrupt(scope, self.now)
        return self._interrupted(f"* interrupt {scope}", interruption, effects)

    def ask(self, verb: str, *args: Any) -> Request:
        request, effects = getattr(self.connection, verb)(*args, self.now)
        assert isinstance(request, Request)
        self._requests[id(request)] = request
        self._take(f"* {verb}", effects)
        return request

    def receive(self, event: ServerEvent | UnknownEvent | Malformed) -> None:
        if isinstance(event, ResponseCreated | ResponseDone):
            key = (event.response.metadata or {}).get(METADATA_KEY)
            if isinstance(key, str) and key.startswith(f"{PREFIX}-r"):
                self._revocable.add(event.response.id or None)
        response_id = getattr(event, "response_id", None) or None
        reader: list[Life] = []
        is_output = hasattr(event, "response_id") and not isinstance(event, Malformed)
        if is_output:
            assert isinstance(event, ServerEvent)
            self._arrived.setdefault(response_id, []).append(event)
            reader = [
                life
                for life in self.lives.values()
                if life.reads and life.response.id == response_id
            ]
        self.now += TICK
        effects = self.connection.receive(event, self.now)
        if self.connection.lost:
            assert all(isinstance(effect, Report) for effect in effects), "after the loss"
        self._take(event, effects)
        if is_output and reader:
            # I2: complete. Whoever reads it gets every event of it, and nobody else does.
            outputs = [effect for effect in effects if isinstance(effect, Output)]
            assert [one.event for one in outputs] == [event], self.trace()
            assert [self.lives[one.response] for one in outputs] == reader, self.trace()

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        rings = 0
        while (when := self.connection.next_deadline()) is not None and when <= until:
            rings += 1
            assert rings < 10_000, "a deadline that never passes"
            self.now = max(self.now, when)
            self._take(f"* {self.now:g} s", self.connection.advance(self.now))
        self.now = until

    def lose(self) -> None:
        self.now += TICK
        lost = ConnectionClosedError(1006, "", "network")
        self._take("* lose", self.connection.lose(lost, self.now))

    def finish(self) -> None:
        """Let every deadline pass: nothing may be waiting for anything any more (I3, I6, I9)."""
        self.wait(1e6)
        self._check_nothing_left()

    def forget_what_is_over(self) -> None:
        """Drop the records of what is settled; a long run needs only the latest."""
        self.lives = {one: life for one, life in self.lives.items() if life.outcome is None}
        self.log.clear()
        self._arrived.clear()

    def trace(self) -> str:
        """What happened so far, for the message of a failure."""
        lines = [""]
        for said, effects in self.log:
            lines.append(str(said))
            lines += [f"    {effect}"[:160] for effect in effects]
        return "\n".join(lines)

    # --- what must hold -------------------------------------------------------------------------

    def _interrupted(self, said: str, interruption: Interruption, effects: Effects) -> Interruption:
        self._interruptions[id(interruption)] = interruption
        assert interruption.asked == self.now, self.trace()
        # I1: from here on, whatever the effects of this very step are.
        for response in interruption.responses:
            self.lives[response].stopped = True
        self._take(said, effects)
        return interruption

    def _take(self, said: object, effects: Effects) -> None:
        self.log.append((said, effects))
        # Cancels stand before what follows from them: who is stopped in this step is known at once.
        causes = {Cause.TIMED_OUT, Cause.STALLED} | ({Cause.CANCELLED} if self._stops else set())
        self._stopped_now = {
            effect.response.id or None
            for effect in effects
            if isinstance(effect, Ended) and effect.response.cause in causes
        }
        for effect in effects:
            self._check(effect)
        self._stops = False
        self._check_standing()

    def _check(self, effect: Any) -> None:
        match effect:
            case Send(event=ResponseCreate() as event):
                assert event.response, "a create carries its key"
                self._check_create(self._by_key[(event.response.metadata or {})[METADATA_KEY]])
            case Send(event=ResponseCancel() as event):
                self._check_cancel(event)
            case Opened(response=response):
                life = self.lives.setdefault(response, Life(response))
                assert not life.opened and not life.ended, self.trace()
                assert not life.stopped, f"I5: a stopped response surfaced{self.trace()}"
                life.opened = True
                life.saw("created", self.now)
            case Output(response=response, event=event):
                self._check_output(self.lives[response], event)
            case CallReady(response=response, item=item):
                self._check_call(self.lives[response], item)
            case Ended(response=response):
                life = self.lives[response]
                assert not life.ended, f"I3: ended twice{self.trace()}"
                life.ended = True
                if response.cause is Cause.CANCELLED:
                    assert self._stops, f"I4: stopped, and nobody asked for it{self.trace()}"
                life.stopped |= response.cause in (
                    Cause.CANCELLED,
                    Cause.TIMED_OUT,
                    Cause.STALLED,
                )
            case Settled(response=response):
                life = self.lives[response]
                assert life.ended, f"I3: settled before its streams ended{self.trace()}"
                assert life.outcome is None, f"I6: settled twice{self.trace()}"
                assert response.outcome is not None
                life.outcome = response.outcome
                life.saw("settled", self.now)
            case Interrupted(interruption=interruption):
                assert id(interruption) not in self._over, f"I3: over twice{self.trace()}"
                self._over.add(id(interruption))
                assert all(one.outcome is not None for one in interruption.responses)
                for one, entry in zip(
                    interruption.responses, interruption.receipt().entries, strict=True
                ):
                    assert entry.times == one.times, self.trace()
                    assert entry.cancel_sent is (entry.times.cancel_sent is not None)
            case Answered(request=request) | Refused(request=request):
                assert id(request) not in self._answered, f"I3: answered twice{self.trace()}"
                self._answered.add(id(request))
        if isinstance(effect, Send):
            self.sent.append(effect.event)

    def _check_create(self, life: Life) -> None:
        assert not life.stopped and not life.ended, f"sent after it was stopped{self.trace()}"
        life.sent += 1
        life.saw("sent", self.now, again=True)
        if life.response.lane is Lane.DEFAULT and life.on_busy is not OnBusy.SEND:
            taken = [
                other.response
                for other in self.lives.values()
                if other is not life
                and other.response.lane is Lane.DEFAULT
                and other.holds_lane
                and not other.refused
            ]
            assert not taken, f"I7: the lane was taken by {taken}{self.trace()}"

    def _check_cancel(self, event: ResponseCancel) -> None:
        named = event.response_id or None
        if named is not None:
            assert named not in self._cancelled, f"I4: {named} cancelled twice{self.trace()}"
            self._cancelled.add(named)
        known = [life for life in self.lives.values() if life.response.id == named and life.stopped]
        self._cancel_times[str(event.event_id)] = self.now
        asked = known or named in self._revocable or named in self._stopped_now
        assert asked, f"I4: nobody asked to stop {named}{self.trace()}"

    def _check_output(self, life: Life, event: Any) -> None:
        assert life.reads, f"output outside of its streams{self.trace()}"
        assert not life.stopped, f"I1: output after it was stopped{self.trace()}"
        said = event.response_id or None
        assert said == life.response.id, f"I2: output of {said}{self.trace()}"
        arrived = self._arrived[said]
        after = life.places.get(said, -1) + 1
        places = (at for at in range(after, len(arrived)) if arrived[at] is event)
        place = next(places, None)
        assert place is not None, f"I2: out of order{self.trace()}"
        life.places[said] = place
        if event.type in WORDS and event.delta:
            life.saw("first_text", self.now)
        elif event.type == "response.output_audio.delta" and event.delta:
            life.saw("first_audio", self.now)

    def _check_call(self, life: Life, item: Item) -> None:
        assert life.reads and not life.stopped, f"I8: a call of a stopped response{self.trace()}"
        complete = item.status == "completed" or not item.status
        assert item.type == "function_call" and complete, f"I8: {item}{self.trace()}"

    def _check_standing(self) -> None:
        waiting = False
        for life in self.lives.values():
            assert life.response.outcome is life.outcome, f"I6: another outcome{self.trace()}"
            self._check_times(life)
            waiting |= life.outcome is None
        if waiting:
            assert self.connection.next_deadline() is not None, f"I3: it can hang{self.trace()}"

    def _check_times(self, life: Life) -> None:
        """Each is the time of the step in which it was seen from outside."""
        response, times = life.response, life.response.times
        given_up = life.outcome is not None and life.outcome.kind in GIVEN_UP
        check_order(times, given_up=given_up)
        seen = dict(life.seen)
        seen["cancel_sent"] = self._cancel_times.get(response.cancel_event_id, 0.0)
        if not life.opened:
            # Announced after it was stopped: nobody is shown that.
            assert (times.created is not None) is response.named, self.trace()
            seen["created"] = times.created or 0.0
        expected = ResponseTimes(**{what: when for what, when in seen.items() if when})
        assert times == expected, f"{times}, seen: {expected}{self.trace()}"

    def _check_nothing_left(self) -> None:
        for response, life in self.lives.items():
            assert life.ended and life.outcome is not None, f"I3: {response}{self.trace()}"
        assert self._over == self._interruptions.keys(), f"I3: an interruption{self.trace()}"
        assert self._answered == self._requests.keys(), f"I3: a request{self.trace()}"
        assert self.connection.unsettled == ()
        self.check_memory()
        responses = self.connection._responses
        assert not len(self.connection._requests)
        assert not any(responses._admission.waiting(lane) for lane in Lane)
        if not self.connection.lost:
            assert not any(responses._admission.occupants(lane) for lane in Lane)
            assert not list(responses._early)

    def check_memory(self) -> None:
        """I9: what is held follows what is live and `options.remembered`."""
        responses = self.connection._responses
        live = len(responses._machine.unsettled) + sum(
            len(responses._admission.occupants(lane)) for lane in Lane
        )
        bound = self.options.remembered + live + len(list(responses._early))
        assert len(responses._machine.finished) <= self.options.remembered
        assert len(responses._by_id) <= bound
        assert len(responses._directory._by_key) <= bound
        assert len(self.connection._items._out_of_band) <= 4 * self.options.remembered
        early = responses._early
        assert early._size == sum(len(one.kept) for one in early) <= self.options.kept_events
        heap = self.connection._deadlines._heap
        assert len(heap) <= 2 * len(self.connection._deadlines) + 66
