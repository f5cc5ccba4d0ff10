"""All responses of one connection: fires the inputs of the table and carries out its actions.

`response.py` says what may happen to one response; this file finds the response that an event
means, and couples the responses to one another: by admission, by interruption, by memory.
"""

from collections.abc import Iterable
from math import inf
from typing import Any

from msgspec.structs import replace

from antiphon.exceptions import RemoteProtocolError, ResponseRejected
from antiphon.protocol.admission import Admission
from antiphon.protocol.calls import calls_at_done, note_call
from antiphon.protocol.deadlines import Deadline, Deadlines
from antiphon.protocol.directory import METADATA_KEY, Directory, check_metadata
from antiphon.protocol.early import EarlyOutput
from antiphon.protocol.effects import (
    Effects,
    Ended,
    Interrupted,
    Opened,
    Output,
    Report,
    ReportKind,
    Send,
    Settled,
)
from antiphon.protocol.errors import ACTIVE_RESPONSE, says_busy
from antiphon.protocol.interruption import Interruption
from antiphon.protocol.items import Items
from antiphon.protocol.options import Options
from antiphon.protocol.playback import Playback
from antiphon.protocol.playouts import Playouts, tell_watchers
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.resource import bytes_per_ms, cancelled_by_client, lane_of, outcome_of
from antiphon.protocol.response import (
    OCCUPIES,
    ON_DEADLINE,
    UNSETTLED,
    Action,
    Cause,
    Lane,
    OnBusy,
    Outcome,
    OutcomeKind,
    Response,
    ResponseInput,
    ResponseState,
    illegal,
    output_column,
    table_for,
)
from antiphon.wire.base import UNSET
from antiphon.wire.client_events import ResponseCancel, ResponseCreate, ResponseCreateParams
from antiphon.wire.items import ErrorInfo, ResponseResource
from antiphon.wire.server_events import (
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ServerEvent,
)

__all__ = ["OutputEvent", "Responses"]

PUMP = "pump"
"""Deadline target: a create that was told to come back later may be tried again."""

OutputEvent = Any
"""A server event that carries `response_id`."""

_S, _I = ResponseState, ResponseInput
# A response in one of these is wanted, so output that was cancelled already cannot be its.
_WANTED = frozenset({_S.QUEUED, _S.REQUESTED})
# The server has named a response in one of these, and not yet said that it is over.
_NAMED = frozenset({_S.ACTIVE, _S.CANCELLING, _S.REVOKING})
_OVER = frozenset({_S.CLOSED, _S.ABANDONED})
_NEVER_SENT = Outcome(OutcomeKind.CANCELLED, "never_sent")
# Looked up once: to name a member of an enumeration costs as much as a call.
_SEND_CREATE, _SEND_CANCEL, _OPEN = Action.SEND_CREATE, Action.SEND_CANCEL, Action.OPEN
_END, _DELIVER, _KEEP = Action.END, Action.DELIVER, Action.KEEP
_RESPONSE_CANCEL = RequestKind.RESPONSE_CANCEL

# The reason of a response that was given up for its deadline, however it ended after that.
_GIVEN_UP = {Cause.TIMED_OUT: "unanswered", Cause.STALLED: "stalled"}


