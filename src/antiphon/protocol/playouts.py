"""The playback of all responses of one connection: fires the inputs of PLAYOUT, does its actions.

`playout.py` says what may happen to one; this file couples them. A call has one output buffer for
all its responses (P-407, P-408) and one clear for the whole of it (P-410), so whether a response
can be silenced depends on what else would be.
"""

from collections.abc import Callable

from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.effects import Effects, Interrupted, PlaybackEnded, Send, Silence
from antiphon.protocol.interruption import Interruption
from antiphon.protocol.options import Options
from antiphon.protocol.playout import (
    PLAYOUT,
    PlaybackKind,
    Playout,
    PlayoutAction,
    PlayoutInput,
    PlayoutState,
)
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.response import Lane, Outcome, OutcomeKind, Response
from antiphon.wire.client_events import OutputAudioBufferClear

__all__ = ["Playouts", "is_wanted", "tell_watchers"]

_S, _I, _K = PlayoutState, PlayoutInput, PlaybackKind

# What a settling input says of the sound, where that does not depend on whether it had begun.
_KINDS = {
    _I.STOPPED: _K.PLAYED,
    _I.CLEARED: _K.CLEARED,
    _I.UNHEARD: _K.NONE,
    _I.OUTWAITED: _K.UNSETTLED,
    _I.LOST: _K.LOST,
}
_WAITS_FOR_START = frozenset({_S.DUE, _S.UNWANTED})
_ASKED = frozenset({_S.UNWANTED, _S.CLEARING, _S.MEASURING, _S.REFUSED})


