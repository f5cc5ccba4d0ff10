"""Cases of the knobs about lanes, admission and generation."""

from antiphon.emulator import Behaviour, Pace, Script, answer, call, fail, say
from antiphon.emulator.audio import speech
from tests.helpers.emulated import Emulated, user_text
from tests.unit.emulator.knob_cases.registry import LONG, code, shows, story

__all__: list[str] = []

ACTIVE = "conversation_already_has_active_response"
TURN = speech.user_voice(400) + bytes(48 * 400)


# When a response is created


@shows("created_latency_ms", 0)
def created_comes_at_once(behaviour: Behaviour) -> None:
    assert story(behaviour).create()["type"] == "response.created"


@shows("created_latency_ms", 300.0)
def created_comes_late_and_the_lane_is_taken_meanwhile(behaviour: Behaviour) -> None:
    client = story(behaviour)
    assert client.send("response.create") == []
    error = client.error("response.create")
    client.run(1)
    assert client.time_of("response.created") == 0.3
    # P-44: the error named a response whose created had not been sent.
    assert client.one("response.created")["response"]["id"] in error["message"]


# When the lane is free again


@shows("slot_free_at", 0)
def lane_is_free_right_after_done(behaviour: Behaviour) -> None:
    client = Emulated(behaviour.but(pace=Pace.instant()), Script([say("Hi.").always()]))
    assert client.created_id() != client.created_id()


@shows("slot_free_at", 500.0)
def lane_is_taken_for_a_while_after_done(behaviour: Behaviour) -> None:
    client = Emulated(behaviour.but(pace=Pace.instant()), Script([say("Hi.").always()]))
    first = client.created_id()
    assert client.done(first)["status"] == "completed"
    error = client.error("response.create")
    assert error["code"] == ACTIVE
    assert first in error["message"]
    assert [code(reply) for reply in client.cancel()] == ["response_cancel_not_active"]
    client.run(0.5)
    assert client.created_id()


# A cancelled response and its successor


