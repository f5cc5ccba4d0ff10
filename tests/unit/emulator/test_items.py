"""Items by client events: create, retrieve, truncate, delete (P-210 to P-228)."""

import pybase64
import pytest

from antiphon.emulator import PROFILES, Behaviour, Pace, Script, answer, call, profile, say
from antiphon.emulator.audio import speech
from tests.helpers.emulated import Emulated, Json, user_text

__all__: list[str] = []

INSTANT = Behaviour(pace=Pace.instant())


def create(client: Emulated, item: Json, **fields: object) -> list[Json]:
    return client.send("conversation.item.create", item=item, **fields)


def spoken(client: Emulated) -> str:
    """Id of the only assistant item."""
    item_id: str = client.one("response.output_item.added")["item"]["id"]
    return item_id


def truncate(client: Emulated, item_id: str, audio_end_ms: int) -> list[Json]:
    return client.send(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=audio_end_ms
    )


# Creating


def test_item_is_added_and_done() -> None:
    client = Emulated()
    added, done = create(client, user_text("Hi.", id="item_a"))
    assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
    assert added["item"] == {
        "id": "item_a",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi."}],
    }
    assert added["previous_item_id"] is None


def test_item_without_id_gets_one() -> None:
    added, _ = create(Emulated(), user_text("Hi."))
    assert len(added["item"]["id"]) == len("item_") + 21


@pytest.mark.parametrize(
    ("previous", "order", "shown"),
    [
        (None, ["a", "b", "c"], "b"),
        ("", ["a", "b", "c"], "b"),  # P-210
        ("root", ["c", "a", "b"], None),  # P-211
        ("a", ["a", "c", "b"], "a"),
        ("b", ["a", "b", "c"], "b"),
    ],
)
def test_previous_item_id_places_an_item(
    previous: str | None, order: list[str], shown: str | None
) -> None:
    client = Emulated()
    for name in ("a", "b"):
        create(client, user_text(name, id=name))
    fields = {} if previous is None else {"previous_item_id": previous}
    added, _ = create(client, user_text("c", id="c"), **fields)
    assert client.engine.item_ids == order
    assert added["previous_item_id"] == shown


def test_unknown_previous_item_is_refused_and_nothing_is_added() -> None:
    # P-212
    client = Emulated()
    error = client.error(
        "conversation.item.create", item=user_text("Hi."), previous_item_id="item_no"
    )
    assert error["param"] == "previous_item_id"
    assert client.engine.item_ids == []


def test_deleted_item_cannot_be_a_predecessor() -> None:
    client = Emulated()
    create(client, user_text("a", id="a"))
    client.send("conversation.item.delete", item_id="a")
    assert client.error("conversation.item.create", item=user_text("b"), previous_item_id="a")


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"type": "song"}, "invalid_value", "item.type"),
        ({"role": "user"}, "missing_required_parameter", "item.type"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "robot", "content": []}, "invalid_value", "item.role"),
        (user_text("x" * 256_001), "string_above_max_length", "item.content[0].text"),  # P-217
        (
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_audio", "audio": "no base64!"}],
            },
            "invalid_value",
            "audio",
        ),  # P-226
        (user_text("Hi.", id="x" * 33), "string_above_max_length", "item.id"),  # P-216
        (user_text("Hi.", id="chatcmpl-1/fnc_0"), "invalid_value", "item.id"),  # P-216
        (
            {
                "type": "message",
                "role": "system",
                "content": [{"type": "input_audio", "audio": ""}],
            },
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "x" * 438},
            "string_above_max_length",
            "item.call_id",
        ),  # P-214
        (
            {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "a b"},
            "invalid_value",
            "item.call_id",
        ),  # P-215
        (
            {**user_text("Hi."), "id": "chatcmpl-1/item_0"},
            "invalid_value",
            "item.id",
        ),  # P-216
        (
            {**user_text("Hi."), "id": "i" * 33},
            "string_above_max_length",
            "item.id",
        ),  # P-216
        (
            {"type": "function_call_output", "call_id": "call_X", "output": ""},
            "invalid_tool_call_id",
            None,
        ),  # P-225
        (
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_audio", "audio": "no base64!"}],
            },
            "invalid_value",
            "audio",
        ),
    ],
)
def test_bad_items_are_refused(item: Json, code: str, param: str | None) -> None:
    client = Emulated()
    error = client.error("conversation.item.create", item=item)
    assert (error["code"], error["param"]) == (code, param)
    assert client.engine.item_ids == []


