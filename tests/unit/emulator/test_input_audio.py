"""The input buffer and turn detection on real audio (P-101 to P-103, P-180 to P-197)."""

import sys
from typing import Any

import pybase64
import pytest

from antiphon.emulator import Behaviour, Pace, Script, misheard, say
from antiphon.emulator.audio import speech
from antiphon.emulator.audio.formats import PCM16, PCMU, converted, encode_g711
from antiphon.emulator.engine.handshake import Opening
from tests.helpers.emulated import Emulated, Json

__all__: list[str] = []

VOICE = speech.user_voice(500)
HEARD = "conversation.item.input_audio_transcription"
TURN_KINDS = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
]


def quiet(length_ms: int) -> bytes:
    return bytes(48 * length_ms)


def in_pieces(client: Emulated, data: bytes, size: int = 960) -> None:
    for at in range(0, len(data), size):
        client.speak(data[at : at + size])


def manual(**audio: object) -> Emulated:
    client = Emulated()
    client.configure(audio={"input": {"turn_detection": None, **audio}})
    client.forget()
    return client


def detecting(script: Script | None = None, **detection: object) -> Emulated:
    client = Emulated(script=script)
    settings: Json = {"type": "server_vad", **detection}
    client.configure(audio={"input": {"turn_detection": settings}})
    client.forget()
    return client


# The buffer


def test_append_is_not_answered() -> None:
    assert manual().speak(VOICE) == []


def test_commit_makes_an_item_and_no_response() -> None:
    # P-102
    client = manual()
    client.speak(VOICE)
    committed, added, done = client.send("input_audio_buffer.commit")
    assert committed["type"] == "input_audio_buffer.committed"
    assert committed["item_id"] == added["item"]["id"] == done["item"]["id"]
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    client.run(5)
    assert client.all("response.created") == []


def test_committed_audio_can_be_retrieved_whole() -> None:
    client = manual()
    in_pieces(client, VOICE, 1001 * 2)
    committed, *_ = client.send("input_audio_buffer.commit")
    (item,) = client.send("conversation.item.retrieve", item_id=committed["item_id"])
    assert pybase64.b64decode(item["item"]["content"][0]["audio"]) == VOICE


def test_commit_of_too_little_is_refused_in_the_servers_words() -> None:
    # P-224
    client = manual()
    error = client.error("input_audio_buffer.commit")
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert error["message"] == (
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
        "but buffer only has 0.00ms of audio."
    )
    client.speak(quiet(99))
    assert "99.00ms" in client.error("input_audio_buffer.commit")["message"]
    client.speak(quiet(1))
    assert client.send("input_audio_buffer.commit")[0]["type"] == "input_audio_buffer.committed"


