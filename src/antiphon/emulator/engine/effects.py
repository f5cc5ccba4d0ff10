"""What the engine asks its shell to do. Whoever drives an `Engine` applies these in order."""

from dataclasses import dataclass

from antiphon.emulator.faculties.work import Work

__all__ = [
    "Abort",
    "Ask",
    "CloseConnection",
    "Drop",
    "Hush",
    "Play",
    "Proceed",
    "SendFrame",
    "SendHalfFrame",
    "ServerEffect",
]


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


@dataclass(frozen=True, slots=True)
class Ask:
    """Do this work, and bring what comes of it to `Engine.answered` under this id.

    Asked for only if the engine was told of the faculty (see work.py). At most two pieces may be
    made ahead of `Proceed`.
    """

    work_id: int
    work: Work


@dataclass(frozen=True, slots=True)
class Proceed:
    """One piece of this work was used up: one more may be made."""

    work_id: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Stop this work: nothing more of it is wanted."""

    work_id: int


@dataclass(frozen=True, slots=True)
class Play:
    """On a call with real media: this audio follows what was given to be played before.

    PCM16, little-endian, 24 kHz, mono.
    """

    data: bytes


@dataclass(frozen=True, slots=True)
class Hush:
    """On a call: whatever was given to be played and was not played is to be forgotten."""


ServerEffect = (
    SendFrame | SendHalfFrame | CloseConnection | Abort | Ask | Proceed | Drop | Play | Hush
)
