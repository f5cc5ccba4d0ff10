"""How a session opens its lines: once, or to a call that is not there yet, for a moment."""

import asyncio
from collections import Counter

from antiphon.client.endpoint import Endpoint
from antiphon.client.link import Link, LinkOwner
from antiphon.client.transport import Connector
from antiphon.exceptions import CallNotFound, ConnectError
from antiphon.protocol.connection import Connection
from antiphon.wire.codec import Codec

__all__ = ["Dial"]

# P-385: how often a call is tried that is not there (yet), in seconds.
_PAUSE = 0.25


class Dial:
    """Opens lines to one endpoint.

    Args:
        connector: opens the socket.
        endpoint: where to.
        within: seconds that each attempt may take.
        codec: reads what comes.
        counters: where errors of our own are counted.
    """

    PATIENCE = 2.0
    """Seconds for which a call is tried that is not there when a session joins it (P-385)."""

    __slots__ = ("_connector", "_counters", "_decode", "_endpoint", "_within")

    def __init__(
        self,
        connector: Connector,
        endpoint: Endpoint,
        within: float,
        codec: Codec,
        counters: Counter[str],
    ) -> None:
        self._connector = connector
        self._endpoint = endpoint
        self._within = within
        self._decode = codec.decode
        self._counters = counters

    async def open(self, owner: LinkOwner, connection: Connection, patience: float = 0.0) -> Link:
        """One line, with this connection.

        Args:
            owner: who is told what arrives.
            connection: the core's side of it.
            patience: seconds for which a call that is not there is tried again.

        Raises:
            ConnectError: as `Link.open`; `CallNotFound` where there is no such call.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        while True:
            link = self.link(owner, connection)
            try:
                await link.open(self._connector, self._endpoint, self._within)
                return link
            except ConnectError as error:
                if self._endpoint.call_id is None or error.status != 404:
                    raise
                if loop.time() >= until:
                    raise self._no_such_call(error) from error
            await asyncio.sleep(_PAUSE)

    def link(self, owner: LinkOwner, connection: Connection) -> Link:
        """A line that is not open yet."""
        joins = self._endpoint.call_id is not None
        return Link(owner, connection, self._decode, self._counters, joins=joins)

    def _no_such_call(self, error: ConnectError) -> CallNotFound:
        """P-384."""
        return CallNotFound(
            f"there is no call {self._endpoint.call_id!r}: it is over, or the id is another's",
            status=404,
            code=error.code,
        )
