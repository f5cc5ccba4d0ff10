"""Ids in the server's format (P-241, P-242, P-295)."""

import uuid
from random import Random

from antiphon.emulator.state.ids import Ids

__all__: list[str] = []


def test_ids_have_prefix_and_length() -> None:
    ids = Ids(Random(1), lambda: 1_767_225_600.0)
    for prefix in ("event", "resp", "item", "conv", "sess"):
        assert len(ids.new(prefix)) == len(prefix) + 1 + 21
    assert len(ids.new("call")) == len("call_") + 16


def test_ids_repeat_with_the_seed() -> None:
    first, second, other = (Ids(Random(seed), lambda: 0.0) for seed in (1, 1, 2))
    drawn = [[ids.new("item") for _ in range(5)] for ids in (first, second, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_ids_can_be_uuids() -> None:
    ids = Ids(Random(1), lambda: 0.0, as_uuid=True)
    assert uuid.UUID(ids.new("resp")).version == 4
