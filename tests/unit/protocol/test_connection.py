"""The way in: commands become frames, and each request is answered once."""

from collections.abc import Callable
from typing import Any

import pytest

from antiphon.exceptions import (
    FATAL_CODES,
    LocalProtocolError,
    RequestError,
    RequestTimeout,
)
from antiphon.protocol.connection import Connection
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.effects import (
    Answered,
    Refused,
    Send,
)
from antiphon.protocol.errors import request_error
from antiphon.protocol.options import Options
from antiphon.protocol.snapshot import Snapshot
from antiphon.wire import server_events as said
from antiphon.wire.base import UNSET, UnknownEvent
from antiphon.wire.client_events import (
    ConversationItemCreate,
    ResponseCreate,
    ResponseCreateParams,
    SessionUpdate,
)
from antiphon.wire.items import ContentPart, ErrorInfo, Item
from tests.helpers.builders import (
    NOT_ACTIVE,
    conversation_item_added,
    conversation_item_done,
    error,
    message,
)
from tests.helpers.playbook import Ask, C, Is, Oops, Playbook, S, Wait, check, live

__all__: list[str] = []

PCM = {"type": "audio/pcm", "rate": 24000}
ULAW = {"type": "audio/pcmu"}


def connection(**options: Any) -> Connection:
    return Connection("t", Options(**options))


def test_create_carries_what_was_asked_and_one_key_of_ours() -> None:
    params = ResponseCreateParams(instructions="Hi", metadata={"topic": "x"})
    response, (sent,) = connection().create_response(params, 0.0, purpose="greeting")
    assert isinstance(sent, Send) and isinstance(sent.event, ResponseCreate)
    assert sent.event.response == ResponseCreateParams(
        instructions="Hi", metadata={"topic": "x", "antiphon": str(response.key)}
    )
    assert sent.event.event_id
    assert response.metadata == {"topic": "x"} and response.purpose == "greeting"
    assert params.metadata == {"topic": "x"}, "what the caller gave is not touched"


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({str(number): "x" for number in range(16)}, "16 pairs"),
        ({"antiphon": "x"}, "antiphon's own"),
        ({"k" * 65: "x"}, "too long"),
        ({"k": "x" * 513}, "too long"),
        ({"k": 7}, "must be a str"),
    ],
)
def test_metadata_over_the_limits_is_refused_before_it_is_sent(
    metadata: dict[str, Any], complaint: str
) -> None:
    # P-112.
    made = connection()
    with pytest.raises(LocalProtocolError, match=complaint):
        made.create_response(ResponseCreateParams(metadata=metadata), 0.0)
    assert made.unsettled == ()


def test_metadata_up_to_the_limits_is_fine() -> None:
    metadata = {"k" * 64: "x" * 512, **{str(number): "x" for number in range(14)}}
    made = connection()
    made.create_response(ResponseCreateParams(metadata=metadata), 0.0)
    assert len(made.unsettled) == 1


def test_event_ids_are_not_used_twice() -> None:
    # P-80: they tell which request an error answers.
    play = Playbook(connection())
    for step in (
        Ask("create", "a"),
        S("response.created", "a"),
        Ask("interrupt"),
        Ask("update_session", {}),
        Ask("create_item", message("item_1", role="user")),
        Ask("retrieve_item", "item_1"),
        Ask("delete_item", "item_1"),
        Ask("truncate_item", TruncatePoint("item_1", 0, 1)),
        Ask("commit_audio"),
        Ask("clear_audio"),
        Ask("append_audio", b"\0\0"),
    ):
        play.play(step)
    ids = [event.event_id for event in play.sent if not isinstance(event, UnknownEvent)]
    assert ids.pop() is UNSET, "P-101: an append is not answered"
    assert len(set(ids)) == len(ids) == 9 and all(ids)


