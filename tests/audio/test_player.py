"""What a player hands to its sink, what was heard, and what the server is told of it."""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.audio import CallbackSink, Player, WriterSink
from antiphon.emulator import Behaviour, MemoryConnector, Pace, Script, fail, say, text
from antiphon.emulator.audio import speech
from tests.client.peer import soon, virtual

__all__: list[str] = []

FAST = Behaviour(pace=Pace(speed=20))
BLOCK = 20 * 48


class Ear:
    """Everything that reached the sink, with the time at which it did."""

    def __init__(self) -> None:
        self.heard = b""
        self.blocks: list[int] = []

    def __call__(self, block: bytes) -> None:
        self.heard += block
        self.blocks.append(len(block))

    @property
    def ms(self) -> int:
        return len(self.heard) // 48


def wired(*steps: Any, behaviour: Behaviour = FAST) -> MemoryConnector:
    return MemoryConnector(behaviour, Script(steps))


def connecting(wire: MemoryConnector, **settings: Any) -> Any:
    return antiphon.connect(url="ws://localhost/v1/realtime", connector=wire, **settings)


def truncations(wire: MemoryConnector) -> list[int]:
    frames = [frame for engine in wire.sessions for frame in engine.received]
    return [
        one["audio_end_ms"]
        for one in frames
        if isinstance(one, dict) and one["type"] == "conversation.item.truncate"
    ]


@virtual
async def test_responses_are_played_whole_one_after_the_other_at_the_pace_of_the_sink() -> None:
    ear = Ear()
    async with connecting(wired(say("One.", ms=710), say("Two.", ms=500))) as session:
        async with Player(session, CallbackSink(ear)):
            first, second = session.create_response(), session.create_response()
            begun = asyncio.get_running_loop().time()
            assert await soon(first.played(60)) == "played"
            assert await soon(second.played(60)) == "played"
            took = asyncio.get_running_loop().time() - begun
        assert first.id and second.id
        assert ear.heard == speech.synthesize(first.id, 0, 710) + speech.synthesize(
            second.id, 0, 500
        )
        assert 1.21 <= took < 1.6
        assert (first.heard_ms, second.heard_ms) == (710, 500)
        assert set(ear.blocks) <= {BLOCK, 10 * 48}


@virtual
async def test_interrupt_over_a_finished_reply_silences_it_and_cuts_the_conversation() -> None:
    # The complaint of the whole project: everything is generated, and the caller hears on.
    ear = Ear()
    wire = wired(say("A long answer.", ms=8000))
    async with connecting(wire) as session, Player(session, CallbackSink(ear)):
        reply = session.create_response()
        await soon(reply.done)
        await asyncio.sleep(1.0)
        assert reply in session.in_flight

        pending = session.interrupt()
        heard = ear.ms
        receipt = await soon(pending)

        await asyncio.sleep(10.0)
        assert ear.ms == heard, "a block was handed over after interrupt() (I10)"
        (entry,) = receipt.entries
        assert str(entry.outcome) == "completed" and entry.playback == "cleared"
        assert receipt.silenced and not receipt.audible
        assert entry.heard_ms is not None and heard - 20 <= entry.heard_ms <= heard
        assert truncations(wire) == [entry.heard_ms]
        assert reply not in session.in_flight


@virtual
async def test_interrupt_while_it_is_generated_stops_both() -> None:
    ear = Ear()
    wire = wired(say("A long answer.", ms=60_000), behaviour=Behaviour(pace=Pace.real_time()))
    async with connecting(wire) as session, Player(session, CallbackSink(ear)):
        reply = session.create_response()
        await asyncio.sleep(2.0)
        pending = session.interrupt()
        heard = ear.ms
        (entry,) = (await soon(pending)).entries
        await asyncio.sleep(5.0)
        assert ear.ms == heard > 1000
        assert str(entry.outcome) == "cancelled (client_cancelled)"
        assert entry.playback == "cleared" and entry.heard_ms == truncations(wire)[0] <= heard
        assert reply.heard_ms == entry.heard_ms


@pytest.mark.parametrize("after_done", [False, True])
def test_the_users_voice_silences_it_where_the_server_interrupts(after_done: bool) -> None:
    @virtual
    async def story() -> None:
        ear = Ear()
        pace = Pace(speed=20) if after_done else Pace.real_time()
        wire = wired(say("A long answer.", ms=8000), text("Yes?"), behaviour=Behaviour(pace=pace))
        async with connecting(wire) as session, Player(session, CallbackSink(ear)):
            reply = session.create_response()
            await asyncio.sleep(2.0)
            assert (reply.outcome is not None) is after_done
            spoke = asyncio.Event()
            session.on("input_audio_buffer.speech_started", lambda _: spoke.set())
            session.append_audio(speech.user_voice(700))
            await soon(spoke.wait())
            heard = ear.ms
            await asyncio.sleep(10.0)
            assert ear.ms == heard
            assert await soon(reply.played(1)) == "cleared"
            assert truncations(wire) == [reply.heard_ms]

    story()


