"""Which answer belongs to which request (I3)."""

import pytest

from antiphon.protocol.deadlines import Deadlines
from antiphon.protocol.errors import error_code, says_busy
from antiphon.protocol.lifecycle import ResponseState
from antiphon.protocol.requests import Request, RequestKind, Requests
from antiphon.protocol.response import Lane, Response
from antiphon.wire.items import ErrorInfo
from tests.helpers.builders import ACTIVE, NOT_ACTIVE

__all__: list[str] = []

Kind = RequestKind


def create(event_id: str, lane: Lane = Lane.DEFAULT) -> Request:
    return Request(event_id, Kind.RESPONSE_CREATE, response=Response(1, lane=lane))


def cancel(event_id: str, state: ResponseState = ResponseState.CANCELLING) -> Request:
    response = Response(1, lane=Lane.DEFAULT)
    response.state = state
    return Request(event_id, Kind.RESPONSE_CANCEL, response=response)


def requests(*pending: Request) -> Requests:
    made = Requests("t", Deadlines(), 10.0)
    for request in pending:
        made.add(request)
    return made


def refusal(
    code: str | None = None, param: str | None = None, type: str | None = "invalid_request_error"
) -> ErrorInfo:
    return ErrorInfo(type=type, code=code, message="no", param=param, event_id=None)


def test_request_is_found_by_its_event_id_until_it_is_removed() -> None:
    one, other = Request("e1", Kind.COMMIT), Request("e2", Kind.COMMIT)
    made = requests(one, other)
    assert made.get("e1") is one and made.get(None) is None and made.get("e3") is None
    assert made.all() == [one, other] and len(made) == 2
    assert made.pending(Kind.COMMIT) == [one, other] and made.pending(Kind.CLEAR) == []
    made.remove(one)
    made.remove(one)
    made.remove(None)
    assert made.all() == [other] and made.pending(Kind.COMMIT) == [other]
    assert repr(other) == "<Request input_audio_buffer.commit e2>"


def test_oldest_request_of_a_kind_is_answered_first() -> None:
    one, other = Request("e1", Kind.CLEAR), Request("e2", Kind.CLEAR)
    made = requests(one, other)
    assert made.find(Kind.CLEAR) is one
    assert made.find(Kind.COMMIT) is None


def test_item_requests_are_told_apart_by_item() -> None:
    one = Request("e1", Kind.ITEM_DELETE, subject="item_1")
    other = Request("e2", Kind.ITEM_DELETE, subject="item_2")
    made = requests(one, other)
    assert made.find(Kind.ITEM_DELETE, "item_2") is other
    assert made.find(Kind.ITEM_DELETE, "item_3") is None


def test_echo_decides_whatever_else_the_error_says() -> None:
    # P-83.
    one, other = create("e1"), Request("e2", Kind.COMMIT)
    made = requests(one, other)
    said = ErrorInfo(code=ACTIVE, param="session", event_id="e2")
    assert made.match_error(said) is other
    assert made.match_error(ErrorInfo(code=ACTIVE, event_id="e9")) is None


def test_echo_in_the_wrong_place() -> None:
    # P-305.
    one, other = create("e1"), Request("e2", Kind.COMMIT)
    made = requests(one, other)
    assert made.match_error(refusal(ACTIVE), "e2") is other
    assert made.match_error(refusal(ACTIVE), "event_of_the_server") is one


