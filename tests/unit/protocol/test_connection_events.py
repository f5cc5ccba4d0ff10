"""What events do to the session, the conversation, the turns and the report."""

from collections.abc import Callable
from typing import Any

import pytest

from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import (
    Output,
    Report,
    ReportKind,
    TurnChanged,
)
from antiphon.protocol.options import Options
from antiphon.wire import server_events as said
from antiphon.wire.base import UnknownEvent
from antiphon.wire.items import ContentPart, ConversationResource, ErrorInfo, Item
from antiphon.wire.server_events import SERVER_EVENTS
from tests.helpers.builders import (
    audio_delta,
    conversation_item_added,
    conversation_item_done,
    created,
    malformed,
    message,
)
from tests.helpers.playbook import Is, S, check, delivered_ms, live

__all__: list[str] = []

PCM = {"type": "audio/pcm", "rate": 24000}
ULAW = {"type": "audio/pcmu"}


def connection(**options: Any) -> Connection:
    return Connection("t", Options(**options))


def test_every_server_event_can_be_taken_bare() -> None:
    # Ids and indexes are missing on some servers; nothing may raise for that.
    made = connection()
    needs: dict[str, Any] = {
        "session": {},
        "item": Item(type="message"),
        "response": created("resp_a").response,
        "error": ErrorInfo(),
        "conversation": ConversationResource(),
        "delta": "",
    }
    for kind in SERVER_EVENTS:
        fields = {name: needs[name] for name in kind.__struct_fields__ if name in needs}
        if kind is said.ResponseOutputAudioDelta:
            fields["delta"] = b"\0\0"
        assert isinstance(made.receive(kind(**fields), 0.0), list)


def test_event_that_concerns_nobody_does_nothing() -> None:
    made = connection()
    for event in (
        UnknownEvent("response.sneezed", {}),
        said.RateLimitsUpdated(),
        said.InputAudioBufferDtmfEventReceived(),
    ):
        assert made.receive(event, 0.0) == []


def test_unreadable_frame_is_reported_without_its_contents() -> None:
    (report,) = connection().receive(malformed("response.output_text.delta", "resp_a"), 0.0)
    assert isinstance(report, Report) and report.kind is ReportKind.MALFORMED
    assert report.response_id == "resp_a"
    assert report.detail == "response.output_text.delta: wrong_field: delta"
    (report,) = connection().receive(malformed(), 0.0)
    assert isinstance(report, Report) and report.detail.startswith("frame: ")


@pytest.mark.parametrize(
    ("session", "input_ms", "output_ms"),
    [
        ({}, 100, 100),
        ({"audio": {"input": {"format": PCM}, "output": {"format": PCM}}}, 100, 100),
        ({"audio": {"input": {"format": ULAW}, "output": {"format": PCM}}}, 600, 100),
        ({"audio": {"input": {"format": PCM}, "output": {"format": ULAW}}}, 100, 600),
        ({"audio": None}, 100, 100),
        ({"audio": {"input": None, "output": {"format": "g711_ulaw"}}}, 100, 100),
    ],
)
@pytest.mark.parametrize("event", [said.SessionCreated, said.SessionUpdated])
def test_lengths_follow_the_formats_of_the_session(
    event: Callable[..., said.ServerEvent],
    session: dict[str, Any],
    input_ms: int,
    output_ms: int,
) -> None:
    # P-240.
    made = connection()
    made.receive(event(session=session), 0.0)
    assert made.session == session
    made.append_audio(bytes(4800))
    assert 4800 // made.input_audio.bytes_per_ms == input_ms
    made.receive(created("resp_a"), 0.0)
    (output,) = made.receive(audio_delta("resp_a", 100), 0.0)
    assert isinstance(output, Output)
    assert made.truncate_points(["item_resp_a"], 0)
    assert delivered_ms(made._delivered, "item_resp_a") == output_ms


def test_format_of_a_response_of_its_own_goes_before_the_sessions() -> None:
    play = check(connection(), [*live("a", audio={"output": {"format": ULAW}})])
    play.play(S("response.output_audio.delta", "a"))
    assert delivered_ms(play.connection._delivered, "item_resp_a") == 600


def test_mirror_follows_the_events() -> None:
    made = connection()
    for event in (
        conversation_item_added(message("item_1", role="user")),
        conversation_item_added(message("item_3"), "item_1"),
        conversation_item_added(message("item_2"), "item_1"),
        conversation_item_done(message("item_3", "complete"), "item_2"),
        said.ConversationItemDeleted(item_id="item_1"),
    ):
        made.receive(event, 0.0)
    assert [item.id for item in made.conversation] == ["item_2", "item_3"]
    last = made.conversation.get("item_3")
    assert last is not None and last.content and last.content[0].text == "complete"


def test_truncation_takes_the_words_of_its_part() -> None:
    # P-218.
    made = connection()
    parts = [ContentPart(type="output_audio", transcript=words) for words in ("one", "two")]
    item = Item(type="message", id="item_1", role="assistant", content=parts)
    made.receive(conversation_item_added(item), 0.0)
    made.receive(
        said.ConversationItemTruncated(item_id="item_1", content_index=1, audio_end_ms=300), 0.0
    )
    (kept,) = made.conversation
    assert [part.transcript for part in kept.content or ()] == ["one", None]


