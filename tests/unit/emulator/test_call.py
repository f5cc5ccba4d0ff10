"""An emulated call: who sees what, what plays when, and how it ends."""

import re

import pytest

from antiphon.emulator import Abort, Behaviour, CloseConnection, Faults, Script, on, say, text
from antiphon.emulator.engine.call import CallKind, CallState
from antiphon.emulator.engine.effects import Hush, Play
from antiphon.emulator.knobs.pace import Pace
from antiphon.emulator.shapes.errors import Refusal
from tests.helpers.on_call import Controller, OnCall

__all__: list[str] = []

# Ten words, four seconds; generated in 0.82 s with the default pace.
LONG = say("One two three four five six seven eight nine ten.", ms=4000)
SHORT = say("Yes.", ms=500)


def speaking(**knobs: object) -> tuple[OnCall, Controller, str]:
    """A call whose only response has played for one second; it is done generating."""
    story = OnCall(Behaviour().but(**knobs), Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    story.run(1.06)  # it started at 0.1 s, 60 ms after the first audio at 0.04
    assert side.playback() == [("started", response_id)]
    side.forget()
    return story, side, response_id


# What a sideband sees (P-373 to P-388)


def test_a_sideband_sees_nothing_until_something_happens() -> None:
    story = OnCall()
    side = story.attach()
    story.run(5.0)
    assert side.events == []


def test_a_data_channel_begins_with_session_created() -> None:
    channel = OnCall().data_channel()
    assert channel.kinds() == ["session.created"]


def test_the_first_frame_of_a_sideband_answers_its_first_event() -> None:
    story = OnCall(session={"instructions": "Be brief."})
    side = story.attach()
    (updated,) = side.send("session.update", session={"type": "realtime"})
    assert updated["type"] == "session.updated"
    session = updated["session"]
    assert session["instructions"] == "Be brief."
    assert session["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24000}


def test_a_reply_over_a_sideband_is_as_recorded() -> None:
    # P-321, P-378
    story = OnCall(Behaviour(), Script([say("Yes sir.", ms=800)]))
    side = story.attach()
    side.created_id()
    story.run(3.0)
    kinds = side.kinds()
    assert kinds == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "output_audio_buffer.started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
        "output_audio_buffer.stopped",
    ]
    assert "response.output_audio.delta" not in kinds  # P-378


def test_both_ends_see_what_either_does() -> None:
    story = OnCall(Behaviour(), Script([text("Hello.").always()]))
    channel, side, other = story.data_channel(), story.attach(), story.attach()
    channel.forget()
    channel.send("response.create", response={"metadata": {"mine": "browser"}})
    story.run(1.0)
    assert channel.kinds() == side.kinds() == other.kinds()
    created = side.one("response.created")["response"]
    assert created["metadata"] == {"mine": "browser"}


def test_a_late_sideband_is_told_nothing_of_before() -> None:
    story, _, response_id = speaking()
    late = story.attach()
    assert late.events == []
    story.run(4.0)
    assert late.playback() == [("stopped", response_id)]


def test_losing_a_sideband_loses_nothing_but_what_came_meanwhile() -> None:
    story, side, response_id = speaking()
    items = story.call.engine.item_ids
    story.detach(side)
    story.run(10.0)
    again = story.attach()
    assert story.call.state is CallState.UP
    assert again.events == []
    assert story.call.engine.item_ids == items
    assert story.call.engine.finished_responses == {response_id: "completed"}


def test_faults_are_those_of_each_line() -> None:
    faults = Faults(on("session.updated", nth=2).drop())
    story = OnCall(faults=faults)
    first = story.attach()
    first.send("session.update", session={"type": "realtime"})
    second = story.attach()
    first.send("session.update", session={"type": "realtime"})
    assert len(first.all("session.updated")) == 1
    assert len(second.all("session.updated")) == 1


def test_a_line_that_is_cut_by_a_fault_does_not_end_the_call() -> None:
    story = OnCall(faults=Faults(on("response.created").abort()), script=Script([LONG]))
    side = story.attach()
    side.send("response.create")
    assert side.ended == [Abort()]
    story.detach(side)
    other = story.attach()
    story.run(6.0)
    assert other.kinds(only="response.done") == ["response.done"]


def test_what_is_no_event_is_refused_to_its_sender_alone() -> None:
    story = OnCall()
    first, second = story.attach(), story.attach()
    story.call.receive(first.number, b"not json", story.now)
    story.take()
    assert first.one("error")["error"]["code"] == "invalid_json"
    assert second.events == []


@pytest.mark.parametrize("reply", ["close", "close_1011", "cut"])
def test_what_is_no_event_ends_its_senders_line_alone(reply: str) -> None:
    story = OnCall(Behaviour().but(bad_json_reply=reply))
    first, second = story.attach(), story.attach()
    story.call.receive(first.number, b"not json", story.now)
    story.take()
    assert len(first.ended) == 1
    assert second.ended == []
    assert story.call.state is CallState.UP
    assert second.send("session.update", session={"type": "realtime"})


def test_an_error_that_comes_late_finds_its_cause() -> None:
    behaviour = Behaviour(create_when_busy="queue")  # type: ignore[arg-type]
    story = OnCall(behaviour, Script([LONG.always()]))
    first, second = story.attach(), story.attach()
    story.call.receive(second.number, '{"type":"response.create","event_id":"x"}', story.now)
    gone = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "."}]}
    first.send("conversation.item.create", item={**gone, "id": "item_gone"})
    reference = [{"type": "item_reference", "id": "item_gone"}]
    first.send("response.create", response={"input": reference}, event_id="mine")
    first.send("conversation.item.delete", item_id="item_gone")
    story.run(2.0)
    assert first.one("error")["error"]["event_id"] == "mine"
    assert second.all("error") == []


