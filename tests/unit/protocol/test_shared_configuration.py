"""Whether a `session.updated` on a call is the answer to our update, or to another controller's."""

from typing import Any

import pytest

from antiphon.protocol.configuration import stands_in

__all__: list[str] = []

TOOL: dict[str, Any] = {"type": "function", "name": "hang_up", "parameters": {"type": "object"}}
OTHER: dict[str, Any] = {**TOOL, "name": "transfer"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"instructions": "x"}, {"instructions": "x", "model": "m"}),
        ({"tools": [TOOL]}, {"tools": [{**TOOL, "description": None}]}),
        ({"include": ["a", "b"]}, {"include": ["a", "b"]}),
        ({"audio": {"input": {"turn_detection": None}}}, {"audio": {"input": {}}}),
        # P-252: the server puts its default text in its place.
        ({"instructions": ""}, {"instructions": "You are helpful."}),
    ],
)
def test_what_the_server_adds_does_not_make_it_anothers(asked: Any, told: Any) -> None:
    assert stands_in(asked, told)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"instructions": "x"}, {"instructions": "y"}),
        ({"instructions": "x"}, {}),
        ({"instructions": ""}, {}),
        ({"tools": [TOOL]}, {"tools": [OTHER]}),
        ({"tools": [TOOL]}, {"tools": [TOOL, OTHER]}),
        ({"tools": []}, {"tools": [TOOL]}),
        ({"include": ["ab"]}, {"include": "ab"}),
        (
            {"audio": {"input": {"turn_detection": None}}},
            {"audio": {"input": {"turn_detection": {}}}},
        ),
    ],
)
def test_what_differs_is_anothers(asked: Any, told: Any) -> None:
    assert not stands_in(asked, told)
