"""What a caller holds of one response: created, done, text, audio, calls, subscribe, cancel."""

import asyncio
from typing import Any, TypeVar

import pytest

import antiphon
from antiphon import OutcomeKind
from antiphon.emulator import (
    Behaviour,
    MemoryConnector,
    Script,
    answer,
    call,
    fail,
    incomplete,
    say,
    silence,
    text,
)
from antiphon.emulator.audio import speech
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

T = TypeVar("T")


async def against(*steps: Any, **knobs: Any) -> antiphon.Session:
    """A session with an emulator that answers so."""
    connector = MemoryConnector(Behaviour(**knobs), Script(steps))
    return await antiphon.connect(url="ws://localhost/v1/realtime", connector=connector)


@virtual
async def test_a_spoken_response_from_create_to_done() -> None:
    async with await against(say("Good morning.", ms=700)) as session:
        handle = session.create_response(purpose="greeting", metadata={"who": "me"})
        assert (handle.id, handle.outcome, handle.cause) == (None, None, None)
        assert handle in session.in_flight
        assert await soon(handle.created) is True
        assert handle.id is not None
        audio = b"".join([chunk async for chunk in handle.audio])
        assert audio == speech.synthesize(handle.id, 0, 700)
        assert await soon(handle.text()) == "Good morning."
        outcome = await soon(handle.done)
        assert outcome == handle.outcome == antiphon.Outcome(OutcomeKind.COMPLETED)
        assert handle.cause is antiphon.Cause.FINISHED
        assert (handle.purpose, handle.metadata) == ("greeting", {"who": "me"})
        assert handle.lane is antiphon.Lane.DEFAULT
        assert not handle.from_server
        assert handle.usage is not None and handle.usage.output_tokens
        assert [item.type for item in handle.output] == ["message"]
        assert handle.item_ids == tuple(item.id for item in handle.output)
        assert session.in_flight == ()
        assert handle.id in repr(handle)


@virtual
async def test_a_written_response() -> None:
    async with await against(text("One two three.")) as session:
        handle = session.create_response(output_modalities=["text"])
        assert [part async for part in handle.text_stream][0].startswith("One")
        assert await soon(handle.done) == antiphon.Outcome(OutcomeKind.COMPLETED)
        assert [chunk async for chunk in handle.audio] == []


@virtual
async def test_a_failed_response_raises_from_its_streams_and_not_from_done() -> None:
    async with await against(fail("rate_limit_exceeded", after=say("I was", ms=200))) as session:
        handle = session.create_response()
        outcome = await soon(handle.done)
        assert outcome.kind is OutcomeKind.FAILED
        assert outcome.error is not None and outcome.error.code == "rate_limit_exceeded"
        assert await soon(handle.created) is True
        for read in (handle.text(), _drain(handle.audio), _drain(handle.calls)):
            with pytest.raises(antiphon.ResponseFailed) as caught:
                await soon(read)
            assert caught.value.outcome == outcome


@virtual
async def test_an_incomplete_response_is_an_outcome_with_its_reason() -> None:
    async with await against(incomplete("content_filter", after=say("Well", ms=200))) as session:
        handle = session.create_response()
        assert await soon(handle.done) == antiphon.Outcome(OutcomeKind.INCOMPLETE, "content_filter")
        assert await soon(handle.text()) == "Well"


@virtual
async def test_a_response_without_any_output() -> None:
    async with await against(silence()) as session:
        handle = session.create_response()
        assert await soon(handle.text()) == ""
        assert (await soon(handle.done)).kind is OutcomeKind.COMPLETED


@virtual
async def test_a_rejected_response_says_so_wherever_one_asks() -> None:
    async with await against(say("Never.")) as session:
        handle = session.create_response(input=[{"type": "item_reference", "id": "item_nowhere"}])
        with pytest.raises(antiphon.ResponseRejected) as caught:
            await soon(handle.created)
        assert caught.value.code
        with pytest.raises(antiphon.ResponseRejected):
            await soon(handle.text())
        assert (await soon(handle.done)).kind is OutcomeKind.REJECTED


@virtual
async def test_cancelling_a_task_that_reads_does_not_cancel_the_response() -> None:
    async with await against(say("Good morning.", ms=1000)) as session:
        handle = session.create_response()
        reader = asyncio.ensure_future(_drain(handle.audio))
        await soon(handle.created)
        await asyncio.sleep(0.05)
        reader.cancel()
        await asyncio.wait([reader])
        assert (await soon(handle.done)).kind is OutcomeKind.COMPLETED


@virtual
async def test_cancel_returns_what_tells_how_it_ended() -> None:
    async with await against(say("Good morning.", ms=5000)) as session:
        handle = session.create_response()
        await soon(handle.created)
        outcome = await soon(handle.cancel())
        assert outcome == antiphon.Outcome(OutcomeKind.CANCELLED, "client_cancelled")
        assert await soon(handle.cancel()) == outcome, "twice is harmless"
        assert handle.cause is antiphon.Cause.CANCELLED
        assert await soon(handle.text()) == ""


