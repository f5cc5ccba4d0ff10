"""What is owed to either side when the connection is replaced, and what is known meanwhile."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest

import antiphon
from antiphon.emulator import (
    Behaviour,
    Faults,
    MemoryConnector,
    Pace,
    Script,
    after,
    call,
    say,
    text,
)
from antiphon.emulator.audio import speech
from antiphon.protocol.connection import Connection
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

URL = "ws://localhost/v1/realtime"
QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=0.1, max_delay=0.5)
DOWN = antiphon.ConnectError("down", retryable=True)


async def against(
    *steps: Any, faults: Faults | None = None, **settings: Any
) -> tuple[antiphon.Session, MemoryConnector, asyncio.Event]:
    connector = MemoryConnector(Behaviour(pace=Pace(speed=1.0)), Script(steps), faults=faults)
    settings.setdefault("reconnect", QUICK)
    session = await antiphon.connect(url=URL, connector=connector, **settings)
    back = asyncio.Event()
    session.on("reconnected", lambda _: back.set())
    return session, connector, back


# --- calls, and whatever else waits for an answer -------------------------------------------------

TOOL = (
    call("look_up", {"order": 7}, call_id="call_1"),
    say("On Tuesday.", ms=200).when(tool_output="Tue"),
    say("I know of no result.", ms=200).always(),
)


async def a_running_call(session: antiphon.Session) -> str:
    await soon(session.send_text("Where is order 7?"))
    handle = session.create_response()
    calls = [one async for one in handle.calls]
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    return calls[0].call_id


@virtual
@pytest.mark.parametrize("answered", ["before", "meanwhile", "after"])
async def test_a_call_that_runs_during_a_loss_gets_its_output(answered: str) -> None:
    session, connector, back = await against(*TOOL)
    call_id = await a_running_call(session)
    if answered == "before":
        output = session.send_function_output(call_id, "Tue")  # the server never reads it
    connector.transports[0].abort()
    if answered == "meanwhile":
        output = session.send_function_output(call_id, "Tue")
    await soon(back.wait())
    if answered == "after":
        output = session.send_function_output(call_id, "Tue")
    assert (await soon(output)).type == "function_call_output"
    assert await soon(session.create_response().text()) == "On Tuesday."
    told = [one["item"] for one in connector.sessions[1].received_of("conversation.item.create")]
    assert [one["type"] for one in told] == ["message", "function_call", "function_call_output"]
    assert (told[1]["call_id"], told[1]["arguments"]) == ("call_1", '{"order": 7}')
    await session.close()


@virtual
async def test_a_call_outlives_two_losses() -> None:
    session, connector, back = await against(*TOOL)
    call_id = await a_running_call(session)
    for number in range(2):
        connector.transports[number].abort()
        await soon(back.wait())
        back.clear()
    await soon(session.send_function_output(call_id, "Tue"))
    assert await soon(session.create_response().text()) == "On Tuesday."
    await session.close()


@virtual
async def test_a_running_call_is_in_flight_for_the_rotation_and_outlives_its_last_moment() -> None:
    policy = antiphon.ReconnectPolicy(attempts=3, rotate_after=100.0, rotate_latest=200.0)
    session, connector, back = await against(*TOOL, reconnect=policy)
    call_id = await a_running_call(session)
    await asyncio.sleep(150)
    assert not back.is_set(), "no quiet moment"
    await asyncio.sleep(60)
    assert back.is_set(), "it had to be"
    await soon(session.send_function_output(call_id, "Tue"))
    assert await soon(session.create_response().text()) == "On Tuesday."
    await session.close()


@virtual
async def test_the_rotation_comes_when_the_call_has_its_output() -> None:
    policy = antiphon.ReconnectPolicy(attempts=3, rotate_after=100.0, rotate_latest=2000.0)
    session, connector, back = await against(*TOOL, reconnect=policy)
    call_id = await a_running_call(session)
    await asyncio.sleep(150)
    await soon(session.send_function_output(call_id, "Tue"))
    await soon(back.wait())
    await soon(session.update({}))  # everything before it has been answered
    told = connector.sessions[1].received_of("conversation.item.create")
    assert [one["item"]["type"] for one in told] == [
        "message",
        "function_call",
        "function_call_output",
    ]
    await session.close()


@virtual
async def test_an_item_that_was_asked_for_and_not_answered_is_asked_for_again() -> None:
    session, connector, _ = await against(text("Both.").always())
    await soon(session.send_text("One."))
    two, update = session.send_text("Two."), session.update({"instructions": "Be brief."})
    connector.transports[0].abort()
    assert (await soon(two)).type == "message"
    assert (await soon(update))["instructions"] == "Be brief."
    told = connector.sessions[1].received_of("conversation.item.create")
    assert [one["item"]["content"][0]["text"] for one in told] == ["One.", "Two."]
    assert [item.id for item in session.items] == connector.sessions[1].item_ids
    await session.close()


@virtual
async def test_a_deletion_that_was_not_answered_is_asked_for_again() -> None:
    session, connector, _ = await against()
    item = await soon(session.send_text("My password is hunter2."))
    deletion = session.delete_item(str(item.id))
    connector.transports[0].abort()
    await soon(deletion)
    assert session.items == () and connector.sessions[1].item_ids == []
    await session.close()


@virtual
async def test_what_was_asked_is_refused_when_the_session_ends_instead() -> None:
    peer = Peer(refusals=[None, DOWN, DOWN, DOWN, DOWN])
    session = await peer.connect(reconnect=QUICK)
    asked = session.send_text("One.")
    peer.lines[0].lose()
    with pytest.raises(antiphon.ConnectionClosed):
        await soon(asked)
    await soon(session.closed)


# --- the caller's speech --------------------------------------------------------------------------


def pieces(audio: bytes) -> list[bytes]:
    return [audio[at : at + 960] for at in range(0, len(audio), 960)]


async def speak(session: antiphon.Session, audio: bytes) -> None:
    for piece in pieces(audio):
        session.append_audio(piece)
        await asyncio.sleep(0.02)


@virtual
@pytest.mark.parametrize("lost_after_ms", [0, 300, 700])
async def test_a_word_spoken_during_an_outage_is_heard_and_answered(lost_after_ms: int) -> None:
    # The word may have begun before the loss, too: then the server that heard it is gone.
    connector = MemoryConnector(Behaviour(pace=Pace(speed=1.0)), Script([say("Yes?").always()]))
    attempts = 0

    async def unsteady(
        url: str, headers: Mapping[str, str], handler: antiphon.FrameHandler
    ) -> antiphon.Transport:
        nonlocal attempts
        attempts += 1
        if 1 < attempts <= 4:
            raise DOWN
        return await connector(url, headers, handler)

    session = await antiphon.connect(url=URL, connector=unsteady, reconnect=QUICK)
    made: list[antiphon.ResponseHandle] = []
    session.on("response", made.append)
    await speak(session, bytes(48 * 400))
    said = speech.user_voice(800)
    await speak(session, said[: 48 * lost_after_ms])
    connector.transports[0].abort()
    await speak(session, said[48 * lost_after_ms :])
    await speak(session, bytes(48 * 1500))
    assert len(connector.sessions) == 2
    assert [await soon(one.text()) for one in made] == ["Yes?"]
    assert session.counters["audio_bytes_dropped_offline"] == 0
    await session.close()


@virtual
async def test_of_a_long_outage_only_the_latest_is_heard_and_the_rest_counted() -> None:
    peer = Peer(refusals=[None, *[DOWN] * 3])
    options = antiphon.Options(kept_audio=1.0)
    session = await peer.connect(reconnect=QUICK, options=options)
    peer.lines[0].lose()
    first, last = b"\1\0" * 24000, b"\2\0" * 24000  # a second each
    for piece in (*pieces(first), *pieces(last)):
        session.append_audio(piece)
    await soon(peer.arrived.wait())
    await asyncio.sleep(1)
    assert audio_of(peer.lines[1].sent) == last
    assert session.counters["audio_bytes_dropped_offline"] == len(first)
    await session.close()


@virtual
async def test_what_the_caller_commits_by_hand_is_sent_again_before_its_commit() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    session.append_audio(b"\1\0" * 480)
    peer.lines[0].lose()
    session.append_audio(b"\2\0" * 480)
    _ = session.commit_audio()
    session.append_audio(b"\3\0" * 480)
    await soon(peer.arrived.wait())
    await asyncio.sleep(0.1)
    kinds = [one["type"].rpartition(".")[2] for one in peer.line.sent]
    assert kinds == ["append", "append", "commit", "append"]
    assert audio_of(peer.line.sent[:2]) == b"\1\0" * 480 + b"\2\0" * 480
    await session.close()


@virtual
async def test_what_was_committed_is_not_said_again() -> None:
    peer = Peer()
    session = await peer.connect(reconnect=QUICK)
    session.append_audio(b"\1\0" * 480)
    peer.line.say({"type": "input_audio_buffer.committed", "item_id": "item_u"})
    session.append_audio(b"\2\0" * 480)
    peer.lines[0].lose()
    await soon(peer.arrived.wait())
    await asyncio.sleep(0.1)
    assert audio_of(peer.line.sent) == b"\2\0" * 480
    await session.close()


def audio_of(sent: list[dict[str, Any]]) -> bytes:
    import base64

    appended = (one for one in sent if one["type"] == "input_audio_buffer.append")
    return b"".join(base64.b64decode(one["audio"]) for one in appended)


# --- what is known meanwhile ----------------------------------------------------------------------


@virtual
async def test_items_and_configuration_are_known_while_there_is_no_connection() -> None:
    peer = Peer(refusals=[None, DOWN, DOWN, DOWN, DOWN])
    session = await peer.connect(reconnect=QUICK)
    peer.line.say({"type": "session.updated", "session": {"instructions": "Be brief."}})
    asked = session.send_text("Remember me.")
    peer.line.say({"type": "conversation.item.added", "item": peer.line.sent[0]["item"]})
    item = await soon(asked)
    seen: list[str] = []

    def look(moment: str) -> None:
        assert session.items == (item,), moment
        assert session.item(str(item.id)) == item
        assert session.config == {"instructions": "Be brief."}
        seen.append(moment)

    session.on("disconnected", lambda _: look("disconnected"))
    session.on("connect_failed", lambda _: look("meanwhile"))
    session.on("closed", lambda _: look("closed"))
    peer.lines[0].lose()
    await soon(session.closed)
    look("given up")
    assert seen == ["disconnected", *["meanwhile"] * 4, "closed", "given up"]


@virtual
async def test_after_a_reconnect_they_are_what_was_replayed() -> None:
    session, connector, _ = await against(session={"instructions": "Be brief."})
    await soon(session.send_text("Remember me."))
    silent = {"type": "message", "role": "user", "content": []}
    await soon(session.create_item(silent))
    told: list[tuple[list[Any], Any]] = []
    session.on(
        "reconnected",
        lambda _: told.append(
            ([one.role for one in session.items], session.config.get("instructions"))
        ),
    )
    connector.transports[0].abort()
    await asyncio.sleep(1)
    assert told == [(["user"], "Be brief.")]
    assert [item.id for item in session.items] == connector.sessions[1].item_ids
    await session.close()


# --- a step between two connections that fails ----------------------------------------------------


@virtual
@pytest.mark.parametrize(
    "replay",
    [
        lambda snapshot: None,
        lambda snapshot: {"session": {}},
        lambda snapshot: 1 / 0,
        lambda snapshot: antiphon.Snapshot(session=None),  # type: ignore[arg-type]
        lambda snapshot: antiphon.Snapshot(session={"x": object()}),
        lambda snapshot: antiphon.Snapshot(session={}, items=("hello",)),  # type: ignore[arg-type]
        lambda snapshot: antiphon.Snapshot(session={}, items=({"role": 1},)),  # type: ignore[arg-type]
    ],
)
async def test_a_replay_hook_that_fails_is_told_and_everything_is_replayed(
    replay: Callable[[antiphon.Snapshot], antiphon.Snapshot],
) -> None:
    session, connector, back = await against(say("Here.").always(), replay=replay)
    reports: list[antiphon.Report] = []
    session.on("report", reports.append)
    await soon(session.send_text("Remember me."))
    connector.transports[0].abort()
    await soon(back.wait())
    assert await soon(session.create_response().text()) == "Here."
    assert len(connector.sessions[1].received_of("conversation.item.create")) == 1
    assert [one.kind for one in reports] == [antiphon.ReportKind.ERROR]
    assert "replay=" in reports[0].detail
    await session.close()


@virtual
async def test_items_of_a_replay_hook_may_be_plain_objects() -> None:
    hello = {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hello."}],
    }

    def replay(snapshot: antiphon.Snapshot) -> antiphon.Snapshot:
        return antiphon.Snapshot(session=snapshot.session, items=(hello,))  # type: ignore[arg-type]

    session, connector, back = await against(replay=replay)
    connector.transports[0].abort()
    await soon(back.wait())
    await soon(session.update({}))
    (item,) = session.items
    assert item.id and item.role == "user"
    await session.close()


@virtual
async def test_a_change_over_that_fails_ends_the_session_and_every_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("a bug in the core")

    peer = Peer()
    policy = antiphon.ReconnectPolicy(attempts=3, rotate_after=1.0, rotate_latest=2.0)
    session = await peer.connect(reconnect=policy)
    asked, handle = session.send_text("One."), session.create_response()
    monkeypatch.setattr(Connection, "follow", refuse)
    end = await soon(session.closed)
    assert end.by == "client" and session.counters["internal_errors"] >= 1
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.LOST
    with pytest.raises(antiphon.ConnectionClosed):
        await soon(asked)
    assert peer.lines[1].closed is not None, "the new line is not left open"


@virtual
async def test_an_old_line_that_will_not_close_is_changed_over_from_all_the_same() -> None:
    class Stubborn(Peer):
        async def __call__(self, *where: Any) -> antiphon.Transport:
            line = await super().__call__(*where)
            if self.attempts == 1:
                line.close = self.refuse  # type: ignore[method-assign]
            return line

        def refuse(self, code: int = 1000, reason: str = "") -> None:
            raise RuntimeError("a bug in the transport")

    peer = Stubborn()
    policy = antiphon.ReconnectPolicy(attempts=3, rotate_after=1.0, rotate_latest=2.0)
    session = await peer.connect(reconnect=policy)
    back = asyncio.Event()
    session.on("reconnected", lambda _: back.set())
    await soon(back.wait())
    assert session.counters["internal_errors"] == 1 and not session.closed
    _ = session.send_text("Over the new one.")
    assert [event["type"] for event in peer.lines[1].sent] == ["conversation.item.create"]
    await session.close()
    assert peer.lines[1].closed is not None


# --- one clock ------------------------------------------------------------------------------------


async def test_a_clock_put_in_place_of_the_loops_own_is_the_sessions_too() -> None:
    # As helpers that run tests in virtual time do it.
    loop = asyncio.get_running_loop()
    real = loop.time
    loop.time = lambda: real() + 1000.0  # type: ignore[method-assign]
    connector = MemoryConnector(Behaviour(pace=Pace(speed=50.0)), Script([say("Hi.", ms=2000)]))
    async with antiphon.connect(url=URL, connector=connector) as session:
        outcome = await soon(session.create_response().done)
        assert outcome.kind is antiphon.OutcomeKind.COMPLETED


@virtual
async def test_a_session_that_is_not_lost_replays_nothing() -> None:
    session, connector, back = await against(faults=Faults(after(5.0).abort()))
    await asyncio.sleep(4)
    assert not back.is_set() and len(connector.sessions) == 1
    await soon(back.wait())
    assert connector.sessions[1].received_of("conversation.item.create") == []
    await session.close()


@virtual
async def test_a_second_line_that_is_lost_while_the_first_ones_loss_is_told_is_replaced() -> None:
    peer = Peer()
    policy = antiphon.ReconnectPolicy(attempts=3, rotate_after=1.0, rotate_latest=900.0)
    session = await peer.connect(reconnect=policy)
    _ = session.create_response()  # no quiet moment
    await asyncio.sleep(2)
    session.on("disconnected", lambda _: peer.lines[1].lose())
    peer.lines[0].lose()
    await asyncio.sleep(0.5)
    assert peer.attempts == 3
    asked = session.send_text("One.")
    peer.line.say({"type": "conversation.item.added", "item": peer.line.sent[0]["item"]})
    assert (await soon(asked)).type == "message"
    await session.close()
