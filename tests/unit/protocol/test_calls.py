"""When a function call may be run (I8)."""

import pytest

from antiphon.protocol.calls import calls_at_done, note_call
from antiphon.protocol.effects import CallReady, Effects
from antiphon.protocol.response import Lane, Response
from antiphon.wire.items import Item
from tests.helpers.builders import call, message, resource

__all__: list[str] = []


def handed_out(effects: Effects) -> list[object]:
    return [one.item.call_id for one in effects if isinstance(one, CallReady)]


def test_completed_item_is_handed_out_at_once_and_not_again_at_the_end() -> None:
    response = Response(1, lane=Lane.DEFAULT)
    effects: Effects = []
    note_call(response, call("1"), effects)
    assert handed_out(effects) == ["call_1"]
    later: Effects = []
    calls_at_done(response, resource("r", status="completed", output=[call("1")]), later)
    assert later == []


@pytest.mark.parametrize("status", ["incomplete", "in_progress", "odd"])
def test_cut_short_item_is_never_handed_out(status: str) -> None:
    # P-61.
    response = Response(1, lane=Lane.DEFAULT)
    effects: Effects = []
    note_call(response, call("1", status=status), effects)
    calls_at_done(
        response, resource("r", status="completed", output=[call("1", status=status)]), effects
    )
    assert effects == []


@pytest.mark.parametrize("status", ["completed", "cancelled", "incomplete", "failed", None])
def test_item_that_does_not_say_is_vouched_for_by_its_response(status: str | None) -> None:
    response = Response(1, lane=Lane.DEFAULT)
    effects: Effects = []
    note_call(response, call("1", status=None), effects)
    assert effects == []
    calls_at_done(response, resource("r", status=status), effects)
    assert handed_out(effects) == (["call_1"] if status == "completed" else [])


def test_call_that_only_the_end_tells_of_is_handed_out() -> None:
    response = Response(1, lane=Lane.DEFAULT)
    effects: Effects = []
    output = [message("item_1"), call("1"), call("2", status=None)]
    calls_at_done(response, resource("r", status="completed", output=output), effects)
    assert handed_out(effects) == ["call_1", "call_2"]


def test_messages_are_no_calls() -> None:
    response = Response(1, lane=Lane.DEFAULT)
    effects: Effects = []
    note_call(response, message("item_1", status="completed"), effects)
    assert effects == [] and response.held_calls == []


def test_call_without_a_call_id_goes_by_its_item() -> None:
    response = Response(1, lane=Lane.DEFAULT)
    effects: Effects = []
    for item_id in ("item_1", "item_2", "item_1"):
        note_call(response, Item(type="function_call", id=item_id, status="completed"), effects)
    assert [one.item.id for one in effects if isinstance(one, CallReady)] == [
        "item_1",
        "item_2",
    ]


def test_response_without_output_hands_out_nothing() -> None:
    effects: Effects = []
    calls_at_done(
        Response(1, lane=Lane.DEFAULT), resource("r", status="completed", output=None), effects
    )
    assert effects == []
