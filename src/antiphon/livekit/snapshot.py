"""A copy of the conversation that remembers what it cannot know of."""

from typing import Any

from livekit.agents import llm

__all__ = ["Snapshot", "taken_at"]


class Snapshot(llm.ChatContext):
    """A chat context of the session's, and copies of it: each knows when the first was taken.

    Args:
        items: the conversation.
        taken: how many items the server had brought by then; see `Mirror.taken`.
    """

    def __init__(self, items: list[llm.ChatItem], taken: int) -> None:
        super().__init__(items)
        self.taken = taken

    def copy(self, **choices: Any) -> "Snapshot":
        """As the framework's; what the copy lacks by choice was known all the same."""
        return Snapshot(super().copy(**choices).items, self.taken)


def taken_at(context: llm.ChatContext) -> int | None:
    """When a context was taken from the session; None for one that was not."""
    return context.taken if isinstance(context, Snapshot) else None
