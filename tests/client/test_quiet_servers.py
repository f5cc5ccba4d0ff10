"""Servers that tell less than OpenAI's: through the session, against the emulator."""

import asyncio
from typing import Any

import pytest

import antiphon
from antiphon.emulator import (
    Behaviour,
    MemoryConnector,
    Pace,
    Script,
    call,
    fail,
    profile,
    say,
    text,
)
from antiphon.emulator.audio import speech
from antiphon.emulator.knobs.choices import ResponseDoneOnFailure, VadCreateWhenBusy
from tests.client.peer import soon, virtual

__all__: list[str] = []

URL = "ws://localhost/v1/realtime"


async def against(
    behaviour: Behaviour, *steps: Any, latency_s: float = 0.0, **settings: Any
) -> tuple[antiphon.Session, MemoryConnector, list[antiphon.Report]]:
    connector = MemoryConnector(behaviour, Script(steps), latency_s=latency_s)
    session = await antiphon.connect(url=URL, connector=connector, **settings)
    reports: list[antiphon.Report] = []
    session.on("report", reports.append)
    return session, connector, reports


async def cut(session: antiphon.Session, connector: MemoryConnector) -> list[dict[str, Any]]:
    """Lose the connection; what the next one is told to create."""
    back = asyncio.Event()
    session.on("reconnected", lambda _: back.set())
    connector.transports[-1].abort()
    await soon(back.wait())
    await soon(session.update({}))
    created = connector.sessions[-1].received_of("conversation.item.create")
    return [one["item"] for one in created]


def spoken(items: list[dict[str, Any]]) -> list[str]:
    return [part["text"] for item in items for part in item.get("content") or ()]


@virtual
@pytest.mark.parametrize("name", ["openai", "azure", "azure-beta", "xai"])
async def test_what_was_said_and_called_outlives_the_connection(name: str) -> None:
    # P-136, P-295: two of these complete no item of their own but in the response's events.
    beta: Any = "beta" if name == "azure-beta" else None
    session, connector, _ = await against(
        profile(name),
        call("look_up", {"order": 7}, call_id="call_1").when(contains="Where"),
        say("The code word is cobalt.", ms=300).always(),
        dialect=beta,
    )
    await soon(session.send_text("What is the code word?"))
    await soon(session.create_response().done)
    await soon(session.send_text("Where is order 7?"))
    handle = session.create_response()
    calls = [one async for one in handle.calls]
    await soon(handle.done)
    await soon(session.send_function_output(calls[0].call_id, "Tue"))
    told = await cut(session, connector)
    assert spoken(told) == [
        "What is the code word?",
        "The code word is cobalt.",
        "Where is order 7?",
    ]
    asked, answered = (one for one in told if one["type"] != "message")
    assert (asked["arguments"], answered["output"]) == ('{"order": 7}', "Tue")
    await session.close()


@virtual
async def test_an_item_deleted_while_it_is_spoken_is_gone_everywhere() -> None:
    session, connector, _ = await against(
        Behaviour(pace=Pace(speed=1.0)), say("My password is hunter2.", ms=1500).always()
    )
    told: list[str] = []
    session.on("server_event", lambda event: told.append(event.type))
    handle = session.create_response()
    await soon(anext(handle.audio))
    await soon(session.delete_item(handle.item_ids[0]))
    await soon(handle.done)
    assert session.items == () and connector.sessions[0].item_ids == []
    assert "conversation.item.done" not in told, "the server does not go on about it"
    assert await cut(session, connector) == []
    await session.close()


@virtual
@pytest.mark.parametrize("on_busy", ["queue", "send", "reject"])
async def test_the_refusal_of_turn_detections_own_create_is_not_the_callers(on_busy: Any) -> None:
    behaviour = Behaviour(vad_create_when_busy=VadCreateWhenBusy.ERROR, created_latency_ms=30)
    session, _, _ = await against(behaviour, say("The answer.", ms=600).always(), latency_s=0.02)
    session.append_audio(speech.user_voice(400))
    await asyncio.sleep(0.2)
    handle = session.create_response(on_busy=on_busy)
    session.append_audio(bytes(48 * 400))
    assert await soon(handle.text()) == "The answer."
    assert (await soon(handle.done)).kind is antiphon.OutcomeKind.COMPLETED
    await session.close()


@virtual
async def test_a_reply_to_the_user_is_not_read_as_a_verdict_beside_it() -> None:
    session, _, _ = await against(
        Behaviour(metadata_echo=False),
        text("VERDICT").when(lane="out_of_band"),
        say("SPOKEN REPLY").when(lane="default"),
        latency_s=0.03,
        options=antiphon.Options(echoes_metadata=False),
    )
    made: list[antiphon.ResponseHandle] = []
    session.on("response", made.append)
    session.append_audio(speech.user_voice(400))
    session.append_audio(bytes(48 * 400))
    verdict = session.create_response(conversation="none", output_modalities=["text"])
    assert await soon(verdict.text()) == "VERDICT"
    await asyncio.sleep(1)
    assert [await soon(one.text()) for one in made] == ["SPOKEN REPLY"]
    await session.close()


@virtual
async def test_a_server_that_drops_metadata_works_without_an_option_and_is_told_of_once() -> None:
    session, _, reports = await against(Behaviour(metadata_echo=False), text("Hello.").always())
    for _ in range(3):
        assert await soon(session.create_response().text(), within=5.0) == "Hello."
    assert len(reports) == 1 and "echoes_metadata" in reports[0].detail
    await session.close()


@virtual
async def test_a_response_that_fails_without_a_word_frees_the_lane_in_time() -> None:
    # P-305.
    behaviour = Behaviour(response_done_on_failure=ResponseDoneOnFailure.NEVER)
    session, _, _ = await against(behaviour, fail("inference_failed"), text("Better.").always())
    first, second = session.create_response(), session.create_response()
    assert (await soon(first.done)).kind is antiphon.OutcomeKind.FAILED
    assert asyncio.get_running_loop().time() < 10.0
    assert await soon(second.text()) == "Better."
    await session.close()


@virtual
async def test_truncation_that_a_server_does_not_have_is_asked_for_once() -> None:
    # P-299.
    session, _, _ = await against(profile("xai"), say("A long story.", ms=3000).always())
    for number in range(2):
        handle = session.create_response()
        await soon(anext(handle.audio))
        _ = session.interrupt()
        await soon(handle.done)
        requests = session.truncate(handle, heard_ms=10)
        if number == 0:
            (request,) = requests
            with pytest.raises(antiphon.RequestError):
                await soon(request)
        else:
            assert requests == ()
    await session.close()
