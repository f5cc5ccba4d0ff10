"""What a client has sent, kept for assertions: the latest of it, bounded in number and bytes."""

from collections import deque
from collections.abc import Iterator
from typing import Any

__all__ = ["KEEP_BYTES", "Received"]

KEEP_BYTES = 16 * 1024 * 1024

Frame = dict[str, Any] | bytes


class Received:
    """The client's frames, oldest first; when there is no more room the oldest go.

    Args:
        keep: how many are kept.
        keep_bytes: how large they may be together, as they came over the wire.

    Attributes:
        size_bytes: how large those kept are together.
    """

    def __init__(self, keep: int, keep_bytes: int = KEEP_BYTES) -> None:
        self._keep = keep
        self._keep_bytes = keep_bytes
        self._frames: deque[tuple[Frame, int]] = deque()
        self.size_bytes = 0

    def append(self, frame: Frame, size: int) -> None:
        """Keep one more frame, of `size` bytes as far as it is kept."""
        self._frames.append((frame, size))
        self.size_bytes += size
        while len(self._frames) > self._keep or self.size_bytes > self._keep_bytes:
            _, gone = self._frames.popleft()
            self.size_bytes -= gone

    def clear(self) -> None:
        """Let all go."""
        self._frames.clear()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[Frame]:
        return (frame for frame, _ in self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, place: int) -> Frame:
        return self._frames[place][0]
