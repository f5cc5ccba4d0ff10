"""The connection, as the framework hears of it."""

from collections.abc import Callable

from livekit.agents import APIConnectionError, llm

from antiphon import ConnectError, ConnectionClosed, Session
from antiphon.livekit.metrics import connection_metrics
from antiphon.livekit.telling import Teller

__all__ = ["Connectivity"]


class Connectivity:
    """Tells of losses, attempts, reconnects and the end.

    Args:
        retries: how often a connection is tried again.
    """

    def __init__(self, client: Session, teller: Teller, *, retries: int) -> None:
        self._teller = teller
        self._retries = retries
        self._attempts_left = retries + 1
        self.over = False
        """Whether the session has ended for good."""
        listeners: dict[str, Callable[..., None]] = {
            "connected": self._on_connected,
            "connect_failed": self._on_connect_failed,
            "disconnected": self._on_disconnected,
            "reconnected": self._on_reconnected,
            "closed": self._on_closed,
        }
        for name, listener in listeners.items():
            client.on(name, listener)

    def connected_in(self, seconds: float) -> None:
        """A handshake succeeded, and took so long."""
        names = self._teller.names()
        self._teller.emit("metrics_collected", connection_metrics(seconds, **names))

    def _on_connected(self, _: Session) -> None:
        self._attempts_left = self._retries

    def _on_connect_failed(self, failed: ConnectError) -> None:
        self._attempts_left -= 1
        if failed.retryable and self._attempts_left > 0:
            self._teller.recoverable(APIConnectionError(str(failed)))

    def _on_disconnected(self, closed: ConnectionClosed) -> None:
        self._attempts_left = self._retries
        self._teller.recoverable(APIConnectionError(str(closed)))

    def _on_reconnected(self, _: Session) -> None:
        self._attempts_left = self._retries
        self._teller.emit("session_reconnected", llm.RealtimeSessionReconnectedEvent())

    def _on_closed(self, closed: ConnectionClosed) -> None:
        self.over = True
        cause = closed.__cause__
        self._teller.fatal(APIConnectionError(str(cause or closed), retryable=False))
