"""Protocol traces that can be read, and checked, line by line.

    check(Connection("t"), [
        Ask("create", "a"),
        C("response.create", "a"),
        S("response.created", "a"),
        Is("a", "opened"),
        Ask("interrupt"),
        Is("a", "ended", "cancelled"),
        C("response.cancel", "a"),
        S("response.done", "a", status="cancelled", reason="client_cancelled"),
        Is("a", "settled", "cancelled (client_cancelled)"),
        Is("interruption", "over"),
    ])

What goes in is `Ask` (the caller), `S` (the server), `Wait` (time) and `Lose` (the connection). All
that must come out of it stands right below it, in order and complete: `C` is a frame sent, `Is` a
change, `Oops` a report or a refusal. A failure shows both traces in the notation of the logs:
`C>` sent, `S<` received, `=` state, `!` error; what the caller and the clock do begins with `*`.

Responses go by a name of the trace's choosing. The server knows a response called "a" as
"resp_a", and echoes the metadata of its create.
"""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

from antiphon.exceptions import ConnectionClosedError
from antiphon.protocol.connection import Connection
from antiphon.protocol.delivered import Delivered
from antiphon.protocol.directory import METADATA_KEY
from antiphon.protocol.effects import (
    Answered,
    CallReady,
    Effect,
    Effects,
    Ended,
    Fatal,
    Interrupted,
    Opened,
    Output,
    PlaybackEnded,
    Refused,
    Report,
    Send,
    Settled,
    Silence,
    TurnChanged,
)
from antiphon.protocol.interruption import Interruption, Receipt, Scope
from antiphon.protocol.requests import Request
from antiphon.protocol.response import OnBusy, Response
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.client_events import (
    ClientEvent,
    ConversationItemCreate,
    ResponseCancel,
    ResponseCreate,
    ResponseCreateParams,
)
from antiphon.wire.server_events import (
    InputAudioBufferCommitted,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)
from tests.helpers import builders

__all__ = [
    "OOB",
    "Ask",
    "C",
    "Entry",
    "Is",
    "Lose",
    "Oops",
    "Playbook",
    "S",
    "Step",
    "Wait",
    "check",
    "delivered_ms",
    "finished",
    "live",
    "spoken",
    "turn",
]

ServerSays = ServerEvent | UnknownEvent | Malformed


class Ask:
    """The caller asks: `create` a response by name, `cancel` names, `interrupt` a scope.

    Every other verb is a method of `Connection`. Its request goes by the verb, or by `name`.
    """

    def __init__(self, verb: str, *args: Any, **options: Any) -> None:
        self.verb = verb
        self.args = args
        self.options = options

    def __str__(self) -> str:
        return " ".join(["*", self.verb, *(one for one in self.args if isinstance(one, str))])


class S:
    """The server says this: an event, or its type and what is special about it."""

    def __init__(self, what: str | ServerSays, name: str | None = None, **options: Any) -> None:
        self.what = what
        self.name = name
        self.options = options

    def __str__(self) -> str:
        if not isinstance(self.what, str):
            return f"S< {self.what.type}"
        words = (f"{key}={one}" for key, one in self.options.items() if isinstance(one, str | None))
        return " ".join(["S<", self.what, *filter(None, [self.name]), *words])


