"""Real media, once it is asked for: aiortc is a large package, and loaded for the first offer."""

from typing import TYPE_CHECKING

from antiphon.emulator.running.emulated_call import EmulatedCall
from antiphon.exceptions import MissingDependency

if TYPE_CHECKING:
    from antiphon.emulator.running.webrtc import Peers

__all__ = ["MediaSide"]


class MediaSide:
    """Answers offers with real media (knob `call_media`: `webrtc`).

    Args:
        host: the interface that the server listens on.
    """

    def __init__(self, host: str) -> None:
        # An empty host, and these two, stand for every interface.
        self._host = None if host in ("", "0.0.0.0", "::") else _address(host)
        self._peers: Peers | None = None

    async def answer(self, call: EmulatedCall, offer: str) -> str:
        """Answer an offer.

        Raises:
            MissingDependency: aiortc is not installed.
            Refusal: the offer cannot be answered.
        """
        if self._peers is None:
            try:
                from antiphon.emulator.running.webrtc import Peers
            except ImportError as error:
                raise MissingDependency(
                    "real media needs aiortc: pip install 'antiphon[webrtc]'"
                ) from error
            self._peers = Peers(self._host)
        return await self._peers.answer(call, offer)

    async def stop(self) -> None:
        """Wait until every peer is closed; the calls have ended before."""
        if self._peers is not None:
            await self._peers.stop()


def _address(host: str) -> str:
    return "127.0.0.1" if host == "localhost" else host
