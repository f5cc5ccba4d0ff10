"""The other end of a call: what the caller hears, and a second program that has joined the call.

The client has no audio on a call: what is heard is taken from the call's own media, on the clock.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from antiphon.bench.prove.play import LATE_S, SOON_S, Play
from antiphon.bench.prove.record import Json, Record, Spoken
from antiphon.bench.prove.scenario import Failure
from antiphon.emulator import SendFrame, ServerEffect
from antiphon.emulator.audio import speech
from antiphon.emulator.engine.lines import LineKind

__all__ = ["Ear", "Telephone"]

# What is cleared within that time is taken for stopped: both ends of the call have answered long
# before, and a caller who interrupts has not said a second sentence yet.
QUIET_S = 1.0
# Any sound would have come in that time.
LISTEN_S = 0.4
_GOES_ON = "after the interruption the caller goes on hearing what was to be stopped"


class Ear:
    """Plays what a call's gateway gives it, and knows what was heard by now.

    Args:
        clock: the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Audio in the order of playing: when it begins, and what it is.
        self._pieces: list[tuple[float, speech.Span]] = []
        self._end = 0.0

    def play(self, data: bytes) -> None:
        """Play this after what was given before: PCM16, little-endian, 24 kHz, mono."""
        begin = max(self._clock(), self._end)
        for span in speech.spans(data):
            self._pieces.append((begin, span))
            begin += (span.end_ms - span.start_ms) / 1000
        self._end = begin

    def hush(self) -> None:
        """Forget what was not played."""
        self._pieces = self._played()
        self._end = self._clock()

    def close(self) -> None:
        """The call is over."""
        self.hush()

    def heard(self) -> list[speech.Span]:
        """What was heard, as unbroken runs of one response each."""
        runs: list[speech.Span] = []
        for _, span in self._played():
            if runs and (runs[-1].tag, runs[-1].end_ms) == (span.tag, span.start_ms):
                span = speech.Span(span.tag, runs.pop().start_ms, span.end_ms)
            runs.append(span)
        return runs

    def _played(self) -> list[tuple[float, speech.Span]]:
        now, played = self._clock(), []
        for begin, span in self._pieces:
            heard_ms = int((now - begin) * 1000 + 0.001)
            if heard_ms > 0:
                end_ms = min(span.end_ms, span.start_ms + heard_ms)
                played.append((begin, speech.Span(span.tag, span.start_ms, end_ms)))
        return played


