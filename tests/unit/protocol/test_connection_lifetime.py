"""Deadlines, loss, going on elsewhere, and the time without a socket."""

from collections.abc import Callable
from typing import Any

import pytest

from antiphon.exceptions import (
    ConnectionClosedError,
    LocalProtocolError,
    ResponseRejected,
)
from antiphon.protocol.connection import Connection
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.effects import Answered, Refused, Send
from antiphon.protocol.options import Options
from antiphon.protocol.response import OnBusy
from antiphon.protocol.snapshot import Snapshot
from antiphon.wire import server_events as said
from antiphon.wire.client_events import (
    ResponseCreateParams,
    SessionUpdate,
)
from antiphon.wire.items import ContentPart, Item
from tests.helpers.builders import (
    ACTIVE,
    call,
    conversation_item_added,
    message,
    text_delta,
)
from tests.helpers.playbook import Ask, C, Is, Lose, Oops, Playbook, S, Wait, check, finished, live

__all__: list[str] = []

PCM = {"type": "audio/pcm", "rate": 24000}
ULAW = {"type": "audio/pcmu"}


def connection(**options: Any) -> Connection:
    return Connection("t", Options(**options))


def test_shell_is_told_when_to_come_back() -> None:
    made = connection(create_timeout=3.0)
    assert made.next_deadline() is None
    made.create_response(ResponseCreateParams(), 10.0)
    assert made.next_deadline() == 13.0
    assert made.advance(12.9) == []


def test_deadlines_of_responses_and_requests_are_carried_out() -> None:
    check(
        connection(create_timeout=1.0, settle_timeout=1.0, request_timeout=1.5),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            Wait(10.0),
            Is("a", "ended", "timed_out"),
            Oops("refused", "input_audio_buffer.commit RequestTimeout"),
            Is("a", "settled", "timed_out (unanswered)"),
        ],
    )


def test_cancel_is_not_missed_when_it_is_never_answered() -> None:
    # Its response is settled by its own deadline; nobody is told twice.
    check(
        connection(),
        [
            *live("a"),
            Ask("cancel", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Wait(60.0),
            Is("a", "settled", "unsettled"),
            Is("interruption", "over"),
        ],
    )


def test_loss_settles_responses_and_refuses_requests() -> None:
    check(
        connection(),
        [
            *live("x", conversation="none"),
            Ask("cancel", "x"),
            C("response.cancel", "x"),
            Is("x", "ended", "cancelled"),
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            Lose(),
            Is("x", "settled", "lost"),
            Is("interruption", "over"),
            Is("a", "ended", "lost"),
            Is("a", "settled", "lost"),
            Oops("refused", "input_audio_buffer.commit ConnectionClosedError"),
        ],
    )


def test_held_create_is_tried_again_in_time() -> None:
    check(
        connection(busy_backoff=1.0),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code=ACTIVE),
            Wait(1.9),
            Wait(0.1),
            C("response.create", "a"),
        ],
    )


@pytest.mark.parametrize(
    "ask",
    [
        lambda made: made.create_response(ResponseCreateParams(), 0.0),
        lambda made: made.append_audio(b"\0\0"),
        lambda made: made.commit_audio(0.0),
        lambda made: made.clear_audio(0.0),
        lambda made: made.create_item(message("item_1"), 0.0),
        lambda made: made.update_session({}, 0.0),
    ],
)
def test_lost_connection_takes_no_more_commands(ask: Callable[[Connection], object]) -> None:
    made = connection()
    made.append_audio(bytes(96))
    made.lose(ConnectionClosedError(1006, "", "network"), 0.0)
    with pytest.raises(LocalProtocolError, match="gone"):
        ask(made)
    assert made.input_audio.uncommitted_bytes == 96, "and nothing of it took effect"
    assert made.unsettled == () and made.next_deadline() is None


