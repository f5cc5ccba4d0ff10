"""Cases of the knobs of calls: media, sidebands, playback."""

import re
from uuid import UUID

from antiphon.emulator import Abort, Behaviour, CloseConnection, Script, ServerEffect, say
from antiphon.emulator.engine.call import CallKind
from tests.helpers.on_call import Controller, OnCall
from tests.unit.emulator.knob_cases.registry import LONG, code, shows

__all__: list[str] = []

UPDATE = {"session": {"type": "realtime"}}


def playing(behaviour: Behaviour, seconds: float = 1.1) -> tuple[OnCall, Controller, str]:
    """A call whose one response is done and has played for a while."""
    story = OnCall(behaviour, Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    story.run(seconds)
    side.forget()
    return story, side, response_id


def two_in_the_buffer(behaviour: Behaviour) -> tuple[OnCall, Controller, str, str]:
    """The first plays, the second waits; both are done."""
    story, side, first = playing(behaviour)
    second = side.created_id()
    story.run(1.0)
    side.forget()
    return story, side, first, second


# call_media


@shows("call_media", "virtual")
@shows("call_media", "webrtc")
def sound_plays(behaviour: Behaviour) -> None:
    story, side, response_id = playing(behaviour)
    story.run(5.0)
    assert side.playback() == [("stopped", response_id)]


@shows("call_media", "none")
def a_call_without_ice_has_text_and_no_playback(behaviour: Behaviour) -> None:
    story, side, response_id = playing(behaviour)
    story.run(10.0)
    assert side.events == []
    assert story.call.engine.finished_responses == {response_id: "completed"}
    assert code(*side.clear()) == "output_audio_buffer_clear_no_active_response"


# sideband_session_created


@shows("sideband_session_created", False)
def a_sideband_begins_with_silence(behaviour: Behaviour) -> None:
    assert OnCall(behaviour).attach().events == []


@shows("sideband_session_created", True)
def a_sideband_begins_with_session_created(behaviour: Behaviour) -> None:
    assert OnCall(behaviour).attach().kinds() == ["session.created"]


# sideband_append


@shows("sideband_append", "error")
def audio_over_a_sideband_is_refused(behaviour: Behaviour) -> None:
    side = OnCall(behaviour).attach()
    (reply,) = side.send("input_audio_buffer.append", audio="AAAA")
    assert code(reply) == "invalid_event_for_transport"


@shows("sideband_append", "accept")
def audio_over_a_sideband_is_taken(behaviour: Behaviour) -> None:
    manual = {"audio": {"input": {"turn_detection": None}}}
    side = OnCall(behaviour, session=manual).attach()
    assert side.send("input_audio_buffer.append", audio="AAAA" * 2000) == []
    (committed, *_) = side.send("input_audio_buffer.commit")
    assert committed["type"] == "input_audio_buffer.committed"


@shows("sideband_append", "ignore")
def audio_over_a_sideband_is_passed_over(behaviour: Behaviour) -> None:
    side = OnCall(behaviour).attach()
    assert side.send("input_audio_buffer.append", audio="AAAA" * 2000) == []
    assert code(*side.send("input_audio_buffer.commit")) == "input_audio_buffer_commit_empty"


# event_audience


@shows("event_audience", "state_to_all")
def acknowledgements_for_all_and_errors_for_the_cause(behaviour: Behaviour) -> None:
    story = OnCall(behaviour)
    first, second = story.attach(), story.attach()
    first.send("session.update", **UPDATE)
    first.send("response.cancel")
    assert first.kinds() == ["session.updated", "error"]
    assert second.kinds() == ["session.updated"]


@shows("event_audience", "all_to_all")
def everything_for_all(behaviour: Behaviour) -> None:
    story = OnCall(behaviour)
    first, second = story.attach(), story.attach()
    first.send("session.update", **UPDATE)
    first.send("response.cancel")
    assert first.kinds() == second.kinds() == ["session.updated", "error"]


@shows("event_audience", "own_only")
def acknowledgements_for_the_cause_and_responses_for_all(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG.always()]))
    first, second = story.attach(), story.attach()
    first.send("session.update", **UPDATE)
    first.send("response.cancel")
    first.created_id()
    assert first.kinds() == ["session.updated", "error", "response.created"]
    assert second.kinds() == ["response.created"]


# output_started and its latencies


@shows("output_started", "first_audio")
def sound_begins_among_the_transcript(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG]))
    side = story.attach()
    side.created_id()
    story.run(1.0)
    kinds = side.kinds()
    started = kinds.index("output_audio_buffer.started")
    assert "response.output_audio_transcript.delta" in kinds[:started]
    assert "response.output_audio_transcript.delta" in kinds[started:]