class Telephone:
    """A call that was accepted.

    Args:
        play: the scenario.
        vad: with server VAD, so that a caller who speaks interrupts.

    Attributes:
        call: as the emulator has it.
        ear: what the caller hears.
        witness: all that happens in the session, whoever is on which line.
    """

    def __init__(self, play: Play, *, vad: bool = False) -> None:
        clock = asyncio.get_running_loop().time
        self._play = play
        self._vad = vad
        self.call = play.calls.ring([("From", "sip:caller@example.org")])
        self.ear = Ear(clock)
        self.call.media = self.ear
        detection = {"type": "server_vad"} if vad else None
        play.record.note("a telephone call is accepted")
        self.call.accept({"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
        self.witness = Record(clock)
        self.witness.on_news = play.record.on_news
        self._line = self.call.join(LineKind.DATA_CHANNEL, self._witnessed, faultless=True)
        self.call.flush()

    def _witnessed(self, effects: list[ServerEffect]) -> None:
        for effect in effects:
            if isinstance(effect, SendFrame):
                self.witness.watch(self.call.engine, "server", effect.data)

    # The client

    async def join(self, *, tool: bool = False) -> None:
        """Have the client join the call, and wait until it has."""
        await self._play.do("open_call", **self.where(tool=tool))
        joined = await self._play.until(lambda: self.call.joined, LATE_S)
        self._play.check(joined, "it never joins the call, which goes on unsteered")

    def where(self, *, tool: bool = False) -> Json:
        """What `open_call` tells the client."""
        return {**self._play.where, "call_id": self.call.id, "vad": self._vad, "tool": tool}

    def cut(self) -> None:
        """Cut the client's line, without a close frame; the call lives on."""
        self._play.record.note("the client's line is cut, and the call lives on")
        self.call.cut_sidebands()

    # The caller

    def speaks(self, ms: float = 300) -> None:
        """The caller speaks, from now on and for so long."""
        self._play.record.note(f"the caller speaks for {ms:g} ms")
        self.call.speech(ms)

    def hangs_up(self) -> None:
        """The caller hangs up."""
        self._play.record.note("the caller hangs up")
        self.call.hang_up()

    def heard_ms(self, words: str) -> int:
        """How much of a response the caller has heard by now."""
        said = self.witness.said(words)
        spans = self.ear.heard() if said is not None else []
        return sum(one.end_ms - one.start_ms for one in spans if said and one.tag == said.tag)

    async def hears(self, words: str, ms: int = 300, within_s: float = LATE_S) -> None:
        """Wait until the caller has heard so much of a response."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while (heard := self.heard_ms(words)) < ms:
            if loop.time() >= end:
                raise Failure(f"the caller never hears {words!r}", f"{heard} of {ms} ms")
            await self._play.pass_time(0.02)
        self._play.record.note(f"the caller has heard {heard} ms of {words!r}")

    async def hears_all(self, words: str, length_ms: int, loss: str) -> None:
        """Wait until the caller has heard a response whole, once and in order."""
        try:
            await self.hears(words, length_ms, length_ms / 1000 + LATE_S)
        except Failure as failure:
            raise Failure(loss, failure.because) from None
        tag = self.said(words).tag
        spans = [one for one in self.ear.heard() if one.tag == tag]
        self._play.check(spans == [speech.Span(tag, 0, length_ms)], loss, str(spans))

    async def falls_silent(
        self, *many: str, after_s: float = QUIET_S, loss: str = _GOES_ON
    ) -> None:
        """Check that the caller, some time from now, hears no more of these."""
        await self._play.pass_time(after_s)
        before = [self.heard_ms(words) for words in many]
        await self._play.pass_time(LISTEN_S)
        for words, ms in zip(many, before, strict=True):
            heard = self.heard_ms(words)
            self._play.record.note(f"the caller has heard {heard} ms of {words!r}")
            self._play.check(
                heard == ms, loss, f"{heard} ms of {words!r} are heard, and it goes on"
            )

    # The session

    def said(self, words: str) -> Spoken:
        """The response that begins with these words; it must have begun."""
        found = self.witness.said(words)
        assert found is not None, f"{words!r} was not said"
        return found

    async def begins(self, words: str, within_s: float = LATE_S) -> Spoken:
        """Wait until the server has begun to say this."""
        found = await self._play.until(lambda: self.witness.said(words), within_s)
        if found is None:
            raise Failure(f"{words!r} is never said", "the server was not asked for it, or failed")
        return found

    async def over(self, words: str, within_s: float = LATE_S) -> Spoken:
        """Wait until the server has generated all of this, or was stopped."""
        found = await self.begins(words, within_s)
        if not await self._play.until(lambda: found.status is not None, within_s):
            raise Failure(f"{words!r} never ends", "no response.done")
        return found

    async def stopped(self, words: str) -> None:
        """Check that the server is made to stop generating this, and soon."""
        found = self.said(words)
        await self._play.until(lambda: found.status is not None, SOON_S)
        cancels = [
            one.get("response_id", "(no id)") for one in self._play.record.sent("response.cancel")
        ]
        self._play.check(
            found.status == "cancelled",
            f"after the interruption the server goes on with {words!r}, heard or not",
            f"it is {found.status or 'in progress'}; sent: {cancels}",
        )

    def other(self, kind: str, **fields: Any) -> None:
        """Another program that has joined the call sends an event."""
        self._play.record.note(f"another program on the call sends {kind}")
        frame = json.dumps({"type": kind, **fields})
        self.call.receive(self._line, frame, True)
