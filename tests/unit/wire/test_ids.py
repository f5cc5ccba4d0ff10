"""Ids look and sort like the server's (P-241)."""

import re
from random import Random

import pytest

from antiphon.wire.ids import format_id

__all__: list[str] = []


@pytest.mark.parametrize("prefix", ["event", "resp", "item", "conv", "sess"])
def test_id_has_21_base62_characters(prefix: str) -> None:
    assert re.fullmatch(rf"{prefix}_[0-9A-Za-z]{{21}}", format_id(prefix, 1.8e9, Random(1)))


def test_call_id_has_16_and_no_time() -> None:
    made = format_id("call", 1.8e9, Random(1))
    assert re.fullmatch(r"call_[0-9A-Za-z]{16}", made)
    assert made == format_id("call", 1.9e9, Random(1))


@pytest.mark.parametrize(
    ("second", "start"), [(1741569952, "B9MBs"), (1721596428, "9nYAG"), (1741569952.9, "B9MBs")]
)
def test_first_characters_are_those_of_published_examples(second: float, start: str) -> None:
    assert format_id("resp", second, Random(1)).startswith(f"resp_{start}")


def test_ids_of_later_seconds_sort_later() -> None:
    rng = Random(1)
    made = [format_id("item", 1.8e9 + second, rng) for second in range(200)]
    assert made == sorted(made)


def test_same_seed_same_ids() -> None:
    one, two = Random(7), Random(7)
    ids = [format_id("item", 0, one) for _ in range(3)]
    assert ids == [format_id("item", 0, two) for _ in range(3)]
    assert len(set(ids)) == 3
