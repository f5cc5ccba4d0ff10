"""Losing the connection, closing it, and never getting one."""

import asyncio
from typing import Any

import aiohttp
import pytest
from livekit.agents import APIConnectionError, APIConnectOptions, llm
from livekit.agents.metrics import RealtimeModelMetrics

from antiphon.emulator import Faults, Pace, on, say, stall
from tests.livekit.harness import (
    BOTH,
    RETRY,
    emulated,
    open_session,
    plugin_module,
    until,
)

__all__: list[str] = []

SLOW = Pace(first_output_ms=5, audio_ms_per_delta=100, speed=20)


@BOTH
async def test_loss_in_the_middle_of_a_reply(plugin: str) -> None:
    async with (
        emulated(say("Long.", ms=60_000), say("Again."), pace=SLOW) as server,
        open_session(plugin, server) as it,
    ):
        event = await it.session.generate_reply()
        read = it.read_of(event)
        await until(lambda: len(it.all("remote_item_added")) == 1)
        server.clear()
        await read.whole()
        await it.told("session_reconnected")
        error = await it.told("error")
        assert error.recoverable
        assert isinstance(error.error, APIConnectionError)
        assert (await it.reply()).text == "Again."


@BOTH
async def test_loss_before_the_reply_was_created(plugin: str) -> None:
    async with (
        emulated(created_latency_ms=60_000) as server,
        open_session(plugin, server) as it,
    ):
        waiting = it.session.generate_reply()
        await it.received("response.create")
        server.clear()
        with pytest.raises(llm.RealtimeError, match="reconnection"):
            async with asyncio.timeout(5):
                await waiting


@BOTH
async def test_chat_context_update_survives_a_loss(plugin: str) -> None:
    faults = Faults(on("conversation.item.added", nth=2).abort())
    async with emulated(faults=faults) as server, open_session(plugin, server) as it:
        it.session.on("error", lambda _: setattr(server, "faults", None))
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="a", id="m0")
        await it.session.update_chat_ctx(ctx)
        ctx.add_message(role="user", content="b", id="m1")
        await it.session.update_chat_ctx(ctx)
        assert it.names.count("session_reconnected") == 1
        assert it.chat() == [("user", "a"), ("user", "b")]
        assert it.engine.item_ids == ["m0", "m1"]


@BOTH
async def test_configuration_survives_a_loss(plugin: str) -> None:
    faults = Faults(on("session.updated", nth=2).abort())
    async with emulated(faults=faults) as server, open_session(plugin, server) as it:
        it.session.on("error", lambda _: setattr(server, "faults", None))
        await it.received("session.update")
        await it.session.update_instructions("Be brief.")
        await it.told("session_reconnected")
        assert len(server.sessions) == 2
        await it.settled()
        (first, *_) = it.engine.received_of("session.update")
        assert first["session"]["instructions"] == "Be brief."


@BOTH
async def test_asked_for_while_there_is_no_connection(plugin: str) -> None:
    async with emulated(say("Here.")) as server, open_session(plugin, server) as it:
        await it.received("session.update")
        server.clear()
        await it.told("error")
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="a", id="m0")
        await it.session.update_chat_ctx(ctx)
        assert it.engine.item_ids == ["m0"]
        assert (await it.reply()).text == "Here."


@BOTH
async def test_a_server_that_is_not_there(plugin: str) -> None:
    async with emulated() as server:
        address = server.http_url
    options: dict[str, Any] = {"base_url": address, "conn_options": APIConnectOptions(2, 0.01, 1.0)}
    async with open_session(plugin, server, **options) as it:
        waiting = it.session.generate_reply()
        await until(lambda: any(not one.recoverable for one in it.all("error")))
        assert [one.recoverable for one in it.all("error")] == [True, True, False]
        with pytest.raises(llm.RealtimeError):
            async with asyncio.timeout(5):
                await waiting


@BOTH
async def test_a_server_that_comes_later(plugin: str) -> None:
    async with emulated() as server:
        port = server.port
    options: dict[str, Any] = {
        "base_url": f"http://127.0.0.1:{port}/v1",
        "conn_options": APIConnectOptions(10, 0.05, 1.0),
    }
    late = emulated(say("Here at last."))
    late._port = port
    async with open_session(plugin, late, **options) as it:
        waiting = it.session.generate_reply()
        await it.told("error")
        async with late:
            event = await asyncio.wait_for(waiting, 5)
            assert (await it.read_of(event).whole()).text == "Here at last."
            await it.session.aclose()


