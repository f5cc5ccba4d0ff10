"""The figures of latency as a program reads them: on the clock of the session's loop."""

import asyncio

import pytest

import antiphon
from antiphon.audio import CallbackSink, Player
from antiphon.emulator import Behaviour, MemoryConnector, Pace, Script, say
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=1.0, max_delay=1.0)


def now() -> float:
    return asyncio.get_running_loop().time()


@virtual
async def test_a_handle_and_a_receipt_tell_when_what_happened() -> None:
    peer = Peer()
    async with antiphon.connect(url="ws://localhost/v1/realtime", connector=peer) as session:
        line = peer.lines[0]
        line.hello()
        start = now()
        reply, aside = session.create_response(), session.create_response(conversation="none")
        await asyncio.sleep(0.5)
        first, second = line.of("response.create")
        line.created(first, "resp_a")
        await asyncio.sleep(0.25)
        line.text("resp_a", "Hello")
        pending = session.interrupt()
        await asyncio.sleep(0.25)
        line.created(second, "resp_b", lane=None)
        await asyncio.sleep(1.0)
        line.done("resp_a", "cancelled")
        line.done("resp_b", "cancelled")
        receipt = await soon(pending)
        assert receipt.asked == start + 0.75
        assert [entry.times for entry in receipt.entries] == [reply.times, aside.times]
        assert reply.times == antiphon.ResponseTimes(
            asked=start,
            sent=start,
            created=start + 0.5,
            first_text=start + 0.75,
            cancel_sent=start + 0.75,
            settled=start + 2.0,
        )
        assert reply.times.to_first_text == pytest.approx(0.75)
        assert reply.times.cancel_took == pytest.approx(1.25)
        # Its cancel had to wait for its name.
        assert (aside.times.created, aside.times.cancel_sent) == (start + 1.0, start + 1.0)


@virtual
async def test_times_cannot_be_written() -> None:
    peer = Peer()
    async with antiphon.connect(url="ws://localhost/v1/realtime", connector=peer) as session:
        reply = session.create_response()
        with pytest.raises(AttributeError):
            reply.times.asked = 0.0  # type: ignore[misc]


@virtual
async def test_one_asked_for_during_an_outage_is_sent_when_that_is_over() -> None:
    peer = Peer()
    async with antiphon.connect(
        url="ws://localhost/v1/realtime", connector=peer, reconnect=QUICK
    ) as session:
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        peer.lines[0].hello()
        lost = session.create_response()
        start = now()
        peer.refusals = [antiphon.ConnectError("not now", retryable=True)]
        peer.lines[0].lose()
        await soon(lost.done)
        assert lost.times.settled == start
        reply = session.create_response()
        await soon(back.wait())
        assert now() > start
        assert (reply.times.asked, reply.times.sent) == (start, now())
        assert reply.times.waited == now() - start


@virtual
async def test_what_a_player_plays_is_heard_later_than_it_arrives() -> None:
    wire = MemoryConnector(
        Behaviour(pace=Pace(first_output_ms=250)), Script([say("One.", ms=3000), say("Two.")])
    )
    async with (
        antiphon.connect(url="ws://localhost/v1/realtime", connector=wire) as session,
        Player(session, CallbackSink(lambda _: None)),
    ):
        first = session.create_response()
        second = session.create_response()
        await soon(first.played(60.0))
        over = now()
        await soon(second.played(60.0))
        for one in (first.times, second.times):
            assert one.created is not None and one.first_audio is not None
            assert one.first_audio >= one.created + 0.25
        assert first.times.first_heard == first.times.first_audio
        # The second one was there long before the first had been heard to its end.
        assert second.times.first_audio is not None and second.times.first_audio < over
        assert second.times.first_heard is not None
        assert second.times.first_heard == pytest.approx(over, abs=0.05)
