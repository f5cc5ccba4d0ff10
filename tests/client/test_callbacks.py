"""Listeners: they may raise, re-enter, interrupt and remove one another, and harm nobody."""

import asyncio
import logging
from typing import Any

import pytest

import antiphon
from antiphon.emulator import Behaviour, MemoryConnector, Script, say
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []


async def speaking(peer: Peer, session: antiphon.Session) -> tuple[antiphon.ResponseHandle, str]:
    handle = session.create_response(conversation="none")
    return handle, peer.line.created(peer.line.of("response.create")[-1], lane=None)


@virtual
@pytest.mark.parametrize("error", [ValueError("mine"), asyncio.CancelledError()])
async def test_a_listener_that_raises_is_logged_and_harms_nothing(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(_: object) -> None:
        raise error

    peer = Peer()
    async with await peer.connect() as session:
        heard: list[str] = []
        session.on("server_event", bad)
        session.on("server_event", lambda event: heard.append(event.type))
        session.on("opened", bad)
        session.on("done", bad)
        handle, name = await speaking(peer, session)
        handle.subscribe(bad)
        peer.line.text(name, "Hello")
        peer.line.done(name)
        assert await soon(handle.text()) == "Hello"
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
        assert heard == ["response.created", "response.output_text.delta", "response.done"]
    assert {one.levelno for one in caplog.records if one.exc_info} == {logging.ERROR}


@virtual
async def test_interrupt_inside_a_listener_silences_what_is_still_under_way() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle, name = await speaking(peer, session)
        heard: list[str] = []

        def hear(event: Any) -> None:
            heard.append(event.delta)
            if event.delta == "two":
                _ = session.interrupt()

        def hear_too(event: Any) -> None:
            heard.append(event.delta.upper())

        handle.subscribe(hear)
        handle.subscribe(hear_too)
        for delta in ("one", "two", "three"):
            peer.line.text(name, delta)
        assert heard == ["one", "ONE", "two"], "not even the same event to the next subscriber"
        assert await soon(handle.text()) == ""


@virtual
async def test_cancel_inside_a_function_call_listener_keeps_the_next_call_back() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handle, name = await speaking(peer, session)
        called: list[str] = []

        def run(call: antiphon.FunctionCall) -> None:
            called.append(call.call_id)
            _ = handle.cancel()

        session.on("function_call", run)
        calls = [
            {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"}
            for call_id in ("call_1", "call_2")
        ]
        peer.line.done(name, output=calls)  # both come in one batch
        assert called == ["call_1"]


@virtual
async def test_interrupt_inside_opened_delivers_nothing_of_what_was_kept_for_it() -> None:
    # Output that came before `response.created` is delivered in the same batch as the opening.
    peer = Peer()
    async with await peer.connect() as session:
        heard: list[Any] = []
        session.on("opened", lambda handle: handle.subscribe(heard.append))

        def stop(_: object) -> None:
            _ = session.interrupt()

        session.on("opened", stop)
        handle = session.create_response(conversation="none")
        peer.line.text("resp_early", "too early")
        peer.line.created(peer.line.of("response.create")[0], id="resp_early", lane=None)
        assert heard == []
        assert [one["response_id"] for one in peer.line.of("response.cancel")] == ["resp_early"]
        assert await soon(handle.text()) == ""


@virtual
async def test_a_listener_on_response_that_subscribes_misses_nothing() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        heard: list[str] = []
        session.on("response", lambda h: h.subscribe(lambda event: heard.append(event.delta)))
        name = peer.line.created()
        peer.line.text(name, "a")
        peer.line.text(name, "b")
        assert heard == ["a", "b"]


@virtual
async def test_what_a_listener_causes_is_told_after_it_in_order() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        order: list[str] = []

        def again(_: object) -> None:
            order.append("opened begins")
            peer.line.done("resp_1")  # re-entrant, as a transport in memory may be
            order.append("opened ends")

        session.on("opened", again)
        session.on("done", lambda _: order.append("done"))
        session.create_response()
        peer.line.created(peer.line.of("response.create")[0], id="resp_1")
        assert order == ["opened begins", "opened ends", "done"]


@virtual
async def test_create_inside_a_done_listener() -> None:
    connector = MemoryConnector(Behaviour(), Script([say("Again.", ms=100).always()]))
    async with antiphon.connect(url="ws://localhost/v1/realtime", connector=connector) as session:
        made: list[antiphon.ResponseHandle] = []
        finished = asyncio.Event()

        def follow(_: object) -> None:
            if len(made) < 5:
                made.append(session.create_response())
            else:
                finished.set()

        session.on("done", follow)
        session.create_response()
        await soon(finished.wait())
        assert [str(one.outcome) for one in made] == ["completed"] * 5


@virtual
async def test_a_removed_listener_is_not_called_any_more_not_even_for_what_is_queued() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        calls: list[str] = []
        removers: list[Any] = []

        def first(_: object) -> None:
            calls.append("first")
            removers[1]()

        removers += [session.on("opened", first), session.on("opened", lambda _: calls.append("2"))]
        await speaking(peer, session)
        assert calls == ["first"]
        removers[0]()
        removers[0]()  # twice is harmless
        await speaking(peer, session)
        assert calls == ["first"]
        assert session._callbacks.listeners == {}


@virtual
async def test_a_listener_registered_twice_is_called_twice_and_removed_one_by_one() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        calls: list[object] = []
        one, other = session.on("opened", calls.append), session.on("opened", calls.append)
        await speaking(peer, session)
        assert len(calls) == 2
        one()
        one()
        await speaking(peer, session)
        assert len(calls) == 3
        other()
        await speaking(peer, session)
        assert len(calls) == 3


@virtual
async def test_every_event_on_the_wire_can_be_watched_both_ways() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        up: list[Any] = []
        frames: list[bytes] = []
        limits: list[Any] = []
        session.on("client_event", up.append)
        session.on("client_frame", frames.append)
        session.on("rate_limits.updated", limits.append)
        _ = session.send_text("Hi.")
        session.send_raw({"type": "x.own", "extra": 1})
        peer.line.say({"type": "rate_limits.updated", "rate_limits": []})
        assert [one.type for one in up] == ["conversation.item.create", "x.own"]
        assert b'"extra":1' in frames[1]
        assert len(limits) == 1


@virtual
async def test_the_event_is_told_before_what_follows_from_it() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        order: list[str] = []
        session.on("server_event", lambda event: order.append(event.type))
        session.on("opened", lambda handle: order.append(f"opened {handle.id}"))
        session.on("ended", lambda handle: order.append(f"ended {handle.id}"))
        session.on("done", lambda handle: order.append(f"done {handle.id}"))
        _, name = await speaking(peer, session)
        peer.line.done(name)
        assert order == [
            "response.created",
            "opened resp_1",
            "response.done",
            "ended resp_1",
            "done resp_1",
        ]


@virtual
async def test_iterating_events_sees_unknown_ones_and_ends_with_the_session() -> None:
    peer = Peer()
    session = await peer.connect()
    seen: list[str] = []

    async def watch() -> None:
        async for event in session.events():
            seen.append(event.type)  # noqa: PERF401

    watcher = asyncio.ensure_future(watch())
    await asyncio.sleep(0)
    peer.line.say({"type": "brand.new", "x": 1}, {"type": "rate_limits.updated"})
    await soon(session.close())
    await soon(watcher)
    assert seen == ["brand.new", "rate_limits.updated"]
    assert [event async for event in session.events()] == [], "of a closed session: nothing"


@virtual
async def test_an_iterator_that_is_left_listens_no_more() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        events = session.events()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        peer.line.say({"type": "brand.new"})
        assert (await soon(waiting)).type == "brand.new"
        await events.aclose()
        assert session._callbacks.listeners == {} and session._callbacks._arrivals == []


@virtual
async def test_an_iterator_that_falls_behind_is_told_so() -> None:
    peer = Peer()
    async with await peer.connect(limits=antiphon.StreamLimits(events=3)) as session:
        events = session.events()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        for _ in range(5):
            peer.line.say({"type": "brand.new"})
        with pytest.raises(antiphon.StreamOverflow):
            await soon(waiting)
