"""Names and shapes of other servers (P-127, P-128, P-290 to P-299)."""

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.emulator import Behaviour, Pace, Script, answer, call, profile, say, text
from antiphon.emulator.audio import speech
from antiphon.emulator.knobs.choices import Dialect
from antiphon.emulator.shapes.dialect import translator
from antiphon.emulator.shapes.errors import Refusal
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import BETA
from tests.helpers.emulated import Emulated, Json, user_text

__all__: list[str] = []

BETA_SERVER = Behaviour(pace=Pace.instant()).but(dialect="beta")
TURN = speech.user_voice(400) + bytes(48 * 700)


def as_profile(name: str, script: Script | None = None) -> Emulated:
    return Emulated(profile(name).but(pace=Pace.instant()), script, keep_hello=True)


# Beta


def test_beta_session_is_flat() -> None:
    session = Emulated(BETA_SERVER, keep_hello=True).events[0]["session"]
    assert session["modalities"] == ["audio", "text"]
    assert session["input_audio_format"] == session["output_audio_format"] == "pcm16"
    assert session["turn_detection"]["type"] == "server_vad"
    assert session["max_response_output_tokens"] == "inf"
    assert not {"type", "audio", "output_modalities"} & set(session)


def test_beta_session_update_is_understood_and_shown_again() -> None:
    client = Emulated(BETA_SERVER)
    update = {
        "modalities": ["text"],
        "voice": "alloy",
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_alaw",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": None,
        "temperature": 0.7,
        "max_response_output_tokens": 200,
        "instructions": "Be brief.",
    }
    (reply,) = client.send("session.update", session=update)
    assert reply["type"] == "session.updated"
    shown = reply["session"]
    for name, value in update.items():
        if name != "temperature":
            assert shown[name] == value


@pytest.mark.parametrize("name", ["type", "output_modalities", "audio", "max_output_tokens"])
def test_beta_refuses_fields_of_ga(name: str) -> None:
    # P-291
    error = Emulated(BETA_SERVER).error("session.update", session={name: "realtime"})
    assert (error["code"], error["param"]) == ("unknown_parameter", f"session.{name}")


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ([], "invalid_type"),
        ("flat", "invalid_type"),
        ({"input_audio_format": "mp3"}, "invalid_value"),
        ({"turn_detection": 5}, "invalid_type"),
    ],
)
def test_beta_refuses_nonsense(session: Any, code: str) -> None:
    assert Emulated(BETA_SERVER).error("session.update", session=session)["code"] == code


def test_beta_names_of_a_whole_response() -> None:
    client = Emulated(BETA_SERVER, Script([say("Hi.", ms=100), text("Hi.")]))
    client.create(modalities=["audio", "text"], voice="alloy", temperature=0.8)
    client.create(modalities=["text"])
    kinds = set(client.kinds())
    assert {
        "response.audio.delta",
        "response.audio.done",
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
        "response.text.delta",
        "response.text.done",
        "conversation.item.created",
    } <= kinds
    assert not any("output_text" in kind or "output_audio" in kind for kind in kinds)
    first, second = (event["response"] for event in client.all("response.done"))
    assert (first["voice"], first["modalities"]) == ("alloy", ["audio", "text"])
    assert first["output"][0]["content"][0]["type"] == "audio"
    assert (second["modalities"], second["output"][0]["content"][0]["type"]) == (["text"], "text")


def test_beta_items_have_old_content_types() -> None:
    client = Emulated(BETA_SERVER, Script([say("Hi.")]))
    seeded = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hm."}]}
    created, *_ = client.send("conversation.item.create", item=seeded)
    assert created["type"] == "conversation.item.created"
    assert created["item"]["content"][0]["type"] == "text"
    created, *_ = client.send("conversation.item.create", item=user_text("Hi."))
    assert created["item"]["content"][0]["type"] == "input_text"
    only = client.out_of_band(input=[seeded])
    assert client.done(only)["status"] == "completed"


def test_our_codec_reads_the_beta_as_ga() -> None:
    client = Emulated(BETA_SERVER, Script([answer(say("Hi."), call("f"))]), keep_hello=True)
    client.send("response.create")
    codec = Codec(BETA)
    for frame in client.frames:
        assert not isinstance(codec.decode(frame), UnknownEvent | Malformed), frame[:200]


# Azure


def test_azure_beta_takes_voices_and_extras_of_its_own() -> None:
    # P-292
    client = as_profile("azure-beta", Script([text("Hi.")]))
    voice = {"name": "en-US-Ava", "type": "azure-standard"}
    update = {
        "voice": voice,
        "turn_detection": {"type": "azure_semantic_vad", "threshold": 0.3},
        "input_audio_echo_cancellation": {"type": "server_echo_cancellation"},
    }
    (reply,) = client.send("session.update", session=update)
    for name, value in update.items():
        assert reply["session"][name] == value
    client.create(modalities=["text"])
    assert client.one("response.content_part.done")["part"]["text"] == ""
    assert client.one("response.text.done")["text"] == "Hi."
    (reply,) = client.send("session.update", session={"turn_detection": None})
    assert reply["session"]["turn_detection"] is None
    assert reply["session"]["voice"] == voice


