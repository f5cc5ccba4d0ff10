"""One who wants to be told, and can change their mind."""

from collections.abc import Callable
from typing import Any

__all__ = ["Listener", "Listening"]

Listener = Callable[[Any], object]


class Listening:
    """One registration of a listener, so that removing it is exact and takes effect at once."""

    __slots__ = ("active", "listener")

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.active = True

    def __call__(self, value: Any) -> None:
        if self.active:
            self.listener(value)
