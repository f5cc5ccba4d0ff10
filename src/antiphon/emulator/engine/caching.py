"""How much of what a response is given had been given to an earlier one (P-477)."""

from antiphon.emulator.engine.response import TokenCount

__all__ = ["PromptCache"]

# Cached tokens were seen in steps only.
STEP = 64


class PromptCache:
    """What the latest response of the conversation was given: its instructions and its size.

    The conversation grows at its end, so that what was given before is the beginning of what is
    given now, as long as the instructions before it are the same.
    """

    def __init__(self) -> None:
        self._instructions: str | None = None
        self._given = TokenCount()

    def look_up(self, instructions: str, given: TokenCount) -> TokenCount:
        """The part of `given` that an earlier response was given too. From now on all of it is."""
        cached = TokenCount()
        if instructions == self._instructions:
            cached.text = _steps(min(given.text, self._given.text))
            cached.audio = _steps(min(given.audio, self._given.audio))
            cached.image = _steps(min(given.image, self._given.image))
        self._instructions = instructions
        self._given = TokenCount(given.text, given.audio, given.image)
        return cached


def _steps(tokens: int) -> int:
    return tokens // STEP * STEP
