"""Who holds the media of a call: the probe as the browser, where the extra `webrtc` is installed.

A `Peer` can be a test's own as well, so that one is had on virtual time.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Protocol
from urllib.parse import urlsplit

from antiphon.bench.probe.dialling import is_loopback

__all__ = ["MakePeer", "NoMedia", "Peer", "browsers"]


class NoMedia(Exception):
    """An offer was answered, and its media did not come about."""


class Peer(Protocol):
    """A browser, as far as a call is concerned."""

    async def offer(self) -> bytes:
        """The SDP to offer."""

    async def answered(self, answer: bytes, patience: float) -> None:
        """Take the answer, and wait until the media is connected.

        Args:
            answer: the SDP that came.
            patience: seconds to wait.

        Raises:
            NoMedia: it is not, or the answer is none.
        """

    def speak(self, pcm: bytes) -> None:
        """Say this from now on, as fast as it was spoken: PCM16 little-endian, mono, 24 kHz."""

    async def heard_ms(self, patience: float) -> float:
        """Wait until any sound has come.

        Args:
            patience: seconds to wait.

        Returns:
            Milliseconds of it so far, silence not counted.
        """

    async def leave(self) -> None:
        """Go away, as a page that is closed. Harmless when it has gone."""


MakePeer = Callable[[], Peer]


def browsers(url: str) -> MakePeer | None:
    """What makes browsers for the calls of a server; None if aiortc is not installed.

    Args:
        url: the server's address; one of this machine is reached by its loopback interface.
    """
    if find_spec("aiortc") is None or find_spec("aioice") is None:
        return None
    host = urlsplit(url).hostname or ""
    here = ("::1" if ":" in host else "127.0.0.1") if is_loopback(url) else None

    def browser() -> Peer:
        # aiortc is a large package, and loaded for the first call with media.
        from antiphon.bench.probe.browser import Browser

        return Browser(here)

    return browser
