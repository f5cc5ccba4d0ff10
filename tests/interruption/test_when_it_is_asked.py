"""Interruption, what must hold: however early, late or often it is asked."""

import asyncio

import pytest

import antiphon
from antiphon.emulator import Faults, Script, answer, call, on, say
from antiphon.emulator.audio import speech
from tests.interruption.stage import CUE, LONG, Stage, sentence

__all__: list[str] = []

CANCELLED = antiphon.OutcomeKind.CANCELLED
COMPLETED = antiphon.OutcomeKind.COMPLETED


@sentence(4)
async def test_asked_before_created_nothing_surfaces_and_the_cancel_goes_out_when_the_id_arrives(
    stage: Stage,
) -> None:
    session = await stage.enter(created_latency_ms=200)
    opened: list[antiphon.ResponseHandle] = []
    session.on("opened", opened.append)
    ear = stage.listen(stage.ask())
    await stage.until_told(1, "response.create")
    assert ear.handle.id is None

    receipt = session.interrupt()

    assert await stage.soon(ear.handle.created) is False
    assert (await stage.settled(receipt)).cancelled[0].outcome.kind is CANCELLED
    await stage.pause(0.3)
    assert stage.cancelled_ids == list(stage.server.finished_responses)
    assert ear.heard == (0, 0, 0, 0), "I5: it never surfaces"
    assert opened == []


@sentence(4)
async def test_asked_before_created_by_a_caller_who_has_given_up_waiting(stage: Stage) -> None:
    session = await stage.enter(created_latency_ms=300)
    ear = stage.listen(stage.ask())
    waiting = asyncio.ensure_future(_created(ear.handle))
    await stage.until_told(1, "response.create")
    waiting.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled() and ear.handle.id is None

    receipt = session.interrupt()

    assert len((await stage.settled(receipt)).cancelled) == 1
    assert stage.cancelled_ids == list(stage.server.finished_responses)
    assert ear.heard == (0, 0, 0, 0)


@sentence(4)
async def test_a_response_that_is_named_after_its_create_timed_out_is_cancelled_by_its_id(
    stage: Stage,
) -> None:
    # First the caller is told that the server did not answer, then even the settle deadline
    # passes; the server names the response all the same.
    await stage.enter(
        created_latency_ms=2000, options={"create_timeout": 0.1, "settle_timeout": 0.1}
    )
    ear = stage.listen(stage.ask())
    with pytest.raises(antiphon.RequestTimeout):
        await stage.soon(ear.handle.created)
    assert (await stage.soon(ear.handle.done)).kind is antiphon.OutcomeKind.TIMED_OUT
    assert stage.cancelled_ids == []

    await stage.until_told(1, "response.cancel")

    await stage.until(lambda: bool(stage.server.finished_responses))
    assert stage.cancelled_ids == list(stage.server.finished_responses)
    assert set(stage.server.finished_responses.values()) == {"cancelled"}
    assert ear.heard == (0, 0, 0, 0)


async def _created(handle: antiphon.ResponseHandle) -> bool:
    return await handle.created


@sentence(6)
async def test_with_nothing_in_flight_nothing_is_sent(stage: Stage) -> None:
    session = await stage.enter(script=Script([say("Short.", ms=200).always()]))
    assert len(await stage.settled(session.interrupt())) == 0
    handle = stage.ask()
    await stage.soon(handle.done)
    assert len([_ async for _ in handle.audio]) > 0  # it was read, so it may have been heard

    assert len(await stage.settled(session.interrupt())) == 0

    await stage.pause(0.1)
    assert stage.cancelled_ids == []


@sentence(6)
async def test_of_what_is_over_only_the_audio_that_was_not_read_is_dropped(stage: Stage) -> None:
    session = await stage.enter(script=Script([say("Short.", ms=200).always()]))
    handle = stage.ask()
    await stage.soon(handle.done)

    receipt = session.interrupt()

    assert [_ async for _ in handle.audio] == []
    (entry,) = (await stage.settled(receipt)).silenced
    assert (entry.playback, entry.heard_ms) == ("cleared", None)  # a reader's ear is its own
    assert (entry.outcome.kind, entry.cancel_sent) == ("completed", False)
    assert await stage.soon(handle.text()) == "Short."
    assert len(await stage.settled(session.interrupt())) == 0
    await stage.pause(0.1)
    assert stage.cancelled_ids == []


