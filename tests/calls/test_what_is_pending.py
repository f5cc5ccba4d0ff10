"""A call that ends, or a line that is lost, with something pending (R-36, R-37, R-39).

What can no longer be known is told as lost; what was asked for and may not have been read is asked
for again; and nothing waits for ever.
"""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.emulator import Behaviour, Faults, MemoryConnector, Script, call, on, say, text
from antiphon.emulator.knobs.call_choices import OutputStarted
from antiphon.emulator.running.emulated_call import EmulatedCall
from antiphon.emulator.running.rest import HttpRequest
from tests.client.peer import soon, virtual

__all__: list[str] = []

LONG = say("One two three four five six seven eight nine ten.", ms=4000)
QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=0.1, max_delay=0.2)


def joining(wire: MemoryConnector, rung: EmulatedCall) -> Any:
    url = "ws://localhost/v1/realtime"
    return antiphon.connect(call_id=rung.id, url=url, connector=wire, reconnect=QUICK)


def frames(rung: EmulatedCall, kind: str) -> list[Any]:
    received: Any = rung.engine.received
    return [frame for frame in received if frame["type"] == kind]


def coming_back(session: antiphon.Session) -> asyncio.Event:
    back = asyncio.Event()
    session.on("reconnected", lambda _: back.set())
    return back


class Gone:
    """The way to the call, closed for so many seconds when a line is cut."""

    needs_key = False

    def __init__(self, wire: MemoryConnector, seconds: float) -> None:
        self._wire = wire
        self._seconds = seconds
        self._until = 0.0

    async def __call__(self, *line: Any) -> Any:
        if asyncio.get_running_loop().time() < self._until:
            raise antiphon.ConnectError("the network is down", retryable=True)
        return await self._wire(*line)

    def cut(self) -> None:
        self._until = asyncio.get_running_loop().time() + self._seconds
        self._wire.transports[-1].abort()


def joining_by(way: Any, rung: EmulatedCall) -> Any:
    url = "ws://localhost/v1/realtime"
    often = antiphon.ReconnectPolicy(attempts=40, first_delay=0.1, max_delay=0.2)
    return antiphon.connect(call_id=rung.id, url=url, connector=way, reconnect=often)


# --- the line is lost between a clear and its answer ----------------------------------------


@pytest.mark.parametrize("read", [False, True], ids=["clear not read", "cleared missed"])
def test_r36_a_clear_that_was_not_answered_is_asked_for_again(read: bool) -> None:
    @virtual
    async def story() -> None:
        wire = MemoryConnector(Behaviour(), Script([LONG, text("Hi.")]), latency_s=0.05)
        rung = wire.calls.place()
        async with joining(wire, rung) as session:
            reply = session.create_response()
            await soon(reply.done)
            await asyncio.sleep(0.3)
            back = coming_back(session)
            receipt = session.interrupt()
            await asyncio.sleep(0.07 if read else 0.0)
            assert len(frames(rung, "output_audio_buffer.clear")) == read
            wire.transports[-1].abort()
            (entry,) = (await soon(receipt)).entries
            assert (str(entry.outcome), entry.playback) == ("completed", "lost")
            await soon(back.wait())
            await asyncio.sleep(0.5)
            assert len(frames(rung, "output_audio_buffer.clear")) == 1 + read
            assert session.in_flight == (), "nobody waits for a `stopped` that never comes"
            assert await soon(session.create_response().text()) == "Hi."

    story()


@virtual
async def test_r36_what_nobody_asked_to_be_silent_plays_on_over_the_next_line() -> None:
    wire = MemoryConnector(Behaviour(), Script([LONG]), latency_s=0.05)
    rung = wire.calls.place()
    async with joining(wire, rung) as session:
        reply = session.create_response()
        await soon(reply.done)
        await asyncio.sleep(0.3)
        back = coming_back(session)
        wire.transports[-1].abort()
        await soon(back.wait())
        (again,) = session.in_flight
        assert await soon(again.played(timeout=10.0), within=10.0) == "played"
        assert frames(rung, "output_audio_buffer.clear") == []


