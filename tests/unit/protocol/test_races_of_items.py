"""Items, audio, requests and the connection itself: races of docs/protocol.md, each as a trace.

Where a failure of other clients is known by its public thread, the test names it.
"""

import re
from pathlib import Path

from antiphon.exceptions import ConnectionClosedError, RequestError
from antiphon.protocol.connection import Connection
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.effects import Refused, TurnChanged
from antiphon.wire.items import Item
from antiphon.wire.server_events import (
    ConversationItemDeleted,
    ConversationItemInputAudioTranscriptionCompleted,
    ConversationItemInputAudioTranscriptionDelta,
    ConversationItemTruncated,
    InputAudioBufferCommitted,
    InputAudioBufferSpeechStarted,
    SessionUpdated,
)
from tests.helpers.builders import (
    audio_delta,
    conversation_item_added,
    conversation_item_done,
    message,
)
from tests.helpers.playbook import OOB, Ask, C, Is, Lose, Oops, Playbook, S, check, finished, live

__all__: list[str] = []

ROOT = Path(__file__).parents[3]


def test_every_race_of_the_page_is_played() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text()
    known = set(re.findall(r"^\| R-(\d+) \|", page, re.MULTILINE))
    played = {
        number
        for path in Path(__file__).parents[1].glob("*/test_races_*.py")
        for number in re.findall(r"^def test_r(\d+)_", path.read_text(), re.MULTILINE)
    }
    assert played == known


def test_r16_items_of_one_response_interleave() -> None:
    # P-138, P-140; LK#5684: two messages in one response. Everything arrives as it was sent, and
    # what was heard is counted per item.
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_item.added", "a", item=message("item_1")),
            Is("a", "output", "response.output_item.added"),
            S("response.output_audio.delta", "a", item_id="item_1", ms=300),
            Is("a", "output", "300ms"),
            S("response.output_item.added", "a", item=message("item_2")),
            Is("a", "output", "response.output_item.added"),
            S("response.output_audio.delta", "a", item_id="item_2", ms=200),
            Is("a", "output", "200ms"),
            S("response.output_audio.delta", "a", item_id="item_1", ms=100),
            Is("a", "output", "100ms"),
            S("response.output_item.done", "a", item=message("item_1", status="completed")),
            Is("a", "output", "response.output_item.done"),
            *finished("a"),
        ],
    )
    points = play.connection.truncate_points(play["a"].item_ids, 450)
    assert points == [TruncatePoint("item_2", 0, 50)]


def test_r17_words_that_come_before_their_item_are_in_it() -> None:
    # P-186, P-187.
    connection = Connection("t")
    early = ConversationItemInputAudioTranscriptionCompleted(item_id="item_u", transcript="hi")
    (changed,) = connection.receive(early, 0.0)
    assert isinstance(changed, TurnChanged) and changed.turn.transcript == "hi"
    connection.receive(conversation_item_added(Item(type="message", id="item_u", role="user")), 0.0)
    late = ConversationItemInputAudioTranscriptionCompleted(item_id="item_u", transcript="hi!")
    connection.receive(late, 0.0)
    (item,) = connection.conversation
    assert item.content and item.content[0].transcript == "hi!"


def test_r17_words_of_the_last_turn_do_not_end_up_in_this_one() -> None:
    connection = Connection("t")
    for event in (
        InputAudioBufferSpeechStarted(item_id="item_1", audio_start_ms=0),
        ConversationItemInputAudioTranscriptionDelta(item_id="item_1", delta="good "),
        InputAudioBufferCommitted(item_id="item_1"),
        InputAudioBufferSpeechStarted(item_id="item_2", audio_start_ms=900),
        ConversationItemInputAudioTranscriptionDelta(item_id="item_2", delta="and"),
        ConversationItemInputAudioTranscriptionDelta(item_id="item_1", delta="day"),
    ):
        connection.receive(event, 0.0)
    assert connection.input_audio.turn("item_1").transcript == "good day"
    assert connection.input_audio.turn("item_2").transcript == "and"
    assert connection.input_audio.awaits_commit, "the second goes on"


def test_r18_commit_that_detection_was_quicker_than_is_answered_by_its_commit() -> None:
    # P-196, P-224. The error for the buffer just emptied answers nothing any more.
    play = check(
        Connection("t"),
        [
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            S(InputAudioBufferCommitted(item_id="item_u")),
            Is("input_audio_buffer.commit", "answered"),
            Is("item_u", "committed"),
        ],
    )
    play.check(
        [S("error", request="commit_audio", code="input_audio_buffer_commit_empty"), Oops("error")]
    )


