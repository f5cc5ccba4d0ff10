"""Ids that the API refuses, and those that nobody may touch (P-214 to P-216)."""

import re

import pytest
from livekit.agents import llm

from antiphon.livekit.names import Names
from tests.livekit.harness import emulated, ids, open_session

__all__: list[str] = []

ODD = "chatcmpl-1a2b/fnc_0"
LONG = "item_" + "x" * 60
TAKEN = re.compile(r"[a-zA-Z0-9_-]{1,32}")


async def test_ids_of_other_makers_go_out_as_the_api_takes_them() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        ctx = llm.ChatContext.empty()
        ctx.add_message(role="user", content="Hi.", id="a message/1")
        ctx.items.append(llm.FunctionCall(id=LONG, call_id=ODD, name="f", arguments="{}"))
        ctx.items.append(
            llm.FunctionCallOutput(id="o/1", call_id=ODD, name="f", output="7", is_error=False)
        )
        await it.session.update_chat_ctx(ctx)
        sent = [one["item"] for one in it.engine.received_of("conversation.item.create")]
        assert all(TAKEN.fullmatch(one["id"]) for one in sent)
        assert sent[1]["call_id"] == sent[2]["call_id"] and TAKEN.fullmatch(sent[1]["call_id"])
        # They come back under their own names, and nothing is left to be done.
        assert ids(it.session.chat_ctx.items) == ["a message/1", LONG, "o/1"]
        assert [getattr(one, "call_id", ODD) for one in it.session.chat_ctx.items] == [ODD] * 3
        assert it.all("remote_item_added")[1].previous_item_id == "a message/1"
        before = len(it.engine.received)
        await it.session.update_chat_ctx(ctx)
        assert len(it.engine.received) == before


async def test_they_can_be_moved_deleted_and_told_again() -> None:
    async with emulated() as server, open_session("antiphon", server) as it:
        ctx = llm.ChatContext.empty()
        for number in range(3):
            ctx.add_message(role="user", content=f"{number}", id=f"m/{number}")
        await it.session.update_chat_ctx(ctx)
        ctx.items = [ctx.items[2], ctx.items[0]]
        await it.session.update_chat_ctx(ctx)
        assert ids(it.session.chat_ctx.items) == ["m/2", "m/0"]
        server.clear()
        await it.told("session_reconnected")
        await it.settled()
        assert [words for _, words in it.chat()] == ["2", "0"]
        assert len(it.engine.item_ids) == 2
        assert ids(it.session.chat_ctx.items) == ["m/2", "m/0"]


@pytest.mark.parametrize("name", ["item_1", "a" * 32, "root"])
def test_what_is_taken_is_left_alone(name: str) -> None:
    names = Names()
    assert names.out(name) == name == names.back(name)


def test_two_sessions_give_a_name_the_same_short_one() -> None:
    # So that a call and its output meet, whoever tells them.
    assert Names().out(ODD) == Names().out(ODD) != Names().out(LONG)


def test_what_the_server_gave_goes_back_unchanged() -> None:
    names = Names()
    assert names.back(LONG) == LONG
    assert names.out(LONG) == LONG


def test_what_is_remembered_is_bounded() -> None:
    names = Names()
    for number in range(10_000):
        names.back(f"{number:040}")
        names.out(f"/{number}")
    assert len(names._given) == len(names._own) == 4096
    assert names.out(f"{9999:040}") == f"{9999:040}"