class Wait:
    """So many seconds pass."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __str__(self) -> str:
        return f"* wait {self.seconds:g}"


class Lose:
    """The connection is lost."""

    def __str__(self) -> str:
        return "* lose"


class C:
    """The client must send this, about this response or item."""

    def __init__(self, type: str, name: str | None = None) -> None:
        self.words = ["C>", type, *filter(None, [name])]

    def __str__(self) -> str:
        return " ".join(self.words)


class Is:
    """This must come about: `Is("a", "opened")`."""

    def __init__(self, name: str, what: str, detail: str | None = None) -> None:
        self.words = ["=", name, what, *filter(None, [detail])]

    def __str__(self) -> str:
        return " ".join(self.words)


class Oops:
    """This must be reported or refused: `Oops("violation", "a")`."""

    def __init__(self, kind: str, detail: str | None = None) -> None:
        self.words = ["!", kind, *filter(None, [detail])]

    def __str__(self) -> str:
        return " ".join(self.words)


Step = Ask | S | Wait | Lose
Entry = Step | C | Is | Oops


# How to create a response out of band.
OOB = {"conversation": "none"}


def live(name: str, **options: Any) -> list[Entry]:
    """A response is asked for and created."""
    return [
        Ask("create", name, **options),
        C("response.create", name),
        S("response.created", name),
        Is(name, "opened"),
    ]


def finished(name: str) -> list[Entry]:
    """It comes to its natural end."""
    return [
        S("response.done", name),
        Is(name, "ended", "finished"),
        Is(name, "settled", "completed"),
    ]


def spoken(name: str) -> list[Entry]:
    """It has an item on a call, `item_resp_NAME`, and there is something to hear of it."""
    added, words = "response.output_item.added", "response.output_audio_transcript.delta"
    return [
        S(added, name, item=builders.message(f"item_resp_{name}")),
        Is(name, "output", added),
        S(words, name),
        Is(name, "output", words),
    ]


def turn(item_id: str) -> list[Entry]:
    """Turn detection takes what the user said, and is about to answer it."""
    return [S(InputAudioBufferCommitted(item_id=item_id)), Is(item_id, "committed")]


def delivered_ms(delivered: Delivered, item_id: str, content_index: int = 0) -> int:
    """How much audio of a part was delivered, in whole ms: up to where it can be truncated."""
    part = delivered._parts.get((item_id, content_index))
    return part.length_ms if part is not None else 0


def check(connection: Connection, trace: Iterable[Entry]) -> "Playbook":
    """Play a trace against a connection from time 0, and fail where it goes another way."""
    return Playbook(connection).check(trace)


class Playbook:
    """A connection, its clock, and the names that a trace gives to things."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.now = 0.0
        self.effects: Effects = []
        self.log: list[str] = []
        self.sent: list[ClientEvent | UnknownEvent] = []
        self.interruptions: list[Interruption] = []
        self._responses: dict[str, Response] = {}
        self._names: dict[int, str] = {}
        self._requests: dict[str, Request] = {}

    def __getitem__(self, name: str) -> Response:
        return self._responses[name]

    @property
    def receipt(self) -> Receipt:
        """Of the latest interruption."""
        return self.interruptions[-1].receipt()

    def request(self, verb: str) -> Request:
        return self._requests[verb]

    def check(self, trace: Iterable[Entry]) -> "Playbook":
        """Go on with this trace."""
        wanted: list[str] = []
        actual: list[str] = []
        for entry in trace:
            wanted.append(str(entry))
            if isinstance(entry, Step):
                actual += [str(entry), *self.play(entry)]
        if actual != wanted:
            diff = difflib.ndiff(wanted, actual)
            title = "the trace went another way (- wanted, + came):"
            raise AssertionError("\n".join([title, *self.log, *diff]))
        self.log += actual
        return self

    def play(self, step: Step) -> list[str]:
        """Take one step; returns what came of it, as lines of the trace."""
        match step:
            case Ask():
                self.effects = self._ask(step)
            case S():
                self.effects = self.connection.receive(self._event(step), self.now)
            case Wait():
                self.effects = self._wait(step.seconds)
            case Lose():
                lost = ConnectionClosedError(1006, "", "network")
                self.effects = self.connection.lose(lost, self.now)
        self.sent += [effect.event for effect in self.effects if isinstance(effect, Send)]
        return [str(self._shown(effect)) for effect in self.effects]

    def _wait(self, seconds: float) -> Effects:
        # As a shell does: it wakes up at each deadline, not only at the end.
        until = self.now + seconds
        effects: Effects = []
        while (when := self.connection.next_deadline()) is not None and when <= until:
            self.now = max(self.now, when)
            effects += self.connection.advance(self.now)
        self.now = until
        return effects

    # --- what goes in ---------------------------------------------------------------------------

    def _ask(self, step: Ask) -> Effects:
        match step.verb:
            case "create":
                return self._create(step.args[0], **step.options)
            case "cancel":
                targets = [self._responses[name] for name in step.args]
                interruption, effects = self.connection.cancel(targets, self.now)
                self.interruptions.append(interruption)
            case "interrupt":
                scope: Scope = step.args[0] if step.args else "all"
                interruption, effects = self.connection.interrupt(scope, self.now)
                self.interruptions.append(interruption)
            case "append_audio":
                effects = [Send(self.connection.append_audio(*step.args))]
            case "resume":
                effects = self.connection.resume(step.args[0], self.now)
            case verb:
                options = dict(step.options)
                name = options.pop("name", verb)
                request, effects = getattr(self.connection, verb)(*step.args, self.now, **options)
                self._requests[name] = request
        return effects

    def _create(self, name: str, **options: Any) -> Effects:
        how = {
            key: options.pop(key)
            for key in ("purpose", "interruptible", "on_busy", "timeout")
            if key in options
        }
        if "on_busy" in how:
            how["on_busy"] = OnBusy(how["on_busy"])
        params = ResponseCreateParams(**options)
        response, effects = self.connection.create_response(params, self.now, **how)
        self._responses[name] = response
        self._names[id(response)] = name
        return effects

    def _event(self, step: S) -> ServerSays:
        options = dict(step.options)
        response = self._responses.get(step.name or "")
        match step.what:
            case "error":
                # create="a", cancel="a" or request="commit_audio": the event that it echoes.
                if "create" in options:
                    options["event_id"] = self[options.pop("create")].create_event_id
                if "cancel" in options:
                    options["event_id"] = self[options.pop("cancel")].cancel_event_id
                if "request" in options:
                    options["event_id"] = self._requests[options.pop("request")].event_id
                return builders.error(**options)
            case "response.created" | "response.done" if response and response.key:
                options.setdefault("lane", str(response.lane))
                options.setdefault("metadata", {**response.metadata, METADATA_KEY: response.key})
            case str():
                pass
            case event:
                return event
        build: dict[str, Callable[..., ServerEvent]] = {
            "response.created": builders.created,
            "response.done": builders.done,
            "response.output_text.delta": builders.text_delta,
            "response.output_audio.delta": builders.audio_delta,
            "response.output_audio_transcript.delta": builders.transcript_delta,
            "response.output_item.added": builders.item_added,
            "response.output_item.done": builders.item_done,
            "output_audio_buffer.started": builders.started,
            "output_audio_buffer.stopped": builders.stopped,
            "output_audio_buffer.cleared": builders.cleared,
            "conversation.item.truncated": builders.truncated,
        }
        return build[step.what](options.pop("id", f"resp_{step.name}"), **options)

    # --- what comes out -------------------------------------------------------------------------

    def _name(self, response: Response) -> str:
        """A response of the server's own making gets its name here, from its id."""
        name = self._names.get(id(response))
        if name is None:
            name = (response.id or "resp_nameless").removeprefix("resp_")
            self._responses[name] = response
            self._names[id(response)] = name
        return name

    def _shown(self, effect: Effect) -> C | Is | Oops:
        match effect:
            case Send(event=ResponseCreate(response=params) as event):
                key = ((params or ResponseCreateParams()).metadata or {})[METADATA_KEY]
                made = (n for n, one in self._responses.items() if one.key == key)
                return C(event.type, next(made))
            case Send(event=ResponseCancel(response_id=response_id) as event):
                return C(event.type, (response_id or "").removeprefix("resp_"))
            case Send(event=ConversationItemCreate(item=item) as event):
                return C(event.type, item.id or None)
            case Send(event=event):
                return C(event.type, getattr(event, "item_id", None))
            case Output(response=response, event=output):
                return Is(self._name(response), "output", _contents(output))
            case Opened(response=response):
                return Is(self._name(response), "opened")
            case CallReady(response=response, item=item):
                return Is(self._name(response), "call", item.call_id or None)
            case Ended(response=response):
                return Is(self._name(response), "ended", response.cause)
            case Settled(response=response):
                return Is(self._name(response), "settled", str(response.outcome))
            case Interrupted():
                return Is("interruption", "over")
            case Answered(request=request):
                return Is(request.kind, "answered", request.subject)
            case Refused(request=request, error=error):
                return Oops("refused", f"{request.kind} {type(error).__name__}")
            case TurnChanged(turn=turn):
                return Is(turn.item_id, turn.phase)
            case Report(kind=kind, response_id=response_id):
                return Oops(kind, (response_id or "").removeprefix("resp_"))
            case Fatal(error=error):
                return Oops("fatal", error.code or error.type or None)
            case Silence(response=response):
                return Is(self._name(response), "to be silent")
            case PlaybackEnded(response=response):
                playout = response.playout
                assert playout is not None
                return Is(self._name(response), "sound", playout.kind)


def _contents(event: ServerEvent) -> str:
    if isinstance(event, ResponseOutputTextDelta):
        return event.delta
    if isinstance(event, ResponseOutputAudioDelta):
        return f"{len(event.delta) // 48}ms"
    return event.type
