"""A session that is joined to a call: what it steers, what it may not, and how it ends.

The sound is played by the emulated gateway, on virtual time: generation is over in a fifth of the
time that it takes to be heard.
"""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.client.endpoint import resolve
from antiphon.emulator import Behaviour, MemoryConnector, Script, say, text
from antiphon.emulator.running.emulated_call import EmulatedCall
from tests.client.peer import soon, virtual

__all__: list[str] = []

LONG = say("One two three four five six seven eight nine ten.", ms=4000)
QUICK = antiphon.ReconnectPolicy(attempts=4, first_delay=0.1, max_delay=0.5)


def placed(*steps: Any, **knobs: Any) -> tuple[MemoryConnector, EmulatedCall]:
    wire = MemoryConnector(Behaviour(**knobs), Script(steps))
    return wire, wire.calls.place()


def joining(wire: MemoryConnector, call: EmulatedCall, **settings: Any) -> Any:
    return antiphon.connect(
        call_id=call.id,
        url="ws://localhost/v1/realtime",
        connector=wire,
        reconnect=settings.pop("reconnect", QUICK),
        **settings,
    )


def frames(call: EmulatedCall, kind: str) -> list[Any]:
    received: Any = call.engine.received
    return [frame for frame in received if frame["type"] == kind]


# --- joining --------------------------------------------------------------------------------------


@virtual
async def test_it_is_there_without_session_created_and_may_be_configured() -> None:
    wire, call = placed(LONG)
    async with joining(wire, call, session={"instructions": "Be brief."}) as session:
        assert session.config["instructions"] == "Be brief."
        reply = session.create_response()
        assert await soon(reply.done)
        assert await soon(reply.text()) == "One two three four five six seven eight nine ten."
        assert reply.audio.buffered == 0, "no audio comes over a sideband (P-378)"
    assert call.state == "up", "closing a sideband does not end the call (P-386)"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"base_url": "https://h/v1"}, "wss://h/v1/realtime?call_id=rtc_1"),
        ({"url": "wss://h/v1/realtime"}, "wss://h/v1/realtime?call_id=rtc_1"),
        ({"azure_endpoint": "https://h"}, "wss://h/openai/v1/realtime?call_id=rtc_1"),  # P-462
    ],
)
def test_its_address_names_the_call_and_no_model(settings: dict[str, Any], address: str) -> None:
    endpoint = resolve(api_key="k", call_id="rtc_1", **settings)
    assert (endpoint.url, endpoint.call_id) == (address, "rtc_1")
    assert resolve(api_key="k", url=address).call_id == "rtc_1", "as part of the address, too"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"model": "gpt-realtime"}, "leave model out"),
        ({"azure_deployment": "d", "azure_endpoint": "https://h"}, "leave azure_deployment out"),
        ({"replay": lambda snapshot: snapshot}, "replay is of no use"),
        ({"session": {"type": "transcription"}}, "no transcription session"),
        ({"call_id": ""}, "call_id is empty"),
    ],
)
def test_what_a_call_cannot_have_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(antiphon.LocalProtocolError, match=said):
        _ = antiphon.connect(**{"call_id": "rtc_1", "api_key": "k", **settings})


@virtual
async def test_a_call_that_is_not_there_is_tried_for_two_seconds() -> None:
    # R-38; P-384, P-385.
    wire, _ = placed()
    begun = asyncio.get_running_loop().time()
    with pytest.raises(antiphon.CallNotFound, match="there is no call 'rtc_none'") as refused:
        await antiphon.connect(call_id="rtc_none", url="ws://localhost/v1/realtime", connector=wire)
    assert refused.value.status == 404
    assert 2.0 <= asyncio.get_running_loop().time() - begun < 3.0


@virtual
async def test_a_call_that_is_not_ready_yet_is_joined_when_it_is() -> None:
    # R-38; P-385.
    wire, call = placed(sideband_ready_ms=900)
    async with joining(wire, call) as session:
        assert await soon(session.update({"instructions": "x"}))


