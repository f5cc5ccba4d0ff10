"""Keys that a caller presses, where they become words for the model (P-441)."""

from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.items import Items
from antiphon.emulator.engine.lanes import Request
from antiphon.emulator.engine.responses import Responses
from antiphon.emulator.knobs.call_choices import Dtmf
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.state.agenda import Entry

__all__ = ["Keypad"]

PATIENCE_S = 2.5


class Keypad:
    """Collects keys until `#`, a pause or speech, and makes a user's turn of them."""

    def __init__(self, core: Core, items: Items, responses: Responses) -> None:
        self._core = core
        self._items = items
        self._responses = responses
        self._keys = ""
        self._pause: Entry | None = None

    def press(self, key: str) -> None:
        """One more key."""
        if self._core.behaviour.dtmf is not Dtmf.AS_TEXT:
            return
        self._keys += key
        if self._pause is not None:
            self._pause.cancel()
        if key == "#":
            self._enter()
        else:
            self._pause = self._core.later(PATIENCE_S, self._enter)

    def speech(self) -> None:
        """The caller speaks: what was pressed before is a turn of its own."""
        if self._keys:
            self._enter()

    def _enter(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        keys, self._keys = self._keys, ""
        content = [{"type": "input_text", "text": keys}]
        self._items.add({"type": "message", "role": "user", "content": content})
        try:
            self._responses.create(Request({}, None, automatic=True))
        except Refusal as refusal:  # P-49
            self._core.refuse(refusal, None)
