"""What the emulated model answers.

A `Script` is a list of answers, taken in order:

    Script([
        say("Hello. What can I do for you?"),
        answer(say("One moment."), call("lookup", {"city": "Oslo"})),
        say("yes").when(lane="out_of_band", metadata={"purpose": "mood"}),
        say("A very long story.", ms=60_000).times(3),
        fail("rate_limit_exceeded", after=say("I was about to")),
    ])

Each response takes the first step that is left and fits it. A step without `when` fits every
response. A response that no step fits gets `otherwise`, by default the small built-in
conversation of builtin.py. `script.assert_consumed()` fails when steps were left over.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from antiphon.emulator.knobs.pace import Pace

__all__ = [
    "Answer",
    "Ending",
    "Misheard",
    "misheard",
    "Match",
    "Output",
    "OutputKind",
    "Prompt",
    "Script",
    "ScriptNotConsumed",
    "Status",
    "answer",
    "call",
    "fail",
    "incomplete",
    "mcp_approval",
    "mcp_call",
    "say",
    "silence",
    "stall",
    "text",
]


class ScriptNotConsumed(AssertionError):
    """Steps of a script were left over, or a strict script met a response it had no step for."""


class OutputKind(StrEnum):
    """What an output item is."""

    SPEECH = "speech"
    TEXT = "text"
    CALL = "call"
    MCP_CALL = "mcp_call"
    MCP_APPROVAL = "mcp_approval"


class Status(StrEnum):
    """How a scripted response ends; `STALLED` never does."""

    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True)
class Output:
    """One output item.

    Args:
        kind: `SPEECH` is audio with its transcript, or text where the response asks for text.
        text: the words, or a call's arguments as JSON.
        audio_ms: length of the audio, or None for a length that suits the words.
        name: a call's function.
        call_id: a call's id, or None for a new one.
        server: the label of an MCP call's server.
        result: what an MCP call brings.
        error: why it fails, or "".
    """

    kind: OutputKind
    text: str
    audio_ms: int | None = None
    name: str = ""
    call_id: str | None = None
    server: str = ""
    result: str = ""
    error: str = ""

    @property
    def length_ms(self) -> int:
        """Length of the audio in ms: about 15 characters a second unless given."""
        if self.audio_ms is not None:
            return self.audio_ms
        return max(200, -(-len(self.text) * 65 // 20) * 20)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the response ends, after its items."""

    status: Status = Status.COMPLETED
    reason: str = ""
    code: str = ""
    message: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is given for one response.

    Args:
        lane: `default` or `out_of_band`.
        turn: number of this response in its session, from 0.
        automatic: whether turn detection started it.
        text: the user's latest words.
        instructions: the instructions of this response alone.
        session_instructions: those of the session.
        metadata: the response's metadata.
        modality: `audio` or `text`.
        tools: the tools offered.
        tool_choice: as given by the client.
        tool_output: output of the call that this response answers, or None.
    """

    lane: str
    turn: int
    automatic: bool
    text: str
    instructions: str
    session_instructions: str
    metadata: Mapping[str, str]
    modality: str
    tools: Sequence[Mapping[str, Any]]
    tool_choice: Any
    tool_output: str | None


@dataclass(frozen=True, slots=True)
class Match:
    """Which responses a step fits; None fits all."""

    lane: str | None = None
    turn: int | None = None
    automatic: bool | None = None
    contains: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tool_output: str | None = None
    test: Callable[[Prompt], bool] | None = None

    def fits(self, prompt: Prompt) -> bool:
        """Whether the prompt is one of those meant."""
        words = f"{prompt.text}\n{prompt.instructions}".casefold()
        return (
            self.lane in (None, prompt.lane)
            and self.turn in (None, prompt.turn)
            and self.automatic in (None, prompt.automatic)
            and (self.contains is None or self.contains.casefold() in words)
            and all(prompt.metadata.get(key) == value for key, value in self.metadata.items())
            and (self.tool_output is None or self.tool_output in (prompt.tool_output or ""))
            and (self.test is None or self.test(prompt))
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response: its items and how it ends, for whom, how often and how fast."""

    items: tuple[Output, ...] = ()
    ending: Ending = Ending()
    match: Match | None = None
    repeat: int | None = 1
    own_pace: Pace | None = None

    def when(
        self,
        *,
        lane: str | None = None,
        turn: int | None = None,
        automatic: bool | None = None,
        contains: str | None = None,
        metadata: Mapping[str, str] | None = None,
        tool_output: str | None = None,
        test: Callable[[Prompt], bool] | None = None,
    ) -> "Answer":
        """This answer, for certain responses only.

        Args:
            lane: `default` or `out_of_band`.
            turn: only the response of this number (from 0) in its session.
            automatic: only those that turn detection started (or did not).
            contains: only if the user's words or the response's own instructions contain this, in
                any case.
            metadata: only if the response's metadata holds these pairs.
            tool_output: only if it answers a tool whose output contains this.
            test: only if this function of the `Prompt` says so.
        """
        wanted = Match(lane, turn, automatic, contains, dict(metadata or {}), tool_output, test)
        return replace(self, match=wanted)

    def times(self, count: int) -> "Answer":
        """This answer, `count` times."""
        if count < 1:
            raise ValueError("an answer is given at least once")
        return replace(self, repeat=count)

    def always(self) -> "Answer":
        """This answer, as often as it fits; never counts as left over."""
        return replace(self, repeat=None)

    def paced(self, pace: Pace) -> "Answer":
        """This answer at a pace of its own."""
        return replace(self, own_pace=pace)


