"""Carries out the table of `response`: fires its inputs, and does what its rows ask for.

What hangs on a response's state and on nothing else happens here, with it: deadlines, admission,
memory. Which response is meant, and which are coupled to it, is decided before.
"""

from antiphon.exceptions import RemoteProtocolError
from antiphon.protocol.admission import Admission
from antiphon.protocol.calls import calls_at_done
from antiphon.protocol.deadlines import Deadline, Deadlines
from antiphon.protocol.directory import METADATA_KEY, Directory
from antiphon.protocol.early import EarlyOutput
from antiphon.protocol.effects import (
    Effects,
    Ended,
    Opened,
    Output,
    Report,
    ReportKind,
    Send,
    Settled,
)
from antiphon.protocol.lifecycle import (
    OCCUPIES,
    WANTED,
    Action,
    ResponseInput,
    ResponseState,
    table_for,
)
from antiphon.protocol.options import Options
from antiphon.protocol.playouts import Playouts, tell_watchers
from antiphon.protocol.produced import Produced
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.response import (
    ON_DEADLINE,
    UNSETTLED,
    Cause,
    Outcome,
    OutcomeKind,
    Response,
    illegal,
)
from antiphon.wire.base import UNSET
from antiphon.wire.client_events import ResponseCancel, ResponseCreate
from antiphon.wire.items import ResponseResource
from antiphon.wire.server_events import ResponseOutputItemAdded

__all__ = ["Machine"]

_S, _I = ResponseState, ResponseInput
_OVER = frozenset({_S.CLOSED, _S.ABANDONED})
# Looked up once: to name a member of an enumeration costs as much as a call.
_SEND_CREATE, _SEND_CANCEL, _OPEN, _END = (
    Action.SEND_CREATE,
    Action.SEND_CANCEL,
    Action.OPEN,
    Action.END,
)
_RESPONSE_CANCEL = RequestKind.RESPONSE_CANCEL

# The reason of a response that was given up for its deadline, however it ended after that.
_GIVEN_UP = {Cause.TIMED_OUT: "unanswered", Cause.STALLED: "stalled"}