def test_clear_empties_the_buffer() -> None:
    client = manual()
    client.speak(VOICE)
    (cleared,) = client.send("input_audio_buffer.clear")
    assert cleared["type"] == "input_audio_buffer.cleared"
    assert client.error("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"


@pytest.mark.parametrize("audio", ["not base64!", "AAA", pybase64.b64encode_as_string(b"odd")])
def test_bad_audio_is_refused(audio: str) -> None:
    error = manual().error("input_audio_buffer.append", audio=audio)
    assert (error["code"], error["param"]) == ("invalid_value", "audio")


def test_audio_of_more_than_15_mib_is_refused() -> None:
    # P-101
    client = manual()
    limit = 15 * 1024 * 1024
    assert client.speak(bytes(limit)) == []
    (reply,) = client.speak(bytes(limit + 2))
    assert reply["error"]["param"] == "audio"


def test_buffer_is_bounded() -> None:
    client = manual()
    for _ in range(4):
        assert client.speak(bytes(15 * 1024 * 1024)) == []
    (reply,) = client.speak(bytes(15 * 1024 * 1024))
    assert reply["type"] == "error"


# Turns


def test_a_turn_is_found_committed_and_answered() -> None:
    # P-185
    client = detecting()
    client.speak(VOICE + quiet(300))
    assert client.kinds() == TURN_KINDS
    started, stopped, committed, added, done, created = client.events
    ids = {event["item_id"] for event in (started, stopped, committed)}
    assert ids == {added["item"]["id"]} == {done["item"]["id"]}
    assert created["response"]["metadata"] is None  # P-39


def test_positions_count_all_audio_and_include_padding_and_silence() -> None:
    # P-189
    client = detecting(prefix_padding_ms=300, silence_duration_ms=200)
    in_pieces(client, quiet(1000) + VOICE + quiet(300))
    start = client.one("input_audio_buffer.speech_started")["audio_start_ms"]
    end = client.one("input_audio_buffer.speech_stopped")["audio_end_ms"]
    assert abs(start - 700) <= 40
    assert abs(end - 1700) <= 80
    (item,) = client.send(
        "conversation.item.retrieve", item_id=client.one("input_audio_buffer.committed")["item_id"]
    )
    audio = pybase64.b64decode(item["item"]["content"][0]["audio"])
    assert len(audio) == 48 * (end - start)


def test_padding_does_not_reach_before_the_session_or_into_the_last_turn() -> None:
    client = detecting(prefix_padding_ms=5000, silence_duration_ms=200)
    client.speak(VOICE + quiet(220) + VOICE + quiet(300))
    starts = [e["audio_start_ms"] for e in client.all("input_audio_buffer.speech_started")]
    ends = [e["audio_end_ms"] for e in client.all("input_audio_buffer.speech_stopped")]
    assert starts[0] == 0
    assert starts[1] == ends[0]


def test_clock_of_the_detector_is_the_audio() -> None:
    # P-195
    client = detecting()
    client.speak(VOICE)
    client.run(60)
    assert client.kinds() == ["input_audio_buffer.speech_started"]
    client.speak(quiet(300))
    assert "input_audio_buffer.speech_stopped" in client.kinds()


def positions(client: Emulated) -> list[tuple[str, int | None]]:
    return [
        (event["type"], event.get("audio_start_ms", event.get("audio_end_ms")))
        for event in client.events
        if event["type"].startswith("input_audio_buffer.speech_")
    ]


def test_size_of_the_pieces_does_not_matter() -> None:
    sound = quiet(400) + VOICE + quiet(400) + VOICE + quiet(400)
    whole = detecting(create_response=False)
    whole.speak(sound)
    pieces = detecting(create_response=False)
    in_pieces(pieces, sound, 2 * 331)
    assert positions(pieces) == positions(whole)
    assert len(positions(whole)) == 4


def test_a_click_is_no_turn() -> None:
    client = detecting()
    client.speak(quiet(200) + speech.user_voice(40) + quiet(400))
    assert client.events == []


def test_threshold_lets_a_soft_voice_pass_or_not() -> None:
    soft = memoryview(VOICE).cast("h")
    quieter = b"".join(int(sample / 60).to_bytes(2, "little", signed=True) for sample in soft)
    keen = detecting(threshold=0.1)
    keen.speak(quieter + quiet(300))
    assert "input_audio_buffer.speech_started" in keen.kinds()
    dull = detecting(threshold=0.95)
    dull.speak(quieter + quiet(300))
    assert dull.events == []


def test_create_response_can_be_off() -> None:
    client = detecting(create_response=False)
    client.speak(VOICE + quiet(300))
    client.run(5)
    assert client.kinds() == TURN_KINDS[:-1]


def test_turn_detection_off_means_manual_turns() -> None:
    # P-184
    client = manual()
    client.speak(VOICE + quiet(1000))
    assert client.events == []


def test_barge_in_cancels_after_speech_started() -> None:
    # P-191, P-193, R-24
    client = Emulated(script=Script([say("A long answer.", ms=5000).always()]))
    first = client.created_id()
    client.run(0.2)
    client.forget()
    client.speak(VOICE + quiet(300))
    client.run(0.1)
    kinds = client.kinds()
    assert kinds.index("input_audio_buffer.speech_started") < kinds.index("response.done")
    assert client.done(first)["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    # The reply waits for the end of what it interrupted.
    assert kinds.index("response.done") < kinds.index("response.created")


def test_no_truncation_happens_by_itself() -> None:
    # P-197
    client = Emulated(script=Script([say("A long answer.", ms=5000).always()]))
    client.created_id()
    client.run(0.2)
    client.speak(VOICE + quiet(300))
    client.run(1)
    assert client.all("conversation.item.truncated") == []


def test_interrupt_response_can_be_off() -> None:
    client = detecting(Script([say("A long answer.", ms=5000)]), interrupt_response=False)
    first = client.created_id()
    client.run(0.2)
    client.speak(VOICE)
    client.run(5)
    assert client.done(first)["status"] == "completed"


def test_client_commit_during_speech_has_another_item() -> None:
    # P-190
    client = detecting(create_response=False)
    client.speak(VOICE)
    named = client.one("input_audio_buffer.speech_started")["item_id"]
    committed, *_ = client.send("input_audio_buffer.commit")
    assert committed["item_id"] != named


def test_client_commit_after_the_servers_finds_nothing() -> None:
    # P-196, R-18
    client = detecting(create_response=False)
    client.speak(VOICE + quiet(220))
    assert client.error("input_audio_buffer.commit")["code"] == "input_audio_buffer_commit_empty"


def test_silence_between_turns_is_forgotten() -> None:
    client = detecting(create_response=False)
    for _ in range(50):
        client.speak(quiet(1000))
    # What a commit finds now is no more than could have become padding.
    committed, *_ = client.send("input_audio_buffer.commit")
    (item,) = client.send("conversation.item.retrieve", item_id=committed["item_id"])
    assert len(pybase64.b64decode(item["item"]["content"][0]["audio"])) < 48 * 1000


def test_clear_ends_a_turn_that_had_begun() -> None:
    client = detecting()
    client.speak(VOICE)
    client.send("input_audio_buffer.clear")
    client.forget()
    client.speak(quiet(1000))
    assert client.events == []


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_g711_is_listened_to(name: str) -> None:
    from array import array

    client = detecting(create_response=False)
    client.configure(audio={"input": {"format": {"type": name}}})
    client.forget()
    voice = encode_g711(array("h", speech.user_voice(500, rate=8000)), name)
    silent = encode_g711(array("h", bytes(2 * 8 * 300)), name)
    client.speak(voice + silent)
    assert client.kinds() == TURN_KINDS[:-1]
    assert client.one("input_audio_buffer.speech_started")["audio_start_ms"] == 0


# Semantic


@pytest.mark.parametrize(
    ("eagerness", "wait_ms"), [("low", 8000), ("medium", 4000), ("high", 2000)]
)
def test_semantic_vad_waits_for_an_unfinished_sentence(eagerness: str, wait_ms: int) -> None:
    # P-183
    client = Emulated(script=Script(hears=["well I was thinking"]))
    detection = {"type": "semantic_vad", "eagerness": eagerness, "create_response": False}
    client.configure(audio={"input": {"turn_detection": detection}})
    client.speak(VOICE + quiet(wait_ms - 100))
    assert client.all("input_audio_buffer.speech_stopped") == []
    client.speak(quiet(300))
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1


def test_semantic_vad_hears_a_finished_sentence() -> None:
    client = Emulated(script=Script(hears=["What time is it?"]))
    client.configure(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    client.speak(VOICE + quiet(700))
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1


# Idle


def test_idle_timeout_makes_an_empty_turn() -> None:
    # P-182, P-194
    client = Emulated(Behaviour(pace=Pace.instant()), Script([say("Hi.", ms=3000).always()]))
    detection = {"type": "server_vad", "idle_timeout_ms": 6000}
    heard = {"turn_detection": detection, "transcription": {"model": "whisper-1"}}
    client.configure(audio={"input": heard})
    client.created_id()
    client.forget()
    client.run(8.9)
    assert client.events == []
    client.run(0.1)  # 3 s of playback and 6 s of waiting
    assert client.kinds()[:5] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    client.run(1)
    assert client.one(f"{HEARD}.completed")["transcript"] == ""
    assert client.all(f"{HEARD}.delta") == []


def test_whoever_speaks_or_asks_is_not_idle() -> None:
    client = Emulated(
        Behaviour(pace=Pace.instant()), Script([say("Hi.", ms=100), say("Hm", ms=60_000)])
    )
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    client.configure(audio={"input": {"turn_detection": detection}})
    client.created_id()
    client.run(3)
    client.speak(VOICE)
    client.run(50)
    assert client.all("input_audio_buffer.timeout_triggered") == []


# Transcription


def transcribing(script: Script) -> Emulated:
    client = Emulated(script=script)
    client.configure(audio={"input": {"transcription": {"model": "whisper-1"}}})
    client.forget()
    return client


def test_transcription_tells_what_the_script_says_was_heard() -> None:
    # P-118, P-186
    client = transcribing(Script(hears=["Count to five."]))
    client.speak(VOICE + quiet(300))
    client.run(5)
    completed = client.one(f"{HEARD}.completed")
    assert completed["transcript"] == "Count to five."
    assert completed["item_id"] == client.one("input_audio_buffer.committed")["item_id"]
    done = client.done(client.one("response.created")["response"]["id"])
    words = done["output"][0]["content"][0]["transcript"]
    assert words == "One, two, three, four, five."


# Another format in mid-session


def as_g711(pcm: bytes) -> bytes:
    return converted(pcm, PCM16, PCMU)


def test_positions_are_in_time_whatever_the_format_was() -> None:
    client = Emulated(script=Script(hears=["Hi."]))
    client.speak(quiet(1000))
    client.configure(audio={"input": {"format": {"type": "audio/pcmu"}}})
    client.speak(as_g711(quiet(1000) + VOICE + quiet(800)))
    started = client.one("input_audio_buffer.speech_started")
    assert 1600 <= started["audio_start_ms"] <= 1800
    stopped = client.one("input_audio_buffer.speech_stopped")
    item_id = client.one("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.retrieve", item_id=item_id)
    (part,) = client.one("conversation.item.retrieved")["item"]["content"]
    length = len(pybase64.b64decode(part["audio"])) / 8
    assert length == stopped["audio_end_ms"] - started["audio_start_ms"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("audio/pcm", "audio/pcma"), ("audio/pcmu", "audio/pcm"), ("audio/pcma", "audio/pcmu")],
)
def test_a_buffer_over_a_change_of_format_is_as_long_as_what_was_sent(
    first: str, second: str
) -> None:
    client = Emulated()
    rates = {"audio/pcm": 48, "audio/pcma": 8, "audio/pcmu": 8}
    for name in (first, second):
        form: Json = {"type": name, **({"rate": 24000} if name == "audio/pcm" else {})}
        client.configure(audio={"input": {"format": form, "turn_detection": None}})
        client.speak(bytes(rates[name] * 700))
    client.send("input_audio_buffer.commit")
    item_id = client.one("input_audio_buffer.committed")["item_id"]
    client.send("conversation.item.retrieve", item_id=item_id)
    (part,) = client.one("conversation.item.retrieved")["item"]["content"]
    assert len(pybase64.b64decode(part["audio"])) == rates[second] * 1400


def test_a_turn_goes_on_over_a_change_of_format() -> None:
    client = detecting()
    client.speak(VOICE)
    client.one("input_audio_buffer.speech_started")
    client.configure(audio={"input": {"format": {"type": "audio/pcmu"}}})
    client.speak(as_g711(quiet(500)))
    assert len(client.all("input_audio_buffer.speech_started")) == 1
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1


def usage_with(model: str) -> Json:
    client = Emulated(script=Script(hears=["Count to five."]))
    client.configure(audio={"input": {"turn_detection": None, "transcription": {"model": model}}})
    client.speak(quiet(500))
    client.send("input_audio_buffer.commit")
    client.run(1)
    usage: Json = client.one(f"{HEARD}.completed")["usage"]
    return usage


@pytest.mark.parametrize("model", ["whisper-1", "gpt-transcribe", "gpt-live-transcribe"])
def test_some_transcriptions_are_charged_by_duration(model: str) -> None:
    # P-476
    assert usage_with(model) == {"type": "duration", "seconds": 0.5}


@pytest.mark.parametrize("model", ["gpt-4o-transcribe", "gpt-4o-mini-transcribe", "another"])
def test_others_are_charged_by_tokens(model: str) -> None:
    # P-118, P-476
    usage = usage_with(model)
    assert usage["type"] == "tokens"
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0


def log_probabilities(model: str, **session: Any) -> list[list[str] | None]:
    client = Emulated(script=Script(hears=["Hello, world."]))
    heard = {"turn_detection": None, "transcription": {"model": model}}
    client.configure(audio={"input": heard}, **session)
    client.speak(quiet(500))
    client.send("input_audio_buffer.commit")
    client.run(1)
    found: list[list[str] | None] = []
    for event in [*client.all(f"{HEARD}.delta"), client.one(f"{HEARD}.completed")]:
        shown = event.get("logprobs")
        found.append(None if shown is None else [one["token"] for one in shown])
        assert all(bytes(one["bytes"]).decode() == one["token"] for one in shown or ())
        assert all(one["logprob"] < 0 for one in shown or ())
    return found


def test_log_probabilities_are_there_where_they_are_asked_for() -> None:
    # P-475
    include = ["item.input_audio_transcription.logprobs"]
    words = ["Hello,", " world."]
    found = log_probabilities("gpt-4o-transcribe", include=include)
    assert found == [[words[0]], [words[1]], words]
    assert log_probabilities("gpt-4o-transcribe") == [None] * 3
    assert log_probabilities("whisper-1", include=include) == [None] * 3


def test_without_transcription_the_model_still_hears() -> None:
    client = detecting(Script(hears=["Count to three."]))
    client.speak(VOICE + quiet(300))
    client.run(5)
    assert not any(kind.startswith(HEARD) for kind in client.kinds())
    done = client.done(client.one("response.created")["response"]["id"])
    assert done["output"][0]["content"][0]["transcript"] == "One, two, three."


def test_failed_transcription_is_an_event_of_its_own() -> None:
    # P-91
    client = transcribing(Script(hears=[misheard("DeploymentNotFound", "No such model.")]))
    client.speak(VOICE + quiet(300))
    client.run(5)
    failed = client.one(f"{HEARD}.failed")
    assert failed["error"] == {
        "type": "transcription_error",
        "code": "DeploymentNotFound",
        "message": "No such model.",
        "param": None,
    }
    assert failed["item_id"] == client.one("input_audio_buffer.committed")["item_id"]
    assert client.all(f"{HEARD}.completed") == client.all(f"{HEARD}.delta") == []
    assert client.all("error") == []
    assert len(client.all("response.done")) == 1


def test_misheard_turn_ends_for_semantic_vad() -> None:
    client = Emulated(script=Script(hears=[misheard()]))
    client.configure(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    client.speak(VOICE + quiet(700))
    assert len(client.all("input_audio_buffer.speech_stopped")) == 1


def test_transcription_session_never_responds() -> None:
    client = Emulated(opening=Opening(transcribes=True))
    client.send(
        "session.update",
        session={"type": "transcription", "audio": {"input": {"transcription": {"model": "w"}}}},
    )
    client.forget()
    client.speak(VOICE + quiet(300))
    client.run(5)
    assert client.all("response.created") == []
    assert len(client.all(f"{HEARD}.completed")) == 1


def test_output_buffer_clear_is_for_webrtc() -> None:
    # P-323
    assert Emulated().error("output_audio_buffer.clear")["type"] == "invalid_request_error"


# Without the voice detector


def test_a_missing_detector_is_told_once_and_costs_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "webrtcvad", None)
    client = detecting()
    first = client.speak(VOICE)
    assert [event["error"]["code"] for event in first] == ["missing_dependency"]
    assert "antiphon[emulator]" in first[0]["error"]["message"]
    assert client.speak(VOICE) == []
    kinds = [event["type"] for event in client.send("input_audio_buffer.commit")]
    assert kinds[0] == "input_audio_buffer.committed"
    assert client.ended == []