def say(words: str, *, ms: int | None = None) -> Answer:
    """Speak: audio with its transcript, or text where the response asks for text.

    Args:
        words: the transcript.
        ms: length of the audio in milliseconds; by default about 15 characters a second.
    """
    return Answer((Output(OutputKind.SPEECH, words, ms),))


def text(words: str) -> Answer:
    """Write: text content, whatever the response asks for."""
    return Answer((Output(OutputKind.TEXT, words),))


def call(
    name: str, arguments: Mapping[str, Any] | str | None = None, *, call_id: str | None = None
) -> Answer:
    """Call a function.

    Args:
        name: the function.
        arguments: as an object, or as the very string to send (which need not be JSON).
        call_id: the call's id; a new one by default.
    """
    given = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return Answer((Output(OutputKind.CALL, given, name=name, call_id=call_id),))


def mcp_call(
    server: str,
    name: str,
    arguments: Mapping[str, Any] | str | None = None,
    *,
    output: str = "",
    error: str = "",
) -> Answer:
    """Call a tool of an MCP server, as the Realtime server does by itself (P-122, P-478).

    Args:
        server: the `server_label` of the session's tool.
        name: the tool.
        arguments: as an object, or as the very string to send.
        output: what the call brings.
        error: why it fails instead.
    """
    given = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    made = Output(OutputKind.MCP_CALL, given, name=name, server=server, result=output, error=error)
    return Answer((made,))


def mcp_approval(
    server: str, name: str, arguments: Mapping[str, Any] | str | None = None
) -> Answer:
    """Ask the user for leave to call a tool of an MCP server (`mcp_approval_request`).

    Args:
        server: the `server_label` of the session's tool.
        name: the tool.
        arguments: as an object, or as the very string to send.
    """
    given = arguments if isinstance(arguments, str) else json.dumps(arguments or {})
    return Answer((Output(OutputKind.MCP_APPROVAL, given, name=name, server=server),))


def answer(*parts: Answer, ending: Ending | None = None) -> Answer:
    """Several items in one response, ending as the last part does unless told."""
    items = tuple(item for part in parts for item in part.items)
    last = parts[-1].ending if parts else Ending()
    return Answer(items, ending or last)


def silence() -> Answer:
    """A response that completes without any item."""
    return Answer()


def fail(
    code: str = "server_error",
    message: str = "The server had an error while processing your request.",
    *,
    type: str = "server_error",
    after: Answer | None = None,
) -> Answer:
    """A response that fails, after some output perhaps (P-164, P-165)."""
    ending = Ending(Status.FAILED, code=code, message=message, type=type)
    return replace(after or Answer(), ending=ending)


def incomplete(reason: str = "content_filter", *, after: Answer | None = None) -> Answer:
    """A response that ends `incomplete` for `max_output_tokens` or `content_filter` (P-163)."""
    return replace(after or Answer(), ending=Ending(Status.INCOMPLETE, reason=reason))


def stall(*, after: Answer | None = None) -> Answer:
    """A response that never ends, unless it is cancelled."""
    return replace(after or Answer(), ending=Ending(Status.STALLED))


@dataclass(frozen=True, slots=True)
class Misheard:
    """A spoken turn whose transcription fails (P-91). The model hears nothing either."""

    code: str
    message: str
    type: str