def test_session_update_says_of_what_type_it_is() -> None:
    # P-253.
    play = check(connection(), [Ask("update_session", {"voice": "x"}), C("session.update")])
    (event,) = play.sent
    assert isinstance(event, SessionUpdate)
    assert event.session == {"type": "realtime", "voice": "x"}
    play.play(Ask("update_session", {"type": "transcription"}))
    assert isinstance(play.sent[1], SessionUpdate)
    assert play.sent[1].session == {"type": "transcription"}


def test_item_without_an_id_gets_one() -> None:
    made = Connection("p" * 40)
    item = Item(type="message", role="user", content=[ContentPart(type="input_text", text="x")])
    ids = []
    for _ in range(2):
        request, (sent,) = made.create_item(item, 0.0)
        assert isinstance(sent, Send) and isinstance(sent.event, ConversationItemCreate)
        assert sent.event.item.id == request.subject and sent.event.item.content == item.content
        ids.append(str(request.subject))
    assert all(one.startswith("item_") and len(one) <= 32 for one in ids), "P-216"


def test_generated_item_ids_differ() -> None:
    made = Connection("prefix")
    requests = [made.create_item(Item(type="message"), 0.0)[0] for _ in range(3)]
    assert len({request.subject for request in requests}) == 3


ANSWERS: list[tuple[Ask, said.ServerEvent, str | None]] = [
    (Ask("update_session", {}), said.SessionUpdated(session={}), None),
    (
        Ask("create_item", message("item_1", role="user")),
        conversation_item_added(message("item_1", role="user")),
        "item_1",
    ),
    (
        Ask("create_item", message("item_1", role="user")),
        said.ConversationItemCreated(item=message("item_1", role="user")),
        "item_1",
    ),
    (
        Ask("create_item", message("item_1", role="user")),
        conversation_item_done(message("item_1", role="user")),
        "item_1",
    ),
    (
        Ask("retrieve_item", "item_1"),
        said.ConversationItemRetrieved(item=message("item_1")),
        "item_1",
    ),
    (Ask("delete_item", "item_1"), said.ConversationItemDeleted(item_id="item_1"), "item_1"),
    (
        Ask("truncate_item", TruncatePoint("item_1", 0, 9)),
        said.ConversationItemTruncated(item_id="item_1", content_index=0, audio_end_ms=9),
        "item_1",
    ),
    (Ask("clear_audio"), said.InputAudioBufferCleared(), None),
]


@pytest.mark.parametrize(("ask", "answer", "subject"), ANSWERS)
def test_request_is_answered_once(ask: Ask, answer: said.ServerEvent, subject: str | None) -> None:
    # P-100 to P-107, I3.
    play = Playbook(connection())
    play.play(ask)
    request = play.request(ask.verb)
    play.check([S(answer), Is(str(request.kind), "answered", subject), S(answer), Wait(60.0)])


def test_results() -> None:
    made = connection()
    item = message("item_1", role="user")
    cases: list[tuple[Callable[[], Any], said.ServerEvent, Any]] = [
        (
            lambda: made.update_session({}, 0.0),
            said.SessionUpdated(session={"voice": "x"}),
            {"voice": "x"},
        ),
        (lambda: made.create_item(item, 0.0), conversation_item_added(item), item),
        (
            lambda: made.retrieve_item("item_1", 0.0),
            said.ConversationItemRetrieved(item=item),
            item,
        ),
        (
            lambda: made.commit_audio(0.0),
            said.InputAudioBufferCommitted(item_id="item_u"),
            "item_u",
        ),
        (lambda: made.commit_audio(0.0), said.InputAudioBufferCommitted(), None),
    ]
    for ask, answer, result in cases:
        request, _ = ask()
        answered = made.receive(answer, 0.0)[0]
        assert isinstance(answered, Answered)
        assert answered.request is request and answered.result == result


@pytest.mark.parametrize(("ask", "answer", "subject"), ANSWERS)
def test_request_without_an_answer_is_given_up(
    ask: Ask, answer: said.ServerEvent, subject: str | None
) -> None:
    # I3. LK#7073: it waited for ever, or for 5 s though the answer was there.
    play = Playbook(connection(request_timeout=2.0))
    play.play(ask)
    kind = play.request(ask.verb).kind
    play.check([Wait(1.9), Wait(0.1), Oops("refused", f"{kind} RequestTimeout"), Wait(60.0)])


