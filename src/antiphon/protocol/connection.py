"""One connection to a Realtime server, without the socket and without a clock.

`receive` takes what the server said, the methods named after commands take what the user wants,
`advance` takes the time, `lose` takes the end of the connection. Each returns the effects that it
causes, and the shell carries them out at once. One object per socket: after a reconnect a new one
resumes from the old one's `Snapshot`, and nothing is reset.

This file routes; the parts know the rules: `responses` (and its table in `response`), `requests`,
`conversation`, `input_audio`, `playback`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from antiphon.exceptions import ConnectionClosed, LocalProtocolError, RequestError, RequestTimeout
from antiphon.protocol.conversation import Conversation
from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.directory import check_metadata
from antiphon.protocol.effects import (
    Answered,
    Effects,
    Fatal,
    Refused,
    Report,
    ReportKind,
    Send,
    TurnChanged,
)
from antiphon.protocol.input_audio import BYTES_PER_MS, InputAudio, TurnPhase
from antiphon.protocol.interruption import Interruption, PlaybackMode, Scope, meant
from antiphon.protocol.options import Options
from antiphon.protocol.playback import Playback, TruncatePoint
from antiphon.protocol.playout import Playout
from antiphon.protocol.playouts import Playouts
from antiphon.protocol.requests import NOTHING_TO_CANCEL, Request, RequestKind, Requests, error_code
from antiphon.protocol.response import OnBusy, Response, ResponseState
from antiphon.protocol.responses import Responses
from antiphon.protocol.snapshot import Snapshot, merged, replayable
from antiphon.wire.base import UNSET, Malformed, Maybe, UnknownEvent
from antiphon.wire.client_events import (
    ClientEvent,
    ConversationItemCreate,
    ConversationItemDelete,
    ConversationItemRetrieve,
    ConversationItemTruncate,
    InputAudioBufferAppend,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    ResponseCreateParams,
    SessionUpdate,
)
from antiphon.wire.items import ErrorInfo, Item
from antiphon.wire.server_events import (
    ConversationItemAdded,
    ConversationItemCreated,
    ConversationItemDeleted,
    ConversationItemDone,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemInputAudioTranscriptionFailed,
    ConversationItemInputAudioTranscriptionUpdated,
    ConversationItemRetrieved,
    ConversationItemTruncated,
    ErrorEvent,
    InputAudioBufferCleared,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    InputAudioBufferSpeechStopped,
    InputAudioBufferTimeoutTriggered,
    ServerEvent,
    SessionCreated,
    SessionUpdated,
)

__all__ = ["FATAL_CODES", "Connection", "request_error"]

# P-92 and P-264 to P-266: trying again with the same key and address cannot help.
FATAL_CODES = frozenset(
    {
        "account_deactivated",
        "beta_api_shape_disabled",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_intent",
        "missing_model",
    }
)

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


class Connection:
    """Everything that one connection knows.

    Args:
        prefix: begins every event id and metadata key made here. Unique among the connections
            that may ever speak to the same server-side session; at most 40 characters.
        options: timeouts, limits, tolerances.
        online: False while there is no socket yet: creates wait for `go_online`, and no deadline
            runs. What else is asked is sent all the same: the shell holds it, in order.
    """

    __slots__ = (
        "_accepted",
        "_deadlines",
        "_items_made",
        "_online",
        "_options",
        "_playback",
        "_prefix",
        "_replayed",
        "_requests",
        "_responses",
        "conversation",
        "input_audio",
        "lost",
        "playouts",
        "session",
    )

    def __init__(self, prefix: str, options: Options | None = None, *, online: bool = True) -> None:
        self._options = options or Options()
        self._deadlines = Deadlines()
        self._requests = Requests()
        self._playback = Playback()
        self.playouts = Playouts(
            self._options, self._deadlines, self._requests, self._event_id, self._cut
        )
        self._responses = Responses(
            prefix, self._options, self._requests, self._deadlines, self._playback, self.playouts
        )
        self._online = online
        if not online:
            self._responses.go_offline()
        self._prefix = prefix
        self._items_made = 0
        # What the server accepted of what we asked, and what it says is in force.
        self._accepted: dict[str, Any] = {}
        # Items of an earlier connection that the server has not answered yet, by id.
        self._replayed: dict[Any, Item] = {}
        self.session: dict[str, Any] = {}
        self.conversation = Conversation()
        self.input_audio = InputAudio()
        self.lost = False

    # --- what a caller asks ---------------------------------------------------------------------

    @property
    def unsettled(self) -> tuple[Response, ...]:
        """Every response that a reader may know of and whose end is not known yet."""
        return self._responses.unsettled

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if the connection were replaced now."""
        audio = self.input_audio
        by_hand = not _detects_turns(self.session)
        return not (
            self._responses.unsettled
            or len(self._requests)
            or audio.awaits_commit
            or (by_hand and audio.uncommitted_bytes)
        )

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
        self._check_not_lost()
        check_metadata(params.metadata or {})
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
        return response, effects

    def cancel(
        self, responses: Iterable[Response], now: float, *, playback: PlaybackMode = "exact"
    ) -> tuple[Interruption, Effects]:
        """Stop exactly these."""
        effects: Effects = []
        interruption = Interruption(responses, playback)
        self._responses.cancel(interruption, now, effects)
        return interruption, effects

    def interrupt(
        self, scope: Scope, now: float, *, playback: PlaybackMode = "exact"
    ) -> tuple[Interruption, Effects]:
        """Stop everything in flight that the scope means: what generates, is due, or plays."""
        effects: Effects = []
        in_flight = (*self._responses.unsettled, *self.playouts.audible)
        interruption = Interruption(meant(scope, in_flight), playback)
        self._responses.cancel(interruption, now, effects)
        if scope != "out_of_band":
            # Only the default conversation holds responses that were not asked for (P-191).
            self._responses.revoke_unannounced(now, effects)
        return interruption, effects

    def update_session(self, config: Mapping[str, Any], now: float) -> tuple[Request, Effects]:
        """P-251: the server takes all of it or nothing."""
        config = {"type": "realtime", **config}
        event_id = self._responses.next_event_id()
        return self._ask(
            SessionUpdate(event_id=event_id, session=config),
            Request(event_id, RequestKind.SESSION_UPDATE, payload=config),
            now,
        )

    def create_item(
        self, item: Item, now: float, *, previous_item_id: Maybe[str] = UNSET
    ) -> tuple[Request, Effects]:
        """Put an item into the conversation. It gets an id here if it has none."""
        if not item.id:
            self._items_made += 1
            item = replace(item, id=f"item_{self._prefix}{self._items_made}"[:32])
        event_id = self._responses.next_event_id()
        return self._ask(
            ConversationItemCreate(event_id=event_id, item=item, previous_item_id=previous_item_id),
            Request(
                event_id,
                RequestKind.ITEM_CREATE,
                subject=item.id or None,
                payload=previous_item_id,
            ),
            now,
        )

    def retrieve_item(self, item_id: str, now: float) -> tuple[Request, Effects]:
        event_id = self._responses.next_event_id()
        return self._ask(
            ConversationItemRetrieve(event_id=event_id, item_id=item_id),
            Request(event_id, RequestKind.ITEM_RETRIEVE, subject=item_id),
            now,
        )

    def delete_item(self, item_id: str, now: float) -> tuple[Request, Effects]:
        event_id = self._responses.next_event_id()
        return self._ask(
            ConversationItemDelete(event_id=event_id, item_id=item_id),
            Request(event_id, RequestKind.ITEM_DELETE, subject=item_id),
            now,
        )

    def truncate_item(self, point: TruncatePoint, now: float) -> tuple[Request, Effects]:
        event_id = self._responses.next_event_id()
        return self._ask(
            ConversationItemTruncate(
                event_id=event_id,
                item_id=point.item_id,
                content_index=point.content_index,
                audio_end_ms=point.audio_end_ms,
            ),
            Request(event_id, RequestKind.ITEM_TRUNCATE, subject=point.item_id),
            now,
        )

    def truncate_points(self, item_ids: Sequence[str], heard_ms: int) -> list[TruncatePoint]:
        """Where to truncate when `heard_ms` of these items, played in this order, were heard."""
        return self._playback.truncate_points(list(item_ids), heard_ms)

    def append_audio(self, audio: bytes) -> InputAudioBufferAppend:
        """The event to send for audio in the session's input format.

        P-101: it is not answered, so it carries no id and nothing else follows from it.

        Raises:
            LocalProtocolError: the connection is gone.
        """
        self._check_not_lost()
        self.input_audio.append(len(audio))
        return InputAudioBufferAppend(audio=audio)

    def commit_audio(self, now: float) -> tuple[Request, Effects]:
        event_id = self._responses.next_event_id()
        return self._ask(
            InputAudioBufferCommit(event_id=event_id),
            Request(event_id, RequestKind.COMMIT, payload=self.input_audio.sent_bytes),
            now,
        )

    def clear_audio(self, now: float) -> tuple[Request, Effects]:
        event_id = self._responses.next_event_id()
        asked = self._ask(
            InputAudioBufferClear(event_id=event_id), Request(event_id, RequestKind.CLEAR), now
        )
        self.input_audio.cleared()
        return asked

    def resume(self, snapshot: Snapshot, now: float) -> Effects:
        """Give this server-side session the configuration and the items of an earlier one."""
        effects: Effects = []
        # Already so in the snapshot of this connection, should it be lost before the answers.
        self._accepted = dict(snapshot.session)
        self._replayed = {item.id: item for item in snapshot.items}
        if snapshot.session:
            effects += self.update_session(snapshot.session, now)[1]
        for item in snapshot.items:
            effects += self.create_item(item, now)[1]
        if snapshot.left_out:
            detail = f"{snapshot.left_out} items without words could not be replayed"
            effects.append(Report(ReportKind.UNSENT, detail))
        return effects

    def go_online(self, now: float, *, up_to: Response | None = None) -> Effects:
        """There is a socket: what waited for one is sent.

        Args:
            now: the time.
            up_to: only responses created up to this one. The shell so puts creates back into
                their order among what else was asked; at the end it leaves this out.
        """
        effects: Effects = []
        if up_to is None and not self._online:
            self._online = True
            for request in self._requests.all():
                if request.response is None:
                    self._expect(request, now)
        self._responses.go_online(up_to, now, effects)
        return effects

    def snapshot(self) -> Snapshot:
        """What a new connection needs to go on from here."""
        items, left_out = replayable((*self.conversation, *self._replayed.values()))
        return Snapshot(session=self._accepted, items=items, left_out=left_out)

    # --- time and loss --------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `advance` has something to do, at the latest; None when nothing is pending."""
        return self._deadlines.next()

    def advance(self, now: float) -> Effects:
        """Carry out whatever is due."""
        effects: Effects = []
        while (target := self._deadlines.pop_due(now)) is not None:
            if isinstance(target, Response):
                self._responses.due(target, now, effects)
            elif isinstance(target, Playout):
                self.playouts.due(target, now, effects)
            elif isinstance(target, Request):
                self._expire(target, effects)
            else:
                self._responses.pump(now, effects)
        return effects

    def lose(self, closed: ConnectionClosed, now: float) -> Effects:
        """The connection is gone: everything in flight is answered with that (I3)."""
        if self.lost:
            return []
        self.lost = True
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
            if event.type == "response.done" and event.response_id and not self.lost:
                self._responses.done_unreadable(event.response_id, now, effects)
            return effects
        if self.lost:
            return effects
        about_responses = _ABOUT_RESPONSES.get(event.type)
        if about_responses is not None:
            about_responses(self._responses, event, now, effects)
        elif (route := _OTHERS.get(event.type)) is not None:
            route(self, event, now, effects)
        return effects

    def _session(
        self, event: SessionCreated | SessionUpdated, now: float, effects: Effects
    ) -> None:
        self.session = event.session
        self.input_audio.bytes_per_ms = _bytes_per_ms(event.session, "input")
        self._responses.output_bytes_per_ms = _bytes_per_ms(event.session, "output")
        if isinstance(event, SessionUpdated):
            request = self._requests.answered(RequestKind.SESSION_UPDATE)
            if request is not None:
                self._accepted = merged(self._accepted, request.payload)
                self._answer(request, event.session, effects)

    def _item_added(
        self, event: ConversationItemAdded | ConversationItemCreated, now: float, effects: Effects
    ) -> None:
        item_id = event.item.id
        if not item_id or self._responses.is_out_of_band_item(item_id):
            return
        request = self._requests.answered(RequestKind.ITEM_CREATE, item_id)
        previous = event.previous_item_id or None
        if previous is None and request is not None and request.payload == "root":
            previous = "root"
        self.conversation.add(event.item, previous)
        self._replayed.pop(item_id, None)
        if request is not None:
            self._answer(request, event.item, effects)

    def _item_done(self, event: ConversationItemDone, now: float, effects: Effects) -> None:
        if event.item.id and event.item.id in self.conversation:
            self.conversation.update(event.item)
        else:
            self._item_added(
                ConversationItemAdded(item=event.item, previous_item_id=event.previous_item_id),
                now,
                effects,
            )

    def _item_retrieved(
        self, event: ConversationItemRetrieved, now: float, effects: Effects
    ) -> None:
        self._answer(
            self._requests.answered(RequestKind.ITEM_RETRIEVE, event.item.id or None),
            event.item,
            effects,
        )

    def _item_truncated(
        self, event: ConversationItemTruncated, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self.conversation.truncate(
                event.item_id, event.content_index or 0, event.audio_end_ms or 0
            )
        request = self._requests.answered(RequestKind.ITEM_TRUNCATE, event.item_id or None)
        self._answer(request, None, effects)

    def _item_deleted(self, event: ConversationItemDeleted, now: float, effects: Effects) -> None:
        request = self._requests.deleted(event.item_id or None)
        item_id = event.item_id or (request.subject if request is not None else None)
        if item_id:
            self.conversation.delete(item_id)
            self._replayed.pop(item_id, None)
        self._answer(request, None, effects)

    def _cleared(self, event: InputAudioBufferCleared, now: float, effects: Effects) -> None:
        self._answer(self._requests.answered(RequestKind.CLEAR), None, effects)

    def _committed(self, event: InputAudioBufferCommitted, now: float, effects: Effects) -> None:
        request = self._requests.answered(RequestKind.COMMIT)
        if request is None:
            self.input_audio.cleared()
        else:
            self.input_audio.committed(request.payload)
        self._answer(request, event.item_id or None, effects)
        if event.item_id:
            self.input_audio.turn(event.item_id).committed = True
            self._turn(event.item_id, "committed", effects)

    def _speech_started(
        self, event: InputAudioBufferSpeechStarted, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self.input_audio.turn(event.item_id).started_ms = event.audio_start_ms or 0
            self._turn(event.item_id, "speech_started", effects)

    def _speech_stopped(
        self, event: InputAudioBufferSpeechStopped, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            self.input_audio.turn(event.item_id).stopped_ms = event.audio_end_ms or 0
            self._turn(event.item_id, "speech_stopped", effects)

    def _timed_out(
        self, event: InputAudioBufferTimeoutTriggered, now: float, effects: Effects
    ) -> None:
        if event.item_id:
            turn = self.input_audio.turn(event.item_id)
            turn.started_ms = event.audio_start_ms or 0
            turn.stopped_ms = event.audio_end_ms or 0
            self._turn(event.item_id, "timed_out", effects)

    def _transcription_delta(
        self,
        event: ConversationItemInputAudioTranscriptionDelta,
        now: float,
        effects: Effects,
    ) -> None:
        if event.item_id:
            self.input_audio.turn(event.item_id).transcript += event.delta or ""

    def _transcribed(
        self,
        event: ConversationItemInputAudioTranscriptionCompleted,
        now: float,
        effects: Effects,
    ) -> None:
        # P-186, P-187: it may come before the item that it belongs to, or after the reply to it.
        if event.item_id:
            words = event.transcript or ""
            turn = self.input_audio.turn(event.item_id)
            # The same words may be told twice (P-314); the turn is told of once.
            news = turn.phase != "transcribed" or turn.transcript != words
            turn.transcript = words
            self.conversation.transcribe(event.item_id, event.content_index or 0, words)
            if news and event.status != "in_progress":  # P-298: not the last word yet
                self._turn(event.item_id, "transcribed", effects)

    def _transcription_updated(
        self,
        event: ConversationItemInputAudioTranscriptionUpdated,
        now: float,
        effects: Effects,
    ) -> None:
        if event.item_id:
            words = event.transcript or ""
            self.input_audio.turn(event.item_id).transcript = words
            self.conversation.transcribe(event.item_id, event.content_index or 0, words)

    def _transcription_failed(
        self,
        event: ConversationItemInputAudioTranscriptionFailed,
        now: float,
        effects: Effects,
    ) -> None:
        if event.item_id:
            self.input_audio.turn(event.item_id)
            self._turn(event.item_id, "transcription_failed", effects)

    def _error(self, event: ErrorEvent, now: float, effects: Effects) -> None:
        error = event.error
        request = self._requests.match_error(error, event.event_id or None)
        if request is None:
            if error_code(error) == NOTHING_TO_CANCEL:
                effects.append(Report(ReportKind.ABSORBED, "a cancel found nothing to stop"))
            else:
                detail = "an error that answers no request"
                effects.append(Report(ReportKind.ERROR, detail, error=error))
        elif request.response is None:
            self._close(request)
            if request.kind is RequestKind.ITEM_CREATE:
                self._replayed.pop(request.subject, None)
            effects.append(Refused(request, request_error(error)))
        elif request.kind is RequestKind.RESPONSE_CREATE:
            self._close(request)
            self._responses.create_refused(request.response, error, now, effects)
        else:
            self._close(request)
            # P-293: some say it in other words; that it is over already is evidence enough.
            over = request.response.state is ResponseState.CLOSED
            if over or error_code(error) == NOTHING_TO_CANCEL:
                self._responses.cancel_found_nothing(request.response, now, effects)
            else:
                # The response may well run on: only its `done` or the deadline settles it.
                detail = "the server would not cancel the response"
                effects.append(Report(ReportKind.ERROR, detail, request.response.id, error))
        if error_code(error) in FATAL_CODES:
            effects.append(Fatal(error))

    # --- requests -------------------------------------------------------------------------------

    def _ask(self, event: ClientEvent, request: Request, now: float) -> tuple[Request, Effects]:
        self._check_not_lost()
        self._requests.add(request)
        if self._online:
            self._expect(request, now)
        return request, [Send(event)]

    def _expect(self, request: Request, now: float) -> None:
        request.deadline = self._deadlines.add(now + self._options.request_timeout, request)

    def _event_id(self) -> str:
        return self._responses.next_event_id()

    def _cut(self, response: Response, heard_ms: int, now: float, effects: Effects) -> None:
        if not self.lost:
            for point in self.truncate_points(response.item_ids, heard_ms):
                effects += self.truncate_item(point, now)[1]

    def _answer(self, request: Request | None, result: Any, effects: Effects) -> None:
        if request is not None:
            self._close(request)
            effects.append(Answered(request, result))

    def _close(self, request: Request) -> None:
        self._deadlines.discard(request.deadline)
        self._requests.remove(request)

    def _check_not_lost(self) -> None:
        if self.lost:
            raise LocalProtocolError("the connection is gone")

    def _expire(self, request: Request, effects: Effects) -> None:
        self._requests.remove(request)
        if request.kind is not RequestKind.RESPONSE_CANCEL:
            error = RequestTimeout(
                f"the server did not answer {request.kind} "
                f"within {self._options.request_timeout:g} s"
            )
            effects.append(Refused(request, error))

    def _turn(self, item_id: str, phase: TurnPhase, effects: Effects) -> None:
        turn = self.input_audio.turn(item_id)
        turn.phase = phase
        effects.append(TurnChanged(replace(turn)))


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
_OTHERS: dict[str, Callable[[Connection, Any, float, Effects], None]] = {
    "session.created": Connection._session,
    "session.updated": Connection._session,
    "conversation.item.added": Connection._item_added,
    "conversation.item.created": Connection._item_added,
    "conversation.item.done": Connection._item_done,
    "conversation.item.retrieved": Connection._item_retrieved,
    "conversation.item.truncated": Connection._item_truncated,
    "conversation.item.deleted": Connection._item_deleted,
    "conversation.item.input_audio_transcription.delta": Connection._transcription_delta,
    "conversation.item.input_audio_transcription.completed": Connection._transcribed,
    "conversation.item.input_audio_transcription.updated": Connection._transcription_updated,
    "conversation.item.input_audio_transcription.failed": Connection._transcription_failed,
    "input_audio_buffer.committed": Connection._committed,
    "input_audio_buffer.cleared": Connection._cleared,
    "input_audio_buffer.speech_started": Connection._speech_started,
    "input_audio_buffer.speech_stopped": Connection._speech_stopped,
    "input_audio_buffer.timeout_triggered": Connection._timed_out,
    "error": Connection._error,
}


def request_error(error: ErrorInfo) -> RequestError:
    """The server's `error` as an exception."""
    return RequestError(
        error.message or error.code or "the server reported an error without a message",
        type=error.type or None,
        code=error.code or None,
        param=error.param or None,
        event_id=error.event_id or None,
    )


def _detects_turns(session: Mapping[str, Any]) -> bool:
    """Whether the server finds the user's turns; null means that the client commits them."""
    audio = session.get("audio")
    part = audio.get("input") if isinstance(audio, Mapping) else None
    return isinstance(part, Mapping) and part.get("turn_detection") is not None


def _bytes_per_ms(session: Mapping[str, Any], side: str) -> int:
    """Bytes of one ms of audio in the session's format for this side (P-240)."""
    audio = session.get("audio")
    part = audio.get(side) if isinstance(audio, Mapping) else None
    format_ = part.get("format") if isinstance(part, Mapping) else None
    name = format_.get("type") if isinstance(format_, Mapping) else None
    return BYTES_PER_MS.get(str(name), BYTES_PER_MS["audio/pcm"])
