"""All responses of one connection: what is asked of them, and what the server says of them.

`response.py` says what may happen to one response, and `machine.py` does it; this file finds the
response that an event means, and couples the responses to one another: by admission, by
interruption.
"""

from collections.abc import Iterable
from math import inf

from msgspec.structs import replace

from antiphon.exceptions import ResponseRejected
from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.directory import METADATA_KEY, check_metadata
from antiphon.protocol.effects import (
    Effects,
    Interrupted,
    Output,
    Report,
    ReportKind,
)
from antiphon.protocol.errors import ACTIVE_RESPONSE
from antiphon.protocol.input_audio import InputAudio
from antiphon.protocol.interruption import Interruption
from antiphon.protocol.lifecycle import WANTED, Action, ResponseInput, ResponseState, output_column
from antiphon.protocol.machine import Machine
from antiphon.protocol.options import Options
from antiphon.protocol.playouts import Playouts
from antiphon.protocol.produced import Produced
from antiphon.protocol.refusals import Refusals
from antiphon.protocol.requests import Requests
from antiphon.protocol.resource import bytes_per_ms, cancelled_by_client, lane_of, outcome_of
from antiphon.protocol.response import Cause, Lane, OnBusy, Outcome, OutcomeKind, Response
from antiphon.wire.base import UNSET
from antiphon.wire.client_events import ResponseCreateParams
from antiphon.wire.items import ResponseResource
from antiphon.wire.server_events import (
    OutputEvent,
    ResponseCreated,
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
)

__all__ = ["Responses"]


_S, _I = ResponseState, ResponseInput
# The server has named a response in one of these, and not yet said that it is over.
_NAMED = frozenset({_S.ACTIVE, _S.CANCELLING, _S.REVOKING})
_NEVER_SENT = Outcome(OutcomeKind.CANCELLED, "never_sent")
_NO_METADATA = (
    "the server does not return the metadata of a create: from here on answers are matched by "
    "their order (Options(echoes_metadata=False) says so from the start)"
)
# Looked up once: to name a member of an enumeration costs as much as a call.
_DELIVER, _KEEP = Action.DELIVER, Action.KEEP
# What shows on a call that a response has sound: the audio itself is never sent there (P-378).
_SOUNDS = frozenset(
    {
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
        "response.output_audio.done",
    }
)