@shows("output_started", "after_transcript")
def sound_begins_after_the_transcript(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG]))
    side = story.attach()
    side.created_id()
    story.run(1.0)
    kinds = side.kinds()
    started = kinds.index("output_audio_buffer.started")
    assert kinds[started - 1] == "response.output_audio_transcript.delta"
    assert kinds[started + 1] == "response.output_audio.done"


@shows("output_started", "after_done")
def sound_begins_after_a_gap_in_which_nothing_is_in_progress(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG]))
    side = story.attach()
    response_id = side.created_id()
    story.run(0.85)
    assert side.kinds()[-1] == "rate_limits.updated"
    assert story.call.engine.active_responses == []
    story.run(0.1)
    assert side.playback() == [("started", response_id)]
    side.forget()
    story.run(3.85)
    assert side.playback() == []
    story.run(0.5)
    assert side.playback() == [("stopped", response_id)]


@shows("output_started", "after_done")
def sound_that_is_due_can_be_cleared(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG]))
    side = story.attach()
    response_id = side.created_id()
    story.run(0.85)
    side.clear()
    story.run(10.0)
    assert side.playback() == [("cleared", response_id)]
    assert side.heard() == [0]


def begins_at(behaviour: Behaviour) -> float:
    story = OnCall(behaviour, Script([LONG]))
    side = story.attach()
    side.created_id()
    story.run(2.0)
    return round(side.time_of("output_audio_buffer.started"), 6)


@shows("output_started_latency_ms", 60.0)
def sound_begins_soon(behaviour: Behaviour) -> None:
    assert begins_at(behaviour) == 0.1


@shows("output_started_latency_ms", 0)
def sound_begins_at_once(behaviour: Behaviour) -> None:
    assert begins_at(behaviour) == 0.04


def ends_at(behaviour: Behaviour) -> float:
    story, side, _ = playing(behaviour)
    story.run(5.0)
    return round(side.time_of("output_audio_buffer.stopped"), 6)


@shows("output_stopped_latency_ms", 20.0)
def the_end_is_told_soon(behaviour: Behaviour) -> None:
    assert ends_at(behaviour) == 4.12


@shows("output_stopped_latency_ms", 500.0)
def the_end_is_told_late(behaviour: Behaviour) -> None:
    assert ends_at(behaviour) == 4.6


# playback_order


@shows("playback_order", "queue")
def one_after_the_other(behaviour: Behaviour) -> None:
    story, side, first, second = two_in_the_buffer(behaviour)
    story.run(10.0)
    assert side.playback() == [("stopped", first), ("started", second), ("stopped", second)]


@shows("playback_order", "lost")
def the_second_is_never_heard(behaviour: Behaviour) -> None:
    story, side, first, _ = two_in_the_buffer(behaviour)
    story.run(10.0)
    assert side.playback() == [("stopped", first)]


@shows("playback_order", "overlap")
def both_at_once(behaviour: Behaviour) -> None:
    story, side, first = playing(behaviour)
    second = side.created_id()
    story.run(1.0)
    assert side.playback() == [("started", second)]
    story.run(10.0)
    assert side.playback()[1:] == [("stopped", first), ("stopped", second)]


# clear_scope, cleared_for, cleared_response_id, auto_truncated


@shows("clear_scope", "all")
def a_clear_drops_what_waits_too(behaviour: Behaviour) -> None:
    story, side, first, _ = two_in_the_buffer(behaviour)
    side.clear()
    story.run(10.0)
    assert side.playback() == [("cleared", first)]


@shows("clear_scope", "playing_only")
def a_clear_drops_what_plays(behaviour: Behaviour) -> None:
    story, side, first, second = two_in_the_buffer(behaviour)
    side.clear()
    story.run(10.0)
    assert side.playback() == [("cleared", first), ("started", second), ("stopped", second)]


@shows("cleared_for", "playing")
def cleared_names_what_played(behaviour: Behaviour) -> None:
    _, side, first, _ = two_in_the_buffer(behaviour)
    side.clear()
    assert side.playback() == [("cleared", first)]


@shows("cleared_for", "each")
def cleared_comes_for_each(behaviour: Behaviour) -> None:
    _, side, first, second = two_in_the_buffer(behaviour)
    side.clear()
    assert side.playback() == [("cleared", first), ("cleared", second)]


