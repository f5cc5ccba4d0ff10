"""What is asked while there is no socket.

There is one place to wait for a connection: here, in the order in which things were asked. Audio
is the exception in that it grows stale: of it only the latest is kept, wherever it stands in the
order, so that a caller who speaks during a short outage is heard, and a long silence of the network
is not played to the server afterwards.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from antiphon.protocol.response import Response
from antiphon.wire.base import UnknownEvent
from antiphon.wire.client_events import ClientEvent, InputAudioBufferAppend

__all__ = ["Asked", "Held"]

Asked: TypeAlias = ClientEvent | UnknownEvent | Response
"""An event to send, or the response whose create is to be sent once its turn comes."""


class Held:
    """Things asked, oldest first."""

    __slots__ = (
        "_asked",
        "_audio",
        "_audio_bytes",
    )

    def __init__(self) -> None:
        # Boxes of one; an empty one held audio that was dropped.
        self._asked: list[list[Asked]] = []
        # Invariant: the boxes that hold audio, in the same order, and the size of it all.
        self._audio: deque[list[Asked]] = deque()
        self._audio_bytes = 0

    def __iter__(self) -> Iterator[Asked]:
        for box in self._asked:
            yield from box

    def add(self, asked: Asked) -> None:
        self._asked.append([asked])

    def put_first(self, asked: Iterable[Asked]) -> None:
        """Before all that is held already."""
        self._asked[:0] = [[one] for one in asked]

    def add_audio(self, audio: bytes, limit: int) -> int:
        """Hold it too, and of all the audio held the latest `limit` bytes: how many are dropped."""
        box: list[Asked] = [InputAudioBufferAppend(audio=audio)]
        self._asked.append(box)
        self._audio.append(box)
        self._audio_bytes += len(audio)
        dropped = too_much = max(0, self._audio_bytes - limit)
        self._audio_bytes -= dropped
        while too_much:
            oldest = self._audio[0]
            event = oldest[0]
            assert isinstance(event, InputAudioBufferAppend), "only audio is in these boxes"
            if len(event.audio) > too_much:
                oldest[0] = InputAudioBufferAppend(audio=event.audio[too_much:])
                break
            too_much -= len(event.audio)
            oldest.clear()
            self._audio.popleft()
        if dropped:
            self._asked = [one for one in self._asked if one]
        return dropped