def test_item_put_first_is_first_in_the_mirror() -> None:
    # P-211: the echo of "root" is null, which elsewhere means nothing (P-297).
    made = connection()
    made.receive(conversation_item_added(message("item_1")), 0.0)
    made.create_item(message("item_0"), 0.0, previous_item_id="root")
    made.receive(conversation_item_added(message("item_0"), None), 0.0)
    made.create_item(message("item_2"), 0.0)
    made.receive(conversation_item_added(message("item_2"), None), 0.0)
    assert [item.id for item in made.conversation] == ["item_0", "item_1", "item_2"]


def test_items_of_out_of_band_responses_stay_out_of_the_mirror() -> None:
    # P-31; whether such events come at all is unknown (P-41).
    play = check(connection(), [*live("x", conversation="none")])
    play.play(S("response.output_item.added", "x", item=message("item_x")))
    play.check(
        [
            S(conversation_item_added(message("item_x"))),
            S(conversation_item_done(message("item_x"))),
        ]
    )
    assert len(play.connection.conversation) == 0


def test_item_event_without_an_id_is_ignored() -> None:
    made = connection()
    assert made.receive(conversation_item_done(Item(type="message")), 0.0) == []
    assert made.receive(said.ConversationItemTruncated(), 0.0) == []
    assert made.receive(said.ConversationItemDeleted(), 0.0) == []
    assert len(made.conversation) == 0


def test_turn_goes_through_its_phases() -> None:
    # P-187, P-189, P-194.
    play = check(
        connection(),
        [
            S(said.InputAudioBufferSpeechStarted(item_id="u", audio_start_ms=120)),
            Is("u", "speech_started"),
            S(
                said.ConversationItemInputAudioTranscriptionDelta(item_id="u", delta="good "),
            ),
            S(said.InputAudioBufferSpeechStopped(item_id="u", audio_end_ms=900)),
            Is("u", "speech_stopped"),
            S(said.InputAudioBufferCommitted(item_id="u")),
            Is("u", "committed"),
            S(
                said.ConversationItemInputAudioTranscriptionCompleted(
                    item_id="u", transcript="good day"
                )
            ),
            Is("u", "transcribed"),
            S(said.InputAudioBufferTimeoutTriggered(item_id="v", audio_end_ms=50)),
            Is("v", "timed_out"),
            S(
                said.ConversationItemInputAudioTranscriptionFailed(
                    item_id="v", error=ErrorInfo(code="DeploymentNotFound")
                )
            ),
            Is("v", "transcription_failed"),
        ],
    )
    turn = play.connection.input_audio.turn("u")
    assert (turn.started_ms, turn.stopped_ms, turn.committed, turn.transcript) == (
        120,
        900,
        True,
        "good day",
    )
    idle = play.connection.input_audio.turn("v")
    assert (idle.started_ms, idle.stopped_ms) == (0, 50)


def test_turn_is_not_committed_before_it_is() -> None:
    made = connection()
    made.receive(said.InputAudioBufferSpeechStarted(item_id="u"), 0.0)
    assert made.input_audio.turn("u").committed is False


def test_what_is_told_of_a_turn_does_not_change_later() -> None:
    made = connection()
    (first,) = made.receive(said.InputAudioBufferSpeechStarted(item_id="u"), 0.0)
    made.receive(said.InputAudioBufferSpeechStopped(item_id="u"), 0.0)
    assert isinstance(first, TurnChanged) and first.turn.phase == "speech_started"


def test_partial_transcripts_are_not_told_as_the_last_word() -> None:
    # P-298, P-312, P-314
    made = connection()
    whole = said.ConversationItemInputAudioTranscriptionCompleted
    told = [
        *made.receive(whole(item_id="u", transcript="Good", status="in_progress"), 0.0),
        *made.receive(
            said.ConversationItemInputAudioTranscriptionUpdated(item_id="u", transcript="Good day"),
            0.0,
        ),
    ]
    assert told == [] and made.input_audio.turn("u").transcript == "Good day"
    for _ in range(2):
        told += made.receive(whole(item_id="u", transcript="Good day.", status="completed"), 0.0)
    assert [one.turn.phase for one in told if isinstance(one, TurnChanged)] == ["transcribed"]
    assert made.input_audio.turn("u").transcript == "Good day."


def test_turn_event_without_an_item_is_ignored() -> None:
    made = connection()
    for event in (
        said.InputAudioBufferSpeechStarted(),
        said.InputAudioBufferSpeechStopped(),
        said.InputAudioBufferCommitted(),
        said.InputAudioBufferTimeoutTriggered(),
        said.ConversationItemInputAudioTranscriptionDelta(delta="x"),
        said.ConversationItemInputAudioTranscriptionCompleted(transcript="x"),
        said.ConversationItemInputAudioTranscriptionUpdated(transcript="x"),
        said.ConversationItemInputAudioTranscriptionFailed(error=ErrorInfo()),
    ):
        assert made.receive(event, 0.0) == []
    assert not made.input_audio.awaits_commit


def test_detections_commit_empties_the_buffer() -> None:
    made = connection()
    made.append_audio(bytes(4800))
    made.receive(said.InputAudioBufferCommitted(item_id="u"), 0.0)
    assert made.input_audio.uncommitted_bytes == 0 and made.input_audio.sent_bytes == 4800


def test_clear_empties_the_buffer_at_once() -> None:
    made = connection()
    made.append_audio(bytes(4800))
    made.clear_audio(0.0)
    assert made.input_audio.uncommitted_bytes == 0
