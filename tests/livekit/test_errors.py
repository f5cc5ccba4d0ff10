"""Nothing but `llm.RealtimeError` leaves the framework's methods: it catches nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from livekit.agents import llm

from antiphon.emulator import Faults, call, on, say, text
from antiphon.exceptions import FATAL_CODES
from livekit import rtc
from tests.livekit.harness import emulated, open_session, until

__all__: list[str] = []

HALF = "half an emoji: \ud83d"
WHOLE = "half an emoji: \ufffd"


def message(words: Any, **fields: Any) -> llm.ChatContext:
    ctx = llm.ChatContext.empty()
    ctx.add_message(role="user", content=words, id="m", **fields)
    return ctx


def tool(**schema: Any) -> Any:
    async def called(raw_arguments: dict[str, object]) -> str:
        return ""

    return llm.function_tool(called, raw_schema={"name": "f", "parameters": {}, **schema})


# --- half a surrogate pair ----------------------------------------------------------------------


async def test_half_an_emoji_in_a_message() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        await it.session.update_chat_ctx(message(HALF))
        (sent,) = it.engine.received_of("conversation.item.create")
        assert sent["item"]["content"][0]["text"] == WHOLE
        assert it.chat() == [("user", WHOLE)]
        # The framework's own text still has the half; that is no difference.
        before = len(it.engine.received)
        await it.session.update_chat_ctx(message(HALF))
        assert len(it.engine.received) == before


async def test_both_halves_are_one_emoji() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        await it.session.update_chat_ctx(message("\ud83d\ude00"))
        (sent,) = it.engine.received_of("conversation.item.create")
        assert sent["item"]["content"][0]["text"] == "\U0001f600"


async def test_half_an_emoji_in_a_tools_output() -> None:
    async with emulated(call("f", {}), say("Fine.")) as server:
        async with open_session("antiphon", server) as it:
            (asked,) = (await it.reply()).calls
            ctx = it.session.chat_ctx.copy()
            ctx.items.append(
                llm.FunctionCallOutput(call_id=asked.call_id, name="f", output=HALF, is_error=False)
            )
            await it.session.update_chat_ctx(ctx)
            (sent,) = it.engine.received_of("conversation.item.create")
            assert sent["item"]["output"] == WHOLE
            assert (await it.reply()).text == "Fine."


async def test_half_an_emoji_in_instructions_tools_and_options() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        await it.session.update_instructions(HALF)
        properties = {HALF: {"type": "string", "enum": [HALF]}}
        parameters = {"type": "object", "properties": properties}
        await it.session.update_tools([tool(description=HALF, parameters=parameters)])
        it.session.update_options(input_audio_transcription={"model": "x", "prompt": HALF})
        await it.settled()
        sent = [one["session"] for one in it.engine.received_of("session.update")]
        assert sent[1]["instructions"] == WHOLE
        assert sent[2]["tools"][0]["description"] == WHOLE
        assert WHOLE in sent[2]["tools"][0]["parameters"]["properties"]
        assert sent[3]["audio"]["input"]["transcription"]["prompt"] == WHOLE
        assert it.all("error") == []


async def test_half_an_emoji_in_what_one_response_is_given() -> None:
    async with emulated(text("Fine."), text("Fine.")) as server:
        async with open_session("antiphon", server) as it:
            await it.reply(instructions=HALF)
            side = it.session.create_response(
                instructions=HALF,
                conversation="none",
                metadata={"topic": HALF},
                input=[{"type": "message", "role": "user",
                        "content": [{"type": "input_text", "text": HALF}]}],
                tools=[tool(description=HALF)],
            )  # fmt: skip
            assert await side.text() == "Fine."
            first, second = (one["response"] for one in it.engine.received_of("response.create"))
            assert first["instructions"] == second["instructions"] == WHOLE
            assert second["metadata"]["topic"] == WHOLE
            assert second["input"][0]["content"][0]["text"] == WHOLE


# --- every method -------------------------------------------------------------------------------


async def _call(made: Any) -> Any:
    return await made if isinstance(made, Awaitable) else made


BAD: dict[str, Callable[[Any], Any]] = {
    "update_instructions": lambda session: session.update_instructions(7),
    "update_tools": lambda session: session.update_tools([tool(parameters={"x": object()})]),
    "update_chat_ctx": lambda session: session.update_chat_ctx(object()),
    "update_options": lambda session: session.update_options(speed=99),
    "push_audio": lambda session: session.push_audio(object()),
    "push_video": lambda session: session.push_video(object()),
    "send_event": lambda session: session.send_event({"no": "type"}),
    "send_event that is none": lambda session: session.send_event(7),
    "send_event that is no JSON": lambda session: session.send_event({"type": "x", "y": object()}),
    "truncate": lambda session: session.truncate(
        message_id=None, modalities=["audio"], audio_end_ms=5
    ),
    "interrupt": lambda session: session.interrupt("nobody"),
    "generate_reply, metadata": lambda session: session.generate_reply(
        metadata={str(number): "" for number in range(99)}
    ),
    "generate_reply, input": lambda session: session.generate_reply(
        input=[llm.ChatMessage(role="user", content=[])]
    ),
    "generate_reply, tools": lambda session: session.generate_reply(
        tools=[tool(parameters={"x": object()})]
    ),
    "generate_reply, modalities": lambda session: session.generate_reply(
        output_modalities=["smell"]
    ),
}


@pytest.mark.parametrize("method", BAD)
async def test_what_cannot_be_sent_is_the_frameworks_error(method: str) -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        async with asyncio.timeout(5):
            try:
                await _call(BAD[method](it.session))
            except llm.RealtimeError as wrong:
                assert str(wrong)
            else:
                assert method in ("truncate",), "it was taken"
            # The session lives on.
            assert (await it.reply()).text == "Yes."


async def test_a_wrong_option_is_both_kinds_of_error() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        for kind in (ValueError, llm.RealtimeError):
            with pytest.raises(kind, match="^speed: "):
                it.session.update_options(speed=99)


async def test_one_item_that_cannot_be_sent_leaves_the_others() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="a", id="ma")
        ctx.add_message(role="user", content=[llm.ImageContent(image="data:nonsense")], id="mb")
        ctx.add_message(role="user", content="c", id="mc")
        await it.session.update_chat_ctx(ctx)
        assert it.engine.item_ids == ["ma", "mc"]


async def test_a_broken_image_does_not_keep_the_session_from_reconnecting() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="a", id="ma")
        await it.session.update_chat_ctx(ctx)
        it.session.chat_ctx.items[0].content.append(llm.ImageContent(image="data:nonsense"))
        server.clear()
        await it.told("session_reconnected")
        assert (await it.reply()).text == "Yes."


@pytest.mark.parametrize("closed", ["by us", "for good"])
async def test_after_the_end_every_method_is_harmless_or_the_frameworks_error(closed: str) -> None:
    frame = rtc.AudioFrame(bytes(4800), 24000, 1, 2400)
    methods: list[Callable[[Any], Any]] = [
        *BAD.values(),
        lambda session: session.generate_reply(),
        lambda session: session.update_instructions("x"),
        lambda session: session.update_tools([]),
        lambda session: session.update_chat_ctx(message("x")),
        lambda session: session.push_audio(frame),
        lambda session: session.commit_audio(),
        lambda session: session.clear_audio(),
        lambda session: session.interrupt(),
        lambda session: session.start_user_activity(),
        lambda session: session.has_active_generation,
        lambda session: session.aclose(),
    ]
    refused = on("response.created").close(3000, "invalid_request_error.invalid_api_key")
    async with emulated(faults=Faults(refused)) as server:
        async with open_session("antiphon", server) as it:
            await it.settled()
            if closed == "by us":
                await it.session.aclose()
            else:
                it.session.generate_reply()
                await until(lambda: not all(one.recoverable for one in it.all("error")))
            for method in methods:
                try:
                    await _call(method(it.session))
                except llm.RealtimeError:
                    pass
            assert not it.session.has_active_generation


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
async def test_what_is_final_to_the_client_is_final_to_the_framework(code: str) -> None:
    # P-92, P-264 to P-266: told as such even where the server leaves the connection open.
    said = {"type": "error", "error": {"type": "invalid_request_error", "code": code}}
    async with emulated(faults=Faults(on("response.created").send(said))) as server:
        async with open_session("antiphon", server) as it:
            await it.settled()
            it.session.generate_reply()
            error = await it.told("error")
            assert (error.recoverable, error.error.body.code) == (False, code)
            await until(lambda: server.connections == 0)
            assert len(server.sessions) == 1
