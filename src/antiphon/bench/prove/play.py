"""What a scenario can do: command the client, wait for something, and look at what came of it."""

import asyncio
import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from antiphon.bench.prove.record import Json, Record, Spoken
from antiphon.bench.prove.scenario import Failure, NotApplicable
from antiphon.emulator.audio import speech
from antiphon.emulator.running.exchange import Exchange

__all__ = ["PLAYER", "Channel", "ClientGone", "Play"]

T = TypeVar("T")
# The reader's name of a client that has one output for all that is said.
PLAYER = "player"
# The first command of a process pays for its imports, with cold caches.
FIRST_ANSWER_S = 90.0
ANSWER_S = 12.0
# What a server or a client that does what it should has long done; hit by failures only.
SOON_S = 1.5
LATE_S = 5.0


class ClientGone(Exception):
    """The client's process died, or talked without end."""


class Channel(Protocol):
    """The way to a client, wherever it runs."""

    def send(self, command: Json) -> None:
        """Give it a command; what it says comes to the record.

        Raises:
            ClientGone: nobody is there any more.
        """

    @property
    def warm(self) -> bool:
        """Whether it has answered before."""

    @property
    def gone(self) -> str:
        """Why nothing can come any more; empty while something can."""


class Play:
    """One scenario under way.

    Args:
        channel: the way to the client.
        record: where all is noted.
        cut: ends all connections without a close frame.
        where: what `open` tells the client of the server.
        calls: the server's browser and telephone calls.
    """

    def __init__(
        self,
        channel: Channel,
        record: Record,
        cut: Callable[[], None],
        where: Json,
        calls: Exchange,
    ) -> None:
        self.record = record
        self.calls = calls
        self._channel = channel
        self._cut = cut
        self.where = where
        self._news = asyncio.Event()
        self._commands = 0
        self._readers: list[str] = []
        self._asides = 0
        self._seen_replies = 0
        self._replies: dict[int, Json] = {}
        record.on_news = self._news.set

    # Commands

    async def open(self, *, text: bool = False, vad: bool = False, tool: bool = False) -> None:
        """Have the client connect: for text or speech, with turn detection, with a tool."""
        await self.do("open", **self.where, text=text, vad=vad, tool=tool)

    async def do(self, command: str, **arguments: Any) -> Json:
        """Give a command and wait until the client has carried it out.

        Raises:
            NotApplicable: the client has no such thing.
            Failure: it raised, or did not come back.
        """
        return await self.answer_to(self.begin(command, **arguments), command)

    async def warm_up(self) -> None:
        """Have the client's process started, so that the next command is not delayed by that."""
        with suppress(NotApplicable, Failure):
            await self.do("close")

    def begin(self, command: str, **arguments: Any) -> int:
        """Give a command and go on; `answer_to` waits for it."""
        self._commands += 1
        if command in ("ask", "aside"):
            self._readers.append(arguments["reader"])
            self._asides += command == "aside"
        self._channel.send({"n": self._commands, "do": command, **arguments})
        return self._commands

    async def answer_to(self, number: int, command: str) -> Json:
        """Wait until a command was carried out."""
        patience = ANSWER_S if self._channel.warm else FIRST_ANSWER_S
        reply = await self.until(lambda: self._reply(number), patience)
        if reply is None:
            if self._channel.gone:
                raise ClientGone(self._channel.gone)
            raise Failure(f"the program hangs in {command}", f"no answer after {patience:g} s")
        if reply["saw"] == "unsupported":
            raise NotApplicable(str(reply.get("why") or f"it has no {command}"))
        if reply["saw"] == "failed":
            raise Failure(f"{command} raises an exception", str(reply.get("trace"))[-1500:])
        return reply

    def _reply(self, number: int) -> Json | None:
        for seen in self.record.seen[self._seen_replies :]:
            if "n" in seen and seen["saw"] in ("ok", "unsupported", "failed"):
                self._replies[int(seen["n"])] = seen
        self._seen_replies = len(self.record.seen)
        return self._replies.get(number)

    async def ask(self, reader: str, words: str, **more: Any) -> None:
        """Say something as the user, and have it answered in the default conversation."""
        await self.do("ask", reader=reader, words=words, **more)

    async def aside(self, reader: str, words: str) -> None:
        """Ask for a response beside the conversation."""
        await self.do("aside", reader=reader, words=words)

    def cut(self) -> None:
        """Cut all connections, without a close frame."""
        self._cut()

    # Waiting

    async def until(self, what: Callable[[], T | None], within_s: float) -> T | None:
        """Wait until there is something, and return it; None when it did not come in time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while True:
            found = what()
            if found:
                return found
            if self._channel.gone or loop.time() >= end:
                return None
            self._news.clear()
            try:
                async with asyncio.timeout_at(end):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        await self.until(lambda: None, seconds)

    async def sent(self, words: str, ms: int = 100, within_s: float = LATE_S) -> Spoken:
        """Wait until the server has sent so much of a response.

        Raises:
            Failure: it never did.
            NotApplicable: since the client lets nothing run beside what runs.
        """

        def enough() -> Spoken | None:
            found = self.record.said(words)
            return found if found is not None and found.audio_ms >= ms else None

        found = await self.until(enough, within_s)
        if found is None:
            self.one_at_a_time()
            raise Failure(f"{words!r} is never said", "the server was not asked for it, or failed")
        return found

    def one_at_a_time(self) -> None:
        """Give up where the client lets no response run beside another.

        Raises:
            NotApplicable: it holds back what was asked for out of band.
        """
        if self._asides and len(self.record.sent("response.create")) < len(self._readers):
            raise NotApplicable("it lets one response run at a time")

    async def heard(self, words: str, ms: int = 100, within_s: float = LATE_S) -> Spoken:
        """Wait until somebody at the client has heard so much of a response."""
        found = await self.sent(words, min(ms, 100), within_s)
        await self.until(lambda: self.total_ms(found) >= ms, within_s)
        if self.total_ms(found) < ms:
            raise Failure(
                f"{words!r} is not heard", f"{self.total_ms(found)} of {ms} ms reached a reader"
            )
        return found

    async def over(self, words: str, within_s: float = LATE_S) -> Spoken:
        """Wait until the server has ended a response."""

        def ended() -> Spoken | None:
            found = self.record.said(words)
            return found if found is not None and found.status else None

        found = await self.until(ended, within_s)
        if found is None:
            raise Failure(f"{words!r} never ends", "no response.done")
        return found

    async def ended(self, reader: str, within_s: float = LATE_S, loss: str = "") -> Json:
        """Wait until the client has told that this reader's reply is over."""
        found = await self.until(lambda: self.end_of(reader), within_s)
        if found is None:
            raise Failure(
                loss or f"whoever waits for the reply {reader!r} waits for ever",
                f"no end after {within_s:g} s",
            )
        return found

    async def comes(
        self, reader: str, words: str, length_ms: int, loss: str = "", within_s: float = 8.0
    ) -> None:
        """Wait until a reply has been heard, whole, by its reader."""

        def all_of_it() -> bool:
            found = self.record.said(words)
            return found is not None and self.total_ms(found) >= length_ms

        if not await self.until(all_of_it, within_s):
            self.check(self.record.said(words), loss or f"{words!r} is never said")
        self.whole(reader, words, length_ms)

    def end_of(self, reader: str) -> Json | None:
        """What the client told of the end of a reader's reply."""
        ends = self.record.seen.of("ended")
        mine = [seen for seen in ends if seen["reader"] == reader]
        # One output for all that is said: its ends come in the order of what was asked.
        place = self._readers.index(reader) if reader in self._readers else 0
        mine += [seen for seen in ends if seen["reader"] == PLAYER][place:]
        return mine[0] if mine else None

    # Looking

    def total_ms(self, spoken: Spoken) -> int:
        """How much of a response somebody has heard."""
        return sum(span.end_ms - span.start_ms for _, span in self.record.heard_of(spoken))

    def errors(self) -> list[str]:
        """What the client reported to its user as errors."""
        return [str(seen.get("what") or seen.get("code")) for seen in self.record.seen.of("error")]

    def failed(self, number: int) -> bool:
        """Whether a command that was begun has raised.

        Raises:
            NotApplicable: the client has no such thing.
        """
        reply = self._reply(number)
        if reply is not None and reply["saw"] == "unsupported":
            raise NotApplicable(str(reply.get("why")))
        return reply is not None and reply["saw"] == "failed"

    def check(self, right: Any, loss: str, because: str = "") -> None:
        """Fail unless something is so."""
        if not right:
            raise Failure(loss, because)

    def whole(self, reader: str, words: str, length_ms: int) -> None:
        """Check that one reader heard all of a response, in order, once, and nobody else any."""
        self.unmixed()
        spoken = self.record.said(words)
        if spoken is None:
            raise Failure(f"{words!r} is never said")
        got = self.record.heard_of(spoken)
        elsewhere = {who for who, _ in got} - {reader, PLAYER, spoken.id}
        told = ", ".join(f"{who}: {span.start_ms}-{span.end_ms} ms" for who, span in got[:8])
        self.check(
            not elsewhere,
            f"{words!r} is heard by the wrong reader ({', '.join(sorted(elsewhere))})",
            told,
        )
        spans = [span for _, span in got]
        self.check(
            spans == [speech.Span(spoken.tag, 0, length_ms)],
            f"{words!r} is heard with pieces missing, doubled or out of order",
            told or "nothing was heard",
        )

    def unmixed(self) -> None:
        """Check that no reader heard two responses at once."""
        names = {spoken.tag: spoken.words[:12] for spoken in self.record.spoken.values()}
        for reader in self.record.readers():
            tags = [span.tag for span in self.record.heard(reader)]
            runs = [tag for n, tag in enumerate(tags) if n == 0 or tag != tags[n - 1]]
            told = " / ".join(names.get(tag, "?") if tag else "?" for tag in runs[:12])
            self.check(
                len(runs) == len({*runs}),
                "two responses are mixed in one output: the caller hears scraps of both by turns",
                f"{reader} heard: {told}",
            )
            if reader != PLAYER:
                self.check(
                    len(runs) <= 1,
                    f"the reader {reader!r} hears another response's words",
                    f"{reader} heard: {told}",
                )

    async def nothing_more(self, *many: Spoken, within_s: float, since: int, loss: str) -> None:
        """Let time pass, and check that no audio of these reached anybody after an observation.

        Args:
            since: how many observations there were before.
        """
        await self.pass_time(within_s)
        tags = {spoken.tag for spoken in many}
        for seen in self.record.seen[since:]:
            if seen["saw"] == "audio" and seen.get("pcm"):
                late = {span.tag for span in speech.spans(base64.b64decode(seen["pcm"]))} & tags
                self.check(not late, loss, f"{seen['reader']} heard it at {seen['at']:.2f} s")
