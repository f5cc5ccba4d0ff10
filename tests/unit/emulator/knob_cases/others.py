"""Cases of the knobs about errors, items, transcription, the session, and extras on the wire."""

from antiphon.emulator import Behaviour, CloseConnection, Pace, Script, call, say
from antiphon.emulator.audio import speech
from antiphon.emulator.engine.handshake import HttpRefusal, Opening, judge
from tests.helpers.emulated import Emulated, Json, user_text
from tests.unit.emulator.knob_cases.registry import LONG, shows, story

__all__: list[str] = []

TURN = speech.user_voice(400) + bytes(48 * 400)


# Errors


@shows("error_event_id_echo", "always")
def every_error_names_its_event(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    for item_error in ("conversation.item.delete", "conversation.item.retrieve"):
        assert client.error(item_error, item_id="no", event_id="mine")["event_id"] == "mine"
    (reply,) = client.send_raw({"type": "conversation.item.delete", "item_id": "no"})
    assert reply["error"]["event_id"] is None


@shows("error_event_id_echo", "never")
def no_error_names_its_event(behaviour: Behaviour) -> None:
    assert Emulated(behaviour).error("response.cancel", event_id="mine")["event_id"] is None


@shows("error_event_id_echo", "per_code")
def some_errors_name_their_event(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    deleting = client.error("conversation.item.delete", item_id="no", event_id="mine")
    assert deleting["event_id"] is None
    retrieving = client.error("conversation.item.retrieve", item_id="no", event_id="mine")
    assert retrieving["event_id"] == "mine"


@shows("error_codes_without_echo", frozenset({"response_cancel_not_active"}))
def listed_code_is_not_echoed(behaviour: Behaviour) -> None:
    client = Emulated(behaviour.but(error_event_id_echo="per_code"))
    assert client.error("response.cancel", event_id="mine")["event_id"] is None


@shows("error_codes_without_echo", frozenset())
def code_that_is_not_listed_is_echoed(behaviour: Behaviour) -> None:
    client = Emulated(behaviour.but(error_event_id_echo="per_code"))
    assert client.error("response.cancel", event_id="mine")["event_id"] == "mine"


@shows("error_event_id_place", "error")
def echo_stands_in_the_error_object(behaviour: Behaviour) -> None:
    (reply,) = Emulated(behaviour).send("response.cancel", event_id="mine")
    assert reply["event_id"].startswith("event_")
    assert reply["error"]["event_id"] == "mine"


@shows("error_event_id_place", "outer")
def echo_stands_in_the_outer_id(behaviour: Behaviour) -> None:
    (reply,) = Emulated(behaviour).send("response.cancel", event_id="mine")
    assert reply["event_id"] == "mine"
    assert "event_id" not in reply["error"]


@shows("bad_json_reply", "error")
def bad_json_is_an_error(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    for frame in (b"{", b"[1]", b'"hi"', b"null", b"\xff\xfe", b"[" * 100_000):
        (reply,) = client.send_raw(frame)
        assert reply["error"]["type"] == "invalid_request_error"
        assert reply["error"]["event_id"] is None
    assert client.engine.active_responses == []
    assert not client.engine.closed


@shows("bad_json_reply", "close")
def bad_json_closes(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    assert client.send_raw(b"{") == []
    (effect,) = client.ended
    assert isinstance(effect, CloseConnection)
    assert effect.code == 1007


@shows("unknown_event", "error")
def unknown_event_is_an_error(behaviour: Behaviour) -> None:
    error = Emulated(behaviour).error("scooby.dooby.doo")
    assert (error["code"], error["param"]) == ("invalid_value", "type")
    assert error["message"].startswith("Invalid value: 'scooby.dooby.doo'. Supported values are: ")
    assert error["event_id"] == "c1"


@shows("unknown_event", "ignore")
def unknown_event_is_ignored(behaviour: Behaviour) -> None:
    assert Emulated(behaviour).send("scooby.dooby.doo") == []


# Items


def create_twice(behaviour: Behaviour) -> tuple[Emulated, list[Json]]:
    client = Emulated(behaviour)
    client.send("conversation.item.create", item=user_text("One.", id="item_a"))
    return client, client.send("conversation.item.create", item=user_text("Two.", id="item_a"))


@shows("max_id_chars", 32)
def ids_of_clients_have_32_characters_at_most(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    error = client.error("conversation.item.create", item=user_text("One.", id="x" * 33))
    assert error["message"] == (
        "Invalid 'item.id': string too long. Expected a string with maximum length 32, but got a "
        "string with length 33 instead."
    )
    client.send("conversation.item.create", item=user_text("One.", id="x" * 32))
    assert client.engine.item_ids == ["x" * 32]


@shows("max_id_chars", 64)
def ids_of_clients_may_be_longer_elsewhere(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.send("conversation.item.create", item=user_text("One.", id="x" * 64))
    assert client.engine.item_ids == ["x" * 64]


@shows("duplicate_item_id", "append")
def duplicate_item_is_appended_behind_itself(behaviour: Behaviour) -> None:
    client, replies = create_twice(behaviour)
    assert [reply["type"] for reply in replies] == [
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert replies[0]["previous_item_id"] == "item_a"
    assert client.engine.item_ids == ["item_a", "item_a"]


@shows("duplicate_item_id", "ignore")
def duplicate_item_is_ignored(behaviour: Behaviour) -> None:
    client, replies = create_twice(behaviour)
    assert replies == []
    assert client.engine.item_ids == ["item_a"]


@shows("duplicate_item_id", "error")
def duplicate_item_is_refused(behaviour: Behaviour) -> None:
    client, (reply,) = create_twice(behaviour)
    assert reply["type"] == "error"
    assert client.engine.item_ids == ["item_a"]


def second_item(behaviour: Behaviour) -> tuple[object, object]:
    client = Emulated(behaviour)
    client.send("conversation.item.create", item=user_text("One.", id="item_a"))
    added, done = client.send("conversation.item.create", item=user_text("Two."))
    client.send("conversation.item.create", item=user_text("Three."))
    assert client.events[-1]["previous_item_id"] == added["item"]["id"]
    return added["previous_item_id"], done["previous_item_id"]


@shows("previous_item_id_quirk", False)
def done_names_the_first_item(behaviour: Behaviour) -> None:
    assert second_item(behaviour) == ("item_a", "item_a")


@shows("previous_item_id_quirk", True)
def done_does_not_name_the_first_item(behaviour: Behaviour) -> None:
    assert second_item(behaviour) == ("item_a", None)


def item_dones(behaviour: Behaviour) -> int:
    client = Emulated(behaviour, Script([say("Hi.")]))
    client.send("conversation.item.create", item=user_text("One."))
    client.created_id()
    client.run(5)
    client.speak(TURN)
    assert len(client.all("conversation.item.added")) == 3
    return len(client.all("conversation.item.done"))


@shows("item_done", True)
def every_item_is_done(behaviour: Behaviour) -> None:
    assert item_dones(behaviour) == 3


@shows("item_done", False)
def no_item_is_done(behaviour: Behaviour) -> None:
    assert item_dones(behaviour) == 0


OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "42"}


def item_during_a_response(behaviour: Behaviour) -> list[str]:
    client = story(behaviour)
    client.created_id()
    client.run(0.2)
    client.forget()
    client.send("conversation.item.create", item=user_text("By the way."))
    client.run(5)
    kinds = [
        kind for kind in client.kinds() if kind in ("response.done", "conversation.item.added")
    ]
    client.out_of_band()
    assert client.send("conversation.item.create", item=user_text("Also."))
    return kinds


@shows("items_during_response", "at_once")
def item_is_added_at_once(behaviour: Behaviour) -> None:
    assert item_during_a_response(behaviour) == ["conversation.item.added", "response.done"]


@shows("items_during_response", "after_done")
def item_waits_for_the_response(behaviour: Behaviour) -> None:
    assert item_during_a_response(behaviour) == ["response.done", "conversation.item.added"]


def items_after_a_cancel(behaviour: Behaviour) -> int:
    client = story(behaviour)
    client.send("conversation.item.create", item=user_text("Tell me a story."))
    client.created_id()
    client.run(0.2)
    client.cancel()
    client.run(1)
    return len(client.engine.item_ids)


@shows("cancelled_items", "kept")
def partial_turn_stays(behaviour: Behaviour) -> None:
    assert items_after_a_cancel(behaviour) == 2


@shows("cancelled_items", "removed")
def partial_turn_is_rolled_back(behaviour: Behaviour) -> None:
    assert items_after_a_cancel(behaviour) == 1


def after_an_unanswered_call(behaviour: Behaviour) -> Emulated:
    script = Script([call("f", {}, call_id="call_1"), LONG.always()])
    client = Emulated(behaviour.but(pace=Pace.instant()), script)
    client.created_id()
    return client


@shows("pending_call", "accepted")
def create_without_the_tool_output_is_fine(behaviour: Behaviour) -> None:
    assert after_an_unanswered_call(behaviour).created_id()


@shows("pending_call", "error")
def create_without_the_tool_output_is_refused(behaviour: Behaviour) -> None:
    client = after_an_unanswered_call(behaviour)
    assert client.error("response.create")["code"] == "function_call_output_pending"
    assert client.out_of_band()
    client.send("conversation.item.create", item=OUTPUT)
    assert client.created_id()


@shows("pending_call", "error")
def deleted_call_pends_no_more(behaviour: Behaviour) -> None:
    client = after_an_unanswered_call(behaviour)
    client.send("conversation.item.delete", item_id=client.engine.item_ids[-1])
    assert client.created_id()


def truncate(behaviour: Behaviour) -> list[Json]:
    client = story(behaviour)
    client.created_id()
    client.run(0.2)
    item_id = client.one("response.output_item.added")["item"]["id"]
    return client.send(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100
    )


@shows("truncate_reply", "acknowledged")
def truncate_is_acknowledged(behaviour: Behaviour) -> None:
    (reply,) = truncate(behaviour)
    assert (reply["type"], reply["audio_end_ms"]) == ("conversation.item.truncated", 100)


@shows("truncate_reply", "silent")
def truncate_gets_nothing(behaviour: Behaviour) -> None:
    assert truncate(behaviour) == []


@shows("truncate_reply", "unsupported")
def truncate_is_unknown(behaviour: Behaviour) -> None:
    (reply,) = truncate(behaviour)
    assert (reply["error"]["code"], reply["error"]["param"]) == ("invalid_value", "type")


# Transcription

HEARD = "conversation.item.input_audio_transcription"


def transcribed_turn(behaviour: Behaviour) -> Emulated:
    client = Emulated(behaviour, Script([say("Good day.")], hears=["Hello there."]))
    client.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    client.forget()
    client.speak(TURN)
    client.run(5)
    assert client.one(f"{HEARD}.completed")["transcript"] == "Hello there."
    deltas = [event["delta"] for event in client.all(f"{HEARD}.delta")]
    assert "".join(deltas) == "Hello there."
    return client


@shows("transcription_timing", "after_item")
def transcription_follows_the_item(behaviour: Behaviour) -> None:
    kinds = transcribed_turn(behaviour).kinds()
    assert kinds.index("conversation.item.done") < kinds.index(f"{HEARD}.delta")
    assert kinds.index(f"{HEARD}.completed") < kinds.index("response.done")


@shows("transcription_timing", "before_item")
def transcription_comes_before_the_item(behaviour: Behaviour) -> None:
    client = transcribed_turn(behaviour)
    kinds = client.kinds()
    assert kinds.index(f"{HEARD}.delta") < kinds.index("input_audio_buffer.speech_stopped")
    item_id = client.one("input_audio_buffer.committed")["item_id"]
    assert {event["item_id"] for event in client.all(f"{HEARD}.delta")} == {item_id}


@shows("transcription_timing", "after_response")
def transcription_follows_the_response(behaviour: Behaviour) -> None:
    kinds = transcribed_turn(behaviour).kinds()
    assert kinds.index("response.done") < kinds.index(f"{HEARD}.delta")


@shows("transcription_latency_ms", 0)
def transcription_can_be_immediate(behaviour: Behaviour) -> None:
    assert transcribed_turn(behaviour).time_of(f"{HEARD}.completed") == 0


@shows("transcription_latency_ms", 700.0)
def transcription_can_be_slow(behaviour: Behaviour) -> None:
    assert transcribed_turn(behaviour).time_of(f"{HEARD}.completed") == 0.7


# Extras


def one_response(behaviour: Behaviour) -> Emulated:
    client = Emulated(behaviour.but(pace=Pace.instant()), Script([say("Hi.", ms=200)]))
    client.send("response.create")
    return client


@shows("rate_limits_updated", "after_done")
def rate_limits_follow_done(behaviour: Behaviour) -> None:
    assert one_response(behaviour).kinds()[-2:] == ["response.done", "rate_limits.updated"]


@shows("rate_limits_updated", "after_created")
def rate_limits_follow_created(behaviour: Behaviour) -> None:
    kinds = one_response(behaviour).kinds()
    assert kinds[:2] == ["response.created", "rate_limits.updated"]
    assert kinds.count("rate_limits.updated") == 1


@shows("rate_limits_updated", "never")
def rate_limits_never_come(behaviour: Behaviour) -> None:
    assert "rate_limits.updated" not in one_response(behaviour).kinds()


@shows("conversation_created", "never")
def session_created_is_all_there_is(behaviour: Behaviour) -> None:
    assert Emulated(behaviour, keep_hello=True).kinds() == ["session.created"]


@shows("conversation_created", "after_session_created")
def conversation_created_follows(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, keep_hello=True)
    assert client.kinds() == ["session.created", "conversation.created"]
    assert client.events[1]["conversation"]["id"].startswith("conv_")


@shows("ping_interval_s", 0)
def no_pings_are_sent(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.run(600)
    assert client.all("ping") == []


@shows("ping_interval_s", 10.0)
def pings_are_sent(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.run(35)
    assert client.times == [10, 20, 30]
    assert client.kinds() == ["ping"] * 3


@shows("obfuscation", False)
def deltas_are_plain(behaviour: Behaviour) -> None:
    assert [e for e in one_response(behaviour).events if "obfuscation" in e] == []


@shows("obfuscation", True)
def text_like_deltas_are_obfuscated(behaviour: Behaviour) -> None:
    events = one_response(behaviour).events
    kinds = {event["type"] for event in events if "obfuscation" in event}
    assert kinds == {"response.output_audio_transcript.delta"}


@shows("phase", False)
def items_have_no_phase(behaviour: Behaviour) -> None:
    item = one_response(behaviour).one("response.output_item.added")["item"]
    assert "phase" not in item


@shows("phase", True)
def items_have_a_phase(behaviour: Behaviour) -> None:
    item = one_response(behaviour).one("response.output_item.added")["item"]
    assert item["phase"] == "final_answer"


# Session


def hello(behaviour: Behaviour) -> Json:
    session: Json = Emulated(behaviour, keep_hello=True).one("session.created")["session"]
    return session


@shows("model", "gpt-realtime-2.1")
@shows("model", "gpt-other")
def session_names_the_model(behaviour: Behaviour) -> None:
    assert hello(behaviour)["model"] == behaviour.model


@shows("voice", "marin")
@shows("voice", "cedar")
def session_names_the_voice(behaviour: Behaviour) -> None:
    assert hello(behaviour)["audio"]["output"]["voice"] == behaviour.voice


@shows("silence_duration_ms", 200)
@shows("silence_duration_ms", 500)
def silence_of_that_length_ends_a_turn(behaviour: Behaviour) -> None:
    length = behaviour.silence_duration_ms
    detection = hello(behaviour)["audio"]["input"]["turn_detection"]
    assert detection["silence_duration_ms"] == length
    client = Emulated(behaviour)
    client.speak(speech.user_voice(400) + bytes(48 * (length - 60)))
    assert client.all("input_audio_buffer.speech_stopped") == []
    client.speak(bytes(48 * 200))
    stopped = client.one("input_audio_buffer.speech_stopped")
    assert abs(stopped["audio_end_ms"] - 400 - length) <= 100


@shows("session_max_s", 3600.0)
@shows("session_max_s", 60.0)
def session_ends_in_time(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.run(behaviour.session_max_s - 1)
    assert client.ended == []
    client.run(1)
    minutes = int(behaviour.session_max_s / 60)
    reason = f"Your session hit the maximum duration of {minutes} minutes."
    assert client.ended == [CloseConnection(1001, reason)]


@shows("expiry", "close_1001")
def expiry_is_a_close(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.run(3600)
    reason = "Your session hit the maximum duration of 60 minutes."
    assert client.ended == [CloseConnection(1001, reason)]
    assert client.events == []
    assert client.engine.next_deadline() is None


@shows("expiry", "error_and_close")
def expiry_is_an_error_and_a_close(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.run(3600)
    assert client.one("error")["error"]["code"] == "session_expired"
    assert len(client.ended) == 1


@shows("expiry", "error_only")
def expiry_is_an_error(behaviour: Behaviour) -> None:
    client = Emulated(behaviour)
    client.run(3600)
    error = client.one("error")["error"]
    assert (error["code"], error["event_id"]) == ("session_expired", None)
    assert client.ended == []


# Handshake


def knock(behaviour: Behaviour, authorization: str) -> HttpRefusal | Opening:
    headers = {"Authorization": authorization} if authorization else {}
    return judge(behaviour, "/v1/realtime?model=m", headers, "good")


@shows("auth_failure", "http_401_or_close_3000")
def wrong_key_is_told_on_the_socket(behaviour: Behaviour) -> None:
    missing = knock(behaviour, "")
    assert isinstance(missing, HttpRefusal)
    assert missing.status == 401
    opening = knock(behaviour, "Bearer bad")
    assert isinstance(opening, Opening)
    client = Emulated(behaviour, opening=opening, keep_hello=True)
    assert client.one("error")["error"]["code"] == "invalid_api_key"
    assert client.ended == [CloseConnection(3000, "invalid_request_error.invalid_api_key")]


@shows("auth_failure", "always_401")
def wrong_key_is_http_401(behaviour: Behaviour) -> None:
    for authorization in ("", "Bearer bad"):
        refusal = knock(behaviour, authorization)
        assert isinstance(refusal, HttpRefusal)
        assert refusal.status == 401
    assert knock(behaviour, "Bearer good") == Opening("m")


@shows("missing_model", "accept")
def missing_model_is_fine(behaviour: Behaviour) -> None:
    assert judge(behaviour, "/v1/realtime", {}, None) == Opening()


@shows("missing_model", "close_4000")
def missing_model_closes(behaviour: Behaviour) -> None:
    opening = judge(behaviour, "/v1/realtime", {}, None)
    assert isinstance(opening, Opening)
    client = Emulated(behaviour, opening=opening, keep_hello=True)
    assert client.kinds() == ["error"]
    assert client.ended == [CloseConnection(4000, "invalid_request_error.missing_model")]


def voice_reply(behaviour: Behaviour, voice: object) -> Json:
    session = {"type": "realtime", "audio": {"output": {"voice": voice}}}
    (reply,) = Emulated(behaviour).send("session.update", session=session)
    return reply


@shows("voices", "openai")
def only_listed_voices_are_taken(behaviour: Behaviour) -> None:
    error = voice_reply(behaviour, "nova")["error"]
    assert error["message"].startswith("Invalid value: 'nova'. Supported values are: 'alloy', ")
    assert error["message"].endswith("'marin', and 'cedar'.")
    assert error["param"] == "session.audio.output.voice"
    for voice in ("cedar", {"id": "voice_1234"}):
        assert voice_reply(behaviour, voice)["type"] == "session.updated"


@shows("voices", "any")
def any_voice_is_taken(behaviour: Behaviour) -> None:
    assert voice_reply(behaviour, "nova")["session"]["audio"]["output"]["voice"] == "nova"


# Dialects; test_dialect.py goes into them


@shows("dialect", "ga")
def ga_names(behaviour: Behaviour) -> None:
    client = one_response(behaviour)
    assert "response.output_audio.delta" in client.kinds()
    assert "content" not in client.one("response.content_part.done")


@shows("dialect", "azure_ga")
def azure_repeats_the_part(behaviour: Behaviour) -> None:
    done = one_response(behaviour).one("response.content_part.done")
    assert done["content"] == done["part"]


@shows("dialect", "beta")
def beta_names(behaviour: Behaviour) -> None:
    kinds = one_response(behaviour).kinds()
    assert "response.audio.delta" in kinds
    assert "conversation.item.created" in kinds
    assert not any("output_audio" in kind for kind in kinds)


@shows("dialect", "voice_live")
def voice_live_takes_azure_turn_detection(behaviour: Behaviour) -> None:
    client = Emulated(behaviour, Script([LONG]))
    detection = {
        "type": "azure_semantic_vad",
        "silence_duration_ms": 300,
        "remove_filler_words": True,
    }
    (reply,) = client.send("session.update", session={"turn_detection": detection})
    assert reply["session"]["turn_detection"] == detection


@shows("dialect", "xai")
def xai_has_its_own_done(behaviour: Behaviour) -> None:
    done = one_response(behaviour).one("response.done")
    assert done["response"]["status_details"] == "unimplemented"
    assert "usage" not in done["response"]
    assert done["usage"]["total_tokens"] > 0
