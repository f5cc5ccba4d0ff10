"""What a session does by itself: carries out, in asyncio, what the core asks for.

Rule of this file: effects are applied synchronously and in order, with no `await` in between, and
no code of the user's runs while they are (callbacks are called once a batch has been applied). So
the state and what follows from it change together, and what `interrupt()` silenced stays silent.
Events for the server leave in their order, in one packet where one batch of effects has several.
"""

import asyncio
import logging
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from weakref import WeakSet

from antiphon.client.arguments import an_instance
from antiphon.client.audio import ToFormat, format_in
from antiphon.client.batch import AudioBatch
from antiphon.client.dial import Dial
from antiphon.client.endpoint import Endpoint
from antiphon.client.handle import FunctionCall, ResponseHandle, StreamLimits
from antiphon.client.link import Link
from antiphon.client.listeners import Listener, Listening
from antiphon.client.pending import PendingRequest, unheard
from antiphon.client.reconnect import ReconnectPolicy, Replay, is_retryable, told_instead
from antiphon.client.streams import Moment, Stream
from antiphon.client.transport import Connector
from antiphon.exceptions import (
    CallNotFound,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    LocalProtocolError,
)
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import (
    Answered,
    Effects,
    Ended,
    Fatal,
    Interrupted,
    Opened,
    Output,
    PlaybackEnded,
    Refused,
    Report,
    ReportKind,
    Send,
    Settled,
    Silence,
    TurnChanged,
)
from antiphon.protocol.effects import (
    FunctionCall as FunctionCallEffect,
)
from antiphon.protocol.input_audio import Turn
from antiphon.protocol.interruption import Interruption, PlaybackMode, Scope, meant
from antiphon.protocol.options import Options
from antiphon.protocol.playout import PlayoutInput
from antiphon.protocol.response import Response
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.client_events import ClientEvent
from antiphon.wire.codec import Codec
from antiphon.wire.items import ErrorInfo
from antiphon.wire.server_events import ServerEvent

__all__ = ["Shell"]

logger = logging.getLogger("antiphon.session")

# P-101: a server takes 15 MiB of base64 in one append, which is 11.25 MiB of audio.
_APPEND_LIMIT = 8 * 1024 * 1024


P = ParamSpec("P")


