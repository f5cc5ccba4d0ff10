"""The chat context: what the server is told, and what it tells."""

import asyncio
import base64
from typing import Any

import pytest
from livekit.agents import llm

from antiphon.emulator import Pace, call, say, text
from antiphon.livekit.chat_ctx import Create, Delete, Mirror, diff
from antiphon.livekit.names import Names
from livekit import rtc
from tests.helpers.cost import calls_in
from tests.livekit.harness import BOTH, both, emulated, ids, open_session, until

__all__: list[str] = []


def context(*said: tuple[str, str]) -> llm.ChatContext:
    """Messages of role and text, with ids m0, m1, …"""
    ctx = llm.ChatContext.empty()
    for number, (role, words) in enumerate(said):
        ctx.add_message(role=role, content=words, id=f"m{number}")  # type: ignore[arg-type]
    return ctx


@BOTH
async def test_items_are_created_in_order(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        said = [("user", "Hi."), ("assistant", "Hello."), ("system", "Be kind."), ("user", "Bye.")]
        await it.session.update_chat_ctx(context(*said))
        assert it.chat() == said
        assert it.engine.item_ids == ["m0", "m1", "m2", "m3"]
        created = it.engine.received_of("conversation.item.create")
        assert [one["previous_item_id"] for one in created] == ["root", "m0", "m1", "m2"]
        kinds = [one["item"]["content"][0]["type"] for one in created]
        assert kinds == ["input_text", "output_text", "input_text", "input_text"]
        assert it.names == ["remote_item_added"] * 4


@BOTH
async def test_the_same_context_again_sends_nothing(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_chat_ctx(context(("user", "Hi."), ("user", "Ho.")))
        before = len(it.engine.received)
        await it.session.update_chat_ctx(it.session.chat_ctx.copy())
        assert len(it.engine.received) == before


@BOTH
async def test_insert_first_in_the_middle_and_last(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_chat_ctx(context(("user", "b"), ("user", "d")))
        ctx = it.session.chat_ctx.copy()
        for place, words in ((0, "a"), (2, "c"), (4, "e")):
            ctx.items.insert(place, llm.ChatMessage(role="user", content=[words], id=f"n{words}"))
        await it.session.update_chat_ctx(ctx)
        assert [words for _, words in it.chat()] == ["a", "b", "c", "d", "e"]
        assert it.engine.item_ids == ids(it.session.chat_ctx.items)


@BOTH
async def test_delete_and_reorder(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_chat_ctx(context(*[("user", word) for word in "abcd"]))
        ctx = it.session.chat_ctx.copy()
        ctx.items = [ctx.items[3], ctx.items[0], ctx.items[2]]
        await it.session.update_chat_ctx(ctx)
        assert [words for _, words in it.chat()] == ["d", "a", "c"]
        assert it.engine.item_ids == ["m3", "m0", "m2"]


@BOTH
async def test_changed_text_replaces_the_message(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_chat_ctx(context(("user", "a"), ("user", "b"), ("user", "c")))
        changed = context(("user", "a"), ("user", "B"), ("user", "c"))
        await it.session.update_chat_ctx(changed)
        assert [words for _, words in it.chat()] == ["a", "B", "c"]
        assert it.engine.item_ids == ["m0", "m1", "m2"]


@BOTH
async def test_empty_messages_and_other_kinds_are_not_sent(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        ctx = context(("user", "a"))
        ctx.items.append(llm.ChatMessage(role="user", content=[], id="empty"))
        ctx.items.append(llm.AgentHandoff(new_agent_id="x"))
        ctx.items.append(
            llm.ChatMessage(role="system", content=["i"], id="lk.agent_task.instructions")
        )
        await it.session.update_chat_ctx(ctx)
        assert it.engine.item_ids == ["m0"]


@BOTH
async def test_calls_and_outputs_with_long_ids_stay_a_pair(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        ctx = context(("user", "a"))
        long = "call_" + "x" * 60
        ctx.items.append(llm.FunctionCall(id="c1", call_id=long, name="f", arguments="{}"))
        ctx.items.append(
            llm.FunctionCallOutput(id="o1", call_id=long, name="f", output="7", is_error=False)
        )
        await it.session.update_chat_ctx(ctx)
        assert it.chat() == [("user", "a"), ("call", "f{}"), ("output", "7")]
        sent = [one["item"] for one in it.engine.received_of("conversation.item.create")][1:]
        assert sent[0]["call_id"] == sent[1]["call_id"]
        assert len(sent[0]["call_id"]) == 32


@BOTH
async def test_output_of_a_call_that_the_model_made(plugin: str) -> None:
    async with (
        emulated(call("lookup", {}), say("Seven.").when(tool_output="7")) as server,
        open_session(plugin, server) as it,
    ):
        (made,) = (await it.reply()).calls
        ctx = it.session.chat_ctx.copy()
        ctx.items.append(
            llm.FunctionCallOutput(call_id=made.call_id, name="lookup", output="7", is_error=False)
        )
        await it.session.update_chat_ctx(ctx)
        assert (await it.reply()).text == "Seven."


@BOTH
async def test_images(plugin: str) -> None:
    pixel = "data:image/png;base64," + base64.b64encode(b"not quite a png").decode()
    async with emulated() as server, open_session(plugin, server) as it:
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content=["Look:", llm.ImageContent(image=pixel)], id="m0")
        await it.session.update_chat_ctx(ctx)
        (sent,) = it.engine.received_of("conversation.item.create")
        assert [part["type"] for part in sent["item"]["content"]] == ["input_text", "input_image"]
        assert sent["item"]["content"][1]["image_url"] == pixel


@BOTH
async def test_video_frames_become_images(plugin: str) -> None:
    pytest.importorskip("PIL")
    async with emulated() as server, open_session(plugin, server) as it:
        frame = rtc.VideoFrame(16, 16, rtc.VideoBufferType.RGBA, bytes(16 * 16 * 4))
        it.session.push_video(frame)
        (sent,) = await it.received("conversation.item.create")
        (part,) = sent["item"]["content"]
        assert part["image_url"].startswith("data:image/jpeg;base64,")
        added = await it.told("remote_item_added")
        assert added.item.role == "user"


@BOTH
async def test_item_that_is_there_already(plugin: str) -> None:
    async with (
        emulated(duplicate_item_id="error") as server,
        open_session(plugin, server) as it,
    ):
        it.session.send_event(
            {
                "type": "conversation.item.create",
                "item": {
                    "type": "message",
                    "id": "m0",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Hi."}],
                },
            }
        )
        # Not yet mirrored, so it is created again.
        await it.session.update_chat_ctx(context(("user", "Hi.")))
        assert it.chat() == [("user", "Hi.")]


@BOTH
async def test_items_deleted_by_the_server(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_chat_ctx(context(("user", "a"), ("user", "b"), ("user", "c")))
        it.session.send_event({"type": "conversation.item.delete", "item_id": "m1"})
        await until(lambda: len(it.chat()) == 2)
        assert it.chat() == [("user", "a"), ("user", "c")]
        ctx = it.session.chat_ctx.copy()
        ctx.add_message(role="user", content="d", id="m3")
        await it.session.update_chat_ctx(ctx)
        assert it.engine.item_ids == ["m0", "m2", "m3"]


@both("Refused items are told")
async def test_refused_item_is_told_to_whoever_sent_it(plugin: str) -> None:
    orphan = llm.FunctionCallOutput(call_id="nobody", name="f", output="7", is_error=False)
    async with emulated() as server, open_session(plugin, server) as it:
        ctx = context(("user", "a"))
        ctx.items.append(orphan)
        with pytest.raises(llm.RealtimeError) as refused:
            await it.session.update_chat_ctx(ctx)
        assert refused.value.code == "invalid_tool_call_id"
        assert it.chat() == [("user", "a")]


@both("An item behind a refused one")
async def test_a_refused_item_does_not_take_others_with_it(plugin: str) -> None:
    orphan = llm.FunctionCallOutput(call_id="nobody", name="f", output="7", is_error=False)
    async with emulated() as server, open_session(plugin, server) as it:
        ctx = context(("user", "a"))
        ctx.items.append(orphan)
        ctx.add_message(role="user", content="b", id="m1")
        ctx.add_message(role="user", content="c", id="m2")
        try:
            await it.session.update_chat_ctx(ctx)
        except llm.RealtimeError:
            pass
        assert it.engine.item_ids == ["m0", "m1", "m2"]


@BOTH
async def test_truncated_audio(plugin: str) -> None:
    async with emulated(say("Hello there.", ms=1000)) as server, open_session(plugin, server) as it:
        (message,) = (await it.reply()).messages
        it.session.truncate(
            message_id=message.item_id,
            modalities=["audio", "text"],
            audio_end_ms=400,
            audio_transcript="Hello",
        )
        (sent,) = await it.received("conversation.item.truncate")
        assert (sent["item_id"], sent["audio_end_ms"]) == (message.item_id, 400)


@both("Truncation beyond the audio")
async def test_truncation_never_asks_for_more_than_was_delivered(plugin: str) -> None:
    async with emulated(say("Hello.", ms=200)) as server, open_session(plugin, server) as it:
        (message,) = (await it.reply()).messages
        it.session.truncate(
            message_id=message.item_id, modalities=["audio", "text"], audio_end_ms=900
        )
        await it.settled()
        assert it.all("error") == []


@both("The words of a truncated message")
async def test_truncated_message_has_the_words_that_were_heard(plugin: str) -> None:
    async with emulated(say("Hello there.", ms=1000)) as server, open_session(plugin, server) as it:
        (message,) = (await it.reply()).messages
        it.session.truncate(
            message_id=message.item_id,
            modalities=["audio", "text"],
            audio_end_ms=400,
            audio_transcript="Hello",
        )
        await it.settled()
        assert it.chat() == [("assistant", "Hello")]


async def test_words_of_an_interrupted_message_stay_those_that_were_heard() -> None:
    """The server's `response.done` comes after the truncation, with all the words."""
    pace = Pace(first_output_ms=5, audio_ms_per_delta=100, speed=20)
    async with (
        emulated(say("A long story.", ms=60_000), pace=pace, cancel_latency_ms=100) as server,
        open_session("antiphon", server) as it,
    ):
        spoke = asyncio.Event()

        def watch(event: dict[str, Any]) -> None:
            if event["type"] == "response.output_audio.delta":
                spoke.set()

        it.session.on("openai_server_event_received", watch)
        await it.session.generate_reply()
        added = await it.told("remote_item_added")
        async with asyncio.timeout(5):
            await spoke.wait()
        it.session.interrupt()
        it.session.truncate(
            message_id=added.item.id,
            modalities=["audio", "text"],
            audio_end_ms=50,
            audio_transcript="A",
        )
        await it.told("metrics_collected")
        assert it.chat() == [("assistant", "A")]


@BOTH
async def test_unheard_message_is_deleted(plugin: str) -> None:
    async with emulated(say("Hello.", ms=200)) as server, open_session(plugin, server) as it:
        (message,) = (await it.reply()).messages
        it.session.truncate(
            message_id=message.item_id, modalities=["audio", "text"], audio_end_ms=0
        )
        await until(lambda: it.chat() == [])
        assert it.engine.item_ids == []


@BOTH
async def test_truncated_text_is_what_was_shown(plugin: str) -> None:
    async with (
        emulated(text("Hello there.")) as server,
        open_session(plugin, server, modalities=["text"]) as it,
    ):
        (message,) = (await it.reply()).messages
        await it.told("metrics_collected")
        it.session.truncate(
            message_id=message.item_id,
            modalities=["text"],
            audio_end_ms=0,
            audio_transcript="Hello",
        )
        await until(lambda: it.chat() == [("assistant", "Hello")])
        assert it.engine.item_ids == [message.item_id]


async def cut_while_it_is_written(it: Any, shown: str) -> str:
    """A long text is interrupted and cut, in the framework's order; the id of its message."""
    wrote = asyncio.Event()
    it.session.client.on("response.output_text.delta", lambda _: wrote.set())
    await it.session.generate_reply()
    added = await it.told("remote_item_added")
    async with asyncio.timeout(5):
        await wrote.wait()
    it.session.interrupt()
    it.session.truncate(
        message_id=added.item.id, modalities=["text"], audio_end_ms=0, audio_transcript=shown
    )
    assert it.engine.received_of("conversation.item.delete") == []
    return str(added.item.id)


@pytest.mark.parametrize("shown", ["One two", ""])
async def test_a_text_cut_while_it_is_written_is_what_was_shown(shown: str) -> None:
    """The truncation comes before the server's `response.done`, which has more words."""
    pace = Pace(first_output_ms=5, text_interval_ms=50)
    async with (
        emulated(text("One two three " * 50), pace=pace, cancel_latency_ms=50) as server,
        open_session("antiphon", server, modalities=["text"]) as it,
    ):
        message_id = await cut_while_it_is_written(it, shown)
        expected = [("assistant", shown)] if shown else []
        assert [one for one in it.chat() if one[1]] == expected  # at once
        await it.told("metrics_collected")
        await it.received("conversation.item.delete")
        await it.settled()
        assert it.chat() == expected
        assert it.engine.item_ids == ([message_id] if shown else [])
        told = [one["item"] for one in it.engine.received_of("conversation.item.create")]
        assert [one["content"][0]["text"] for one in told if one["role"] == "assistant"] == (
            [shown] if shown else []
        )
        # And so has a replay.
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert it.chat() == expected
        told = [one["item"] for one in it.engine.received_of("conversation.item.create")]
        assert [one["content"][0]["text"] for one in told if one["role"] == "assistant"] == (
            [shown] if shown else []
        )


async def test_a_text_cut_while_it_is_written_survives_a_loss_before_its_end() -> None:
    pace = Pace(first_output_ms=5, text_interval_ms=50)
    async with (
        emulated(text("One two three " * 50), pace=pace, cancel_latency_ms=10_000) as server,
        open_session("antiphon", server, modalities=["text"]) as it,
    ):
        await cut_while_it_is_written(it, "One two")
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert it.chat() == [("assistant", "One two")]
        told = [one["item"] for one in it.engine.received_of("conversation.item.create")]
        assert told[0]["content"] == [{"type": "output_text", "text": "One two"}]


async def test_a_message_that_is_replaced_is_never_missing() -> None:
    """Its deletion and its creation are two requests; the framework may look in between."""
    async with (
        emulated(text("Hello there.")) as server,
        open_session("antiphon", server, modalities=["text"]) as it,
    ):
        (message,) = (await it.reply()).messages
        await it.told("metrics_collected")
        seen: list[list[tuple[str, str]]] = []
        it.session.client.on("conversation.item.deleted", lambda _: seen.append(it.chat()))
        it.session.truncate(
            message_id=message.item_id,
            modalities=["text"],
            audio_end_ms=0,
            audio_transcript="Hello",
        )
        seen.append(it.chat())
        await it.told("remote_item_added", 2)
        assert seen == [[("assistant", "Hello")]] * 2
        assert it.chat() == [("assistant", "Hello")]


@BOTH
async def test_remote_items_are_told_with_their_place(plugin: str) -> None:
    async with emulated(say("One."), say("Two.")) as server, open_session(plugin, server) as it:
        await it.reply()
        await it.reply()
        await it.told("metrics_collected", 2)
        first, second = it.all("remote_item_added")
        assert first.previous_item_id is None
        assert second.previous_item_id == first.item.id


@BOTH
async def test_replay_after_a_reconnect(plugin: str) -> None:
    async with emulated(say("Hello.", ms=200)) as server, open_session(plugin, server) as it:
        await it.session.update_instructions("Be brief.")
        await it.session.update_chat_ctx(context(("user", "Hi."), ("user", "Still there?")))
        (message,) = (await it.reply()).messages
        await it.told("metrics_collected")
        server.clear()
        await it.told("session_reconnected")
        await until(lambda: len(it.chat()) == 3)
        assert it.chat() == [
            ("user", "Hi."),
            ("user", "Still there?"),
            ("assistant", "Hello."),
        ]
        await it.settled()
        assert it.engine.item_ids == ["m0", "m1", message.item_id]
        configured = it.engine.received_of("session.update")[0]["session"]
        assert configured["instructions"] == "Be brief."
        assert (await it.told("error")).recoverable


@both("System messages in the replay")
async def test_replay_keeps_system_messages(plugin: str) -> None:
    async with emulated() as server, open_session(plugin, server) as it:
        await it.session.update_chat_ctx(context(("system", "Facts."), ("user", "Hi.")))
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert it.engine.item_ids == ["m0", "m1"]


# --- the difference of two contexts -------------------------------------------------------------


def message(name: str, words: str = "x") -> llm.ChatMessage:
    return llm.ChatMessage(id=name, role="user", content=[words] if words else [])


@pytest.mark.parametrize(
    ("old", "new", "steps"),
    [
        ("", "", []),
        ("abc", "abc", []),
        ("", "ab", [("root", "a"), ("a", "b")]),
        ("ab", "", ["a", "b"]),
        ("abc", "ac", ["b"]),
        ("ac", "abc", [("a", "b")]),
        ("abcd", "dabc", ["d", ("root", "d")]),
        ("abc", "cba", ["b", "c", ("root", "c"), ("c", "b")]),
    ],
)
def test_diff_takes_the_fewest_steps(old: str, new: str, steps: list[Any]) -> None:
    found: list[Any] = [
        step.item_id if isinstance(step, Delete) else (step.previous_item_id, step.item.id)
        for step in diff([message(one) for one in old], [message(one) for one in new])
    ]
    assert found == steps


def test_diff_replaces_what_changed() -> None:
    new = message("a", "y")
    assert diff([message("a")], [new]) == [Delete("a"), Create("root", new)]


def test_diff_leaves_what_it_cannot_see() -> None:
    assert diff([message("a", "")], [message("a", "words")]) == []
    assert diff([message("a", "")], [message("a", "")]) == []
    assert diff([], [message("a", "")]) == []


def test_diff_takes_the_first_of_two_items_with_one_id() -> None:
    steps = diff([], [message("a", "1"), message("a", "2")])
    assert len(steps) == 1


def test_diff_of_a_long_conversation_is_quick() -> None:
    def calls_for(size: int) -> int:
        old = [message(str(number)) for number in range(size)]
        new = [*old[size // 2 :], *old[: size // 2], message("new")]
        steps: list[object] = []
        made = calls_in(lambda: steps.extend(diff(old, new)))
        assert len(steps) == size + 1
        return made

    # Twice as long, twice the work: not four times.
    assert calls_for(2000) < 2.5 * calls_for(1000)


def test_replay_leaves_out_what_the_server_would_refuse() -> None:
    mirror = Mirror()
    made = llm.FunctionCall(id="c", call_id="x", name="f", arguments="{}")
    output = llm.FunctionCallOutput(id="o", call_id="x", name="f", output="7", is_error=False)
    orphan = llm.FunctionCallOutput(id="p", call_id="y", name="f", output="8", is_error=False)
    for item in (message("a"), made, output, orphan, message("silent", "")):
        mirror.add(item, None)
    assert [one["id"] for one in mirror.replay(Names())] == ["a", "c", "o"]
    # What was not told is not there any more.
    assert [one.id for one in mirror.items] == ["a", "c", "o"]