class Machine:
    """The states of all responses of one connection.

    Attributes:
        table: the rows in force.
        admission: who holds a lane, who waits for one.
        directory: which response goes by which name.
        early: output that came before its announcement.
        unsettled: exactly the responses that a reader knows of and that have no outcome.
        finished: those that are over, oldest first; at most `options.remembered` (I9).
    """

    __slots__ = (
        "_deadlines",
        "_options",
        "_playouts",
        "_produced",
        "_requests",
        "_retry",
        "_timeouts",
        "admission",
        "directory",
        "early",
        "finished",
        "table",
        "unsettled",
    )

    def __init__(
        self,
        prefix: str,
        options: Options,
        requests: Requests,
        deadlines: Deadlines,
        produced: Produced,
        playouts: Playouts,
    ) -> None:
        self._options = options
        self._requests = requests
        self._deadlines = deadlines
        self._produced = produced
        self._playouts = playouts
        self.table = table_for(options.tolerances)
        # How long a response may stay in a state.
        self._timeouts = {
            _S.REQUESTED: options.create_timeout,
            _S.ACTIVE: options.stall_timeout,
            _S.CANCEL_DEFERRED: options.settle_timeout,
            _S.CANCELLING: options.settle_timeout,
            _S.REVOKING: options.settle_timeout,
        }
        self.admission = Admission(options.max_in_flight, options.busy_backoff)
        self.directory = Directory(prefix, options, requests)
        self.early = EarlyOutput(options.kept_events)
        # When a create that was refused as busy may be tried again.
        self._retry: Deadline | None = None
        self.unsettled: dict[int, Response] = {}
        self.finished: dict[int, Response] = {}

    def fire(
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
        row = self.table[before].get(fired)
        if row is None:
            self.violation(response, fired, effects, resource)
            return False
        if resource is not None:
            self._name(response, resource, now)
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
                self._send_cancel(response, now, effects)
            elif action is _OPEN:
                self._open(response, now, effects)
            elif action is _SEND_CREATE:
                self._send_create(response, now, effects)
            else:  # SETTLE. Rows that take output are looked up in `output`.
                self._settle(response, outcome, now, effects)
        if state is not before:
            self._moved(response, before, now)
        return True

    def _send_create(self, response: Response, now: float, effects: Effects) -> None:
        response.create_event_id = self._requests.next_event_id()
        self._requests.add(
            Request(response.create_event_id, RequestKind.RESPONSE_CREATE, response=response)
        )
        response.sent_at = now
        params = response.params
        assert params is not None, "only a response of ours is ever sent"
        effects.append(Send(ResponseCreate(event_id=response.create_event_id, response=params)))

    def _open(self, response: Response, now: float, effects: Effects) -> None:
        response.last_heard = now
        self.unsettled[response.number] = response
        effects.append(Opened(response))
        for event in self.early.take(response):
            effects.append(Output(response, event))
            self._produced.early(response, event, now, effects)

    def _send_cancel(self, response: Response, now: float, effects: Effects) -> None:
        # By id, always (I4, P-1). The bare cancel remains for a server that created the response
        # without naming it (P-311): no id can ever be known there, and it runs one at a time.
        if response.cancel_event_id is not None:
            return
        response.cancel_sent_at = now
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
        response.settled_at = now
        del self.unsettled[response.number]
        effects.append(Settled(response))
        if response.playout is not None or self._options.call:
            self._playouts.generated(response, outcome, now, effects)
        tell_watchers(response, effects)

    def _moved(self, response: Response, before: ResponseState, now: float) -> None:
        """Everything that hangs on the state and on nothing else."""
        state = response.state
        if state not in OCCUPIES or before not in OCCUPIES:
            self.admission.update(response)
        self._deadlines.discard(response.deadline)
        within = self._timeouts.get(state)
        if response.expires is not None and state in WANTED:
            response.deadline = self._deadlines.add(response.expires, self.due, response)
        elif within is not None:
            response.deadline = self._deadlines.add(now + within, self.due, response)
        else:
            response.deadline = None
        if before in _OVER:
            self.finished.pop(response.number, None)
        if state in _OVER:
            self._requests.remove(self._requests.get(response.create_event_id))
            cancel = self._requests.get(response.cancel_event_id)
            if cancel is not None:
                # Long enough to recognise the error of a cancel that came too late.
                cancel.deadline = self._deadlines.add(
                    now + self._options.settle_timeout, self._requests.expire, cancel
                )
            response.params = None
            response.held_calls = []
            self.finished[response.number] = response
            if len(self.finished) > self._options.remembered:
                self.forget(self.finished.pop(next(iter(self.finished))))

    def violation(
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

    # --- time and admission ---------------------------------------------------------------------

    def seen(self, response: Response) -> None:
        """It is being generated: until now only its playback was known."""
        response.unseen = False
        self.admission.update(response)

    def due(self, response: Response, now: float, effects: Effects) -> None:
        """The response's deadline has come."""
        response.deadline = None
        if response.state is _S.IDLE:
            detail = "output of a response that was never announced was dropped"
            effects.append(Report(ReportKind.UNROUTED, detail, response.id))
            self.forget(response)
            return
        if response.state is _S.ACTIVE:
            if response.doubt is not None and response.doubted_at >= response.last_heard:
                outcome = Outcome(OutcomeKind.FAILED, None, response.doubt)
                self.fire(
                    response, _I.RECV_DONE, effects, now, cause=Cause.FINISHED, outcome=outcome
                )
                self.pump(now, effects)
                return
            response.doubt = None
            if response.unseen and response.audible:
                response.last_heard = now  # all that there is of it is its sound, which goes on
            quiet_until = response.last_heard + self._options.stall_timeout
            if quiet_until > now:
                response.deadline = self._deadlines.add(quiet_until, self.due, response)
                return
            if response.unseen:
                outcome = Outcome(OutcomeKind.UNKNOWN, "unseen")
                self.fire(
                    response, _I.RECV_DONE, effects, now, cause=Cause.FINISHED, outcome=outcome
                )
                return
        fired, cause, outcome = ON_DEADLINE[response.state]
        self.fire(response, fired, effects, now, cause=cause, outcome=outcome)
        if fired is _I.SETTLE_TIMEOUT:
            self.await_no_answer(response)
        self.pump(now, effects)

    def pump(self, now: float, effects: Effects) -> None:
        """Send what may be sent now."""
        if self._retry is None and not self.admission.has_waiting:
            return
        while (response := self.admission.next_ready(now)) is not None:
            self.fire(response, _I.SEND_CREATE, effects, now)
        self._deadlines.discard(self._retry)
        when = self.admission.next_retry(now)
        self._retry = None if when is None else self._deadlines.add(when, self._retry_due)

    def _retry_due(self, _: object, now: float, effects: Effects) -> None:
        """A create that was told to come back later may be tried again."""
        self.pump(now, effects)

    # --- names ----------------------------------------------------------------------------------

    def _name(self, response: Response, resource: ResponseResource, now: float) -> None:
        if response.named:
            return
        found = self.directory.by_id.get(resource.id or UNSET)
        if found is not None and found is not response and found.is_unannounced:
            self._adopt(response, found)
        response.named = True
        response.created_at = now
        self.directory.name(response, resource.id or None)
        if response.from_server:
            response.metadata = {
                key: value
                for key, value in (resource.metadata or {}).items()
                if key != METADATA_KEY
            }
        self._requests.remove(self._requests.get(response.create_event_id))

    def forget(self, response: Response) -> None:
        self.early.take(response)
        self._deadlines.discard(response.deadline)
        self.directory.forget(response)

    def _adopt(self, response: Response, found: Response) -> None:
        """What came before its announcement belongs to this response."""
        if response.state in WANTED:
            self.early.move(found, response)
        for event in found.kept:
            if isinstance(event, ResponseOutputItemAdded) and event.item.id:
                self._produced.item(response, event.item.id)
        response.cancel_event_id = found.cancel_event_id
        response.cancel_sent_at = found.cancel_sent_at
        cancel = self._requests.get(found.cancel_event_id)
        if cancel is not None:
            cancel.response = response
        self.admission.release(found)
        self.forget(found)

    def await_no_answer(self, response: Response) -> None:
        """Nothing more is expected of the response's cancel."""
        request = self._requests.get(response.cancel_event_id)
        if request is not None:
            self._deadlines.discard(request.deadline)
            self._requests.remove(request)
