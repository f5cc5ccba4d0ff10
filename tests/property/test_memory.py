"""I9: what the core holds follows what is live, however many responses there were."""

import random

import pytest

from antiphon.protocol.options import Options
from antiphon.protocol.response import Lane, OnBusy
from tests.helpers.builders import (
    ACTIVE,
    NOT_ACTIVE,
    call,
    created,
    done,
    error,
    item_added,
    message,
    text_delta,
)
from tests.helpers.watch import Watched

__all__: list[str] = []

ROUNDS = 200


def one_of_each(watched: Watched, number: int) -> None:
    """Every way for a response to come to its end, and some that have no end at all."""
    lane = Lane.OUT_OF_BAND

    def named(name: str) -> str:
        response = watched.create(lane=lane)
        metadata = {"antiphon": str(response.key)}
        response_id = f"resp_{number}_{name}"
        watched.receive(created(response_id, lane="out_of_band", metadata=metadata))
        watched.receive(item_added(response_id, message(f"item_{number}_{name}")))
        watched.receive(text_delta(response_id))
        return response_id

    watched.receive(done(named("finished")))
    watched.receive(done(named("called"), output=[call("1")]))
    crossed = named("crossed")
    watched.interrupt()
    watched.receive(done(crossed))
    watched.receive(error(NOT_ACTIVE))
    named("never confirmed")
    watched.interrupt()
    named("stalled")
    refused = watched.create(lane=lane)
    watched.receive(error("server_error", event_id=refused.create_event_id))
    busy = watched.create(lane=lane)
    watched.receive(error(ACTIVE, event_id=busy.create_event_id))
    watched.cancel([busy])
    watched.create(lane=lane)
    watched.cancel([watched.create(on_busy=OnBusy.SEND)])
    watched.receive(created(f"resp_{number}_detection"))
    watched.create()
    watched.interrupt("default")
    watched.receive(done(f"resp_{number}_detection", "cancelled", "turn_detected"))
    watched.receive(text_delta(f"resp_{number}_nobodys"))
    watched.receive(done(f"resp_{number}_unannounced"))
    watched.receive(text_delta(None))
    watched.wait(random.Random(number).choice([0.0, 1.0, 90.0]))


@pytest.mark.parametrize("remembered", [0, 8])
def test_memory_follows_what_is_live(remembered: int) -> None:
    watched = Watched(Options(remembered=remembered, kept_events=16))
    for number in range(ROUNDS):
        one_of_each(watched, number)
        if number % 20 == 0:
            watched.check_memory()
            # What the watch itself remembers is no business of the connection's.
            watched.wait(100.0)
            watched.forget_what_is_over()
    watched.finish()
    responses = watched.connection._responses
    assert len(responses._by_id) <= remembered
    assert len(responses._directory._by_key) <= remembered
