"""The lines of a session, one after the other: connect, rotate, go on after a loss, finish.

Nothing here looks at events. What has to be told to the core, and by it to whoever waits, goes
through the shell.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from antiphon.client.audio_in import AudioIn
from antiphon.client.dial import Dial
from antiphon.client.link import Link
from antiphon.client.outbox import Outbox
from antiphon.client.reconnect import ReconnectPolicy, Replay, is_retryable, told_instead
from antiphon.client.shell import Shell
from antiphon.client.streams import Moment
from antiphon.exceptions import (
    CallNotFound,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
)
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Report, ReportKind
from antiphon.protocol.options import Options
from antiphon.wire.codec import Codec

__all__ = ["Lifeline", "new_connection"]

logger = logging.getLogger("antiphon.session")

_CLOSE_TIMEOUT = 2.0

P = ParamSpec("P")


def new_connection(options: Options, kept_audio_bytes: int | None = None) -> Connection:
    """The core's side of a line that is about to be opened.

    Args:
        options: as given to `connect`.
        kept_audio_bytes: how much audio is kept until it is there; default: as the options say.
    """
    # Unique, because a key of an earlier connection must not be taken for one of this one.
    prefix = f"a{secrets.token_hex(5)}"
    return Connection(prefix, options, online=False, kept_audio_bytes=kept_audio_bytes)


def _or_end(
    step: Callable[Concatenate["Lifeline", P], None],
) -> Callable[Concatenate["Lifeline", P], None]:
    """A step from one line to the next: should it fail, the session ends.

    Half done, it would leave a session that nobody would ever bring back, and whoever waits for it
    waiting for ever (I3).
    """

    @wraps(step)
    def whole(self: "Lifeline", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            step(self, *args, **kwargs)
        except Exception:
            logger.exception("the session failed")
            self._shell.counters["internal_errors"] += 1
            self.finish(_internal_error())

    return whole


class Lifeline:
    """Keeps a session on a line, from the first one to its end.

    Args:
        session: what listeners of `"connected"` and `"reconnected"` are given.
        shell: is told of each line's core; what comes over a line goes straight to it.
        outbox: is told of each line's socket.
        audio_in: drops at the end what it holds back.
        dial: opens lines.
        codec: of the session.
        options: for the core of each further line.
        policy: how hard to try again, and when to rotate.
        replay: what a new line is told in place of everything.

    Attributes:
        link: the line in use; None while there is none.
        ended: how the session ended, once it has ended for good.
    """

    __slots__ = (
        "_attempts",
        "_audio_in",
        "_codec",
        "_dial",
        "_loop",
        "_options",
        "_outbox",
        "_policy",
        "_replay",
        "_rotation",
        "_session",
        "_shell",
        "_standby",
        "_tasks",
        "ended",
        "link",
        "receive",
    )

    def __init__(
        self,
        session: object,
        shell: Shell,
        outbox: Outbox,
        audio_in: AudioIn,
        *,
        dial: Dial,
        codec: Codec,
        options: Options,
        policy: ReconnectPolicy,
        replay: Replay | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._shell = shell
        # Of the two things that a link tells its owner, the frequent one takes no step in between.
        self.receive = shell.receive
        self._outbox = outbox
        self._audio_in = audio_in
        self._dial = dial
        self._codec = codec
        self._options = options
        self._policy = policy
        self._replay = replay
        self.link: Link | None = None
        # A second line: it takes over at the next quiet moment.
        self._standby: Link | None = None
        self._rotation: asyncio.TimerHandle | None = None
        # How often it was tried to connect since a connection last proved to be of use.
        self._attempts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended: Moment[ConnectionClosed] = Moment()

    # --- the first line ---------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the first line.

        Raises:
            ConnectError: it could not be opened. It is not tried again.
        """
        self.attach(await self._dial.open(self, self._shell.connection, Dial.PATIENCE))

    def begin(self) -> None:
        """Open the first line in the background, and try again as after a loss."""
        self._spawn(self._establish())

    async def _establish(self) -> None:
        link = await self._open_link(self._policy.attempts + 1)
        if link is not None:
            self._attempts = 0
            self.attach(link)
            self._tell("connected", self._session)

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
                link = await self._dial.open(self, self._shell.connection, patience)
            except ConnectError as error:
                failed = error
                if isinstance(failed, CallNotFound) and closed is not None:
                    closed = ConnectionClosedOK(closed.code, closed.reason, "call")
                    break
                self._tell("connect_failed", failed)
                if self._shell.fatal is not None or not failed.retryable:
                    break
            else:
                return link
        end = closed or ConnectionClosedError(None, str(failed), "network")
        end.__cause__ = failed
        self.finish(end)
        return None

    @_or_end
    def attach(self, link: Link) -> None:
        """From now on this is the session's line."""
        self._use(link)
        self._stand_by(None)
        self._shell.apply(self._shell.connection.go_online(self._loop.time()))
        self._stop_rotation()
        if self._policy.rotate_after is not None and self._policy.attempts:
            self._rotation = self._loop.call_at(
                link.opened_at + self._policy.rotate_after, self._begin_rotation
            )

    def _use(self, link: Link | None) -> None:
        self.link = link
        self._outbox.transport = None if link is None else link.transport

    def _stand_by(self, link: Link | None) -> None:
        self._standby = link
        self._shell.when_idle = None if link is None else self._change_over

    # --- a loss -----------------------------------------------------------------------------------

    @_or_end
    def link_lost(self, link: Link, code: int | None, reason: str) -> None:
        """A line is gone: the one in use, the one that stands by, or one already given up.

        Args:
            link: which.
            code: of the close frame; None when none came.
            reason: of the close frame.
        """
        if link is self._standby:
            self._stand_by(None)
            return
        if link is not self.link:
            return
        self._use(None)
        self._stop_rotation()
        if self._loop.time() - link.opened_at >= self._policy.stable_after:
            self._attempts = 0
        by = "network" if code in (None, 1005, 1006) else "server"
        kind = ConnectionClosedOK if code == 1000 else ConnectionClosedError
        closed = kind(code, reason, by)
        # A clean close of a sideband may be a proxy's; only dialling again tells (P-453).
        again = is_retryable(code) or self._options.call
        if self._shell.fatal is not None or not again or not self._policy.attempts:
            self.finish(closed)
            return
        standby = self._standby
        self._hand_over(self._new_connection() if standby is None else standby.connection, closed)
        self._tell("disconnected", closed)
        if self._shell.over:
            return
        if standby is not None:
            self._resume(standby, closed)
        else:
            self._spawn(self._reconnect(closed))

    async def _reconnect(self, closed: ConnectionClosed) -> None:
        link = await self._open_link(self._policy.attempts, closed)
        if link is not None:
            self._resume(link, closed)

    def _new_connection(self) -> Connection:
        return new_connection(self._options)

    def _hand_over(self, connection: Connection, closed: ConnectionClosed) -> None:
        """From now on this connection is the session's, which knows what the old one knew."""
        lost = self._shell.connection
        connection.follow(lost)
        self._shell.connection = connection
        self._shell.lose(lost, closed)

    @_or_end
    def _resume(self, link: Link, closed: ConnectionClosed) -> None:
        """Go on over this line, whose connection is already the session's."""
        if link.gone.is_set():
            # Lost while it was told that the one before is lost.
            self._stand_by(None)
            self._spawn(self._reconnect(closed))
            return
        # Still the standby, or made so: a session that ends closes it.
        self._stand_by(link)
        connection = self._shell.connection
        snapshot = connection.snapshot()
        if self._replay is not None:
            try:
                snapshot = told_instead(self._replay, snapshot, self._codec)
            except Exception as failed:
                logger.exception("replay= failed; everything is replayed")
                kind = type(failed).__name__
                detail = f"replay= failed ({kind}): the new connection is told everything"
                self._shell.report(Report(ReportKind.ERROR, detail))
        self._shell.apply(connection.resume(snapshot, self._loop.time()))
        if not self._shell.over:
            self.attach(link)
        if not self._shell.over:
            self._tell("reconnected", self._session)

    # --- rotation ---------------------------------------------------------------------------------

    def _begin_rotation(self) -> None:
        self._spawn(self._rotate())

    async def _rotate(self) -> None:
        """Open a second line, to change over at the next quiet moment."""
        old = self.link
        try:
            link = await self._dial.open(self, self._new_connection())
        except ConnectError:
            # The old one still works. When it ends, `_reconnect` tries harder.
            self._shell.counters["rotation_failed"] += 1
            return
        if old is None or self.link is not old:
            # Lost meanwhile: `_reconnect` is at work, or done.
            link.close()
            return
        self._stand_by(link)
        self._rotation = self._loop.call_at(
            old.opened_at + self._policy.rotate_latest, self._change_over, True
        )
        self._change_over()

    @_or_end
    def _change_over(self, whatever_runs: bool = False) -> None:
        standby, old = self._standby, self.link
        if standby is None or old is None:
            return
        if not (self._shell.connection.idle or whatever_runs):
            return
        self._use(None)
        old.close()
        replaced = ConnectionClosedOK(1000, "replaced before its time ran out", "client")
        self._hand_over(standby.connection, replaced)
        if not self._shell.over:
            self._resume(standby, replaced)

    def _stop_rotation(self) -> None:
        if self._rotation is not None:
            self._rotation.cancel()
            self._rotation = None

    # --- the end ----------------------------------------------------------------------------------

    async def close(self) -> None:
        """As `Session.close`."""
        links = [link for link in (self.link, self._standby) if link is not None]
        tasks = self._tasks - {asyncio.current_task()}
        self.finish(ConnectionClosedOK(1000, "", "client"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                for link in links:
                    await link.gone.wait()
                if tasks:
                    await asyncio.wait(tasks)

    def finish(self, closed: ConnectionClosed) -> None:
        """The session is over for good, and whoever waits for anything of it is told so."""
        if self._shell.over:
            return
        self._shell.finish(closed)
        self.ended.set(closed)
        lines = (self.link, self._standby)
        self._use(None)
        self._stand_by(None)
        for line in lines:
            if line is not None:
                line.close()
        self._audio_in.drop()
        self._stop_rotation()
        self._shell.lose(self._shell.connection, closed)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self._shell.callbacks.end()
        self._tell("closed", closed)

    def _tell(self, name: str, value: object) -> None:
        self._shell.callbacks.emit(name, value)
        self._shell.callbacks.run()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failed = None if task.cancelled() else task.exception()
        if failed is not None:
            logger.error("the session failed", exc_info=failed)
            self._shell.counters["internal_errors"] += 1
            if self.link is None:
                # Nobody else would ever bring it back: whoever waits is to be told.
                self.finish(_internal_error())


def _internal_error() -> ConnectionClosedError:
    return ConnectionClosedError(None, "an internal error", "client")