@virtual
async def test_where_turn_detection_does_not_interrupt_the_player_goes_on() -> None:
    ear = Ear()
    detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    config = {"audio": {"input": {"turn_detection": detection}}}
    wire = wired(say("A long answer.", ms=3000))
    async with connecting(wire, session=config) as session, Player(session, CallbackSink(ear)):
        reply = session.create_response()
        await asyncio.sleep(1.0)
        session.append_audio(speech.user_voice(700))
        assert await soon(reply.played(60)) == "played"
        assert ear.ms == 3000 and truncations(wire) == []


@virtual
async def test_what_is_not_meant_is_played_on() -> None:
    ear = Ear()
    wire = wired(say("Hold the line.", ms=2000), say("Beside.", ms=1000))
    async with connecting(wire) as session, Player(session, CallbackSink(ear)) as player:
        kept = session.create_response(interruptible=False)
        await soon(kept.created)
        aside = session.create_response(conversation="none")
        player.play(aside)
        await asyncio.sleep(1.0)
        receipt = await soon(session.interrupt())
        assert [entry.response_id for entry in receipt.entries] == [aside.id]
        assert receipt.entries[0].heard_ms == 0
        assert await soon(kept.played(60)) == "played"
        assert ear.ms == 2000


@virtual
async def test_a_reply_without_sound_and_one_that_fails_do_not_hold_up_the_next() -> None:
    ear = Ear()
    steps = (text("Only words."), fail("server_error", "No."), say("Sound.", ms=300))
    async with connecting(wired(*steps)) as session, Player(session, CallbackSink(ear)):
        words, failed, spoken = (session.create_response() for _ in range(3))
        assert await soon(spoken.played(60)) == "played"
        assert await soon(words.played(1)) == "none"
        assert await soon(failed.played(1)) == "none"
        assert ear.ms == 300
        assert await soon(session.quiet(1))


@virtual
async def test_leaving_the_player_falls_silent_and_leaves_nothing_in_flight() -> None:
    ear = Ear()
    wire = wired(say("One.", ms=3000), say("Two.", ms=3000))
    async with connecting(wire) as session:
        async with Player(session, CallbackSink(ear)):
            session.create_response()
            session.create_response()
            await asyncio.sleep(1.0)
        heard = ear.ms
        await asyncio.sleep(5.0)
        assert 0 < ear.ms == heard
        assert await soon(session.quiet(1))
        first, second = truncations(wire)
        assert 0 < first <= heard and second == 0


@virtual
async def test_a_sink_that_fails_costs_its_response_and_no_other() -> None:
    class Broken(Ear):
        def __call__(self, block: bytes) -> None:
            super().__call__(block)
            if len(self.blocks) == 3:
                raise OSError("the cable is out")

    ear = Broken()
    async with connecting(wired(say("One.", ms=500), say("Two.", ms=500))) as session:
        async with Player(session, CallbackSink(ear)):
            first, second = session.create_response(), session.create_response()
            assert await soon(second.played(60)) == "played"
            assert await soon(first.played(1)) == "cleared"
        assert second.id and ear.heard.endswith(speech.synthesize(second.id, 0, 500))


@virtual
async def test_an_async_writer_at_another_rate() -> None:
    got: list[bytes] = []

    async def write(block: bytes) -> None:
        got.append(block)

    async with connecting(wired(say("One.", ms=1000))) as session:
        async with Player(session, WriterSink(write, sample_rate=8000), block_ms=50):
            assert await soon(session.create_response().played(60)) == "played"
    assert len(b"".join(got)) == pytest.approx(16_000, abs=64)


@virtual
async def test_wrong_arguments_are_named() -> None:
    async with connecting(wired()) as session:
        with pytest.raises(antiphon.LocalProtocolError, match="block_ms"):
            Player(session, CallbackSink(print), block_ms=0)
        with pytest.raises(antiphon.LocalProtocolError, match="sample_rate"):
            CallbackSink(print, sample_rate=0)
        player = Player(session, CallbackSink(print))
        with pytest.raises(antiphon.LocalProtocolError, match="async with"):
            player.play(session.create_response())
