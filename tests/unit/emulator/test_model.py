"""The built-in conversation."""

import json
from typing import Any

import pytest

from antiphon.emulator.scripts.builtin import converse
from antiphon.emulator.scripts.script import OutputKind, Prompt

__all__: list[str] = []

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "unit": {"enum": ["C", "F"]},
            "days": {"type": "integer"},
            "extra": {"type": "string"},
        },
        "required": ["city", "unit", "days"],
    },
}


def said(text: str = "", **changes: Any) -> str:
    fields: dict[str, Any] = {
        "lane": "default",
        "turn": 0,
        "automatic": False,
        "text": text,
        "instructions": "",
        "session_instructions": "Say nothing.",
        "metadata": {},
        "modality": "audio",
        "tools": (),
        "tool_choice": "auto",
        "tool_output": None,
    }
    (item,) = converse(Prompt(**{**fields, **changes})).items
    return f"{item.name}({item.text})" if item.kind is OutputKind.CALL else item.text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", "Hello. What can I do for you?"),
        ("Good day.", "You said: Good day."),
        ("Please count to five.", "One, two, three, four, five."),
        ("count to 3", "One, two, three."),
        ("Count up to two please", "One, two."),
        ("Say exactly: good morning", "Good morning"),
        ('Please say "one moment"', "One moment"),
        ("count to many", "You said: count to many"),
    ],
)  # fmt: skip
def test_answers_to_the_user(text: str, answer: str) -> None:
    assert said(text) == answer


def test_instructions_of_the_response_go_first() -> None:
    assert said("Hi", instructions="Say hello.") == "Hello."
    assert said("Hi", instructions="Is the caller angry? yes/no") == "yes"
    assert said("Hi", instructions="Be quick.") == "Very well: Be quick."


def test_tool_output_is_told() -> None:
    assert said("Hi", tool_output="12 C") == "The tool answered: 12 C"


def test_tool_that_is_spoken_of_is_called_with_fitting_arguments() -> None:
    found = said("What is the weather in Oslo?", tools=[WEATHER])
    assert found.startswith("get_weather(")
    arguments = json.loads(found[len("get_weather(") : -1])
    assert arguments == {"city": "What is the weather in Oslo?", "unit": "C", "days": 1}


LOOKUP = {"type": "function", "name": "lookup_weather", "parameters": {"type": "object"}}


@pytest.mark.parametrize(
    "asked",
    [
        {"text": "please call lookup_weather"},
        {"text": "Please look up: Lookup the weather"},
        {"text": "Hi", "instructions": "Call lookup_weather for Oslo."},
        {"text": "Hi", "instructions": "Lookup the weather."},
    ],
)
def test_a_tool_is_called_by_its_name_and_from_the_instructions(asked: dict[str, str]) -> None:
    assert said(**asked, tools=[LOOKUP]) == "lookup_weather({})"


def test_the_sessions_standing_instructions_call_no_tool() -> None:
    standing = "Call lookup_weather when asked."
    assert said("Hi", session_instructions=standing, tools=[LOOKUP]) == "You said: Hi"


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ("auto", False),
        ("none", False),
        ("required", True),
        ({"type": "function", "name": "get_weather"}, True),
        ({"type": "function", "name": "other"}, False),
    ],
)
def test_tool_choice_counts(choice: Any, called: bool) -> None:
    assert said("Hi", tools=[WEATHER], tool_choice=choice).startswith("get_weather(") is called


def test_tool_choice_none_wins_over_words() -> None:
    assert said("The weather?", tools=[WEATHER], tool_choice="none") == "You said: The weather?"