# Playback (P-400 to P-409)


def test_playback_events_have_ids_of_their_own_form_and_one_field() -> None:
    story, side, response_id = speaking()
    story.run(4.0)
    stopped = side.one("output_audio_buffer.stopped")
    assert set(stopped) == {"type", "event_id", "response_id"}
    assert re.fullmatch(r"event_[0-9a-f]{16}", stopped["event_id"])
    assert stopped["response_id"] == response_id


def test_it_stops_when_the_speech_is_over() -> None:
    story, side, _ = speaking()
    story.run(4.0)
    assert side.time_of("output_audio_buffer.stopped") == pytest.approx(0.1 + 4.0 + 0.02)


def test_sound_waits_for_slow_generation_and_goes_on() -> None:
    # 200 ms of audio every 500 ms.
    pace = Pace(audio_ms_per_delta=200, speed=0.4)
    story = OnCall(Behaviour(pace=pace), Script([say("Slow speech.", ms=1000)]))
    side = story.attach()
    side.created_id()
    story.run(10.0)
    assert [what for what, _ in side.playback()] == ["started", "stopped"]
    # The last delta comes after four gaps of half a second, and plays for 200 ms.
    assert side.time_of("output_audio_buffer.stopped") == pytest.approx(0.04 + 2.0 + 0.2 + 0.02)


def test_responses_play_one_after_the_other() -> None:
    story = OnCall(Behaviour(), Script([SHORT.always()]))
    side = story.attach()
    first, second = side.created_id(), side.created_id(conversation="none")
    story.run(5.0)
    assert side.playback() == [
        ("started", first),
        ("stopped", first),
        ("started", second),
        ("stopped", second),
    ]


def test_text_is_never_played() -> None:
    story = OnCall(Behaviour(), Script([text("Hello.")]))
    side = story.attach()
    side.created_id(output_modalities=["text"])
    story.run(5.0)
    assert side.playback() == []


# Interruption (P-410 to P-429), row by row


