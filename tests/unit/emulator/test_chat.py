"""A conversation as chat messages."""

from typing import Any

import pytest

from antiphon.emulator.faculties.chat import Chat, chat_of
from antiphon.emulator.state.conversation import ConversationItem

__all__: list[str] = []

Json = dict[str, Any]


def message(role: str, *parts: Json) -> ConversationItem:
    return ConversationItem({"id": "", "type": "message", "role": role, "content": list(parts)})


def said(role: str, words: str) -> ConversationItem:
    return message(role, {"type": "text", "text": words})


def call(call_id: str, arguments: str = "{}") -> ConversationItem:
    body = {"id": "", "type": "function_call", "call_id": call_id, "name": "look"}
    return ConversationItem({**body, "arguments": arguments})


def output(call_id: str, words: str) -> ConversationItem:
    body = {"id": "", "type": "function_call_output", "call_id": call_id, "output": words}
    return ConversationItem(body)


def chat(*items: ConversationItem, instructions: str = "", **changes: Any) -> Chat:
    given: Json = {"tools": (), "tool_choice": "auto", "max_output_tokens": "inf"}
    return chat_of(instructions, items, **(given | changes))


def made(*call_ids: str, content: str | None = None) -> Json:
    function = {"name": "look", "arguments": "{}"}
    calls = [{"id": one, "type": "function", "function": function} for one in call_ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def tool(call_id: str, words: str) -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": words}


def test_instructions_stand_in_front_and_messages_keep_their_roles() -> None:
    items = (said("system", "Mind."), said("user", "Hi."), said("assistant", "Hello."))
    assert chat(*items, instructions="Be kind.").messages == (
        {"role": "system", "content": "Be kind."},
        {"role": "system", "content": "Mind."},
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "Hello."},
    )


def test_messages_without_words_are_left_out() -> None:
    assert chat(said("user", ""), message("assistant")).messages == ()


def test_what_was_heard_is_what_the_user_says() -> None:
    spoken = message("user", {"type": "input_audio", "transcript": None})
    spoken.transcript = "what was heard"
    assert chat(spoken).messages == ({"role": "user", "content": "what was heard"},)


def test_a_picture_goes_along() -> None:
    shown = message(
        "user",
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA=="},
    )
    (only,) = chat(shown).messages
    assert only["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]


def test_outputs_stand_right_behind_their_calls() -> None:
    items = (call("a"), call("b"), said("user", "Hurry."), output("b", "2"), output("a", "1"))
    assert chat(*items).messages == (
        made("a", "b"),
        tool("a", "1"),
        tool("b", "2"),
        {"role": "user", "content": "Hurry."},
    )


def test_what_was_said_before_a_call_is_in_one_message_with_it() -> None:
    items = (said("assistant", "I look."), call("a"), output("a", "1"))
    assert chat(*items).messages == (made("a", content="I look."), tool("a", "1"))


def test_calls_one_after_the_other_stay_apart_when_something_is_between() -> None:
    items = (call("a"), output("a", "1"), said("assistant", "So."), call("b"), output("b", "2"))
    assert chat(*items).messages == (
        made("a"),
        tool("a", "1"),
        made("b", content="So."),
        tool("b", "2"),
    )


def test_a_call_without_output_is_left_out() -> None:
    items = (call("a"), said("user", "Never mind."))
    assert chat(*items).messages == ({"role": "user", "content": "Never mind."},)


def test_an_output_without_its_call_is_told_in_words() -> None:
    told = {"role": "user", "content": "The tool answered: 1"}
    assert chat(output("gone", "1")).messages == (told,)


def test_functions_are_offered_and_other_tools_are_not() -> None:
    tools = (
        {"type": "mcp", "server_label": "x"},
        {"type": "function", "name": "look", "description": "Looks."},
    )
    (offered,) = chat(tools=tools).tools
    assert offered["function"] == {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {}},
    }


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", "required"),
        (
            {"type": "function", "name": "look"},
            {"type": "function", "function": {"name": "look"}},
        ),
        ({"type": "mcp", "server_label": "x"}, "auto"),
    ],
)
def test_the_choice_of_tools_is_translated(choice: Any, expected: Any) -> None:
    assert chat(tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize(("limit", "expected"), [("inf", None), (100, 100)])
def test_a_limit_is_passed_on_if_it_is_a_number(limit: int | str, expected: int | None) -> None:
    assert chat(max_output_tokens=limit).max_tokens == expected
