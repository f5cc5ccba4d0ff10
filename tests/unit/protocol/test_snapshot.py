"""What goes over to the next connection."""

import pytest

from antiphon.protocol.snapshot import merged, replayable
from antiphon.wire.items import ContentPart, Item
from tests.helpers.builders import call, message

__all__: list[str] = []


def part(type: str, **fields: str) -> ContentPart:
    return ContentPart(type=type, **fields)


def answer(name: str) -> Item:
    return Item(type="function_call_output", id=f"out_{name}", call_id=f"call_{name}", output="42")


def test_spoken_words_are_replayed_as_text() -> None:
    # P-226: a client cannot create assistant audio.
    said = Item(
        type="message",
        id="item_1",
        role="assistant",
        status="completed",
        content=[part("output_audio", transcript="hello")],
    )
    heard = Item(
        type="message", id="item_2", role="user", content=[part("input_audio", transcript="hi")]
    )
    items, left_out = replayable([said, heard])
    assert left_out == 0
    assert items == (
        Item(
            type="message",
            id="item_1",
            role="assistant",
            content=[part("output_text", text="hello")],
        ),
        Item(type="message", id="item_2", role="user", content=[part("input_text", text="hi")]),
    )


def test_item_without_words_is_left_out_and_counted() -> None:
    silent = Item(type="message", id="item_1", role="user", content=[part("input_audio")])
    empty = Item(type="message", id="item_2", role="user")
    odd = Item(type="mcp_list_tools", id="item_3")
    assert replayable([silent, message("item_4"), empty, odd]) == ((message("item_4"),), 3)


def test_image_is_replayed_if_it_is_still_there() -> None:
    kept = part("input_image", image_url="data:image/png;base64,AA==")
    image = Item(type="message", id="item_1", role="user", content=[kept, part("input_image")])
    ((item,), left_out) = replayable([image])
    assert item.content == [kept] and left_out == 0


def test_call_and_its_output_are_replayed_together() -> None:
    items, left_out = replayable([call("1"), answer("1")])
    assert [(item.type, item.call_id) for item in items] == [
        ("function_call", "call_1"),
        ("function_call_output", "call_1"),
    ]
    assert items[0].name == "look" and items[0].arguments == "{}" and items[1].output == "42"
    assert left_out == 0


@pytest.mark.parametrize("half", [call("1"), answer("1")], ids=["call", "output"])
def test_half_a_pair_is_left_out(half: Item) -> None:
    # P-225: it would be refused.
    assert replayable([half, call("2"), answer("2")])[1] == 1


def test_update_merges_into_what_was_accepted() -> None:
    # P-252.
    base = {"instructions": "a", "audio": {"input": {"format": 1}, "output": {"voice": "x"}}}
    change = {"audio": {"output": {"voice": "y"}}, "tools": []}
    assert merged(base, change) == {
        "instructions": "a",
        "audio": {"input": {"format": 1}, "output": {"voice": "y"}},
        "tools": [],
    }
    assert base["audio"] == {"input": {"format": 1}, "output": {"voice": "x"}}


@pytest.mark.parametrize("name", ["turn_detection", "tool_choice", "tracing", "prompt"])
def test_choice_between_kinds_is_replaced_as_a_whole(name: str) -> None:
    assert merged({name: {"type": "a", "x": 1}}, {name: {"type": "b"}}) == {name: {"type": "b"}}


def test_object_may_take_the_place_of_a_word_and_the_other_way_round() -> None:
    assert merged({"a": "auto"}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    assert merged({"a": {"b": 1}}, {"a": None}) == {"a": None}
