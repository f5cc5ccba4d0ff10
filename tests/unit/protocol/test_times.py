"""When what happened to a response, to the second: the core is told the time with every step."""

from typing import Any

import pytest

from antiphon.exceptions import ConnectionClosedError
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Opened
from antiphon.protocol.interruption import Interruption
from antiphon.protocol.options import DEFAULT_TOLERANCES, Options
from antiphon.protocol.response import OnBusy, Response
from antiphon.protocol.times import ResponseTimes
from antiphon.wire.client_events import ResponseCreateParams
from antiphon.wire.server_events import (
    OutputAudioBufferStarted,
    OutputAudioBufferStopped,
    ResponseOutputAudioTranscriptDelta,
)
from tests.helpers.builders import (
    ACTIVE,
    audio_delta,
    created,
    done,
    error,
    item_added,
    message,
    text_delta,
)

__all__: list[str] = []


def connection(*, online: bool = True, **options: Any) -> Connection:
    return Connection("t", Options(**options), online=online)


def create(core: Connection, now: float, *, aside: bool = False, **how: Any) -> Response:
    params = ResponseCreateParams(conversation="none" if aside else "auto")
    return core.create_response(params, now, **how)[0]


def announced(response: Response, id: str = "resp_1") -> Any:
    return created(id, metadata={"antiphon": str(response.key)})


def opened(effects: Any) -> Response:
    (found,) = [one.response for one in effects if isinstance(one, Opened)]
    assert isinstance(found, Response)
    return found


def words(id: str, text: str = "la") -> ResponseOutputAudioTranscriptDelta:
    return ResponseOutputAudioTranscriptDelta(response_id=id, item_id="item_1", delta=text)


def times_of(interruption: Interruption) -> list[ResponseTimes]:
    return [entry.times for entry in interruption.receipt().entries]


def test_each_is_stamped_when_it_happens_and_not_again() -> None:
    core = connection()
    reply = create(core, 1.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=1.0)
    core.receive(announced(reply), 2.0)
    core.receive(item_added("resp_1", message("item_1")), 2.5)
    for now in (3.0, 4.0):
        core.receive(words("resp_1"), now)
    for now in (5.0, 6.0):
        core.receive(audio_delta("resp_1"), now)
    core.receive(audio_delta("resp_1", item_id="item_2"), 6.5)
    core.receive(done("resp_1"), 7.0)
    core.receive(done("resp_1"), 8.0)
    assert reply.times == ResponseTimes(
        asked=1.0, sent=1.0, created=2.0, first_text=3.0, first_audio=5.0, settled=7.0
    )
    assert (reply.times.to_first_text, reply.times.to_first_audio) == (2.0, 4.0)
    assert (reply.times.waited, reply.times.cancel_took) == (0.0, None)


def test_text_counts_as_a_transcript_does() -> None:
    core = connection()
    reply = create(core, 1.0)
    core.receive(announced(reply), 2.0)
    core.receive(text_delta("resp_1"), 3.0)
    assert (reply.times.first_text, reply.times.first_audio) == (3.0, None)


def test_an_empty_delta_is_not_the_first() -> None:
    core = connection()
    reply = create(core, 1.0)
    core.receive(announced(reply), 2.0)
    core.receive(text_delta("resp_1", ""), 3.0)
    core.receive(audio_delta("resp_1", 0), 3.0)
    assert (reply.times.first_text, reply.times.first_audio) == (None, None)
    core.receive(text_delta("resp_1"), 4.0)
    core.receive(audio_delta("resp_1"), 5.0)
    assert (reply.times.first_text, reply.times.first_audio) == (4.0, 5.0)


def test_a_create_that_waits_for_its_turn_is_sent_when_that_has_come() -> None:
    core = connection()
    first, second = create(core, 1.0), create(core, 2.0)
    core.receive(announced(first), 3.0)
    assert second.times == ResponseTimes(asked=2.0)
    core.receive(done("resp_1"), 9.0)
    assert second.times == ResponseTimes(asked=2.0, sent=9.0)
    assert second.times.waited == 7.0


def test_of_a_create_that_was_refused_as_busy_the_second_sending_counts() -> None:
    core = connection(busy_backoff=1.0)
    reply = create(core, 1.0, on_busy=OnBusy.QUEUE)
    core.receive(error(ACTIVE, event_id=reply.create_event_id), 2.0)
    when = core.next_deadline()
    assert when is not None and reply.times.sent == 1.0
    core.advance(when)
    core.receive(announced(reply), when + 1)
    assert reply.times == ResponseTimes(asked=1.0, sent=when, created=when + 1)


def test_what_is_asked_without_a_connection_is_sent_with_it() -> None:
    core = connection(online=False)
    reply, unwanted = create(core, 1.0), create(core, 1.5, aside=True)
    interruption, _ = core.cancel([unwanted], 2.0)
    core.go_online(5.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=5.0)
    # Never sent: it is over as soon as it is cancelled.
    assert times_of(interruption) == [ResponseTimes(asked=1.5, settled=2.0)]
    assert interruption.receipt().asked == 2.0


