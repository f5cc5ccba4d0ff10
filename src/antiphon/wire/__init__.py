"""What was said: typed events, and the codec between them and JSON. No state, no rules.

Submodules: `server_events`, `client_events`, `items` and `session_config` hold the catalogue;
`codec` and `dialects` turn it into frames and back; `ids` makes ids in the server's format.
"""

from antiphon.wire.base import UNSET, Event, Malformed, MalformedReason, Maybe, UnknownEvent
from antiphon.wire.client_events import ClientEvent
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import BETA, GA, Dialect
from antiphon.wire.server_events import ServerEvent

__all__ = [
    "BETA",
    "GA",
    "UNSET",
    "ClientEvent",
    "Codec",
    "Dialect",
    "Event",
    "Malformed",
    "MalformedReason",
    "Maybe",
    "ServerEvent",
    "UnknownEvent",
]
