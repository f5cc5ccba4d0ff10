"""A session outlives the hour that a server gives it: a second line, at a quiet moment."""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.emulator import Behaviour, MemoryConnector, Pace, Script, say
from antiphon.emulator.audio import speech
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

EARLY = antiphon.ReconnectPolicy(attempts=3, rotate_after=100.0, rotate_latest=200.0)


async def against(*steps: Any, **settings: Any) -> tuple[antiphon.Session, MemoryConnector]:
    behaviour = Behaviour(session_max_s=3600, pace=Pace(speed=1.0))
    connector = MemoryConnector(behaviour, Script(steps))
    settings.setdefault("reconnect", EARLY)
    session = await antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, **settings
    )
    return session, connector


@virtual
async def test_at_a_quiet_moment_nobody_notices() -> None:
    session, connector = await against(
        say("Good.", ms=200).always(), session={"instructions": "Be brief."}
    )
    told: list[str] = []
    session.on("disconnected", lambda _: told.append("disconnected"))
    session.on("reconnected", lambda _: told.append("reconnected"))
    await soon(session.send_text("Remember me."))
    await asyncio.sleep(150)
    assert len(connector.sessions) == 2
    assert [one.closed for one in connector.sessions] == [True, False]
    assert told == ["reconnected"]
    assert session.config["instructions"] == "Be brief."
    assert [item.role for item in session.items] == ["user"]
    assert await soon(session.create_response().text()) == "Good."
    await soon(session.close())


@virtual
async def test_the_configuration_is_known_after_it_even_if_none_was_ever_set() -> None:
    session, connector = await against()
    before = session.config
    await asyncio.sleep(150)
    assert len(connector.sessions) == 2
    assert session.config and session.config.keys() == before.keys()
    await soon(session.close())


@virtual
async def test_it_goes_on_hour_after_hour() -> None:
    session, connector = await against(
        say("Good.", ms=200).always(), reconnect=antiphon.ReconnectPolicy()
    )
    lost: list[object] = []
    session.on("disconnected", lost.append)
    for _ in range(5):
        await asyncio.sleep(20 * 60)
        assert (await soon(session.create_response().done)).kind is antiphon.OutcomeKind.COMPLETED
    assert lost == []
    assert len(connector.sessions) == 2
    await soon(session.close())


@virtual
async def test_it_waits_for_what_is_in_flight() -> None:
    session, connector = await against(say("Long.", ms=120_000), say("Next.", ms=200))
    await asyncio.sleep(50)
    handle = session.create_response()
    await asyncio.sleep(80)  # at 130 s: the new line stands by
    assert len(connector.sessions) == 2
    assert [one.closed for one in connector.sessions] == [False, False]
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    audio = b"".join([chunk async for chunk in handle.audio])
    assert audio == speech.synthesize(handle.id or "", 0, 120_000)
    await asyncio.sleep(1)
    assert [one.closed for one in connector.sessions] == [True, False]
    assert await soon(session.create_response().text()) == "Next."
    await soon(session.close())


@virtual
async def test_when_no_moment_is_quiet_it_is_forced_with_a_typed_loss() -> None:
    session, connector = await against(say("Endless.", ms=600_000).always())
    await asyncio.sleep(50)
    handle = session.create_response()
    assert (await soon(handle.done, within=300)).kind is antiphon.OutcomeKind.LOST
    assert asyncio.get_running_loop().time() == pytest.approx(200, abs=1)
    with pytest.raises(antiphon.ConnectionClosedOK):
        async for _ in handle.audio:
            pass
    assert len(connector.sessions) == 2
    follower = session.create_response()
    assert await soon(follower.created) is True
    await soon(session.close())


@virtual
async def test_a_request_under_way_is_no_quiet_moment() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    await asyncio.sleep(99.9)
    asked = session.send_text("Hello?")
    await asyncio.sleep(1)
    assert len(peer.lines) == 2
    peer.lines[0].say(
        {"type": "conversation.item.added", "item": peer.lines[0].sent[0]["item"]},
    )
    assert (await soon(asked)).role == "user"
    await asyncio.sleep(0.1)
    assert peer.lines[0].closed is not None, "then it was"
    assert [one["type"] for one in peer.lines[1].sent] == ["conversation.item.create"]
    await soon(session.close())


@virtual
async def test_a_turn_that_is_not_yet_committed_is_no_quiet_moment() -> None:
    peer = Peer(greets=True)
    session = await peer.connect(reconnect=EARLY)
    first = peer.lines[0]
    first.hello(audio={"input": {"turn_detection": {"type": "server_vad"}}})
    await asyncio.sleep(99)
    first.say({"type": "input_audio_buffer.speech_started", "item_id": "item_1"})
    await asyncio.sleep(2)
    first.say({"type": "input_audio_buffer.speech_stopped", "item_id": "item_1"})
    await asyncio.sleep(0.1)
    assert [one.closed for one in peer.lines] == [None, None]
    first.say({"type": "input_audio_buffer.committed", "item_id": "item_1"})
    first.created(id="resp_1")
    await asyncio.sleep(0.1)
    assert [one.closed for one in peer.lines] == [None, None], "the reply is under way"
    first.done("resp_1")
    await asyncio.sleep(0.1)
    assert [one.closed for one in peer.lines] == [(1000, ""), None]
    await soon(session.close())


@virtual
async def test_audio_that_waits_for_a_commit_by_hand_is_no_quiet_moment() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    peer.lines[0].hello(audio={"input": {"turn_detection": None}})
    session.append_audio(bytes(4800))
    await asyncio.sleep(110)
    assert [one.closed for one in peer.lines] == [None, None]
    committed = session.commit_audio()
    peer.lines[0].say({"type": "input_audio_buffer.committed", "item_id": "item_1"})
    assert await soon(committed) == "item_1"
    await asyncio.sleep(0.1)
    assert [one.closed for one in peer.lines] == [(1000, ""), None]
    await soon(session.close())


