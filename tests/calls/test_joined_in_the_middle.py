"""A sideband that joins, or comes back, while something is on the air (R-36, R-38).

What happened before is not repeated (P-377), so a response may be known by its playback alone: it
can be silenced, and holds up nobody, since its generation may be over.
"""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.emulator import Behaviour, MemoryConnector, Script, say, text
from antiphon.emulator.running.emulated_call import EmulatedCall
from tests.client.peer import soon, virtual

__all__: list[str] = []

LONG = say("One two three four five six seven eight nine ten.", ms=4000)
QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=0.1, max_delay=0.2)


def placed(*steps: Any, **knobs: Any) -> tuple[MemoryConnector, EmulatedCall]:
    wire = MemoryConnector(Behaviour().but(**knobs), Script(steps))
    return wire, wire.calls.place()


def joining(wire: MemoryConnector, call: EmulatedCall) -> Any:
    url = "ws://localhost/v1/realtime"
    return antiphon.connect(call_id=call.id, url=url, connector=wire, reconnect=QUICK)


def frames(call: EmulatedCall, kind: str) -> list[Any]:
    received: Any = call.engine.received
    return [frame for frame in received if frame["type"] == kind]


@virtual
async def test_one_known_by_its_playback_alone_is_silenced_and_holds_up_nobody() -> None:
    # Joined in the gap between `done` and `started` (P-405).
    wire, call = placed(LONG, text("Hi."), output_started="after_done")
    async with joining(wire, call) as first:
        reply = first.create_response()
        await soon(reply.done)
        async with joining(wire, call) as second:
            await asyncio.sleep(0.3)
            (met,) = second.in_flight
            assert met.id == reply.id and met.outcome is None
            begun = asyncio.get_running_loop().time()
            assert await soon(second.create_response().text()) == "Hi."
            assert asyncio.get_running_loop().time() - begun < 1.0, "it is not in the way"
            (entry,) = (await soon(second.interrupt())).entries
            assert (entry.response_id, entry.playback) == (reply.id, "cleared")
            assert entry.heard_ms is None, "which item it was is not known here"
            assert await soon(second.quiet(timeout=1.0))
            assert len(frames(call, "output_audio_buffer.clear")) == 1


@virtual
async def test_one_known_by_its_playback_alone_is_over_with_it() -> None:
    wire, call = placed(LONG, output_started="after_done")
    async with joining(wire, call) as first:
        reply = first.create_response()
        await soon(reply.done)
        async with joining(wire, call) as second:
            await asyncio.sleep(0.3)
            (met,) = second.in_flight
            assert await soon(met.played(timeout=10.0), within=10.0) == "played"
            assert str(await soon(met.done)) == "unknown (unseen)"
            assert second.in_flight == ()
            assert frames(call, "response.cancel") == []


@virtual
async def test_one_of_which_only_the_end_is_heard_is_not_met_at_all() -> None:
    wire, call = placed(LONG, text("Hi."))
    async with joining(wire, call) as first:
        reply = first.create_response()
        await soon(reply.done)
        await asyncio.sleep(0.5)
        async with joining(wire, call) as second:
            met: list[antiphon.ResponseHandle] = []
            second.on("response", met.append)
            await asyncio.sleep(6.0)
            assert met == [] and second.in_flight == ()
            assert await soon(second.create_response().text()) == "Hi."


@virtual
async def test_a_generation_seen_after_its_playback_is_in_the_way_as_any_other() -> None:
    slow = say(" ".join(["word"] * 60), ms=20_000)
    wire, call = placed(slow, text("Hi."))
    async with joining(wire, call) as first:
        reply = first.create_response()
        await asyncio.sleep(0.1)
        async with joining(wire, call) as second:
            await asyncio.sleep(0.5)
            assert [one.id for one in second.in_flight] == [reply.id]
            waiting = second.create_response()
            assert await soon(waiting.text(), within=20.0) == "Hi."
            assert reply.outcome is not None, "one after the other (P-30)"
            assert len(frames(call, "response.create")) == 2, "it was not even tried before"


@pytest.mark.parametrize("offline_s", [0.0, 1.0])
def test_what_is_heard_when_the_line_is_lost_can_be_silenced_over_the_next(
    offline_s: float,
) -> None:
    @virtual
    async def story() -> None:
        wire, call = placed(LONG)
        async with joining(wire, call) as session:
            reply = session.create_response(purpose="answer")
            await soon(reply.done)
            await asyncio.sleep(0.2)
            back = asyncio.Event()
            session.on("reconnected", lambda _: back.set())
            wire.transports[-1].abort()
            await soon(back.wait())
            await asyncio.sleep(offline_s)
            assert reply.outcome is not None and reply.outcome.kind == "completed"
            assert await soon(reply.played(timeout=1.0)) == "lost", "as far as this handle knows"
            (again,) = session.in_flight
            assert (again.id, again.purpose, again.lane) == (reply.id, "answer", reply.lane)
            (entry,) = (await soon(session.interrupt())).silenced
            assert (entry.response_id, entry.playback) == (reply.id, "cleared")
            assert entry.heard_ms is not None and entry.heard_ms < 2500
            assert await soon(session.quiet(timeout=1.0))

    story()


@virtual
async def test_what_ended_while_the_line_was_lost_is_in_nobodys_way() -> None:
    wire, call = placed(say("Short.", ms=700), text("Hi."))
    async with joining(wire, call) as session:
        reply = session.create_response()
        await soon(reply.done)
        await asyncio.sleep(0.2)
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        wire.transports[-1].abort()
        await soon(back.wait())
        await asyncio.sleep(1.0)
        assert await soon(session.create_response().text()) == "Hi."
        receipt = await soon(session.interrupt())
        assert {entry.playback for entry in receipt.entries} <= {"cleared", "played", "none"}
        assert await soon(session.quiet(timeout=1.0))


@virtual
async def test_what_may_not_be_interrupted_may_not_over_the_next_line_either() -> None:
    wire, call = placed(LONG)
    async with joining(wire, call) as session:
        reply = session.create_response(interruptible=False, conversation="none")
        await soon(reply.done)
        await asyncio.sleep(0.2)
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        wire.transports[-1].abort()
        await soon(back.wait())
        assert (await soon(session.interrupt())).entries == ()
        (again,) = session.in_flight
        assert await soon(again.played(timeout=10.0), within=10.0) == "played"
        assert frames(call, "output_audio_buffer.clear") == []


@virtual
async def test_a_cancel_that_was_lost_with_the_line_is_sent_again() -> None:
    slow = say(" ".join(["word"] * 60), ms=20_000)
    wire, call = placed(slow)
    async with joining(wire, call) as session:
        reply = session.create_response()
        await asyncio.sleep(0.5)
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        receipt = session.interrupt()
        wire.transports[-1].abort()  # before the server has read anything of it
        (entry,) = (await soon(receipt)).entries
        assert (entry.outcome.kind, entry.playback) == ("lost", "lost")
        await soon(back.wait())
        await asyncio.sleep(1.0)
        assert [frame["response_id"] for frame in frames(call, "response.cancel")] == [reply.id]
        assert len(frames(call, "output_audio_buffer.clear")) == 1
        assert await soon(session.quiet(timeout=5.0), within=6.0)
