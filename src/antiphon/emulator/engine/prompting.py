"""What a response is given to answer: its context, in words and in tokens (P-32, P-113)."""

from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.items import audio_in, check_ids
from antiphon.emulator.engine.response import TokenCount
from antiphon.emulator.shapes import errors
from antiphon.emulator.state.conversation import ConversationItem, count_tokens

__all__ = ["Context", "gather"]

Json = dict[str, Any]
# How far back to look for the user's latest words: a bound, so that the cost of a response does
# not grow with the conversation.
LOOK_BACK = 64
# A model is given more.
THINK_BACK = 1000


@dataclass(frozen=True, slots=True)
class Context:
    """What a response is given.

    Args:
        latest: the items, from the last to the first; of a long conversation only the latest.
        tokens: of all items and the instructions.
        cached: of those, what an earlier response was given too.
    """

    latest: list[ConversationItem]
    tokens: TokenCount = field(default_factory=TokenCount)
    cached: TokenCount = field(default_factory=TokenCount)

    @property
    def text(self) -> str:
        """The user's latest words."""
        return _words(self.latest)

    @property
    def tool_output(self) -> str | None:
        """The tool output to answer, if that is what is last."""
        return _tool_output(self.latest)

    @property
    def items(self) -> list[ConversationItem]:
        """The items, oldest first."""
        return self.latest[::-1]

    @property
    def is_unheard(self) -> bool:
        """Whether user audio in it is still being transcribed."""
        return any(item.is_unheard for item in self.latest)


def gather(core: Core, params: Json) -> Context:
    """The context of a response.

    Raises:
        Refusal: `input` references an item that does not exist.
    """
    given = params.get("input")
    if given is None:
        conversation = core.conversation
        back = THINK_BACK if core.desk.faculties.thinks else LOOK_BACK
        latest = list(islice(conversation.latest(), back))
        tokens = TokenCount(
            conversation.text_tokens, conversation.audio_tokens, conversation.image_tokens
        )
    else:
        latest = [_resolve(core, item, place) for place, item in enumerate(given)][::-1]
        tokens = TokenCount(
            sum(item.text_tokens for item in latest),
            sum(item.audio_tokens for item in latest),
            sum(item.image_tokens for item in latest),
        )
    instructions = params.get("instructions") or core.session.config["instructions"]
    tokens.text += count_tokens(instructions)
    cached = TokenCount()
    if given is None:
        cached = core.prompt_cache.look_up(instructions, tokens)
    return Context(latest, tokens, cached)


def _resolve(core: Core, item: Json, place: int) -> ConversationItem:
    if item["type"] == "item_reference":
        found = core.conversation.get(item["id"])
        if found is None:
            raise errors.reference_missing(f"response.input[{place}].id", item["id"])
        return found
    check_ids(core, item, f"response.input[{place}]")
    body = dict(item)
    body.setdefault("id", "")
    loose = ConversationItem(body)
    for part in item.get("content") or ():
        if part["type"] in ("input_audio", "output_audio"):
            data, audio = audio_in(core, part)
            loose.audio_ms += len(data) // audio.bytes_per_ms
    loose.recount()
    return loose


def _words(latest: list[ConversationItem]) -> str:
    for item in latest:
        if item.body.get("role") == "user":
            return item.text()
    return ""


def _tool_output(latest: list[ConversationItem]) -> str | None:
    # Several calls may have been answered: all outputs since anything else was said.
    outputs: list[str] = []
    for item in latest:
        if item.body["type"] != "function_call_output":
            break
        outputs.append(item.text())
    return " ".join(reversed(outputs)) if outputs else None
