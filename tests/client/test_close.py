"""The end of a session: soon, once, for everybody, and with nothing left behind."""

import asyncio
import gc

import pytest

import antiphon
from antiphon.emulator import Behaviour, MemoryConnector, Script, say
from antiphon.protocol.response import Response
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []


@virtual
async def test_close_tells_everything_in_flight() -> None:
    peer = Peer()
    session = await peer.connect()
    asked, handle = session.send_text("Hi."), session.create_response()
    queued, receipt = session.create_response(), session.interrupt()
    waiting = asyncio.ensure_future(anext(handle.audio))
    ends: list[antiphon.ConnectionClosed] = []
    session.on("closed", ends.append)
    await soon(session.close())
    end = await soon(session.closed)
    assert isinstance(end, antiphon.ConnectionClosedOK)
    assert (end.code, end.by) == (1000, "client")
    assert ends == [end]
    with pytest.raises(antiphon.ConnectionClosedOK):
        await soon(asked)
    with pytest.raises(StopAsyncIteration):
        await soon(waiting)
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
    assert (await soon(queued.done)).kind is antiphon.OutcomeKind.CANCELLED
    assert [str(one.outcome) for one in (await soon(receipt)).entries] == [
        "lost",
        "cancelled (never_sent)",
    ]
    assert peer.line.closed == (1000, "")


@virtual
async def test_close_twice_and_at_the_same_time() -> None:
    peer = Peer()
    session = await peer.connect()
    await soon(asyncio.gather(session.close(), session.close()))
    await soon(session.close())


@virtual
async def test_close_takes_two_seconds_at_most() -> None:
    class Stuck(Peer):
        async def __call__(self, *args: object) -> antiphon.Transport:
            line = await super().__call__(*args)  # type: ignore[arg-type]
            self.line.close = lambda *_: None  # type: ignore[method-assign]
            return line

    peer = Stuck()
    session = await peer.connect()
    await session.close()
    assert asyncio.get_running_loop().time() == pytest.approx(2.0, abs=0.1)


@virtual
async def test_leaving_the_block_with_an_error_closes_too() -> None:
    peer = Peer()
    with pytest.raises(ValueError, match="mine"):
        async with antiphon.connect(url="ws://localhost/v1/realtime", connector=peer):
            raise ValueError("mine")
    assert peer.line.closed is not None


@virtual
async def test_nothing_that_comes_after_the_close_reaches_anybody() -> None:
    peer = Peer()
    session = await peer.connect()
    made: list[object] = []
    for name in ("response", "opened", "server_event", "done"):
        session.on(name, made.append)
    line = peer.line
    await soon(session.close())
    line.over = False
    line.created(id="resp_late")
    line.done("resp_late")
    assert made == []


@virtual
async def test_a_listener_that_asks_for_more_during_the_close_is_refused() -> None:
    peer = Peer()
    session = await peer.connect()
    refused: list[Exception] = []

    def again(_: object) -> None:
        try:
            session.create_response()
        except antiphon.ConnectionClosed as closed:
            refused.append(closed)

    session.on("done", again)
    session.create_response()
    await soon(session.close())
    assert refused == [await session.closed]


def alive(kind: type) -> int:
    gc.collect()
    return sum(isinstance(one, kind) for one in gc.get_objects())


@virtual
async def test_finished_responses_are_released() -> None:
    # I9: what a reader no longer holds is gone, however long the session lives.
    connector = MemoryConnector(Behaviour(), Script([say("Good.", ms=100).always()]))
    options = antiphon.Options(remembered=16)
    before = alive(antiphon.ResponseHandle), alive(antiphon.Stream)
    records = alive(Response)
    async with antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, options=options
    ) as session:
        for number in range(200):
            handle = session.create_response(conversation="none")
            if number % 3 == 0:
                await soon(handle.created)
                _ = session.interrupt()
            await soon(handle.done)
        del handle
        assert (alive(antiphon.ResponseHandle), alive(antiphon.Stream)) == before
        assert alive(Response) - records <= options.remembered
        assert len(session._shell.connection._deadlines) <= options.remembered
        assert not session._callbacks.due


@virtual
async def test_a_session_that_was_closed_is_released() -> None:
    peer = Peer()
    before = alive(antiphon.Session), alive(antiphon.ResponseHandle)
    session = await peer.connect()
    session.on("done", lambda _: None)
    session.create_response()
    await soon(session.close())
    del session
    peer.lines.clear()
    assert (alive(antiphon.Session), alive(antiphon.ResponseHandle)) == before


@virtual
async def test_a_transport_that_fails_to_send_keeps_nobody_from_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    peer = Peer()
    async with await peer.connect() as session:
        handles = [session.create_response(conversation="none") for _ in range(2)]
        for create in peer.line.of("response.create"):
            peer.line.created(create, lane=None)

        def refuse(*_: bytes) -> None:
            raise RuntimeError("mine")

        monkeypatch.setattr(peer.line, "send_text", refuse)
        receipt = session.interrupt()
        assert [one.audio.ended for one in handles] == [True, True]
        assert session.counters["internal_errors"] == 1
        # The server never learns of it, so the deadlines settle it.
        assert len((await soon(receipt)).unsettled) == 2
    assert "the transport failed to send" in caplog.text


@virtual
async def test_a_transport_that_fails_to_close_keeps_nobody_from_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("mine")

    peer = Peer()
    session = await peer.connect()
    handle, asked = session.create_response(), session.send_text("Hi.")
    ends: list[antiphon.ConnectionClosed] = []
    session.on("closed", ends.append)
    monkeypatch.setattr(peer.line, "close", refuse)
    await soon(session.close())
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
    with pytest.raises(antiphon.ConnectionClosed):
        await soon(asked)
    assert ends == [await soon(session.closed)]
    assert session.counters["internal_errors"] >= 1
    assert "the transport failed to close" in caplog.text


@virtual
async def test_an_iterator_asked_for_during_the_close_ends_and_leaves_no_listener() -> None:
    peer = Peer()
    session = await peer.connect()
    late: list[antiphon.Arrivals[antiphon.ResponseHandle]] = []
    session.on("done", lambda _: late.append(session.responses()))
    session.create_response()
    await soon(session.close())
    late.append(session.responses())
    for arrivals in late:
        with pytest.raises(StopAsyncIteration):
            await soon(anext(arrivals))
    assert len(late) == 2
    assert "response" not in session._callbacks.listeners