class Responses:
    """The responses of one connection, from their creation until they are forgotten.

    Args:
        prefix: starts every key made here; unique to this connection.
    """

    __slots__ = (
        "_admission",
        "_by_id",
        "_deadlines",
        "_directory",
        "_early",
        "_finished",
        "_items",
        "_on_output",
        "_options",
        "_playback",
        "_requests",
        "_retry",
        "_table",
        "_timeouts",
        "_unsettled",
        "output_bytes_per_ms",
        "playouts",
    )

    def __init__(
        self,
        prefix: str,
        options: Options,
        requests: Requests,
        deadlines: Deadlines,
        playback: Playback,
        items: Items,
        playouts: Playouts,
    ) -> None:
        self._options = options
        self._requests = requests
        self._deadlines = deadlines
        self._playback = playback
        self._items = items
        self.playouts = playouts
        self._table = table_for(options.tolerances)
        self._on_output = output_column(options.tolerances)
        # How long a response may stay in a state.
        self._timeouts = {
            _S.REQUESTED: options.create_timeout,
            _S.ACTIVE: options.stall_timeout,
            _S.CANCEL_DEFERRED: options.settle_timeout,
            _S.CANCELLING: options.settle_timeout,
            _S.REVOKING: options.settle_timeout,
        }
        self._admission = Admission(options.max_in_flight, options.busy_backoff)
        self._retry: Deadline | None = None
        self._directory = Directory(prefix, options, requests)
        self._by_id = self._directory.by_id
        # Invariant: exactly the responses that a reader knows of and that have no outcome.
        self._unsettled: dict[int, Response] = {}
        # Over, oldest first; at most options.remembered (I9).
        self._finished: dict[int, Response] = {}
        # Announced by nothing but their output so far.
        self._early = EarlyOutput(options.kept_events)
        self.output_bytes_per_ms = 48

    # --- what a caller asks ---------------------------------------------------------------------

    @property
    def unsettled(self) -> tuple[Response, ...]:
        return tuple(self._unsettled.values())

    def create(
        self,
        params: ResponseCreateParams,
        now: float,
        effects: Effects,
        *,
        purpose: str | None,
        interruptible: bool,
        on_busy: OnBusy,
        timeout: float | None,
    ) -> Response:
        check_metadata(params.metadata or {})
        lane = Lane.OUT_OF_BAND if params.conversation == "none" else Lane.DEFAULT
        admission = self._admission
        taken = not admission.is_free(lane) or admission.waiting(lane)
        if on_busy is OnBusy.REJECT and lane is Lane.DEFAULT and taken:
            raise ResponseRejected(
                "the default conversation is busy with another response; wait for it, interrupt "
                'it, or create this one with on_busy="queue" or "replace"',
                type="invalid_request_error",
                code=ACTIVE_RESPONSE,
            )
        number = self._directory.next_number()
        key = self._directory.key(number)
        response = Response(
            number,
            lane=lane,
            params=replace(params, metadata={**(params.metadata or {}), METADATA_KEY: key}),
            key=key,
            purpose=purpose,
            interruptible=interruptible,
            on_busy=on_busy,
            expires=None if timeout is None else now + timeout,
        )
        response.metadata = dict(params.metadata or {})
        response.bytes_per_ms = bytes_per_ms(params.audio)
        self._directory.enter(response)
        self._unsettled[response.number] = response
        if on_busy is OnBusy.REPLACE and lane is Lane.DEFAULT:
            # One that was to replace another and still waits for that would hold the lane by now,
            # had the server been quicker: what comes of this must not depend on that.
            held = admission.occupants(lane)
            soon = (one for one in admission.waiting(lane) if one.on_busy is OnBusy.REPLACE)
            replaced = [one for one in (*held, *soon) if one.interruptible]
            self._fire(response, _I.HOLD_CREATE, effects, now)
            self._stop(replaced, now, effects)
            self.pump(now, effects)
        elif admission.may_send(lane) or (
            on_busy is OnBusy.SEND and response.number <= admission.horizon
        ):
            self._fire(response, _I.SEND_CREATE, effects, now)
        else:
            self._fire(response, _I.HOLD_CREATE, effects, now)
        return response

    def cancel(self, interruption: Interruption, now: float, effects: Effects) -> None:
        """Stop what it names. What is over, or already being stopped, is only waited for."""
        if interruption.settled:
            effects.append(Interrupted(interruption))
            return
        for response in interruption.responses:
            if response in interruption.waiting:
                response.watchers.append(interruption)
        self._stop(interruption.responses, now, effects)
        self.playouts.silence(interruption, now, effects)
        self.pump(now, effects)

    def revoke_unannounced(self, now: float, effects: Effects) -> None:
        """Cancel, by id, what shows itself only by its output, unless it may be wanted.

        It may be wanted where a create that was not cancelled still waits for its name.
        """
        if not self._early or any(one.state is _S.REQUESTED for one in self._unsettled.values()):
            return
        for response in self._early:
            self._early.take(response)
            self._fire(response, _I.SEND_CANCEL, effects, now)

    def _stop(self, responses: Iterable[Response], now: float, effects: Effects) -> None:
        fired, cause = _I.SEND_CANCEL, Cause.CANCELLED
        for response in responses:
            self._fire(response, fired, effects, now, cause=cause, outcome=_NEVER_SENT)

    # --- what the server says -------------------------------------------------------------------

    def created(self, event: ResponseCreated, now: float, effects: Effects) -> None:
        resource = event.response
        response = self._by_id.get(resource.id or UNSET)
        if response is not None and not resource.id and response.state is _S.CLOSED:
            response = None  # P-311: no id, so this is the next one
        asked = self._directory.asked_for(resource)
        if asked is not None and asked is not response:
            if response is not None and not asked.named and not self._is_of(response, asked):
                detail = "response.created gives a response an id that another one has"
                effects.append(Report(ReportKind.VIOLATION, detail, response.id))
                return
            response = asked
        if response is None:
            # Not asked for: server VAD made it (P-39).
            response = self._directory.stranger(lane_of(resource))
        elif response.state is _S.IDLE:
            response.lane = lane_of(resource) or Lane.DEFAULT
        if self._fire(response, _I.RECV_CREATED, effects, now, resource=resource):
            self._supersede(response, now, effects)

    def output(self, event: OutputEvent, now: float, effects: Effects) -> None:
        """Anything that a response produces. This is the path that every delta takes."""
        response = self._by_id.get(event.response_id)
        if response is None:
            response = self._of_stranger(event.response_id or None, now, effects)
        action = self._on_output.get(response.state)
        if action is _DELIVER:
            response.last_heard = now
            effects.append(Output(response, event))
        elif action is _KEEP:
            self._keep(response, event, now, effects)
        elif action is None:
            self._violation(response, _I.RECV_OUTPUT, effects)

    def audio(self, event: ResponseOutputAudioDelta, now: float, effects: Effects) -> None:
        """As `output`, and counted for truncation."""
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and self._on_output.get(response.state) is _DELIVER:
            response.last_heard = now
            part = response.audio_part
            if (
                part is not None
                and part.item_id == event.item_id
                and part.content_index == event.content_index
            ):
                part.size += len(event.delta)  # as nearly always
            else:
                self._count_audio(response, event)
            effects.append(Output(response, event))
            return
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and response.state is _S.ACTIVE:
            self._count_audio(response, event)  # its announcement, too (P-311)

    def item_added(self, event: ResponseOutputItemAdded, now: float, effects: Effects) -> None:
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and event.item.id:
            self._note_item(response, event.item.id)

    def item_done(self, event: ResponseOutputItemDone, now: float, effects: Effects) -> None:
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and response.state is _S.ACTIVE:
            note_call(response, event.item, effects)

    def done(self, event: ResponseDone, now: float, effects: Effects) -> None:
        resource = event.response
        if event.usage and not resource.usage:
            resource = replace(resource, usage=event.usage)  # P-294
        response = self._directory.find(resource.id or None)
        if response is None or response.is_nobodys:
            asked = self._directory.asked_for(resource)
            if asked is not None and (response is None or self._is_of(response, asked)):
                response = asked
        if response is None:
            response = self._directory.stranger(lane_of(resource))
        if self._fire(
            response,
            _I.RECV_DONE,
            effects,
            now,
            cause=Cause.FINISHED,
            outcome=outcome_of(resource),
            resource=resource,
        ):
            if cancelled_by_client(resource):
                # P-16: a cancel that was carried out gets no other answer.
                self._await_no_answer(response)
            self.pump(now, effects)

    def done_unreadable(self, response_id: str, now: float, effects: Effects) -> None:
        """A `response.done` that is no event, but says of whom: over, and nobody can say how."""
        response = self._by_id.get(response_id)
        if response is not None and response.state in _NAMED:
            outcome = Outcome(OutcomeKind.UNKNOWN, "unreadable")
            self._fire(response, _I.RECV_DONE, effects, now, cause=Cause.FINISHED, outcome=outcome)
            self.pump(now, effects)

    def create_refused(
        self, response: Response, error: ErrorInfo, now: float, effects: Effects
    ) -> None:
        """The server answered a create with an error, and will send nothing else (P-51)."""
        busy = says_busy(error)
        patient = response.on_busy in (OnBusy.QUEUE, OnBusy.REPLACE)
        if busy and patient and response.attempts < self._options.busy_retries:
            response.attempts += 1
            response.not_before = now + self._admission.pause(response, error, self._by_id)
            self._fire(
                response,
                _I.CREATE_BUSY,
                effects,
                now,
                outcome=Outcome(OutcomeKind.CANCELLED, "never_created", error),
            )
        else:
            cancelled = response.cause is Cause.CANCELLED
            outcome = (
                Outcome(OutcomeKind.CANCELLED, "never_created", error)
                if cancelled
                else Outcome(OutcomeKind.REJECTED, error=error)
            )
            self._fire(
                response, _I.CREATE_ERROR, effects, now, cause=Cause.REJECTED, outcome=outcome
            )
        self.pump(now, effects)

    def cancel_found_nothing(self, response: Response, now: float, effects: Effects) -> None:
        """P-14: the cancel crossed the natural end, or the server knows of no such response."""
        effects.append(Report(ReportKind.ABSORBED, "the cancel found nothing to stop", response.id))
        self._fire(
            response,
            _I.CANCEL_ERROR,
            effects,
            now,
            outcome=Outcome(OutcomeKind.UNKNOWN, "not_active"),
        )
        self.pump(now, effects)

    # --- time and loss --------------------------------------------------------------------------

    def due(self, response: Response, now: float, effects: Effects) -> None:
        """The response's deadline has come."""
        response.deadline = None
        if response.state is _S.IDLE:
            detail = "output of a response that was never announced was dropped"
            effects.append(Report(ReportKind.UNROUTED, detail, response.id))
            self._forget(response)
            return
        if response.state is _S.ACTIVE:
            quiet_until = response.last_heard + self._options.stall_timeout
            if quiet_until > now:
                response.deadline = self._deadlines.add(quiet_until, response)
                return
        fired, cause, outcome = ON_DEADLINE[response.state]
        self._fire(response, fired, effects, now, cause=cause, outcome=outcome)
        if fired is _I.SETTLE_TIMEOUT:
            self._await_no_answer(response)
        self.pump(now, effects)

    def lose(self, now: float, effects: Effects) -> None:
        """The connection is gone, and with it everything in flight."""
        for response in list(self._unsettled.values()):
            self._fire(
                response,
                _I.LOST,
                effects,
                now,
                cause=Cause.LOST,
                outcome=Outcome(OutcomeKind.LOST),
            )
        self.playouts.lose(now, effects)

    def go_online(self, up_to: Response | None, now: float, effects: Effects) -> None:
        """There is a server: what was created until then may be sent."""
        self._admission.horizon = inf if up_to is None else up_to.number
        self.pump(now, effects)

    def go_offline(self) -> None:
        """There is no server yet: creates wait, so that a stale one is never sent."""
        self._admission.horizon = 0

    def pump(self, now: float, effects: Effects) -> None:
        """Send what may be sent now."""
        if self._retry is None and not self._admission.has_waiting:
            return
        while (response := self._admission.next_ready(now)) is not None:
            self._fire(response, _I.SEND_CREATE, effects, now)
        self._deadlines.discard(self._retry)
        when = self._admission.next_retry(now)
        self._retry = None if when is None else self._deadlines.add(when, PUMP)

    # --- the machine ----------------------------------------------------------------------------

    def _fire(
        self,
        response: Response,
        fired: ResponseInput,
        effects: Effects,
        now: float,
        *,
        cause: Cause | None = None,
        outcome: Outcome = UNSETTLED,
        resource: ResponseResource | None = None,
    ) -> bool:
        """Go through one row of the table. False when there is none: reported, nothing changed.

        Args:
            response: whose state changes.
            fired: the column.
            effects: takes what follows.
            now: the time.
            cause: why its streams end, if the row ends them.
            outcome: how it ended, if the row settles it.
            resource: the server's account of it, which may name it.
        """
        before = response.state
        row = self._table[before].get(fired)
        if row is None:
            self._violation(response, fired, effects, resource)
            return False
        if resource is not None:
            self._name(response, resource)
            if fired is _I.RECV_DONE and response.resource is None:
                response.resource = resource
        actions, state = row
        response.state = state
        for action in actions:
            if action is _END:
                response.cause = cause
                if resource is not None:
                    # After OPEN, so that there is a reader.
                    calls_at_done(response, resource, effects)
                effects.append(Ended(response))
            elif action is _SEND_CANCEL:
                self._send_cancel(response, effects)
            elif action is _OPEN:
                self._open(response, now, effects)
            elif action is _SEND_CREATE:
                self._send_create(response, effects)
            else:  # SETTLE. Rows that take output are looked up in `output`.
                self._settle(response, outcome, now, effects)
        if state is not before:
            self._moved(response, before, now)
        return True

    def _send_create(self, response: Response, effects: Effects) -> None:
        response.create_event_id = self._requests.next_event_id()
        self._requests.add(
            Request(response.create_event_id, RequestKind.RESPONSE_CREATE, response=response)
        )
        params = response.params
        assert params is not None, "only a response of ours is ever sent"
        effects.append(Send(ResponseCreate(event_id=response.create_event_id, response=params)))

    def _open(self, response: Response, now: float, effects: Effects) -> None:
        response.last_heard = now
        self._unsettled[response.number] = response
        effects.append(Opened(response))
        for event in self._early.take(response):
            effects.append(Output(response, event))
            if isinstance(event, ResponseOutputAudioDelta):
                self._count_audio(response, event)
            elif isinstance(event, ResponseOutputItemAdded) and event.item.id:
                self._note_item(response, event.item.id)
            elif isinstance(event, ResponseOutputItemDone):
                note_call(response, event.item, effects)

    def _send_cancel(self, response: Response, effects: Effects) -> None:
        # By id, always (I4, P-1). The bare cancel remains for a server that created the response
        # without naming it (P-311): no id can ever be known there, and it runs one at a time.
        if response.cancel_event_id is not None:
            return
        response.cancel_event_id = self._requests.next_event_id()
        self._requests.add(Request(response.cancel_event_id, _RESPONSE_CANCEL, response=response))
        effects.append(
            Send(
                ResponseCancel(event_id=response.cancel_event_id, response_id=response.id or UNSET)
            )
        )

    def _settle(self, response: Response, outcome: Outcome, now: float, effects: Effects) -> None:
        if response.cause in _GIVEN_UP and outcome.kind is not OutcomeKind.TIMED_OUT:
            # The caller was told so when it happened; a late answer does not undo it.
            reason = _GIVEN_UP[response.cause]
            outcome = Outcome(OutcomeKind.TIMED_OUT, reason, outcome.error)
        response.outcome = outcome
        del self._unsettled[response.number]
        effects.append(Settled(response))
        if response.playout is not None or self._options.call:
            self.playouts.generated(response, outcome, now, effects)
        tell_watchers(response, effects)

    def _moved(self, response: Response, before: ResponseState, now: float) -> None:
        """Everything that hangs on the state and on nothing else."""
        state = response.state
        if state not in OCCUPIES or before not in OCCUPIES:
            self._admission.update(response)
        self._deadlines.discard(response.deadline)
        within = self._timeouts.get(state)
        if response.expires is not None and state in _WANTED:
            response.deadline = self._deadlines.add(response.expires, response)
        elif within is not None:
            response.deadline = self._deadlines.add(now + within, response)
        else:
            response.deadline = None
        if before in _OVER:
            self._finished.pop(response.number, None)
        if state in _OVER:
            self._requests.remove(self._requests.get(response.create_event_id))
            cancel = self._requests.get(response.cancel_event_id)
            if cancel is not None:
                # Long enough to recognise the error of a cancel that came too late.
                cancel.deadline = self._deadlines.add(now + self._options.settle_timeout, cancel)
            response.params = None
            response.held_calls = []
            self._finished[response.number] = response
            if len(self._finished) > self._options.remembered:
                self._forget(self._finished.pop(next(iter(self._finished))))

    def _violation(
        self,
        response: Response,
        fired: ResponseInput,
        effects: Effects,
        resource: ResponseResource | None = None,
    ) -> None:
        error = illegal(response, fired)
        if not isinstance(error, RemoteProtocolError):
            raise error
        named = response.id or (resource.id if resource is not None else None) or None
        effects.append(Report(ReportKind.VIOLATION, str(error), named))

    # --- which response -------------------------------------------------------------------------

    def _is_of(self, found: Response, asked: Response) -> bool:
        """Whether what only output has shown can be the response that was asked for."""
        return found.is_nobodys and (found.state is _S.IDLE or asked.state not in _WANTED)

    def _name(self, response: Response, resource: ResponseResource) -> None:
        if response.named:
            return
        found = self._by_id.get(resource.id or UNSET)
        if found is not None and found is not response and found.is_nobodys:
            self._adopt(response, found)
        response.named = True
        self._directory.name(response, resource.id or None)
        if response.from_server:
            response.metadata = {
                key: value
                for key, value in (resource.metadata or {}).items()
                if key != METADATA_KEY
            }
        self._requests.remove(self._requests.get(response.create_event_id))

    def _forget(self, response: Response) -> None:
        self._early.take(response)
        self._deadlines.discard(response.deadline)
        self._directory.forget(response)

    def _supersede(self, newer: Response, now: float, effects: Effects) -> None:
        """A server that stops the old response without a word (P-309) is known by its profile."""
        if newer.lane is not Lane.DEFAULT or not newer.occupies:
            return
        older = [
            response
            for response in self._admission.occupants(Lane.DEFAULT)
            if response is not newer and _I.SUPERSEDED in self._table[response.state]
        ]
        for response in older:
            self._fire(
                response,
                _I.SUPERSEDED,
                effects,
                now,
                cause=Cause.SUPERSEDED,
                outcome=Outcome(OutcomeKind.CANCELLED, "superseded"),
            )
        if older:
            self.pump(now, effects)

    # --- output before its response is announced ------------------------------------------------

    def _of_stranger(self, response_id: str | None, now: float, effects: Effects) -> Response:
        """The response that output of an unknown id belongs to."""
        response = self._directory.find(response_id)
        if response is None and not self._options.announces:
            resource = ResponseResource(id=response_id or UNSET)
            self.created(ResponseCreated(response=resource), now, effects)
            response = self._by_id.get(response_id or UNSET)
        if response is None:
            response = self._directory.stranger(None)
            response.id = response_id
        return response

    def _keep(self, response: Response, event: ServerEvent, now: float, effects: Effects) -> None:
        if not self._early.keep(response, event):
            detail = "too much output of responses that were never announced"
            effects.append(Report(ReportKind.UNROUTED, detail, response.id))
        elif response.deadline is None:
            self._directory.name(response, response.id)
            response.deadline = self._deadlines.add(now + self._options.create_timeout, response)

    def _adopt(self, response: Response, found: Response) -> None:
        """What came before its announcement belongs to this response."""
        if response.state in _WANTED:
            self._early.move(found, response)
        for event in found.kept:
            if isinstance(event, ResponseOutputItemAdded) and event.item.id:
                self._note_item(response, event.item.id)
        response.cancel_event_id = found.cancel_event_id
        cancel = self._requests.get(found.cancel_event_id)
        if cancel is not None:
            cancel.response = response
        self._admission.release(found)
        self._forget(found)

    # --- audio, items and calls -----------------------------------------------------------------

    def _count_audio(self, response: Response, event: ResponseOutputAudioDelta) -> None:
        part = response.audio_part = self._playback.part(
            event.item_id or "",
            event.content_index or 0,
            response.bytes_per_ms or self.output_bytes_per_ms,
        )
        part.size += len(event.delta)

    def _note_item(self, response: Response, item_id: str) -> None:
        if response.state is _S.IDLE:
            return  # once it is known which response it is
        if response.state is not _S.CLOSED:
            response.item_ids.append(item_id)
        if response.lane is Lane.OUT_OF_BAND:
            self._items.note_out_of_band(item_id)

    # --- errors ---------------------------------------------------------------------------------

    def _await_no_answer(self, response: Response) -> None:
        """Nothing more is expected of the response's cancel."""
        request = self._requests.get(response.cancel_event_id)
        if request is not None:
            self._deadlines.discard(request.deadline)
            self._requests.remove(request)