class Playouts:
    """Who is heard, who will be, who was asked to be silent.

    Args:
        options: timeouts; and whether playback is a call's.
        deadlines: of the connection.
        requests: of the connection.
        truncate: takes out of the conversation what of a response was not heard.
    """

    __slots__ = (
        "_blind",
        "_call",
        "_clear_wanted",
        "_deadlines",
        "_known",
        "_options",
        "_requests",
        "_truncate",
    )

    def __init__(
        self,
        options: Options,
        deadlines: Deadlines,
        requests: Requests,
        truncate: Callable[[Response, int, float, Effects], None],
    ) -> None:
        self._options = options
        self._call = options.call
        # On a call that was joined in its middle something may be heard of which nothing tells any
        # more (P-377).
        self._blind = options.call
        self._deadlines = deadlines
        self._requests = requests
        self._truncate = truncate
        # Those with a playout, oldest first; settled ones are remembered, within bounds (I9).
        self._known: dict[Response, Playout] = {}
        self._clear_wanted = False

    # --- who is heard ---------------------------------------------------------------------------

    @property
    def audible(self) -> list[Response]:
        """Those of which something is heard, or will be; oldest first."""
        return [response for response, playout in self._known.items() if playout.audible]

    @property
    def on_air(self) -> list[Response]:
        """Those, and whatever may begin to play although it was asked to be silent (P-406)."""
        return [
            response
            for response, playout in self._known.items()
            if playout.audible or playout.state is _S.UNWANTED
        ]

    def of(self, response: Response) -> Playout:
        """The playout of this response; made on first sight."""
        playout = response.playout
        if playout is None:
            playout = response.playout = Playout(local=not self._call)
        if response not in self._known:
            self._known[response] = playout
            if len(self._known) > self._options.remembered:
                self._forget_one()
        return playout

    def take_over(self, others: "Playouts") -> None:
        """What a player in this process plays goes on when the connection is another."""
        for response, playout in others._known.items():
            if playout.local and playout.audible:
                self._known[response] = playout

    # --- what the caller asks -------------------------------------------------------------------

    def silence(self, interruption: Interruption, now: float, effects: Effects) -> None:
        """Ask for silence from all that the interruption names, after their cancels were sent.

        Sound of a call is cleared all at once or not at all (P-410). With `"exact"` it is only
        cleared where everything that would be silenced is meant.
        """
        meant, mode = interruption.responses, interruption.playback
        if not self._call and not self._known:
            return
        shared = any(is_wanted(other) for other in self.audible if other not in meant)
        for response in meant:
            asks = self._call and response.outcome is None
            playout = self.of(response) if asks else response.playout
            if playout is None:
                continue
            exact = playout.local or mode == "always" or not shared
            if mode == "never" or (playout.audible and not exact):
                interruption.keep(response)
            else:
                self._fire(response, playout, _I.ASK_CLEAR, now, effects)
        self._send_clear(now, effects)
        for response in meant:
            tell_watchers(response, effects)

    def silence_unseen(self, now: float, effects: Effects) -> None:
        """Nothing is known to be in flight, and all is to be silent: what nobody knows of, too.

        Asked once: then it is known, from what is `cleared` or from the error that nothing plays
        (P-415).
        """
        if self._blind and not self._known and self._requests.online:
            self._clear_wanted = True
            self._send_clear(now, effects)

    def barge_in(self, now: float, effects: Effects) -> None:
        """The user speaks. The server stops what it generates; a local player stops what it plays.

        As the server does (P-192), it leaves out-of-band responses alone.
        """
        for response in self.audible:
            playout = response.playout
            mute = response.interruptible and response.lane is Lane.DEFAULT
            if playout is not None and playout.local and mute:
                self._fire(response, playout, _I.ASK_CLEAR, now, effects)

    # --- what the player says -------------------------------------------------------------------

    def said(
        self, response: Response, fired: PlayoutInput, now: float, heard_ms: int | None = None
    ) -> Effects:
        """What a player in this process says of a response.

        Args:
            response: what it plays.
            fired: SOUND when it takes it on, STARTED with the first sample, STOPPED after the last
                one, CLEARED when the rest was dropped, UNHEARD when there was none.
            now: the time.
            heard_ms: with STOPPED and CLEARED: how much was heard, in ms. What of a cleared one was
                not is taken out of the conversation (P-197). None: not known, and so nothing is.
        """
        effects: Effects = []
        if fired is _I.SOUND:
            self.sound(response, now, effects)
        elif fired is _I.STARTED:
            self.started(response, now, effects)
        elif fired is _I.STOPPED:
            self.stopped(response, now, effects, heard_ms)
        elif fired is _I.UNHEARD:
            self._fire(response, self.of(response), fired, now, effects)
        else:
            self.cleared(response, now, effects, heard_ms)
        return effects

    def sound(self, response: Response, now: float, effects: Effects) -> None:
        """There is audio of it."""
        playout = self.of(response)
        if not playout.sound:
            playout.sound = True
            self._fire(response, playout, _I.SOUND, now, effects)

    def started(self, response: Response, now: float, effects: Effects) -> None:
        """It is being heard from now on."""
        playout = self.of(response)
        asked = playout.state in _ASKED
        others = [other for other in self.audible if other is not response]
        playout.begun = playout.sound = True
        if response.first_heard_at is None:
            response.first_heard_at = now
        if asked and not playout.local and any(map(is_wanted, others)):
            self._fire(response, playout, _I.KEEP, now, effects)
            for watcher in response.watchers:
                watcher.keep(response)
            tell_watchers(response, effects)
        else:
            self._fire(response, playout, _I.STARTED, now, effects)
        for other in others:
            its = other.playout
            if its is None:
                continue
            over = its.state is _S.PLAYING and (its.generated or other.unseen)
            if over or (its.missed and other.number < response.number):
                # P-407: they are played one after the other, so its `stopped` should be here.
                self._set_deadline(its, now + self._options.playback_timeout)
        self._send_clear(now, effects)

    def rejoin(self, response: Response, now: float, effects: Effects, *, begun: bool) -> None:
        """There was something to hear of it, or was to be, when the line was lost (R-36).

        It may be heard still, and may have begun unseen. Should its end have been missed, too, it
        is over at the latest when so much time has passed as a response may say nothing.
        """
        playout = self.of(response)
        if begun:
            self.started(response, now, effects)
            response.first_heard_at = None  # that was before
        else:
            playout.missed = True
            self.sound(response, now, effects)
        self._set_deadline(playout, now + self._options.stall_timeout)

    def stopped(
        self, response: Response, now: float, effects: Effects, heard_ms: int | None = None
    ) -> None:
        """It was heard to its end, or to the end of what there is so far."""
        playout = self.of(response)
        if heard_ms is not None:
            playout.heard_ms = heard_ms
        # Of an unseen one it is taken for the end: nobody may ever tell of its generation.
        over = playout.generated or response.outcome is not None or response.unseen
        dry = playout.state is _S.PLAYING and not over
        self._fire(response, playout, _I.RAN_DRY if dry else _I.STOPPED, now, effects)

    def cleared(
        self, response: Response | None, now: float, effects: Effects, heard_ms: int | None = None
    ) -> None:
        """The rest of it is heard by nobody. On a call: nor of anything else in the buffer."""
        if response is None:  # P-416: some do not say whose
            playing = (heard for heard in self.audible if _state(heard) is _S.PLAYING)
            response = next(playing, None)
        playout = self.of(response) if response is not None else None
        if response is not None and playout is not None:
            if heard_ms is not None:
                playout.heard_ms = heard_ms
            self._clear(response, playout, now, effects)
            if playout.local and heard_ms is not None and response.lane is Lane.DEFAULT:
                # P-197: on a WebSocket nobody else would.
                self._truncate(response, heard_ms, now, effects)
        if playout is None or not playout.local:
            # P-414: one buffer. Whether each gets a `cleared` of its own is not known.
            for other in self.audible:
                its = other.playout
                if its is not None and not its.local and its.state is _S.CLEARING:
                    self._clear(other, its, now, effects)

    def truncated(self, item_id: str, heard_ms: int, now: float, effects: Effects) -> None:
        """So much of this item was heard: the server says so by itself on a call (P-422).

        Another controller's truncate is told in the same words, and may claim more than was heard
        (R-40). The shortest is what stays, and while the sound is not known to be cut, it is not
        taken for the server's own: that comes beside `cleared`, in either order (R-42).
        """
        for response in reversed(self._known):
            playout = response.playout
            if playout is not None and item_id in response.item_ids:
                told = playout.told_ms
                told[item_id] = min(heard_ms, told.get(item_id, heard_ms))
                if playout.cut:
                    playout.heard_ms = sum(told.values())
                    self._fire(response, playout, _I.MEASURED, now, effects)
                return

    def nothing_plays(self, event_id: str, now: float, effects: Effects) -> None:
        """The server's answer to this clear: it found nothing (P-415)."""
        for response in self.audible:
            playout = response.playout
            if playout is not None and playout.clear_event_id == event_id:
                playout.cut |= playout.begun or playout.missed
                self._fire(response, playout, _I.NOTHING_PLAYS, now, effects)
                self._measured(response, playout, now, effects)

    # --- generation, time and loss --------------------------------------------------------------

    def generated(self, response: Response, outcome: Outcome, now: float, effects: Effects) -> None:
        """Its generation is over: no more audio comes of it."""
        if outcome.kind is OutcomeKind.LOST:
            return  # `lose` follows
        playout = response.playout
        if playout is None:
            if not self._call:
                return
            playout = self.of(response)
        playout.generated = True
        if not playout.sound and _spoke(response):
            self.sound(response, now, effects)
        if not playout.sound or (playout.missed and _said_nothing(response)):
            self._fire(response, playout, _I.UNHEARD, now, effects)
        elif playout.local:
            if outcome.kind is OutcomeKind.CANCELLED and playout.audible:
                # By the server: what of it was not heard is not to be.
                self._fire(response, playout, _I.ASK_CLEAR, now, effects)
        elif playout.state in _WAITS_FOR_START:
            self._set_deadline(playout, now + self._start_timeout(playout))

    def due(self, playout: Playout, now: float, effects: Effects) -> None:
        """The playout's deadline has come."""
        playout.deadline = None
        of = (response for response, its in self._known.items() if its is playout)
        response = next(of, None)
        if response is None:
            return  # forgotten
        if playout.cut and playout.heard_ms is None and playout.told_ms:
            playout.heard_ms = sum(playout.told_ms.values())  # what came before `cleared`
        plays = any(_state(heard) in (_S.PLAYING, _S.CLEARING) for heard in self.audible)
        if playout.state not in _WAITS_FOR_START or playout.missed or not plays:
            self._fire(response, playout, _I.OVERDUE, now, effects)
        elif playout.state is _S.UNWANTED:
            # A receipt waits for it, and nobody knows for how long the other plays on.
            self._fire(response, playout, _I.OUTWAITED, now, effects)
        else:
            # They are played one after the other (P-407): its turn has not come.
            self._set_deadline(playout, now + self._options.playback_timeout)

    def lose(self, now: float, effects: Effects) -> None:
        """The connection is gone. A local player goes on with what it has."""
        for response in list(self._known):
            playout = response.playout
            if playout is not None and not playout.local:
                self._fire(response, playout, _I.LOST, now, effects)

    # --- the machine ----------------------------------------------------------------------------

    def _fire(
        self,
        response: Response,
        playout: Playout,
        fired: PlayoutInput,
        now: float,
        effects: Effects,
    ) -> None:
        row = PLAYOUT[playout.state].get(fired)
        if row is None:
            return
        actions, state = row
        before, playout.state = playout.state, state
        self._deadlines.discard(playout.deadline)
        playout.deadline = None
        if PlayoutAction.CLEAR in actions:
            if playout.local:
                effects.append(Silence(response))
            else:
                self._clear_wanted = True
        if PlayoutAction.SETTLE in actions:
            playout.kind = _kind(playout, fired, before)
            effects.append(PlaybackEnded(response))
            tell_watchers(response, effects)
        within = self._within(playout)
        if within is not None:
            self._set_deadline(playout, now + within)

    def _within(self, playout: Playout) -> float | None:
        """How long it may stay in its state. Only a call's player may be silent about it."""
        if playout.local:
            return None
        if playout.state is _S.CLEARING:
            return self._options.settle_timeout
        if playout.state is _S.MEASURING:
            return self._options.heard_timeout
        if playout.state in _WAITS_FOR_START and playout.generated:
            return self._start_timeout(playout)
        return None

    def _start_timeout(self, playout: Playout) -> float:
        """How long its beginning may take. One that was missed is not waited for: its end is."""
        options = self._options
        return options.stall_timeout if playout.missed else options.playback_timeout

    def _clear(self, response: Response, playout: Playout, now: float, effects: Effects) -> None:
        playout.cut = True
        self._fire(response, playout, _I.CLEARED, now, effects)
        self._measured(response, playout, now, effects)
        if playout.told_ms and playout.heard_ms is None:
            self._set_deadline(playout, now + self._options.heard_timeout)

    def _measured(self, response: Response, playout: Playout, now: float, effects: Effects) -> None:
        """Nothing more is to be waited for, if nothing more will be told."""
        unheard = not playout.begun and not playout.missed
        if unheard and not playout.local and playout.heard_ms is None:
            playout.heard_ms = 0
        # P-428: of an out-of-band response nothing more is told.
        told = not playout.cut or response.lane is Lane.OUT_OF_BAND
        if playout.local or playout.heard_ms is not None or told:
            self._fire(response, playout, _I.MEASURED, now, effects)

    def _send_clear(self, now: float, effects: Effects) -> None:
        if not self._clear_wanted:
            return
        self._clear_wanted = self._blind = False
        event_id = self._requests.next_event_id()
        for playout in self._known.values():
            if playout.state is _S.CLEARING:
                playout.clear_event_id = event_id
        request = Request(event_id, RequestKind.OUTPUT_CLEAR)
        self._requests.add(request)
        request.deadline = self._deadlines.add(
            now + self._options.settle_timeout, self._requests.expire, request
        )
        effects.append(Send(OutputAudioBufferClear(event_id=event_id)))

    def _set_deadline(self, playout: Playout, when: float) -> None:
        self._deadlines.discard(playout.deadline)
        playout.deadline = self._deadlines.add(when, self.due, playout)

    def _forget_one(self) -> None:
        for response, playout in self._known.items():
            if playout.settled:
                del self._known[response]
                return


