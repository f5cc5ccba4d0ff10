"""Wrong on plain connections."""

import asyncio
from typing import Any

import antiphon
from antiphon.bench.prove.adapters.antiphon_session import AntiphonClient
from antiphon.bench.prove.adapters.stage import PLAYER, Client, Stage
from tests.prove.control.spoilt import Spoilt, wrong

__all__ = ["RIGHT"]


# Hearing


@wrong
class _Deaf(Spoilt):
    """Tells nothing, and does not interrupt."""

    def spoil(self, told: dict[str, Any]) -> None:
        return None

    async def interrupt(self) -> None:
        pass


@wrong
class _Mixing(Spoilt):
    """One output for everything."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any]:
        return {**told, "reader": PLAYER} if told["saw"] == "audio" else told


@wrong
class _SingleSlot(Spoilt):
    """The newest response takes over whatever comes, and whatever ends, ends it."""

    current = ""

    def start_reading(self, reader: str, handle: antiphon.ResponseHandle) -> None:
        self.current = reader
        super().start_reading(reader, handle)

    def spoil(self, told: dict[str, Any]) -> dict[str, Any]:
        return {**told, "reader": self.current} if "reader" in told else told


@wrong
class _FirstCome(Spoilt):
    """Takes the first response announced for the first one asked for."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._announced: list[str] = []

    def look(self, event: Any) -> None:
        if event.type == "response.created":
            self._announced.append(event.response.id)

    def spoil(self, told: dict[str, Any]) -> dict[str, Any]:
        reader = told.get("reader")
        if reader in self.handles and self.handles[reader].id in self._announced:
            place = self._announced.index(self.handles[reader].id or "")
            return {**told, "reader": list(self.handles)[place]}
        return told


@wrong
class _DropsSecondMessage(Spoilt):
    """Hears the first message of a response only."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        if told["saw"] == "audio" and len(self.handles[told["reader"]].item_ids) > 1:
            return None
        return told


@wrong
class _WaitsForCreated(Spoilt):
    """Knows no response that was not announced."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._announced: set[str] = set()

    def look(self, event: Any) -> None:
        if event.type == "response.created":
            self._announced.add(event.response.id)

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        reader = told.get("reader")
        if reader in self.handles and self.handles[reader].id not in self._announced:
            return None
        return told


@wrong
class _WaitsForItems(Spoilt):
    """Notices the end of a response only if it had an item."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        if told["saw"] == "ended" and not self.handles[told["reader"]].item_ids:
            return None
        return told


@wrong
class _ForgetsReaders(Spoilt):
    """Tells nobody that the connection took his response away."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        return None if told["saw"] == "ended" and told["how"] == "lost" else told


@wrong
class _HidesFailures(Spoilt):
    """All is always well."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        if told["saw"] == "error":
            return None
        return {**told, "how": "completed", "error": ""} if told["saw"] == "ended" else told


# Dying


@wrong
class _DiesOfErrors(Spoilt):
    """Interrupts by a cancel without id as well, and reads no more after any error."""

    async def interrupt(self) -> None:
        await super().interrupt()
        self.bare_cancel()

    def look(self, event: Any) -> None:
        if event.type == "error":
            self.stage.tell("error", what=event.error.code)
            self.dead = True


@wrong
class _DiesOfTheUnknown(Spoilt):
    """Reads no more after something that it does not know."""

    def look(self, event: Any) -> None:
        unknown = isinstance(event, antiphon.wire.base.UnknownEvent)
        if unknown or getattr(event, "item_id", None) == "item_nobody_knows":
            self.dead = True


# Interrupting


@wrong
class _BareCancel(Spoilt):
    """Interrupts by one cancel without id."""

    async def interrupt(self) -> None:
        self.bare_cancel()


@wrong
class _PlaysOn(Spoilt):
    """Cancels, and plays what comes all the same."""

    async def interrupt(self) -> None:
        for handle in self.session.in_flight:
            self.session.send_raw({"type": "response.cancel", "response_id": handle.id})


@wrong
class _CancelsAll(Spoilt):
    """Whatever stops one, and whatever fails, stops all."""

    async def cancel(self, *, reader: str) -> None:
        await self.interrupt()

    def look(self, event: Any) -> None:
        failed = event.type == "response.done" and event.response.status == "failed"
        if failed or event.type == "input_audio_buffer.speech_started":
            _ = self.session.interrupt()


@wrong
class _EarlyReceipt(Spoilt):
    """Takes a cancel that was sent for a response that was stopped."""

    async def interrupt(self) -> None:
        told = [{"id": handle.id, "outcome": "cancelled"} for handle in self.session.in_flight]
        _ = self.session.interrupt()
        self.stage.tell("receipt", entries=told)


@wrong
class _WaitsForDone(Spoilt):
    """Waits for the server's word, however long that takes."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        return None if told["saw"] == "receipt" else told


# Asking


@wrong
class _AsksAtOnce(Spoilt):
    """Asks whether or not the conversation is free."""

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        _ = self.session.send_text(words)
        self.start_reading(reader, self.session.create_response(on_busy="send"))


@wrong
class _AsideFreesTheLane(_AsksAtOnce):
    """Takes any end for the end of the reply."""

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        if not self.handles:
            await Spoilt.ask(self, reader=reader, words=words)
        else:
            await super().ask(reader=reader, words=words)


