"""Traces for what no test saw: a change of these rules once left every test green.

Each was found by changing the core on purpose (`make mutants`) and seeing nothing fail.
"""

from antiphon.protocol.response import Lane, Response
from antiphon.wire.client_events import ResponseCancel, ResponseCreate
from antiphon.wire.server_events import InputAudioBufferCommitted
from tests.helpers.builders import ACTIVE, NOT_ACTIVE, created, done, error, text_delta
from tests.helpers.watch import Watched

__all__: list[str] = []

CREATE_AND_SETTLE_S = 15.0


def creates(watched: Watched) -> int:
    return sum(isinstance(event, ResponseCreate) for event in watched.sent)


def cancels(watched: Watched) -> list[str]:
    return [str(one.response_id) for one in watched.sent if isinstance(one, ResponseCancel)]


def being_revoked() -> tuple[Watched, Response]:
    """A response that was given up, and that the server has named after all."""
    watched = Watched()
    late = watched.create()
    watched.wait(CREATE_AND_SETTLE_S + 1)
    watched.receive(created("resp_late", metadata={"antiphon": str(late.key)}))
    assert cancels(watched) == ["resp_late"]
    return watched, late


def test_a_second_cancel_of_what_is_revoked_does_not_free_its_lane() -> None:
    watched, late = being_revoked()
    beside = watched.create(lane=Lane.OUT_OF_BAND)
    watched.cancel([late, beside])
    watched.create()
    assert creates(watched) == 2, "the server still works on resp_late (I7)"
    watched.receive(done("resp_late", "cancelled", "client_cancelled"))
    assert creates(watched) == 3
    assert cancels(watched) == ["resp_late"]


def test_a_revocation_that_finds_nothing_frees_the_lane() -> None:
    watched, late = being_revoked()
    watched.create()
    assert creates(watched) == 1
    watched.receive(error(NOT_ACTIVE, event_id=late.cancel_event_id))
    assert creates(watched) == 2


def test_what_was_stopped_by_its_output_holds_the_lane_when_it_is_announced() -> None:
    watched = Watched()
    watched.receive(text_delta("resp_early"))
    watched.interrupt()
    watched.receive(created("resp_early"))
    watched.create()
    assert creates(watched) == 0, "the server still works on resp_early (I7)"
    watched.receive(done("resp_early", "cancelled", "client_cancelled"))
    assert creates(watched) == 1


def test_a_create_refused_as_busy_goes_as_soon_as_its_known_blocker_is_done() -> None:
    watched = Watched()
    refused = watched.create()
    watched.receive(InputAudioBufferCommitted(item_id="item_u"))
    watched.receive(created("resp_vad"))  # turn detection was quicker
    watched.receive(error(ACTIVE, event_id=refused.create_event_id))
    assert creates(watched) == 1
    watched.receive(done("resp_vad"))
    assert creates(watched) == 2, "waited for longer than the lane was busy"


def test_a_cancel_whose_deadline_has_passed_is_no_longer_waited_for() -> None:
    watched = Watched()
    reply = watched.create()
    watched.receive(created("resp_a", metadata={"antiphon": str(reply.key)}))
    watched.cancel([reply])
    assert not watched.connection.idle
    watched.wait(5.0)
    assert str(reply.outcome) == "unsettled"
    assert watched.connection.idle, "an answer that was given up keeps the connection from idling"


def test_a_retry_that_is_no_longer_needed_leaves_no_deadline() -> None:
    watched = Watched()
    refused = watched.create()
    watched.receive(error(ACTIVE, event_id=refused.create_event_id))  # by what, nobody says
    retry_at = watched.connection.next_deadline()
    assert retry_at is not None and retry_at < 1.0
    watched.cancel([refused])
    assert watched.connection.next_deadline() is None