def misheard(
    code: str = "audio_unintelligible",
    message: str = "The audio could not be transcribed.",
    *,
    type: str = "transcription_error",
) -> Misheard:
    """A spoken turn whose transcription fails, for a script's `hears`."""
    return Misheard(code, message, type)


Fallback = Answer | Callable[[Prompt], Answer]


class Script:
    """The answers of the emulated model, in order, and what it "hears".

    One script may serve several sessions (a reconnecting client goes on where it was).

    Args:
        steps: the answers.
        hears: transcripts of the user's spoken turns, in order, or `misheard()`; after the last,
            `(speech)`.
        otherwise: what a response gets that no step fits: an answer, a function of the `Prompt`,
            or None for the built-in conversation.
        mcp: the names of the tools that each MCP server has, by its label, or None for a server
            that cannot be reached; others have the tools that the session allows by name.
        strict: a response that no step fits fails with code `script_exhausted`, and
            `assert_consumed` reports it.
    """

    def __init__(
        self,
        steps: Iterable[Answer] = (),
        *,
        hears: Iterable[str | Misheard] = (),
        otherwise: Fallback | None = None,
        mcp: Mapping[str, Sequence[str] | None] | None = None,
        strict: bool = False,
    ) -> None:
        self._steps: list[Answer] = list(steps)
        self._left: list[int | None] = [step.repeat for step in self._steps]
        # Invariant: steps before _first are used up. Plain steps are taken from the front, so
        # that a long script costs no search.
        self._first = 0
        self._hears = list(hears)
        self._heard = 0
        self._otherwise = otherwise
        self._mcp = dict(mcp or {})
        self._strict = strict
        self._unexpected: list[Prompt] = []

    def respond(self, prompt: Prompt) -> Answer | None:
        """Take the answer for a response; None leaves it to the built-in conversation."""
        for place in range(self._first, len(self._steps)):
            left = self._left[place]
            step = self._steps[place]
            if left == 0 or (step.match is not None and not step.match.fits(prompt)):
                continue
            if left is not None:
                self._left[place] = left - 1
                self._skip_used()
            return step
        if self._strict:
            self._unexpected.append(prompt)
            return fail("script_exhausted", "The script has no step for this response.")
        if isinstance(self._otherwise, Answer):
            return self._otherwise
        return self._otherwise(prompt) if self._otherwise is not None else None

    def hear(self) -> str | Misheard:
        """What is heard of the user's next spoken turn."""
        words = self.peek()
        self._heard += 1
        return words

    def peek(self) -> str | Misheard:
        """What `hear` will return next."""
        return self._hears[self._heard] if self._heard < len(self._hears) else "(speech)"

    def mcp_tools(self, server: str, allowed: Any = None) -> list[dict[str, Any]] | None:
        """The tools of an MCP server, or None if it cannot be reached.

        Args:
            server: its label.
            allowed: the tool's `allowed_tools` in the session.
        """
        if isinstance(allowed, dict):
            allowed = allowed.get("tool_names")
        names = self._mcp.get(server, allowed if isinstance(allowed, list) else ())
        if names is None:
            return None
        schema = {"type": "object", "properties": {}}
        return [
            {"name": str(name), "input_schema": schema, "description": None, "annotations": None}
            for name in names
        ]

    @property
    def unconsumed(self) -> list[Answer]:
        """Steps that were not used as often as they say."""
        return [step for step, left in zip(self._steps, self._left, strict=True) if left]

    def assert_consumed(self) -> None:
        """Fail if steps are left over, or responses came that a strict script had no step for.

        Raises:
            ScriptNotConsumed: what was left, one line each.
        """
        problems = [f"not used: {_shown(step)}" for step in self.unconsumed]
        problems += [
            f"no step for response {prompt.turn} ({prompt.lane}, {prompt.text[:60]!r})"
            for prompt in self._unexpected
        ]
        if problems:
            raise ScriptNotConsumed("\n".join(["the script was not played as written:", *problems]))

    def _skip_used(self) -> None:
        while self._first < len(self._left) and self._left[self._first] == 0:
            self._first += 1


def _shown(step: Answer) -> str:
    items = ", ".join(f"{item.kind}({item.name or item.text[:40]!r})" for item in step.items)
    match = f" when {step.match}" if step.match else ""
    return f"{items or 'no items'} ending {step.ending.status}{match}"
