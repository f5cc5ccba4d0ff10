"""What responses brought forth: their items, their audio, their calls.

Kept beside the state machine, which does not depend on any of it.
"""

from antiphon.protocol.calls import note_call
from antiphon.protocol.delivered import Delivered
from antiphon.protocol.effects import Effects
from antiphon.protocol.items import Items
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.response import Lane, Response
from antiphon.wire.items import Item, ResponseResource
from antiphon.wire.server_events import (
    OutputEvent,
    ResponseOutputAudioDelta,
    ResponseOutputItemAdded,
    ResponseOutputItemDone,
)

__all__ = ["Produced"]

_S = ResponseState
# What `text_stream` is made of.
_WORDS = frozenset({"response.output_text.delta", "response.output_audio_transcript.delta"})


class Produced:
    """Takes note of it, for all responses of one connection.

    Attributes:
        output_bytes_per_ms: bytes per ms of the session's output format.
    """

    __slots__ = (
        "_items",
        "_delivered",
        "output_bytes_per_ms",
    )

    def __init__(self, delivered: Delivered, items: Items) -> None:
        self._delivered = delivered
        self._items = items
        self.output_bytes_per_ms = 48

    def audio(self, response: Response, event: ResponseOutputAudioDelta, now: float) -> None:
        """So much more of it was delivered."""
        if not event.delta:
            return
        if response.first_audio_at is None:
            response.first_audio_at = now
        part = response.audio_part = self._delivered.part(
            event.item_id or "",
            event.content_index or 0,
            response.bytes_per_ms or self.output_bytes_per_ms,
        )
        part.size += len(event.delta)

    def words(self, response: Response, event: OutputEvent, now: float) -> None:
        """Something of it that may be the first words was delivered."""
        if event.type in _WORDS and event.delta:  # type: ignore[attr-defined]
            response.first_text_at = now

    def item(self, response: Response, item_id: str) -> None:
        """An item of it has begun."""
        if response.state is _S.IDLE:
            return  # once it is known which response it is
        if response.state is not _S.CLOSED:
            response.item_ids.append(item_id)
        if response.lane is Lane.OUT_OF_BAND:
            self._items.note_out_of_band(item_id)

    def item_done(self, response: Response, item: Item, effects: Effects) -> None:
        """An item of it is complete."""
        if response.state is _S.IDLE:
            return
        if response.lane is Lane.DEFAULT:
            self._items.learn(item)
        if response.state is _S.ACTIVE:
            note_call(response, item, effects)

    def done(self, response: Response, resource: ResponseResource) -> None:
        """It is over, and this is all of it."""
        if response.lane is Lane.DEFAULT:
            self._items.learn_all(resource)

    def early(self, response: Response, event: OutputEvent, now: float, effects: Effects) -> None:
        """Output that came before its announcement is delivered now."""
        if isinstance(event, ResponseOutputAudioDelta):
            self.audio(response, event, now)
        elif isinstance(event, ResponseOutputItemAdded) and event.item.id:
            self.item(response, event.item.id)
        elif isinstance(event, ResponseOutputItemDone):
            self.item_done(response, event.item, effects)
        elif response.first_text_at is None:
            self.words(response, event, now)