@virtual
async def test_what_needs_the_media_is_refused_and_says_why() -> None:
    wire, call = placed(LONG)
    async with joining(wire, call) as session:
        reply = session.create_response()
        await soon(reply.done)
        for ask in (
            lambda: session.append_audio(bytes(480)),
            session.commit_audio,
            session.clear_audio,
            lambda: session.truncate(reply, heard_ms=100),
        ):
            with pytest.raises(antiphon.LocalProtocolError, match="the sound of a call"):
                ask()


# --- interrupting ---------------------------------------------------------------------------------


@virtual
async def test_interrupt_over_a_done_answer_clears_the_sound_and_says_what_was_heard() -> None:
    wire, call = placed(LONG)
    async with joining(wire, call) as session:
        reply = session.create_response()
        await soon(reply.done)
        assert reply in session.in_flight, "it is heard for three seconds more"
        receipt = await soon(session.interrupt())
        (entry,) = receipt.entries
        assert (str(entry.outcome), entry.playback) == ("completed", "cleared")
        assert receipt.silenced and not receipt.audible
        assert entry.heard_ms is not None and 0 < entry.heard_ms < 1500
        assert frames(call, "response.cancel") == []
        assert len(frames(call, "output_audio_buffer.clear")) == 1
        assert await soon(session.quiet(1))


@virtual
async def test_interrupt_while_it_generates_cancels_by_id_and_clears_once() -> None:
    wire, call = placed(LONG, LONG)
    async with joining(wire, call) as session:
        answer = session.create_response()
        aside = session.create_response(conversation="none")
        await asyncio.sleep(0.4)
        receipt = await soon(session.interrupt())
        assert {entry.response_id for entry in receipt.entries} == {answer.id, aside.id}
        assert {str(entry.outcome) for entry in receipt.entries} == {"cancelled (client_cancelled)"}
        named = {frame["response_id"] for frame in frames(call, "response.cancel")}
        assert named == {answer.id, aside.id}
        assert len(frames(call, "output_audio_buffer.clear")) == 1
        assert receipt.silenced


@virtual
async def test_sound_that_would_take_another_with_it_is_kept_and_the_receipt_says_so() -> None:
    wire, call = placed(LONG, LONG)
    async with joining(wire, call) as session:
        answer = session.create_response()
        aside = session.create_response(conversation="none", interruptible=False)
        await soon(answer.done)
        await soon(aside.done)
        receipt = await soon(session.interrupt())
        (entry,) = receipt.entries
        assert (entry.response_id, entry.playback) == (answer.id, "kept")
        assert not receipt.silenced
        assert frames(call, "output_audio_buffer.clear") == []
        forced = await soon(session.interrupt([answer], playback="always"))
        assert forced.entries[0].playback == "cleared"
        assert len(frames(call, "output_audio_buffer.clear")) == 1


@virtual
async def test_who_joins_in_the_middle_of_an_answer_can_stop_it() -> None:
    wire, call = placed(LONG)
    async with joining(wire, call) as first:
        reply = first.create_response()
        await asyncio.sleep(0.3)
        async with joining(wire, call) as second:
            met: asyncio.Future[antiphon.ResponseHandle] = asyncio.Future()
            second.on("response", met.set_result)
            assert (await soon(met)).id == reply.id
            receipt = await soon(second.interrupt())
            (entry,) = receipt.entries
            assert entry.response_id == reply.id and entry.playback == "cleared"
        assert str(await soon(reply.done)) == "cancelled (client_cancelled)"


@virtual
async def test_what_nothing_tells_of_any_more_is_silenced_for_who_wants_that_in_any_case() -> None:
    # generated and begun before anybody of this line was there.
    wire, call = placed(LONG)
    async with joining(wire, call) as first:
        await soon(first.create_response().done)
        await asyncio.sleep(0.5)
        async with joining(wire, call) as second:
            second.interrupt("default", playback="always")
            second.interrupt("out_of_band", playback="always")
            second.interrupt(playback="never")
            second.interrupt()
            await asyncio.sleep(0.1)
            assert frames(call, "output_audio_buffer.clear") == []
            receipt = await soon(second.interrupt(playback="always"))
            assert receipt.entries == ()
            await soon(second.interrupt(playback="always"))
            await asyncio.sleep(0.1)
            assert len(frames(call, "output_audio_buffer.clear")) == 1
            assert await first.quiet(timeout=1)