def test_timeout_says_what_was_not_answered() -> None:
    made = connection(request_timeout=2.0)
    made.delete_item("item_1", 0.0)
    (refused,) = made.advance(2.0)
    assert isinstance(refused, Refused) and isinstance(refused.error, RequestTimeout)
    assert str(refused.error) == "the server did not answer conversation.item.delete within 2 s"


def test_refusal_carries_the_servers_words() -> None:
    play = check(connection(), [Ask("delete_item", "x"), C("conversation.item.delete", "x")])
    event_id = play.request("delete_item").event_id
    play.play(S(error("item_delete_invalid_item_id", event_id=event_id, param="item_id")))
    (refused,) = play.effects
    assert isinstance(refused, Refused) and isinstance(refused.error, RequestError)
    assert (refused.error.code, refused.error.type, refused.error.param) == (
        "item_delete_invalid_item_id",
        "invalid_request_error",
        "item_id",
    )
    assert refused.error.event_id == event_id and str(refused.error) == "no"
    play.check([Wait(60.0)])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ErrorInfo(message="sentence", code="c"), "sentence"),
        (ErrorInfo(code="c"), "c"),
        (ErrorInfo(), "the server reported an error without a message"),
    ],
)
def test_error_always_says_something(error: ErrorInfo, text: str) -> None:
    assert str(request_error(error)) == text


@pytest.mark.parametrize("code", sorted(FATAL_CODES))
def test_some_errors_mean_that_no_session_is_to_be_had(code: str) -> None:
    # P-92, P-264 to P-266.
    check(connection(), [S("error", code=code), Oops("error"), Oops("fatal", code)])


def test_error_of_a_cancel_that_nobody_remembers_is_expected() -> None:
    check(connection(), [S("error", code="response_cancel_not_active"), Oops("absorbed")])


def test_refused_replay_is_not_replayed_again() -> None:
    made = connection()
    made.resume(Snapshot(session={}, items=(message("item_1"),)), 0.0)
    (request,) = made._requests.all()
    made.receive(error("invalid_value", event_id=request.event_id), 0.0)
    assert made.snapshot().items == ()


def test_error_goes_to_the_create_or_the_cancel_that_it_answers() -> None:
    check(
        connection(),
        [
            *live("a"),
            Ask("create", "x", conversation="none"),
            C("response.create", "x"),
            Ask("cancel", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("error", create="x", code="server_error"),
            Is("x", "ended", "rejected"),
            Is("x", "settled", "rejected (server_error)"),
            S("error", cancel="a", code="not_implemented"),
            Oops("error", "a"),
            S("response.done", "a"),
            Is("a", "settled", "completed"),
            Is("interruption", "over"),
        ],
    )


@pytest.mark.parametrize("code", [NOT_ACTIVE, "no_such_thing"])
def test_error_of_a_cancel_that_came_too_late_is_expected(code: str) -> None:
    # P-14, P-293.
    play = check(
        connection(),
        [
            *live("a"),
            Ask("cancel", "a"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a"),
            Is("a", "settled", "completed"),
            Is("interruption", "over"),
            S("error", cancel="a", code=code),
            Oops("absorbed", "a"),
        ],
    )
    assert play.connection.idle and play.connection.next_deadline() is None


def test_error_of_a_cancel_while_the_response_runs_settles_it() -> None:
    check(
        connection(),
        [
            *live("a"),
            Ask("interrupt", "default"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("error", cancel="a", code=NOT_ACTIVE),
            Oops("absorbed", "a"),
            Is("a", "settled", "unknown (not_active)"),
            Is("interruption", "over"),
        ],
    )


def test_interruption_of_one_lane() -> None:
    check(connection(), [Ask("interrupt", "out_of_band"), Is("interruption", "over")])
