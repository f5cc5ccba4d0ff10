"""The session and its items: answered, refused, timed out or lost, exactly once."""

from collections.abc import Callable
from typing import Any

import pytest

import antiphon
from antiphon.emulator import Behaviour, MemoryConnector, Script, say
from tests.client.peer import Peer, soon, virtual

__all__: list[str] = []

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA"
    "60e6kgAAAABJRU5ErkJggg=="
)


async def against(*steps: Any, session: dict[str, Any] | None = None, **knobs: Any) -> Any:
    """A session with an emulator; untyped, so that wrong arguments can be given to it."""
    connector = MemoryConnector(Behaviour(**knobs), Script(steps))
    return await antiphon.connect(
        url="ws://localhost/v1/realtime", connector=connector, session=session
    )


@virtual
async def test_the_configuration_given_to_connect_is_in_force_when_it_returns() -> None:
    async with await against(session={"instructions": "Be brief."}) as session:
        assert session.config["instructions"] == "Be brief."


@virtual
async def test_a_configuration_that_is_refused_fails_connect_and_leaves_nothing_open() -> None:
    with pytest.raises(antiphon.RequestError) as caught:
        await against(session={"tools": "none"})
    assert caught.value.param == "session.tools"


@virtual
async def test_update_answers_with_the_whole_configuration() -> None:
    async with await against() as session:
        config = await soon(session.update({"instructions": "Be kind."}))
        assert config["instructions"] == session.config["instructions"] == "Be kind."
        assert config["output_modalities"] == ["audio"], "what was left out stays"


@virtual
async def test_a_refused_update_names_code_and_param_and_changes_nothing() -> None:
    async with await against() as session:
        with pytest.raises(antiphon.RequestError) as caught:
            await soon(session.update({"nonsense": 1}))
        assert (caught.value.code, caught.value.param) == ("unknown_parameter", "session.nonsense")
        assert caught.value.event_id
        assert "nonsense" not in session.config


@virtual
async def test_a_refusal_that_nobody_awaits_is_counted_and_reported() -> None:
    async with await against() as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        _ = session.update({"nonsense": 1})
        await soon(session.update({"instructions": "x"}))
        assert [one.kind for one in reports] == [antiphon.ReportKind.ERROR]
        assert reports[0].detail == "session.update was refused"
        assert reports[0].error is not None and reports[0].error.code == "unknown_parameter"
        assert session.counters["error"] == 1


@virtual
async def test_so_is_one_that_its_caller_has_given_up_waiting_for() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        with pytest.raises(TimeoutError):
            await soon(session.update({"instructions": "x"}), within=1.0)
        (asked,) = peer.line.of("session.update")
        error = {"type": "invalid_request_error", "code": "x", "event_id": asked["event_id"]}
        peer.line.say({"type": "error", "error": error})
        assert [one.kind for one in reports] == [antiphon.ReportKind.ERROR]


@virtual
async def test_one_that_is_awaited_is_not_reported_besides() -> None:
    async with await against() as session:
        reports: list[antiphon.Report] = []
        session.on("report", reports.append)
        with pytest.raises(antiphon.RequestError):
            await soon(session.update({"nonsense": 1}))
        assert reports == []


@virtual
async def test_items_are_created_in_order_retrieved_and_deleted() -> None:
    async with await against() as session:
        first = session.send_text("One.")
        third = session.send_text("Three.", role="assistant")
        second = session.create_item(
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Two."}],
            },
            previous_item_id=first.item_id,
        )
        zeroth = session.create_item(
            antiphon.Item(
                type="message",
                role="system",
                content=[antiphon.ContentPart(type="input_text", text="Zero.")],
            ),
            previous_item_id="root",
        )
        for pending in (first, second, third, zeroth):
            assert (await soon(pending)).id == pending.item_id
        order = [zeroth, first, second, third]
        assert [item.id for item in session.items] == [one.item_id for one in order]
        assert session.item(second.item_id).role == "user"
        assert (await soon(session.retrieve_item(first.item_id))).id == first.item_id
        assert await soon(session.delete_item(second.item_id)) is None
        assert session.item(second.item_id) is None
        with pytest.raises(antiphon.RequestError) as caught:
            await soon(session.delete_item("item_nowhere"))
        assert caught.value.code == "item_delete_invalid_item_id"


@virtual
async def test_an_image_is_a_user_item() -> None:
    async with await against() as session:
        item = await soon(session.send_image(PIXEL, detail="low"))
        assert (item.role, item.content[0].type) == ("user", "input_image")


