"""The emulator as a WebSocket server.

    async with EmulatorServer(Behaviour(), Script([say("Hello.")])) as server:
        ...  # point a client at server.url

One engine per connection, one timer per connection, and no task: a frame goes from the socket's
callback through the engine to the socket within one call. It listens on the loopback interface
unless told otherwise, and speaks plain text unless given `tls`.
"""

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from picows import (
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSAutoPingStrategy, WSProtocol  # type: ignore[attr-defined]

from antiphon.emulator.engine.engine import Engine
from antiphon.emulator.engine.faults import Faults
from antiphon.emulator.engine.handshake import HttpRefusal, Opening, judge
from antiphon.emulator.engine.received import KEEP_BYTES
from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.running.connection import CLOSE_GRACE_S, Connection
from antiphon.emulator.running.courier import Courier
from antiphon.emulator.running.door import PATIENCE_S, Door, Waiting, open_door
from antiphon.emulator.running.emulated_call import CallLine, EmulatedCall
from antiphon.emulator.running.exchange import Exchange, Settings
from antiphon.emulator.running.http import HttpSide
from antiphon.emulator.running.media import MediaSide
from antiphon.emulator.running.performer import Brain, Performer, SpokenLanguage
from antiphon.emulator.running.rest import Rest
from antiphon.emulator.running.secrets import Keyring
from antiphon.emulator.running.tls import TlsChoice, tls_of
from antiphon.emulator.running.watch import Watch
from antiphon.emulator.running.webhook import DEFAULT_SECRET
from antiphon.emulator.scripts.script import Script

__all__ = ["EmulatorServer"]

_logger = logging.getLogger("antiphon.emulator")


class EmulatorServer:
    """A local Realtime server.

    Args:
        behaviour: the knobs, the same for all connections; the profile `openai` by default.
        script: what the model answers, shared by all connections; the built-in conversation by
            default.
        host: interface to listen on.
        port: port, or 0 for a free one.
        api_key: the only key that is let in; None lets everybody in.
        seed: connection n uses `f"{seed}:{n}"`.
        faults: what goes wrong.
        voice: hears user audio and speaks answers, such as `Voice()`; without it, the script says
            what was heard, and answers are a tone.
        brain: thinks of the answers that no script gives, such as `ChatBrain(url, model)`; without
            it, the built-in conversation gives them.
        max_connections: connections beyond this are refused with HTTP 503.
        max_frame_bytes: larger frames from a client close its connection with 1009.
        max_buffer_bytes: a client that reads so slowly that more than this waits for it is closed
            with 1008; nobody else is delayed.
        ping_interval_s: a client that was silent so long is pinged, and closed when it does not
            answer within the same time; None for never.
        keep_received: how many client frames each engine keeps, of at most 16 MiB in all; what
            those had sent who have left has at most 16 MiB together.
        keep_sessions: how many engines are kept in `sessions`.
        watch: told of every frame as it comes and goes.
        webhook_url: where `ring` posts the webhook that tells of a call; None for nowhere.
        webhook_secret: `whsec_…`, with which it is signed.
        tls: `wss` and `https` instead of `ws` and `http`. True makes a certificate on the spot
            (the extra `tls`), good for `host`, `localhost`, `127.0.0.1` and `::1`; clients trust
            it by `ca_file`. Or a pair of PEM files, `(certificate, key)`, the key without a
            passphrase; or an `ssl.SSLContext` for servers.

    Raises:
        CertificateError: the files of `tls`, or its context, cannot be used; a `ValueError`.
        MissingDependency: a certificate is to be made, and trustme is not installed.
        TypeError: `tls` is nothing of these.

    Attributes:
        behaviour, script, faults, api_key: may be set; what they are counts for connections
            opened afterwards.
        sessions: the engine of each connection that was opened, oldest first; at most
            `keep_sessions` are kept.
        calls: browser and telephone calls, which `?call_id=` joins.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        seed: int | str = 0,
        faults: Faults | None = None,
        voice: SpokenLanguage | None = None,
        brain: Brain | None = None,
        max_connections: int = 1000,
        max_frame_bytes: int = 32 * 1024 * 1024,
        max_buffer_bytes: int = 64 * 1024 * 1024,
        ping_interval_s: float | None = None,
        keep_received: int = 10_000,
        keep_sessions: int = 1000,
        watch: Watch | None = None,
        webhook_url: str | None = None,
        webhook_secret: str = DEFAULT_SECRET,
        tls: TlsChoice = False,
    ) -> None:
        self._tls = tls_of(tls, host)
        self.behaviour = behaviour or Behaviour()
        self.script = script if script is not None else Script()
        self.faults = faults
        self.host = host
        self.sessions: list[Engine] = []
        self.max_buffer_bytes = max_buffer_bytes
        self._port = port
        self.api_key = api_key
        self._seed = seed
        self._max_connections = max_connections
        self.max_frame_bytes = max_frame_bytes
        self._ping_interval_s = ping_interval_s
        self._keep_received = keep_received
        self._keep_sessions = keep_sessions
        self.watch = watch
        self._opened = 0
        self.performer = Performer(voice, brain)
        self.calls = Exchange(
            Settings(
                behaviour=lambda: self.behaviour,
                script=lambda: self.script,
                faults=lambda: self.faults,
                seed=seed,
                epoch=time.time,
                performer=self.performer,
                keep_received=keep_received,
            )
        )
        self._keyring = Keyring(seed)
        self._media = MediaSide(host)
        self._courier = Courier(webhook_url, webhook_secret)
        self._http = HttpSide(
            Rest(
                self.calls,
                self._keyring,
                behaviour=lambda: self.behaviour,
                api_key=lambda: self.api_key,
                wall=time.time,
                media=self._media.answer,
            )
        )
        self._waiting: set[Waiting] = set()
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    # Running

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            OSError: the port is taken.
        """
        if self._server is not None:
            raise RuntimeError("this server is running already")
        await self.performer.start()
        await self._http.start()
        context = None
        if self._tls is not None:
            context = self._tls.context
            self._tls.publish()
        try:
            self._server = await open_door(
                self._door, self.host, self._port, context, self._waiting
            )
        except BaseException:
            if self._tls is not None:
                self._tls.withdraw()
            raise

    async def stop(self) -> None:
        """Close all connections with 1001 and stop listening. Harmless when not running."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        self.calls.close()
        for connection in list(self._connections):
            connection.close(1001, "server shutdown")
        await self._all_gone()
        await self._courier.close()
        await self._media.stop()
        await self._http.stop()
        for door in list(self._waiting):
            door.close()
        await server.wait_closed()
        if self._tls is not None:
            self._tls.withdraw()
        self.performer.stop()

    async def wait_idle(self, timeout_s: float = 5.0) -> None:
        """Return when no connection is open.

        Raises:
            TimeoutError: after `timeout_s` seconds there still is one.
        """
        async with asyncio.timeout(timeout_s):
            while self._connections:
                await next(iter(self._connections)).gone.wait()

    async def _all_gone(self) -> None:
        try:
            await self.wait_idle(CLOSE_GRACE_S)
        except TimeoutError:
            for connection in list(self._connections):
                connection.cut()
            await self.wait_idle(CLOSE_GRACE_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    # Where it is

    @property
    def port(self) -> int:
        """The port that it listens on.

        Raises:
            RuntimeError: it is not running.
        """
        if self._server is None:
            raise RuntimeError("the server is not running")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        """`ws://HOST:PORT/v1/realtime`, or `wss:`: where Realtime clients connect."""
        scheme = "ws" if self._tls is None else "wss"
        return f"{scheme}://{self._host_in_url}:{self.port}/v1/realtime"

    @property
    def http_url(self) -> str:
        """`http://HOST:PORT/v1`, or `https:`: what some clients take as their base URL."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{self._host_in_url}:{self.port}/v1"

    @property
    def ca_file(self) -> Path | None:
        """The certificate of the authority that clients are to trust, a PEM file.

        With `tls=True` it is there while the server runs, and the same after a restart, in another
        file; otherwise None. Python takes it by `ssl.create_default_context(cafile=...)`, or for a
        whole process by `SSL_CERT_FILE`; Node by `NODE_EXTRA_CA_CERTS`.
        """
        return None if self._tls is None else self._tls.ca_file

    @property
    def _host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def connections(self) -> int:
        """Connections open at this moment."""
        return len(self._connections)

    def clear(self) -> None:
        """Cut all connections and forget all sessions, as between two tests."""
        for connection in list(self._connections):
            connection.cut()
        self.calls.close()
        self.sessions.clear()

    # Telephones

    async def ring(
        self,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        *,
        deliveries: int = 1,
    ) -> EmulatedCall:
        """A telephone rings: the webhook tells of it, signed, and the call waits for `accept`.

        Args:
            headers: SIP headers, such as From and To, in order; names may repeat in pairs.
            deliveries: how often the webhook is delivered, as duplicates happen (P-360).

        Returns:
            The call, when the webhook was answered; `webhook_statuses` says how.

        Raises:
            MissingDependency: there is a `webhook_url`, and a package for webhooks is missing.
        """
        call = self.calls.ring(headers)
        await self._courier.tell(call, deliveries)
        return call

    # Connections

    def _door(self) -> Door:
        return Door(self._websocket, self._http.protocol, self._waiting)

    def _websocket(self) -> WSProtocol:
        # What `ws_create_server` would make for each connection. picows gives no other way to serve
        # a connection that came in elsewhere.
        idle_s = self._ping_interval_s
        return WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=self._route,
            logger=_logger,
            disconnect_on_exception=True,
            websocket_handshake_timeout=PATIENCE_S,
            enable_auto_ping=idle_s is not None,
            auto_ping_idle_timeout=idle_s or 20.0,
            auto_ping_reply_timeout=idle_s or 20.0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=True,
            max_frame_size=self.max_frame_bytes,
            extra_headers=None,
            read_buffer_init_size=16 * 1024,
        )

    def _route(self, request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        if len(self._connections) >= self._max_connections:
            return _refuse(HttpRefusal(503, "too_many_connections", "Too many connections."))
        target = request.path.decode("latin-1")
        opening = judge(self.behaviour, target, request.headers, self.api_key, self._session_of)
        if isinstance(opening, HttpRefusal):
            return _refuse(opening)
        served: Engine | CallLine | HttpRefusal
        if opening.call_id and opening.refusal is None:
            served = self.calls.sideband(opening.call_id)
            if isinstance(served, HttpRefusal):
                return _refuse(served)
        else:
            served = self._engine(opening)
        # permessage-deflate is declined by not naming it: RFC 6455 section 9.1.
        headers = {"Sec-WebSocket-Protocol": opening.subprotocol} if opening.subprotocol else None
        response = WSUpgradeResponse.create_101_response(headers)
        return WSUpgradeResponseWithListener(response, Connection(self, served, opening))

    def _session_of(self, key: str) -> dict[str, Any] | None:
        return self._keyring.session_of(key, time.time())

    def _engine(self, opening: Opening) -> Engine:
        self._opened += 1
        return Engine(
            self.behaviour,
            self.script,
            seed=f"{self._seed}:{self._opened - 1}",
            faults=self.faults,
            epoch=time.time(),
            model=opening.model,
            keep_received=self._keep_received,
            faculties=self.performer.faculties,
        )

    def connection_opened(self, connection: Connection) -> None:
        """Its handshake is done."""
        self._connections.add(connection)
        if connection.is_of_a_call and connection.engine in self.sessions:
            return
        self.sessions.append(connection.engine)
        if len(self.sessions) > self._keep_sessions:
            del self.sessions[0]

    def connection_gone(self, connection: Connection) -> None:
        """It is over."""
        self._connections.discard(connection)
        # What those who have left had sent is kept for assertions, within bounds.
        open_now = {connection.engine for connection in self._connections}
        gone = [engine for engine in self.sessions if engine not in open_now]
        size = sum(engine.received.size_bytes for engine in gone)
        for engine in gone:
            if size <= KEEP_BYTES:
                break
            size -= engine.received.size_bytes
            engine.received.clear()


def _refuse(refusal: HttpRefusal) -> WSUpgradeResponseWithListener:
    error = {"message": refusal.message, "type": "invalid_request_error", "code": refusal.code}
    body = json.dumps({"error": {**error, "param": None}}).encode() if refusal.code else b""
    response = WSUpgradeResponse.create_error_response(
        refusal.status, body, {"Content-Type": "application/json"}
    )
    return WSUpgradeResponseWithListener(response, None)
