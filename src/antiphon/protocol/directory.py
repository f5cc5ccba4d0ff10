"""Which response the server means: by its id, by the key in its metadata, or else by order.

P-38: `response.created` carries no client event id, so a key in `metadata` tells which create it
answers (ADR-0005). From there on the id decides (P-124), except on servers that leave it out
(P-311).
"""

from collections.abc import Mapping

from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.options import Options
from antiphon.protocol.requests import RequestKind, Requests
from antiphon.protocol.resource import lane_of
from antiphon.protocol.response import Lane, Response
from antiphon.wire.base import UNSET, UnsetType
from antiphon.wire.items import ResponseResource

__all__ = ["METADATA_KEY", "Directory", "check_metadata"]

METADATA_KEY = "antiphon"
# P-112: sixteen pairs in all, one of which carries the key that correlation needs.
_USER_METADATA_PAIRS = 15


class Directory:
    """The responses of one connection that the server may still refer to.

    Args:
        prefix: starts every key made here; unique to this connection.
        options: whether metadata comes back, and whether responses are announced.
        requests: the connection's, among them the creates that are not answered yet.

    Attributes:
        by_id: the responses by the server's id.
        learned: set when it turns out that no key ever comes back; whoever reports it resets it.
    """

    __slots__ = (
        "_by_key",
        "_echoed",
        "_in_order",
        "_number",
        "_prefix",
        "_requests",
        "by_id",
        "learned",
    )

    def __init__(self, prefix: str, options: Options, requests: Requests) -> None:
        self._prefix = f"{prefix}-r"
        self._in_order = not (options.echoes_metadata and options.announces)
        # Whether a key of ours has ever come back: then what comes without one is not ours.
        self._echoed = False
        self.learned = False
        self._requests = requests
        self._number = 0
        # Invariant: an id is here from the first event that tells it until it is forgotten.
        # UNSET stands for the one response whose id the server leaves out (P-311).
        self.by_id: dict[str | UnsetType | None, Response] = {}
        # Invariant: a key is here from the create until the response is forgotten.
        self._by_key: dict[str, Response] = {}

    def next_number(self) -> int:
        self._number += 1
        return self._number

    def key(self, number: int) -> str:
        return f"{self._prefix}{number}"

    def enter(self, response: Response) -> None:
        """A response of ours: it goes by its key until the server tells an id."""
        if response.key is not None:
            self._by_key[response.key] = response

    def name(self, response: Response, response_id: str | None) -> None:
        """From now on it goes by this id, or by the want of one."""
        response.id = response_id
        self.by_id[response_id or UNSET] = response

    def forget(self, response: Response) -> None:
        if self.by_id.get(response.id or UNSET) is response:
            del self.by_id[response.id or UNSET]
        if response.key is not None:
            self._by_key.pop(response.key, None)

    def find(self, response_id: str | None) -> Response | None:
        """The response of this id, or the one announced without an id, which this is then."""
        response = self.by_id.get(response_id or UNSET)
        nameless = self.by_id.get(UNSET)
        if response is None and nameless is not None and nameless.named and nameless.occupies:
            # P-311. Servers that forget the id in `response.created` run one response at a time.
            del self.by_id[UNSET]
            self.name(nameless, response_id)
            return nameless
        return response

    def asked_for(
        self, resource: ResponseResource, *, turn: bool = False, announced: bool = False
    ) -> Response | None:
        """The response of ours that this one is; None where it is the server's own.

        Args:
            resource: the server's account of it.
            turn: whether the user's turn explains it, too.
            announced: whether this is its announcement, by which the want of metadata shows.
        """
        key = (resource.metadata or {}).get(METADATA_KEY)
        if not isinstance(key, str) or not key.startswith(self._prefix):
            if announced and not turn and not self._in_order and not self._echoed:
                self._learn(resource)
            return self._next_in_order(resource, turn) if self._in_order else None
        self._echoed = True
        response = self._by_key.get(key)
        if response is not None and response.named and response.id in (None, resource.id):
            return response
        if response is not None and not response.named and response.state is not _CLOSED:
            return response
        # Made for a create of ours that was settled without it, or got another one, or is
        # forgotten. Nobody waits for it.
        response = self.stranger(lane_of(resource))
        response.wanted = False
        return response

    def stranger(self, lane: Lane | None) -> Response:
        """A response that was not asked for. A server that tells no lane has only the one."""
        return Response(self.next_number(), lane=lane or Lane.DEFAULT)

    def _learn(self, resource: ResponseResource) -> None:
        """It bears no key, and nothing explains it but the one create that is open: on this server
        metadata does not come back (P-36, P-309)."""
        unnamed = self._unnamed()
        if not resource.id or METADATA_KEY in (resource.metadata or {}):
            return
        if len(unnamed) == 1 and lane_of(resource) in (None, Lane.DEFAULT, unnamed[0].lane):
            self._in_order = self.learned = True

    def _next_in_order(self, resource: ResponseResource, turn: bool) -> Response | None:
        """The oldest create sent to this lane, or to any, that the server has not answered.

        To any, since some servers have only the default conversation, whatever was asked for
        (P-305). But what a turn explains is not the answer to a create for another lane.
        """
        unnamed = self._unnamed()
        lane = lane_of(resource)
        of_lane = next((response for response in unnamed if response.lane is lane), None)
        if of_lane is None and not (turn and lane is Lane.DEFAULT):
            return next(iter(unnamed), None)
        return of_lane

    def _unnamed(self) -> list[Response]:
        """Creates that the server has not answered, in the order in which they were sent."""
        return [
            request.response
            for request in self._requests.pending(RequestKind.RESPONSE_CREATE)
            if request.response is not None
        ]


_CLOSED = ResponseState.CLOSED


def check_metadata(metadata: Mapping[str, str]) -> None:
    """P-112: the server would refuse the whole create, a round trip later.

    Raises:
        LocalProtocolError: the metadata is over the limits.
    """
    if len(metadata) > _USER_METADATA_PAIRS:
        raise LocalProtocolError(
            f"metadata has {len(metadata)} pairs; the server takes 16, and antiphon needs one"
        )
    if METADATA_KEY in metadata:
        raise LocalProtocolError(f"the metadata key {METADATA_KEY!r} is antiphon's own")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise LocalProtocolError(f"metadata[{key!r}] must be a str, not {type(value).__name__}")
        if len(key) > 64 or len(value) > 512:
            raise LocalProtocolError(
                f"metadata[{key[:64]!r}] is too long: keys hold 64 characters, values 512"
            )