def test_ids_are_checked_in_the_input_of_a_response_too() -> None:
    # P-214 to P-216
    client = Emulated()
    long = client.error("response.create", response={"input": [user_text("Hi.", id="x" * 33)]})
    assert long["param"] == "response.input[0].id"
    output = {"type": "function_call_output", "call_id": "a/b", "output": ""}
    odd = client.error("response.create", response={"input": [user_text("Hi."), output]})
    assert odd["param"] == "response.input[1].call_id"
    assert odd["message"].endswith("matches the pattern '^[a-zA-Z0-9_-]+$'.")


@pytest.mark.parametrize("name", list(PROFILES))
def test_a_call_that_a_server_made_can_be_answered_there(name: str) -> None:
    behaviour = profile(name).but(pace=Pace.instant())
    client = Emulated(behaviour, Script([call("look_up", {})]))
    client.send("response.create")
    client.run(1)
    (made,) = client.one("response.done")["response"]["output"]
    output = {"type": "function_call_output", "call_id": made["call_id"], "output": "42"}
    create(client, output)
    assert client.all("error") == []


def test_assistant_audio_can_be_given_back() -> None:
    # P-226: it is in the output's format, and is what is retrieved and truncated.
    client = Emulated()
    client.configure(audio={"output": {"format": {"type": "audio/pcmu"}}})
    sound = pybase64.b64encode_as_string(bytes(8 * 500))
    part = {"type": "output_audio", "audio": sound, "transcript": "Once upon a time."}
    item = {"id": "told", "type": "message", "role": "assistant", "content": [part]}
    added, _ = create(client, item)
    assert added["item"]["content"] == [{"type": "output_audio", "transcript": part["transcript"]}]
    truncate(client, "told", 200)
    client.send("conversation.item.retrieve", item_id="told")
    (kept,) = client.one("conversation.item.retrieved")["item"]["content"]
    assert pybase64.b64decode(kept["audio"]) == bytes(8 * 200)
    assert "transcript" not in kept


MCP = {"name": "search", "arguments": "{}", "server_label": "docs"}
TOOLS = [{"name": "f", "input_schema": {}}]
MCP_ITEMS = [
    {"type": "mcp_call", **MCP, "output": "found", "approval_request_id": None, "error": None},
    {
        "type": "mcp_list_tools",
        "server_label": "docs",
        "tools": [{"name": "f", "input_schema": {}}],
    },
    {"type": "mcp_approval_request", **MCP},
    {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
]


@pytest.mark.parametrize("item", MCP_ITEMS, ids=lambda item: str(item["type"]))
def test_mcp_items_of_an_earlier_session_are_taken_back(item: Json) -> None:
    # P-474
    client = Emulated()
    added, done = create(client, {"id": "mcp_1", **item})
    assert added["item"] == done["item"] == {"id": "mcp_1", **item}
    assert client.create()["type"] == "response.created"


def test_an_item_that_was_deleted_while_it_was_spoken_is_not_announced_later() -> None:
    client = Emulated(script=Script([say("A long story.", ms=2000)]))
    only = client.created_id()
    client.run(0.2)
    item_id = spoken(client)
    client.send("conversation.item.delete", item_id=item_id)
    client.forget()
    client.run(5)
    assert client.engine.finished_responses == {only: "completed"}
    assert client.all("conversation.item.done") == []
    assert len(client.all("response.output_item.done")) == 1
    assert client.engine.item_ids == []


def test_call_id_error_is_in_the_servers_words() -> None:
    item = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "x" * 438}
    message = Emulated().error("conversation.item.create", item=item)["message"]
    assert message.startswith(
        "Invalid 'item.call_id': string too long. Expected a string with maximum length 32, "
        "but got a string with length 438"
    )


