"""Which response the server means."""

from typing import Any

from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.directory import Directory
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.options import Options
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.response import Lane, Response
from antiphon.wire.base import UNSET
from antiphon.wire.items import ResponseResource
from tests.helpers.builders import resource

__all__: list[str] = []

_S = ResponseState


class Book:
    """A directory, with responses of ours in it."""

    def __init__(self, **options: Any) -> None:
        self.requests = Requests("t", Deadlines(), 10.0)
        self.directory = Directory("t", Options(**options), self.requests)

    def asked(self, state: ResponseState = _S.REQUESTED, *, lane: Lane = Lane.DEFAULT) -> Response:
        number = self.directory.next_number()
        response = Response(number, lane=lane, key=self.directory.key(number))
        response.state = state
        self.directory.enter(response)
        request = Request(f"e{number}", RequestKind.RESPONSE_CREATE, response=response)
        self.requests.add(request)
        return response

    def named(self, response_id: str | None, state: ResponseState = _S.ACTIVE) -> Response:
        response = self.asked(state)
        self.directory.name(response, response_id)
        response.named = True
        return response


def of(response: Response, response_id: str | None = "resp_a", **fields: Any) -> ResponseResource:
    return resource(response_id, metadata={"antiphon": response.key}, **fields)


def test_response_is_found_by_its_id_until_it_is_forgotten() -> None:
    book = Book()
    response = book.named("resp_a")
    assert book.directory.find("resp_a") is response
    assert book.directory.find("resp_b") is None and book.directory.find(None) is None
    book.directory.forget(response)
    book.directory.forget(response)
    assert book.directory.find("resp_a") is None
    assert book.directory.by_id == {} and book.directory._by_key == {}


def test_forgetting_spares_the_next_of_the_same_name() -> None:
    book = Book()
    old, new = book.named(None, _S.CLOSED), book.named(None)
    book.directory.forget(old)
    assert book.directory.find(None) is new


def test_create_is_found_by_its_key() -> None:
    # P-36, P-38.
    book = Book()
    one, other = book.asked(), book.asked()
    assert book.directory.asked_for(of(other)) is other
    assert book.directory.asked_for(of(one)) is one


def test_key_of_somebody_else_means_nothing() -> None:
    book = Book()
    book.asked()
    for metadata in ({"antiphon": "other-r1"}, {"antiphon": 7}, {"topic": "t-r1"}, None):
        assert book.directory.asked_for(resource("resp_a", metadata=metadata)) is None


def test_response_repeated_is_the_same_response() -> None:
    book = Book()
    response = book.named("resp_a", _S.CLOSED)
    assert book.directory.asked_for(of(response)) is response
    nameless = book.named(None)
    assert book.directory.asked_for(of(nameless, None)) is nameless
    assert book.directory.asked_for(of(nameless, "resp_b")) is nameless


def test_held_create_is_found_too() -> None:
    # P-85: the refusal that put it there may have been another's.
    book = Book()
    response = book.asked(_S.QUEUED)
    assert book.directory.asked_for(of(response)) is response


def test_what_nobody_waits_for_gets_a_record_that_is_given_up() -> None:
    # ADR-0007: settled without it, or another response has the key, or forgotten.
    book = Book()
    settled = book.asked(_S.CLOSED)
    taken = book.named("resp_taken")
    forgotten = book.asked()
    book.directory.forget(forgotten)
    for response in (settled, taken, forgotten):
        found = book.directory.asked_for(of(response, "resp_new", lane="out_of_band"))
        assert found is not None and found is not response
        assert found.state is _S.IDLE and not found.wanted
        assert found.lane is Lane.OUT_OF_BAND and not found.named


def test_without_metadata_creates_are_answered_in_the_order_in_which_they_were_sent() -> None:
    # ADR-0005, P-309.
    for options in ({"echoes_metadata": False}, {"announces": False}):
        book = Book(**options)
        assert book.directory.asked_for(resource("resp_a")) is None
        outside, inside = book.asked(lane=Lane.OUT_OF_BAND), book.asked()
        assert book.directory.asked_for(resource("resp_a", lane=None)) is outside
        assert book.directory.asked_for(resource("resp_a", lane="default")) is inside
        assert book.directory.asked_for(resource("resp_a", lane="out_of_band")) is outside
        assert book.directory.asked_for(of(inside)) is inside, "a key beats the order"


def test_lane_that_nothing_was_sent_to_does_not_lose_the_response() -> None:
    # P-305: LocalAI has only the default conversation, whatever was asked for.
    book = Book(echoes_metadata=False)
    outside = book.asked(lane=Lane.OUT_OF_BAND)
    assert book.directory.asked_for(resource("resp_a", lane="default")) is outside


def test_response_announced_without_an_id_gets_the_first_that_is_told() -> None:
    # P-311.
    book = Book()
    nameless = book.named(None)
    assert book.directory.find("resp_a") is nameless
    assert nameless.id == "resp_a" and book.directory.by_id == {"resp_a": nameless}


def test_id_is_not_given_to_what_is_over_or_only_kept() -> None:
    book = Book()
    over = book.named(None, _S.CLOSED)
    assert book.directory.find("resp_a") is None and over.id is None
    kept = book.directory.stranger(None)
    book.directory.name(kept, None)
    assert book.directory.find("resp_a") is None and kept.id is None
    assert book.directory.by_id == {UNSET: kept}


def test_stranger_writes_to_the_lane_that_is_told_or_the_default_one() -> None:
    book = Book()
    assert book.directory.stranger(None).lane is Lane.DEFAULT
    stranger = book.directory.stranger(Lane.OUT_OF_BAND)
    assert stranger.lane is Lane.OUT_OF_BAND and stranger.from_server
    book.directory.enter(stranger)
    assert book.directory._by_key == {}
    book.directory.name(stranger, "resp_v")
    book.directory.forget(stranger)
    assert book.directory.by_id == {}


def test_numbers_and_keys_are_not_given_twice() -> None:
    book = Book()
    numbers = [book.directory.next_number() for _ in range(3)]
    assert len(set(numbers)) == 3
    assert len({book.directory.key(number) for number in numbers}) == 3