@shows("old_done_vs_new_created", "done_first")
def create_waits_for_the_old_done(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.cancel(client.created_id())
    assert code(client.create()) == ACTIVE


@shows("old_done_vs_new_created", "created_first")
def new_created_goes_before_the_old_done(behaviour: Behaviour) -> None:
    client = story(behaviour)
    old = client.created_id()
    client.cancel(old)
    new = client.created_id()
    client.run(0.03)
    order = [
        (event["type"], event["response"]["id"]) for event in client.events if "response" in event
    ]
    assert order == [("response.created", old), ("response.created", new), ("response.done", old)]
    assert client.engine.active_responses == [new]
    assert code(client.create()) == ACTIVE


# Out of band


@shows("max_parallel_oob", None)
def any_number_runs_out_of_band(behaviour: Behaviour) -> None:
    client = story(behaviour)
    ids = [client.out_of_band() for _ in range(100)]
    client.run(0.1)
    assert client.engine.active_responses == ids


@shows("max_parallel_oob", 2)
def third_out_of_band_is_refused(behaviour: Behaviour) -> None:
    client = story(behaviour)
    first, _ = client.out_of_band(), client.out_of_band()
    assert client.create(conversation="none")["type"] == "error"
    assert client.created_id()
    client.cancel(first)
    client.run(0.1)
    assert client.out_of_band()


@shows("out_of_band", "separate")
def out_of_band_runs_beside_the_default_one(behaviour: Behaviour) -> None:
    client = story(behaviour)
    default, out = client.created_id(), client.out_of_band(metadata={"purpose": "mood"})
    client.run(1)
    lanes = {event["response"]["id"]: event["response"] for event in client.all("response.created")}
    assert lanes[default]["conversation_id"]
    assert lanes[out]["conversation_id"] is None
    assert lanes[out]["metadata"] == {"purpose": "mood"}
    deltas = [e["response_id"] for e in client.all("response.output_audio.delta")]
    assert deltas[:4] == [default, out, default, out]


@shows("out_of_band", "shared_slot")
def all_responses_share_one_slot(behaviour: Behaviour) -> None:
    client = story(behaviour)
    out = client.out_of_band()
    assert client.one("response.created")["response"]["conversation_id"] is None
    assert client.create()["error"]["code"] == ACTIVE
    client.cancel(out)
    client.run(0.1)
    client.created_id()
    assert client.create(conversation="none")["error"]["code"] == ACTIVE


@shows("out_of_band", "ignored")
def out_of_band_writes_to_the_default_conversation(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.send("response.create", response={"conversation": "none", "input": [user_text("Hm?")]})
    assert client.kinds()[:3] == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    assert client.one("response.created")["response"]["conversation_id"]
    assert client.create()["error"]["code"] == ACTIVE


def conversation_events_of_out_of_band(behaviour: Behaviour) -> list[str]:
    client = Emulated(behaviour, Script([say("Yes.")]))
    client.out_of_band()
    client.run(5)
    assert "response.output_item.added" in client.kinds()
    assert client.engine.item_ids == []
    return [kind for kind in client.kinds() if kind.startswith("conversation.")]


@shows("oob_emits_conversation_items", False)
def out_of_band_items_stay_out_of_sight(behaviour: Behaviour) -> None:
    assert conversation_events_of_out_of_band(behaviour) == []


@shows("oob_emits_conversation_items", True)
def out_of_band_items_are_announced(behaviour: Behaviour) -> None:
    events = conversation_events_of_out_of_band(behaviour)
    assert events == ["conversation.item.added", "conversation.item.done"]


# Turn detection and responses


@shows("vad_interrupts_oob", False)
def speech_cancels_the_default_one_only(behaviour: Behaviour) -> None:
    client = story(behaviour)
    out, default = client.out_of_band(), client.created_id()
    client.run(0.1)
    client.speak(speech.user_voice(200))
    client.run(0.1)
    assert client.done(default)["status_details"]["reason"] == "turn_detected"
    assert client.engine.active_responses == [out]


@shows("vad_interrupts_oob", True)
def speech_cancels_out_of_band_too(behaviour: Behaviour) -> None:
    client = story(behaviour)
    out, default = client.out_of_band(), client.created_id()
    client.run(0.1)
    client.speak(speech.user_voice(200))
    client.run(0.1)
    for one in (out, default):
        assert client.done(one)["status_details"]["reason"] == "turn_detected"


def turn_over_a_response(behaviour: Behaviour) -> tuple[Emulated, str]:
    """The user says something during a response that speech does not interrupt."""
    client = story(behaviour)
    detection = {"type": "server_vad", "interrupt_response": False}
    client.configure(audio={"input": {"turn_detection": detection}})
    running = client.created_id()
    client.forget()
    client.speak(TURN)
    assert "input_audio_buffer.committed" in client.kinds()
    return client, running


@shows("vad_create_when_busy", "dropped")
def automatic_response_is_dropped(behaviour: Behaviour) -> None:
    client, running = turn_over_a_response(behaviour)
    client.run(10)
    assert client.all("response.created") == client.all("error") == []
    assert client.done(running)["status"] == "completed"


@shows("vad_create_when_busy", "error")
def automatic_response_fails_with_an_error(behaviour: Behaviour) -> None:
    client, running = turn_over_a_response(behaviour)
    error = client.one("error")["error"]
    assert error["code"] == ACTIVE
    assert error["event_id"] is None
    assert client.engine.active_responses == [running]


@shows("vad_create_when_busy", "queued")
def automatic_response_waits(behaviour: Behaviour) -> None:
    client, running = turn_over_a_response(behaviour)
    assert client.all("response.created") == []
    client.run(1.5)
    kinds = [kind for kind in client.kinds() if kind in ("response.done", "response.created")]
    assert kinds == ["response.done", "response.created"]
    assert client.done(running)["status"] == "completed"
    assert client.one("response.created")["response"]["metadata"] is None


@shows("vad_while_responding", True)
def speech_is_heard_during_a_response(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.created_id()
    client.speak(TURN)
    assert "input_audio_buffer.speech_started" in client.kinds()


@shows("vad_while_responding", False)
def speech_is_not_heard_during_a_response(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.created_id()
    assert client.speak(TURN) == []
    client.run(10)
    client.speak(TURN)
    assert "input_audio_buffer.speech_started" in client.kinds()


# A lane that is taken


@shows("create_when_busy", "error")
def create_for_a_taken_lane_is_refused_and_nothing_else(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.created_id()
    assert client.error("response.create")["code"] == ACTIVE
    client.run(10)
    assert len(client.all("response.created")) == 1


@shows("create_when_busy", "queue")
def create_for_a_taken_lane_waits(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.created_id()
    assert client.send("response.create", response={"metadata": {"n": "2"}}) == []
    client.run(10)
    _, second = client.all("response.created")
    assert second["response"]["metadata"] == {"n": "2"}
    assert len(client.all("response.done")) == 2


@shows("create_when_busy", "queue")
def queued_create_whose_reference_is_gone_is_refused(behaviour: Behaviour) -> None:
    client = story(behaviour)
    client.send("conversation.item.create", item=user_text("Hm.", id="item_a"))
    client.created_id()
    reference = [{"type": "item_reference", "id": "item_a"}]
    client.send("response.create", event_id="late", response={"input": reference})
    client.send("conversation.item.delete", item_id="item_a")
    client.run(10)
    assert client.one("error")["error"]["event_id"] == "late"
    assert client.created_id()


@shows("create_when_busy", "supersede")
def create_for_a_taken_lane_supersedes(behaviour: Behaviour) -> None:
    client = story(behaviour)
    old = client.created_id()
    client.run(0.1)
    client.forget()
    client.send("response.create")
    kinds = [kind for kind in client.kinds() if kind in ("response.done", "response.created")]
    assert kinds == ["response.done", "response.created"]
    assert client.done(old)["status"] == "cancelled"
    client.run(0.1)
    assert len(client.engine.active_responses) == 1


@shows("superseded_done", "sent")
def superseded_response_is_done(behaviour: Behaviour) -> None:
    client = story(behaviour.but(create_when_busy="supersede", created_latency_ms=50))
    client.send("response.create")
    client.send("response.create")
    client.run(0.2)
    first, second = (event["response"]["id"] for event in client.all("response.created"))
    assert client.done(first)["status"] == "cancelled"
    assert client.engine.active_responses == [second]


@shows("superseded_done", "omitted")
def superseded_response_just_stops(behaviour: Behaviour) -> None:
    client = story(behaviour.but(create_when_busy="supersede"))
    old = client.created_id()
    client.run(0.1)
    client.forget()
    new = client.created_id()
    client.run(10)
    assert client.of(old) == []
    assert client.done(new)["status"] == "completed"
    assert client.engine.finished_responses == {old: "cancelled", new: "completed"}


def active_error(behaviour: Behaviour) -> tuple[str, object, str]:
    client = story(behaviour)
    client.created_id()
    error = client.error("response.create")
    return error["type"], error["code"], error["message"]


@shows("active_error_form", "with_id")
def active_error_names_the_response(behaviour: Behaviour) -> None:
    kind, error_code, message = active_error(behaviour)
    assert (kind, error_code) == ("invalid_request_error", ACTIVE)
    assert message.startswith("Conversation already has an active response in progress: resp_")
    assert message.endswith(". Wait until the response is finished before creating a new one.")


@shows("active_error_form", "short")
def active_error_is_short(behaviour: Behaviour) -> None:
    assert active_error(behaviour) == (
        "invalid_request_error",
        ACTIVE,
        "Conversation already has an active response",
    )


@shows("active_error_form", "code_null")
def active_error_has_no_code(behaviour: Behaviour) -> None:
    assert active_error(behaviour)[:2] == ("invalid_request_error", None)


@shows("metadata_echo", True)
def metadata_is_echoed(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([say("Hi.")]))
    only = client.created_id(metadata={"key": "value"})
    client.run(5)
    assert client.done(only)["metadata"] == {"key": "value"}


@shows("metadata_echo", False)
def metadata_is_dropped(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    assert client.create(metadata={"key": "value"})["response"]["metadata"] is None


# Items of one response

TWO_ITEMS = answer(say("One moment.", ms=200), call("lookup", {"city": "Oslo"}))


@shows("multi_item_done_order", "batched")
def done_events_come_together_at_the_end(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([TWO_ITEMS]))
    client.created_id()
    client.run(5)
    kinds = client.kinds()
    last_delta = max(place for place, kind in enumerate(kinds) if kind.endswith(".delta"))
    assert kinds[last_delta + 1 :] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]


@shows("multi_item_done_order", "item_by_item")
def first_item_is_done_before_the_second_begins(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([TWO_ITEMS]))
    client.created_id()
    client.run(5)
    items = [
        (event["type"].rpartition(".")[2], event["output_index"])
        for event in client.events
        if event["type"].startswith("response.output_item.")
    ]
    assert items == [("added", 0), ("done", 0), ("added", 1), ("done", 1)]


@shows("response_done_on_failure", "always")
def failed_response_is_done(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([fail("rate_limit_exceeded", "Slow down.")]))
    failed = client.created_id()
    client.run(5)
    response = client.done(failed)
    assert response["status"] == "failed"
    assert response["status_details"] == {
        "type": "failed",
        "error": {"type": "server_error", "code": "rate_limit_exceeded", "message": "Slow down."},
    }
    assert client.all("error") == []


@shows("response_done_on_failure", "never")
def failed_response_gets_an_error_instead(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([fail("rate_limit_exceeded"), LONG]))
    client.created_id()
    client.run(5)
    assert client.one("error")["error"]["code"] == "rate_limit_exceeded"
    assert client.all("response.done") == []
    assert client.created_id()


@shows("pace", Pace.instant())
def instant_pace_takes_no_time(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([say("Hi.", ms=1000)]))
    client.created_id()
    assert client.time_of("response.done") == 0


@shows("pace", Pace(first_output_ms=500, speed=2.0, audio_ms_per_delta=200))
def pace_sets_time_and_size_of_deltas(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([say("Hi.", ms=1000)]))
    only = client.created_id()
    client.run(5)
    deltas = [
        when
        for event, when in zip(client.events, client.times, strict=True)
        if event["type"] == "response.output_audio.delta"
    ]
    assert [round(when, 6) for when in deltas] == [0.5, 0.6, 0.7, 0.8, 0.9]
    assert len(client.audio(only)) == 48 * 1000