@BOTH
async def test_a_wrong_key_is_not_tried_again(plugin: str) -> None:
    async with (
        emulated(api_key="good") as server,
        open_session(plugin, server, api_key="bad") as it,
    ):
        error = await it.told("error")
        assert not error.recoverable
        assert len(server.sessions) == 1


@BOTH
async def test_closing_ends_everything(plugin: str) -> None:
    async with (
        emulated(say("Long.", ms=60_000), pace=SLOW) as server,
        open_session(plugin, server) as it,
    ):
        event = await it.session.generate_reply()
        await until(lambda: len(it.all("remote_item_added")) == 1)
        await it.session.aclose()
        await it.read_of(event).whole()
        assert it.all("error") == []
        await until(lambda: server.connections == 0)


@BOTH
async def test_closing_answers_what_waits(plugin: str) -> None:
    async with (
        emulated(created_latency_ms=60_000) as server,
        open_session(plugin, server) as it,
    ):
        waiting = it.session.generate_reply()
        await it.received("response.create")
        await it.session.aclose()
        with pytest.raises(llm.RealtimeError):
            async with asyncio.timeout(5):
                await waiting


async def test_calls_after_closing_are_harmless() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        await it.session.aclose()
        it.session.interrupt()
        it.session.clear_audio()
        it.session.commit_audio()
        it.session.update_options(voice="cedar")
        it.session.send_event({"type": "input_audio_buffer.clear"})
        it.session.truncate(message_id="x", modalities=["audio"], audio_end_ms=0)
        with pytest.raises(llm.RealtimeError, match="closed"):
            await it.session.generate_reply()
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="a")
        for late in (
            it.session.update_chat_ctx(ctx),
            it.session.update_instructions("x"),
            it.session.update_tools([]),
        ):
            with pytest.raises(llm.RealtimeError, match="closed"):
                await late
        await it.session.aclose()


@BOTH
async def test_a_session_is_replaced_before_its_time_is_up(plugin: str) -> None:
    options: dict[str, Any] = {"max_session_duration": 1}
    async with emulated() as server, open_session(plugin, server, **options) as it:
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="a", id="m0")
        await it.session.update_chat_ctx(ctx)
        await it.told("session_reconnected")
        await until(lambda: server.connections == 1)
        # On a slow machine, the next one's time may be up, too.
        assert len(server.sessions) >= 2
        assert (await it.reply()).text == "Yes."
        assert it.engine.item_ids[0] == "m0"
        assert it.all("error") == []


@BOTH
async def test_a_reply_is_not_cut_by_the_replacement(plugin: str) -> None:
    options: dict[str, Any] = {"max_session_duration": 1}
    pace = Pace(first_output_ms=5, audio_ms_per_delta=100, speed=1)
    async with (
        emulated(say("Slowly.", ms=1500), pace=pace) as server,
        open_session(plugin, server, **options) as it,
    ):
        reply = await it.reply()
        assert len(reply.messages[0].pcm) == 1500 * 48
        await it.told("session_reconnected")


@pytest.mark.skipif(
    "acquire_time" not in RealtimeModelMetrics.model_fields,
    reason="this livekit-agents does not measure connections yet",
)
@BOTH
async def test_a_connection_is_measured(plugin: str) -> None:
    async with emulated() as server:
        model = plugin_module(plugin).realtime.RealtimeModel(
            base_url=server.http_url, api_key="x", conn_options=RETRY
        )
        session = model.session()
        measured: list[Any] = []
        session.on("metrics_collected", measured.append)
        await until(lambda: len(measured) == 1)
        assert 0 < measured[0].acquire_time < 5
        assert measured[0].request_id == ""
        await session.aclose()
        await model.aclose()


@BOTH
async def test_http_session_of_the_caller(plugin: str) -> None:
    async with aiohttp.ClientSession(headers={"X-Mine": "1"}) as http:
        async with (
            emulated(say("Hello.", ms=500)) as server,
            open_session(plugin, server, http_session=http) as it,
        ):
            reply = await it.reply()
            assert len(reply.messages[0].pcm) == 500 * 48
            server.clear()
            await it.told("session_reconnected")
            assert (await it.reply()).text == "Yes."
        assert not http.closed


async def test_a_silent_server_does_not_hold_up_its_user() -> None:
    async with (
        emulated(stall()) as server,
        open_session("antiphon", server) as it,
    ):
        event = await it.session.generate_reply()
        receipt = await asyncio.wait_for(it.session.interrupt(), 6)
        assert [one.response_id for one in receipt.cancelled] == [event.response_id]
        await it.read_of(event).whole()