class Responses:
    """The responses of one connection, from their creation until they are forgotten.

    Args:
        prefix: starts every key made here; unique to this connection.
        options: timeouts, limits, tolerances.
        requests, deadlines, produced, playouts, input_audio: the connection's.
    """

    __slots__ = (
        "_admission",
        "_by_id",
        "_deadlines",
        "_directory",
        "_early",
        "_input_audio",
        "_is_call",
        "_machine",
        "_on_output",
        "_options",
        "_requests",
        "playouts",
        "produced",
        "refusals",
    )

    def __init__(
        self,
        prefix: str,
        options: Options,
        requests: Requests,
        deadlines: Deadlines,
        produced: Produced,
        playouts: Playouts,
        input_audio: InputAudio,
    ) -> None:
        self._input_audio = input_audio
        self._options = options
        self._is_call = options.call
        self._requests = requests
        self._deadlines = deadlines
        self.produced = produced
        self.playouts = playouts
        self._machine = Machine(prefix, options, requests, deadlines, produced, playouts)
        self._admission = self._machine.admission
        self._directory = self._machine.directory
        self._by_id = self._directory.by_id
        # Announced by nothing but their output so far.
        self._early = self._machine.early
        self._on_output = output_column(options.tolerances)
        self.refusals = Refusals(self._machine, options, requests, deadlines)

    # --- what a caller asks ---------------------------------------------------------------------

    @property
    def unsettled(self) -> tuple[Response, ...]:
        return tuple(self._machine.unsettled.values())

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
            asked_at=now,
            expires=None if timeout is None else now + timeout,
        )
        response.metadata = dict(params.metadata or {})
        response.bytes_per_ms = bytes_per_ms(params.audio)
        self._directory.enter(response)
        self._machine.unsettled[response.number] = response
        if on_busy is OnBusy.REPLACE and lane is Lane.DEFAULT:
            # One that was to replace another and still waits for that would hold the lane by now,
            # had the server been quicker: what comes of this must not depend on that.
            held = admission.occupants(lane)
            waiting = admission.waiting(lane)
            soon = [queued for queued in waiting if queued.on_busy is OnBusy.REPLACE]
            replaced = [older for older in (*held, *soon) if older.interruptible]
            self._machine.fire(response, _I.HOLD_CREATE, effects, now)
            self._stop(replaced, now, effects)
            self._machine.pump(now, effects)
        elif admission.may_send(lane) or (
            on_busy is OnBusy.SEND and response.number <= admission.horizon
        ):
            self._machine.fire(response, _I.SEND_CREATE, effects, now)
        else:
            self._machine.fire(response, _I.HOLD_CREATE, effects, now)
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
        self._machine.pump(now, effects)

    def revoke_unannounced(self, now: float, effects: Effects) -> None:
        """Cancel, by id, what shows itself only by its output, unless it may be wanted.

        It may be wanted where a create that was not cancelled still waits for its name.
        """
        unsettled = self._machine.unsettled.values()
        if not self._early or any(response.state is _S.REQUESTED for response in unsettled):
            return
        for response in self._early:
            self._early.take(response)
            self._machine.fire(response, _I.SEND_CANCEL, effects, now)

    def _stop(self, responses: Iterable[Response], now: float, effects: Effects) -> None:
        fired, cause = _I.SEND_CANCEL, Cause.CANCELLED
        for response in responses:
            self._machine.fire(response, fired, effects, now, cause=cause, outcome=_NEVER_SENT)

    # --- what the server says -------------------------------------------------------------------

    def created(self, event: ResponseCreated, now: float, effects: Effects) -> None:
        resource = event.response
        response = self._by_id.get(resource.id or UNSET)
        if response is not None and not resource.id and response.state is _S.CLOSED:
            response = None  # P-311: no id, so this is the next one
        turn = self._input_audio.awaits_reply
        # On a call one without our key is another controller's, or the turn detection's (P-379).
        announced = not self._is_call
        asked = self._asked_for(resource, now, effects, turn=turn, announced=announced)
        if self._directory.learned:
            self._directory.learned = False
            effects.append(Report(ReportKind.VIOLATION, _NO_METADATA, resource.id or None))
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
        if response.lane is Lane.DEFAULT:
            self._input_audio.awaits_reply = False
        if self._machine.fire(response, _I.RECV_CREATED, effects, now, resource=resource):
            self._supersede(response, now, effects)
        self.refusals.named(response, now, effects)

    def known(self, response_id: str | None) -> Response | None:
        """The response of this id, if there is one."""
        return self._by_id.get(response_id) if response_id else None

    def met(
        self, response_id: str | None, now: float, effects: Effects, *, unseen: bool = False
    ) -> Response | None:
        """The response of this id; one that began before we joined the call is met here (P-377).

        Args:
            response_id: as the server says; None where it does not.
            now: the time.
            effects: takes what follows.
            unseen: it is not known whether it is still generated.
        """
        response = self._by_id.get(response_id or UNSET)
        if response is None and response_id:
            response = self._directory.stranger(None)
            response.unseen = unseen
            resource = ResponseResource(id=response_id)
            self._machine.fire(response, _I.RECV_CREATED, effects, now, resource=resource)
            response.created_at = None  # that was before
        elif response is not None and response.unseen and not unseen:
            self._machine.seen(response)
        return response

    def played(self, response: Response, now: float, effects: Effects) -> None:
        """Its playback is over. Where nothing else was ever seen of it, so was its generation."""
        if response.unseen:
            self._over(response, "unseen", now, effects)

    def output(self, event: OutputEvent, now: float, effects: Effects) -> None:
        """Anything that a response produces. This is the path that every delta takes."""
        response = self._by_id.get(event.response_id)
        if response is None:
            response = self._of_stranger(event.response_id or None, now, effects)
        action = self._on_output.get(response.state)
        if action is _DELIVER:
            response.last_heard = now
            effects.append(Output(response, event))
            if response.inspected:
                self._inspect(response, event, now, effects)
        elif action is _KEEP:
            self._keep(response, event, now, effects)
        elif action is None:
            self._machine.violation(response, _I.RECV_OUTPUT, effects)

    def _inspect(
        self, response: Response, event: OutputEvent, now: float, effects: Effects
    ) -> None:
        """What is looked for in delivered output, where anything is."""
        if response.first_text_at is None:
            self.produced.words(response, event, now)
        if not self._is_call:
            response.inspected = response.first_text_at is None
            return
        if response.unseen:
            self._machine.seen(response)
        if event.type in _SOUNDS:
            self.playouts.sound(response, now, effects)

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
                self.produced.audio(response, event, now)
            effects.append(Output(response, event))
            return
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and response.state is _S.ACTIVE:
            self.produced.audio(response, event, now)  # its announcement, too (P-311)

    def item_added(self, event: ResponseOutputItemAdded, now: float, effects: Effects) -> None:
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None and event.item.id:
            self.produced.item(response, event.item.id)

    def item_done(self, event: ResponseOutputItemDone, now: float, effects: Effects) -> None:
        self.output(event, now, effects)
        response = self._by_id.get(event.response_id or UNSET)
        if response is not None:
            self.produced.item_done(response, event.item, effects)

    def done(self, event: ResponseDone, now: float, effects: Effects) -> None:
        resource = event.response
        if event.usage and not resource.usage:
            resource = replace(resource, usage=event.usage)  # P-294
        response = self._directory.find(resource.id or None)
        if response is None or response.is_unannounced:
            asked = self._asked_for(resource, now, effects)
            if asked is not None and (response is None or self._is_of(response, asked)):
                response = asked
        if response is None:
            response = self._directory.stranger(lane_of(resource))
        if self._machine.fire(
            response,
            _I.RECV_DONE,
            effects,
            now,
            cause=Cause.FINISHED,
            outcome=outcome_of(resource),
            resource=resource,
        ):
            self.produced.done(response, resource)
            if cancelled_by_client(resource):
                # P-16: a cancel that was carried out gets no other answer.
                self._machine.await_no_answer(response)
            self._machine.pump(now, effects)

    def done_unreadable(self, response_id: str, now: float, effects: Effects) -> None:
        """A `response.done` that is no event, but says of whom: over, and nobody can say how."""
        response = self._by_id.get(response_id)
        if response is not None:
            self._over(response, "unreadable", now, effects)

    def _over(self, response: Response, reason: str, now: float, effects: Effects) -> None:
        if response.state in _NAMED:
            outcome = Outcome(OutcomeKind.UNKNOWN, reason)
            self._machine.fire(
                response, _I.RECV_DONE, effects, now, cause=Cause.FINISHED, outcome=outcome
            )
            self._machine.pump(now, effects)

    # --- time and loss --------------------------------------------------------------------------

    def lose(self, now: float, effects: Effects) -> None:
        """The connection is gone, and with it everything in flight."""
        for response in list(self._machine.unsettled.values()):
            self._machine.fire(
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
        self._machine.pump(now, effects)

    def go_offline(self) -> None:
        """There is no server yet: creates wait, so that a stale one is never sent."""
        self._admission.horizon = 0

    # --- which response -------------------------------------------------------------------------

    def _asked_for(
        self,
        resource: ResponseResource,
        now: float,
        effects: Effects,
        *,
        turn: bool = False,
        announced: bool = False,
    ) -> Response | None:
        response = self._directory.asked_for(resource, turn=turn, announced=announced)
        if response is not None and not response.wanted and response.state is _S.IDLE:
            self._machine.fire(response, _I.DISOWN, effects, now)
        return response

    def _is_of(self, found: Response, asked: Response) -> bool:
        """Whether what only output has shown can be the response that was asked for."""
        return found.is_unannounced and (found.state is _S.IDLE or asked.state not in WANTED)

    def _supersede(self, newer: Response, now: float, effects: Effects) -> None:
        """A server that stops the old response without a word (P-309) is known by its profile."""
        if _I.SUPERSEDED not in self._machine.table[_S.ACTIVE]:
            return  # nearly everywhere; else every announcement would look at all that runs
        if newer.lane is not Lane.DEFAULT or not newer.occupies:
            return
        older = [
            response
            for response in self._admission.occupants(Lane.DEFAULT)
            if response is not newer and _I.SUPERSEDED in self._machine.table[response.state]
        ]
        for response in older:
            self._machine.fire(
                response,
                _I.SUPERSEDED,
                effects,
                now,
                cause=Cause.SUPERSEDED,
                outcome=Outcome(OutcomeKind.CANCELLED, "superseded"),
            )
        if older:
            self._machine.pump(now, effects)

    # --- output before its response is announced ------------------------------------------------

    def _of_stranger(self, response_id: str | None, now: float, effects: Effects) -> Response:
        """The response that output of an unknown id belongs to."""
        response = self._directory.find(response_id)
        if response is None and self._is_call:
            response = self.met(response_id, now, effects)
        if response is None and not self._options.announces:
            resource = ResponseResource(id=response_id or UNSET)
            self.created(ResponseCreated(response=resource), now, effects)
            response = self._by_id.get(response_id or UNSET)
        if response is None:
            response = self._directory.stranger(None)
            response.id = response_id
        return response

    def _keep(self, response: Response, event: OutputEvent, now: float, effects: Effects) -> None:
        if not self._early.keep(response, event):
            detail = "too much output of responses that were never announced"
            effects.append(Report(ReportKind.UNROUTED, detail, response.id))
        elif response.deadline is None:
            self._directory.name(response, response.id)
            when = now + self._options.create_timeout
            response.deadline = self._deadlines.add(when, self._machine.due, response)