@pytest.mark.parametrize(
    ("code", "param", "kind"),
    [
        ("input_audio_buffer_commit_empty", None, Kind.COMMIT),
        ("item_truncate_invalid_item_id", None, Kind.ITEM_TRUNCATE),
        ("unsupported_content_type", None, Kind.ITEM_TRUNCATE),
        ("item_delete_invalid_item_id", None, Kind.ITEM_DELETE),
        ("item_retrieve_invalid_item_id", None, Kind.ITEM_RETRIEVE),
        ("invalid_tool_call_id", None, Kind.ITEM_CREATE),
        ("cannot_update_voice", None, Kind.SESSION_UPDATE),
        (ACTIVE, None, Kind.RESPONSE_CREATE),
        (NOT_ACTIVE, None, Kind.RESPONSE_CANCEL),
        ("invalid_value", "session.tools[2].meta", Kind.SESSION_UPDATE),
        ("invalid_value", "item.call_id", Kind.ITEM_CREATE),
        ("invalid_value", "previous_item_id", Kind.ITEM_CREATE),
        ("invalid_value", "response.reasoning", Kind.RESPONSE_CREATE),
        ("invalid_value", "audio_end_ms", Kind.ITEM_TRUNCATE),
        ("invalid_value", "content_index", Kind.ITEM_TRUNCATE),
    ],
)
def test_without_echo_code_or_param_tell_the_kind(code: str, param: str, kind: Kind) -> None:
    # P-85.
    pending = {one: Request(f"e-{one}", one) for one in Kind}
    pending[Kind.RESPONSE_CREATE] = create("e-create")
    pending[Kind.RESPONSE_CANCEL] = cancel("e-cancel")
    made = requests(*pending.values())
    found = made.match_error(refusal(code, param))
    assert found is pending[kind]
    made.remove(found)
    assert made.match_error(refusal(code, param)) is None


def test_among_requests_of_a_kind_the_oldest_is_meant() -> None:
    one, other = Request("e1", Kind.COMMIT), Request("e2", Kind.COMMIT)
    code = "input_audio_buffer_commit_empty"
    assert requests(one, other).match_error(refusal(code)) is one


def test_busy_lane_is_the_default_ones() -> None:
    # P-30, P-42; only a server with one slot in all says so of another (P-306).
    outside, inside = create("e1", Lane.OUT_OF_BAND), create("e2")
    assert requests(outside, inside).match_error(refusal(ACTIVE)) is inside
    assert requests(outside).match_error(refusal(ACTIVE)) is outside
    assert requests().match_error(refusal(ACTIVE)) is None


def test_lone_request_is_meant_where_nothing_says_otherwise() -> None:
    one = Request("e1", Kind.ITEM_CREATE)
    assert requests(one).match_error(refusal("something_new")) is one
    assert requests(one).match_error(refusal("something_new", type=None)) is one
    assert requests(one, create("e2")).match_error(refusal("something_new")) is None
    assert requests().match_error(refusal("something_new")) is None


@pytest.mark.parametrize(
    "stray",
    [refusal("x", param="type"), refusal("x", param="audio"), refusal(None, type="server_error")],
)
def test_lone_request_is_not_blamed_for_what_no_request_did(stray: ErrorInfo) -> None:
    assert requests(create("e1")).match_error(stray) is None


def test_cancel_that_found_nothing_is_one_whose_response_is_over() -> None:
    # P-14.
    running, over = cancel("e1"), cancel("e2", ResponseState.CLOSED)
    assert requests(running, over).match_error(refusal(NOT_ACTIVE)) is over
    assert requests(running).match_error(refusal(NOT_ACTIVE)) is running
    assert requests(running, cancel("e3")).match_error(refusal(NOT_ACTIVE)) is None


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ErrorInfo(code="a", type="b"), "a"),
        (ErrorInfo(code=None, type="b"), "b"),
        (ErrorInfo(), None),
    ],
)
def test_code_may_stand_in_the_type(error: ErrorInfo, code: str | None) -> None:
    # P-306.
    assert error_code(error) == code


@pytest.mark.parametrize(
    ("error", "busy"),
    [
        (ErrorInfo(code=ACTIVE), True),
        (ErrorInfo(type=ACTIVE), True),
        (ErrorInfo(code=None, message="Conversation already has an active response"), True),
        (ErrorInfo(code="x", message="Conversation already has an active response"), False),
        (ErrorInfo(code=None, message="Your conversation already has an active response"), False),
        (ErrorInfo(), False),
    ],
)
def test_forms_of_the_busy_error(error: ErrorInfo, busy: bool) -> None:
    # P-42, P-43, P-306.
    assert says_busy(error) is busy
