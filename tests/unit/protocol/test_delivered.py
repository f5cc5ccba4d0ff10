"""How much was delivered, and where to truncate."""

import pytest

from antiphon.protocol.delivered import Delivered, TruncatePoint
from tests.helpers.playbook import delivered_ms

__all__: list[str] = []


def delivered(*parts: tuple[str, int, int]) -> Delivered:
    """Of (item, content index, ms)."""
    made = Delivered()
    for item_id, content_index, ms in parts:
        made.part(item_id, content_index, 48).size += 48 * ms
    return made


def test_audio_of_a_part_adds_up() -> None:
    made = delivered(("a", 0, 100), ("a", 0, 50), ("a", 1, 10))
    assert delivered_ms(made, "a") == 150
    assert delivered_ms(made, "a", 1) == 10
    assert delivered_ms(made, "b") == 0


def test_length_follows_the_format_of_the_part() -> None:
    made = Delivered()
    made.part("a", 0, 8).size += 800
    assert delivered_ms(made, "a") == 100


def test_unfinished_millisecond_does_not_count() -> None:
    # P-220: not a sample more than there is.
    made = Delivered()
    made.part("a", 0, 48).size += 48 * 10 + 47
    assert made.truncate_points(["a"], 10) == []
    assert made.truncate_points(["a"], 9) == [TruncatePoint("a", 0, 9)]


@pytest.mark.parametrize(
    ("heard", "points"),
    [
        (-5, [("a", 0, 0), ("b", 0, 0), ("b", 1, 0)]),
        (0, [("a", 0, 0), ("b", 0, 0), ("b", 1, 0)]),
        (99, [("a", 0, 99), ("b", 0, 0), ("b", 1, 0)]),
        (100, [("b", 0, 0), ("b", 1, 0)]),
        (250, [("b", 0, 150), ("b", 1, 0)]),
        (300, [("b", 1, 0)]),
        (310, [("b", 1, 10)]),
        (350, []),
        (9999, []),
    ],
)
def test_cut_where_the_listener_stopped(heard: int, points: list[tuple[str, int, int]]) -> None:
    made = delivered(("a", 0, 100), ("b", 0, 200), ("b", 1, 50), ("other", 0, 400))
    assert made.truncate_points(["a", "b"], heard) == [TruncatePoint(*one) for one in points]


def test_order_is_the_players_not_the_arrivals() -> None:
    made = delivered(("b", 0, 100), ("a", 0, 100))
    assert made.truncate_points(["a", "b"], 150) == [TruncatePoint("b", 0, 50)]


def test_item_without_audio_is_left_alone() -> None:
    # P-221.
    assert delivered(("a", 0, 100)).truncate_points(["text", "a"], 30) == [
        TruncatePoint("a", 0, 30)
    ]


def test_old_parts_are_forgotten() -> None:
    # I9.
    made = Delivered(remembered=2)
    for name in ("a", "b", "c"):
        made.part(name, 0, 48).size += 480
    assert delivered_ms(made, "a") == 0
    assert delivered_ms(made, "b") == delivered_ms(made, "c") == 10