def test_r18_commit_that_finds_the_buffer_empty_is_refused() -> None:
    check(
        Connection("t"),
        [
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            S("error", code="input_audio_buffer_commit_empty"),
            Oops("refused", "input_audio_buffer.commit RequestError"),
        ],
    )


def test_r19_truncation_is_never_longer_than_what_was_delivered() -> None:
    # P-219 to P-221; PC#3677, LK#6157, openai-agents-python #4122.
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_item.added", "a", item=message("item_1")),
            Is("a", "output", "response.output_item.added"),
        ],
    )
    assert play.connection.truncate_points(["item_1"], 500) == [], "no audio yet"
    play.check(
        [
            S(audio_delta("resp_a", 400, item_id="item_1")),
            Is("a", "output", "400ms"),
        ]
    )
    assert play.connection.truncate_points(["item_1"], 150) == [TruncatePoint("item_1", 0, 150)]
    assert play.connection.truncate_points(["item_1"], 0) == [TruncatePoint("item_1", 0, 0)]
    assert play.connection.truncate_points(["item_1"], 400) == [], "heard to its end (P-222)"
    assert play.connection.truncate_points(["item_1"], 9000) == []
    assert play.connection.truncate_points(["item_other"], 100) == []


def test_r19_audio_after_a_truncation_counts_again() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            S("response.output_audio.delta", "a", ms=400),
            Is("a", "output", "400ms"),
            Ask("truncate_item", TruncatePoint("item_resp_a", 0, 100)),
            C("conversation.item.truncate", "item_resp_a"),
            S("response.output_audio.delta", "a", ms=100),
            Is("a", "output", "100ms"),
            S(ConversationItemTruncated(item_id="item_resp_a", audio_end_ms=100)),
            Is("conversation.item.truncate", "answered", "item_resp_a"),
        ],
    )
    (point,) = play.connection.truncate_points(["item_resp_a"], 450)
    assert point.audio_end_ms == 450


def test_r19_truncation_that_the_server_refuses_is_told() -> None:
    play = check(
        Connection("t"),
        [
            Ask("truncate_item", TruncatePoint("item_1", 0, 100)),
            C("conversation.item.truncate", "item_1"),
            S("error", code="invalid_value", param="audio_end_ms"),
            Oops("refused", "conversation.item.truncate RequestError"),
        ],
    )
    (refused,) = play.effects
    assert isinstance(refused, Refused) and isinstance(refused.error, RequestError)
    assert (refused.error.code, refused.error.param) == ("invalid_value", "audio_end_ms")


def test_r20_item_deleted_while_an_out_of_band_response_refers_to_it() -> None:
    # P-32, P-223: the response is refused, and the delete is answered on its own.
    reference = Item(type="item_reference", id="item_1")
    check(
        Connection("t"),
        [
            S(conversation_item_added(message("item_1"))),
            Ask("create", "x", input=[reference], **OOB),
            C("response.create", "x"),
            Ask("delete_item", "item_1"),
            C("conversation.item.delete", "item_1"),
            S("error", create="x", code="invalid_value", param="response.input"),
            Is("x", "ended", "rejected"),
            Is("x", "settled", "rejected (invalid_value)"),
            S(ConversationItemDeleted(item_id="item_1")),
            Is("conversation.item.delete", "answered", "item_1"),
        ],
    )


def test_r20_item_deleted_after_the_response_that_refers_to_it_has_begun() -> None:
    # The other order: the server has read the reference by then, and what it names may go.
    reference = Item(type="item_reference", id="item_1")
    play = check(
        Connection("t"),
        [
            S(conversation_item_added(message("item_1"))),
            *live("x", input=[reference], **OOB),
            Ask("delete_item", "item_1"),
            C("conversation.item.delete", "item_1"),
            S(ConversationItemDeleted(item_id="item_1")),
            Is("conversation.item.delete", "answered", "item_1"),
            S("response.output_text.delta", "x"),
            Is("x", "output", "la"),
            *finished("x"),
        ],
    )
    assert list(play.connection.conversation) == []


def test_r21_update_during_a_response_is_taken_whole_or_not_at_all() -> None:
    # P-251.
    play = check(
        Connection("t"),
        [
            *live("a"),
            Ask("update_session", {"instructions": "Be brief."}, name="first"),
            C("session.update"),
            Ask("update_session", {"voice": "none", "tools": []}, name="second"),
            C("session.update"),
            S(SessionUpdated(session={"instructions": "Be brief."})),
            Is("session.update", "answered"),
            S("error", code="invalid_value", param="session.voice"),
            Oops("refused", "session.update RequestError"),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
        ],
    )
    assert play.connection.snapshot().session == {
        "type": "realtime",
        "instructions": "Be brief.",
    }


