"""Interruption, what must hold: it stops exactly the responses that are meant."""

import asyncio

import antiphon
from antiphon.emulator import Script, profile, say
from antiphon.emulator.audio import speech
from tests.interruption.stage import LONG, Stage, sentence

__all__: list[str] = []

CANCELLED = antiphon.OutcomeKind.CANCELLED
COMPLETED = antiphon.OutcomeKind.COMPLETED


@sentence(1)
async def test_interrupt_cancels_the_default_and_both_out_of_band_responses_each_by_its_id(
    stage: Stage,
) -> None:
    session = await stage.enter()
    handles = [stage.ask(), stage.ask_aside(purpose="mood"), stage.ask_aside(purpose="notes")]
    ears = stage.listen_all(*handles)
    running = stage.running(ears)
    await stage.until_speaking(*running)

    receipt = session.interrupt()

    with stage.nothing_more_from(*ears):
        assert all(handle.audio.ended for handle in handles), "all three streams end, at once"
        done = await stage.settled(receipt)
        await stage.pause(0.3)
    ids = [ear.handle.id for ear in running]
    assert None not in ids
    assert stage.cancelled_ids == ids, "one cancel for each, and each names its response"
    assert [entry.purpose for entry in done.entries] == [None, "mood", "notes"]
    assert [entry.response_id for entry in done.entries] == [one.id for one in handles]
    assert len(done.cancelled) == 3
    assert [entry.cancel_sent for entry in done.entries] == [h.id is not None for h in handles]
    assert {stage.status_of(ear.handle) for ear in running} == {"cancelled"}
    assert all(ear.whole for ear in running)


@sentence(2)
async def test_two_out_of_band_responses_half_a_second_interrupt_both_stop(stage: Stage) -> None:
    session = await stage.enter()
    ears = stage.listen_all(stage.ask_aside(), stage.ask_aside())
    await stage.until_speaking(*stage.running(ears))
    await asyncio.sleep(0.5)

    receipt = session.interrupt()

    with stage.nothing_more_from(*ears):
        assert len((await stage.settled(receipt)).cancelled) == 2
        await stage.pause(0.3)
    for ear in stage.running(ears):
        assert stage.status_of(ear.handle) == "cancelled"
    assert stage.server.active_responses == []


@sentence(2, models=("many",), is_control=True)
async def test_control_a_bare_cancel_stops_neither_of_two_out_of_band_responses(
    stage: Stage,
) -> None:
    session = await stage.enter(
        profile=profile("openai-2025-06-03"),
        script=Script([say("A story.", ms=3000).always()]),
    )
    ears = stage.listen_all(stage.ask_aside(), stage.ask_aside())
    await stage.until_speaking(*ears)

    session.send_raw({"type": "response.cancel"})

    for ear in ears:
        assert (await stage.soon(ear.handle.done)).kind is COMPLETED
        await stage.soon(ear.over.wait())
        assert ear.whole
        assert ear.heard_ms == 3000
    assert stage.cancelled_ids == [None]


@sentence(2, models=("many",), is_control=True)
async def test_control_a_bare_cancel_stops_the_only_response_in_flight(stage: Stage) -> None:
    session = await stage.enter(profile=profile("openai-2025-06-03"))
    ear = stage.listen(stage.ask_aside())
    await stage.until_speaking(ear)

    session.send_raw({"type": "response.cancel"})

    assert (await stage.soon(ear.handle.done)).kind is CANCELLED


@sentence(2, models=("many",), is_control=True)
async def test_control_a_bare_cancel_never_reaches_out_of_band_responses(stage: Stage) -> None:
    session = await stage.enter(
        profile=profile("openai"),
        script=Script([say("A story.", ms=3000).always().when(lane="out_of_band"), LONG]),
    )
    spoken = stage.listen(stage.ask())
    aside = stage.listen_all(stage.ask_aside(), stage.ask_aside())
    await stage.until_speaking(spoken, *aside)

    session.send_raw({"type": "response.cancel"})

    assert (await stage.soon(spoken.handle.done)).kind is CANCELLED
    for ear in aside:
        assert (await stage.soon(ear.handle.done)).kind is COMPLETED
        await stage.soon(ear.over.wait())
        assert (ear.whole, ear.heard_ms) == (True, 3000)


