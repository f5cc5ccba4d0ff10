"""What a program reads of `handle.audio` at its own pace, long after it was generated."""

import asyncio

import pytest

import antiphon
from antiphon.emulator import Behaviour, MemoryConnector, Pace, Script, say, text
from tests.client.peer import soon, virtual

__all__: list[str] = []

FAST = Behaviour(pace=Pace(speed=20))


async def connected(*steps: object, **settings: object) -> antiphon.Session:
    connector = MemoryConnector(FAST, Script(steps))  # type: ignore[arg-type]
    url = "ws://localhost/v1/realtime"
    return await antiphon.connect(url=url, connector=connector, **settings)  # type: ignore[arg-type]


class SlowReader:
    """Reads at the pace at which it is heard."""

    def __init__(self, handle: antiphon.ResponseHandle) -> None:
        self.heard_ms = 0
        self.task = asyncio.ensure_future(self._read(handle))

    async def _read(self, handle: antiphon.ResponseHandle) -> None:
        async for pcm in handle.audio:
            self.heard_ms += len(pcm) // 48
            await asyncio.sleep(len(pcm) / 48000)


@virtual
async def test_a_slow_reader_falls_silent_at_once() -> None:
    session = await connected(say("A long answer.", ms=8000))
    reply = session.create_response()
    reader = SlowReader(reply)
    await asyncio.sleep(2.0)
    assert reply.outcome is not None and not reader.task.done()

    receipt = session.interrupt()
    heard = reader.heard_ms

    await asyncio.sleep(10.0)
    assert reader.heard_ms == heard and reader.task.done()
    (entry,) = (await soon(receipt)).entries
    assert (entry.playback, entry.heard_ms) == ("cleared", None)
    assert entry.response_id == reply.id and not entry.cancel_sent
    await soon(session.close())


@virtual
async def test_a_verdict_that_has_arrived_is_not_lost_with_the_sound() -> None:
    session = await connected(say("A long answer.", ms=8000), text("angry"))
    reply = session.create_response()
    verdict = session.create_response(conversation="none", output_modalities=["text"])
    await soon(reply.done)
    await soon(verdict.done)
    receipt = await soon(session.interrupt())
    assert [entry.response_id for entry in receipt.entries] == [reply.id]
    assert await soon(verdict.text()) == "angry"
    assert await soon(reply.text()) == "A long answer."
    await soon(session.close())


@pytest.mark.parametrize(
    ("scope", "dropped"), [("all", "ax"), ("default", "a"), ("out_of_band", "x")]
)
def test_scope_and_interruptible_mean_the_same_as_for_generation(scope: str, dropped: str) -> None:
    @virtual
    async def story() -> None:
        session = await connected(say("One.", ms=3000).always())
        kept = session.create_response(conversation="none", interruptible=False)
        handles = {
            "a": session.create_response(),
            "x": session.create_response(conversation="none"),
        }
        for handle in (kept, *handles.values()):
            await soon(handle.done)
        receipt = await soon(session.interrupt(scope))  # type: ignore[arg-type]
        silent = {name for name, handle in handles.items() if handle.audio.buffered == 0}
        assert silent == set(dropped)
        assert kept.audio.buffered > 0
        ids = {handles[name].id for name in dropped}
        assert {entry.response_id for entry in receipt.silenced} == ids
        await soon(session.close())

    story()


@virtual
async def test_never_leaves_what_is_finished_to_its_reader() -> None:
    session = await connected(say("One.", ms=3000).always())
    reply = session.create_response()
    await soon(reply.done)
    assert (await soon(session.interrupt(playback="never"))).entries == ()
    assert reply.audio.buffered > 0
    with pytest.raises(antiphon.LocalProtocolError, match="playback is"):
        await session.interrupt(playback="perhaps")  # type: ignore[arg-type]
    await soon(session.close())


@virtual
async def test_a_handle_by_name_is_dropped_whole_and_told() -> None:
    session = await connected(say("One.", ms=3000).always())
    reply, other = session.create_response(), session.create_response(conversation="none")
    await soon(reply.done)
    await soon(other.done)
    (entry,) = (await soon(session.interrupt([reply]))).entries
    assert (entry.response_id, entry.playback) == (reply.id, "cleared")
    assert reply.audio.buffered == reply.text_stream.buffered == 0
    assert other.audio.buffered > 0
    await soon(session.close())


@virtual
async def test_sound_that_nobody_holds_any_more_is_no_business_of_an_interruption() -> None:
    session = await connected(say("One.", ms=3000).always())
    await soon(session.create_response().done)
    assert (await soon(session.interrupt())).entries == ()
    await soon(session.close())


@virtual
async def test_played_says_that_it_cannot_know() -> None:
    session = await connected(say("One.", ms=300), text("two"))
    spoken = session.create_response()
    with pytest.raises(antiphon.LocalProtocolError, match=r"antiphon\.audio\.Player"):
        await soon(spoken.played(timeout=5.0))
    written = session.create_response(output_modalities=["text"])
    assert await soon(written.played(timeout=5.0)) == "none"
    assert await soon(session.quiet(timeout=1.0)) is True
    await soon(session.close())
