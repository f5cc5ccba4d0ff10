"""Calls: what their scenarios have in common."""

from antiphon.bench.prove.play import Play
from antiphon.bench.prove.telephone import Telephone
from antiphon.emulator import Behaviour, Pace, say

__all__ = ["LONG_MS", "NEXT", "NEXT_MS", "ON_CALL", "QUICK", "SLOW", "heard_next", "joined"]

# The sound goes to the ear of `Telephone`, in place of a real peer's.
ON_CALL = Behaviour().but(call_media="webrtc")
LONG_MS = 7000
NEXT_MS = 700
SLOW, QUICK = Pace(speed=1.5), Pace(speed=20, text_interval_ms=1)
NEXT = say("Next five.", ms=NEXT_MS).when(contains="next")


async def joined(play: Play, *, vad: bool = False) -> Telephone:
    """A call that the client has joined."""
    phone = Telephone(play, vad=vad)
    await phone.join()
    return phone


async def heard_next(play: Play, phone: Telephone, *, unheard: str, untold: str) -> None:
    """The conversation goes on: the next reply is heard, and whoever asked for it is told.

    Args:
        play: the scenario.
        phone: the call.
        unheard: what is said of a client whose next reply is not heard.
        untold: and of one that does not learn of its end.
    """
    await play.ask("next", "What next?")
    await phone.hears_all("Next", NEXT_MS, unheard)
    await play.ended("next", 4, untold)
