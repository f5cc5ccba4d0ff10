"""The races of calls (R-28 to R-42 of docs/protocol.md), in every order that a server can play."""

import asyncio

import pytest

from antiphon.emulator import (
    Abort,
    Behaviour,
    Faults,
    MemoryConnector,
    Script,
    call,
    on,
    run_virtual,
    say,
)
from antiphon.emulator.engine.call import CallKind, CallState
from antiphon.emulator.running.rest import HttpRequest
from antiphon.exceptions import ConnectError
from tests.helpers.on_call import Controller, OnCall

__all__: list[str] = []

# Generated in 0.82 s; plays from 0.1 to 4.1 s, and `stopped` comes at 4.12.
LONG = say("One two three four five six seven eight nine ten.", ms=4000)
STARTED = "output_audio_buffer.started"
NOTHING_PLAYS = "output_audio_buffer_clear_no_active_response"


def answering(
    until: float, *, faults: Faults | None = None, **knobs: object
) -> tuple[OnCall, Controller, str]:
    """A call with one response, created at 0, at this time."""
    story = OnCall(Behaviour().but(**knobs), Script([LONG.always()]), faults=faults)
    side = story.attach()
    response_id = side.created_id()
    story.run(until)
    return story, side, response_id


def codes(side: Controller) -> list[str]:
    return [event["error"]["code"] for event in side.all("error")]


@pytest.mark.parametrize(("until", "won"), [(4.11, "cleared"), (4.13, "stopped")])
def test_r28_a_clear_and_the_natural_stopped(until: float, won: str) -> None:
    _, side, response_id = answering(until)
    side.clear()
    assert side.playback() == [("started", response_id), (won, response_id)]
    assert codes(side) == ([] if won == "cleared" else [NOTHING_PLAYS])


@pytest.mark.parametrize("until", [0.85, 0.89])
def test_r29_an_interruption_in_the_gap_before_started(until: float) -> None:
    story, side, response_id = answering(until, output_started="after_done")
    assert side.kinds(only="response.done") == ["response.done"]
    if until == 0.85:
        assert side.playback() == []
        side.clear()
        story.run(10.0)
        assert side.playback() == [("cleared", response_id)]
    else:
        assert side.playback() == [("started", response_id)]
        side.clear()
        assert side.playback()[-1] == ("cleared", response_id)


@pytest.mark.parametrize(("until", "late"), [(0.03, None), (0.05, True), (0.2, False)])
def test_r30_started_after_a_cancelled_done(until: float, late: bool | None) -> None:
    story, side, response_id = answering(until, straggler_deltas=0)
    side.send("response.cancel", response_id=response_id)
    story.run(1.0)
    order = [kind for kind in side.kinds() if kind in ("response.done", STARTED)]
    if late is None:  # before any audio: nothing will ever start
        assert order == ["response.done"]
    else:
        assert order == (["response.done", STARTED] if late else [STARTED, "response.done"])


@pytest.mark.parametrize(("until", "hit"), [(4.0, "first"), (4.2, "second")])
def test_r31_a_clear_for_one_response_read_when_the_next_plays(until: float, hit: str) -> None:
    story, side, first = answering(0.9, clear_scope="playing_only")
    second = side.created_id()
    story.run(until - 0.9)
    side.clear()
    assert side.playback()[-1 if hit == "second" else 1] == (
        "cleared",
        {"first": first, "second": second}[hit],
    )


@pytest.mark.parametrize("held", [False, True])
def test_r32_a_stopped_of_the_last_answer_within_this_one(held: bool) -> None:
    late = on("output_audio_buffer.stopped", nth=1).hold(until=STARTED, same_response=False)
    faults = Faults(late)
    story, side, first = answering(0.9, faults=faults if held else None)
    second = side.created_id()
    story.run(4.0)
    orders = {
        False: [("started", first), ("stopped", first), ("started", second)],
        True: [("started", first), ("started", second), ("stopped", first)],
    }
    assert side.playback() == orders[held]


@pytest.mark.parametrize("who_first", ["server", "client"])
def test_r33_two_clears_of_one_buffer(who_first: str) -> None:
    story, side, response_id = answering(2.0)
    if who_first == "server":
        story.speech(300)
        side.clear()
        assert codes(side) == [NOTHING_PLAYS]
    else:
        side.clear()
        story.speech(300)
        assert codes(side) == []
    assert side.playback() == [("started", response_id), ("cleared", response_id)]
    assert side.heard() == [1900]


@pytest.mark.parametrize("reply", ["silent", "error"])
def test_r34_two_controllers_cancel_one_response(reply: str) -> None:
    story, side, response_id = answering(0.5, cancel_repeat_before_done=reply)
    other = story.attach()
    side.send("response.cancel", response_id=response_id)
    other.send("response.cancel", response_id=response_id)
    story.run(1.0)
    assert codes(side) == []
    assert len(codes(other)) == (1 if reply == "error" else 0)
    assert side.one("response.done")["response"]["status"] == "cancelled"


def test_r34_one_controller_cancels_what_the_other_created() -> None:
    story, side, _ = answering(0.9)
    other = story.attach()
    made = other.created_id()
    side.send("response.cancel", response_id=made)
    story.run(1.0)
    assert other.one("response.done")["response"]["id"] == made


@pytest.mark.parametrize("audience", ["state_to_all", "all_to_all", "own_only"])
def test_r35_another_controllers_acknowledgement_and_error(audience: str) -> None:
    story = OnCall(Behaviour().but(event_audience=audience))
    mine, theirs = story.attach(), story.attach()
    theirs.send("session.update", session={"type": "realtime", "instructions": "Theirs."})
    theirs.send("response.cancel")
    seen = {
        "state_to_all": ["session.updated"],
        "all_to_all": ["session.updated", "error"],
        "own_only": [],
    }
    assert mine.kinds() == seen[audience]