def tell_watchers(response: Response, effects: Effects) -> None:
    """Part of what became of it is known: the receipts that waited for just that are final."""
    watchers = response.watchers
    if watchers:
        over = [watcher for watcher in watchers if watcher.note(response)]
        response.watchers = [watcher for watcher in watchers if response in watcher.waiting]
        effects.extend(Interrupted(watcher) for watcher in over)


def is_wanted(response: Response) -> bool:
    """Whether it is to be heard: audible, and nobody asked it to be silent."""
    return _state(response) in (_S.DUE, _S.PLAYING)


def _state(response: Response) -> PlayoutState | None:
    return response.playout.state if response.playout is not None else None


def _kind(playout: Playout, fired: PlayoutInput, before: PlayoutState) -> PlaybackKind:
    kind = _KINDS.get(fired)
    if before is _S.MEASURING and kind is not _K.PLAYED:
        return _K.CLEARED if playout.cut else _K.NONE
    if kind is not None:
        return kind
    if fired is _I.OVERDUE and before is _S.CLEARING:
        return _K.UNSETTLED
    if playout.missed and not playout.begun:
        return _K.LOST
    return _K.PLAYED if playout.begun else _K.NONE


def _spoke(response: Response) -> bool:
    """Whether the server's account of it holds audio: its parts may have gone by unseen."""
    output = response.resource.output if response.resource is not None else None
    return any(
        (part.type or "") in ("audio", "output_audio")
        for item in output or ()
        for part in item.content or ()
    )


def _said_nothing(response: Response) -> bool:
    """Whether the server's account of it is there, and holds no audio."""
    resource = response.resource
    return resource is not None and bool(resource.output) and not _spoke(response)