@virtual
async def test_a_loss_while_the_new_line_stands_by_uses_it_at_once() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    await asyncio.sleep(99.9)
    handle = session.create_response()
    await asyncio.sleep(1)
    assert len(peer.lines) == 2
    peer.lines[0].lose()
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
    follower = session.create_response()
    assert len(peer.lines[1].of("response.create")) == 1, "at once"
    assert peer.attempts == 2
    _ = follower.cancel()
    await soon(session.close())


@virtual
async def test_a_loss_while_the_new_line_is_being_opened() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    peer.greets = False
    await asyncio.sleep(101)  # the second line is open, but nobody greets on it
    assert len(peer.lines) == 2
    peer.greets = True
    peer.lines[0].lose()
    handle = session.create_response()
    await asyncio.sleep(1)
    assert len(peer.lines) == 3
    assert len(peer.lines[2].of("response.create")) == 1
    peer.lines[1].hello()  # too late
    await asyncio.sleep(1)
    assert peer.lines[1].closed is not None
    assert peer.lines[2].closed is None
    peer.lines[2].done(peer.lines[2].created(peer.lines[2].of("response.create")[0]))
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    await soon(session.close())


@virtual
async def test_the_new_line_is_lost_while_it_stands_by() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    await asyncio.sleep(99.9)
    handle = session.create_response()
    name = peer.lines[0].created(peer.lines[0].of("response.create")[0])
    await asyncio.sleep(1)
    peer.lines[1].lose()
    await asyncio.sleep(1)
    peer.lines[0].done(name)
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    await asyncio.sleep(200)
    assert peer.lines[0].closed is None, "the old one still works"
    assert len(peer.lines) == 2
    await soon(session.close())


@virtual
async def test_a_new_line_that_cannot_be_had_is_counted_and_the_old_one_goes_on() -> None:
    peer = Peer(refusals=[None, antiphon.ConnectError("busy", retryable=True)])
    session = await peer.connect(reconnect=EARLY)
    await asyncio.sleep(150)
    assert session.counters["rotation_failed"] == 1
    assert peer.lines[0].closed is None
    peer.lines[0].lose(1001, "Your session hit the maximum duration of 60 minutes.")
    await asyncio.sleep(1)
    assert len(peer.lines) == 2, "then it is reconnected"
    await soon(session.close())


@virtual
async def test_the_clock_of_a_lost_line_does_not_rotate_its_successor() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    await asyncio.sleep(60)
    peer.lines[0].lose()
    await asyncio.sleep(60)  # at 120 s; the second line is 60 s old
    assert len(peer.lines) == 2
    await asyncio.sleep(50)
    assert len(peer.lines) == 3
    await soon(session.close())


@virtual
async def test_the_clock_of_a_replaced_line_does_not_force_the_next_change() -> None:
    policy = antiphon.ReconnectPolicy(attempts=3, rotate_after=100.0, rotate_latest=250.0)
    session, connector = await against(say("Long.", ms=100_000), reconnect=policy)
    await asyncio.sleep(190)
    assert len(connector.sessions) == 2
    handle = session.create_response()
    await asyncio.sleep(20)
    assert len(connector.sessions) == 3, "the third line stands by until 350 s"
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    await soon(session.close())


@virtual
async def test_the_clock_of_a_lost_line_opens_nothing_while_offline() -> None:
    peer = Peer(refusals=[None, antiphon.ConnectError("busy", retryable=True)])
    policy = antiphon.ReconnectPolicy(
        attempts=3, first_delay=60.0, max_delay=60.0, rotate_after=100.0
    )
    session = await peer.connect(reconnect=policy)
    await asyncio.sleep(95)
    peer.lines[0].lose()
    await asyncio.sleep(20)  # at 115 s; the next attempt is not due before 125 s
    assert peer.attempts == 2
    await soon(session.close())


@virtual
@pytest.mark.parametrize("greets", [True, False])
async def test_close_while_the_new_line_stands_by_or_is_being_opened(greets: bool) -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    peer.greets = greets
    await asyncio.sleep(99.9)
    handle = session.create_response()
    await asyncio.sleep(1)
    assert len(peer.lines) == 2
    await soon(session.close())
    assert all(line.closed is not None for line in peer.lines)
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST


@virtual
async def test_a_final_loss_closes_the_new_line_too() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    await asyncio.sleep(99.9)
    session.create_response()
    await asyncio.sleep(1)
    peer.lines[0].lose(1000)
    await soon(session.closed)
    await asyncio.sleep(0.1)
    assert peer.lines[1].closed is not None


@virtual
async def test_the_replaced_line_is_heard_no_more() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=EARLY)
    made: list[object] = []
    for name in ("response", "server_event", "report"):
        session.on(name, made.append)
    await asyncio.sleep(110)
    assert [one.closed for one in peer.lines] == [(1000, ""), None]
    made.clear()
    peer.lines[0].over = False  # what was on its way when it was closed
    peer.lines[0].created(id="resp_late")
    peer.lines[0].frame(b"{")
    assert made == []
    await soon(session.close())


@virtual
async def test_a_listener_that_creates_during_the_change_is_served_by_the_new_line() -> None:
    session, connector = await against(say("Endless.", ms=600_000).always())
    made: list[antiphon.ResponseHandle] = []
    session.on("done", lambda _: made.append(session.create_response()) if not made else None)
    await asyncio.sleep(50)
    session.create_response()
    await asyncio.sleep(155)
    assert await soon(made[0].created) is True
    assert len(connector.sessions[1].received_of("response.create")) == 1
    await soon(session.close())
