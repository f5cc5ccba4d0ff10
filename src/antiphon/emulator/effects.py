"""What the engine asks its shell to do. Whoever drives an `Engine` applies these in order."""

from dataclasses import dataclass

__all__ = ["Abort", "CloseConnection", "SendFrame", "SendHalfFrame", "ServerEffect"]


@dataclass(frozen=True, slots=True)
class SendFrame:
    """Send one text frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SendHalfFrame:
    """Send the head of a text frame and only a part of its payload; an `Abort` follows."""

    data: bytes


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection; with code None the close frame carries no code (1005 to the peer)."""

    code: int | None = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """Cut the connection without a close frame (1006 to the peer)."""


ServerEffect = SendFrame | SendHalfFrame | CloseConnection | Abort