@sentence(3)
async def test_generate_then_interrupt_with_one_in_flight_is_cancelled_by_its_id(
    stage: Stage,
) -> None:
    session = await stage.enter()
    ear = stage.listen(stage.ask())
    await stage.until_speaking(ear)

    receipt = session.interrupt()

    with stage.nothing_more_from(ear):
        done = await stage.settled(receipt)
        await stage.pause(0.2)
    assert stage.cancelled_ids == [ear.handle.id]
    assert stage.status_of(ear.handle) == "cancelled"
    assert [entry.response_id for entry in done.cancelled] == [ear.handle.id]


@sentence(5)
async def test_responses_that_the_servers_vad_created_are_cancelled_too(stage: Stage) -> None:
    session = await stage.enter()
    theirs: list[antiphon.ResponseHandle] = []
    session.on("response", theirs.append)
    session.append_audio(speech.user_voice(600) + bytes(48 * 500))
    await stage.until(lambda: bool(theirs))
    ears = stage.listen_all(theirs[0])
    if not stage.single:
        ears.append(stage.listen(stage.ask_aside()))
    await stage.until_speaking(*ears)
    created = [one for one in stage.server_events if one.type == "response.created"]
    assert created[0].response.metadata is None, "P-39: metadata is null, which is no orphan"

    receipt = session.interrupt()

    with stage.nothing_more_from(*ears):
        done = await stage.settled(receipt)
        await stage.pause(0.2)
    assert theirs[0].from_server
    assert set(stage.cancelled_ids) == {ear.handle.id for ear in ears}
    assert len(done.cancelled) == len(ears)
    assert {stage.status_of(ear.handle) for ear in ears} == {"cancelled"}


@sentence(8)
async def test_one_of_eight_is_cancelled_and_seven_arrive_complete_and_byte_exact(
    stage: Stage,
) -> None:
    lengths = [600 + 100 * number for number in range(8)]
    chosen = 0 if stage.single else 3
    lengths[chosen] = 60_000
    steps = [
        say(f"Story {n}.", ms=ms).when(metadata={"story": str(n)}) for n, ms in enumerate(lengths)
    ]
    await stage.enter(script=Script(steps))
    handles = [stage.ask_aside(metadata={"story": str(n)}) for n in range(8)]
    ears = stage.listen_all(*handles)
    await stage.until_speaking(*stage.running(ears))
    victim = ears[chosen]

    _ = victim.handle.cancel()

    with stage.nothing_more_from(victim):
        assert (await stage.soon(victim.handle.done)).kind is CANCELLED
        for ear, length in zip(ears, lengths, strict=True):
            if ear is not victim:
                assert (await stage.soon(ear.handle.done)).kind is COMPLETED
                await stage.soon(ear.over.wait())
                assert (ear.whole, ear.heard_ms) == (True, length), "I2"
        await stage.until(lambda: stage.status_of(victim.handle) == "cancelled")
    assert stage.cancelled_ids == [victim.handle.id]
    if not stage.single:
        deltas = [
            one.response_id
            for one in stage.server_events
            if one.type == "response.output_audio.delta"
        ]
        changes = sum(a != b for a, b in zip(deltas, deltas[1:], strict=False))
        assert changes > 10, "they were interleaved"


@sentence(12)
async def test_not_interruptible_survives_interrupt_and_stops_by_its_own_cancel(
    stage: Stage,
) -> None:
    session = await stage.enter(script=Script([say("A very long story.", ms=60_000).always()]))
    kept = stage.listen(stage.ask_aside(interruptible=False))
    other = stage.listen(stage.ask())
    await stage.until_speaking(kept, *([] if stage.single else [other]))

    done = await stage.settled(session.interrupt())

    assert [one.response_id for one in done.entries] == [other.handle.id]
    before = kept.heard_ms
    await stage.until(lambda: kept.heard_ms > before + 1000)  # it plays on
    assert kept.whole
    with stage.nothing_more_from(kept):
        _ = kept.handle.cancel()
        assert (await stage.soon(kept.handle.done)).kind is CANCELLED
        await stage.pause(0.2)
    assert kept.handle.id in stage.cancelled_ids
