"""Whatever the emulator sends in GA is valid for OpenAI's own generated types and for our codec."""

import json
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from antiphon.emulator import (
    Behaviour,
    Pace,
    Script,
    answer,
    call,
    fail,
    incomplete,
    mcp_approval,
    mcp_call,
    misheard,
    say,
    text,
)
from antiphon.emulator.audio import speech
from antiphon.wire.base import Malformed, UnknownEvent
from antiphon.wire.codec import Codec
from tests.helpers.emulated import Emulated, Json, user_text

__all__: list[str] = []

ANY_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
TURN = speech.user_voice(400) + bytes(48 * 400)
# What the emulator can send on request; everything else in the catalogue is WebRTC or SIP.
EXPECTED = {
    "conversation.created",
    "conversation.item.added",
    "conversation.item.deleted",
    "conversation.item.done",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.delta",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.retrieved",
    "conversation.item.truncated",
    "error",
    "input_audio_buffer.cleared",
    "input_audio_buffer.committed",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.timeout_triggered",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
    "mcp_list_tools.in_progress",
    "rate_limits.updated",
    "response.content_part.added",
    "response.content_part.done",
    "response.created",
    "response.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call.completed",
    "response.mcp_call.failed",
    "response.mcp_call.in_progress",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.output_text.delta",
    "response.output_text.done",
    "session.created",
    "session.updated",
}


def conversation() -> Emulated:
    """A client that has met every event."""
    script = Script(
        [
            answer(say("One moment."), call("lookup", {"city": "Oslo"}, call_id="call_1")),
            text("written"),
            answer(
                mcp_call("docs", "search", {"q": "Oslo"}, output="found"),
                mcp_call("docs", "fetch", error="gone"),
                mcp_approval("docs", "write"),
            ),
            fail(after=say("I was")),
            incomplete(after=say("You should")),
            say("A long one.", ms=5000),
        ],
        hears=["What now?", misheard()],
        mcp={"docs": ["search"], "gone": None},
        otherwise=say("Well."),
    )
    behaviour = Behaviour(pace=Pace(speed=20)).but(conversation_created="after_session_created")
    client = Emulated(behaviour, script, keep_hello=True)
    detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    client.configure(
        instructions="Be brief.",
        tools=[
            {"type": "function", "name": "lookup", "parameters": {"type": "object"}},
            {"type": "mcp", "server_label": "docs", "server_url": "https://docs.invalid"},
            {"type": "mcp", "server_label": "gone", "server_url": "https://gone.invalid"},
        ],
        audio={
            "input": {"turn_detection": detection, "transcription": {"model": "whisper-1"}},
        },
    )
    client.send("conversation.item.create", item=user_text("Where is Oslo?"))
    client.created_id(metadata={"purpose": "talk"})
    client.run(2)
    output = {"type": "function_call_output", "call_id": "call_1", "output": "in Norway"}
    client.send("conversation.item.create", item=output)
    client.created_id(output_modalities=["text"], conversation="none", max_output_tokens=100)
    client.run(1)
    for _ in range(3):
        client.created_id()
        client.run(1)
    cut = client.created_id()
    client.run(0.2)
    client.cancel(cut)
    client.run(0.1)
    item_id = client.of(cut)[1]["item"]["id"]
    place = {"item_id": item_id, "content_index": 0, "audio_end_ms": 200}
    client.send("conversation.item.truncate", **place)
    client.send("conversation.item.retrieve", item_id=item_id)
    client.send("conversation.item.delete", item_id=item_id)
    client.speak(TURN)
    client.run(20)
    client.speak(TURN)
    client.run(1)
    client.send("input_audio_buffer.clear")
    client.cancel()
    return client


CLIENT = conversation()


def test_the_conversation_meets_every_event() -> None:
    assert set(CLIENT.kinds()) == EXPECTED


@pytest.mark.parametrize("kind", sorted(EXPECTED))
def test_event_is_valid_for_openai(kind: str) -> None:
    events = CLIENT.all(kind)
    assert events
    for event in events:
        model = ANY_EVENT.validate_python(event)
        assert model.type == kind
        assert unknown_to(model, event) == []


def unknown_to(model: Any, event: Json) -> list[str]:
    """Fields of the event that the model's class does not declare."""
    return sorted(set(event) - set(type(model).model_fields))


def test_events_are_valid_for_our_codec_with_nothing_unknown() -> None:
    codec = Codec()
    for frame in CLIENT.frames:
        event = codec.decode(frame)
        assert not isinstance(event, UnknownEvent | Malformed), frame[:200]
        assert event.unknown_fields() == {}, frame[:200]


def test_server_event_ids_are_unique() -> None:
    # P-81
    ids = [event["event_id"] for event in CLIENT.events]
    assert len(ids) == len(set(ids))


def test_frames_are_compact_json() -> None:
    frame = CLIENT.frames[0]
    assert frame == json.dumps(json.loads(frame), separators=(",", ":")).encode()