def test_history_can_be_seeded() -> None:
    client = Emulated()
    create(
        client,
        {
            "type": "message",
            "role": "system",
            "content": [{"type": "input_text", "text": "Be kind."}],
        },
    )
    create(
        client,
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello."}],
        },
    )
    create(client, {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"})
    create(client, {"type": "function_call_output", "call_id": "call_1", "output": "42"})
    assert len(client.engine.item_ids) == 4
    assert client.all("error") == []


def test_tool_output_before_done_is_added_after_it() -> None:
    # P-143, R-15
    client = Emulated(
        script=Script([answer(call("f", {}, call_id="call_1"), say("Wait.", ms=2000))])
    )
    client.created_id()
    client.run(0.1)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
    assert create(client, output) == []
    client.run(5)
    kinds = client.kinds()
    place = kinds.index("response.done")
    assert kinds[place + 1 :] == [
        "rate_limits.updated",
        "conversation.item.added",
        "conversation.item.done",
    ]


def test_deferred_tool_output_whose_place_is_gone_is_refused() -> None:
    client = Emulated(
        script=Script([answer(call("f", {}, call_id="call_1"), say("Wait.", ms=2000))])
    )
    create(client, user_text("Hm.", id="item_a"))
    client.created_id()
    client.run(0.1)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "42"}
    create(client, output, previous_item_id="item_a", event_id="mine")
    client.send("conversation.item.delete", item_id="item_a")
    client.run(5)
    assert client.one("error")["error"]["event_id"] == "mine"


def test_audio_of_the_user_is_taken_and_given_back() -> None:
    # P-227
    client = Emulated(script=Script(hears=["Good day."]))
    data = pybase64.b64encode_as_string(speech.user_voice(300))
    content = [{"type": "input_audio", "audio": data}]
    added, _ = create(
        client, {"type": "message", "role": "user", "content": content, "id": "item_a"}
    )
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    (retrieved,) = client.send("conversation.item.retrieve", item_id="item_a")
    assert retrieved["item"]["content"][0]["audio"] == data


# Retrieving and deleting


def test_audio_of_the_assistant_is_given_back_with_its_marks() -> None:
    client = Emulated(INSTANT, Script([answer(say("One.", ms=300), say("Two.", ms=200))]))
    only = client.created_id()
    second = client.all("response.output_item.added")[1]["item"]["id"]
    (retrieved,) = client.send("conversation.item.retrieve", item_id=second)
    audio = pybase64.b64decode(retrieved["item"]["content"][0]["audio"])
    assert speech.spans(audio) == [speech.Span(speech.tag_of(only), 300, 500)]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("delete", "Error deleting item: the item with id 'yo' does not exist."),
        ("retrieve", "Error retrieving item: the item with id 'yo' does not exist."),
    ],
)
def test_missing_item(action: str, message: str) -> None:
    # P-223
    error = Emulated().error(f"conversation.item.{action}", item_id="yo")
    assert (error["code"], error["message"]) == (f"item_{action}_invalid_item_id", message)


def test_deleted_item_is_gone() -> None:
    client = Emulated()
    for name in ("a", "b", "c"):
        create(client, user_text(name, id=name))
    (deleted,) = client.send("conversation.item.delete", item_id="b")
    assert (deleted["type"], deleted["item_id"]) == ("conversation.item.deleted", "b")
    assert client.engine.item_ids == ["a", "c"]


def test_item_can_be_deleted_while_it_is_spoken() -> None:
    client = Emulated(script=Script([say("Hm.", ms=1000), say("Again.", ms=200)]))
    only = client.created_id()
    client.run(0.1)
    client.send("conversation.item.delete", item_id=spoken(client))
    client.run(5)
    assert client.done(only)["status"] == "completed"
    again = client.created_id()
    client.run(5)
    # The deleted item's audio is not part of what the next response is given.
    assert client.done(again)["usage"]["input_token_details"]["audio_tokens"] == 0