def test_r22_error_without_event_id_goes_to_the_request_that_its_code_names() -> None:
    # P-85. Three requests are open; the code tells which one is meant.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("delete_item", "item_1"),
            C("conversation.item.delete", "item_1"),
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            S("error", code="item_delete_invalid_item_id"),
            Oops("refused", "conversation.item.delete RequestError"),
            S("response.created", "a"),
            Is("a", "opened"),
            S(InputAudioBufferCommitted(item_id="item_u")),
            Is("input_audio_buffer.commit", "answered"),
            Is("item_u", "committed"),
        ],
    )


def test_r22_error_that_could_be_anybodys_is_reported_and_refuses_nobody() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            S("error", code="something_new"),
            Oops("error"),
            S("response.created", "a"),
            Is("a", "opened"),
        ],
    )


def test_r22_error_that_can_only_be_one_requests_is_its() -> None:
    # LK#7073: an item create answered by an error waited for its timeout.
    check(
        Connection("t"),
        [
            Ask("create_item", message("item_1", role="user")),
            C("conversation.item.create", "item_1"),
            S("error", code="something_new"),
            Oops("refused", "conversation.item.create RequestError"),
        ],
    )


def test_deletions_acknowledged_without_an_id_are_answered_in_order() -> None:
    # P-313.
    play = check(
        Connection("t"),
        [
            S(conversation_item_added(message("item_1"))),
            S(conversation_item_added(message("item_2"))),
            Ask("delete_item", "item_1"),
            C("conversation.item.delete", "item_1"),
            Ask("delete_item", "item_2"),
            C("conversation.item.delete", "item_2"),
            S(ConversationItemDeleted(item_id="")),
            Is("conversation.item.delete", "answered", "item_1"),
        ],
    )
    assert [item.id for item in play.connection.conversation] == ["item_2"]


def test_r22_item_after_one_that_was_deleted_is_refused_not_lost() -> None:
    # LK#6964, P-212.
    check(
        Connection("t"),
        [
            Ask("create_item", message("item_2", role="user"), previous_item_id="item_gone"),
            C("conversation.item.create", "item_2"),
            S("error", code="invalid_value", param="previous_item_id"),
            Oops("refused", "conversation.item.create RequestError"),
        ],
    )


def test_r23_loss_settles_everything_in_flight_once() -> None:
    # P-260, P-271, P-278; LK#5276: readers hung.
    play = check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            Ask("cancel", "x"),
            C("response.cancel", "x"),
            Is("x", "ended", "cancelled"),
            Ask("create", "y", **OOB),
            C("response.create", "y"),
            Ask("create", "z", **OOB),
            C("response.create", "z"),
            Ask("cancel", "z"),
            Is("z", "ended", "cancelled"),
            Ask("create", "b"),
            Ask("retrieve_item", "item_1"),
            C("conversation.item.retrieve", "item_1"),
            Lose(),
            Is("a", "ended", "lost"),
            Is("a", "settled", "lost"),
            Is("x", "settled", "lost"),
            Is("interruption", "over"),
            Is("y", "ended", "lost"),
            Is("y", "settled", "lost"),
            Is("z", "settled", "lost"),
            Is("interruption", "over"),
            Is("b", "ended", "lost"),
            Is("b", "settled", "lost"),
            Oops("refused", "conversation.item.retrieve ConnectionClosedError"),
            Lose(),
        ],
    )
    assert [entry.outcome.kind for entry in play.receipt.lost] == ["lost"]
    assert play.connection.next_deadline() is None


def test_r23_interruption_after_the_loss_is_over_at_once() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            Lose(),
            Is("a", "ended", "lost"),
            Is("a", "settled", "lost"),
            Ask("interrupt"),
            Is("interruption", "over"),
            Ask("cancel", "a"),
            Is("interruption", "over"),
        ],
    )
    assert len(play.receipt.lost) == 1


def test_event_about_an_unknown_item_harms_nothing() -> None:
    # openai-realtime-api-beta #110: the client crashed.
    connection = Connection("t")
    for event in (
        ConversationItemDeleted(item_id="item_gone"),
        ConversationItemTruncated(item_id="item_gone", content_index=4, audio_end_ms=10),
        conversation_item_done(message("item_new"), "item_gone"),
    ):
        assert connection.receive(event, 0.0) == []
    assert [item.id for item in connection.conversation] == ["item_new"]


def test_closing_reason_reaches_the_one_who_waits() -> None:
    play = Playbook(Connection("t"))
    play.check([Ask("clear_audio"), C("input_audio_buffer.clear")])
    closed = ConnectionClosedError(1001, "Your session hit the maximum duration", "server")
    (refused,) = play.connection.lose(closed, 0.0)
    assert isinstance(refused, Refused) and refused.error is closed
