"""Output that came before its response was announced is kept, bounded, in order."""

from antiphon.protocol.early import EarlyOutput
from antiphon.protocol.response import Lane, Response
from tests.helpers.builders import text_delta

__all__: list[str] = []


def response(number: int) -> Response:
    return Response(number, lane=Lane.DEFAULT)


def test_output_is_taken_once_and_in_order() -> None:
    early, one = EarlyOutput(10), response(1)
    events = [text_delta("resp_1", text) for text in "abc"]
    assert all(early.keep(one, event) for event in events)
    assert list(early) == [one]
    assert early.take(one) == events
    assert early.take(one) == [] and list(early) == []


def test_limit_is_for_all_together_and_what_is_taken_makes_room() -> None:
    early, one, other = EarlyOutput(2), response(1), response(2)
    assert early.keep(one, text_delta("resp_1")) and early.keep(other, text_delta("resp_2"))
    assert not early.keep(one, text_delta("resp_1"))
    assert len(early.take(other)) == 1
    assert early.keep(one, text_delta("resp_1"))
    assert len(one.kept) == 2


def test_output_moves_to_the_response_that_it_turned_out_to_be() -> None:
    early, found, asked = EarlyOutput(2), response(1), response(2)
    event = text_delta("resp_1")
    early.keep(found, event)
    early.move(found, asked)
    assert list(early) == [asked] and found.kept == []
    assert early.take(asked) == [event]


def test_nothing_to_move() -> None:
    early, found, asked = EarlyOutput(2), response(1), response(2)
    early.move(found, asked)
    assert list(early) == []


def test_responses_may_be_taken_while_they_are_listed() -> None:
    early = EarlyOutput(9)
    for number in range(3):
        early.keep(response(number), text_delta("resp"))
    assert [len(early.take(one)) for one in early] == [1, 1, 1]