@virtual
async def test_silence_in_any_case_on_a_call_that_is_silent_is_no_error() -> None:
    wire, call = placed()
    async with joining(wire, call) as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        await soon(session.interrupt(playback="always"))
        await asyncio.sleep(0.1)
        assert len(frames(call, "output_audio_buffer.clear")) == 1
        assert [report.kind for report in reports if report.kind == "error"] == []


@virtual
async def test_goodbye_is_heard_to_its_end_before_the_call_is_hung_up() -> None:
    wire, call = placed(say("Goodbye.", ms=3000))
    async with joining(wire, call) as session:
        goodbye = session.create_response()
        await soon(goodbye.done)
        done_at = asyncio.get_running_loop().time()
        assert await goodbye.played(timeout=10) == "played"
        assert asyncio.get_running_loop().time() - done_at > 1.5
        assert await session.quiet(timeout=1)


@virtual
async def test_the_callers_own_voice_is_the_servers_business() -> None:
    wire, call = placed(LONG, text("Yes?"))
    async with joining(wire, call) as session:
        reply = session.create_response()
        await soon(reply.done)
        call.speech(700)
        assert await reply.played(timeout=10) == "cleared"
        await asyncio.sleep(0.3)  # `truncated` may come after `cleared`
        assert reply.heard_ms is not None and reply.heard_ms > 0
        assert frames(call, "output_audio_buffer.clear") == []


# --- others on the same call ----------------------------------------------------------------------


@virtual
async def test_anothers_update_is_not_taken_for_the_answer_to_ours() -> None:
    # Acknowledgements go to all (P-380), with the whole session in them.
    wire, call = placed()
    async with joining(wire, call) as ours, joining(wire, call) as theirs:
        theirs_done = theirs.update({"instructions": "theirs"})
        ours_done = ours.update({"max_output_tokens": 77})
        assert (await soon(ours_done))["max_output_tokens"] == 77
        assert (await soon(theirs_done))["instructions"] == "theirs"


@virtual
async def test_anothers_response_is_a_handle_and_not_ours() -> None:
    wire, call = placed(text("theirs"), text("ours"))
    async with joining(wire, call) as ours, joining(wire, call) as theirs:
        met: asyncio.Future[antiphon.ResponseHandle] = asyncio.Future()
        ours.on("response", met.set_result)
        foreign = theirs.create_response()
        handle = await soon(met)
        assert handle.from_server and await soon(handle.text()) == "theirs"
        assert handle.id == foreign.id
        assert await soon(ours.create_response().text()) == "ours"


@virtual
async def test_keys_that_the_caller_presses_are_events() -> None:
    wire = MemoryConnector(Behaviour())
    call = wire.calls.ring()
    call.accept({"type": "realtime"})
    async with joining(wire, call) as session:
        pressed: asyncio.Queue[Any] = asyncio.Queue()
        session.on("input_audio_buffer.dtmf_event_received", pressed.put_nowait)
        call.press("5")
        assert (await soon(pressed.get())).event == "5"


# --- losing the line, and the end of the call -----------------------------------------------------


@virtual
async def test_a_lost_sideband_is_dialled_again_and_nothing_is_doubled() -> None:
    wire, call = placed(text("One."), text("Two."))
    async with joining(wire, call, session={"instructions": "Be brief."}) as session:
        await soon(session.send_text("hello"))
        await soon(session.create_response().done)
        before = [item.id for item in session.items]
        updates = len(frames(call, "session.update"))
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        wire.transports[-1].abort()
        await soon(back.wait())
        assert await soon(session.create_response().text()) == "Two."
        assert [item.id for item in session.items][: len(before)] == before
        assert len(frames(call, "session.update")) == updates
        assert len(frames(call, "conversation.item.create")) == 1


@virtual
async def test_an_interruption_that_the_loss_overtakes_is_told_as_lost() -> None:
    wire, call = placed(LONG)
    async with joining(wire, call) as session:
        reply = session.create_response()
        await soon(reply.done)
        wire.transports[-1].abort()
        receipt = await soon(session.interrupt())
        (entry,) = receipt.entries
        assert entry.playback == "lost" and not receipt.silenced


