"""One connection to a Realtime server, without the socket and without a clock.

`receive` takes what the server said, the methods named after commands take what the user wants,
`advance` takes the time, `lose` takes the end of the connection. Each returns the effects that it
causes, and the shell carries them out at once. One object per socket: after a reconnect a new one
follows the old one, and nothing is reset.

This file routes; the parts know the rules: `responses` (and its table in `response`), `requests`,
`items`, `input_audio`, `configuration`, `delivered`, `playouts`; `handover` from one connection to
the next.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from antiphon.exceptions import FATAL_CODES, ConnectionClosed
from antiphon.protocol.configuration import Configuration
from antiphon.protocol.conversation import Conversation
from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.delivered import Delivered, TruncatePoint
from antiphon.protocol.effects import Effect, Effects, Fatal, Refused, Report, ReportKind, Send
from antiphon.protocol.errors import NOTHING_TO_CANCEL, error_code, request_error, says_busy
from antiphon.protocol.handover import Handover
from antiphon.protocol.input_audio import InputAudio
from antiphon.protocol.interruption import Interruption, PlaybackMode, Scope, meant
from antiphon.protocol.items import Items
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.options import Options
from antiphon.protocol.playouts import Playouts
from antiphon.protocol.produced import Produced
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.response import OnBusy, Response
from antiphon.protocol.responses import Responses
from antiphon.protocol.snapshot import Snapshot
from antiphon.wire.base import UNSET, Malformed, Maybe, UnknownEvent
from antiphon.wire.client_events import (
    ClientEvent,
    InputAudioBufferAppend,
    ResponseCreateParams,
)
from antiphon.wire.items import Item
from antiphon.wire.server_events import (
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferSpeechStarted,
    OutputAudioBufferCleared,
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    ServerEvent,
)

__all__ = ["Connection"]

# What a response produces, apart from the types named one by one below (P-120).
_OUTPUT_TYPES = (
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
)


OutputAudioBufferEvent = (
    OutputAudioBufferStarted | OutputAudioBufferStopped | OutputAudioBufferCleared
)


class Connection:
    """Everything that one connection knows.

    Args:
        prefix: begins every event id and metadata key made here. Unique among the connections
            that may ever speak to the same server-side session; at most 40 characters.
        options: timeouts, limits, tolerances.
        online: False while there is no socket yet: what is asked waits here for `go_online`, in
            order, and no deadline runs.
        kept_audio_bytes: of the audio appended until then, how much is kept; None for
            `options.kept_audio`.
    """

    __slots__ = (
        "_configuration",
        "_deadlines",
        "_handover",
        "_is_call",
        "_items",
        "_delivered",
        "_requests",
        "_responses",
        "input_audio",
        "playouts",
    )

    def __init__(
        self,
        prefix: str,
        options: Options | None = None,
        *,
        online: bool = True,
        kept_audio_bytes: int | None = None,
    ) -> None:
        options = options or Options()
        self._is_call = options.call
        self._deadlines = Deadlines()
        self._delivered = Delivered()
        self._requests = Requests(prefix, self._deadlines, options.request_timeout)
        self._items = Items(prefix, self._requests, 4 * options.remembered)
        self.input_audio = InputAudio(self._requests, self._items, int(options.kept_audio * 1000))
        self.playouts = Playouts(options, self._deadlines, self._requests, self._cut)
        self._responses = Responses(
            prefix,
            options,
            self._requests,
            self._deadlines,
            Produced(self._delivered, self._items),
            self.playouts,
            self.input_audio,
        )
        self._configuration = Configuration(
            self._requests, self.input_audio, self._responses, shared=options.call
        )
        self._handover = Handover(
            self._requests,
            self._configuration,
            self._items,
            self.input_audio,
            self.playouts,
            self._delivered,
            self._responses,
            kept_audio=options.kept_audio,
            kept_audio_bytes=kept_audio_bytes,
            lives_on=options.call,
        )
        if not online:
            self._requests.online = False
            self._responses.go_offline()

    # --- what is known --------------------------------------------------------------------------

    @property
    def lost(self) -> bool:
        """Whether the connection is gone."""
        return self._requests.lost

    @property
    def session(self) -> dict[str, Any]:
        """The configuration in force."""
        return self._configuration.in_force

    @property
    def conversation(self) -> Conversation:
        """The mirror of the default conversation."""
        return self._items.conversation

    @property
    def unsettled(self) -> tuple[Response, ...]:
        """Every response that a reader may know of and whose end is not known yet."""
        return self._responses.unsettled

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if the connection were replaced now.

        What the application owes the server is in flight, too: the output of a call, an approval.
        """
        audio = self.input_audio
        return not (
            self._responses.unsettled
            or len(self._requests)
            or self.conversation.owes
            or audio.awaits_commit
            or (audio.by_hand and audio.uncommitted_bytes)
        )

    # --- what a caller asks ---------------------------------------------------------------------

    def create_response(
        self,
        params: ResponseCreateParams,
        now: float,
        *,
        purpose: str | None = None,
        interruptible: bool = True,
        on_busy: OnBusy = OnBusy.QUEUE,
        timeout: float | None = None,
    ) -> tuple[Response, Effects]:
        """Ask for a response; see `Session.create_response` for the meaning of the arguments.

        Raises:
            LocalProtocolError: metadata over the server's limits (P-112), or no connection.
            ResponseRejected: the lane is busy and `on_busy` is REJECT.
        """
        self._requests.check_not_lost()
        effects: Effects = []
        response = self._responses.create(
            params,
            now,
            effects,
            purpose=purpose,
            interruptible=interruptible,
            on_busy=on_busy,
            timeout=timeout,
        )
        if not self._requests.online:
            self._requests.held.add(response)  # its place among what else is asked
        return response, effects

    def cancel(
        self, responses: Iterable[Response], now: float, *, playback: PlaybackMode = "exact"
    ) -> tuple[Interruption, Effects]:
        """Stop exactly these. The cancels stand first, since the server takes longest to hear."""
        effects: Effects = []
        interruption = Interruption(responses, playback, asked=now)
        self._responses.cancel(interruption, now, effects)
        if self._handover.on_air:
            self._handover.stop(interruption.responses, playback)
        effects.sort(key=_is_no_send)
        return interruption, effects

    def interrupt(
        self, scope: Scope, now: float, *, playback: PlaybackMode = "exact"
    ) -> tuple[Interruption, Effects]:
        """Stop everything in flight that the scope means: what generates, is due, or plays.

        The cancels stand first, as in `cancel`.
        """
        effects: Effects = []
        in_flight = (*self._responses.unsettled, *self.playouts.audible)
        interruption = Interruption(meant(scope, in_flight), playback, asked=now)
        self._responses.cancel(interruption, now, effects)
        if self._handover.on_air:
            self._handover.interrupt(scope, playback)
        if scope == "all" and playback == "always" and not in_flight:
            self.playouts.silence_unseen(now, effects)
        if scope != "out_of_band":
            # Only the default conversation holds responses that were not asked for (P-191).
            self._responses.revoke_unannounced(now, effects)
        effects.sort(key=_is_no_send)
        return interruption, effects

    def update_session(self, config: Mapping[str, Any], now: float) -> tuple[Request, Effects]:
        """P-251: the server takes all of it or nothing."""
        effects: Effects = []
        return self._configuration.update(config, now, effects), effects

    def create_item(
        self, item: Item, now: float, *, previous_item_id: Maybe[str] = UNSET
    ) -> tuple[Request, Effects]:
        """Put an item into the conversation. It gets an id here if it has none."""
        effects: Effects = []
        return self._items.create(item, previous_item_id, now, effects), effects

    def retrieve_item(self, item_id: str, now: float) -> tuple[Request, Effects]:
        effects: Effects = []
        return self._items.retrieve(item_id, now, effects), effects

    def delete_item(self, item_id: str, now: float) -> tuple[Request, Effects]:
        effects: Effects = []
        return self._items.delete(item_id, now, effects), effects

    def truncate_item(self, point: TruncatePoint, now: float) -> tuple[Request, Effects]:
        effects: Effects = []
        return self._truncate(point, now, effects), effects

    def truncate_points(self, item_ids: Sequence[str], heard_ms: int) -> list[TruncatePoint]:
        """Where to truncate when `heard_ms` of these items, played in this order, were heard.

        Nowhere, on a server that has refused it for want of such a thing (P-299), and not in
        items of out-of-band responses, which the server does not keep (P-31).
        """
        if not self._items.truncates:
            return []
        return self._delivered.truncate_points(self._items.in_conversation(item_ids), heard_ms)

    def append_audio(self, audio: bytes) -> InputAudioBufferAppend:
        """The event to send for audio in the session's input format, while there is a socket.

        P-101: it is not answered, so it carries no id and nothing else follows from it.

        Raises:
            LocalProtocolError: the connection is gone.
        """
        self._requests.check_not_lost()
        self.input_audio.append(audio)
        return InputAudioBufferAppend(audio=audio)

    def hold_audio(self, audio: bytes) -> int:
        """As `append_audio`, while there is none: how many bytes grew stale and were dropped.

        Raises:
            LocalProtocolError: the connection is gone.
        """
        self._requests.check_not_lost()
        return self._handover.hold_audio(audio)

    def send(self, event: ClientEvent | UnknownEvent) -> Effects:
        """An event that nothing here looks at, in its order.

        Raises:
            LocalProtocolError: the connection is gone.
        """
        self._requests.check_not_lost()
        if self._requests.online:
            return [Send(event)]
        self._requests.held.add(event)
        return []

    def commit_audio(self, now: float) -> tuple[Request, Effects]:
        effects: Effects = []
        return self.input_audio.commit(now, effects), effects

    def clear_audio(self, now: float) -> tuple[Request, Effects]:
        effects: Effects = []
        return self.input_audio.clear(now, effects), effects

    # --- from one connection to the next --------------------------------------------------------

    def follow(self, lost: "Connection") -> None:
        """Take over from one that is about to be lost, before anything is asked of this one."""
        self._handover.follow(lost._handover)

    def snapshot(self) -> Snapshot:
        """What a new connection needs to go on from here."""
        return self._handover.snapshot()

    def resume(self, snapshot: Snapshot, now: float) -> Effects:
        """Give this server-side session the configuration and the items of an earlier one.

        They go before whatever was asked meanwhile.
        """
        effects: Effects = []
        self._handover.resume(snapshot, now, effects)
        return effects

    def go_online(self, now: float) -> Effects:
        """There is a socket: what waited for one is sent, in the order in which it was asked."""
        effects: Effects = []
        if not self._requests.online:
            self._handover.go_online(now, effects)
        return effects

    # --- time and loss --------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `advance` has something to do, at the latest; None when nothing is pending."""
        return self._deadlines.next()

    def advance(self, now: float) -> Effects:
        """Carry out whatever is due."""
        effects: Effects = []
        while (deadline := self._deadlines.pop_due(now)) is not None:
            deadline.due(deadline.subject, now, effects)
        return effects

    def lose(self, closed: ConnectionClosed, now: float) -> Effects:
        """The connection is gone: everything in flight is answered with that (I3)."""
        if self.lost:
            return []
        self._requests.lost = True
        effects: Effects = []
        self._responses.lose(now, effects)
        for request in self._requests.all():
            self._requests.remove(request)
            if request.response is None:
                effects.append(Refused(request, closed))
        # Nothing that was still on its way, and no deadline, means anything from here on.
        self._deadlines.clear()
        return effects

    # --- what the server says -------------------------------------------------------------------

    def receive(self, event: ServerEvent | UnknownEvent | Malformed, now: float) -> Effects:
        """Take one decoded frame. Never raises for anything that a server may send."""
        effects: Effects = []
        if type(event) is Malformed:  # isinstance() of a struct class takes five times as long
            detail = f"{event.type or 'frame'}: {event.reason}: {event.detail}"
            effects.append(Report(ReportKind.MALFORMED, detail, event.response_id))
            if event.type == "response.done" and event.response_id and not self._requests.lost:
                self._responses.done_unreadable(event.response_id, now, effects)
            return effects
        if self._requests.lost:
            return effects
        about_responses = _ABOUT_RESPONSES.get(event.type)
        if about_responses is not None:
            about_responses(self._responses, event, now, effects)
        elif (route := _OTHERS.get(event.type)) is not None:
            part, takes = route
            takes(part(self), event, now, effects)
        return effects

    def _error(self, event: ErrorEvent, now: float, effects: Effects) -> None:
        error = event.error
        request = self._requests.match_error(error, event.event_id or None)
        if request is None:
            self._responses.refusals.may_have_failed(error, now)
            if says_busy(error):
                self.input_audio.awaits_reply = False  # P-49: the turn's own create was refused
            if error_code(error) == NOTHING_TO_CANCEL:
                effects.append(Report(ReportKind.ABSORBED, "a cancel found nothing to stop"))
            else:
                detail = "an error that answers no request"
                effects.append(Report(ReportKind.ERROR, detail, error=error))
        elif request.kind is RequestKind.OUTPUT_CLEAR:
            self._requests.close(request)
            self.playouts.nothing_plays(request.event_id, now, effects)
            effects.append(Report(ReportKind.ABSORBED, "the clear found nothing that plays"))
        elif request.response is None:
            if request.kind is RequestKind.SESSION_UPDATE:
                self._configuration.refused()
            else:
                self._items.refused(request, error)
            self._requests.refuse(request, request_error(error), effects)
        elif request.kind is RequestKind.RESPONSE_CREATE:
            echoed = request.event_id in (error.event_id, event.event_id)
            if not echoed and self._responses.refusals.may_be_anothers(request.response, error):
                detail = "a create was refused, and it is not known yet which"
                effects.append(Report(ReportKind.ERROR, detail, error=error))
                return
            self._requests.close(request)
            self._responses.refusals.create_refused(request.response, error, now, effects)
        else:
            self._requests.close(request)
            # P-293: some say it in other words; that it is over already is evidence enough.
            over = request.response.state is ResponseState.CLOSED
            if over or error_code(error) == NOTHING_TO_CANCEL:
                self._responses.refusals.cancel_found_nothing(request.response, now, effects)
            else:
                # The response may well run on: only its `done` or the deadline settles it.
                detail = "the server would not cancel the response"
                effects.append(Report(ReportKind.ERROR, detail, request.response.id, error))
        if error_code(error) in FATAL_CODES:
            effects.append(Fatal(error))

    def _speech_started(
        self, event: InputAudioBufferSpeechStarted, now: float, effects: Effects
    ) -> None:
        self.input_audio.speech_started(event, now, effects)
        if self.input_audio.interrupts:
            self.playouts.barge_in(now, effects)

    def _truncated(self, event: ConversationItemTruncated, now: float, effects: Effects) -> None:
        self._items.truncated(event, now, effects)
        if self._is_call and event.item_id:
            # By the call itself, at what was heard (P-421, P-422).
            self.playouts.truncated(event.item_id, event.audio_end_ms or 0, now, effects)

    def _plays(self, event: OutputAudioBufferEvent, now: float, effects: Effects) -> None:
        """What the call says of its output buffer (P-400). Elsewhere there is none."""
        if not self._is_call:
            return
        responses, response_id = self._responses, event.response_id or None
        if isinstance(event, OutputAudioBufferStarted):
            response = responses.met(response_id, now, effects, unseen=True)
            if response is None:
                effects.append(Report(ReportKind.UNROUTED, f"{event.type} of no response"))
            else:
                self.playouts.started(response, now, effects)
            return
        # One that was never met is not met now that it is over.
        response = responses.known(response_id)
        if isinstance(event, OutputAudioBufferCleared):
            self.playouts.cleared(response, now, effects)
        elif response is not None:
            self.playouts.stopped(response, now, effects)
        if response is not None:
            responses.played(response, now, effects)

    def _cut(self, response: Response, heard_ms: int, now: float, effects: Effects) -> None:
        if not self.lost:
            for point in self.truncate_points(response.item_ids, heard_ms):
                self._truncate(point, now, effects)

    def _truncate(self, point: TruncatePoint, now: float, effects: Effects) -> Request:
        return self._items.truncate(point, self._delivered.share(point), now, effects)