@shows("cleared_for", "none")
def cleared_never_comes(behaviour: Behaviour) -> None:
    story, side, _, _ = two_in_the_buffer(behaviour)
    side.clear()
    story.run(10.0)
    assert side.playback() == []
    assert len(side.heard()) == 2


@shows("cleared_response_id", True)
def cleared_names_its_response(behaviour: Behaviour) -> None:
    _, side, response_id = playing(behaviour)
    side.clear()
    assert side.playback() == [("cleared", response_id)]


@shows("cleared_response_id", False)
def cleared_names_nothing(behaviour: Behaviour) -> None:
    _, side, _ = playing(behaviour)
    side.clear()
    assert side.playback() == [("cleared", None)]


@shows("auto_truncated", True)
def what_was_heard_is_told(behaviour: Behaviour) -> None:
    _, side, _ = playing(behaviour)
    side.clear()
    assert side.heard() == [1000]


@shows("auto_truncated", False)
def what_was_heard_is_not_told(behaviour: Behaviour) -> None:
    _, side, response_id = playing(behaviour)
    side.clear()
    assert side.kinds() == ["output_audio_buffer.cleared"]


# clear_while_generating


def cleared_in_mid_generation(behaviour: Behaviour) -> tuple[Controller, str]:
    story = OnCall(behaviour, Script([LONG.always()]))
    side = story.attach()
    response_id = side.created_id()
    story.run(0.5)
    side.forget()
    side.clear()
    story.run(10.0)
    return side, response_id


@shows("clear_while_generating", "later_audio_plays")
def what_is_generated_later_plays(behaviour: Behaviour) -> None:
    side, response_id = cleared_in_mid_generation(behaviour)
    assert [what for what, _ in side.playback()] == ["cleared", "started", "stopped"]
    assert side.one("response.done")["response"]["status"] == "completed"


@shows("clear_while_generating", "later_audio_dropped")
def what_is_generated_later_is_dropped(behaviour: Behaviour) -> None:
    side, response_id = cleared_in_mid_generation(behaviour)
    assert side.playback() == [("cleared", response_id)]
    assert side.one("response.done")["response"]["status"] == "completed"


@shows("clear_while_generating", "cancels")
def a_clear_cancels(behaviour: Behaviour) -> None:
    side, response_id = cleared_in_mid_generation(behaviour)
    assert side.playback() == [("cleared", response_id)]
    done = side.one("response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert side.heard() == [400]


# clear_idle


@shows("clear_idle", "error")
def a_clear_of_nothing_is_an_error(behaviour: Behaviour) -> None:
    side = OnCall(behaviour).attach()
    assert code(*side.clear()) == "output_audio_buffer_clear_no_active_response"


@shows("clear_idle", "silent")
def a_clear_of_nothing_gets_nothing(behaviour: Behaviour) -> None:
    assert OnCall(behaviour).attach().clear() == []


@shows("clear_idle", "cleared")
def a_clear_of_nothing_is_acknowledged(behaviour: Behaviour) -> None:
    side = OnCall(behaviour).attach()
    side.clear()
    assert side.playback() == [("cleared", None)]


# vad_clears_oob


@shows("vad_clears_oob", True)
def a_barge_in_clears_out_of_band_sound(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG.always()]))
    side = story.attach()
    other = side.created_id(conversation="none")
    story.run(1.0)
    story.speech(300)
    assert side.playback() == [("started", other), ("cleared", other)]
    assert side.heard() == []


@shows("vad_clears_oob", False)
def a_barge_in_leaves_out_of_band_sound(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([LONG.always()]))
    side = story.attach()
    other = side.created_id(conversation="none")
    story.run(1.0)
    default = side.created_id()
    story.run(1.0)
    story.speech(300)
    assert side.playback() == [("started", other), ("cleared", default)]
    assert side.heard() == [0]


# The end


def ends_with(behaviour: Behaviour, kind: CallKind) -> list[ServerEffect]:
    """How the media peer's leaving shows on a sideband."""
    story = OnCall(behaviour, kind=kind)
    side = story.attach()
    story.hang_up()
    story.run(10.0)
    side.send("session.update", **UPDATE)
    assert side.events == []
    return side.ended


@shows("call_end_close", "abrupt")
def a_caller_leaves_without_a_close_frame(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.SIP) == [Abort()]


@shows("call_end_close", "close_1000")
def a_caller_leaves_with_1000(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.SIP) == [CloseConnection(1000)]


@shows("call_end_close", "close_1001")
def a_caller_leaves_with_1001(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.SIP) == [CloseConnection(1001)]