def test_new_connection_takes_up_where_the_old_one_was() -> None:
    old = connection()
    old.update_session({"voice": "cedar", "audio": {"input": {"format": PCM}}}, 0.0)
    old.receive(said.SessionUpdated(session={"voice": "cedar", "more": "defaults"}), 0.0)
    old.receive(conversation_item_added(message("item_1", role="user")), 0.0)
    old.receive(conversation_item_added(Item(type="message", id="item_2", role="user")), 0.0)
    snapshot = old.snapshot()
    play = check(
        Connection("u"),
        [
            Ask("resume", snapshot),
            C("session.update"),
            C("conversation.item.create", "item_1"),
            Oops("unsent"),
        ],
    )
    (update, _) = play.sent
    assert isinstance(update, SessionUpdate)
    assert update.session == {
        "type": "realtime",
        "voice": "cedar",
        "audio": {"input": {"format": PCM}},
    }


def test_nothing_to_resume() -> None:
    check(Connection("u"), [Ask("resume", connection().snapshot())])


def test_second_loss_before_the_answers_keeps_the_configuration() -> None:
    new = connection()
    new.resume(Snapshot(session={"voice": "cedar"}), 0.0)
    assert new.snapshot().session == {"voice": "cedar"}


def test_replayed_item_that_is_deleted_stays_deleted() -> None:
    new = connection()
    new.resume(Snapshot(session={}, items=(message("item_1"), message("item_2"))), 0.0)
    new.receive(said.ConversationItemDeleted(item_id="item_1"), 0.0)
    assert [item.id for item in new.snapshot().items] == ["item_2"]


def test_without_a_socket_creates_wait_and_no_deadline_runs() -> None:
    play = Playbook(Connection("t", online=False))
    play.check(
        [
            Ask("create", "a"),
            Ask("create", "x", conversation="none"),
            Ask("commit_audio"),
            Ask("create", "b"),
            Wait(100.0),
        ]
    )
    assert play.connection.next_deadline() is None
    sent = [effect.event for effect in play.connection.go_online(play.now)]  # type: ignore[union-attr]
    assert [event.type for event in sent] == [
        "response.create",
        "response.create",
        "input_audio_buffer.commit",
    ]
    assert play["b"].state == "queued", "the lane is taken by a"
    assert play.connection.next_deadline() == 110.0, "from now on"
    assert play.connection.go_online(play.now) == []
    play.play(Wait(10.0))
    refused = [effect for effect in play.effects if isinstance(effect, Refused)]
    assert [effect.request for effect in refused] == [play.request("commit_audio")]
    play.play(Ask("clear_audio"))
    play.play(Wait(10.0))
    assert any(
        isinstance(effect, Refused) and effect.request is play.request("clear_audio")
        for effect in play.effects
    )