@pytest.mark.parametrize("scope", ["all", "handle"])
@pytest.mark.parametrize("noticed", [False, True], ids=["unnoticed", "noticed"])
def test_an_interruption_that_a_loss_swallows_is_made_when_the_line_is_back(
    scope: str, noticed: bool
) -> None:
    @virtual
    async def story() -> None:
        wire = MemoryConnector(Behaviour(), Script([LONG]), latency_s=0.01)
        call = wire.calls.place()
        async with joining(wire, call) as session:
            reply = session.create_response()
            await soon(reply.done)
            lost, back = asyncio.Event(), asyncio.Event()
            session.on("disconnected", lambda _: lost.set())
            session.on("reconnected", lambda _: back.set())
            call.cut_sidebands()
            if noticed:
                await soon(lost.wait())
            session.interrupt("all" if scope == "all" else [reply])
            await soon(back.wait())
            await asyncio.sleep(0.1)
            assert len(frames(call, "output_audio_buffer.clear")) == 1
            assert await session.quiet(timeout=1)

    story()


@pytest.mark.parametrize(
    ("first", "then"), [("exact", "never"), ("always", "exact"), ("always", "never")]
)
def test_the_silence_that_was_asked_for_stays_asked_over_a_loss(first: Any, then: Any) -> None:
    @virtual
    async def story() -> None:
        wire, call = placed(LONG, LONG)
        async with joining(wire, call) as session:
            reply = session.create_response(conversation="none")
            await soon(reply.done)
            if first == "always":
                await soon(session.create_response(conversation="none").done)
            await asyncio.sleep(0.2)
            lost, back = asyncio.Event(), asyncio.Event()
            session.on("disconnected", lambda _: lost.set())
            session.on("reconnected", lambda _: back.set())
            wire.transports[-1].abort()
            await soon(lost.wait())
            session.interrupt([reply], playback=first)
            session.interrupt([reply], playback=then)
            await soon(back.wait())
            await asyncio.sleep(0.1)
            assert len(frames(call, "output_audio_buffer.clear")) == 1

    story()


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ({}, {"playback": "never"}),
        ({}, {"scope": "out_of_band"}),
        ({"interruptible": False}, {}),
    ],
)
def test_sound_that_an_interruption_leaves_alone_is_left_alone_over_a_loss(
    made: dict[str, Any], asked: dict[str, Any]
) -> None:
    @virtual
    async def story() -> None:
        wire, call = placed(LONG)
        async with joining(wire, call) as session:
            await soon(session.create_response(**made).done)
            lost, back = asyncio.Event(), asyncio.Event()
            session.on("disconnected", lambda _: lost.set())
            session.on("reconnected", lambda _: back.set())
            wire.transports[-1].abort()
            await soon(lost.wait())
            session.interrupt(**asked)
            await soon(back.wait())
            await asyncio.sleep(0.1)
            assert frames(call, "output_audio_buffer.clear") == []

    story()


@pytest.mark.parametrize("ends", ["hang_up", "end"])
def test_the_end_of_the_call_is_the_end_of_the_session(ends: str) -> None:
    @virtual
    async def story() -> None:
        wire, call = placed(LONG)
        session = await joining(wire, call)
        reply = session.create_response()
        await asyncio.sleep(0.3)
        getattr(call, ends)()
        closed = await soon(session.closed)
        assert isinstance(closed, antiphon.ConnectionClosedOK) and closed.by == "call"
        assert (await soon(reply.done)).kind == "lost"
        assert reply not in session.in_flight
        with pytest.raises(antiphon.ConnectionClosed):
            session.create_response()

    story()


@virtual
async def test_a_clean_close_by_somebody_between_is_not_the_end_of_the_call() -> None:
    wire, call = placed(text("Still here."))
    async with joining(wire, call) as session:
        back = asyncio.Event()
        session.on("reconnected", lambda _: back.set())
        call.close_oldest_sideband()
        await soon(back.wait())
        assert await soon(session.create_response().text()) == "Still here."
