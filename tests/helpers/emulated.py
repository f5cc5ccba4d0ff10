"""Drive an emulator engine by hand: send events, let time pass, look at what came back.

client = Emulated(Behaviour(cancel_latency_ms=50), Script([say("Hello.")]))
created = client.create()["response"]["id"]
client.run(1.0)
assert client.kinds() == [...]
"""

import json
from typing import Any

import pybase64

from antiphon.emulator import (
    Abort,
    Ask,
    Behaviour,
    CloseConnection,
    Drop,
    Engine,
    Faults,
    Proceed,
    Script,
    SendFrame,
    SendHalfFrame,
    ServerEffect,
)
from antiphon.emulator.engine.handshake import Opening
from antiphon.emulator.faculties.work import (
    NO_FACULTIES,
    Ended,
    Faculties,
    Failed,
    Heard,
    Result,
    Work,
)

__all__ = ["Emulated", "Json", "user_text"]

Json = dict[str, Any]


def user_text(words: str, **fields: Any) -> Json:
    """A user message item."""
    content = [{"type": "input_text", "text": words}]
    return {"type": "message", "role": "user", "content": content, **fields}


class Emulated:
    """A client that sees every event with its time. Connected from the start, at time 0.

    Attributes:
        events: every event received since `forget`, oldest first.
        times: when each of them came, in seconds.
        ended: the effects that ended the connection.
        work: what the engine asked for and has neither got nor dropped, by id.
        proceeded: ids of the work of which a piece was used up, in order.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        opening: Opening | None = None,
        model: str = "",
        keep_hello: bool = False,
        faculties: Faculties = NO_FACULTIES,
    ) -> None:
        self.engine = Engine(
            behaviour, script, seed=seed, faults=faults, model=model, faculties=faculties
        )
        self.work: dict[int, Work] = {}
        self.proceeded: list[int] = []
        self.now = 0.0
        self.events: list[Json] = []
        self.times: list[float] = []
        self.frames: list[bytes] = []
        self.ended: list[ServerEffect] = []
        self._sent = 0
        self._take(self.engine.connect(0.0, opening))
        if not keep_hello:
            self.forget()

    def forget(self) -> None:
        """Start looking anew."""
        self.events.clear()
        self.times.clear()
        self.frames.clear()

    def send(self, kind: str, **fields: Any) -> list[Json]:
        """Send an event; what came back at once. Its id is `c1`, `c2`, … unless given."""
        self._sent += 1
        return self.send_raw({"type": kind, "event_id": f"c{self._sent}", **fields})

    def send_raw(self, event: Any) -> list[Json]:
        """Send any JSON value, or bytes as they are."""
        before = len(self.events)
        frame = event if isinstance(event, bytes) else json.dumps(event).encode()
        self._take(self.engine.receive(frame, self.now))
        return self.events[before:]

    def run(self, seconds: float) -> list[Json]:
        """Let time pass; what came meanwhile."""
        before = len(self.events)
        until = self.now + seconds
        while (due := self.engine.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self._take(self.engine.advance(self.now))
        self.now = until
        return self.events[before:]

    def answer(self, work_id: int, *results: Result) -> list[Json]:
        """Bring what came of work; what came back at once."""
        before = len(self.events)
        for result in results:
            if isinstance(result, Heard | Ended | Failed):
                self.work.pop(work_id, None)
            self._take(self.engine.answered(work_id, result, self.now))
        return self.events[before:]

    # Frequent events

    def create(self, **params: Any) -> Json:
        """`response.create`; its first reply: `response.created` or `error`."""
        replies = self.send("response.create", **({"response": params} if params else {}))
        return replies[0] if replies else {}

    def created_id(self, **params: Any) -> str:
        """`response.create` that must succeed; the response's id."""
        reply = self.create(**params)
        assert reply.get("type") == "response.created", reply
        return str(reply["response"]["id"])

    def out_of_band(self, **params: Any) -> str:
        """An out-of-band response's id."""
        return self.created_id(conversation="none", **params)

    def cancel(self, response_id: str | None = None) -> list[Json]:
        """`response.cancel`."""
        return self.send("response.cancel", **({"response_id": response_id} if response_id else {}))

    def configure(self, **session: Any) -> Json:
        """`session.update` that must succeed; the session."""
        reply = self.send("session.update", session={"type": "realtime", **session})[0]
        assert reply["type"] == "session.updated", reply
        updated: Json = reply["session"]
        return updated

    def speak(self, pcm: bytes) -> list[Json]:
        """Append audio."""
        return self.send("input_audio_buffer.append", audio=pybase64.b64encode_as_string(pcm))

    def error(self, kind: str, **fields: Any) -> Json:
        """Send an event that must be refused, and nothing else; the error object."""
        (reply,) = self.send(kind, **fields)
        assert reply["type"] == "error", reply
        error: Json = reply["error"]
        return error

    # What came

    def kinds(self, *, of: str | None = None) -> list[str]:
        """Types of what came; `of` one response only."""
        return [event["type"] for event in self.of(of)]

    def of(self, response_id: str | None) -> list[Json]:
        """Events that name this response; all, for None."""
        return [
            event
            for event in self.events
            if response_id is None
            or response_id in (event.get("response_id"), (event.get("response") or {}).get("id"))
        ]

    def all(self, kind: str) -> list[Json]:
        """Events of one type."""
        return [event for event in self.events if event["type"] == kind]

    def one(self, kind: str) -> Json:
        """The only event of a type."""
        (event,) = self.all(kind)
        return event

    def done(self, response_id: str) -> Json:
        """The response as its only `response.done` has it."""
        found = [
            event["response"]
            for event in self.all("response.done")
            if event["response"]["id"] == response_id
        ]
        (response,) = found
        resource: Json = response
        return resource

    def audio(self, response_id: str) -> bytes:
        """All audio of a response."""
        return b"".join(
            pybase64.b64decode(event["delta"])
            for event in self.of(response_id)
            if event["type"] == "response.output_audio.delta"
        )

    def time_of(self, kind: str) -> float:
        """When the only event of a type came."""
        (when,) = [
            time
            for event, time in zip(self.events, self.times, strict=True)
            if event["type"] == kind
        ]
        return when

    def _take(self, effects: list[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case SendFrame(data):
                    self.frames.append(data)
                    try:
                        self.events.append(json.loads(data))
                    except ValueError:
                        self.events.append({"type": "(malformed)"})
                    self.times.append(self.now)
                case Ask(work_id, work):
                    self.work[work_id] = work
                case Proceed(work_id):
                    self.proceeded.append(work_id)
                case Drop(work_id):
                    del self.work[work_id]
                case CloseConnection() | Abort() | SendHalfFrame():
                    self.ended.append(effect)
