"""Drive an emulated call by hand: attach, send events, let time pass, look at what came where.

call = OnCall(Behaviour(), Script([say("Hello.", ms=2000)]))
side = call.attach()
side.send("response.create")
call.run(1.0)
assert side.kinds() == [...]
"""

import json
from typing import Any

from antiphon.emulator import (
    Abort,
    Behaviour,
    CloseConnection,
    Faults,
    Script,
    SendFrame,
    ServerEffect,
)
from antiphon.emulator.engine.call import Call, CallKind
from antiphon.emulator.engine.lines import LineKind

__all__ = ["Controller", "Json", "OnCall"]

Json = dict[str, Any]


class Controller:
    """One line of a call, and all that came on it since `forget`.

    Attributes:
        events: oldest first.
        times: when each of them came, in seconds.
        ended: the effects that ended the connection.
    """

    def __init__(self, story: "OnCall", number: int) -> None:
        self.number = number
        self.events: list[Json] = []
        self.times: list[float] = []
        self.ended: list[ServerEffect] = []
        self._story = story
        self._sent = 0

    def send(self, kind: str, **fields: Any) -> list[Json]:
        """Send an event; what came back on this line at once. Its id is `c1`, `c2`, …."""
        self._sent += 1
        before = len(self.events)
        event = {"type": kind, "event_id": f"c{self._sent}", **fields}
        self._story.call.receive(self.number, json.dumps(event), self._story.now)
        self._story.take()
        return self.events[before:]

    def created_id(self, **params: Any) -> str:
        """`response.create` that must succeed; the response's id."""
        (reply, *_) = self.send("response.create", **({"response": params} if params else {}))
        assert reply["type"] == "response.created", reply
        return str(reply["response"]["id"])

    def clear(self) -> list[Json]:
        """`output_audio_buffer.clear`; what came back at once."""
        return self.send("output_audio_buffer.clear")

    def forget(self) -> None:
        """Start looking anew."""
        self.events.clear()
        self.times.clear()

    def kinds(self, *, only: str = "") -> list[str]:
        """Types of what came; `only` those that begin so."""
        return [event["type"] for event in self.events if event["type"].startswith(only)]

    def playback(self) -> list[tuple[str, Any]]:
        """The playback events in order: what happened, and to which response."""
        prefix = "output_audio_buffer."
        return [
            (event["type"].removeprefix(prefix), event.get("response_id"))
            for event in self.events
            if event["type"].startswith(prefix)
        ]

    def heard(self) -> list[int]:
        """What the truncations say was heard, in ms."""
        return [event["audio_end_ms"] for event in self.all("conversation.item.truncated")]

    def all(self, kind: str) -> list[Json]:
        """Events of one type."""
        return [event for event in self.events if event["type"] == kind]

    def one(self, kind: str) -> Json:
        """The only event of a type."""
        (event,) = self.all(kind)
        return event

    def time_of(self, kind: str) -> float:
        """When the only event of a type came."""
        (when,) = [
            time
            for event, time in zip(self.events, self.times, strict=True)
            if event["type"] == kind
        ]
        return when

    def apply(self, effects: list[ServerEffect], now: float) -> None:
        """What the call wants done on this line."""
        for effect in effects:
            match effect:
                case SendFrame(data):
                    self.events.append(json.loads(data))
                    self.times.append(now)
                case CloseConnection() | Abort():
                    self.ended.append(effect)


class OnCall:
    """A call that has begun at time 0.

    Attributes:
        call: it.
        now: the time, in seconds.
        asked: effects that are for no line: sound and work.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        script: Script | None = None,
        *,
        kind: CallKind = CallKind.WEBRTC,
        session: Json | None = None,
        faults: Faults | None = None,
        begin: bool = True,
    ) -> None:
        self.call = Call(behaviour, script, kind=kind, faults=faults)
        self.now = 0.0
        self.asked: list[ServerEffect] = []
        self._controllers: dict[int, Controller] = {}
        if begin:
            self.call.begin({"type": "realtime", **(session or {})}, 0.0)

    def attach(self, kind: LineKind = LineKind.SIDEBAND) -> Controller:
        """One more controller."""
        controller = Controller(self, self.call.attach(kind, self.now))
        self._controllers[controller.number] = controller
        self.take()
        return controller

    def data_channel(self) -> Controller:
        """The browser's own data channel."""
        return self.attach(LineKind.DATA_CHANNEL)

    def detach(self, controller: Controller) -> None:
        """That controller is gone."""
        self.call.detach(controller.number, self.now)
        self.take()

    def press(self, key: str) -> None:
        """The caller presses a key."""
        self.call.press(key, self.now)
        self.take()

    def speech(self, ms: float) -> None:
        """The user begins to speak."""
        self.call.speech(ms, self.now)
        self.take()

    def hang_up(self) -> None:
        """The media peer leaves."""
        self.call.hang_up(self.now)
        self.take()

    def end(self) -> None:
        """The call is hung up from here."""
        self.call.end(self.now)
        self.take()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while (due := self.call.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.call.advance(self.now)
            self.take()
        self.now = until

    def take(self) -> None:
        """Hand on what the call wants done."""
        self.asked += self.call.take()
        for number, effects in self.call.collect():
            self._controllers[number].apply(effects, self.now)