@wrong
class _LosesRefusals(_AsksAtOnce):
    """Tells nobody that the server refused his response."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        return None if told["saw"] == "ended" and told["how"] == "rejected" else told


@wrong
class _SpeaksAfterGivingUp(Spoilt):
    """Tells that it has given a reply up, and plays it when it comes."""

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        await super().ask(reader=reader, words=words, patience=60)
        asyncio.get_running_loop().call_later(
            patience or 5, lambda: self.stage.tell("ended", reader=reader, how="timed out")
        )


# Tools


@wrong
class _Toolless(Spoilt):
    """Never answers a call."""

    def answer_calls(self, reader: str, calls: list[antiphon.FunctionCall]) -> None:
        pass


@wrong
class _AnswersEachCall(Spoilt):
    """Asks for a reply for each call."""

    def answer_calls(self, reader: str, calls: list[antiphon.FunctionCall]) -> None:
        for place, call in enumerate(calls):
            super().answer_calls(f"{reader} {place}", [call])


@wrong
class _AnswersInAnyCase(Spoilt):
    """Runs the functions itself, and asks for a reply whatever has come between."""

    def answer_calls(self, reader: str, calls: list[antiphon.FunctionCall]) -> None:
        self.stage.tell("tool", city="Oslo")
        later = asyncio.get_running_loop().call_later
        later(1.0, lambda: AntiphonClient.answer_calls(self, reader, calls))


@wrong
class _RunsCutCalls(Spoilt):
    """Runs a function as soon as its arguments seem to be done."""

    def look(self, event: Any) -> None:
        if event.type == "response.function_call_arguments.done":
            self.stage.tell("called", reader="", name="get_weather", arguments=event.arguments)


@wrong
class _DiesOfBadArguments(Spoilt):
    """Reads no more after arguments that cannot be parsed."""

    def answer_calls(self, reader: str, calls: list[antiphon.FunctionCall]) -> None:
        try:
            for call in calls:
                call.parsed()
        except ValueError:
            self.dead = True


# Truncating


@wrong
class _TruncatesBlindly(Spoilt):
    """Passes on what it is told."""

    def first_item(self, reader: str) -> str:
        return self.handles[reader].item_ids[0]

    async def truncate(self, *, reader: str, heard_ms: int) -> None:
        self.session.send_raw(
            {
                "type": "conversation.item.truncate",
                "item_id": self.first_item(reader),
                "content_index": 0,
                "audio_end_ms": heard_ms,
            }
        )


@wrong
class _TruncatesTheFirst(_TruncatesBlindly):
    """Takes every response for one message."""

    async def truncate(self, *, reader: str, heard_ms: int) -> None:
        await super().truncate(reader=reader, heard_ms=min(heard_ms, 600))


@wrong
class _TakesNothingForAll(Spoilt):
    """Does not truncate at nothing."""

    async def truncate(self, *, reader: str, heard_ms: int) -> None:
        if heard_ms:
            await super().truncate(reader=reader, heard_ms=heard_ms)


# Connections


@wrong
class _NeverReconnects(Spoilt):
    """Does not come back, and says nothing."""

    settings = {"reconnect": antiphon.ReconnectPolicy(attempts=0)}

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        return None if told["saw"] == "connection" else told


@wrong
class _ForgetsTheConversation(Spoilt):
    """Comes back knowing nothing."""

    settings = {"replay": lambda snapshot: antiphon.Snapshot(session=snapshot.session)}


@wrong
class _ReconnectsForEver(Spoilt):
    """Knocks again at once, however often it is turned away."""

    async def open(self, **how: Any) -> None:
        await super().open(**how)
        self.session.on("closed", lambda _: self._again(how))
        self.session.on("disconnected", lambda _: self._again(how))

    def _again(self, how: dict[str, Any]) -> None:
        async def again() -> None:
            await self.session.close()
            await asyncio.sleep(0.02)
            await self.open(**how)

        self.spawn(again())


# Items


@wrong
class _HangsOnRefusals(Spoilt):
    """Waits for what was refused."""

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        return None if told["saw"] == "answered" and not told["ok"] else told


@wrong
class _DeletesCalls(Spoilt):
    """Takes what is not in its copy for what is to be deleted."""

    copy: tuple[Any, ...] = ()

    async def remember(self) -> None:
        self.copy = tuple(item.id for item in self.session.items)

    async def rewrite(self, *, words: str) -> None:
        for item in self.session.items:
            if item.id and item.id not in self.copy:
                _ = self.session.delete_item(item.id)
        await self.note(words=words)


# For what the plain session leaves to its user: a user who does it right.


class _AnswersUnlessInterrupted(Spoilt):
    """Runs the functions itself, and asks for no reply that was interrupted."""

    _interrupted = False

    async def interrupt(self) -> None:
        self._interrupted = True
        await super().interrupt()

    def answer_calls(self, reader: str, calls: list[antiphon.FunctionCall]) -> None:
        self.stage.tell("tool", city="Oslo")

        def answer() -> None:
            if not self._interrupted:
                AntiphonClient.answer_calls(self, reader, calls)

        asyncio.get_running_loop().call_later(1.0, answer)


class _AddsToTheCopy(Spoilt):
    """Takes a copy for what was there, and lets be what came since."""

    async def remember(self) -> None:
        pass

    async def rewrite(self, *, words: str) -> None:
        await self.note(words=words)


RIGHT: dict[str, type[Client]] = {
    "a-tool-that-ends-after-the-interruption": _AnswersUnlessInterrupted,
    "a-call-not-in-the-copy": _AddsToTheCopy,
}
