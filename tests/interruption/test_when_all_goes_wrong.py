"""Interruption, what must hold: servers without ids, losses, stragglers."""

import pytest

import antiphon
from antiphon.emulator import Faults, Script, call, on, say
from tests.interruption.stage import CUE, Stage, sentence

__all__: list[str] = []

COMPLETED = antiphon.OutcomeKind.COMPLETED


@sentence(10)
async def test_a_server_that_never_tells_an_id_gets_the_bare_cancel(stage: Stage) -> None:
    faults = Faults(
        on("response.created").without("response", "id"),
        on("response.done").without("response", "id"),
        on("response.*").without("response_id"),
    )
    session = await stage.enter(faults=faults)
    ear = stage.listen(stage.ask())
    await stage.until_speaking(ear)
    assert ear.handle.id is None

    receipt = session.interrupt()

    with stage.nothing_more_from(ear):
        done = await stage.settled(receipt)
        await stage.pause(0.1)
    assert len(done.cancelled) == 1
    assert stage.cancelled_ids == [None]
    assert list(stage.server.finished_responses.values()) == ["cancelled"]


async def _lost(stage: Stage, reconnect: antiphon.ReconnectPolicy) -> None:
    session = await stage.enter(reconnect=reconnect, cancel_latency_ms=5000)
    lost = [stage.ask(), stage.ask_aside(), stage.ask_aside()]
    named = [stage.ask_aside(), stage.ask_aside()]
    if stage.single:
        lost, named = [*lost[1:], *named], lost[:1]
    ears = stage.listen_all(*lost, *named)
    await stage.until_speaking(*(ears[-1:] if stage.single else ears))
    asked = session.send_text("Is anybody there?")
    receipt = session.interrupt(named)
    await stage.until_told(1, "response.cancel")

    stage.cut()

    done = await stage.settled(receipt)
    assert [one.outcome.kind for one in done.lost] == [antiphon.OutcomeKind.LOST] * len(named)
    assert done.cancelled == done.finished_first == done.unsettled == ()
    for ear in ears:
        assert (await stage.soon(ear.handle.done)).kind is antiphon.OutcomeKind.LOST
        await stage.soon(ear.over.wait())
    for handle in lost:
        ear = next(one for one in ears if one.handle is handle)
        assert all(isinstance(one, antiphon.ConnectionClosed) for one in ear.errors)
        assert len(ear.errors) == 3, "each of its streams says so"
    with pytest.raises(antiphon.ConnectionClosed):
        for _ in range(2):
            await stage.soon(asked)
            asked = session.send_text("And now?")


@sentence(11)
async def test_the_connection_is_lost_every_stream_ends_and_the_receipt_says_lost(
    stage: Stage,
) -> None:
    await _lost(stage, antiphon.ReconnectPolicy(attempts=0))
    assert isinstance(await stage.soon(stage.session.closed), antiphon.ConnectionClosedError)


@sentence(11)
async def test_the_connection_is_lost_and_a_new_one_made(stage: Stage) -> None:
    session_back: list[object] = []
    policy = antiphon.ReconnectPolicy(attempts=3, first_delay=0.01)

    session = await stage.enter(reconnect=policy)
    session.on("reconnected", session_back.append)
    ears = stage.listen_all(stage.ask(), stage.ask_aside())
    await stage.until_speaking(*stage.running(ears))
    receipt = session.interrupt([ears[0].handle])

    stage.cut()

    assert len((await stage.settled(receipt)).entries) == 1
    after = stage.listen(stage.ask())
    await stage.until_speaking(after)
    assert session_back == [session]
    assert len(stage.engines) == 2
    done = await stage.settled(session.interrupt())
    assert [one.response_id for one in done.cancelled] == [after.handle.id]


@sentence(10)
async def test_a_server_that_refuses_every_cancel_is_heard_no_more_and_the_receipt_ends(
    stage: Stage,
) -> None:
    session = await stage.enter(
        cancel_target="unsupported",
        script=Script([say("On and on.", ms=4000).always()]),
        faults=Faults(on("response.done").hold(until=CUE)),
        options={"settle_timeout": 0.2},
    )
    ears = stage.listen_all(stage.ask(), stage.ask_aside())
    running = stage.running(ears)
    await stage.until_speaking(*running)

    receipt = session.interrupt()

    with stage.nothing_more_from(*ears):
        done = await stage.settled(receipt)
        assert [one.response_id for one in done.unsettled] == [ear.handle.id for ear in running]
        await stage.until(lambda: not stage.server.active_responses)
        stage.cue()
        await stage.pause(0.1)
    assert stage.cancelled_ids == [ear.handle.id for ear in running]


@sentence(13)
async def test_deltas_that_arrive_after_a_cancel_reach_nobody(stage: Stage) -> None:
    session = await stage.enter(straggler_deltas=5, cancel_latency_ms=200)
    ears = stage.listen_all(stage.ask(), stage.ask_aside())
    await stage.until_speaking(*stage.running(ears))

    receipt = session.interrupt()

    came = len(stage.server_events)
    with stage.nothing_more_from(*ears):
        await stage.settled(receipt)
        await stage.pause(0.1)
    late = [one for one in stage.server_events[came:] if one.type.endswith(".delta")]
    assert late, "the server did send stragglers"


@sentence(13)
async def test_function_arguments_cut_short_are_never_handed_out(stage: Stage) -> None:
    session = await stage.enter(
        script=Script([call("lookup", {"query": "the fox and the hen " * 40}).always()]),
        cancel_latency_ms=100,
    )
    handed: list[antiphon.FunctionCall] = []
    session.on("function_call", handed.append)
    ears = stage.listen_all(stage.ask(), stage.ask_aside())
    await stage.until_speaking(*stage.running(ears))

    receipt = session.interrupt()

    with stage.nothing_more_from(*ears):
        await stage.settled(receipt)
        await stage.pause(0.1)
    assert handed == []
    assert all(ear.calls == [] for ear in ears)
    finals = [
        one for one in stage.server_events if one.type == "response.function_call_arguments.done"
    ]
    knobs = stage.server.behaviour
    if (knobs.cancel_function_args, knobs.cancel_close_items) == ("partial", "full"):
        assert finals, "P-61: the server did send the cut arguments as if they were done"


@sentence(13)
async def test_a_tool_call_completed_after_the_cancel_is_not_handed_out(stage: Stage) -> None:
    # The call is whole on the server before the cancel gets there.
    session = await stage.enter(
        script=Script([call("lookup", {"city": "Oslo"}).always()]),
        faults=Faults(
            on("response.output_item.done").hold(until=CUE), on("response.done").hold(until=CUE)
        ),
    )
    handed: list[antiphon.FunctionCall] = []
    session.on("function_call", handed.append)
    ear = stage.listen(stage.ask())
    await stage.until_speaking(ear)
    await stage.until(lambda: bool(stage.server.finished_responses))

    stage.cue()
    receipt = session.interrupt()

    with stage.nothing_more_from(ear):
        assert len((await stage.settled(receipt)).finished_first) == 1
        await stage.pause(0.1)
    assert handed == [] and ear.calls == []