def test_referenced_item_can_be_deleted_during_the_response() -> None:
    #
    client = Emulated(script=Script([say("Hm.", ms=1000)]))
    create(client, user_text("a", id="a"))
    only = client.out_of_band(input=[{"type": "item_reference", "id": "a"}])
    client.send("conversation.item.delete", item_id="a")
    client.run(5)
    assert client.done(only)["status"] == "completed"


# Truncating


def test_truncate_cuts_the_audio_and_forgets_the_words() -> None:
    # P-218
    client = Emulated(INSTANT, Script([say("Hello there.", ms=1000)]))
    only = client.created_id()
    (reply,) = truncate(client, spoken(client), 400)
    assert reply["type"] == "conversation.item.truncated"
    assert (reply["content_index"], reply["audio_end_ms"]) == (0, 400)
    (retrieved,) = client.send("conversation.item.retrieve", item_id=spoken(client))
    part = retrieved["item"]["content"][0]
    assert "transcript" not in part
    audio = pybase64.b64decode(part["audio"])
    assert speech.spans(audio) == [speech.Span(speech.tag_of(only), 0, 400)]


def test_truncate_beyond_the_audio_is_refused() -> None:
    # P-220, R-19
    client = Emulated(INSTANT, Script([say("Hello there.", ms=3700)]))
    client.created_id()
    (reply,) = truncate(client, spoken(client), 3760)
    assert reply["error"]["code"] == "invalid_value"
    assert reply["error"]["message"] == "Audio content of 3700ms is already shorter than 3760ms"


def test_truncate_during_the_response_lasts() -> None:
    #
    client = Emulated(script=Script([say("Hello there.", ms=2000)]))
    only = client.created_id()
    client.run(0.1)
    truncate(client, spoken(client), 100)
    client.run(5)
    assert client.done(only)["status"] == "completed"
    assert "transcript" not in client.done(only)["output"][0]["content"][0]
    (reply,) = truncate(client, spoken(client), 200)
    assert reply["error"]["message"] == "Audio content of 100ms is already shorter than 200ms"


def test_cut_item_can_be_truncated_to_nothing_twice() -> None:
    # P-68
    client = Emulated(script=Script([say("Hello there.", ms=2000)]))
    client.created_id()
    client.run(0.1)
    client.speak(speech.user_voice(200))
    client.run(0.1)
    for _ in range(2):
        (reply,) = truncate(client, spoken(client), 0)
        assert reply["type"] == "conversation.item.truncated"


def test_truncate_of_no_audio_is_refused() -> None:
    # P-221
    client = Emulated(script=Script([say("Hello there.", ms=2000)]))
    create(client, user_text("Hi.", id="item_a"))
    client.create(output_modalities=["text"])
    client.run(0.05)
    for item_id in ("item_a", spoken(client)):
        (reply,) = truncate(client, item_id, 0)
        assert reply["error"]["code"] == "unsupported_content_type"
        assert reply["error"]["message"] == "Only model output audio messages can be truncated"


def test_truncate_of_a_missing_item_is_refused() -> None:
    # P-219
    (reply,) = truncate(Emulated(), "x", 0)
    assert reply["error"]["code"] == "item_truncate_invalid_item_id"
    assert reply["error"]["message"] == "Item with item_id not found: x"


@pytest.mark.parametrize("field", ["item_id", "content_index", "audio_end_ms"])
def test_truncate_needs_all_its_fields(field: str) -> None:
    fields: Json = {"item_id": "x", "content_index": 0, "audio_end_ms": 0}
    del fields[field]
    error = Emulated().error("conversation.item.truncate", **fields)
    assert (error["code"], error["param"]) == ("missing_required_parameter", field)


def test_negative_truncate_is_refused() -> None:
    (reply,) = truncate(Emulated(), "x", -1)
    assert reply["error"]["code"] == "integer_below_min_value"