def _is_no_send(effect: Effect) -> bool:
    return type(effect) is not Send


# Who takes an event, by its type; one that is in neither concerns nobody. For all connections, so
# that the rows are at hand whichever of them an event is for.
_ABOUT_RESPONSES: dict[str, Callable[[Responses, Any, float, Effects], None]] = {
    **dict.fromkeys(_OUTPUT_TYPES, Responses.output),
    "response.created": Responses.created,
    "response.output_item.added": Responses.item_added,
    "response.output_item.done": Responses.item_done,
    "response.output_audio.delta": Responses.audio,
    "response.done": Responses.done,
}
_Part = Callable[[Connection], Any]
_connection: _Part = lambda connection: connection  # noqa: E731
_items: _Part = attrgetter("_items")
_audio: _Part = attrgetter("input_audio")
_configuration: _Part = attrgetter("_configuration")
_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_OTHERS: dict[str, tuple[_Part, Callable[[Any, Any, float, Effects], None]]] = {
    "session.created": (_configuration, Configuration.created),
    "session.updated": (_configuration, Configuration.updated),
    "conversation.item.added": (_items, Items.added),
    "conversation.item.created": (_items, Items.added),
    "conversation.item.done": (_items, Items.done),
    "conversation.item.retrieved": (_items, Items.retrieved),
    "conversation.item.truncated": (_connection, Connection._truncated),
    "conversation.item.deleted": (_items, Items.deleted),
    f"{_TRANSCRIPTION}.delta": (_audio, InputAudio.transcription_delta),
    f"{_TRANSCRIPTION}.updated": (_audio, InputAudio.transcription_updated),
    f"{_TRANSCRIPTION}.completed": (_audio, InputAudio.transcribed),
    f"{_TRANSCRIPTION}.failed": (_audio, InputAudio.transcription_failed),
    "input_audio_buffer.committed": (_audio, InputAudio.committed),
    "input_audio_buffer.cleared": (_audio, InputAudio.cleared),
    "input_audio_buffer.speech_started": (_connection, Connection._speech_started),
    "input_audio_buffer.speech_stopped": (_audio, InputAudio.speech_stopped),
    "input_audio_buffer.timeout_triggered": (_audio, InputAudio.timed_out),
    "output_audio_buffer.started": (_connection, Connection._plays),
    "output_audio_buffer.stopped": (_connection, Connection._plays),
    "output_audio_buffer.cleared": (_connection, Connection._plays),
    "error": (_connection, Connection._error),
}
