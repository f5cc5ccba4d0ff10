"""What was not heard stays out of the conversation, also when the connection was replaced since.

The next server knows a spoken item as its words (P-226), which have no milliseconds. They are cut
where the sound was: as many of them as were heard.
"""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.audio import CallbackSink, Player
from antiphon.emulator import Behaviour, MemoryConnector, Pace, Script, say
from tests.client.peer import soon, virtual

__all__: list[str] = []

WORDS = "One two three four five six seven eight."
QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=0.1, max_delay=0.5)


async def against(*steps: Any) -> tuple[antiphon.Session, MemoryConnector, asyncio.Event]:
    wire = MemoryConnector(Behaviour(pace=Pace(speed=20)), Script(steps))
    session = await antiphon.connect(
        url="ws://localhost/v1/realtime", connector=wire, reconnect=QUICK
    )
    back = asyncio.Event()
    session.on("reconnected", lambda _: back.set())
    return session, wire, back


def said(items: Any) -> list[str]:
    parts = [part for item in items for part in item.content or ()]
    return [str(part.text or part.transcript) for part in parts if part.text or part.transcript]


def told(wire: MemoryConnector) -> list[str]:
    """What the newest server was told to have in its conversation, in order."""
    items: list[Any] = []
    for frame in wire.sessions[-1].received:
        event: Any = frame
        if event["type"] == "conversation.item.create":
            ids = [item["id"] for item in items]
            previous = event.get("previous_item_id")
            at = 0 if previous == "root" else ids.index(previous) + 1 if previous else len(ids)
            items.insert(at, event["item"])
        elif event["type"] == "conversation.item.delete":
            items = [item for item in items if item["id"] != event["item_id"]]
    return [part["text"] for item in items for part in item["content"]]


@virtual
@pytest.mark.parametrize("when", ["unanswered", "meanwhile", "after"])
@pytest.mark.parametrize(
    ("heard_ms", "left"),
    [(4000, ["One two three four"]), (999, []), (8000, [WORDS]), (9000, [WORDS])],
)
async def test_truncate_cuts_the_words_that_were_not_heard(
    when: str, heard_ms: int, left: list[str]
) -> None:
    session, wire, back = await against(say(WORDS, ms=8000))
    reply = session.create_response()
    await soon(reply.done)
    lost = asyncio.Event()
    session.on("disconnected", lambda _: lost.set())
    wire.transports[0].abort()
    if when == "meanwhile":
        await soon(lost.wait())
    elif when == "after":
        await soon(back.wait())
    await soon(session.truncate(reply, heard_ms=heard_ms))
    await soon(back.wait())
    await soon(session.update({"instructions": "a fence: all that was sent before is read"}))
    assert said(session.items) == left
    assert told(wire) == left
    assert session.counters["error"] == 0
    await soon(session.close())


@virtual
async def test_a_player_that_plays_on_over_a_loss_has_it_cut_where_it_was_interrupted() -> None:
    session, wire, back = await against(say(WORDS, ms=8000), say("Yes?", ms=100))
    async with Player(session, CallbackSink(lambda _: None)):
        await soon(session.send_text("Count."))
        reply = session.create_response()
        await soon(reply.done)
        wire.transports[0].abort()
        await soon(back.wait())
        await asyncio.sleep(3.0)
        (entry,) = (await soon(session.interrupt())).entries
        assert entry.playback == "cleared" and entry.heard_ms is not None
        count = int(8 * entry.heard_ms / 8000)
        after = session.create_response()
        await soon(after.done)
        assert told(wire) == ["Count.", " ".join(WORDS.split()[:count])]
        assert said(session.items) == [*told(wire), "Yes?"]
    await soon(session.close())


@virtual
async def test_what_is_said_after_the_loss_is_cut_by_the_server_as_ever() -> None:
    session, wire, back = await against(say("Before.", ms=500), say(WORDS, ms=8000))
    await soon(session.create_response().done)
    wire.transports[0].abort()
    await soon(back.wait())
    reply = session.create_response()
    await soon(reply.done)
    await soon(session.truncate(reply, heard_ms=1000))
    frames = [one for one in wire.sessions[-1].received if isinstance(one, dict)]
    (cut,) = [one for one in frames if one["type"] == "conversation.item.truncate"]
    assert cut["audio_end_ms"] == 1000
    await soon(session.close())
