"""Names and shapes of other servers, on the way in and on the way out.

Placeholder table: GA needs no translation.
"""

from collections.abc import Iterable
from typing import Any

from antiphon.emulator.behaviour import Dialect

__all__ = ["Translator"]

Json = dict[str, Any]


class Translator:
    """Translates between GA, which the engine speaks, and a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def outgoing(self, event: Json) -> Iterable[Json]:
        """A server event as the dialect shows it: one event, none, or several."""
        return (event,)

    def incoming(self, event: Json) -> Json:
        """A client event in GA names."""
        return event
