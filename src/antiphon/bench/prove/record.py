"""What one scenario left behind: the frames on the wire and what the client said, on one clock."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from antiphon.bench.report import Line, Side, Tracer
from antiphon.emulator import Engine
from antiphon.emulator.audio import speech

__all__ = ["Json", "Observed", "Record", "Spoken", "WireEvent"]

Json = dict[str, Any]
# What a trace says of audio, in place of it.
PCM_BYTES_PER_MS = 48
# Answers to commands, and what stands in a trace as an event on the wire already.
_NOT_SHOWN = frozenset({"ok", "unsupported", "can", "event", "done"})
_OUTPUT = frozenset(
    {
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_text.delta",
    }
)


@dataclass(slots=True, frozen=True)
class WireEvent:
    """One frame, or the end of a connection.

    Args:
        at: seconds since the scenario began.
        connection: its number, from 0.
        way: who sent it; `gone` for the connection's end.
        event: what was in it, its audio replaced by its length.
    """

    at: float
    connection: int
    way: Literal["client", "server", "gone"]
    event: Json

    @property
    def kind(self) -> str:
        """The event's type."""
        return str(self.event.get("type", ""))


class Observed(list[Json]):
    """What a client told of one scenario, in order."""

    def of(self, saw: str) -> list[Json]:
        """All observations of one kind."""
        return [seen for seen in self if seen["saw"] == saw]

    def one(self, saw: str) -> Json:
        """The only observation of one kind."""
        found = self.of(saw)
        assert len(found) == 1, f"{len(found)} times {saw!r} in {self.kinds()}"
        return found[0]

    def words(self, saw: str = "text") -> str:
        """The text of all observations of one kind, joined."""
        return "".join(str(seen["text"]) for seen in self.of(saw))

    def audio(self, saw: str = "audio", **facts: Any) -> bytes:
        """The PCM16 of all observations of one kind with these facts, joined."""
        return b"".join(
            base64.b64decode(seen["pcm"])
            for seen in self.of(saw)
            if all(seen.get(name) == value for name, value in facts.items())
        )

    def kinds(self) -> list[str]:
        """The kinds of observation, in order, without repetition of neighbours."""
        kinds = [str(seen["saw"]) for seen in self]
        return [kind for n, kind in enumerate(kinds) if n == 0 or kind != kinds[n - 1]]


@dataclass(slots=True)
class Spoken:
    """One response as the server made it.

    Attributes:
        id: the server's id.
        lane: `default`, `out_of_band`, or "" where the server did not say.
        words: its text or transcript so far.
        audio_ms: milliseconds of audio sent.
        calls: names of the functions that it called.
        status: of its `response.done`; None while there was none.
        created_at, done_at: seconds since the scenario began.
        item_ids: of its items.
    """

    id: str
    lane: str = ""
    words: str = ""
    audio_ms: int = 0
    calls: list[str] = field(default_factory=list)
    status: str | None = None
    created_at: float | None = None
    done_at: float | None = None
    item_ids: list[str] = field(default_factory=list)

    @property
    def tag(self) -> int:
        """What its audio is marked with."""
        return speech.tag_of(self.id)