@virtual
@pytest.mark.parametrize("wrong", [{}, {"type": 7}, {"type": "message", "content": "text"}])
async def test_what_is_no_item_is_refused_here(wrong: dict[str, Any]) -> None:
    async with await against() as session:
        with pytest.raises(antiphon.LocalProtocolError, match="no conversation item"):
            _ = session.create_item(wrong)


@virtual
async def test_a_function_call_round() -> None:
    from antiphon.emulator import call

    steps = (
        call("weather", {"city": "Oslo"}, call_id="call_7"),
        say("It rains.").when(tool_output="rain"),
    )
    async with await against(*steps) as session:
        first = session.create_response()
        async for wanted in first.calls:
            await soon(session.send_function_output(wanted.call_id, '{"sky": "rain"}'))
        assert await soon(session.create_response().text()) == "It rains."
        assert [item.type for item in session.items] == [
            "function_call",
            "function_call_output",
            "message",
        ]
        with pytest.raises(antiphon.RequestError) as caught:
            await soon(session.send_function_output("call_unknown", "{}"))
        assert caught.value.code == "invalid_tool_call_id"


# --- truncation ---------------------------------------------------------------------------------


def _truncations(session: Any) -> Any:
    """What the server was asked to truncate."""
    (server,) = session._lifeline._dial._connector.sessions
    return server.received_of("conversation.item.truncate")


@virtual
@pytest.mark.parametrize(
    ("heard_ms", "asked"), [(0, [0]), (450, [450]), (999, [999]), (1000, []), (50_000, [])]
)
async def test_truncate_at_what_was_heard_and_never_beyond_what_was_said(
    heard_ms: int, asked: list[int]
) -> None:
    async with await against(say("A sentence.", ms=1000)) as session:
        handle = session.create_response()
        await soon(handle.done)
        pending = session.truncate(handle, heard_ms=heard_ms)
        assert [one.item_id for one in pending] == list(handle.item_ids[: len(asked)])
        for one in pending:
            assert await soon(one) is None
        received = _truncations(session)
        assert [one["audio_end_ms"] for one in received] == asked


@virtual
async def test_truncate_counts_through_the_items_of_a_response() -> None:
    from antiphon.emulator import answer

    async with await against(answer(say("One.", ms=400), say("Two.", ms=600))) as session:
        handle = session.create_response()
        await soon(handle.done)
        pending = session.truncate(handle, heard_ms=500)
        assert [one.item_id for one in pending] == [handle.item_ids[1]]
        await soon(pending[0])
        (told,) = _truncations(session)
        assert told["audio_end_ms"] == 100
        (alone,) = session.truncate(handle.item_ids[0], heard_ms=300)
        assert alone.item_id == handle.item_ids[0]
        await soon(alone)


@virtual
async def test_truncate_what_an_interrupted_response_delivered() -> None:
    async with await against(say("A long sentence.", ms=10_000)) as session:
        handle = session.create_response()
        heard = bytearray()
        async for chunk in handle.audio:
            heard += chunk
            if len(heard) >= 48 * 700:
                break
        await soon(session.interrupt())
        (pending,) = session.truncate(handle, heard_ms=650)
        assert await soon(pending) is None, "the server had that much"


@virtual
async def test_truncate_of_nothing_and_of_out_of_band_responses_sends_nothing() -> None:
    async with await against(say("Aside.", ms=500)) as session:
        aside = session.create_response(conversation="none")
        await soon(aside.done)
        assert session.truncate(aside, heard_ms=100) == ()
        assert session.truncate(aside.item_ids[0], heard_ms=100) == ()
        assert session.truncate("item_nowhere", heard_ms=100) == ()
        with pytest.raises(antiphon.LocalProtocolError, match="heard_ms"):
            session.truncate(aside, heard_ms=-1)


# --- silence, loss, nonsense --------------------------------------------------------------------


@virtual
async def test_a_server_that_never_answers_every_wait_ends() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        asked: list[antiphon.PendingRequest[Any]] = [
            session.update({"instructions": "x"}),
            session.send_text("Hello?"),
            session.retrieve_item("item_1"),
            session.delete_item("item_1"),
            session.commit_audio(),
            session.clear_audio(),
        ]
        handle = session.create_response()
        queued = session.create_response()
        receipt = session.interrupt()
        for pending in asked:
            with pytest.raises(antiphon.RequestTimeout):
                await soon(pending)
        assert await soon(handle.created) is False
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.UNSETTLED
        assert await soon(queued.created) is False
        assert len((await soon(receipt)).unsettled) == 1
        late = session.create_response(timeout=3.0)
        with pytest.raises(antiphon.RequestTimeout):
            await soon(late.created)
        assert (await soon(late.done)).kind is antiphon.OutcomeKind.TIMED_OUT