def test_create_made_without_a_socket_can_be_cancelled() -> None:
    play = Playbook(Connection("t", online=False))
    play.check(
        [
            Ask("create", "a", on_busy="send"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            Is("a", "settled", "cancelled (never_sent)"),
            Is("interruption", "over"),
        ]
    )
    assert play.connection.go_online(0.0) == []


DETECTS = said.SessionUpdated(session={"audio": {"input": {"turn_detection": {"type": "x"}}}})
BY_HAND = said.SessionUpdated(session={"audio": {"input": {"turn_detection": None}}})


def test_connection_without_work_is_idle() -> None:
    play = check(connection(), [*live("a")])
    assert not play.connection.idle
    play.check([*finished("a")])
    assert play.connection.idle


def test_connection_with_an_open_request_is_not_idle() -> None:
    play = check(connection(), [Ask("delete_item", "x"), C("conversation.item.delete", "x")])
    assert not play.connection.idle


@pytest.mark.parametrize(("session", "idle"), [(DETECTS, True), (BY_HAND, False)])
def test_audio_that_only_the_caller_commits_is_work(session: said.ServerEvent, idle: bool) -> None:
    made = connection()
    made.receive(session, 0.0)
    made.append_audio(b"\0\0")
    assert made.idle is idle


def test_speech_that_is_not_committed_is_work() -> None:
    made = connection()
    made.receive(DETECTS, 0.0)
    made.receive(said.InputAudioBufferSpeechStarted(item_id="u"), 0.0)
    assert not made.idle
    made.receive(said.InputAudioBufferCommitted(item_id="u"), 0.0)
    assert made.idle


def test_reject_is_an_answer_at_once() -> None:
    made = connection()
    made.create_response(ResponseCreateParams(), 0.0)
    with pytest.raises(ResponseRejected) as refused:
        made.create_response(ResponseCreateParams(), 0.0, on_busy=OnBusy.REJECT)
    assert refused.value.code == ACTIVE and len(made.unsettled) == 1


def test_losing_twice_says_it_once() -> None:
    check(
        connection(),
        [
            Ask("clear_audio"),
            C("input_audio_buffer.clear"),
            Lose(),
            Oops("refused", "input_audio_buffer.clear ConnectionClosedError"),
            Lose(),
            S(text_delta("resp_a")),
        ],
    )


def is_idle(made: Connection) -> bool:
    return made.idle


def test_approval_that_was_asked_for_is_work_until_it_is_given() -> None:
    made = connection()
    asked = Item(type="mcp_approval_request", id="mcpr_1", name="delete", arguments="{}")
    made.receive(conversation_item_added(asked), 0.0)
    assert not is_idle(made)
    given = Item(
        type="mcp_approval_response", id="mcpa_1", approval_request_id="mcpr_1", approve=True
    )
    made.receive(conversation_item_added(given), 0.0)
    assert is_idle(made)


def test_call_is_work_until_its_output_is_there() -> None:
    made = connection()
    made.receive(conversation_item_added(call("1", status="in_progress", arguments="")), 0.0)
    assert is_idle(made), "its response is in flight, not yet the call"
    made.receive(said.ConversationItemDone(item=call("1")), 0.0)
    assert not is_idle(made)
    output = Item(type="function_call_output", id="out_1", call_id="call_1", output="42")
    made.receive(conversation_item_added(output), 0.0)
    made.receive(said.ConversationItemDone(item=call("1")), 0.0)
    assert is_idle(made), "told again after its output"
    made.receive(said.ConversationItemDeleted(item_id="out_1"), 0.0)
    made.receive(said.ConversationItemDone(item=call("1")), 0.0)
    assert not is_idle(made)
    made.receive(said.ConversationItemDeleted(item_id="item_1"), 0.0)
    assert is_idle(made)


def test_call_that_was_cut_short_is_owed_nothing() -> None:
    made = connection()
    made.receive(conversation_item_added(call("1", status="incomplete")), 0.0)
    assert is_idle(made)


def test_truncation_that_was_not_answered_keeps_its_words_out_of_the_replay() -> None:
    old, new = connection(), Connection("u", online=False)
    words = ContentPart(type="output_audio", transcript="What nobody heard.")
    item = Item(type="message", id="item_1", role="assistant", content=[words])
    old.receive(conversation_item_added(item), 0.0)
    old.truncate_item(TruncatePoint("item_1", 0, 0), 0.0)
    new.follow(old)
    assert new.snapshot().items == ()


def test_what_was_asked_before_the_loss_is_answered_after_the_replay() -> None:
    # In the order in which they are sent, which is not that in which they were asked.
    old, new = connection(), Connection("u", online=False)
    old.update_session({"voice": "cedar"}, 0.0)
    old.receive(said.SessionUpdated(session={"voice": "cedar"}), 0.0)
    request, _ = old.update_session({"instructions": "Be brief."}, 0.0)
    new.follow(old)
    assert new.resume(new.snapshot(), 0.0) == []
    sent = [effect.event for effect in new.go_online(0.0) if isinstance(effect, Send)]
    assert [event.session for event in sent if isinstance(event, SessionUpdate)] == [
        {"type": "realtime", "voice": "cedar"},
        {"type": "realtime", "instructions": "Be brief."},
    ]
    (replayed,) = new.receive(said.SessionUpdated(session={"voice": "cedar"}), 0.0)
    assert isinstance(replayed, Answered) and replayed.request is not request
    (answered,) = new.receive(said.SessionUpdated(session={"instructions": "Be brief."}), 0.0)
    assert isinstance(answered, Answered) and answered.request is request
    assert new.snapshot().session == {
        "type": "realtime",
        "voice": "cedar",
        "instructions": "Be brief.",
    }
