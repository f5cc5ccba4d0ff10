"""Wrong on calls."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

import antiphon
from antiphon.bench.prove.adapters.stage import Client, Stage
from tests.prove.control.spoilt import Spoilt, wrong

__all__ = ["RIGHT"]

_CLEAR = {"type": "output_audio_buffer.clear"}


# Silencing


@wrong
class _OnlyClears(Spoilt):
    """Silences what is heard, and has the server go on."""

    async def interrupt(self) -> None:
        self.session.send_raw(_CLEAR)


@wrong
class _ClearsWhatHasBegun(Spoilt):
    """Clears if something is being heard by what came last, whichever response that was about."""

    heard = False

    def look(self, event: Any) -> None:
        if event.type.startswith("output_audio_buffer."):
            self.heard = event.type.endswith(".started")

    async def interrupt(self) -> None:
        for handle in self.session.in_flight:
            if handle.outcome is None:
                self.session.send_raw({"type": "response.cancel", "response_id": handle.id})
        if self.heard:
            self.session.send_raw(_CLEAR)


@wrong
class _ClearsForOne(Spoilt):
    """Clears the buffer for one response, whatever else is in it."""

    async def cancel(self, *, reader: str) -> None:
        await super().cancel(reader=reader)
        self.session.send_raw(_CLEAR)


@wrong
class _ClearsWhateverBegins(Spoilt):
    """Having interrupted, clears what begins to be heard next, whichever that is."""

    asked = False

    async def interrupt(self) -> None:
        await super().interrupt()
        self.asked = True

    def look(self, event: Any) -> None:
        if self.asked and event.type == "output_audio_buffer.started":
            self.session.send_raw(_CLEAR)


@wrong
class _StopsOnlyItsOwn(Spoilt):
    """Interrupts what it has asked for itself."""

    async def interrupt(self) -> None:
        mine = [one for one in self.handles.values() if not one.from_server]
        _ = self.session.interrupt([one for one in mine if one in self.session.in_flight])


# What was heard


@wrong
class _TakesDoneForHeard(Spoilt):
    """Takes a response that is generated for one that was heard."""

    async def until_heard(self, *, reader: str, patience: float) -> None:
        self.spawn(self._until_done(reader))

    async def _until_done(self, reader: str) -> None:
        await self.handles[reader].done
        self.stage.tell("heard_out", reader=reader, how="played")


@wrong
class _WaitsForTheNaturalEnd(Spoilt):
    """Waits until the last word was heard, although it never will be."""

    async def until_heard(self, *, reader: str, patience: float) -> None:
        def look(event: Any) -> None:
            if event.response_id == self.handles[reader].id:
                self.stage.tell("heard_out", reader=reader, how="played")

        self.session.on("output_audio_buffer.stopped", look)


@wrong
class _TruncatesWhatItWasGiven(Spoilt):
    """Takes the audio that it was given, which is none, for what was heard."""

    async def interrupt(self) -> None:
        for handle in self.session.in_flight:
            for item_id in handle.item_ids:
                place = {"item_id": item_id, "content_index": 0, "audio_end_ms": 0}
                self.session.send_raw({"type": "conversation.item.truncate", **place})
        await super().interrupt()


class _TellsOfTheHeard(Spoilt):
    """Puts another length into its receipts."""

    heard_ms: int | None = None

    def spoil(self, told: dict[str, Any]) -> dict[str, Any]:
        if told["saw"] != "receipt":
            return told
        entries = [{**entry, "heard_ms": self.heard_ms} for entry in told["entries"]]
        return {**told, "entries": entries}


@wrong
class _KnowsNothingOfWhatWasHeard(_TellsOfTheHeard):
    """Does not listen to what the server tells."""


@wrong
class _TakesAllForHeard(_TellsOfTheHeard):
    """Takes what was generated for heard."""

    heard_ms = 7000


# Joining, and others


@wrong
class _WaitsForAGreeting(Spoilt):
    """Has not joined before it was greeted."""

    async def open_call(self, **where: Any) -> None:
        await super().open_call(**where)
        greeted = asyncio.Event()
        self.session.on("session.created", lambda _: greeted.set())
        await greeted.wait()


@wrong
class _KnocksForEver(Spoilt):
    """Tries to join again, whatever it is told."""

    async def open_call(self, **where: Any) -> None:
        settings = {"api_key": "unused", "connector": self.stage.connector}
        while True:
            try:
                url, call_id = where["url"], where["call_id"]
                self.session = await antiphon.connect(url=url, call_id=call_id, **settings)
                return
            except antiphon.ConnectError:
                await asyncio.sleep(0.1)


@wrong
class _TakesAnySuccess(Spoilt):
    """Takes any change of the session for the one that it asked for."""

    async def configure(self, *, session: dict[str, Any]) -> None:
        tell = self.stage.tell
        self.session.on("session.updated", lambda _: tell("answered", ok=True))
        self.session.send_raw({"type": "session.update", "session": session})


@wrong
class _TakesAnyFailure(Spoilt):
    """Takes any error for one of its own."""

    async def note(self, *, words: str, after: str | None = None) -> None:
        await super().note(words=words, after=after)
        self.session.on("error", lambda _: self.stage.tell("answered", ok=False))


# Lines and their ends


@wrong
class _TellsAllAnew(Spoilt):
    """Tells the model everything again when its line is back."""

    async def open_call(self, **where: Any) -> None:
        await super().open_call(**where)
        self.session.on("reconnected", self._again)

    def _again(self, _: Any) -> None:
        for item in self.session.items:
            if item.role == "user":
                told = [{"type": "input_text", "text": part.text} for part in item.content or ()]
                message = {"type": "message", "role": "user", "content": told}
                self.session.send_raw({"type": "conversation.item.create", "item": message})


@wrong
class _ForgetsWhatIsHeard(Spoilt):
    """Takes nothing for heard once its line was lost."""

    lost = False

    def spoil(self, told: dict[str, Any]) -> dict[str, Any]:
        self.lost = self.lost or told["saw"] == "connection"
        return told

    async def interrupt(self) -> None:
        if not self.lost:
            await super().interrupt()


@wrong
class _HidesTheEnd(Spoilt):
    """Tells nobody that it is all over."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        over = told["saw"] == "ended" and told["how"] == "lost"
        return None if over or told["saw"] == "connection" else told


# The webhook


class _HasRung(Spoilt):
    """Joins nothing: all that it does is to take calls."""

    async def close(self) -> None:
        pass


@wrong
class _TakesEveryRing(_HasRung):
    """Takes whatever it is told of."""

    async def rung(self, *, body: str, headers: dict[str, str], secret: str) -> None:
        self.stage.tell("taken", call_id=json.loads(body)["data"]["call_id"])


# For what antiphon itself does not do.


class _TakesEachCallOnce(_HasRung):
    """Verifies, and remembers the deliveries that it has taken."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._seen: set[str] = set()

    async def rung(self, *, body: str, headers: dict[str, str], secret: str) -> None:
        when = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = Webhook(secret).sign(headers["webhook-id"], when, body)
        if headers["webhook-signature"] == expected and headers["webhook-id"] not in self._seen:
            self._seen.add(headers["webhook-id"])
            self.stage.tell("taken", call_id=json.loads(body)["data"]["call_id"])


RIGHT: dict[str, type[Client]] = {
    "told-of-a-call-again": _TakesEachCallOnce,
    "told-of-a-call-twice-at-once": _TakesEachCallOnce,
    "told-of-a-call-by-a-stranger": _TakesEachCallOnce,
}