def test_azure_beta_gives_longer_ids_to_client_items() -> None:
    added, *_ = as_profile("azure-beta").send("conversation.item.create", item=user_text("Hi."))
    assert len(added["item"]["id"]) == len("item_") + 22


def test_azure_refuses_what_beta_refuses() -> None:
    client = as_profile("azure-beta")
    assert client.error("session.update", session="x")["code"] == "invalid_type"


# xAI


def xai(script: Script | None = None) -> Emulated:
    return as_profile("xai", script)


def test_xai_greets_with_its_conversation_and_uuids() -> None:
    client = xai()
    assert client.kinds() == ["session.created", "conversation.created"]
    session = client.events[0]["session"]
    assert uuid.UUID(session["id"]).version == 4
    assert session["turn_detection"] == session["audio"]["input"]["turn_detection"]


def test_xai_order_of_done_events() -> None:
    # P-296
    client = xai(Script([say("Hi.", ms=100)]))
    client.forget()
    client.send("response.create")
    kinds = client.kinds()
    assert kinds[-5:] == [
        "response.content_part.done",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.output_item.done",
        "response.done",
    ]
    assert "part" not in client.one("response.content_part.done")
    assert "conversation.item.done" not in kinds
    assert all("previous_item_id" in event for event in client.events)  # P-297


def test_xai_leaves_output_index_out_of_argument_deltas() -> None:
    client = xai(Script([call("f", {"a": 1})]))
    client.send("response.create")
    delta = client.all("response.function_call_arguments.delta")[0]
    assert "output_index" not in delta
    assert delta["response_id"]


def test_xai_announces_the_item_when_speech_starts() -> None:
    # P-295, P-298
    client = xai(Script(hears=["Hello."]))
    client.send("session.update", session={"audio": {"input": {"transcription": {"model": "x"}}}})
    client.forget()
    client.speak(TURN)
    client.run(1)
    kinds = client.kinds()
    assert kinds[:2] == ["input_audio_buffer.speech_started", "conversation.item.added"]
    assert kinds[: kinds.index("response.created")].count("conversation.item.added") == 1
    heard = client.all("conversation.item.input_audio_transcription.completed")
    assert [event["status"] for event in heard] == ["in_progress", "completed"]


def test_xai_tells_partial_words_whole() -> None:
    # P-298, P-312
    client = xai(Script(hears=["Good morning to you."]))
    for model, kind in (("x", "completed"), ("grok-transcribe", "updated")):
        heard = {"audio": {"input": {"transcription": {"model": model}}}}
        client.send("session.update", session=heard)
        client.forget()
        client.speak(TURN)
        client.run(1)
        told = client.all(f"conversation.item.input_audio_transcription.{kind}")
        partial = [one["transcript"] for one in told if one["status"] == "in_progress"]
        if kind == "completed":
            assert partial == ["Good", "Good morning", "Good morning to", "Good morning to you."]
        else:
            assert partial and partial == sorted(partial, key=len)


def test_xai_acknowledges_a_deletion_without_its_id() -> None:
    # P-313
    client = xai()
    client.send("conversation.item.create", item={**user_text("Hi."), "id": "item_1"})
    client.forget()
    (told,) = client.send("conversation.item.delete", item_id="item_1")
    assert (told["type"], told["item_id"]) == ("conversation.item.deleted", "")


def test_xai_needless_cancel_has_another_code() -> None:
    # P-293
    error = xai().error("response.cancel")
    assert error["code"] != "response_cancel_not_active"
    assert error["message"] == "Cancellation failed: no active response found"


def test_xai_takes_a_flat_session_without_type() -> None:
    client = xai()
    (reply,) = client.send("session.update", session={"voice": "eve", "turn_detection": None})
    assert reply["session"]["voice"] == "eve"
    assert reply["session"]["audio"]["input"]["turn_detection"] is None


def test_xai_event_ids_stay_unique() -> None:
    client = xai(Script([say("Hi.")], hears=["Hello."]))
    client.send("session.update", session={"audio": {"input": {"transcription": {"model": "x"}}}})
    client.speak(TURN)
    client.run(35)
    ids = [event["event_id"] for event in client.events]
    assert len(ids) == len(set(ids))
    assert "ping" in client.kinds()


# All


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
nonsense = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["voice", "name", "type", "turn_detection", "audio", "input", "output", "content",
             "modalities", "input_audio_format", "role", "instructions"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@given(
    dialect=st.sampled_from(list(Dialect)),
    kind=st.sampled_from(["session.update", "response.create", "conversation.item.create"]),
    value=nonsense,
)
def test_no_nonsense_breaks_a_dialect(dialect: Dialect, kind: str, value: Any) -> None:
    field = {"session.update": "session", "response.create": "response"}.get(kind, "item")
    event: Json = {"type": kind, field: value}
    try:
        assert translator(dialect).incoming(event)["type"] == kind
    except Refusal as refusal:
        assert refusal.code == "unknown_parameter"
