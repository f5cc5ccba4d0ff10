"""How much audio was delivered, how much of it was heard, and where to truncate.

On a WebSocket the server does not know what was heard and does not truncate (P-197): the client
says so with `conversation.item.truncate`, or the model believes that it said everything. Asking for
more than was delivered is an error (P-220), and truncating what was heard to its end has side
effects (P-222), so the arithmetic is done here.
"""

import msgspec

__all__ = ["AudioPart", "Delivered", "TruncatePoint"]


class AudioPart(msgspec.Struct):
    """The audio delivered for one content part, in bytes."""

    item_id: str
    content_index: int
    bytes_per_ms: int
    size: int = 0

    @property
    def length_ms(self) -> int:
        return self.size // self.bytes_per_ms


class TruncatePoint(msgspec.Struct, frozen=True):
    """One `conversation.item.truncate` to send."""

    item_id: str
    content_index: int
    audio_end_ms: int


class Delivered:
    """Audio delivered, part by part, in the order in which a player plays it.

    Args:
        remembered: how many parts are kept; older ones can no longer be truncated.
    """

    __slots__ = (
        "_parts",
        "_remembered",
    )

    def __init__(self, remembered: int = 256) -> None:
        self._remembered = remembered
        self._parts: dict[tuple[str, int], AudioPart] = {}

    def part(self, item_id: str, content_index: int, bytes_per_ms: int) -> AudioPart:
        """The part to add to whenever audio of it is given to the reader; made on first sight."""
        key = (item_id, content_index)
        part = self._parts.get(key)
        if part is None:
            part = self._parts[key] = AudioPart(item_id, content_index, bytes_per_ms)
            if len(self._parts) > self._remembered:
                del self._parts[next(iter(self._parts))]
        return part

    def take_over(self, other: "Delivered") -> None:
        """What was delivered over an earlier connection may still be playing."""
        self._parts.update(other._parts)

    def share(self, point: TruncatePoint) -> float:
        """Which part of the whole the listener heard at this point, from 0 to 1."""
        part = self._parts.get((point.item_id, point.content_index))
        return point.audio_end_ms / part.length_ms if part is not None and part.length_ms else 0.0

    def truncate_points(self, item_ids: list[str], heard_ms: int) -> list[TruncatePoint]:
        """What to truncate when a listener heard `heard_ms` of these items, played in this order.

        Items heard to the end are left alone; the one in which the listener stopped is cut there;
        those that were never reached are cut at 0 ms. Never more than was delivered.
        """
        wanted = set(item_ids)
        by_item: dict[str, list[AudioPart]] = {}
        for part in self._parts.values():
            if part.item_id in wanted:
                by_item.setdefault(part.item_id, []).append(part)
        points = []
        left = max(0, heard_ms)
        for item_id in item_ids:
            for part in by_item.get(item_id, ()):
                if left < part.length_ms:
                    points.append(TruncatePoint(item_id, part.content_index, left))
                left = max(0, left - part.length_ms)
        return points