async def cut_and_silence(
    session: antiphon.Session, reply: antiphon.ResponseHandle, way: Gone, asked: str
) -> None:
    """Lose the line, and interrupt before it or when it is back."""
    back = coming_back(session)
    if asked == "before":
        _ = session.interrupt()
    way.cut()
    await soon(back.wait())
    if asked == "after":
        (entry,) = (await soon(session.interrupt())).silenced
        assert (entry.response_id, entry.playback) == (reply.id, "cleared")
        assert entry.heard_ms is not None and 0 < entry.heard_ms < 2500
    await asyncio.sleep(0.5)


@pytest.mark.parametrize("asked", ["before", "after"])
def test_r36_sound_that_began_while_the_line_was_lost_is_silenced(asked: str) -> None:
    # Neither `started` nor `done` is ever seen: it was generated, and begins, in the meantime.
    @virtual
    async def story() -> None:
        wire = MemoryConnector(Behaviour(), Script([LONG, text("Hi.")]))
        rung = wire.calls.place()
        way = Gone(wire, 1.2)
        async with joining_by(way, rung) as session:
            reply = session.create_response()
            await asyncio.sleep(0.06)
            await cut_and_silence(session, reply, way, asked)
            assert len(frames(rung, "output_audio_buffer.clear")) == 1
            assert rung.engine.finished_responses == {reply.id: "completed"}
            assert await soon(session.create_response().text()) == "Hi."

    story()


@pytest.mark.parametrize("asked", ["before", "after"])
def test_r36_what_was_done_and_began_while_the_line_was_lost_is_silenced(asked: str) -> None:
    # P-405: all of it is generated, and none of it heard, when the line goes.
    @virtual
    async def story() -> None:
        behaviour = Behaviour(
            output_started=OutputStarted.AFTER_DONE, output_started_latency_ms=400.0
        )
        wire = MemoryConnector(behaviour, Script([LONG]))
        rung = wire.calls.place()
        way = Gone(wire, 1.2)
        async with joining_by(way, rung) as session:
            reply = session.create_response()
            await soon(reply.done)
            await cut_and_silence(session, reply, way, asked)
            assert len(frames(rung, "output_audio_buffer.clear")) == 1

    story()


@virtual
async def test_r36_what_began_unseen_is_over_for_all_who_wait_with_its_end() -> None:
    # One event says that it was heard to its end, and so that it is generated: both are told.
    wire = MemoryConnector(Behaviour(), Script([LONG]))
    rung = wire.calls.place()
    way = Gone(wire, 1.2)
    async with joining_by(way, rung) as session:
        session.create_response()
        await asyncio.sleep(0.06)
        back = coming_back(session)
        way.cut()
        await soon(back.wait())
        told: list[str] = []
        session.on("played", lambda _: told.append("played"))
        session.on("done", lambda _: told.append("done"))
        (again,) = session.in_flight
        assert (await soon(again.done, within=10.0)).reason == "unseen"
        assert await again.played(timeout=0.0) == "played"
        assert sorted(told) == ["done", "played"]
        assert session.counters["internal_errors"] == 0


@virtual
async def test_what_plays_when_the_session_ends_is_told_to_be_over_in_both_ways() -> None:
    wire = MemoryConnector(Behaviour(), Script([say("Much more of it.", ms=20_000)]))
    rung = wire.calls.place()
    told: list[str] = []
    async with joining(wire, rung) as session:
        session.on("played", lambda _: told.append("played"))
        session.on("done", lambda _: told.append("done"))
        reply = session.create_response()
        await asyncio.sleep(0.5)
        assert reply.outcome is None
    assert sorted(told) == ["done", "played"]
    assert await reply.played(timeout=0.0) == "lost"


