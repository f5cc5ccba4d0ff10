"""MCP as the script plays it (P-122, P-474, P-478)."""

import pytest

from antiphon.emulator import Behaviour, Pace, Script, answer, mcp_approval, mcp_call, say
from tests.helpers.emulated import Emulated, Json

__all__: list[str] = []

DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://mcp.invalid"}
QUICK = Behaviour(pace=Pace.instant())


def listing(script: Script | None = None, **tool: object) -> Emulated:
    client = Emulated(QUICK, script)
    client.send("session.update", session={"type": "realtime", "tools": [{**DOCS, **tool}]})
    client.run(1)
    return client


def test_the_tools_of_a_server_are_listed() -> None:
    client = listing(Script(mcp={"docs": ["search", "fetch"]}))
    assert client.kinds() == [
        "session.updated",
        "conversation.item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "conversation.item.done",
    ]
    item = client.one("conversation.item.done")["item"]
    assert item["type"] == "mcp_list_tools"
    assert [tool["name"] for tool in item["tools"]] == ["search", "fetch"]
    assert client.one("mcp_list_tools.completed")["item_id"] == item["id"]


@pytest.mark.parametrize("allowed", [["search"], {"tool_names": ["search"]}])
def test_without_a_word_of_the_script_there_is_what_the_session_allows(allowed: object) -> None:
    item = listing(allowed_tools=allowed).one("conversation.item.done")["item"]
    assert [tool["name"] for tool in item["tools"]] == ["search"]


def test_a_server_that_cannot_be_reached() -> None:
    client = listing(Script(mcp={"docs": None}))
    assert client.kinds()[2:] == ["mcp_list_tools.in_progress", "mcp_list_tools.failed"]


def test_a_server_is_asked_once() -> None:
    client = listing()
    client.forget()
    client.configure(tools=[DOCS])
    client.run(1)
    assert client.kinds() == ["session.updated"]


def called(script: Script) -> tuple[Emulated, Json]:
    client = Emulated(QUICK, script)
    only = client.created_id()
    client.run(1)
    return client, client.done(only)


def test_a_call_and_what_it_brings() -> None:
    step = answer(mcp_call("docs", "search", {"q": "antiphon"}, output="found"), say("There."))
    client, done = called(Script([step]))
    (item, message) = done["output"]
    assert item == {
        "id": item["id"],
        "type": "mcp_call",
        "server_label": "docs",
        "name": "search",
        "arguments": '{"q": "antiphon"}',
        "approval_request_id": None,
        "output": "found",
        "error": None,
    }
    assert message["type"] == "message"
    kinds = [event["type"] for event in client.events if event.get("item_id") == item["id"]]
    assert kinds[-3:] == [
        "response.mcp_call_arguments.done",
        "response.mcp_call.in_progress",
        "response.mcp_call.completed",
    ]
    deltas = client.all("response.mcp_call_arguments.delta")
    assert "".join(event["delta"] for event in deltas) == item["arguments"]
    # It is finished before the model goes on.
    whole = client.kinds()
    assert whole.index("response.mcp_call.completed") < whole.index("response.output_audio.delta")


def test_a_call_that_fails() -> None:
    client, done = called(Script([mcp_call("docs", "search", error="no such page")]))
    (item,) = done["output"]
    assert item["error"] == {"type": "tool_execution_error", "message": "no such page"}
    assert item["output"] is None
    assert client.one("response.mcp_call.failed")["item_id"] == item["id"]
    assert client.all("response.mcp_call.completed") == []


def test_leave_is_asked_for_and_given() -> None:
    script = Script([mcp_approval("docs", "search", {"q": 1}), mcp_call("docs", "search")])
    client, done = called(script)
    (request,) = done["output"]
    assert (request["type"], request["arguments"]) == ("mcp_approval_request", '{"q": 1}')
    reply = {
        "type": "mcp_approval_response",
        "approval_request_id": request["id"],
        "approve": True,
    }
    client.send("conversation.item.create", item=reply)
    second = client.created_id()
    client.run(1)
    (item,) = client.done(second)["output"]
    assert item["approval_request_id"] == request["id"]
    script.assert_consumed()


def test_a_call_that_is_cut_short_is_not_made() -> None:
    slow = Behaviour(pace=Pace(text_interval_ms=100, chars_per_delta=1), straggler_deltas=0)
    client = Emulated(slow, Script([mcp_call("docs", "search", {"q": "a b c d e f"})]))
    only = client.created_id()
    client.run(0.4)
    client.cancel(only)
    client.run(1)
    (item,) = client.done(only)["output"]
    assert (item["output"], item["error"]) == (None, None)
    assert client.all("response.mcp_call.in_progress") == []
    assert not item["arguments"].endswith("}")
