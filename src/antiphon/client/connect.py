"""The way in: `antiphon.connect`."""

from collections.abc import Callable, Generator, Mapping
from types import TracebackType
from typing import Any, Literal

from msgspec.structs import replace

from antiphon.client.arguments import (
    a_choice,
    a_function,
    a_mapping,
    a_time,
    an_instance,
    an_int,
)
from antiphon.client.endpoint import Endpoint, resolve
from antiphon.client.handle import ResponseHandle, StreamLimits
from antiphon.client.reconnect import ReconnectPolicy
from antiphon.client.session import Session
from antiphon.client.transport import Connector, PicowsConnector
from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.options import Options
from antiphon.protocol.snapshot import Snapshot
from antiphon.wire.dialects import Dialect
from antiphon.wire.session_config import SessionSettings

__all__ = ["Connecting", "connect"]


class Connecting:
    """A session about to be. Enter it, which closes it at the end, or await it and close it."""

    def __init__(self, endpoint: Endpoint, connector: Connector, settings: dict[str, Any]) -> None:
        self._endpoint = endpoint
        self._connector = connector
        self._settings = settings
        self._session: Session | None = None

    async def _open(self) -> Session:
        session = Session(self._endpoint, self._connector, **self._settings)
        await session._start()
        return session

    def begin(self) -> Session:
        """Connect in the background and return the session at once.

        What is asked of it meanwhile is sent, in order, once the server has answered. It tries as
        often as `reconnect` says; each failure is a `"connect_failed"`, and after the last one
        the session has ended. Close it when done.
        """
        session = Session(self._endpoint, self._connector, **self._settings)
        session._begin()
        return session

    def __await__(self) -> Generator[Any, None, Session]:
        return self._open().__await__()

    async def __aenter__(self) -> Session:
        self._session = await self._open()
        return self._session

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()


def connect(
    *,
    model: str | None = None,
    call_id: str | None = None,
    url: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    session: SessionSettings | None = None,
    azure_endpoint: str | None = None,
    azure_deployment: str | None = None,
    azure_ad_token: str | None = None,
    api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    dialect: Dialect | Literal["ga", "beta"] | None = None,
    max_in_flight: int | None = None,
    options: Options | None = None,
    limits: StreamLimits | None = None,
    reconnect: ReconnectPolicy | None = None,
    connector: Connector | None = None,
    connect_timeout: float = 15.0,
    batch_audio_ms: int = 0,
    max_pending_bytes: int = 16 * 1024 * 1024,
    handle_type: type[ResponseHandle] = ResponseHandle,
    replay: Callable[[Snapshot], Snapshot] | None = None,
) -> Connecting:
    """Connect to a Realtime server.

        async with antiphon.connect() as session: ...

    Args:
        model: the model, or the deployment on Azure; default `antiphon.DEFAULT_MODEL`.
        call_id: join the session of a WebRTC or SIP call (P-370), whose sound goes elsewhere, to
            steer it. Nothing is replayed to it after a loss, and it is never rotated; when it is
            over the session is, and `closed` says so (`by="call"`).
        url: the server's whole WebSocket address, such as `ws://127.0.0.1:8765/v1/realtime`.
        base_url: the address up to `/v1`; default `OPENAI_BASE_URL`, else OpenAI's.
        api_key: default `OPENAI_API_KEY`. Servers on this machine may do without.
        session: the configuration to begin with, in GA's shape: `{"instructions": "…", …}`. With
            `"type": "transcription"` the session only transcribes: it has no model, is fed by
            `append_audio`, and tells of each `"turn"` (P-469).
        azure_endpoint: `https://NAME.openai.azure.com`, for a deployment on Azure; the key is then
            `AZURE_OPENAI_API_KEY` by default.
        azure_deployment: the deployment's name; default: `model`.
        azure_ad_token: an Entra ID token, instead of a key.
        api_version: Azure's preview address, with the beta's event names (P-291); without it, its
            GA address (P-290).
        headers: more headers for the handshake.
        dialect: `"beta"` for servers with the beta's event names; default: as the address implies.
        max_in_flight: at most so many responses at once; 1 is the single-slot model; default: as
            many as the server takes.
        options: timeouts and tolerances of the protocol core.
        limits: how far readers may fall behind.
        reconnect: how hard to try again after a loss, and when to rotate.
        connector: opens the WebSocket; default picows. The emulator's `MemoryConnector` needs no
            network.
        connect_timeout: seconds until a session must exist.
        batch_audio_ms: gather microphone audio into frames of so much, and so send it later by as
            much; 100 instead of 20 ms pieces cost a fifth. 0 sends each piece as it comes.
        max_pending_bytes: how much may wait for a slow network before `append_audio` raises, and
            how much audio is kept for a server that has not answered yet.
        handle_type: the class of the handles, to add methods of your own.
        replay: is given what a new connection would be told after a loss, and returns what it is
            told instead.

    Returns:
        Something to enter (`async with`) or to await for a `Session`, or to `begin()`.

    Raises:
        ConnectError: no key, no address; and when entered: no session came about.
        RequestError: when entered: the server refused `session`.
        LocalProtocolError: an argument is of no use; it is named.
    """
    chosen = Options() if options is None else an_instance("options", options, Options)
    if max_in_flight is not None:
        an_int("max_in_flight", max_in_flight, 1, "1 or more, or None")
        chosen = replace(chosen, max_in_flight=max_in_flight)
    config = {} if session is None else a_mapping("session", session)
    settings = {
        "config": config,
        "options": chosen,
        "limits": None if limits is None else an_instance("limits", limits, StreamLimits),
        "reconnect": (
            None if reconnect is None else an_instance("reconnect", reconnect, ReconnectPolicy)
        ),
        "connect_timeout": a_time("connect_timeout", connect_timeout),
        "batch_audio_ms": an_int("batch_audio_ms", batch_audio_ms, 0),
        "max_pending_bytes": an_int("max_pending_bytes", max_pending_bytes, 1),
        "handle_type": _handle_type(handle_type),
        "replay": None if replay is None else a_function("replay", replay),
    }
    if connector is not None:
        a_function("connector", connector)
    endpoint = resolve(
        model=model,
        call_id=call_id,
        url=url,
        base_url=base_url,
        api_key=api_key,
        azure_endpoint=azure_endpoint,
        azure_deployment=azure_deployment,
        azure_ad_token=azure_ad_token,
        api_version=api_version,
        headers=headers,
        dialect=None if dialect is None else Dialect(a_choice("dialect", dialect, list(Dialect))),
        # A connector may say that it leads to a server without keys, as the emulator's does.
        needs_key=getattr(connector, "needs_key", True),
        transcription=bool(config) and config.get("type") == "transcription",
    )
    if endpoint.call_id is not None:
        if replay is not None:
            raise LocalProtocolError("replay is of no use on a call: nothing is replayed to it")
        settings["options"] = replace(chosen, call=True)
        settings["reconnect"] = replace(reconnect or ReconnectPolicy(), rotate_after=None)
    if config and endpoint.transcription:
        config.setdefault("type", "transcription")
    return Connecting(endpoint, connector or PicowsConnector(), settings)


def _handle_type(kind: Any) -> type[ResponseHandle]:
    if not (isinstance(kind, type) and issubclass(kind, ResponseHandle)):
        raise LocalProtocolError("handle_type must be a class derived from ResponseHandle")
    return kind