@pytest.mark.parametrize("missed", ["done", "cleared"])
def test_r36_a_sideband_lost_while_a_response_generates_or_plays(missed: str) -> None:
    story, side, response_id = answering(0.5 if missed == "done" else 2.0)
    if missed == "cleared":
        side.clear()
    story.detach(side)
    story.run(0.5)
    again = story.attach()
    story.run(5.0)
    assert again.all("response.done") == []
    assert again.playback() == ([("stopped", response_id)] if missed == "done" else [])
    assert story.call.engine.finished_responses == {response_id: "completed"}


@pytest.mark.parametrize("pending", ["interruption", "tool call"])
def test_r37_a_call_that_ends_with_something_pending(pending: str) -> None:
    tool = call("weather", {"city": "Bern"})
    script = Script([LONG if pending == "interruption" else tool])
    story = OnCall(Behaviour(), script, kind=CallKind.SIP)
    side = story.attach()
    response_id = side.created_id()
    story.run(0.5)
    if pending == "interruption":
        side.send("response.cancel", response_id=response_id)
    side.forget()
    story.hang_up()
    story.run(10.0)
    assert side.ended == [Abort()]
    assert side.events == []


def test_r37_a_call_that_ends_with_a_transfer_pending() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        ringing = connector.calls.ring()
        ringing.accept({"type": "realtime"})
        path = f"/v1/realtime/calls/{ringing.id}/refer"
        body = b'{"target_uri": "tel:+15550199"}'
        assert (await connector.rest.handle(HttpRequest("POST", path, {}, body))).status == 200
        ringing.hang_up()
        await asyncio.sleep(5.0)
        assert ringing.state is CallState.OVER

    run_virtual(main())


@pytest.mark.parametrize("when", ["too early", "in mid-response", "too late"])
def test_r38_attaching_too_early_too_late_and_in_between(when: str) -> None:
    async def main() -> None:
        connector = MemoryConnector(Behaviour(sideband_ready_ms=500))
        placed = connector.calls.place()
        url = f"ws://emulator/v1/realtime?call_id={placed.id}"
        if when == "too early":
            with pytest.raises(ConnectError) as refused:
                await connector(url, {}, Deaf())
            assert refused.value.status == 404
        await asyncio.sleep(0.6)
        if when == "too late":
            placed.hang_up()
            with pytest.raises(ConnectError) as refused:
                await connector(url, {}, Deaf())
            assert refused.value.status == 404
            return
        await connector(url, {}, Deaf())
        assert placed.sidebands == 1

    run_virtual(main())


def test_r38_in_mid_response_only_the_rest_is_seen() -> None:
    story, _, response_id = answering(0.5)
    late = story.attach()
    story.run(10.0)
    assert late.all("response.created") == []
    assert late.one("response.done")["response"]["id"] == response_id


@pytest.mark.parametrize("on_what", ["response.done", "output_audio_buffer.stopped"])
def test_r39_hanging_up_on_done_or_on_stopped(on_what: str) -> None:
    story, side, response_id = answering(0.9)
    assert side.kinds(only="response.done")
    if on_what == "response.done":
        story.end()  # the last three seconds are never heard
        story.run(10.0)
        assert side.playback() == [("started", response_id)]
    else:
        story.run(4.0)
        story.end()
        assert side.playback() == [("started", response_id), ("stopped", response_id)]


def test_r39_a_stopped_that_never_comes() -> None:
    story, side, _ = answering(10.0, call_media="none")
    assert side.playback() == []
    story.end()
    assert story.call.state is CallState.OVER


@pytest.mark.parametrize("ours", [500, 3000])
def test_r40_the_automatic_truncated_and_a_truncate_of_ours(ours: int) -> None:
    story, side, _ = answering(2.0)
    (item_id,) = story.call.engine.item_ids
    truncate = {"item_id": item_id, "content_index": 0, "audio_end_ms": ours}
    side.send("conversation.item.truncate", **truncate)
    side.clear()
    # The shorter of both stands; the longer one says nothing, or comes first.
    assert side.heard() == ([500] if ours == 500 else [3000, 1900])


def test_r40_a_truncate_of_ours_after_the_automatic_one() -> None:
    story, side, _ = answering(2.0)
    (item_id,) = story.call.engine.item_ids
    side.clear()
    truncate = {"item_id": item_id, "content_index": 0, "audio_end_ms": 1950}
    side.send("conversation.item.truncate", **truncate)
    assert side.heard() == [1900]
    assert codes(side) == ["invalid_value"]


def test_r41_a_call_that_is_accepted_twice() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        ringing = connector.calls.ring()
        path = f"/v1/realtime/calls/{ringing.id}/accept"
        accept = HttpRequest("POST", path, {}, b'{"type": "realtime"}')
        replies = [await connector.rest.handle(accept) for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 400]
        assert ringing.state is CallState.UP

    run_virtual(main())


@pytest.mark.parametrize("until", ["conversation.item.truncated", "response.created"])
def test_r42_truncated_before_its_cleared_or_after_the_next_turn(until: str) -> None:
    late = "output_audio_buffer.cleared" if "truncated" in until else "conversation.item.truncated"
    faults = Faults(on(late).hold(until=until, same_response=False))
    story, side, _ = answering(2.0, faults=faults)
    side.forget()
    story.speech(300)
    story.run(1.0)
    kinds = side.kinds()
    assert kinds.index(until) == kinds.index(late) - 1


class Deaf:
    """A client's end that does not listen."""

    def frame_received(self, data: bytes, is_text: bool) -> None:
        """Nothing is made of it."""

    def connection_lost(self, code: int | None, reason: str) -> None:
        """Nothing is made of it."""