def test_generating_and_not_playing_a_cancel_is_enough() -> None:
    story = OnCall(Behaviour(), Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    side.send("response.cancel", response_id=response_id)
    story.run(5.0)
    assert side.one("response.done")["response"]["status"] == "cancelled"
    assert side.playback() == []


def test_a_cancel_just_before_the_start_leaves_sound_that_starts_late() -> None:
    story = OnCall(Behaviour(straggler_deltas=0), Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    story.run(0.05)  # the first audio came at 40 ms, and plays at 100
    side.send("response.cancel", response_id=response_id)
    story.run(0.06)
    kinds = side.kinds()
    done, started = kinds.index("response.done"), kinds.index("output_audio_buffer.started")
    assert done < started  # P-406
    side.clear()
    assert side.playback()[-1] == ("cleared", response_id)


def test_generating_and_playing_a_cancel_and_a_clear() -> None:
    story = OnCall(Behaviour(), Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    story.run(0.5)
    side.forget()
    side.send("response.cancel", response_id=response_id)
    side.clear()
    story.run(5.0)
    assert side.kinds() == [
        "output_audio_buffer.cleared",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "conversation.item.truncated",
        "rate_limits.updated",
    ]
    assert side.heard() == [400]
    assert side.playback() == [("cleared", response_id)]


def test_done_and_playing_a_clear_and_what_was_heard() -> None:
    story, side, response_id = speaking()
    side.clear()
    assert side.kinds() == ["output_audio_buffer.cleared", "conversation.item.truncated"]
    assert side.playback() == [("cleared", response_id)]
    assert side.heard() == [960]
    story.run(10.0)
    assert len(side.events) == 2
    assert story.call.engine.finished_responses == {response_id: "completed"}  # P-421


def test_done_and_waiting_behind_another_a_clear_takes_both() -> None:
    story = OnCall(Behaviour(), Script([LONG.always()]))
    side = story.attach()
    first = side.created_id()
    story.run(0.9)
    side.created_id()
    story.run(0.9)
    side.forget()
    side.clear()
    assert side.playback() == [("cleared", first)]
    assert side.heard() == [1700, 0]


def test_out_of_band_that_waits_is_stopped_by_its_cancel_alone() -> None:
    story, side, response_id = speaking()
    other = side.created_id(conversation="none")
    side.send("response.cancel", response_id=other)
    story.run(10.0)
    assert side.playback() == [("stopped", response_id)]


def test_out_of_band_sound_that_is_cleared_is_truncated_nowhere() -> None:
    story = OnCall(Behaviour(), Script([LONG.always()]))
    side = story.attach()
    other = side.created_id(conversation="none")
    story.run(1.0)
    side.clear()
    assert side.playback() == [("started", other), ("cleared", other)]
    assert side.heard() == []  # P-428


def test_a_truncate_of_ones_own_does_not_stop_the_sound() -> None:
    # P-417
    story, side, response_id = speaking()
    (item_id,) = story.call.engine.item_ids
    side.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    story.run(10.0)
    assert side.heard() == [500]
    assert side.playback() == [("stopped", response_id)]  # P-417


def test_after_its_own_truncate_a_clear_does_not_lengthen_the_item() -> None:
    story, side, _ = speaking()
    (item_id,) = story.call.engine.item_ids
    side.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=500)
    side.clear()
    assert side.heard() == [500]


def test_a_deleted_item_is_not_truncated() -> None:
    story, side, response_id = speaking()
    (item_id,) = story.call.engine.item_ids
    side.send("conversation.item.delete", item_id=item_id)
    side.clear()
    assert side.playback() == [("cleared", response_id)]
    assert side.heard() == []


# A barge-in


def test_a_barge_in_over_a_done_reply_is_as_captured() -> None:
    # P-322, P-421
    story, side, response_id = speaking()
    story.speech(600)
    story.run(0.9)
    kinds = side.kinds()
    assert kinds[: kinds.index("response.created") + 1] == [
        "input_audio_buffer.speech_started",
        "output_audio_buffer.cleared",
        "conversation.item.truncated",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert side.heard() == [960]
    assert side.one("output_audio_buffer.cleared")["response_id"] == response_id


def test_a_barge_in_while_generating_cancels_and_clears() -> None:
    story = OnCall(Behaviour(), Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    story.run(0.5)
    side.forget()
    story.speech(300)
    story.run(0.1)
    kinds = side.kinds()
    assert kinds[:2] == ["input_audio_buffer.speech_started", "output_audio_buffer.cleared"]
    assert kinds.index("response.done") < kinds.index("conversation.item.truncated")
    done = side.one("response.done")["response"]
    assert done["id"] == response_id
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["output"][0]["status"] == "incomplete"
    assert side.heard() == [400]
    story.run(0.3)
    assert ("started", response_id) not in side.playback()


def test_without_interrupt_response_it_plays_on_through_the_speech() -> None:
    story, side, response_id = speaking()
    listening = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    detection = {"audio": {"input": {"turn_detection": listening}}}
    side.send("session.update", session={"type": "realtime", **detection})
    story.speech(600)
    story.run(10.0)
    assert side.playback() == [("stopped", response_id)]  # P-423


def test_speech_is_told_on_the_clock_of_the_call() -> None:
    story = OnCall()
    side = story.attach()
    story.run(10.0)
    story.speech(1000)
    story.run(2.0)
    assert side.one("input_audio_buffer.speech_started")["audio_start_ms"] == 9700
    assert side.one("input_audio_buffer.speech_stopped")["audio_end_ms"] == 11200


def test_speech_without_turn_detection_waits_for_a_commit() -> None:
    story = OnCall(session={"audio": {"input": {"turn_detection": None}}})
    side = story.attach()
    story.speech(1000)
    story.run(2.0)
    assert side.events == []
    assert side.send("input_audio_buffer.commit")[0]["type"] == "input_audio_buffer.committed"


# Real media: what a peer is given to play


def played_ms(story: OnCall) -> float:
    given = b"".join(effect.data for effect in story.asked if isinstance(effect, Play))
    return len(given) / 48


def test_real_sound_is_given_from_started_on_and_forgotten_by_a_clear() -> None:
    story = OnCall(Behaviour().but(call_media="webrtc"), Script([LONG.always()]))
    side = story.attach()
    side.created_id()
    story.run(0.09)
    assert story.asked == []  # 300 ms are there, and nothing plays
    story.run(0.02)
    assert played_ms(story) == 400
    story.run(1.0)
    assert played_ms(story) == 4000
    side.clear()
    assert story.asked[-1] == Hush()


def test_real_sound_of_a_response_that_waits_is_not_given_yet() -> None:
    story = OnCall(Behaviour().but(call_media="webrtc"), Script([LONG.always()]))
    side = story.attach()
    side.created_id()
    story.run(0.9)
    side.created_id()
    story.run(0.9)
    assert played_ms(story) == 4000
    story.run(3.0)
    assert played_ms(story) == 8000


def test_another_format_than_the_calls_silences_it() -> None:
    audio = {"output": {"format": {"type": "audio/pcmu"}}}
    story = OnCall(Behaviour().but(call_media="webrtc"), Script([LONG]), session={"audio": audio})
    side = story.attach()
    side.created_id()
    story.run(10.0)
    assert [what for what, _ in side.playback()] == ["started", "stopped"]
    assert story.asked == []  # P-347


# Telephone


def test_a_key_is_an_event_without_an_id() -> None:
    # P-440
    story = OnCall(kind=CallKind.SIP)
    side = story.attach()
    story.press("5")
    pressed = side.one("input_audio_buffer.dtmf_event_received")
    assert set(pressed) == {"type", "event", "received_at"}
    assert pressed["event"] == "5"


def test_a_call_that_is_refused_its_session_still_rings() -> None:
    story = OnCall(kind=CallKind.SIP, begin=False)
    with pytest.raises(Refusal) as refused:
        story.call.begin({"type": "realtime", "nonsense": 1}, 0.0)
    assert refused.value.param == "session.nonsense"
    states = [story.call.state]
    story.call.begin({"type": "realtime"}, 0.0)
    states.append(story.call.state)
    assert states == [CallState.RINGING, CallState.UP]


# The end


def test_a_caller_who_hangs_up_cuts_the_sidebands_at_once() -> None:
    story = OnCall(Behaviour(), Script([LONG]), kind=CallKind.SIP)
    side = story.attach()
    side.created_id()
    story.run(1.0)
    side.forget()
    story.hang_up()
    assert side.ended == [Abort()]
    story.run(10.0)
    assert side.events == []  # P-450, P-451: not even `stopped`
    assert story.call.state is CallState.OVER


def test_events_on_their_way_to_a_caller_who_hangs_up_are_lost() -> None:
    faults = Faults(on("session.updated").delay(1.0))
    story = OnCall(kind=CallKind.SIP, faults=faults)
    side = story.attach()
    side.send("session.update", session={"type": "realtime"})
    story.hang_up()
    story.run(2.0)
    assert side.events == []
    assert side.ended == [Abort()]


def test_a_call_lasts_an_hour_from_its_creation() -> None:
    # P-455
    story = OnCall()
    story.run(3000.0)
    side = story.attach()
    story.run(599.0)
    assert side.ended == []
    story.run(2.0)
    (closed,) = side.ended
    assert isinstance(closed, CloseConnection)
    assert closed.code == 1001
    assert story.call.state is CallState.OVER


def test_hanging_up_twice_is_hanging_up_once() -> None:
    story = OnCall(kind=CallKind.SIP)
    side = story.attach()
    story.hang_up()
    story.hang_up()
    story.end()
    assert side.ended == [Abort()]


def test_nothing_is_heard_of_a_call_that_is_over() -> None:
    story = OnCall(kind=CallKind.SIP)
    side = story.attach()
    story.hang_up()
    story.press("1")
    story.speech(500)
    story.run(5.0)
    assert side.events == []
