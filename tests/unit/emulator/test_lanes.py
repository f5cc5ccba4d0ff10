"""Who holds the lanes when several knobs meet."""

import pytest

from antiphon.emulator import Behaviour, Pace, Script, say
from antiphon.emulator.audio import speech
from antiphon.emulator.engine.lanes import Lanes
from antiphon.emulator.engine.response import Phase
from tests.helpers.emulated import Emulated

__all__: list[str] = []

TURN = speech.user_voice(400) + bytes(48 * 400)


def story(**knobs: object) -> Emulated:
    return Emulated(Behaviour().but(**knobs), Script([say("A story.", ms=4000).always()]))


def lanes_of(client: Emulated) -> Lanes:
    return client.engine._responses.lanes


def default_overlaps(client: Emulated) -> bool:
    """Whether two default responses were between created and done at the same time."""
    running = 0
    for event in client.events:
        if (event.get("response") or {}).get("conversation_id"):
            running += 1 if event["type"] == "response.created" else -1
        if running > 1:
            return True
    return False


def test_late_freeing_does_not_free_its_successor() -> None:
    client = story(create_when_busy="supersede", slot_free_at=500, pace=Pace(speed=100))
    client.created_id()
    client.run(0.3)  # it is done, and frees its slot half a second later
    assert len(client.all("response.done")) == 1
    second = client.created_id()
    client.run(0.01)
    lanes_of(client).active[second].unschedule()  # it stands still from here on
    client.run(1)
    holder = lanes_of(client).slot.holder
    assert holder is not None
    assert holder.id == second


def test_superseding_does_not_let_a_queued_turn_in_as_well() -> None:
    client = story(create_when_busy="supersede", vad_create_when_busy="queued")
    detection = {"type": "server_vad", "interrupt_response": False}
    client.configure(audio={"input": {"turn_detection": detection}})
    client.created_id()
    client.speak(TURN)  # its response waits
    client.send("response.create")
    client.run(30)
    assert not default_overlaps(client)
    assert len(client.all("response.created")) == 3


def test_interrupting_turn_is_answered_when_the_slot_is_free_at_last() -> None:
    client = story(slot_free_at=800, cancel_latency_ms=10)
    client.created_id()
    client.run(0.2)
    client.forget()
    client.speak(TURN[: 48 * 400])
    client.run(0.1)
    assert len(client.all("response.done")) == 1
    client.speak(TURN[48 * 400 :])
    assert client.all("response.created") == []
    client.run(1)
    assert len(client.all("response.created")) == 1


def test_cancelled_response_that_still_holds_the_slot_is_not_found_again() -> None:
    client = story(slot_free_at=500, cancel_latency_ms=10)
    only = client.created_id()
    client.cancel(only)
    client.run(0.1)
    assert client.done(only)["status"] == "cancelled"
    assert [reply["type"] for reply in client.cancel()] == ["error"]
    client.run(5)
    assert len(client.all("response.done")) == 1


@pytest.mark.parametrize("number", [0, 1, 2])
def test_single_is_the_only_one_in_progress(number: int) -> None:
    client = story()
    for _ in range(number):
        client.out_of_band()
    found = lanes_of(client).single()
    assert (found is not None) is (number == 1)


def test_accepted_response_is_not_in_progress() -> None:
    client = story(created_latency_ms=100)
    client.send("response.create")
    lanes = lanes_of(client)
    assert lanes.default_in_progress() is lanes.single() is lanes.oldest_out_of_band() is None
    assert [one.phase for one in lanes.active.values()] == [Phase.ACCEPTED]
