"""What a session does by itself: carries out, in asyncio, what the core asks for.

Rule of this file: effects are applied synchronously and in order, with no `await` in between, and
no code of the user's runs while they are (callbacks are called once a batch has been applied). So
the state and what follows from it change together, and what `interrupt()` silenced stays silent.
Events for the server leave in their order, in one packet where one batch of effects has several.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from antiphon.client.arguments import an_instance
from antiphon.client.audio import format_in
from antiphon.client.callbacks import Callbacks
from antiphon.client.handle import FunctionCall, ResponseHandle, StreamLimits
from antiphon.client.outbox import Outbox
from antiphon.client.pending import PendingRequest, unheard
from antiphon.client.streams import Moment
from antiphon.exceptions import ConnectionClosed, LocalProtocolError
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import (
    Answered,
    CallReady,
    Effects,
    Ended,
    Fatal,
    Interrupted,
    Opened,
    Output,
    PlaybackEnded,
    Refused,
    Report,
    Send,
    Settled,
    Silence,
    TurnChanged,
)
from antiphon.protocol.input_audio import Turn
from antiphon.protocol.interruption import Interruption, PlaybackMode, Scope, meant
from antiphon.protocol.playout import PlayoutInput
from antiphon.protocol.response import Response
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.items import ErrorInfo
from antiphon.wire.server_events import ServerEvent

__all__ = ["Shell"]

logger = logging.getLogger("antiphon.session")


class Shell:
    """Gives the core what arrives and the time, and carries out what it answers.

    Args:
        connection: the core's side of the first line.
        outbox: takes what is sent.
        callbacks: takes what listeners are to be told.
        counters: of reports, and of what was dropped.
        handle_type: the class of the handles.
        limits: how far their readers may fall behind.

    Attributes:
        connection: the core of the line in use. One line after the other has it set.
        end: how the session ended; while a lost line's core is told, how that line ended.
        over: nothing is taken in any more, and no timer is set.
        fatal: the error after which it makes no sense to connect again.
        when_idle: called when nothing is in flight on the connection, as long as it is set.
    """

    __slots__ = (
        "_handle_type",
        "_limits",
        "_loop",
        "_outbox",
        "_players",
        "_quiet",
        "_timer",
        "_unread",
        "callbacks",
        "connection",
        "counters",
        "end",
        "fatal",
        "over",
        "when_idle",
    )

    def __init__(
        self,
        connection: Connection,
        outbox: Outbox,
        callbacks: Callbacks,
        counters: Counter[str],
        *,
        handle_type: type[ResponseHandle],
        limits: StreamLimits,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.connection = connection
        self._outbox = outbox
        self.callbacks = callbacks
        self.counters = counters
        self._handle_type = handle_type
        self._limits = limits
        self.end: ConnectionClosed | None = None
        self.over = False
        self.fatal: ErrorInfo | None = None
        self.when_idle: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # What is over and was not read to its end; whoever dropped the handle will not.
        self._unread: WeakSet[ResponseHandle] | None = None
        # Who plays a response in this process: stops at once, and says how many ms were heard.
        self._players: dict[Response, Callable[[], int]] = {}
        # Set when nothing generates and nothing is heard; None where nobody waits for that.
        self._quiet: Moment[None] | None = None

    # --- in and out -------------------------------------------------------------------------------

    def receive(
        self, connection: Connection, event: ServerEvent | UnknownEvent | Malformed
    ) -> None:
        """An event has come over the line of this connection."""
        # Lines that are not, or no longer, of this session are closed, and then deliver nothing.
        if self.over:
            return
        effects = connection.receive(event, self._loop.time())
        callbacks = self.callbacks
        if callbacks.listeners and type(event) is not Malformed:
            # Queued first and called once the effects are applied: a listener learns of the
            # event before it learns of what follows from it, and finds the state up to date.
            callbacks.emit("server_event", event)
            callbacks.emit(event.type, event)
        if effects and (output := effects[0]).__class__ is Output and effects[-1] is output:
            # A delta, as nearly every event is: it changes no deadline and frees no lane.
            handle: ResponseHandle = output.response.owner
            if handle._subscribers or callbacks.due:
                self._do_output(output)
                callbacks.run()
            else:
                handle._feed(output.event)
        else:
            self.apply(effects)

    def apply(self, effects: Effects) -> None:
        """Carry these out, and what follows: callbacks, the timer, a change of lines."""
        self._carry_out(effects)
        if self.callbacks.due:
            self.callbacks.run()
        self._arm()
        if self.when_idle is not None and self.connection.idle:
            self._loop.call_soon(self.when_idle)

    def lose(self, connection: Connection, closed: ConnectionClosed) -> None:
        """Tell this connection, and through it whoever waits for it, that its line is lost."""
        before, self.end = self.end, closed
        self._carry_out(connection.lose(closed, self._loop.time()))
        self.end = before
        self.callbacks.run()

    def finish(self, closed: ConnectionClosed) -> None:
        """From now on nothing comes in; what is in flight is told by `lose`."""
        self.over = True
        self.end = closed
        self.when_idle = None
        if self._timer is not None:
            self._timer.cancel()

    def report(self, report: Report) -> None:
        """Count it, and tell the `"report"` listeners."""
        self.counters[report.kind] += 1
        logger.info("%s", report.kind, extra={"response_id": report.response_id})
        self.callbacks.emit("report", report)

    def _carry_out(self, effects: Effects) -> None:
        outbox = self._outbox
        effect: Any
        for effect in effects:
            kind = effect.__class__
            try:
                if kind is Send:
                    outbox.put(effect.event)
                    continue
                if outbox.waiting:
                    outbox.flush()
                _CARRY_OUT[kind](self, effect)
            except Exception:
                # What follows must happen all the same, or somebody would wait for ever.
                logger.exception("an effect could not be carried out")
                self.counters["internal_errors"] += 1
        if outbox.waiting:
            outbox.flush()

    def _arm(self) -> None:
        """One timer for the whole session: it may ring early, never late."""
        when = self.connection.next_deadline()
        if when is None or self.over:
            return
        if self._timer is not None:
            if self._timer.when() <= when and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.apply(self.connection.advance(self._loop.time()))
        self._arm()

    # --- what handles ask for ---------------------------------------------------------------------

    def check_loop(self) -> None:
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

    def output_format(self) -> str:
        """What audio comes in, where a response has no format of its own."""
        return format_in(self.connection.session, "output") or "audio/pcm"

    def cancel(self, handles: Iterable[ResponseHandle]) -> None:
        """Stop these."""
        self.check_loop()
        self.apply(self.cancelling(handles, self._loop.time())[1])

    def cancelling(
        self, handles: Iterable[ResponseHandle], now: float, playback: PlaybackMode = "exact"
    ) -> tuple[Interruption, Effects]:
        """As `Connection.cancel`, with what is not read of those that are over.

        Raises:
            LocalProtocolError: one is no handle, or another session's.
        """
        asked = [an_instance("scope", handle, ResponseHandle) for handle in handles]
        responses = [self.own(handle) for handle in asked]
        for handle in asked:
            if handle.outcome is not None:
                # Over on the server, but perhaps not yet read to its end (I1).
                if playback != "never":
                    self._note_unread([handle], "all")
                handle._silence()
        return self.connection.cancel(responses, now, playback=playback)

    def own(self, handle: ResponseHandle) -> Response:
        """The response of a handle of this session's.

        Raises:
            LocalProtocolError: it is another session's.
        """
        if handle._owner is not self:
            raise LocalProtocolError("the response belongs to another session")
        return handle._response

    def handle_of(self, response: Response) -> ResponseHandle:
        """Give this response the handle that it has none of yet."""
        handle = self._handle_type(self, response, self._limits)
        response.owner = handle
        return handle

    # --- what is heard ----------------------------------------------------------------------------

    def play(self, handle: ResponseHandle, stop: Callable[[], int]) -> None:
        """From now on a player in this process plays it.

        Args:
            handle: of this session.
            stop: stops at once, and returns how much was heard, in ms.
        """
        response = self.own(handle)
        self._players[response] = stop
        self.heard(response, PlayoutInput.SOUND)

    def heard(self, response: Response, fired: PlayoutInput, heard_ms: int | None = None) -> None:
        """A player says how far it is."""
        self.apply(self.connection.playouts.said(response, fired, self._loop.time(), heard_ms))

    def note_unread(self, scope: Scope) -> None:
        """The core is to know of finished audio that a reader has not taken yet."""
        if self._unread is not None:
            self._note_unread(self._unread, scope)

    def _note_unread(self, handles: Iterable[ResponseHandle], scope: Scope) -> None:
        waiting = [
            handle._response for handle in handles if handle.outcome is not None and handle._unread
        ]
        for response in meant(scope, waiting):
            if response.playout is None:
                self.connection.playouts.said(response, PlayoutInput.SOUND, self._loop.time())

    async def wait_until_quiet(self) -> None:
        """Return when nothing is generated and nothing is heard."""
        while not self._is_quiet():
            self._quiet = self._quiet or Moment()
            await self._quiet

    def _is_quiet(self) -> bool:
        return not self.connection.unsettled and not self.connection.playouts.audible

    def _note_quiet(self) -> None:
        if self._quiet is not None and self._is_quiet():
            self._quiet.set(None)
            self._quiet = None

    # --- effects ----------------------------------------------------------------------------------

    def _do_output(self, effect: Output) -> None:
        handle: ResponseHandle = effect.response.owner
        handle._feed(effect.event)
        # With callbacks pending, one of them may be about to subscribe.
        if handle._subscribers or self.callbacks.due:
            self.callbacks.due.append((handle._publish, effect.event, handle))

    def _do_opened(self, effect: Opened) -> None:
        response = effect.response
        if response.owner is None:
            self.callbacks.emit("response", self.handle_of(response))
        response.owner._open()
        self.callbacks.emit("opened", response.owner)

    def _do_ended(self, effect: Ended) -> None:
        effect.response.owner._end()
        self.callbacks.emit("ended", effect.response.owner)

    def _do_settled(self, effect: Settled) -> None:
        response = effect.response
        handle: ResponseHandle = response.owner
        playout = response.playout
        # One batch may hold both its end and that of its sound, in either order: each is told.
        if playout is None or (playout.settled and handle._sound_over):
            # The core remembers finished responses for a while; their buffers are the reader's.
            response.owner = None
        handle._settle(self.end)
        if handle._unread:
            if self._unread is None:
                self._unread = WeakSet()
            self._unread.add(handle)
        handle._sound_settled()
        self.callbacks.emit("done", handle)
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
            self.connection.playouts.said(response, cleared, self._loop.time(), heard_ms)
        )

    def _do_playback_ended(self, effect: PlaybackEnded) -> None:
        response = effect.response
        self._players.pop(response, None)
        handle: ResponseHandle | None = response.owner
        if handle is not None:
            handle._sound_over = True
            handle._sound_settled()
            if handle._done.is_set():
                response.owner = None
            self.callbacks.emit("played", handle)
        self._note_quiet()

    def _do_interrupted(self, effect: Interrupted) -> None:
        if effect.interruption.owner is not None:
            effect.interruption.owner._settle()

    def _do_call_ready(self, effect: CallReady) -> None:
        handle: ResponseHandle = effect.response.owner
        call: FunctionCall = handle._call(effect.item)
        if "function_call" in self.callbacks.listeners:
            self.callbacks.emit("function_call", call, handle)

    def _do_answered(self, effect: Answered) -> None:
        if effect.request.owner is not None:
            effect.request.owner._moment.set(effect.result)

    def _do_refused(self, effect: Refused) -> None:
        pending: PendingRequest[Any] | None = effect.request.owner
        awaited = pending is not None and pending._moment.awaited
        if pending is not None:
            pending._moment.fail(effect.error)
        if not awaited and self.end is None:
            self.report(unheard(effect.request, effect.error))

    def _do_turn_changed(self, effect: TurnChanged) -> None:
        turn: Turn = effect.turn
        self.callbacks.emit("turn", turn)

    def _do_fatal(self, effect: Fatal) -> None:
        self.fatal = effect.error


_CARRY_OUT: dict[type[Any], Callable[[Shell, Any], None]] = {
    Output: Shell._do_output,
    Opened: Shell._do_opened,
    Ended: Shell._do_ended,
    Settled: Shell._do_settled,
    Silence: Shell._do_silence,
    PlaybackEnded: Shell._do_playback_ended,
    Interrupted: Shell._do_interrupted,
    CallReady: Shell._do_call_ready,
    Answered: Shell._do_answered,
    Refused: Shell._do_refused,
    TurnChanged: Shell._do_turn_changed,
    Report: Shell.report,
    Fatal: Shell._do_fatal,
}
