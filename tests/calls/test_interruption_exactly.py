"""What is sent to stop one response on a call, and what is told of it, by what is true then.

The table of docs/protocol.md, "Interruption exactly", row by row, with a session on the emulator's
call and its clock. Generation takes a fifth of the time that the sound does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import antiphon
from antiphon import ResponseHandle, Session
from antiphon.emulator import Behaviour, MemoryConnector, Script, say
from antiphon.emulator.running.emulated_call import EmulatedCall
from tests.client.peer import soon, virtual

__all__: list[str] = []

LONG = say("One two three four five six seven eight nine ten.", ms=4000)
Situation = Callable[[Session], Awaitable[ResponseHandle]]


async def generating_and_silent(session: Session) -> ResponseHandle:
    reply = session.create_response()
    await soon(reply.created)
    return reply


async def generating_and_playing(session: Session) -> ResponseHandle:
    reply = session.create_response()
    await asyncio.sleep(0.4)
    assert reply.outcome is None
    return reply


async def done_and_playing(session: Session) -> ResponseHandle:
    reply = session.create_response()
    await soon(reply.done)
    await asyncio.sleep(0.5)
    return reply


async def done_and_waiting_behind_another(session: Session) -> ResponseHandle:
    await done_and_playing(session)
    reply = session.create_response()
    await soon(reply.done)
    return reply


async def aside_generating_while_another_plays(session: Session) -> ResponseHandle:
    await done_and_playing(session)
    aside = session.create_response(conversation="none")
    await soon(aside.created)
    return aside


async def aside_playing_while_the_answer_waits(session: Session) -> ResponseHandle:
    aside = session.create_response(conversation="none")
    await soon(aside.done)
    await asyncio.sleep(0.5)
    await soon(session.create_response().done)
    return aside


# What is meant is stopped by this many cancels (by id) and clears; its sound ends so, and this much
# of it was heard: True means some, None that nobody can know (P-428).
ROWS: list[tuple[Situation, str, int, int, str, Any]] = [
    (generating_and_silent, "exact", 1, 0, "none", 0),
    (generating_and_playing, "exact", 1, 1, "cleared", True),
    (done_and_playing, "exact", 0, 1, "cleared", True),
    (done_and_waiting_behind_another, "exact", 0, 0, "kept", None),
    (done_and_waiting_behind_another, "always", 0, 1, "cleared", 0),
    (aside_generating_while_another_plays, "exact", 1, 0, "none", 0),
    (aside_playing_while_the_answer_waits, "exact", 0, 0, "kept", None),
    (aside_playing_while_the_answer_waits, "always", 0, 1, "cleared", None),
]


def sent(call: EmulatedCall, kind: str) -> list[Any]:
    received: Any = call.engine.received
    return [frame for frame in received if frame["type"] == kind]


@pytest.mark.parametrize("medium", ["webrtc", "sip"])
@pytest.mark.parametrize(
    ("situation", "mode", "cancels", "clears", "playback", "heard"),
    ROWS,
    ids=[f"{row[0].__name__} {row[1]}" for row in ROWS],
)
def test_row(
    situation: Situation,
    mode: Any,
    cancels: int,
    clears: int,
    playback: str,
    heard: Any,
    medium: str,
) -> None:
    @virtual
    async def story() -> None:
        wire = MemoryConnector(Behaviour(straggler_deltas=0), Script([LONG.always()]))
        if medium == "sip":
            call = wire.calls.ring()
            call.accept({"type": "realtime"})
        else:
            call = wire.calls.place()
        async with antiphon.connect(
            call_id=call.id, url="ws://localhost/v1/realtime", connector=wire
        ) as session:
            handle = await situation(session)
            receipt = await soon(session.interrupt([handle], playback=mode))
            (entry,) = receipt.entries
            assert entry.playback == playback
            if heard is True:
                assert entry.heard_ms is not None and entry.heard_ms > 0
            else:
                assert entry.heard_ms == heard
            assert [frame["response_id"] for frame in sent(call, "response.cancel")] == (
                [handle.id] if cancels else []
            )
            assert len(sent(call, "output_audio_buffer.clear")) == clears
            assert bool(receipt.audible) is (playback == "kept")

    story()
