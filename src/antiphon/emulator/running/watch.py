"""Whoever looks on while a server runs: told of each frame, and of each connection's end."""

from collections.abc import Callable
from typing import Literal

from antiphon.emulator.engine.engine import Engine

__all__ = ["Watch", "Way"]

# Who sent the frame; or that the connection is gone, without a frame.
Way = Literal["client", "server", "gone"]
Watch = Callable[[Engine, Way, bytes], None]