@virtual
async def test_r36_what_is_still_to_be_heard_after_a_loss_is_not_silenced_with_another() -> None:
    # P-408, P-410: both are in the one buffer, and only one of them is meant.
    wire = MemoryConnector(Behaviour(), Script([LONG, LONG]))
    rung = wire.calls.place()
    async with joining(wire, rung) as session:
        first = session.create_response(conversation="none")
        await soon(first.done)
        await soon(session.create_response(conversation="none").done)
        back = coming_back(session)
        wire.transports[-1].abort()
        await soon(back.wait())
        heard, waiting = session.in_flight
        assert heard.id == first.id
        (entry,) = (await soon(session.interrupt([heard]))).entries
        assert entry.playback == "kept"
        assert frames(rung, "output_audio_buffer.clear") == []
        assert await soon(waiting.played(timeout=20.0)) == "played"
        assert session.in_flight == (), "known with its end, not by a deadline"


@virtual
async def test_r36_what_was_begun_and_over_while_the_line_was_lost_is_given_up_in_the_end() -> None:
    wire = MemoryConnector(Behaviour(), Script([say("Short.", ms=300), LONG]))
    rung = wire.calls.place()
    way = Gone(wire, 1.2)
    async with joining_by(way, rung) as session:
        reply = session.create_response()
        await soon(reply.created)
        back = coming_back(session)
        way.cut()
        await soon(back.wait())
        (again,) = session.in_flight
        # Nothing tells that it is over, until the next one is heard: one after the other (P-407).
        latest = session.create_response()
        await soon(latest.done)
        assert await soon(again.played(timeout=5.0)) == "lost"
        (entry,) = (await soon(session.interrupt([latest]))).entries
        assert entry.playback == "cleared", "the other is in nobody's way"


@virtual
async def test_r36_words_alone_are_over_with_their_end() -> None:
    # There might have been something to hear; when its end says that there was not, that is known.
    wire = MemoryConnector(Behaviour(), Script([text(" ".join(["word"] * 200)), text("Hi.")]))
    rung = wire.calls.place()
    async with joining(wire, rung) as session:
        reply = session.create_response()
        await soon(reply.created)
        back = coming_back(session)
        wire.transports[-1].abort()
        await soon(back.wait())
        (again,) = session.in_flight
        assert str(await soon(again.done)) == "completed"
        assert session.in_flight == ()
        assert await soon(again.played(timeout=1.0)) == "none"


# --- the call ends --------------------------------------------------------------------------


@pytest.mark.parametrize("medium", ["webrtc", "sip"])
@pytest.mark.parametrize("ended_by", ["caller", "us"])
@pytest.mark.parametrize("read", [False, True], ids=["not read", "read"])
def test_r37_a_call_that_ends_with_an_interruption_pending(
    medium: str, ended_by: str, read: bool
) -> None:
    @virtual
    async def story() -> None:
        wire = MemoryConnector(Behaviour(), Script([LONG]), latency_s=0.05)
        if medium == "sip":
            rung = wire.calls.ring()
            rung.accept({"type": "realtime"})
        else:
            rung = wire.calls.place()
        session = await joining(wire, rung)
        reply = session.create_response()
        await asyncio.sleep(0.5)
        receipt = session.interrupt()
        await asyncio.sleep(0.06 if read else 0.0)
        (rung.hang_up if ended_by == "caller" else rung.end)()
        (entry,) = (await soon(receipt)).entries
        # What was heard of before the end stays known: a `cleared` comes at once, a `done` later.
        assert (entry.outcome.kind, entry.playback) == ("lost", "cleared" if read else "lost")
        assert entry.response_id == reply.id and entry.cancel_sent
        closed = await soon(session.closed)
        assert isinstance(closed, antiphon.ConnectionClosedOK) and closed.by == "call"
        assert session.in_flight == ()

    story()


