"""One response as the server sees it: its phases as a table, and its record."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.engine.generation import Feed, Step
from antiphon.emulator.scripts.script import Ending, Output, OutputKind
from antiphon.emulator.state.agenda import Entry
from antiphon.emulator.state.conversation import ConversationItem

__all__ = ["TRANSITIONS", "Input", "Lane", "OutputItem", "Phase", "Response", "TokenCount"]

Json = dict[str, Any]


class Lane(StrEnum):
    """Where a response writes (P-30, P-31)."""

    DEFAULT = "default"
    OUT_OF_BAND = "out_of_band"


class Phase(StrEnum):
    """Where a response is in its life."""

    ACCEPTED = "accepted"
    GENERATING = "generating"
    CANCELLING = "cancelling"
    DONE = "done"


class Input(StrEnum):
    """What moves a response on."""

    CREATED = "created"
    STEP = "step"
    CANCEL = "cancel"
    END = "end"
    DROP = "drop"


# An input that a phase does not list leads nowhere: the response stays as it is, and whoever gave
# it decides what to say about that (for a cancel, the knobs).
TRANSITIONS: dict[tuple[Phase, Input], Phase] = {
    # Accepted: it holds its lane, but `response.created` is not sent. P-12: a cancel passes it by.
    (Phase.ACCEPTED, Input.CREATED): Phase.GENERATING,
    (Phase.ACCEPTED, Input.DROP): Phase.DONE,
    # Generating: its output is sent as it comes.
    (Phase.GENERATING, Input.STEP): Phase.GENERATING,
    (Phase.GENERATING, Input.CANCEL): Phase.CANCELLING,
    (Phase.GENERATING, Input.END): Phase.DONE,
    (Phase.GENERATING, Input.DROP): Phase.DONE,
    # Cancelling: a few stragglers (P-64), then the end. The lane is held until then (P-45).
    (Phase.CANCELLING, Input.STEP): Phase.CANCELLING,
    (Phase.CANCELLING, Input.END): Phase.DONE,
    (Phase.CANCELLING, Input.DROP): Phase.DONE,
    # Done is final: exactly one `response.done` was sent, or none if it was dropped.
}


@dataclass(slots=True)
class TokenCount:
    """Tokens of one direction."""

    text: int = 0
    audio: int = 0
    image: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.text + self.audio + self.image


@dataclass(slots=True, eq=False)
class OutputItem:
    """An item that a response is producing.

    `ended` means that the model finished it, `closed` that its done events were sent.
    """

    index: int
    output: Output
    kind: OutputKind
    item: ConversationItem
    words: list[str] = field(default_factory=list)
    audio_ms: int = 0
    ended: bool = False
    closed: bool = False

    @property
    def text(self) -> str:
        """Everything said, written or passed as arguments so far."""
        return "".join(self.words)


@dataclass(slots=True, eq=False, kw_only=True)
class Response:
    """The record of one response. Changed by responses.py, answers.py and output.py only.

    `feed` and `work_id` are of the work that is done for it elsewhere, if any; `is_dry` says that
    its steps wait for more of that.
    """

    id: str
    lane: Lane
    automatic: bool
    turn: int
    metadata: dict[str, str] | None
    modality: str
    audio: AudioFormat
    voice: Any
    max_output_tokens: int | str
    conversation_id: str | None
    event_id: str | None
    phase: Phase = Phase.ACCEPTED
    status: str = "in_progress"
    ending: Ending = field(default_factory=Ending)
    steps: Iterator[Step] | None = None
    items: list[OutputItem] = field(default_factory=list)
    pending: list[Entry] = field(default_factory=list)
    feed: Feed | None = None
    work_id: int | None = None
    is_dry: bool = False
    cancel_reason: str = ""
    audio_ms: int = 0
    given: TokenCount = field(default_factory=TokenCount)
    cached: TokenCount = field(default_factory=TokenCount)
    spent: TokenCount = field(default_factory=TokenCount)

    def apply(self, what: Input) -> bool:
        """Go to the phase that this leads to; False if it leads nowhere from the present one."""
        target = TRANSITIONS.get((self.phase, what))
        if target is None:
            return False
        self.phase = target
        return True

    @property
    def in_progress(self) -> bool:
        """Created and not done: what a cancel can find."""
        return self.phase in (Phase.GENERATING, Phase.CANCELLING)

    def unschedule(self) -> None:
        """Make everything void that was to happen to it."""
        for entry in self.pending:
            entry.cancel()
        self.pending.clear()

    def resource(self, status_details: Json | None, usage: Json | None, output: list[Json]) -> Json:
        """The response as it stands in `response.created` and `response.done`."""
        spoken: Json = {"format": self.audio.wire(), "voice": self.voice}
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": self.status,
            "status_details": status_details,
            "output": output,
            "conversation_id": self.conversation_id,
            "output_modalities": [self.modality],
            "max_output_tokens": self.max_output_tokens,
            "audio": {"output": spoken},
            "usage": usage,
            "metadata": self.metadata,
        }