@sentence(6)
async def test_called_twice_sends_no_second_cancel_for_the_same_id(stage: Stage) -> None:
    session = await stage.enter(cancel_latency_ms=100)
    ears = stage.listen_all(stage.ask(), stage.ask_aside())
    await stage.until_speaking(*stage.running(ears))

    receipts = [session.interrupt(), session.interrupt(), session.interrupt("default")]
    _ = ears[0].handle.cancel()

    first, again, _ = [await stage.settled(one) for one in receipts]
    assert len(first.cancelled) == 2
    # The second call meant, and waited for, what was already being cancelled.
    assert {one.response_id for one in again.cancelled} == {
        ear.handle.id for ear in stage.running(ears)
    }
    await stage.pause(0.2)
    assert stage.cancelled_ids == [ear.handle.id for ear in stage.running(ears)]


@sentence(6)
async def test_called_and_not_awaited_works(stage: Stage) -> None:
    session = await stage.enter()
    ear = stage.listen(stage.ask())
    await stage.until_speaking(ear)

    _ = session.interrupt()

    with stage.nothing_more_from(ear):
        assert (await stage.soon(ear.handle.done)).kind is CANCELLED
        await stage.pause(0.1)
    assert stage.cancelled_ids == [ear.handle.id]


@sentence(6)
async def test_awaited_ends_when_all_are_settled(stage: Stage) -> None:
    session = await stage.enter(cancel_latency_ms=150)
    ears = stage.listen_all(stage.ask(), stage.ask_aside())
    await stage.until_speaking(*stage.running(ears))

    receipt = session.interrupt()

    assert {one.response_id for one in receipt.so_far.unsettled} == {
        ear.handle.id for ear in stage.running(ears)
    }
    done = await stage.settled(receipt)
    assert len(done.cancelled) == 2
    assert stage.server.active_responses == [], "every done had come before the receipt"


@sentence(6)
async def test_awaited_ends_after_a_bounded_time_with_the_silent_ones_named(stage: Stage) -> None:
    session = await stage.enter(
        faults=Faults(on("response.done").drop()), options={"settle_timeout": 0.3}
    )
    ear = stage.listen(stage.ask())
    await stage.until_speaking(ear)

    receipt = session.interrupt()

    with stage.nothing_more_from(ear):
        done = await stage.settled(receipt)
    assert [one.response_id for one in done.unsettled] == [ear.handle.id]
    assert done.cancelled == done.finished_first == done.lost == ()


@sentence(6)
async def test_never_hangs_on_tools_or_playback(stage: Stage) -> None:
    session = await stage.enter(
        script=Script(
            [answer(call("lookup", {"city": "Oslo"}), say("One moment.", ms=6000)).always()]
        ),
        multi_item_done_order="item_by_item",
    )
    called = asyncio.Event()
    handle = stage.ask()  # nobody reads its audio, and nobody ever answers its call

    async def tool() -> None:
        async for _ in handle.calls:
            called.set()
            await asyncio.Event().wait()

    task = asyncio.get_running_loop().create_task(tool())
    await stage.soon(called.wait())

    receipt = session.interrupt()

    assert len((await stage.settled(receipt)).cancelled) == 1
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@sentence(7)
async def test_interrupt_and_at_once_create_is_accepted_without_the_caller_waiting(
    stage: Stage,
) -> None:
    session = await stage.enter(
        cancel_latency_ms=100,
        script=Script([LONG.when(turn=0), say("Then.", ms=400).always()]),
    )
    first = stage.listen(stage.ask())
    await stage.until_speaking(first)

    _ = session.interrupt()
    second = stage.listen(stage.ask())

    assert (await stage.soon(second.handle.done)).kind is COMPLETED
    await stage.soon(second.over.wait())
    assert (second.whole, second.heard_ms) == (True, 400)
    assert stage.status_of(first.handle) == "cancelled"
    errors = [one.error.code for one in stage.server_events if one.type == "error"]
    if stage.server.behaviour.slot_free_at:
        # The lane is not free yet when it says so: the client tries again, the caller is not told.
        assert set(errors) <= {"conversation_already_has_active_response"}
    else:
        assert errors == []
    assert stage.reports == []


