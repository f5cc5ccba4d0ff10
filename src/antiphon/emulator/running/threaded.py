"""The emulator's server in a thread of its own, for clients and tests of any kind.

with ThreadedServer(Behaviour(), Script([say("Hello.")])) as server:
    subprocess.run(["my-client", server.url])
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from antiphon.emulator.engine.engine import Engine
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.profiles import profile
from antiphon.emulator.running.emulated_call import EmulatedCall
from antiphon.emulator.running.server import EmulatorServer
from antiphon.emulator.scripts.script import Answer, Misheard, Script

__all__ = ["ThreadedServer"]

T = TypeVar("T")
# Nothing that is asked of the thread takes long; this is only so that nothing hangs for ever.
PATIENCE_S = 30.0


class ThreadedServer:
    """An `EmulatorServer` that runs in its own thread and event loop.

    Its methods may be called from any thread. What they change holds for connections opened
    afterwards.

    Args:
        behaviour: the knobs.
        script: what the model answers.
        **options: as for `EmulatorServer`.
    """

    def __init__(
        self, behaviour: Behaviour | None = None, script: Script | None = None, **options: Any
    ) -> None:
        self._server = EmulatorServer(behaviour, script, **options)
        self._first = (self._server.behaviour, self._server.faults, self._server.api_key)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped = asyncio.Event()
        self._url = ""
        self._http_url = ""

    # Running

    def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the port is taken.
        """
        if self._thread is not None:
            raise RuntimeError("this server is running already")
        started = threading.Event()
        failed: list[BaseException] = []

        async def serve() -> None:
            async with self._server:
                self._loop = asyncio.get_running_loop()
                self._stopped.clear()
                self._url, self._http_url = self._server.url, self._server.http_url
                started.set()
                await self._stopped.wait()

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:
                failed.append(error)  # for the caller of start()
            finally:
                started.set()

        self._thread = threading.Thread(target=run, name="antiphon-emulator", daemon=True)
        self._thread.start()
        if not started.wait(PATIENCE_S):
            raise TimeoutError("the server's thread did not start")
        if failed:
            self._thread = None
            raise failed[0]

    def stop(self) -> None:
        """Close all connections and stop listening. Harmless when not running."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopped.set)
        thread.join(PATIENCE_S)
        self._loop = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # What it does

    def play(
        self, *steps: Answer, script: Script | None = None, hears: tuple[str | Misheard, ...] = ()
    ) -> Script:
        """Answer by these steps, or by this script, from now on.

        Args:
            *steps: the answers, in order.
            script: a whole script instead.
            hears: transcripts of the user's spoken turns.

        Returns:
            The script in force.
        """
        chosen = script if script is not None else Script(steps, hears=hears)
        self._in_thread(lambda: setattr(self._server, "script", chosen))
        return chosen

    def behave(self, behaviour: Behaviour | str | None = None, **knobs: Any) -> Behaviour:
        """Behave so from now on.

        Args:
            behaviour: all knobs, or the name of a profile; by default those in force.
            **knobs: changes to them.

        Returns:
            The behaviour in force.
        """
        base = profile(behaviour) if isinstance(behaviour, str) else behaviour
        chosen = (base or self._server.behaviour).but(**knobs)
        self._in_thread(lambda: setattr(self._server, "behaviour", chosen))
        return chosen

    def fail(self, faults: Faults | None) -> None:
        """Let these things go wrong from now on; None lets nothing."""
        self._in_thread(lambda: setattr(self._server, "faults", faults))

    def admit(self, api_key: str | None) -> None:
        """Let in only who has this key from now on; None lets everybody in."""
        self._in_thread(lambda: setattr(self._server, "api_key", api_key))

    def reset(self) -> None:
        """Cut all connections, and be as new: no sessions, no script, the first behaviour."""

        def fresh() -> None:
            self._server.clear()
            self._server.script = Script()
            self._server.behaviour, self._server.faults, self._server.api_key = self._first

        self._in_thread(fresh)

    # Calls

    def place(self, session: Mapping[str, Any] | None = None) -> EmulatedCall:
        """A browser has called and was answered; sidebands may join.

        Args:
            session: its configuration.

        Raises:
            Refusal: the session cannot be so.
        """
        return self._in_thread(lambda: self._server.calls.place(session))

    def ring(
        self,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        deliveries: int = 1,
    ) -> EmulatedCall:
        """A telephone rings, as `EmulatorServer.ring`."""
        if self._loop is None:
            raise RuntimeError("the server is not running")
        ringing = self._server.ring(headers, deliveries=deliveries)
        return asyncio.run_coroutine_threadsafe(ringing, self._loop).result(PATIENCE_S)

    def in_loop(self, work: Callable[[], T]) -> T:
        """Do something in the server's thread, such as `lambda: call.press("5")`, and wait."""
        return self._in_thread(work)

    # What it saw

    @property
    def url(self) -> str:
        """`ws://HOST:PORT/v1/realtime`, or `wss:` over TLS."""
        return self._url

    @property
    def http_url(self) -> str:
        """`http://HOST:PORT/v1`, or `https:` over TLS."""
        return self._http_url

    @property
    def ca_file(self) -> Path | None:
        """The certificate that clients are to trust, as `EmulatorServer.ca_file`."""
        return self._server.ca_file

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._in_thread(lambda: self._server.port)

    @property
    def script(self) -> Script:
        """The script in force."""
        return self._server.script

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force."""
        return self._server.behaviour

    @property
    def sessions(self) -> list[Engine]:
        """The engine of each connection since the last reset, oldest first."""
        return self._in_thread(lambda: list(self._server.sessions))

    def received(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The client's events of all sessions, oldest session first.

        Args:
            kind: only those of this type.
        """

        def collect() -> list[dict[str, Any]]:
            return [
                event
                for engine in self._server.sessions
                for event in engine.received
                if isinstance(event, dict) and kind in (None, event.get("type"))
            ]

        return self._in_thread(collect)

    def _in_thread(self, work: Callable[[], T]) -> T:
        """Do something in the server's thread and wait for it."""
        if self._loop is None:
            return work()

        async def call() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE_S)
