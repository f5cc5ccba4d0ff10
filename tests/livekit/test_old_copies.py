"""A chat context that is older than the conversation deletes only what its author can know of."""

from typing import Any

from livekit.agents import llm

from antiphon.emulator import Pace, call, say
from antiphon.livekit.chat_ctx import Create, Delete, Mirror, diff
from tests.livekit.harness import both, emulated, open_session

__all__: list[str] = []


def deleted(it: Any) -> list[str]:
    return [one["item_id"] for one in it.engine.received_of("conversation.item.delete")]


def output_of(made: llm.FunctionCall) -> llm.FunctionCallOutput:
    return llm.FunctionCallOutput(call_id=made.call_id, name="lookup", output="7", is_error=False)


@both("An old copy of the chat context")
async def test_a_call_that_came_since_the_copy_stays_and_is_answered(plugin: str) -> None:
    # livekit/agents#4960
    async with (
        emulated(call("lookup", {}), say("Seven.").when(tool_output="7")) as server,
        open_session(plugin, server) as it,
    ):
        old = it.session.chat_ctx.copy()
        (made,) = (await it.reply()).calls
        old.add_message(role="user", content="By the way.", id="m0")
        await it.session.update_chat_ctx(old)
        assert deleted(it) == []
        assert sorted(kind for kind, _ in it.chat()) == ["call", "user"]
        ctx = it.session.chat_ctx.copy()
        ctx.items.append(output_of(made))
        await it.session.update_chat_ctx(ctx)
        assert (await it.reply()).text == "Seven."


@both("An old copy of the chat context")
async def test_a_message_that_came_since_the_copy_stays(plugin: str) -> None:
    async with emulated(say("One."), say("Two.")) as server, open_session(plugin, server) as it:
        await it.reply()
        old = it.session.chat_ctx.copy()
        await it.reply()
        (known,) = old.items
        old.items = []
        await it.session.update_chat_ctx(old)
        assert deleted(it) == [known.id]
        assert it.chat() == [("assistant", "Two.")]


@both()
async def test_what_a_fresh_copy_lacks_is_deleted_be_it_the_last(plugin: str) -> None:
    async with emulated(say("One."), say("Two.")) as server, open_session(plugin, server) as it:
        await it.reply()
        await it.reply()
        ctx = it.session.chat_ctx.copy().copy()
        ctx.items.pop()
        await it.session.update_chat_ctx(ctx)
        assert it.chat() == [("assistant", "One.")]


@both()
async def test_what_was_added_here_is_known_to_every_copy(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        old = it.session.chat_ctx.copy()
        ctx = old.copy()
        ctx.add_message(role="user", content="For now.", id="m0")
        await it.session.update_chat_ctx(ctx)
        await it.session.update_chat_ctx(old)
        assert it.chat() == []


@both("An old copy of the chat context")
async def test_a_call_that_is_being_answered_stays_whatever_context_comes(plugin: str) -> None:
    """The framework also brings its agent's own context, of which nobody knows how old it is."""
    async with (
        emulated(say("One."), call("lookup", {}), say("Seven.")) as server,
        open_session(plugin, server) as it,
    ):
        await it.reply()
        (made,) = (await it.reply()).calls
        await it.session.update_chat_ctx(llm.ChatContext.empty())
        assert it.chat() == [("call", "lookup{}")]
        ctx = it.session.chat_ctx.copy()
        ctx.items.append(output_of(made))
        await it.session.update_chat_ctx(ctx)
        # With its output it is as any other item.
        await it.session.update_chat_ctx(llm.ChatContext.empty())
        assert it.chat() == []


@both()
async def test_a_call_that_was_broken_off_waits_for_no_output(plugin: str) -> None:
    pace = Pace(text_interval_ms=50)
    async with (
        emulated(call("lookup", {"city": "Oslo " * 100}), pace=pace) as server,
        open_session(plugin, server) as it,
    ):
        await it.session.generate_reply()
        added = await it.told("remote_item_added")
        it.session.interrupt()
        await it.told("metrics_collected")
        await it.session.update_chat_ctx(llm.ChatContext.empty())
        assert deleted(it) == [added.item.id]
        assert it.engine.item_ids == []


def test_what_is_spared_stays_where_it_is() -> None:
    old = [llm.ChatMessage(id=one, role="user", content=[one]) for one in "abc"]
    new = llm.ChatMessage(id="n", role="user", content=["n"])
    assert diff(old, [old[0], new], {"c"}) == [Delete("b"), Create("a", new)]


def test_what_is_put_elsewhere_is_moved_though_it_is_spared() -> None:
    old = [llm.ChatMessage(id=one, role="user", content=[one]) for one in "ab"]
    assert diff(old, [old[1], old[0]], {"a", "b"}) == [Delete("b"), Create("root", old[1])]


def test_what_the_server_brought_is_unknown_to_what_was_taken_before() -> None:
    mirror = Mirror()
    mirror.ours.add("mine")
    for name in ("early", "mine", "late"):
        taken = mirror.taken
        mirror.add(llm.ChatMessage(id=name, role="user", content=["x"]), None)
    assert mirror.unknown_to(taken) == {"late"}
    assert mirror.unknown_to(mirror.taken) == set() == mirror.unknown_to(None)
    mirror.remove("late")
    assert mirror.unknown_to(0) == {"early"}
