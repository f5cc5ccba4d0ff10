"""Who may be created next (I7)."""

from math import inf

import pytest

from antiphon.protocol.admission import Admission
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.response import Lane, OnBusy, Response

__all__: list[str] = []

_S = ResponseState


def response(
    number: int,
    state: ResponseState = _S.QUEUED,
    *,
    lane: Lane = Lane.DEFAULT,
    on_busy: OnBusy = OnBusy.QUEUE,
) -> Response:
    made = Response(number, lane=lane, on_busy=on_busy)
    made.state = state
    return made


def admission(*responses: Response, max_in_flight: int | None = None) -> Admission:
    made = Admission(max_in_flight)
    for one in responses:
        made.update(one)
    return made


def moved(made: Admission, one: Response, state: ResponseState) -> None:
    one.state = state
    made.update(one)


@pytest.mark.parametrize("state", ResponseState)
def test_lane_is_taken_exactly_while_the_server_is_busy_with_it(state: ResponseState) -> None:
    # P-45: also while a cancel is not confirmed. Not once it is given up: that could be for ever.
    busy = {_S.REQUESTED, _S.CANCEL_DEFERRED, _S.ACTIVE, _S.CANCELLING, _S.REVOKING}
    holder = response(1, state)
    made = admission(holder)
    assert made.is_free(Lane.DEFAULT) is (state not in busy)
    assert made.occupants(Lane.DEFAULT) == ((holder,) if state in busy else ())


def test_out_of_band_responses_do_not_take_the_lane() -> None:
    made = admission(response(1, _S.ACTIVE, lane=Lane.OUT_OF_BAND))
    assert made.may_send(Lane.DEFAULT) and made.may_send(Lane.OUT_OF_BAND)


def test_default_response_does_not_hold_up_those_out_of_band() -> None:
    made = admission(response(1, _S.ACTIVE))
    assert made.may_send(Lane.OUT_OF_BAND) and not made.may_send(Lane.DEFAULT)


def test_lane_is_free_again_after_the_end() -> None:
    holder, waiting = response(1, _S.ACTIVE), response(2)
    made = admission(holder, waiting)
    assert made.next_ready(0.0) is None
    moved(made, holder, _S.CLOSED)
    assert made.next_ready(0.0) is waiting
    moved(made, waiting, _S.REQUESTED)
    assert made.next_ready(0.0) is None
    assert made.waiting(Lane.DEFAULT) == ()


def test_first_come_first_served() -> None:
    made = admission(response(3), response(1), response(2))
    assert [one.number for one in made.waiting(Lane.DEFAULT)] == [1, 2, 3]


def test_create_that_takes_the_lane_by_force_goes_first() -> None:
    made = admission(response(1), response(2), response(4, on_busy=OnBusy.REPLACE), response(3))
    assert [one.number for one in made.waiting(Lane.DEFAULT)] == [4, 1, 2, 3]


def test_force_means_nothing_out_of_band() -> None:
    made = admission(
        response(1, lane=Lane.OUT_OF_BAND),
        response(2, lane=Lane.OUT_OF_BAND, on_busy=OnBusy.REPLACE),
    )
    assert [one.number for one in made.waiting(Lane.OUT_OF_BAND)] == [1, 2]


def test_nobody_overtakes_those_who_wait() -> None:
    waiting = response(1)
    waiting.not_before = 5.0
    made = admission(waiting)
    assert made.is_free(Lane.DEFAULT) and not made.may_send(Lane.DEFAULT)


def test_one_who_is_to_come_back_later_is_sent_then() -> None:
    later = response(1)
    later.not_before = 5.0
    made = admission(later)
    assert made.next_ready(4.9) is None and made.next_retry(4.9) == 5.0
    assert made.next_ready(5.0) is later and made.next_retry(5.0) is None


def test_next_retry_is_the_earliest_of_both_lanes() -> None:
    one, other = response(1), response(2, lane=Lane.OUT_OF_BAND)
    one.not_before, other.not_before = 7.0, 6.0
    assert admission(one, other).next_retry(0.0) == 6.0
    assert admission().next_retry(0.0) is None


def test_oldest_of_both_lanes_goes_first() -> None:
    made = admission(response(2), response(1, lane=Lane.OUT_OF_BAND))
    ready = made.next_ready(0.0)
    assert ready is not None and ready.number == 1


def test_limit_counts_both_lanes() -> None:
    held = [response(1, _S.ACTIVE), response(2, _S.ACTIVE, lane=Lane.OUT_OF_BAND)]
    waiting = response(3, lane=Lane.OUT_OF_BAND)
    made = admission(*held, waiting, max_in_flight=2)
    assert not made.is_free(Lane.OUT_OF_BAND)
    moved(made, held[0], _S.CLOSED)
    assert made.next_ready(0.0) is waiting


def test_cancelled_one_leaves_the_queue_from_anywhere() -> None:
    queue = [response(number) for number in (1, 2, 3)]
    made = admission(*queue)
    moved(made, queue[1], _S.CLOSED)
    assert made.waiting(Lane.DEFAULT) == (queue[0], queue[2])
    moved(made, queue[2], _S.CLOSED)
    moved(made, queue[0], _S.CLOSED)
    assert made.waiting(Lane.DEFAULT) == ()


def test_released_response_takes_no_place() -> None:
    ghost = response(1, _S.REVOKING)
    made = admission(ghost)
    made.release(ghost)
    assert made.is_free(Lane.DEFAULT)
    made.release(ghost)


def test_nothing_is_sent_beyond_the_horizon() -> None:
    early, late = response(1), response(2, lane=Lane.OUT_OF_BAND)
    made = admission(early, late)
    made.horizon = 0
    assert made.next_ready(0.0) is None and not made.may_send(Lane.OUT_OF_BAND)
    made.horizon = 1
    assert made.next_ready(0.0) is early
    moved(made, early, _S.REQUESTED)
    assert made.next_ready(0.0) is None
    made.horizon = inf
    assert made.next_ready(0.0) is late
