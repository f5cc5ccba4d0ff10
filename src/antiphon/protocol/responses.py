"""All responses of one connection: fires the inputs of the table and carries out its actions.

`response.py` says what may happen to one response; this file finds the response that an event
means, and couples the responses to one another: by admission, by interruption, by memory.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from msgspec.structs import replace

from antiphon.exceptions import RemoteProtocolError, ResponseRejected
from antiphon.protocol.admission import Admission
from antiphon.protocol.deadlines import Deadline, Deadlines
from antiphon.protocol.effects import (
    Effects,
    Ended,
    FunctionCall,
    Interrupted,
    Opened,
    Output,
    Report,
    ReportKind,
    Send,
    Settled,
)
from antiphon.protocol.interruption import Interruption
from antiphon.protocol.options import Options
from antiphon.protocol.playback import Playback
from antiphon.protocol.requests import ACTIVE_RESPONSE, Request, RequestKind, Requests, error_code
from antiphon.protocol.response import (
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
    table_for,
)
from antiphon.wire.base import UNSET, UnsetType
from antiphon.wire.client_events import ResponseCancel, ResponseCreate, ResponseCreateParams
from antiphon.wire.items import ErrorInfo, Item, ResponseResource, StatusDetails
from antiphon.wire.server_events import (
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
    ServerEvent,
)

__all__ = ["METADATA_KEY", "OutputEvent", "Responses"]

METADATA_KEY = "antiphon"
"""P-38: `metadata` is the only way to tell which create a `response.created` answers."""

PUMP = "pump"
"""Deadline target: a create that was told to come back later may be tried again."""

OutputEvent = Any
"""A server event that carries `response_id`."""

_S, _I = ResponseState, ResponseInput
_UNNAMED = frozenset({_S.REQUESTED, _S.CANCEL_DEFERRED, _S.ABANDONED})

# States in which a response waits for something that has a deadline, and which input it fires.
_ON_DEADLINE = {
    _S.QUEUED: _I.CREATE_TIMEOUT,
    _S.REQUESTED: _I.CREATE_TIMEOUT,
    _S.CANCEL_DEFERRED: _I.SETTLE_TIMEOUT,
    _S.CANCELLING: _I.SETTLE_TIMEOUT,
    _S.REVOKING: _I.SETTLE_TIMEOUT,
    _S.ACTIVE: _I.STALLED,
}


class Responses:
    """The responses of one connection, from their creation until they are forgotten.

    Args:
        prefix: starts every key and event id made here; unique to this connection.
    """

    def __init__(
        self,
        prefix: str,
        options: Options,
        requests: Requests,
        deadlines: Deadlines,
        playback: Playback,
    ) -> None:
        self._prefix = prefix
        self._options = options
        self._requests = requests
        self._deadlines = deadlines
        self._playback = playback
        self._table = table_for(options.tolerances)
        # The one column of the table that every delta goes through.
        self._on_output = {
            state: rows[_I.RECV_OUTPUT][0][0]
            for state, rows in self._table.items()
            if _I.RECV_OUTPUT in rows
        }
        self._admission = Admission(options.max_in_flight)
        self._retry: Deadline | None = None
        self._number = 0
        self._event_number = 0
        # Invariant: an id is here from the first event that names it until it is forgotten.
        # UNSET stands for the one response whose id the server leaves out (P-311).
        self._by_id: dict[str | UnsetType, Response] = {}
        # Invariant: a key is here from the create until the response is forgotten.
        self._by_key: dict[str, Response] = {}
        # Invariant: exactly the responses that a reader knows of and that have no outcome.
        self._unsettled: dict[int, Response] = {}
        # Over, oldest first; at most options.remembered (I9).
        self._finished: deque[Response] = deque()
        # Announced by nothing but their output so far, oldest first.
        self._unannounced: dict[str | UnsetType, Response] = {}
        self._kept_events = 0
        # Items of out-of-band responses, which never belong to the conversation (P-31).
        self._out_of_band_items: dict[str, None] = {}
        self.output_bytes_per_ms = 48

    # --- what a caller asks ---------------------------------------------------------------------

    @property
    def unsettled(self) -> tuple[Response, ...]:
        return tuple(self._unsettled.values())

    def next_event_id(self) -> str:
        self._event_number += 1
        return f"{self._prefix}-{self._event_number}"

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
        lane = Lane.OUT_OF_BAND if params.conversation == "none" else Lane.DEFAULT
        if (
            on_busy is OnBusy.REJECT
            and lane is Lane.DEFAULT
            and not self._admission.is_free(Lane.DEFAULT)
        ):
            raise ResponseRejected(
                "the default conversation is busy with another response; wait for it, interrupt "
                'it, or create this one with on_busy="queue" or "replace"',
                type="invalid_request_error",
                code=ACTIVE_RESPONSE,
            )
        self._number += 1
        key = f"{self._prefix}-r{self._number}"
        response = Response(
            self._number,
            lane=lane,
            params=replace(params, metadata={**(params.metadata or {}), METADATA_KEY: key}),
            key=key,
            purpose=purpose,
            interruptible=interruptible,
            on_busy=on_busy,
            expires=None if timeout is None else now + timeout,
        )
        response.metadata = dict(params.metadata or {})
        response.bytes_per_ms = _bytes_per_ms(params.audio)
        self._by_key[key] = response
        self._unsettled[response.number] = response
        if on_busy is OnBusy.REPLACE and lane is Lane.DEFAULT:
            holders = [one for one in self._admission.occupants(lane) if one.interruptible]
            self.cancel(holders, now, effects)
            self._enqueue(response, now, effects, first=True)
        elif self._admission.may_send(response) or (
            on_busy is OnBusy.SEND and response.number <= self._admission.horizon
        ):
            self._fire(response, _I.SEND_CREATE, effects, now)
        else:
            self._enqueue(response, now, effects)
        return response

    def cancel(self, targets: Iterable[Response], now: float, effects: Effects) -> Interruption:
        """Stop these. What is already over, or already being stopped, is only waited for."""
        interruption = Interruption(targets)
        if interruption.settled:
            effects.append(Interrupted(interruption))
            return interruption
        for response in interruption.responses:
            if response.outcome is None:
                response.watchers.append(interruption)
        for response in interruption.responses:
            self._fire(
                response,
                _I.SEND_CANCEL,
                effects,
                now,
                cause=Cause.CANCELLED,
                outcome=Outcome(OutcomeKind.CANCELLED, "never_sent"),
            )
        self.pump(now, effects)
        return interruption

    def revoke_unannounced(self, now: float, effects: Effects) -> None:
        """Cancel, by id, what shows itself only by its output, unless it may be wanted.

        It may be wanted where a create that was not cancelled still waits for its name.
        """
        if any(one.state is _S.REQUESTED for one in self._unsettled.values()):
            return
        for response in list(self._unannounced.values()):
            self._fire(response, _I.SEND_CANCEL, effects, now)
            self._drop_kept(response)

    # --- what the server says -------------------------------------------------------------------

    def created(self, event: ResponseCreated, now: float, effects: Effects) -> None:
        resource = event.response
        named = self._by_id.get(resource.id or UNSET)
        response = self._asked_for(resource, now)
        if response is None or response.state not in _UNNAMED:
            if response is not None and response.id == (resource.id or None):
                named = response
            # Not asked for: server VAD made it (P-39), or the server repeats itself.
            response = named or self._from_server(resource)
        elif named is not None and named is not response:
            if named.number in self._unsettled or named.outcome is not None:
                detail = "response.created gives a response an id that another one has"
                effects.append(Report(ReportKind.VIOLATION, detail, named.id))
                return
            self._adopt(response, named)
        self._name(response, resource)
        if self._fire(response, _I.RECV_CREATED, effects, now):
            self._supersede(response, now, effects)
        self._forget_if_idle(response)

    def output(self, event: OutputEvent, now: float, effects: Effects) -> None:
        """Anything that a response produces. This is the path that every delta takes."""
        response = self._by_id.get(event.response_id)
        if response is None:
            response = self._unannounced_response(event.response_id)
        action = self._on_output.get(response.state)
        if action is Action.DELIVER:
            response.last_heard = now
            effects.append(Output(response, event))
        elif action is Action.KEEP:
            self._keep(response, event, now, effects)
        elif action is None:
            self._violation(response, _I.RECV_OUTPUT, effects)
            self._forget_if_idle(response)

    def audio(self, event: ResponseOutputAudioDelta, now: float, effects: Effects) -> None:
        """As `output`, and counted for truncation."""
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and self._on_output.get(response.state) is Action.DELIVER:
            response.last_heard = now
            self._count_audio(response, event)
            effects.append(Output(response, event))
        else:
            self.output(event, now, effects)

    def item_added(self, event: ResponseOutputItemAdded, now: float, effects: Effects) -> None:
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and event.item.id:
            self._note_item(response, event.item.id)
        self.output(event, now, effects)

    def item_done(self, event: ResponseOutputItemDone, now: float, effects: Effects) -> None:
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and response.state is _S.ACTIVE:
            self._note_call(response, event.item, effects)

    def done(self, event: ResponseDone, now: float, effects: Effects) -> None:
        resource = event.response
        response = self._by_id.get(resource.id or UNSET)
        if response is None or response.state is _S.IDLE:
            asked = self._asked_for(resource, now)
            if asked is not None and asked.state in _UNNAMED:
                if response is not None:
                    self._adopt(asked, response)
                response = asked
        if response is None:
            response = self._from_server(resource)
        self._name(response, resource)
        response.resource = resource
        outcome = _outcome_of(resource)
        if not self._fire(
            response, _I.RECV_DONE, effects, now, cause=Cause.FINISHED, outcome=outcome
        ):
            self._forget_if_idle(response)
        self._answered_cancel(response, resource)
        self.pump(now, effects)

    def create_refused(
        self, response: Response, error: ErrorInfo, now: float, effects: Effects
    ) -> None:
        """The server answered a create with an error, and will send nothing else (P-51)."""
        busy = _says_busy(error)
        patient = response.on_busy in (OnBusy.QUEUE, OnBusy.REPLACE)
        if busy and patient and response.attempts < self._options.busy_retries:
            response.attempts += 1
            response.not_before = now + self._pause(response, error)
            self._fire(
                response,
                _I.CREATE_BUSY,
                effects,
                now,
                outcome=Outcome(OutcomeKind.CANCELLED, "never_created", error),
            )
            if response.state is _S.QUEUED:
                self._admission.enqueue(response, first=True)
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

    def is_out_of_band_item(self, item_id: str) -> bool:
        return item_id in self._out_of_band_items

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
        fired = _ON_DEADLINE[response.state]
        if fired is _I.SETTLE_TIMEOUT:
            outcome, cause = Outcome(OutcomeKind.UNSETTLED), None
        elif fired is _I.STALLED:
            outcome, cause = Outcome(OutcomeKind.TIMED_OUT, "stalled"), Cause.STALLED
        else:
            outcome, cause = Outcome(OutcomeKind.TIMED_OUT, str(response.state)), Cause.TIMED_OUT
        self._fire(response, fired, effects, now, cause=cause, outcome=outcome)
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

    def go_online(self, up_to: Response | None, now: float, effects: Effects) -> None:
        """There is a server: what was created until then may be sent."""
        self._admission.horizon = inf if up_to is None else up_to.number
        self.pump(now, effects)

    def go_offline(self) -> None:
        """There is no server yet: creates wait, so that a stale one is never sent."""
        self._admission.horizon = 0

    def pump(self, now: float, effects: Effects) -> None:
        """Send what may be sent now."""
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
        outcome: Outcome | None = None,
    ) -> bool:
        """Go through one row of the table. False when there is none: reported, nothing changed."""
        row = self._table[response.state].get(fired)
        if row is None:
            self._violation(response, fired, effects)
            return False
        actions, state = row
        before, response.state = response.state, state
        for action in actions:
            match action:
                case Action.SEND_CREATE:
                    self._send_create(response, effects)
                case Action.OPEN:
                    self._open(response, now, effects)
                case Action.SEND_CANCEL:
                    self._send_cancel(response, now, effects)
                case Action.END:
                    response.cause = cause
                    if cause is Cause.FINISHED:
                        self._hand_out_calls(response, effects)
                    effects.append(Ended(response))
                case Action.SETTLE:
                    self._settle(response, outcome, effects)
        if state is not before:
            self._moved(response, now)
        return True

    def _send_create(self, response: Response, effects: Effects) -> None:
        response.create_event_id = self.next_event_id()
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
        kept, response.kept = response.kept, []
        self._kept_events -= len(kept)
        for event in kept:
            effects.append(Output(response, event))
            if isinstance(event, ResponseOutputAudioDelta):
                self._count_audio(response, event)
            elif isinstance(event, ResponseOutputItemAdded) and event.item.id:
                self._note_item(response, event.item.id)
            elif isinstance(event, ResponseOutputItemDone):
                self._note_call(response, event.item, effects)

    def _send_cancel(self, response: Response, now: float, effects: Effects) -> None:
        # By id, always (I4, P-1). The bare cancel remains for a server that created the response
        # without naming it (P-311): no id can ever be known there, and it runs one at a time.
        if response.cancel_event_id is not None:
            return
        response.cancel_event_id = self.next_event_id()
        request = Request(response.cancel_event_id, RequestKind.RESPONSE_CANCEL, response=response)
        # Long enough to recognise the error of a cancel that came too late.
        request.deadline = self._deadlines.add(now + self._options.settle_timeout, request)
        self._requests.add(request)
        effects.append(
            Send(
                ResponseCancel(event_id=response.cancel_event_id, response_id=response.id or UNSET)
            )
        )

    def _settle(self, response: Response, outcome: Outcome | None, effects: Effects) -> None:
        if outcome is None:
            outcome = Outcome(OutcomeKind.UNKNOWN)
        if response.cause in (Cause.TIMED_OUT, Cause.STALLED):
            # The caller was told so when it happened; a late answer does not undo it.
            outcome = Outcome(OutcomeKind.TIMED_OUT, str(response.cause), outcome.error)
        response.outcome = outcome
        del self._unsettled[response.number]
        effects.append(Settled(response))
        watchers, response.watchers = response.watchers, []
        effects.extend(
            Interrupted(watcher) for watcher in watchers if watcher.response_settled(response)
        )

    def _moved(self, response: Response, now: float) -> None:
        """Everything that hangs on the state and on nothing else."""
        self._admission.update(response)
        self._deadlines.discard(response.deadline)
        when = self._deadline_of(response, now)
        response.deadline = None if when is None else self._deadlines.add(when, response)
        if response.state in (_S.CLOSED, _S.ABANDONED):
            self._unannounced.pop(response.id or UNSET, None)
            self._requests.remove(self._requests.get(response.create_event_id))
            response.params = None
            response.held_calls = []
            self._finished.append(response)
            if len(self._finished) > self._options.remembered:
                oldest = self._finished.popleft()
                if oldest.state in (_S.CLOSED, _S.ABANDONED):
                    self._forget(oldest)

    def _deadline_of(self, response: Response, now: float) -> float | None:
        options = self._options
        match response.state:
            case _S.QUEUED:
                return response.expires
            case _S.REQUESTED:
                return (
                    now + options.create_timeout if response.expires is None else response.expires
                )
            case _S.ACTIVE:
                return now + options.stall_timeout
            case _S.CANCEL_DEFERRED | _S.CANCELLING | _S.REVOKING:
                return now + options.settle_timeout
            case _:
                return None

    def _violation(self, response: Response, fired: ResponseInput, effects: Effects) -> None:
        error = illegal(response, fired)
        if not isinstance(error, RemoteProtocolError):
            raise error
        effects.append(Report(ReportKind.VIOLATION, str(error), response.id))

    # --- which response -------------------------------------------------------------------------

    def _asked_for(self, resource: ResponseResource, now: float) -> Response | None:
        """The response of ours that this one is, by its metadata, or else by order."""
        key = (resource.metadata or {}).get(METADATA_KEY)
        if isinstance(key, str):
            response = self._by_key.get(key)
            if response is None and key.startswith(f"{self._prefix}-r"):
                # Ours, given up so long ago that it is forgotten. Nobody waits for it.
                response = self._new_response(Lane.DEFAULT)
                response.state = _S.ABANDONED
                response.outcome = Outcome(OutcomeKind.TIMED_OUT)
            return response
        if self._options.echoes_metadata:
            return None
        return next((one for one in self._unsettled.values() if one.state in _UNNAMED), None)

    def _new_response(self, lane: Lane) -> Response:
        self._number += 1
        return Response(self._number, lane=lane)

    def _from_server(self, resource: ResponseResource) -> Response:
        # P-37: null marks a response as out of band. A server that leaves the field out has only
        # the default conversation.
        lane = Lane.OUT_OF_BAND if resource.conversation_id is None else Lane.DEFAULT
        return self._new_response(lane)

    def _name(self, response: Response, resource: ResponseResource) -> None:
        if response.id is None:
            response.id = resource.id or None
            self._by_id[resource.id or UNSET] = response
        self._unannounced.pop(response.id or UNSET, None)
        if response.from_server and resource.metadata:
            response.metadata = {
                key: value for key, value in resource.metadata.items() if key != METADATA_KEY
            }
        self._requests.remove(self._requests.get(response.create_event_id))

    def _forget(self, response: Response) -> None:
        self._drop_kept(response)
        if self._by_id.get(response.id or UNSET) is response:
            del self._by_id[response.id or UNSET]
        if response.key is not None:
            self._by_key.pop(response.key, None)

    def _forget_if_idle(self, response: Response) -> None:
        if response.state is _S.IDLE:
            self._forget(response)

    def _supersede(self, newer: Response, now: float, effects: Effects) -> None:
        """A server that stops the old response without a word (P-309) is known by its profile."""
        if newer.lane is not Lane.DEFAULT:
            return
        for response in self._admission.occupants(Lane.DEFAULT):
            if response is not newer and _I.SUPERSEDED in self._table[response.state]:
                self._fire(
                    response,
                    _I.SUPERSEDED,
                    effects,
                    now,
                    cause=Cause.SUPERSEDED,
                    outcome=Outcome(OutcomeKind.CANCELLED, "superseded"),
                )

    # --- output before its response is announced ------------------------------------------------

    def _unannounced_response(self, response_id: str | UnsetType | None) -> Response:
        response = self._by_id.get(response_id or UNSET)
        if response is None:
            response = self._new_response(Lane.DEFAULT)
            response.id = response_id or None
        return response

    def _keep(self, response: Response, event: ServerEvent, now: float, effects: Effects) -> None:
        if self._kept_events >= self._options.kept_events:
            detail = "too much output of responses that were never announced"
            effects.append(Report(ReportKind.UNROUTED, detail, response.id))
            return
        if not response.kept:
            self._by_id[response.id or UNSET] = response
            self._unannounced[response.id or UNSET] = response
            response.deadline = self._deadlines.add(now + self._options.create_timeout, response)
        response.kept.append(event)
        self._kept_events += 1

    def _adopt(self, response: Response, unannounced: Response) -> None:
        """What came before its announcement belongs to this response."""
        if response.state is _S.REQUESTED:
            response.kept, unannounced.kept = unannounced.kept, []
        response.cancel_event_id = unannounced.cancel_event_id
        cancel = self._requests.get(unannounced.cancel_event_id)
        if cancel is not None:
            cancel.response = response
        self._admission.release(unannounced)
        self._forget(unannounced)

    def _drop_kept(self, response: Response) -> None:
        self._kept_events -= len(response.kept)
        response.kept = []
        self._deadlines.discard(response.deadline)
        self._unannounced.pop(response.id or UNSET, None)

    # --- audio, items and calls -----------------------------------------------------------------

    def _count_audio(self, response: Response, event: ResponseOutputAudioDelta) -> None:
        part = response.audio_part
        if (
            part is None
            or part.item_id != event.item_id
            or part.content_index != event.content_index
        ):
            part = response.audio_part = self._playback.part(
                event.item_id or "",
                event.content_index or 0,
                response.bytes_per_ms or self.output_bytes_per_ms,
            )
        part.size += len(event.delta)

    def _note_item(self, response: Response, item_id: str) -> None:
        response.item_ids.append(item_id)
        if response.lane is Lane.OUT_OF_BAND:
            self._out_of_band_items[item_id] = None
            if len(self._out_of_band_items) > 4 * self._options.remembered:
                del self._out_of_band_items[next(iter(self._out_of_band_items))]

    def _note_call(self, response: Response, item: Item, effects: Effects) -> None:
        # P-61: arguments of a call that was cut short are cut short too. Only the item's own
        # status vouches for them; where a server leaves it out, the response's does.
        if item.type != "function_call":
            return
        if item.status == "completed":
            self._hand_out(response, item, effects)
        elif not item.status:
            response.held_calls.append(item)

    def _hand_out_calls(self, response: Response, effects: Effects) -> None:
        """Those that `response.done` vouches for; after OPEN, so that there is a reader."""
        resource = response.resource
        if resource is None or resource.status != "completed":
            return
        for item in [*response.held_calls, *(resource.output or ())]:
            if item.type == "function_call" and item.status in ("completed", UNSET, None):
                self._hand_out(response, item, effects)

    def _hand_out(self, response: Response, item: Item, effects: Effects) -> None:
        call = item.call_id or item.id or ""
        if call not in response.handed_calls:
            response.handed_calls.add(call)
            effects.append(FunctionCall(response, item))

    # --- errors ---------------------------------------------------------------------------------

    def _enqueue(
        self, response: Response, now: float, effects: Effects, *, first: bool = False
    ) -> None:
        self._fire(response, _I.HOLD_CREATE, effects, now)
        self._admission.enqueue(response, first=first)
        self.pump(now, effects)

    def _pause(self, response: Response, error: ErrorInfo) -> float:
        """How long to wait before trying again where nothing else will say when."""
        others = [one for one in self._admission.occupants(Lane.DEFAULT) if one is not response]
        if others:
            return 0.0
        # P-50: the blocker that the message names may be over already by the time it is read.
        # The text is a hint for the pause, no more; nothing but the pause depends on it.
        blocker = re.search(r"resp_\w+", error.message or "")
        known = self._by_id.get(blocker.group()) if blocker else None
        if response.attempts == 1 and known is not None and known.state is _S.CLOSED:
            return 0.0
        return min(2.0, self._options.busy_backoff * 2.0**response.attempts)

    def _answered_cancel(self, response: Response, resource: ResponseResource) -> None:
        """A cancel that was carried out gets no other answer (P-16), so none is awaited."""
        details = resource.status_details
        if (
            response.cancel_event_id is not None
            and isinstance(details, StatusDetails)
            and details.reason == "client_cancelled"
        ):
            request = self._requests.get(response.cancel_event_id)
            if request is not None:
                self._deadlines.discard(request.deadline)
            self._requests.remove(request)


_KINDS = {
    "completed": OutcomeKind.COMPLETED,
    "cancelled": OutcomeKind.CANCELLED,
    "incomplete": OutcomeKind.INCOMPLETE,
    "failed": OutcomeKind.FAILED,
}


def _outcome_of(resource: ResponseResource) -> Outcome:
    """P-160 to P-164. Some servers put a plain string where the details belong (P-294)."""
    details = resource.status_details
    reason: str | None = None
    error: ErrorInfo | None = None
    if isinstance(details, StatusDetails):
        reason = details.reason or None
        if isinstance(details.error, ErrorInfo):
            error = details.error
        elif isinstance(details.error, str):
            error = ErrorInfo(message=details.error)
    elif isinstance(details, str):
        reason = details
    kind = _KINDS.get(resource.status or "")
    if kind is None:
        return Outcome(OutcomeKind.UNKNOWN, resource.status or reason, error)
    return Outcome(kind, reason, error)


def _says_busy(error: ErrorInfo) -> bool:
    if error_code(error) == ACTIVE_RESPONSE or error.type == ACTIVE_RESPONSE:
        return True
    # P-43: an older form has no code at all, so here alone the sentence has to serve.
    return not error.code and (error.message or "").startswith(
        "Conversation already has an active response"
    )


def _bytes_per_ms(audio: Mapping[str, Any] | UnsetType | None) -> int | None:
    """Bytes per ms of a response's own output format; None where it takes the session's."""
    output = (audio or {}).get("output")
    format_ = output.get("format") if isinstance(output, Mapping) else None
    if not isinstance(format_, Mapping):
        return None
    return 48 if format_.get("type") == "audio/pcm" else 8
