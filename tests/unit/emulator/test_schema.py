"""The small checks, and that nothing a client sends can break them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.emulator.shapes.client_events import CLIENT_EVENTS
from antiphon.emulator.shapes.errors import Refusal
from antiphon.emulator.shapes.schema import (
    Check,
    anything,
    array,
    boolean,
    integer,
    mapping,
    nullable,
    number,
    obj,
    one_of,
    string,
    tagged,
)

__all__: list[str] = []

POINT = obj({"x": integer(0, 9), "name": string(limit=3)}, required=("x",))


def refusal(check: Check, value: Any) -> tuple[str | None, str | None]:
    with pytest.raises(Refusal) as caught:
        check(value, "p")
    return caught.value.code, caught.value.param


@pytest.mark.parametrize(
    ("check", "good", "bad", "code", "param"),
    [
        (string(), "x", 1, "invalid_type", "p"),
        (string(limit=2), "xx", "xxx", "string_above_max_length", "p"),
        (string(values=("a",)), "a", "b", "invalid_value", "p"),
        (string(pattern="[a-z]+"), "ab", "a b", "invalid_value", "p"),
        (string(pattern="[a-z]+"), "ab", "ab\n", "invalid_value", "p"),
        (boolean, True, 1, "invalid_type", "p"),
        (integer(0, 9), 9, 10, "integer_above_max_value", "p"),
        (integer(0, 9), 0, -1, "integer_below_min_value", "p"),
        (integer(0, 9), 1, True, "invalid_type", "p"),
        (integer(0, 9), 1, 1.0, "invalid_type", "p"),
        (number(0, 1), 1, 1.5, "decimal_above_max_value", "p"),
        (number(0, 1), 0.5, "1", "invalid_type", "p"),
        (number(0, 1), 0.5, False, "invalid_type", "p"),
        (nullable(string()), None, 1, "invalid_type", "p"),
        (array(string()), ["a"], ["a", 1], "invalid_type", "p[1]"),
        (array(string(), limit=1), ["a"], ["a", "b"], "array_above_max_length", "p"),
        (array(string()), [], {}, "invalid_type", "p"),
        (POINT, {"x": 1}, {}, "missing_required_parameter", "p.x"),
        (POINT, {"x": 1}, {"x": 1, "y": 2}, "unknown_parameter", "p.y"),
        (POINT, {"x": 1}, {"x": 10}, "integer_above_max_value", "p.x"),
        (POINT, {"x": 1}, [], "invalid_type", "p"),
        (
            mapping(string(), limit=1, key_limit=2),
            {"a": "b"},
            {"abc": "b"},
            "string_above_max_length",
            "p",
        ),
        (
            mapping(string(), limit=1, key_limit=2),
            {"a": "b"},
            {"a": "b", "c": "d"},
            "object_above_max_properties",
            "p",
        ),
        (mapping(string(), limit=1, key_limit=2), {}, 5, "invalid_type", "p"),
        (tagged("t", {"a": anything}), {"t": "a"}, {"t": "b"}, "invalid_value", "p.t"),
        (tagged("t", {"a": anything}), {"t": "a"}, {}, "missing_required_parameter", "p.t"),
        (tagged("t", {"a": anything}), {"t": "a"}, {"t": 1}, "invalid_type", "p.t"),
        (tagged("t", {"a": anything}), {"t": "a"}, "a", "invalid_type", "p"),
        (tagged("t", {"a": anything}, default="a"), {}, {"t": "b"}, "invalid_value", "p.t"),
        (one_of(integer(0, 9), string(values=("inf",))), "inf", "all", "invalid_value", "p"),
        (one_of(integer(0, 9), string()), 5, [], "invalid_type", "p"),
    ],
)
def test_checks(check: Check, good: Any, bad: Any, code: str, param: str) -> None:
    check(good, "p")
    assert refusal(check, bad) == (code, param)


def test_listed_values_are_written_out() -> None:
    for values, shown in [
        (("a",), "'a'."),
        (("a", "b"), "'a' and 'b'."),
        (("a", "b", "c"), "'a', 'b', and 'c'."),
    ]:
        with pytest.raises(Refusal, match="Supported values are: " + shown):
            string(values=values)("x", "p")


def test_long_values_are_not_repeated_in_full() -> None:
    with pytest.raises(Refusal) as caught:
        string(values=("a",))("x" * 10_000, "p")
    assert len(caught.value.message) < 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "id", "role", "content", "audio", "input", "tools", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    kind=st.sampled_from(sorted(CLIENT_EVENTS)),
    fields=st.dictionaries(
        st.sampled_from(
            [
                "session",
                "item",
                "response",
                "audio",
                "item_id",
                "previous_item_id",
                "content_index",
                "audio_end_ms",
                "response_id",
                "event_id",
            ]
        ),
        json_values,
        max_size=4,
    ),
)
def test_any_json_is_taken_or_refused(kind: str, fields: dict[str, Any]) -> None:
    try:
        CLIENT_EVENTS[kind]({"type": kind, **fields}, "")
    except Refusal as caught:
        assert caught.code
        assert caught.message