@virtual
async def test_cancel_before_created_resolves_created_with_false() -> None:
    async with await against(say("Never.", ms=5000), created_latency_ms=100) as session:
        handle = session.create_response()
        _ = handle.cancel()
        assert await soon(handle.created) is False
        assert (await soon(handle.done)).kind is OutcomeKind.CANCELLED


@virtual
async def test_cancel_silences_what_a_finished_response_has_still_unread() -> None:
    # The server is faster than the player: most of what it said waits here to be read.
    async with await against(say("Good morning.", ms=1000)) as session:
        handle = session.create_response()
        await soon(handle.done)
        assert handle.audio.buffered == 48_000
        assert len(await anext(handle.audio)) == 4800
        assert (await soon(handle.cancel())).kind is OutcomeKind.COMPLETED
        assert await _drain(handle.audio) == []
        assert await _drain(handle.text_stream) == []


@virtual
async def test_interrupting_a_handle_silences_it_just_so() -> None:
    async with await against(say("Good morning.", ms=1000).times(2)) as session:
        finished, running = session.create_response(), session.create_response()
        await soon(finished.done)
        await soon(running.created)
        receipt = await soon(session.interrupt([finished, running]))
        assert [one.outcome.kind for one in receipt.entries] == [
            OutcomeKind.COMPLETED,
            OutcomeKind.CANCELLED,
        ]
        assert await _drain(finished.audio) == []
        assert await _drain(running.audio) == []


@virtual
async def test_a_barge_in_of_the_servers_own_silences_what_was_not_read() -> None:
    async with await against(say("Long.", ms=20_000), say("Yes?", ms=200)) as session:
        handle = session.create_response()
        await soon(handle.created)
        await asyncio.sleep(1.0)
        assert handle.audio.buffered
        session.append_audio(speech.user_voice(600) + bytes(48 * 500))
        assert await soon(handle.done) == antiphon.Outcome(OutcomeKind.CANCELLED, "turn_detected")
        assert await _drain(handle.audio) == []


@virtual
async def test_a_slow_reader_overflows_alone() -> None:
    connector = MemoryConnector(Behaviour(), Script([say("Long.", ms=2000).always()]))
    limits = antiphon.StreamLimits(audio_bytes=20_000)
    async with antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, limits=limits
    ) as session:
        slow, keen = (session.create_response(conversation="none") for _ in range(2))
        reader = asyncio.ensure_future(_drain(keen.audio))
        assert (await soon(slow.done)).kind is OutcomeKind.COMPLETED
        with pytest.raises(antiphon.StreamOverflow):
            await _drain(slow.audio)
        assert await slow.text() == "Long.", "its words were not too many"
        assert sum(map(len, await soon(reader))) == 96_000


@virtual
async def test_subscribe_gives_every_event_in_order_and_can_switch_the_streams_off() -> None:
    async with await against(say("Good morning.", ms=300)) as session:
        handle = session.create_response()
        kinds: list[str] = []
        handle.subscribe(lambda event: kinds.append(event.type), streams=False)
        await soon(handle.done)
        assert kinds[0] == "response.output_item.added"
        assert kinds[-1] == "response.output_item.done"
        assert "response.output_audio.delta" in kinds
        assert handle.audio.buffered == 0
        assert await _drain(handle.audio) == []


@virtual
async def test_calls_come_whole_and_parsed() -> None:
    script = answer(say("One moment.", ms=200), call("lookup", {"city": "Oslo"}, call_id="call_1"))
    async with await against(script) as session:
        heard: list[antiphon.FunctionCall] = []
        session.on("function_call", heard.append)
        handle = session.create_response()
        calls = await _drain(handle.calls)
        assert calls == heard
        assert (calls[0].name, calls[0].call_id) == ("lookup", "call_1")
        assert calls[0].parsed() == {"city": "Oslo"}
        assert calls[0].response_id == handle.id


@virtual
async def test_arguments_that_are_no_json_are_the_models_fault_not_the_sessions() -> None:
    async with await against(call("lookup", "{not json")) as session:
        (wrong,) = await _drain(session.create_response().calls)
        assert wrong.arguments == "{not json"
        with pytest.raises(ValueError, match="Expecting"):
            wrong.parsed()


@virtual
async def test_a_call_announced_by_nothing_but_a_done_is_handed_out_to_its_listeners() -> None:
    # P-67: a `response.done` without `response.created`, here of the server's own making.
    peer = Peer()
    async with await peer.connect() as session:
        calls: list[antiphon.FunctionCall] = []
        session.on("function_call", calls.append)
        item = {
            "id": "item_1",
            "type": "function_call",
            "status": "completed",
            "call_id": "call_1",
            "name": "lookup",
            "arguments": "{}",
        }
        peer.line.done("resp_x", output=[item])
        assert [one.call_id for one in calls] == ["call_1"]
        assert session.counters["internal_errors"] == 0


@virtual
async def test_a_handle_of_another_session_is_refused() -> None:
    async with await against(say("a")) as one, await against(say("b")) as other:
        handle = one.create_response()
        with pytest.raises(antiphon.LocalProtocolError, match="another session"):
            _ = other.interrupt([handle])


async def _drain(stream: antiphon.Stream[T]) -> list[T]:
    return [element async for element in stream]
