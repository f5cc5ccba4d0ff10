"""A lost connection: what was in flight is told so, the conversation goes on elsewhere, or ends."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

import antiphon
from antiphon.emulator import (
    Behaviour,
    Faults,
    MemoryConnector,
    Script,
    after,
    call,
    on,
    say,
    text,
)
from tests.client.peer import Json, Peer, soon, virtual

__all__: list[str] = []

QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=0.1, max_delay=0.5)


async def reconnected(session: antiphon.Session) -> asyncio.Event:
    event = asyncio.Event()
    session.on("reconnected", lambda _: event.set())
    return event


def words(item: Json) -> list[str]:
    return [part.get("text") for part in item.get("content") or ()]


@virtual
async def test_a_loss_is_typed_for_everything_in_flight_and_the_session_goes_on() -> None:
    # P-278
    connector = MemoryConnector(Behaviour(), Script([say("Long.", ms=60_000).always()]))
    async with antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, reconnect=QUICK
    ) as session:
        back = await reconnected(session)
        gone: list[antiphon.ConnectionClosed] = []
        session.on("disconnected", gone.append)
        handles = [session.create_response(), session.create_response(conversation="none")]
        queued = session.create_response()
        await soon(handles[1].created)
        connector.transports[0].abort()
        for handle in (*handles, queued):
            assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
            with pytest.raises(antiphon.ConnectionClosedError):
                await soon(handle.text())
        with pytest.raises(antiphon.ConnectionClosedError):
            await queued.created
        assert await handles[0].created is True
        await soon(back.wait())
        assert [(one.by, one.code) for one in gone] == [("network", None)]
        follower = session.create_response()
        assert await soon(follower.created) is True
        assert len((await soon(session.interrupt())).cancelled) == 1


@virtual
async def test_configuration_and_conversation_are_replayed_without_out_of_band_items() -> None:
    # P-31, P-278
    script = Script(
        [
            say("It is sunny.", ms=300).when(contains="weather"),
            text("calm").when(lane="out_of_band"),
            call("lookup", {"q": 1}, call_id="call_1").when(contains="look"),
            call("never", {}, call_id="call_2").when(contains="unanswered"),
        ]
    )
    connector = MemoryConnector(Behaviour(oob_emits_conversation_items=True), script)
    async with antiphon.connect(
        url="ws://localhost/v1/realtime",
        connector=connector,
        reconnect=QUICK,
        session={"instructions": "Be brief."},
    ) as session:
        back = await reconnected(session)
        await soon(session.update({"audio": {"output": {"voice": "cedar"}}}))
        _ = session.send_text("What is the weather?")
        await soon(session.create_response().done)
        aside = session.create_response(
            conversation="none", input=[{"type": "message", "role": "user", "content": []}]
        )
        await soon(aside.done)
        _ = session.send_text("Please look it up.")
        await soon(session.create_response().done)
        await soon(session.send_function_output("call_1", "found"))
        _ = session.send_text("And unanswered.")
        await soon(session.create_response().done)
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        connector.transports[0].abort()
        await soon(back.wait())
        await soon(session.update({}))  # everything before it has been answered
        first, second = connector.sessions
        (told, _) = second.received_of("session.update")
        assert told["session"] == {
            "type": "realtime",
            "instructions": "Be brief.",
            "audio": {"output": {"voice": "cedar"}},
        }
        replayed = [one["item"] for one in second.received_of("conversation.item.create")]
        assert [one["type"] for one in replayed] == [
            "message",
            "message",
            "message",
            "function_call",
            "function_call_output",
            "message",
        ]
        assert [words(one) for one in replayed if one["type"] == "message"] == [
            ["What is the weather?"],
            ["It is sunny."],
            ["Please look it up."],
            ["And unanswered."],
        ]
        assert not any(item_id in second.item_ids for item_id in aside.item_ids)
        assert second.item_ids == [one["id"] for one in replayed]
        assert [item.id for item in session.items] == second.item_ids
        assert {one.kind for one in reports} == {antiphon.ReportKind.UNSENT}
        assert len(first.item_ids) > len(second.item_ids), "the unanswered call stayed behind"


@virtual
async def test_what_is_asked_while_offline_is_sent_in_order_after_the_replay() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    kept = session.send_text("Before.")
    peer.line.say(
        {"type": "conversation.item.added", "item": peer.line.sent[0]["item"]},
    )
    await soon(kept)
    peer.lines[0].lose()
    _ = session.send_text("One.")
    first = session.create_response()
    _ = session.send_text("Two.")
    second = session.create_response()  # waits for the first, as it would online
    aside = session.create_response(conversation="none")
    session.append_audio(bytes(960))
    await soon(peer.arrived.wait())
    await asyncio.sleep(0.1)
    kinds = [one["type"] for one in peer.line.sent]
    assert kinds == [
        "conversation.item.create",
        "conversation.item.create",
        "response.create",
        "conversation.item.create",
        "response.create",
        "input_audio_buffer.append",
    ]
    assert [words(one["item"]) for one in peer.line.of("conversation.item.create")] == [
        ["Before."],
        ["One."],
        ["Two."],
    ]
    assert peer.line.sent[4]["response"]["conversation"] == "none"
    assert session.counters["audio_bytes_dropped_offline"] == 0
    for handle, create in zip((first, aside), peer.line.of("response.create"), strict=True):
        peer.line.done(peer.line.created(create))
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    peer.line.done(peer.line.created(peer.line.of("response.create")[2]))
    assert (await soon(second.done)).kind is antiphon.OutcomeKind.COMPLETED
    await session.close()


@virtual
async def test_what_is_cancelled_while_offline_is_never_sent() -> None:
    peer = Peer(refusals=[None, antiphon.ConnectError("busy", retryable=True)])
    async with await peer.connect(reconnect=QUICK) as session:
        peer.lines[0].lose()
        dropped, kept = session.create_response(), session.create_response()
        assert dropped in session.in_flight
        outcome = await soon(dropped.cancel(), within=0.01)
        assert outcome == antiphon.Outcome(antiphon.OutcomeKind.CANCELLED, "never_sent")
        await soon(peer.arrived.wait())
        await asyncio.sleep(0.1)
        assert len(peer.line.of("response.create")) == 1
        peer.line.done(peer.line.created(peer.line.of("response.create")[0]))
        assert (await soon(kept.done)).kind is antiphon.OutcomeKind.COMPLETED


@virtual
async def test_no_deadline_runs_while_offline() -> None:
    # It takes longer to come back than a request may take.
    refusals: list[Exception | None] = [None]
    refusals += [antiphon.ConnectError("busy", retryable=True)] * 5
    policy = antiphon.ReconnectPolicy(attempts=10, first_delay=8.0)
    peer = Peer(refusals=refusals)
    async with await peer.connect(reconnect=policy) as session:
        peer.lines[0].lose()
        asked = session.send_text("Hello?")
        handle = session.create_response()
        await soon(peer.arrived.wait())
        await asyncio.sleep(0.1)
        assert asyncio.get_running_loop().time() > 20
        (item,) = peer.line.of("conversation.item.create")
        peer.line.say({"type": "conversation.item.added", "item": item["item"]})
        assert (await soon(asked)).type == "message"
        peer.line.done(peer.line.created(peer.line.of("response.create")[0]))
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
        late = session.send_text("And now?")
        with pytest.raises(antiphon.RequestTimeout):
            await soon(late)


@virtual
async def test_attempts_are_counted_and_the_last_failure_is_the_cause() -> None:
    # P-273, P-277
    down = antiphon.ConnectError("down", status=503, retryable=True)
    peer = Peer(refusals=[None, down, down, down, down, down])
    session = await peer.connect(reconnect=QUICK)
    failed: list[antiphon.ConnectError] = []
    session.on("connect_failed", failed.append)
    asked = session.send_text("Hello?")
    peer.lines[0].lose(1011, "server error")
    waiting = session.create_response()
    end = await soon(session.closed)
    assert peer.attempts == 1 + QUICK.attempts == 1 + len(failed)
    assert isinstance(end, antiphon.ConnectionClosedError)
    assert (end.code, end.reason, end.__cause__) == (1011, "server error", down)
    assert (await soon(waiting.done)).kind is antiphon.OutcomeKind.LOST
    with pytest.raises(antiphon.ConnectionClosedError):
        await soon(asked)


@virtual
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, "bye"),
        (3000, "invalid_request_error.invalid_api_key"),
        (4000, "invalid_request_error.missing_model"),
        (1008, "policy"),
    ],
)
async def test_some_codes_are_final(code: int, reason: str) -> None:
    # P-270, P-272, P-274, P-277
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    peer.line.lose(code, reason)
    end = await soon(session.closed)
    assert (end.code, end.reason, end.by) == (code, reason, "server")
    assert isinstance(end, antiphon.ConnectionClosedOK) == (code == 1000)
    assert peer.attempts == 1


@virtual
@pytest.mark.parametrize("code", ["insufficient_quota", "invalid_api_key", "account_deactivated"])
async def test_a_fatal_error_before_the_loss_ends_the_session_instead_of_a_loop(code: str) -> None:
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    peer.line.say({"type": "error", "error": {"type": "invalid_request_error", "code": code}})
    peer.line.lose(None)
    await soon(session.closed)
    assert peer.attempts == 1


@virtual
async def test_a_refused_handshake_ends_the_attempts() -> None:
    peer = Peer(refusals=[None, antiphon.ConnectError("no key", status=401)])
    session = await peer.connect(reconnect=QUICK)
    peer.lines[0].lose()
    end = await soon(session.closed)
    assert isinstance(end.__cause__, antiphon.ConnectError) and end.__cause__.status == 401
    assert peer.attempts == 2


@virtual
async def test_a_server_that_accepts_and_hangs_up_is_given_up() -> None:
    faults = Faults(after(0.5).abort())
    connector = MemoryConnector(Behaviour(), Script(), faults=faults)
    session = await antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, reconnect=QUICK
    )
    await soon(session.closed)
    assert len(connector.sessions) == 1 + QUICK.attempts


@virtual
async def test_a_connection_that_lasted_counts_as_a_success() -> None:
    faults = Faults(after(30.0).abort())
    connector = MemoryConnector(Behaviour(), Script(), faults=faults)
    async with antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, reconnect=QUICK
    ) as session:
        await asyncio.sleep(30 * 12 + 5)
        assert len(connector.sessions) > 10
        await soon(session.update({"instructions": "still here"}))


@virtual
async def test_a_connection_made_and_lost_in_the_same_moment_is_a_failed_attempt() -> None:
    class Fickle(Peer):
        async def __call__(self, *args: Any) -> antiphon.Transport:
            line = await super().__call__(*args)
            if self.attempts == 2:
                self.line.hello()
                self.line.lose()
            return line

    peer = Fickle()
    async with await peer.connect(reconnect=QUICK) as session:
        peer.lines[0].lose()
        handle = session.create_response()
        await asyncio.sleep(5)
        assert peer.attempts == 3
        peer.line.done(peer.line.created(peer.line.of("response.create")[0]))
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED


@virtual
async def test_a_connector_that_breaks_its_contract_ends_the_session_and_no_wait_hangs() -> None:
    peer = Peer(refusals=[None, RuntimeError("a bug in the connector")])
    session = await peer.connect(reconnect=QUICK)
    peer.lines[0].lose()
    handle = session.create_response()
    end = await soon(session.closed)
    assert isinstance(end.__cause__, antiphon.ConnectError)
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST


@virtual
async def test_close_during_a_reconnect_stops_it() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    peer.greets = False
    peer.lines[0].lose()
    await soon(peer.arrived.wait())
    handle = session.create_response()
    await soon(session.close())
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
    assert peer.lines[1].closed is not None
    await asyncio.sleep(60)
    assert peer.attempts == 2


@virtual
async def test_close_inside_the_pause_between_attempts() -> None:
    down = antiphon.ConnectError("down", retryable=True)
    peer = Peer(refusals=[None, down])
    policy = antiphon.ReconnectPolicy(attempts=3, first_delay=30.0)
    session = await peer.connect(reconnect=policy)
    peer.lines[0].lose()
    await asyncio.sleep(1)
    await soon(session.close())
    await asyncio.sleep(60)
    assert peer.attempts == 2


@virtual
async def test_a_silent_server_is_a_failed_attempt() -> None:
    peer = Peer(greets=False)
    with pytest.raises(antiphon.ConnectError, match="no session") as caught:
        await peer.connect(connect_timeout=3.0)
    assert caught.value.retryable
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    assert peer.line.closed is not None, "it is not left open"


@virtual
async def test_a_connector_that_hangs_is_bounded_too() -> None:
    async def never(
        url: str, headers: Mapping[str, str], handler: antiphon.FrameHandler
    ) -> antiphon.Transport:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(antiphon.ConnectError):
        await antiphon.connect(
            url="ws://localhost/v1/realtime", connector=never, connect_timeout=3.0
        )


@virtual
async def test_connect_cancelled_at_every_moment_leaves_nothing_open() -> None:
    for turns in range(8):
        peer = Peer(greets=turns % 2 == 0)
        opening = asyncio.ensure_future(_connect(peer))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if opening.cancelled():
            assert all(line.closed is not None for line in peer.lines), turns
        else:
            await opening.result().close()


async def _connect(peer: Peer) -> antiphon.Session:
    return await peer.connect()


@virtual
async def test_a_wrong_key_is_told_by_its_code() -> None:
    connector = MemoryConnector(api_key="right")
    with pytest.raises(antiphon.ConnectError) as caught:
        await antiphon.connect(
            url="ws://localhost/v1/realtime", connector=connector, api_key="wrong"
        )
    assert (caught.value.code, caught.value.retryable) == ("invalid_api_key", False)


@virtual
@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("invalid_request_error.invalid_intent", "invalid_intent"),
        ("server shutdown", None),
        ("Your session hit the maximum duration of 60 minutes.", None),
        ("", None),
    ],
)
async def test_the_code_of_a_close_is_taken_from_its_reason_only_where_there_is_one(
    reason: str, code: str | None
) -> None:
    # P-275
    peer = Peer(greets=False)
    opening = asyncio.ensure_future(_connect(peer))
    await asyncio.sleep(0.1)
    peer.line.lose(1001, reason)
    with pytest.raises(antiphon.ConnectError) as caught:
        await soon(opening)
    assert (caught.value.code, caught.value.retryable) == (code, True)


@virtual
async def test_a_replay_of_the_callers_own() -> None:
    def forget(snapshot: antiphon.Snapshot) -> antiphon.Snapshot:
        return antiphon.Snapshot(session={"instructions": "Start afresh."})

    def broken(snapshot: antiphon.Snapshot) -> antiphon.Snapshot:
        raise ValueError("mine")

    for replay, items in ((forget, 0), (broken, 1)):
        connector = MemoryConnector(Behaviour(), Script())
        async with antiphon.connect(
            url="ws://localhost/v1/realtime", connector=connector, reconnect=QUICK, replay=replay
        ) as session:
            back = await reconnected(session)
            await soon(session.send_text("Remember me."))
            connector.transports[0].abort()
            await soon(back.wait())
            await soon(session.update({}))
            assert len(connector.sessions[1].received_of("conversation.item.create")) == items


@virtual
async def test_a_line_that_is_being_opened_when_the_session_ends_reaches_nobody() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    peer.greets = False
    peer.lines[0].lose()
    await soon(peer.arrived.wait())
    made: list[object] = []
    session.on("response", made.append)
    session.on("closed", lambda _: peer.lines[1].created(id="resp_late"))
    await soon(session.close())
    assert made == []
    assert peer.lines[1].closed is not None


# --- begin: connect in the background -------------------------------------------------------------


@virtual
async def test_begin_sends_what_was_asked_meanwhile_in_order() -> None:
    connector = MemoryConnector(Behaviour(), Script([text("Hello.")]), latency_s=0.5)
    session = antiphon.connect(
        url="ws://localhost/v1/realtime",
        connector=connector,
        session={"instructions": "Be brief."},
    ).begin()
    _ = session.send_text("Hi.")
    handle = session.create_response(output_modalities=["text"])
    session.append_audio(bytes(960))
    assert await soon(handle.text()) == "Hello."
    assert [one["type"] for one in connector.sessions[0].received if isinstance(one, dict)] == [
        "session.update",
        "conversation.item.create",
        "response.create",
        "input_audio_buffer.append",
    ]
    await session.close()


@virtual
async def test_begin_keeps_the_configuration_through_a_loss_before_it_was_taken() -> None:
    faults = Faults(on("session.updated", nth=1).abort())
    connector = MemoryConnector(Behaviour(), Script(), faults=faults)
    session = antiphon.connect(
        url="ws://localhost/v1/realtime",
        connector=connector,
        session={"instructions": "Be brief."},
        reconnect=antiphon.ReconnectPolicy(attempts=2),
    ).begin()
    await asyncio.sleep(1)
    assert len(connector.sessions) == 3, "each new line begins with it"
    for engine in connector.sessions:
        (told,) = engine.received_of("session.update")
        assert told["session"]["instructions"] == "Be brief."
    await session.close()


@virtual
async def test_begin_that_never_succeeds_ends_the_session_and_every_wait() -> None:
    down = antiphon.ConnectError("down", retryable=True)
    peer = Peer(refusals=[down] * 9)
    session = antiphon.connect(
        url="ws://localhost/v1/realtime", connector=peer, reconnect=QUICK
    ).begin()
    asked, handle = session.send_text("Hi."), session.create_response()
    end = await soon(session.closed)
    assert end.__cause__ is down and peer.attempts == 1 + QUICK.attempts
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
    with pytest.raises(antiphon.ConnectionClosedError):
        await soon(asked)
    await soon(session.close())