@virtual
async def test_a_response_that_falls_silent_in_the_middle_is_given_up_and_cancelled() -> None:
    peer = Peer()
    options = antiphon.Options(stall_timeout=5.0, settle_timeout=1.0)
    async with await peer.connect(options=options) as session:
        handle = session.create_response()
        name = peer.line.created(peer.line.of("response.create")[0])
        peer.line.text(name, "Once upon")
        with pytest.raises(antiphon.RequestTimeout):
            await soon(handle.text())
        assert (await soon(handle.done)).kind is antiphon.OutcomeKind.TIMED_OUT
        assert [one["response_id"] for one in peer.line.of("response.cancel")] == [name]


@virtual
async def test_a_loss_answers_every_request_and_later_ones_are_refused() -> None:
    peer = Peer()
    session = await peer.connect()
    asked = session.send_text("Hello?")
    peer.line.lose(1011, "server error")
    with pytest.raises(antiphon.ConnectionClosedError) as caught:
        await soon(asked)
    assert (caught.value.code, caught.value.by) == (1011, "server")
    for call in (
        lambda: session.send_text("x"),
        lambda: session.update({}),
        session.create_response,
        session.commit_audio,
        lambda: session.append_audio(b"\0\0"),
        lambda: session.truncate("item", heard_ms=0),
        lambda: session.send_raw({"type": "x"}),
    ):
        with pytest.raises(antiphon.ConnectionClosed):
            call()
    assert len(await soon(session.interrupt())) == 0
    assert (await soon(session.closed)).code == 1011
    await soon(session.close())


@virtual
async def test_what_json_cannot_express_is_refused_before_anything_changes() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        holder = session.create_response()
        for wrong in (
            lambda: session.create_response(tools=[{"name": object()}]),
            lambda: session.update({"instructions": object()}),
            lambda: session.send_raw({"type": "x", "y": object()}),
        ):
            with pytest.raises(antiphon.LocalProtocolError):
                _ = wrong()
        assert session.in_flight == (holder,)
        assert len(peer.line.sent) == 1
        _ = holder.cancel()


@virtual
async def test_a_create_that_waits_for_the_lane_is_told_of_its_time_by_its_own_timeout() -> None:
    peer = Peer()
    async with await peer.connect() as session:
        first = session.create_response()
        peer.line.created(peer.line.of("response.create")[0])
        second = session.create_response(timeout=2.0)
        with pytest.raises(antiphon.RequestTimeout):
            await soon(second.created)
        assert len(peer.line.of("response.create")) == 1, "it was never sent"
        _ = first.cancel()


@virtual
@pytest.mark.parametrize("how", ["queue", "replace", "reject", "send"])
async def test_on_busy(how: Any) -> None:
    async with await against(say("First.", ms=3000), say("Second.", ms=200)) as session:
        first = session.create_response()
        await soon(first.created)
        if how == "reject":
            with pytest.raises(antiphon.ResponseRejected) as caught:
                session.create_response(on_busy=how)
            assert caught.value.code == "conversation_already_has_active_response"
            return
        second = session.create_response(on_busy=how)
        ends = (await soon(first.done)).kind, (await soon(second.done)).kind
        kinds = antiphon.OutcomeKind
        assert (
            ends
            == {
                "queue": (kinds.COMPLETED, kinds.COMPLETED),
                "replace": (kinds.CANCELLED, kinds.COMPLETED),
                "send": (kinds.COMPLETED, kinds.REJECTED),
            }[how]
        )


@virtual
async def test_arguments_out_of_bounds_are_refused_here() -> None:
    async with await against() as session:
        attempts: list[Callable[[], object]] = [
            lambda: session.create_response(on_busy="maybe"),
            lambda: session.create_response(metadata={"antiphon": "x"}),
            lambda: session.create_response(metadata={str(n): "x" for n in range(16)}),
            lambda: session.interrupt("some"),
            lambda: session.send_raw({"no": "type"}),
        ]
        for wrong in attempts:
            with pytest.raises(antiphon.LocalProtocolError):
                _ = wrong()