class Record:
    """Everything that happened, in order.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._connections: dict[int, int] = {}
        self.wire: list[WireEvent] = []
        self.seen = Observed()
        self.spoken: dict[str, Spoken] = {}
        self.engines: list[Engine] = []
        self._notes: list[tuple[float, str]] = []
        self.on_news: Callable[[], None] = lambda: None

    @property
    def now(self) -> float:
        """Seconds since the scenario began."""
        return self._clock() - self._began

    # Filling it

    def watch(self, engine: Engine, way: Literal["client", "server", "gone"], frame: bytes) -> None:
        """A frame went over the wire; the emulator's `watch`."""
        number = self._connections.setdefault(id(engine), len(self._connections))
        if number == len(self.engines):
            self.engines.append(engine)  # kept, so that no other can come to have its id()
        event = _read(frame) if way != "gone" else {"type": "(connection gone)"}
        self.wire.append(WireEvent(self.now, number, way, event))
        if way == "server":
            self._follow(event)
        self.on_news()

    def observe(self, observation: Json) -> None:
        """The client said something."""
        self.seen.append({**observation, "at": self.now})
        self.on_news()

    def note(self, what: str) -> None:
        """Something else happened that a reader of the trace wants to know."""
        self._notes.append((self.now, what))

    def _follow(self, event: Json) -> None:
        kind = event.get("type")
        if kind == "response.created":
            response = event.get("response") or {}
            if response.get("id"):
                made = self._response(response["id"])
                made.created_at = self.now
                made.lane = "default" if response.get("conversation_id") else "out_of_band"
        elif kind == "response.done":
            response = event.get("response") or {}
            if response.get("id"):
                made = self._response(response["id"])
                made.status, made.done_at = str(response.get("status")), self.now
        elif kind in _OUTPUT and event.get("response_id"):
            made = self._response(event["response_id"])
            if kind == "response.output_audio.delta":
                made.audio_ms += event["audio_ms"]
            else:
                made.words += event["delta"]
        elif kind == "response.output_item.added" and event.get("response_id"):
            made = self._response(event["response_id"])
            made.item_ids.append(event["item"]["id"])
            if event["item"]["type"] == "function_call":
                made.calls.append(event["item"]["name"])

    def _response(self, response_id: str) -> Spoken:
        return self.spoken.setdefault(response_id, Spoken(response_id))

    # Looking at it

    def said(self, words: str) -> Spoken | None:
        """The response whose text begins with these words, or that called this function."""
        for spoken in self.spoken.values():
            if spoken.words.startswith(words) or words in spoken.calls:
                return spoken
        return None

    def sent(self, kind: str | None = None) -> list[Json]:
        """The client's events, of one type perhaps, over all connections."""
        return [
            event.event
            for event in self.wire
            if event.way == "client" and kind in (None, event.kind)
        ]

    def told(self, kind: str) -> list[Json]:
        """The server's events of one type."""
        return [event.event for event in self.wire if event.way == "server" and event.kind == kind]

    def readers(self) -> list[str]:
        """Readers that got audio, in the order of their first piece."""
        return list(dict.fromkeys(str(seen["reader"]) for seen in self.seen.of("audio")))

    def heard(self, reader: str) -> list[speech.Span]:
        """What one reader got, as unbroken runs of milliseconds of one response each."""
        return speech.spans(self.seen.audio(reader=reader))

    def heard_of(self, spoken: Spoken) -> list[tuple[str, speech.Span]]:
        """Who got what of one response."""
        return [
            (reader, span)
            for reader in self.readers()
            for span in self.heard(reader)
            if span.tag == spoken.tag
        ]

    def trace(self) -> tuple[Line, ...]:
        """The exchange and what the user had of it, as lines in order of time."""
        names = {
            spoken.id: spoken.words.rstrip(".") for spoken in self.spoken.values() if spoken.words
        }
        tracer = Tracer(names)
        lines = [self._shown(tracer, event) for event in self.wire]
        lines += [
            tracer.note(seen["at"] * 1000, self._told(seen))
            for seen in self.seen
            if seen["saw"] not in _NOT_SHOWN
        ]
        lines += [tracer.note(at * 1000, what) for at, what in self._notes]
        begin = self.wire[0].at * 1000 if self.wire else 0.0
        moved = [msgspec.structs.replace(line, at_ms=line.at_ms - begin) for line in lines]
        return tuple(sorted(moved, key=lambda line: line.at_ms))

    def _shown(self, tracer: Tracer, event: WireEvent) -> Line:
        if event.way == "gone":
            return tracer.note(event.at * 1000, f"connection {event.connection + 1} is gone")
        side = Side.CLIENT if event.way == "client" else Side.SERVER
        line = tracer.line(event.at * 1000, side, event.event)
        if "audio_ms" in event.event:
            line = msgspec.structs.replace(line, text=f"{event.kind} {event.event['audio_ms']} ms")
        return line

    def _told(self, observation: Json) -> str:
        facts = {k: v for k, v in observation.items() if k not in ("at", "saw")}
        if observation["saw"] != "audio":
            return f"the client: {observation['saw']} {_short(facts) if facts else ''}".rstrip()
        names: dict[int | None, str] = {
            spoken.tag: spoken.words.rstrip(".") or spoken.id for spoken in self.spoken.values()
        }
        what = ", ".join(
            f"{names.get(span.tag, 'unknown audio')!r} {span.start_ms}-{span.end_ms} ms"
            for span in speech.spans(base64.b64decode(observation["pcm"]))
        )
        return f"{observation['reader']!r} hears {what}"


def _read(frame: bytes) -> Json:
    try:
        event = json.loads(frame)
    except ValueError:
        return {"type": "(no JSON)", "bytes": len(frame)}
    if not isinstance(event, dict):
        return {"type": "(no object)", "bytes": len(frame)}
    kind = event.get("type")
    if kind == "response.output_audio.delta" and isinstance(event.get("delta"), str):
        event["audio_ms"] = len(event.pop("delta")) * 3 // 4 // PCM_BYTES_PER_MS
    elif kind == "input_audio_buffer.append" and isinstance(event.get("audio"), str):
        event["audio_ms"] = len(event.pop("audio")) * 3 // 4 // PCM_BYTES_PER_MS
    return event


def _short(value: Json, limit: int = 240) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"