def test_a_cancel_asked_for_before_the_name_goes_with_the_name() -> None:
    core = connection()
    reply = create(core, 1.0)
    interruption, _ = core.interrupt("all", 2.0)
    core.receive(announced(reply), 3.0)
    core.receive(text_delta("resp_1"), 3.5)  # heard by nobody
    core.receive(audio_delta("resp_1"), 3.5)
    core.receive(done("resp_1", "cancelled", "client_cancelled"), 4.0)
    receipt = interruption.receipt()
    assert receipt.asked == 2.0
    (entry,) = receipt.entries
    assert entry.cancel_sent
    assert entry.times == ResponseTimes(
        asked=1.0, sent=1.0, created=3.0, cancel_sent=3.0, settled=4.0
    )
    assert entry.times.cancel_took == 1.0


def test_a_second_cancel_changes_nothing_but_has_a_time_of_its_own() -> None:
    core = connection()
    reply = create(core, 1.0)
    core.receive(announced(reply), 2.0)
    core.cancel([reply], 3.0)
    again, _ = core.interrupt("all", 4.0)
    assert (again.receipt().asked, reply.times.cancel_sent) == (4.0, 3.0)


def test_a_cancel_by_the_id_of_early_output_is_that_of_the_response_it_belongs_to() -> None:
    core = connection()
    reply = create(core, 1.0)
    core.cancel([reply], 2.0)
    core.receive(text_delta("resp_1"), 3.0)
    core.interrupt("all", 4.0)  # cancels resp_1, whatever that is
    core.receive(announced(reply), 5.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=1.0, created=5.0, cancel_sent=4.0)


def test_one_that_the_server_made_was_not_asked_for() -> None:
    core = connection()
    reply = opened(core.receive(created("resp_vad"), 2.0))
    core.receive(audio_delta("resp_vad"), 3.0)
    core.receive(done("resp_vad"), 4.0)
    assert reply.times == ResponseTimes(created=2.0, first_audio=3.0, settled=4.0)
    assert (reply.times.to_first_audio, reply.times.waited) == (None, None)


def test_one_that_was_given_up_may_be_announced_afterwards() -> None:
    core = connection(create_timeout=10.0, settle_timeout=5.0)
    reply = create(core, 1.0)
    core.advance(11.0)
    core.advance(16.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=1.0, settled=16.0)
    core.receive(announced(reply), 20.0)
    assert reply.times == ResponseTimes(
        asked=1.0, sent=1.0, created=20.0, cancel_sent=20.0, settled=16.0
    )


def test_a_loss_settles_it() -> None:
    core = connection()
    reply = create(core, 1.0)
    core.receive(announced(reply), 2.0)
    core.lose(ConnectionClosedError(1006, "", "network"), 3.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=1.0, created=2.0, settled=3.0)


def test_output_before_the_name_is_delivered_with_it() -> None:
    core = connection()
    reply = create(core, 1.0)
    for event in (text_delta("resp_1"), audio_delta("resp_1")):
        core.receive(event, 2.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=1.0)
    core.receive(announced(reply), 3.0)
    core.receive(text_delta("resp_1"), 4.0)
    assert reply.times == ResponseTimes(
        asked=1.0, sent=1.0, created=3.0, first_text=3.0, first_audio=3.0
    )


def test_where_nothing_is_announced_the_first_output_announces() -> None:
    core = connection(announces=False, echoes_metadata=False, tolerances=DEFAULT_TOLERANCES)
    reply = create(core, 1.0)
    core.receive(text_delta("resp_1"), 2.0)
    assert reply.times == ResponseTimes(asked=1.0, sent=1.0, created=2.0, first_text=2.0)


# --- calls ------------------------------------------------------------------------------------


def test_on_a_call_the_audio_is_heard_and_never_comes_here() -> None:
    core = connection(call=True)
    reply = create(core, 1.0)
    core.receive(announced(reply), 2.0)
    for now in (3.0, 3.5):
        core.receive(words("resp_1"), now)
    for now in (4.0, 6.0):
        core.receive(OutputAudioBufferStarted(response_id="resp_1"), now)
        core.receive(OutputAudioBufferStopped(response_id="resp_1"), now + 1)
    core.receive(done("resp_1"), 8.0)
    assert reply.times == ResponseTimes(
        asked=1.0, sent=1.0, created=2.0, first_text=3.0, first_heard=4.0, settled=8.0
    )


@pytest.mark.parametrize(
    ("event", "stamp"),
    [
        (words("resp_1"), "first_text"),
        (OutputAudioBufferStarted(response_id="resp_1"), "first_heard"),
    ],
)
def test_of_one_that_is_met_in_the_middle_nobody_saw_the_beginning(event: Any, stamp: str) -> None:
    core = connection(call=True)
    met = opened(core.receive(event, 5.0))
    assert met.times == ResponseTimes(**{stamp: 5.0})


def test_what_is_on_the_air_when_a_line_comes_back_began_before() -> None:
    lost = connection(call=True)
    reply = create(lost, 1.0)
    lost.receive(announced(reply), 2.0)
    lost.receive(OutputAudioBufferStarted(response_id="resp_1"), 3.0)
    core = connection(call=True, online=False)
    core.follow(lost)
    lost.lose(ConnectionClosedError(1006, "", "network"), 4.0)
    core.resume(core.snapshot(), 5.0)
    met = opened(core.go_online(5.0))
    assert met.id == reply.id and met.audible
    assert met.times == ResponseTimes()
    interruption, _ = core.cancel([met], 6.0)
    core.receive(done("resp_1", "cancelled", "client_cancelled"), 7.0)
    assert times_of(interruption) == [ResponseTimes(cancel_sent=6.0, settled=7.0)]
    assert reply.times.settled == 4.0
