"""Deadlines in order."""

from antiphon.emulator.state.agenda import Agenda

__all__: list[str] = []


def test_entries_come_in_order_of_time_and_then_of_entry() -> None:
    agenda, ran = Agenda(), list[str]()
    agenda.at(2, lambda: ran.append("late"))
    for name in "abc":
        agenda.at(1, lambda name=name: ran.append(name))  # type: ignore[misc]
    assert agenda.next_deadline() == 1
    while (entry := agenda.pop_due(1.5)) is not None:
        assert entry.action is not None
        entry.action()
    assert ran == ["a", "b", "c"]
    assert agenda.next_deadline() == 2


def test_cancelled_entry_never_comes() -> None:
    agenda = Agenda()
    entry = agenda.at(1, lambda: None)
    entry.cancel()
    assert agenda.next_deadline() is None
    assert agenda.pop_due(9) is None


def test_clear_forgets_all() -> None:
    agenda = Agenda()
    agenda.at(1, lambda: None)
    agenda.clear()
    assert agenda.next_deadline() is None
