"""Deadlines fall due in order, once, and discarded ones leave nothing behind."""

from hypothesis import given
from hypothesis import strategies as st

from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.effects import Effects

__all__: list[str] = []


def due(deadlines: Deadlines, now: float) -> list[object]:
    found = []
    while (deadline := deadlines.pop_due(now)) is not None:
        found.append(deadline.subject)
    return found


def ignore(subject: object, now: float, effects: Effects) -> None:
    """Nobody carries these out."""


def test_deadlines_fall_due_in_order_and_ties_by_age() -> None:
    deadlines = Deadlines()
    for when, target in ((2.0, "c"), (1.0, "a"), (1.0, "b"), (3.0, "d")):
        deadlines.add(when, ignore, target)
    assert deadlines.next() == 1.0
    assert due(deadlines, 2.0) == ["a", "b", "c"]
    assert deadlines.next() == 3.0
    assert len(deadlines) == 1


def test_nothing_is_due_before_its_time() -> None:
    deadlines = Deadlines()
    assert deadlines.next() is None and deadlines.pop_due(1e9) is None
    deadlines.add(1.0, ignore, "a")
    assert deadlines.pop_due(0.999) is None
    assert due(deadlines, 1.0) == ["a"]


def test_discarded_deadline_is_never_due() -> None:
    deadlines = Deadlines()
    first = deadlines.add(1.0, ignore, "a")
    deadlines.add(2.0, ignore, "b")
    deadlines.discard(first)
    deadlines.discard(first)
    deadlines.discard(None)
    assert len(deadlines) == 1 and deadlines.next() == 2.0
    assert due(deadlines, 9.0) == ["b"]


def test_deadline_that_has_passed_may_be_discarded() -> None:
    deadlines = Deadlines()
    passed = deadlines.add(1.0, ignore, "a")
    assert due(deadlines, 1.0) == ["a"]
    deadlines.discard(passed)
    assert len(deadlines) == 0


def test_cleared_deadlines_are_gone_and_may_still_be_discarded() -> None:
    deadlines = Deadlines()
    held = [deadlines.add(float(when), ignore, when) for when in range(100)]
    deadlines.clear()
    assert deadlines.next() is None
    for one in held:
        deadlines.discard(one)
    assert len(deadlines) == 0
    deadlines.add(5.0, ignore, "later")
    assert due(deadlines, 5.0) == ["later"]


def test_memory_follows_what_is_live() -> None:
    deadlines = Deadlines()
    last = deadlines.add(1e9, ignore, "last")
    for when in range(10_000):
        deadlines.discard(deadlines.add(float(when), ignore, when))
        assert len(deadlines._heap) <= 2 * len(deadlines) + 66
    assert len(deadlines) == 1
    deadlines.discard(last)
    assert deadlines.next() is None


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=200))
def test_what_is_not_discarded_falls_due_in_order(plan: list[tuple[int, bool]]) -> None:
    deadlines = Deadlines()
    kept = []
    for number, (when, keep) in enumerate(plan):
        deadline = deadlines.add(when, ignore, (when, number))
        if keep:
            kept.append((when, number))
        else:
            deadlines.discard(deadline)
    assert len(deadlines) == len(kept)
    assert due(deadlines, 5) == sorted(kept)
