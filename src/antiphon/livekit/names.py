"""Ids of items and calls: as the framework has them, and as the server takes them.

The framework keeps ids of other providers, and makes some of its own, which the API refuses
(P-214 to P-216). They get a short name on the way out and their own again on the way back. An id
that the server itself gave is never touched: it knows no other.
"""

import hashlib
import re

__all__ = ["Names"]

_TAKEN = re.compile(r"[a-zA-Z0-9_-]{1,32}")
_REMEMBERED = 4096


class Names:
    """What one session's items and calls are called on either side.

    Only ids that the API would refuse are kept here, and of those the latest 4096.
    """

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._own: dict[str, str] = {}

    def out(self, name: str) -> str:
        """As the server takes it. The same name always goes out the same way."""
        if _TAKEN.fullmatch(name) or name in self._given:
            return name
        # A digest, so that a call and its output meet again in whatever session they are told.
        short = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        _keep(self._own, short, name)
        return short

    def back(self, name: str) -> str:
        """As the framework has it; `name` comes from the server."""
        if not _TAKEN.fullmatch(name):
            _keep(self._given, name, name)
        return self._own.get(name, name)


def _keep(names: dict[str, str], key: str, name: str) -> None:
    names.pop(key, None)
    names[key] = name
    if len(names) > _REMEMBERED:
        del names[next(iter(names))]