def _or_end(
    step: Callable[Concatenate["Shell", P], None],
) -> Callable[Concatenate["Shell", P], None]:
    """A step from one line to the next: should it fail, the session ends.

    Half done, it would leave a session that nobody would ever bring back, and whoever waits for it
    waiting for ever (I3).
    """

    @wraps(step)
    def whole(self: "Shell", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            step(self, *args, **kwargs)
        except Exception:
            logger.exception("the session failed")
            self.counters["internal_errors"] += 1
            self._finish(_internal_error())

    return whole


class Shell:
    """Everything below the public methods of a `Session`: its lines, its timer, its listeners."""

    def __init__(
        self,
        endpoint: Endpoint,
        connector: Connector,
        *,
        config: Mapping[str, Any] | None = None,
        options: Options | None = None,
        limits: StreamLimits | None = None,
        reconnect: ReconnectPolicy | None = None,
        connect_timeout: float = 15.0,
        max_pending_bytes: int = 16 * 1024 * 1024,
        batch_audio_ms: int = 0,
        handle_type: type[ResponseHandle] = ResponseHandle,
        replay: Replay | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._endpoint = endpoint
        self._dial = Dial(connector, endpoint, connect_timeout)
        self._config = dict(config or {})
        self._options = options or Options()
        self._limits = limits or StreamLimits()
        self._policy = reconnect or ReconnectPolicy()
        self._max_pending_bytes = max_pending_bytes
        self._batch = AudioBatch(batch_audio_ms, self._send_audio) if batch_audio_ms else None
        self._handle_type = handle_type
        self._replay = replay
        self._codec = Codec(endpoint.dialect)
        # All the audio that comes before the first socket is for the first server.
        self._connection = self._new_connection(kept_audio_bytes=max_pending_bytes)
        self._link: Link | None = None
        self._standby: Link | None = None
        # Frames that leave together, once the effects at hand are carried out.
        self._unwritten: list[bytes] = []
        self._fatal: ErrorInfo | None = None
        self._closing = False
        self._ended: Moment[ConnectionClosed] = Moment()
        self._end: ConnectionClosed | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rotation: asyncio.TimerHandle | None = None
        # How often it was tried to connect since a connection last proved to be of use.
        self._attempts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: dict[str, list[Listening]] = {}
        self._callbacks: deque[tuple[Listener, Any, ResponseHandle | None]] = deque()
        self._calling = False
        self._observers: list[Stream[Any]] = []
        # What makes PCM16 of a rate what the session takes, by rate and format.
        self._resamplers: dict[tuple[int, str], ToFormat] = {}
        # The format of an update that the server has not answered yet.
        self._asked_format: tuple[PendingRequest[Any], str] | None = None
        # What is over and was not read to its end; whoever dropped the handle will not.
        self._unread: WeakSet[ResponseHandle] | None = None
        # Who plays a response in this process: stops at once, and says how many ms were heard.
        self._players: dict[Response, Callable[[], int]] = {}
        # Set when nothing generates and nothing is heard; None where nobody waits for that.
        self._quiet: Moment[None] | None = None
        self.counters: Counter[str] = Counter()
        """How often each kind of report was made, and what was dropped; for monitoring."""

    # --- life: one line after the other -----------------------------------------------------------

    async def _establish(self) -> None:
        link = await self._open_link(self._policy.attempts + 1)
        if link is not None:
            self._attempts = 0
            self._attach(link)
            self._emit("connected", self)
            self._run_callbacks()

    async def _open_link(
        self, attempts: int, closed: ConnectionClosedError | ConnectionClosed | None = None
    ) -> Link | None:
        """Try so often; the session is over when that was not enough."""
        failed: ConnectError | None = None
        while self._attempts < attempts:
            await asyncio.sleep(self._policy.delay(self._attempts))
            self._attempts += 1
            try:
                patience = Dial.PATIENCE if closed is None else 0.0
                link = await self._dial.open(self, self._connection, patience)
            except ConnectError as error:
                failed = error
                if isinstance(failed, CallNotFound) and closed is not None:
                    closed = ConnectionClosedOK(closed.code, closed.reason, "call")
                    break
                self._emit("connect_failed", failed)
                self._run_callbacks()
                if self._fatal is not None or not failed.retryable:
                    break
            else:
                return link
        end = closed or ConnectionClosedError(None, str(failed), "network")
        end.__cause__ = failed
        self._finish(end)
        return None

    def _new_connection(self, kept_audio_bytes: int | None = None) -> Connection:
        # Unique, because a key of an earlier connection must not be taken for one of this one.
        prefix = f"a{secrets.token_hex(5)}"
        return Connection(prefix, self._options, online=False, kept_audio_bytes=kept_audio_bytes)

    @_or_end
    def _attach(self, link: Link) -> None:
        """From now on this is the session's socket."""
        self._link, self._standby = link, None
        self._apply(self._connection.go_online(self._loop.time()))
        self._stop_rotation()
        if self._policy.rotate_after is not None and self._policy.attempts:
            self._rotation = self._loop.call_at(
                link.opened_at + self._policy.rotate_after, self._begin_rotation
            )

    @_or_end
    def _link_lost(self, link: Link, code: int | None, reason: str) -> None:
        if link is self._standby:
            self._standby = None
            return
        if link is not self._link:
            return
        self._link = None
        self._stop_rotation()
        if self._loop.time() - link.opened_at >= self._policy.stable_after:
            self._attempts = 0
        by = "network" if code in (None, 1005, 1006) else "server"
        kind = ConnectionClosedOK if code == 1000 else ConnectionClosedError
        closed = kind(code, reason, by)
        # A clean close of a sideband may be a proxy's; only dialling again tells (P-453).
        again = is_retryable(code) or self._options.call
        if self._fatal is not None or not again or not self._policy.attempts:
            self._finish(closed)
            return
        standby = self._standby
        self._hand_over(self._new_connection() if standby is None else standby.connection, closed)
        self._emit("disconnected", closed)
        self._run_callbacks()
        if self._closing:
            return
        if standby is not None:
            self._resume(standby, closed)
        else:
            self._spawn(self._reconnect(closed))

    async def _reconnect(self, closed: ConnectionClosed) -> None:
        link = await self._open_link(self._policy.attempts, closed)
        if link is not None:
            self._resume(link, closed)

    def _hand_over(self, connection: Connection, closed: ConnectionClosed) -> None:
        """From now on this connection is the session's, which knows what the old one knew."""
        lost = self._connection
        connection.follow(lost)
        self._connection = connection
        self._lose(lost, closed)

    @_or_end
    def _resume(self, link: Link, closed: ConnectionClosed) -> None:
        """Go on over this link, whose connection is already the session's."""
        if link.gone.is_set():
            # Lost while it was told that the one before is lost.
            self._standby = None
            self._spawn(self._reconnect(closed))
            return
        # Still the standby, or made so: a session that ends closes it.
        self._standby = link
        snapshot = self._connection.snapshot()
        if self._replay is not None:
            try:
                snapshot = told_instead(self._replay, snapshot, self._codec)
            except Exception as failed:
                logger.exception("replay= failed; everything is replayed")
                kind = type(failed).__name__
                detail = f"replay= failed ({kind}): the new connection is told everything"
                self._do_report(Report(ReportKind.ERROR, detail))
        self._apply(self._connection.resume(snapshot, self._loop.time()))
        if not self._closing:
            self._attach(link)
        if not self._closing:
            self._emit("reconnected", self)
            self._run_callbacks()

    def _begin_rotation(self) -> None:
        self._spawn(self._rotate())

    async def _rotate(self) -> None:
        """Open a second socket, to change over at the next quiet moment."""
        old = self._link
        try:
            link = await self._dial.open(self, self._new_connection())
        except ConnectError:
            # The old one still works. When it ends, `_reconnect` tries harder.
            self.counters["rotation_failed"] += 1
            return
        if old is None or self._link is not old:
            # Lost meanwhile: `_reconnect` is at work, or done.
            link.close()
            return
        self._standby = link
        self._rotation = self._loop.call_at(
            old.opened_at + self._policy.rotate_latest, self._change_over, True
        )
        self._change_over()

    @_or_end
    def _change_over(self, whatever_runs: bool = False) -> None:
        standby, old = self._standby, self._link
        if standby is None or old is None:
            return
        if not (self._connection.idle or whatever_runs):
            return
        self._link = None
        old.close()
        replaced = ConnectionClosedOK(1000, "replaced before its time ran out", "client")
        self._hand_over(standby.connection, replaced)
        if not self._closing:
            self._resume(standby, replaced)

    def _stop_rotation(self) -> None:
        if self._rotation is not None:
            self._rotation.cancel()
            self._rotation = None

    def _lose(self, connection: Connection, closed: ConnectionClosed) -> None:
        before, self._end = self._end, closed
        self._carry_out(connection.lose(closed, self._loop.time()))
        self._end = before
        self._run_callbacks()

    def _finish(self, closed: ConnectionClosed) -> None:
        """The session is over for good."""
        if self._ended.is_set():
            return
        self._closing = True
        self._ended.set(closed)
        self._end = closed
        lines = (self._link, self._standby)
        self._link = self._standby = None
        for line in lines:
            if line is not None:
                line.close()
        if self._batch is not None:
            self._batch.drop()
        self._stop_rotation()
        if self._timer is not None:
            self._timer.cancel()
        self._lose(self._connection, closed)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        for stream in self._observers:
            stream.end()
        self._emit("closed", closed)
        self._run_callbacks()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failed = None if task.cancelled() else task.exception()
        if failed is not None:
            logger.error("the session failed", exc_info=failed)
            if self._link is None:
                # Nobody else would ever bring it back: whoever waits is to be told.
                self._finish(_internal_error())

    # --- in and out -------------------------------------------------------------------------------

    def _receive(self, link: Link, event: ServerEvent | UnknownEvent | Malformed) -> None:
        # Links that are not, or no longer, of this session are closed, and then deliver nothing.
        if self._closing:
            return
        effects = link.connection.receive(event, self._loop.time())
        if self._listeners and type(event) is not Malformed:
            # Queued first and called once the effects are applied: a listener learns of the
            # event before it learns of what follows from it, and finds the state up to date.
            self._emit("server_event", event)
            self._emit(event.type, event)
        if effects and (output := effects[0]).__class__ is Output and effects[-1] is output:
            # A delta, as nearly every event is: it changes no deadline and frees no lane.
            handle: ResponseHandle = output.response.owner
            if handle._subscribers or self._callbacks:
                self._do_output(output)
                self._run_callbacks()
            else:
                handle._feed(output.event)
        else:
            self._apply(effects)

    def _apply(self, effects: Effects) -> None:
        self._carry_out(effects)
        if self._callbacks:
            self._run_callbacks()
        self._arm()
        if self._standby is not None and self._connection.idle:
            self._loop.call_soon(self._change_over)

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            kind = effect.__class__
            try:
                if self._unwritten and kind is not Send:
                    self._flush()
                _CARRY_OUT[kind](self, effect)
            except Exception:
                # What follows must happen all the same, or somebody would wait for ever.
                logger.exception("an effect could not be carried out")
                self.counters["internal_errors"] += 1
        if self._unwritten:
            self._flush()

    def _arm(self) -> None:
        """One timer for the whole session: it may ring early, never late."""
        when = self._connection.next_deadline()
        if when is None or self._ended.is_set():
            return
        if self._timer is not None:
            if self._timer.when() <= when and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._apply(self._connection.advance(self._loop.time()))
        self._arm()

    def _send_now(self, event: ClientEvent) -> None:
        """The short way of microphone audio, from which nothing but its frame follows."""
        link = self._link
        assert link is not None and link.transport is not None, "held where there is none"
        frame = self._codec.encode(event)
        link.transport.send_text(frame)
        if self._listeners:
            self._emit_sent(event, frame)

    def _flush(self) -> None:
        """Send what the effects at hand put on the wire, in one packet if it can be."""
        frames, self._unwritten = self._unwritten, []
        try:
            if self._link is not None and self._link.transport is not None:
                self._link.transport.send_text(*frames)
        except Exception:
            # A transport may be the user's own. What follows must happen all the same.
            logger.exception("the transport failed to send")
            self.counters["internal_errors"] += 1

    def _queue_audio(self, audio: bytes) -> None:
        if self._batch is not None:
            self._batch.add(audio, self._connection.input_audio.bytes_per_ms)
        else:
            self._send_audio(audio)

    def _send_audio(self, audio: bytes) -> None:
        # No timer needs to be looked at.
        for start in range(0, len(audio), _APPEND_LIMIT):
            piece = audio[start : start + _APPEND_LIMIT]
            if self._link is not None:
                self._send_now(self._connection.append_audio(piece))
            elif dropped := self._connection.hold_audio(piece):
                self.counters["audio_bytes_dropped_offline"] += dropped
        if self._callbacks:
            self._run_callbacks()

    # --- what is heard ----------------------------------------------------------------------------

    def _play(self, handle: ResponseHandle, stop: Callable[[], int]) -> None:
        """From now on this player plays it."""
        response = self._own(handle)
        self._players[response] = stop
        self._heard(response, PlayoutInput.SOUND)

    def _heard(self, response: Response, fired: PlayoutInput, heard_ms: int | None = None) -> None:
        """A player says how far it is."""
        self._apply(self._connection.playouts.said(response, fired, self._loop.time(), heard_ms))

    def _note_unread(self, handles: Iterable[ResponseHandle], scope: Scope) -> None:
        """The core is to know of finished audio that a reader has not taken yet."""
        waiting = [one._response for one in handles if one.outcome is not None and one._unread]
        for response in meant(scope, waiting):
            if response.playout is None:
                self._connection.playouts.said(response, PlayoutInput.SOUND, self._loop.time())

    def _is_quiet(self) -> bool:
        connection = self._connection
        return not connection.unsettled and not connection.playouts.audible

    def _note_quiet(self) -> None:
        if self._quiet is not None and self._is_quiet():
            self._quiet.set(None)
            self._quiet = None

    def _check_loop(self) -> None:
        """Raise when called from elsewhere, where half of what follows would be done."""
        try:
            if asyncio.get_running_loop() is self._loop:
                return
        except RuntimeError:
            pass  # another thread, or no loop runs
        raise LocalProtocolError(
            "called outside the session's event loop; from another thread use "
            "loop.call_soon_threadsafe(session.interrupt), and the like, with the session's loop"
        )

    def _output_format(self) -> str:
        return format_in(self._connection.session, "output") or "audio/pcm"

    def _cancel(self, handles: Iterable[ResponseHandle]) -> None:
        self._check_loop()
        self._apply(self._cancelling(handles, self._loop.time())[1])

    def _cancelling(
        self, handles: Iterable[ResponseHandle], now: float, playback: PlaybackMode = "exact"
    ) -> tuple[Interruption, Effects]:
        asked = [an_instance("scope", one, ResponseHandle) for one in handles]
        responses = [self._own(handle) for handle in asked]
        for handle in asked:
            if handle.outcome is not None:
                # Over on the server, but perhaps not yet read to its end (I1).
                if playback != "never":
                    self._note_unread([handle], "all")
                handle._silence()
        return self._connection.cancel(responses, now, playback=playback)

    def _own(self, handle: ResponseHandle) -> Response:
        if handle._session is not self:
            raise LocalProtocolError("the response belongs to another session")
        return handle._response

    # --- effects ----------------------------------------------------------------------------------

    def _do_output(self, effect: Output) -> None:
        handle: ResponseHandle = effect.response.owner
        handle._feed(effect.event)
        # With callbacks pending, one of them may be about to subscribe.
        if handle._subscribers or self._callbacks:
            self._callbacks.append((handle._publish, effect.event, handle))

    def _do_send(self, effect: Send) -> None:
        event = effect.event
        frame = self._codec.encode(event)
        self._unwritten.append(frame)
        if self._listeners:
            self._emit_sent(event, frame)

    def _do_opened(self, effect: Opened) -> None:
        response = effect.response
        if response.owner is None:
            response.owner = self._handle_type(self, response, self._limits)
            self._emit("response", response.owner)
        response.owner._open()
        self._emit("opened", response.owner)

    def _do_ended(self, effect: Ended) -> None:
        effect.response.owner._end()
        self._emit("ended", effect.response.owner)

    def _do_settled(self, effect: Settled) -> None:
        response = effect.response
        handle: ResponseHandle = response.owner
        playout = response.playout
        if playout is None or playout.settled:
            # The core remembers finished responses for a while; their buffers are the reader's.
            response.owner = None
        handle._settle(self._end)
        if handle._unread:
            if self._unread is None:
                self._unread = WeakSet()
            self._unread.add(handle)
        handle._sound_settled()
        self._emit("done", handle)
        if self._quiet is not None:
            self._note_quiet()

    def _do_silence(self, effect: Silence) -> None:
        response = effect.response
        stop = self._players.pop(response, None)
        heard_ms = stop() if stop is not None else None
        for handle in self._unread or ():
            if handle._response is response:
                handle.audio.end(discard=True)
        cleared = PlayoutInput.CLEARED
        self._carry_out(
            self._connection.playouts.said(response, cleared, self._loop.time(), heard_ms)
        )

    def _do_playback_ended(self, effect: PlaybackEnded) -> None:
        response = effect.response
        self._players.pop(response, None)
        handle: ResponseHandle | None = response.owner
        if handle is not None:
            handle._sound_settled()
            if response.outcome is not None:
                response.owner = None
            self._emit("played", handle)
        self._note_quiet()

    def _do_interrupted(self, effect: Interrupted) -> None:
        if effect.interruption.owner is not None:
            effect.interruption.owner._settle()

    def _do_function_call(self, effect: FunctionCallEffect) -> None:
        handle: ResponseHandle = effect.response.owner
        call: FunctionCall = handle._call(effect.item)
        if "function_call" in self._listeners:
            self._emit("function_call", call, handle)

    def _do_answered(self, effect: Answered) -> None:
        if effect.request.owner is not None:
            effect.request.owner._moment.set(effect.result)

    def _do_refused(self, effect: Refused) -> None:
        pending: PendingRequest[Any] | None = effect.request.owner
        awaited = pending is not None and pending._moment.awaited
        if pending is not None:
            pending._moment.fail(effect.error)
        if not awaited and self._end is None:
            self._do_report(unheard(effect.request, effect.error))

    def _do_turn_changed(self, effect: TurnChanged) -> None:
        turn: Turn = effect.turn
        self._emit("turn", turn)

    def _do_report(self, effect: Report) -> None:
        self.counters[effect.kind] += 1
        logger.info("%s", effect.kind, extra={"response_id": effect.response_id})
        self._emit("report", effect)

    def _do_fatal(self, effect: Fatal) -> None:
        self._fatal = effect.error

    # --- listeners --------------------------------------------------------------------------------

    def _emit(self, name: str, value: Any, handle: ResponseHandle | None = None) -> None:
        for listener in self._listeners.get(name, ()):
            self._callbacks.append((listener, value, handle))

    def _emit_sent(self, event: ClientEvent | UnknownEvent, frame: bytes) -> None:
        self._emit("client_event", event)
        self._emit("client_frame", frame)

    def _run_callbacks(self) -> None:
        """Not re-entrant: what a callback causes is called after it, in order."""
        if self._calling:
            return
        self._calling = True
        try:
            while self._callbacks:
                listener, value, handle = self._callbacks.popleft()
                if handle is not None and handle._silent:
                    continue  # cancelled by an earlier callback (I1)
                try:
                    listener(value)
                except (Exception, asyncio.CancelledError):
                    # The latter is what `.result()` of a cancelled future raises.
                    logger.exception("a listener failed")
        finally:
            self._calling = False


_CARRY_OUT: dict[type[Any], Callable[[Shell, Any], None]] = {
    Output: Shell._do_output,
    Send: Shell._do_send,
    Opened: Shell._do_opened,
    Ended: Shell._do_ended,
    Settled: Shell._do_settled,
    Silence: Shell._do_silence,
    PlaybackEnded: Shell._do_playback_ended,
    Interrupted: Shell._do_interrupted,
    FunctionCallEffect: Shell._do_function_call,
    Answered: Shell._do_answered,
    Refused: Shell._do_refused,
    TurnChanged: Shell._do_turn_changed,
    Report: Shell._do_report,
    Fatal: Shell._do_fatal,
}


def _internal_error() -> ConnectionClosedError:
    return ConnectionClosedError(None, "an internal error", "client")