@pytest.mark.parametrize("runs", [True, False], ids=["tool still runs", "tool is done"])
def test_r37_a_call_that_ends_with_a_tool_call_pending(runs: bool) -> None:
    @virtual
    async def story() -> None:
        begun, may_end, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
        tools = antiphon.Tools()

        @tools.function
        async def weather(city: str) -> str:
            begun.set()
            try:
                await may_end.wait()
                return f"rain in {city}"
            finally:
                over.set()

        wire = MemoryConnector(Behaviour(), Script([call("weather", {"city": "Bern"})]))
        rung = wire.calls.ring()
        rung.accept({"type": "realtime"})
        session = await joining(wire, rung)
        async with tools.serve(session):
            reply = session.create_response()
            await soon(begun.wait())
            await soon(reply.done)
            rung.hang_up()
            closed = await soon(session.closed)
            assert isinstance(closed, antiphon.ConnectionClosedOK) and closed.by == "call"
            if not runs:
                may_end.set()
                await soon(over.wait())
                await asyncio.sleep(0)
            with pytest.raises(antiphon.ConnectionClosed):
                await soon(session.send_function_output("call_1", "too late"))
        assert over.is_set(), "leaving `serve` ends what still runs"
        assert frames(rung, "conversation.item.create") == []
        assert len(frames(rung, "response.create")) == 1, "no answer to a call is asked for"

    story()


@pytest.mark.parametrize("first", ["caller", "transfer"])
def test_r37_a_call_that_ends_with_a_transfer_pending(first: str) -> None:
    @virtual
    async def story() -> None:
        wire = MemoryConnector(Behaviour(refer_latency_ms=500), Script([LONG]))
        rung = wire.calls.ring()
        rung.accept({"type": "realtime"})
        session = await joining(wire, rung)
        reply = session.create_response()
        await soon(reply.done)
        path, body = f"/v1/realtime/calls/{rung.id}/refer", b'{"target_uri": "tel:+15550199"}'
        answer = await wire.rest.handle(HttpRequest("POST", path, {}, body))
        assert answer.status == 200
        assert reply.id in [one.id for one in session.in_flight], "the 200 ends nothing (P-342)"
        begun = asyncio.get_running_loop().time()
        if first == "caller":
            rung.hang_up()
        closed = await soon(session.closed)
        assert isinstance(closed, antiphon.ConnectionClosedOK) and closed.by == "call"
        took = asyncio.get_running_loop().time() - begun
        assert (took > 0.4) is (first == "transfer")
        assert await soon(reply.played(timeout=1.0)) == "lost"

    story()


# --- goodbye, then hang up ------------------------------------------------------------------


@virtual
async def test_r39_done_is_seconds_before_the_last_word_is_heard() -> None:
    # P-404. `played` is what to wait for.
    wire = MemoryConnector(Behaviour(), Script([LONG]))
    rung = wire.calls.place()
    async with joining(wire, rung) as session:
        goodbye = session.create_response()
        begun = asyncio.get_running_loop().time()
        await soon(goodbye.done)
        assert asyncio.get_running_loop().time() - begun < 2.0
        assert await soon(goodbye.played(timeout=10.0)) == "played"
        assert asyncio.get_running_loop().time() - begun > 4.0


@pytest.mark.parametrize(
    ("never", "became"),
    [("started", "none"), ("stopped", "unsettled")],
    ids=["a call without media", "a stopped that gets lost"],
)
def test_r39_who_waits_for_what_never_comes_is_told_in_time(never: str, became: str) -> None:
    @virtual
    async def story() -> None:
        media = "none" if never == "started" else "virtual"
        faults = Faults(on("output_audio_buffer.stopped").drop())
        wire = MemoryConnector(Behaviour().but(call_media=media), Script([LONG]), faults=faults)
        rung = wire.calls.place()
        async with joining(wire, rung) as session:
            goodbye = session.create_response()
            await soon(goodbye.done)
            begun = asyncio.get_running_loop().time()
            assert await goodbye.played(timeout=8.0) == became
            assert asyncio.get_running_loop().time() - begun <= 8.1

    story()