@shows("call_end_close", "stays_open")
def a_caller_leaves_unnoticed(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.SIP) == []


@shows("call_end_close_webrtc", "abrupt")
def a_browser_leaves_without_a_close_frame(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.WEBRTC) == [Abort()]


@shows("call_end_close_webrtc", "close_1000")
def a_browser_leaves_with_1000(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.WEBRTC) == [CloseConnection(1000)]


@shows("call_end_close_webrtc", "close_1001")
def a_browser_leaves_with_1001(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.WEBRTC) == [CloseConnection(1001)]


@shows("call_end_close_webrtc", "stays_open")
def a_browser_leaves_unnoticed(behaviour: Behaviour) -> None:
    assert ends_with(behaviour, CallKind.WEBRTC) == []


# The session


def with_threshold(behaviour: Behaviour, kind: CallKind) -> str:
    detection = {"type": "server_vad", "threshold": 0.6}
    side = OnCall(behaviour, kind=kind).attach()
    session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
    (reply,) = side.send("session.update", session=session)
    kind_of_reply: str = reply["type"]
    return kind_of_reply


@shows("sip_turn_detection_limits", "refused")
def a_telephone_call_refuses_numbers_of_turn_detection(behaviour: Behaviour) -> None:
    assert with_threshold(behaviour, CallKind.SIP) == "error"
    assert with_threshold(behaviour, CallKind.WEBRTC) == "session.updated"


@shows("sip_turn_detection_limits", "taken")
def a_telephone_call_takes_numbers_of_turn_detection(behaviour: Behaviour) -> None:
    assert with_threshold(behaviour, CallKind.SIP) == "session.updated"


def transcription_after_an_update_of_turns(behaviour: Behaviour) -> object:
    side = OnCall(behaviour, session={"audio": {"input": {"transcription": {"model": "w"}}}})
    controller = side.attach()
    session = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    (reply,) = controller.send("session.update", session=session)
    assert reply["session"]["audio"]["input"]["turn_detection"] is None
    found: object = reply["session"]["audio"]["input"]["transcription"]
    return found


@shows("nested_update", "merged")
def an_update_leaves_what_it_does_not_name(behaviour: Behaviour) -> None:
    assert transcription_after_an_update_of_turns(behaviour) == {"model": "w"}


@shows("nested_update", "replaced")
def an_update_replaces_the_whole_of_audio_input(behaviour: Behaviour) -> None:
    assert transcription_after_an_update_of_turns(behaviour) is None


# call_id_style


@shows("call_id_style", "u_suffix")
def a_call_id_ends_as_the_session_id_does(behaviour: Behaviour) -> None:
    call = OnCall(behaviour).call
    assert re.fullmatch(r"rtc_u\d_[0-9A-Za-z]{21}", call.id)
    assert call.session["id"] == call.id.replace("rtc_", "sess_")


@shows("call_id_style", "hex")
def a_call_id_is_hexadecimal(behaviour: Behaviour) -> None:
    assert re.fullmatch(r"rtc_[0-9a-f]{32}", OnCall(behaviour).call.id)


@shows("call_id_style", "uuid")
def a_call_id_is_a_uuid(behaviour: Behaviour) -> None:
    call_id = OnCall(behaviour).call.id
    assert str(UUID(call_id)) == call_id


# dtmf


@shows("dtmf", "event_only")
def keys_are_events_only(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, kind=CallKind.SIP)
    side = story.attach()
    for key in "12#":
        story.press(key)
    story.run(10.0)
    assert side.kinds() == ["input_audio_buffer.dtmf_event_received"] * 3


@shows("dtmf", "as_text")
def keys_are_a_turn_of_the_user_after_a_hash(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([say("Thank you.").always()]), kind=CallKind.SIP)
    side = story.attach()
    for key in "12#":
        story.press(key)
    assert side.all("conversation.item.added")[0]["item"]["content"][0]["text"] == "12#"
    assert side.kinds()[-1] == "response.created"


@shows("dtmf", "as_text")
def keys_are_a_turn_of_the_user_after_a_pause_or_speech(behaviour: Behaviour) -> None:
    story = OnCall(behaviour, Script([say("Thank you.").always()]), kind=CallKind.SIP)
    side = story.attach()
    story.press("1")
    story.run(2.4)
    assert "response.created" not in side.kinds()
    story.run(0.2)
    assert "response.created" in side.kinds()
    story.run(5.0)
    side.forget()
    story.press("2")
    story.speech(300)
    assert side.all("conversation.item.added")[0]["item"]["content"][0]["text"] == "2"
