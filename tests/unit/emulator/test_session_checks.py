"""What a session's settings may not be (P-267 to P-269, P-469 to P-473)."""

import pytest

from antiphon.emulator.engine.handshake import Opening
from tests.helpers.emulated import Emulated, Json

__all__: list[str] = []

TURNS = {"type": "server_vad"}


def refused(client: Emulated, **session: object) -> Json:
    return client.error("session.update", session={"type": "realtime", **session})


def transcribing() -> Emulated:
    return Emulated(opening=Opening(transcribes=True))


def transcription(**heard: object) -> Json:
    return {"type": "transcription", "audio": {"input": heard}}


@pytest.mark.parametrize("side", ["input", "output"])
def test_pcm_without_its_rate_is_refused(side: str) -> None:
    # P-267
    error = refused(Emulated(), audio={side: {"format": {"type": "audio/pcm"}}})
    path = f"session.audio.{side}.format.rate"
    assert (error["code"], error["param"]) == ("missing_required_parameter", path)
    assert error["message"] == f"Missing required parameter: '{path}'."


def test_a_voice_that_does_not_exist_is_refused_for_one_response_too() -> None:
    # P-268
    client = Emulated()
    spoken = {"output": {"voice": "nova"}}
    error = client.error("response.create", response={"audio": spoken})
    assert (error["code"], error["param"]) == ("invalid_value", "response.audio.output.voice")
    assert client.create(audio={"output": {"voice": "cedar"}})["type"] == "response.created"


def test_a_transcription_session_has_a_shape_of_its_own() -> None:
    # P-469
    client = Emulated(opening=Opening(transcribes=True), keep_hello=True)
    session = client.one("session.created")["session"]
    assert session["type"] == "transcription"
    assert session["object"] == "realtime.transcription_session"
    assert sorted(session) == ["audio", "expires_at", "id", "include", "object", "type"]
    assert list(session["audio"]) == ["input"]


def test_updates_of_the_other_kind_are_refused_both_ways() -> None:
    # P-470
    realtime = Emulated().error("session.update", session=transcription())
    assert realtime["message"] == (
        "Passing a transcription session update to a realtime session is not allowed."
    )
    other = transcribing().error("session.update", session={"type": "realtime"})
    assert other["message"] == (
        "Passing a realtime session update to a transcription session is not allowed."
    )
    assert realtime["code"] == other["code"] == "invalid_parameter"


def test_a_transcription_session_creates_no_response() -> None:
    # P-469
    error = transcribing().error("response.create")
    assert "transcription session" in error["message"]


@pytest.mark.parametrize("model", ["gpt-realtime-whisper", "gpt-live-transcribe"])
def test_models_that_take_no_turn_detection(model: str) -> None:
    # P-471
    client = transcribing()
    heard = {"transcription": {"model": model}, "turn_detection": TURNS}
    error = client.error("session.update", session=transcription(**heard))
    assert error["message"] == "Turn detection is not supported for this transcription model."
    assert error["param"] == "session.audio.input.turn_detection"
    # Left out or null it is off, and stays so.
    (reply,) = client.send("session.update", session=transcription(transcription={"model": model}))
    assert reply["session"]["audio"]["input"]["turn_detection"] is None
    assert client.error("session.update", session=transcription(turn_detection=TURNS))["param"]
    (reply,) = client.send("session.update", session=transcription(turn_detection=None))
    assert reply["type"] == "session.updated"


def test_other_models_take_it() -> None:
    heard = {"transcription": {"model": "gpt-4o-transcribe"}, "turn_detection": TURNS}
    (reply,) = transcribing().send("session.update", session=transcription(**heard))
    assert reply["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    # A conversation has its own turns, whatever transcribes them (P-471).
    Emulated().configure(
        audio={"input": {**heard, "transcription": {"model": "gpt-realtime-whisper"}}}
    )


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("gpt-realtime-whisper", "prompt", "expect names"),
        ("gpt-4o-transcribe-diarize", "prompt", "expect names"),
        ("gpt-4o-transcribe", "keywords", ["antiphon"]),
        ("whisper-1", "languages", ["en"]),
        ("gpt-4o-transcribe", "delay", "low"),
    ],
)
def test_what_a_transcription_model_does_not_take(model: str, name: str, value: object) -> None:
    # P-472
    heard = {"transcription": {"model": model, name: value}}
    error = refused(Emulated(), audio={"input": heard})
    assert error["param"] == f"session.audio.input.transcription.{name}"


@pytest.mark.parametrize(
    ("model", "name", "value"),
    [
        ("gpt-4o-transcribe", "prompt", "expect names"),
        ("gpt-transcribe", "keywords", ["antiphon"]),
        ("gpt-live-transcribe", "languages", ["en"]),
        ("gpt-realtime-whisper", "delay", "low"),
        ("some-other", "keywords", ["antiphon"]),
    ],
)
def test_what_it_does_take(model: str, name: str, value: object) -> None:
    # P-472
    heard = {"transcription": {"model": model, name: value}}
    after = Emulated().configure(audio={"input": heard})
    assert after["audio"]["input"]["transcription"] == heard["transcription"]


def test_an_mcp_tool_needs_a_server() -> None:
    # P-473
    nowhere = {"type": "mcp", "server_label": "x"}
    error = refused(Emulated(), tools=[nowhere])
    assert error["code"] == "missing_required_parameter"
    assert error["param"] == "session.tools[0].server_url"
    for place in ("server_url", "connector_id", "tunnel_id"):
        Emulated().configure(tools=[{**nowhere, place: "there"}])