async def _cancel_crosses_done(stage: Stage, echo: str) -> None:
    # The server has finished, and its `done` is under way, when the cancel is sent.
    session = await stage.enter(
        script=Script([say("Done.", ms=300).always()]),
        faults=Faults(on("response.done", nth=1).hold(until=CUE)),
        error_event_id_echo=echo,
    )
    ear = stage.listen(stage.ask())
    await stage.until_speaking(ear)
    await stage.until(lambda: bool(stage.server.finished_responses))

    stage.cue()
    receipt = session.interrupt()

    done = await stage.settled(receipt)
    assert [one.outcome.kind for one in done.finished_first] == [COMPLETED]
    assert (await stage.soon(ear.handle.done)).kind is COMPLETED
    assert stage.cancelled_ids == [ear.handle.id]
    await stage.pause(0.2)
    errors = [one for one in stage.server_events if one.type == "error"]
    knobs = stage.server.behaviour
    silent = "silent" in (
        knobs.cancel_unknown_or_finished_id
        if knobs.cancel_target == "by_id"
        else knobs.cancel_no_match_reply
    )
    assert len(errors) == (0 if silent else 1)
    assert {one.kind for one in stage.reports} <= {antiphon.ReportKind.ABSORBED}
    follower = stage.listen(stage.ask())
    assert (await stage.soon(follower.handle.done)).kind is COMPLETED


@sentence(9)
async def test_a_cancel_that_crosses_the_natural_done_is_completed_and_the_late_error_absorbed(
    stage: Stage,
) -> None:
    # P-6, P-7, P-8, P-14
    await _cancel_crosses_done(stage, echo="always")


@sentence(9)
async def test_a_cancel_that_crosses_the_natural_done_with_a_null_event_id_in_the_error(
    stage: Stage,
) -> None:
    await _cancel_crosses_done(stage, echo="never")


@sentence(9)
async def test_a_cancel_that_crosses_the_servers_own_spares_the_reply_to_the_barge_in(
    stage: Stage,
) -> None:
    # P-15, P-18: the user speaks into a reply, the server cancels it by itself, and so does the
    # client, as soon as it hears of the speech. The reply to that speech must not be hit.
    session = await stage.enter(
        script=Script([LONG.when(automatic=False), say("Yes?", ms=400).when(automatic=True)]),
        cancel_latency_ms=60,
    )
    receipts: list[antiphon.PendingReceipt] = []

    def barge_in(turn: antiphon.Turn) -> None:
        if turn.phase == "speech_started":
            receipts.append(session.interrupt())

    session.on("turn", barge_in)
    theirs: list[antiphon.ResponseHandle] = []
    session.on("response", theirs.append)
    first = stage.listen(stage.ask())
    await stage.until_speaking(first)

    session.append_audio(speech.user_voice(600))
    await stage.until(lambda: bool(receipts))
    with stage.nothing_more_from(first):
        done = await stage.settled(receipts[0])
        await stage.pause(0.1)
        session.append_audio(bytes(48 * 500))
        await stage.until(lambda: bool(theirs))
        assert (await stage.soon(theirs[0].done)).kind is COMPLETED
    assert [one.response_id for one in done.entries] == [first.handle.id]
    if stage.server.behaviour.cancel_repeat_before_done == "silent":
        # A server that denies what it is still cancelling (P-11) leaves the outcome unknown.
        assert len(done.cancelled) == 1
    reply = stage.listen(theirs[0])
    await stage.soon(reply.over.wait())
    assert (reply.whole, reply.heard_ms) == (True, 400)
    assert stage.cancelled_ids == [first.handle.id]
    assert {one.kind for one in stage.reports} <= {antiphon.ReportKind.ABSORBED}
