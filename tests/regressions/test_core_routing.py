"""Bugs that the core once had: which response an event means. One trace each."""

from antiphon.protocol.connection import Connection
from antiphon.protocol.options import Options
from antiphon.protocol.response import Lane
from antiphon.wire.items import Item
from antiphon.wire.server_events import ErrorEvent
from tests.helpers.builders import (
    ACTIVE,
    call,
    conversation_item_added,
    created,
    done,
    error,
    malformed,
    message,
)
from tests.helpers.playbook import (
    OOB,
    Ask,
    C,
    Is,
    Oops,
    Playbook,
    S,
    Wait,
    check,
    delivered_ms,
    finished,
    live,
)

__all__: list[str] = []


def test_server_without_ids_may_make_more_than_one_response() -> None:
    # The second was taken for the first, which is over, and was never named (P-311).
    play = Playbook(Connection("t"))
    for name in ("a", "b"):
        play.check(
            [
                Ask("create", name),
                C("response.create", name),
                S("response.created", name, id=None),
                Is(name, "opened"),
                S("response.output_text.delta", name, id=None),
                Is(name, "output", "la"),
                S("response.done", name, id=None),
                Is(name, "ended", "finished"),
                Is(name, "settled", "completed"),
            ]
        )


def test_server_without_ids_may_make_more_than_one_of_its_own() -> None:
    play = Playbook(Connection("t"))
    for _ in range(2):
        play.play(S(created(None)))
        (opened,) = play.effects
        (response,) = play.connection.unsettled
        play.play(S(done(None)))
        assert str(response.outcome) == "completed"


def test_response_announced_without_its_id_is_named_by_its_output() -> None:
    # The output was put aside as nobody's, and a cancel could not name the response (P-311).
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", id=None),
            Is("a", "opened"),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
        ],
    )


def test_response_announced_without_its_id_is_named_by_its_end() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", id=None),
            Is("a", "opened"),
            S("response.done", "a", metadata=None),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
        ],
    )


def test_creates_are_taken_in_the_order_in_which_they_were_sent() -> None:
    # Without metadata the order of the creates decides. The order in which they had been asked
    # for was taken, although one of them had been held back (ADR-0005).
    play = Playbook(Connection("t", Options(echoes_metadata=False)))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", metadata=None),
            Is("a", "opened"),
            Ask("create", "later"),
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.done", "a", metadata=None),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
            C("response.create", "later"),
            S("response.created", "x", metadata=None, lane=None),
            Is("x", "opened"),
            S("response.created", "later", metadata=None, lane=None),
            Is("later", "opened"),
        ]
    )


def test_order_of_creates_is_kept_for_each_lane() -> None:
    play = Playbook(Connection("t", Options(echoes_metadata=False)))
    play.check(
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", metadata=None),
            Is("a", "opened"),
            S("response.created", "x", metadata=None),
            Is("x", "opened"),
        ]
    )


def test_response_that_was_refused_and_is_created_all_the_same_is_not_heard() -> None:
    # An error without an event id was put down to it. The caller was told that it was refused, and
    # then it played as a response of the server's own making (I5).
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", code="unknown_parameter", param="response.foo"),
            Is("a", "ended", "rejected"),
            Is("a", "settled", "rejected (unknown_parameter)"),
            S("response.created", "a"),
            C("response.cancel", "a"),
            S("response.output_text.delta", "a"),
            S("response.done", "a", status="cancelled"),
        ],
    )


def test_cancelled_and_refused_response_that_is_created_all_the_same_is_not_heard() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            S("error", create="a", code=ACTIVE),
            Is("a", "settled", f"cancelled (never_created, {ACTIVE})"),
            Is("interruption", "over"),
            S("response.created", "a"),
            C("response.cancel", "a"),
        ],
    )


def test_second_response_with_the_key_of_a_create_is_not_heard() -> None:
    # A create that was sent twice because a refusal was put down to the wrong one.
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a"),
            Is("a", "opened"),
            S("response.created", "a", id="resp_twin"),
            C("response.cancel", "twin"),
        ]
    )


def test_held_create_that_the_server_took_after_all_is_opened() -> None:
    # The refusal was another's. It was sent a second time, and both were heard.
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", code=ACTIVE),
            S("response.created", "a"),
            Is("a", "opened"),
            S("response.done", "a"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
            Wait(60.0),
        ]
    )


def test_held_create_that_the_server_finished_after_all_is_settled() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", code=ACTIVE),
            S("response.done", "a", status="failed"),
            Is("a", "opened"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "failed"),
            Wait(60.0),
        ],
    )


def test_end_of_a_refused_response_opens_nothing() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", create="a", code="server_error"),
            Is("a", "ended", "rejected"),
            Is("a", "settled", "rejected (server_error)"),
            S("response.done", "a", status="failed"),
        ],
    )


def test_end_of_revoked_output_settles_the_create_that_it_belongs_to() -> None:
    # It was taken for a stranger's, and the create waited for its deadlines.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.output_text.delta", "a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.done", "a", status="cancelled"),
            Is("a", "settled", "cancelled"),
            Is("interruption", "over"),
        ],
    )


def test_calls_of_a_response_that_was_never_created_come_after_it_opened() -> None:
    # They came before it, when a shell has nowhere to put them.
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.done", "a", output=[call("1", status=None)]),
            Is("a", "opened"),
            Is("a", "call", "call_1"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
        ],
    )


def test_forbidden_end_hands_out_no_call_and_changes_nothing() -> None:
    # The strict table knows no end without a beginning; the call was handed out all the same, and
    # the create could no longer be matched to an error.
    play = Playbook(Connection("t", Options(tolerances=frozenset())))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.done", "a", output=[call("1")]),
            Oops("violation", "a"),
            S("response.done", "vad", output=[call("1")]),
            Oops("violation", "vad"),
            S("error", create="a", code="server_error"),
            Is("a", "ended", "rejected"),
            Is("a", "settled", "rejected (server_error)"),
        ]
    )
    assert play["a"].resource is None


def test_late_end_of_a_given_up_response_is_not_kept_for_ever() -> None:
    play = Playbook(Connection("t", Options(tolerances=frozenset(), remembered=0)))
    play.check([S("response.done", "x", metadata={"antiphon": "t-r1"}), Oops("violation", "x")])
    assert play.connection._responses._by_id == {}


def test_lane_of_output_that_came_first_is_the_one_that_the_server_tells() -> None:
    play = Playbook(Connection("t"))
    play.check(
        [
            S("response.output_text.delta", "v"),
            S("response.created", "v", lane="out_of_band"),
            Is("v", "opened"),
            Is("v", "output", "la"),
        ]
    )
    assert play["v"].lane is Lane.OUT_OF_BAND


def test_items_that_came_before_their_response_are_listed_once() -> None:
    play = Playbook(Connection("t"))
    play.check(
        [
            S("response.output_text.delta", "v"),
            S("response.output_item.added", "v", item=message("item_1")),
            S("response.created", "v"),
            Is("v", "opened"),
            Is("v", "output", "la"),
            Is("v", "output", "response.output_item.added"),
        ]
    )
    assert play["v"].item_ids == ["item_1"]


def test_items_of_a_cancelled_out_of_band_response_stay_out_of_the_conversation() -> None:
    # Its output came before its name and was dropped, and with it what its items were.
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            Ask("cancel", "x"),
            Is("x", "ended", "cancelled"),
            S("response.output_item.added", "x", item=message("item_x")),
            S("response.created", "x"),
            C("response.cancel", "x"),
            S(conversation_item_added(message("item_x"))),
        ]
    )
    assert len(play.connection.conversation) == 0


def test_refusal_of_a_cancel_names_its_response() -> None:
    check(
        Connection("t"),
        [
            S("response.created", "v"),
            Is("v", "opened"),
            Ask("interrupt"),
            C("response.cancel", "v"),
            Is("v", "ended", "cancelled"),
            S("error", cancel="v", code="not_implemented"),
            Oops("error", "v"),
        ],
    )


def test_late_cancel_error_is_expected_whatever_its_code() -> None:
    # xAI says the same in other words (P-293).
    check(
        Connection("t"),
        [
            S("response.created", "v"),
            Is("v", "opened"),
            Ask("interrupt"),
            C("response.cancel", "v"),
            Is("v", "ended", "cancelled"),
            S("response.done", "v"),
            Is("v", "settled", "completed"),
            Is("interruption", "over"),
            S("error", cancel="v", code="invalid_request"),
            Oops("absorbed", "v"),
        ],
    )


def test_outer_event_id_answers_where_the_inner_one_is_missing() -> None:
    # LocalAI puts the echo there (P-305).
    play = check(Connection("t"), [Ask("commit_audio"), C("input_audio_buffer.commit")])
    play.check([Ask("clear_audio"), C("input_audio_buffer.clear")])
    event_id = play.request("clear_audio").event_id
    play.check(
        [
            S(error("some_code", outer=event_id)),
            Oops("refused", "input_audio_buffer.clear RequestError"),
        ]
    )


def test_error_about_something_else_does_not_refuse_the_only_create() -> None:
    # Sound that cannot be read, an unknown event type (P-87), a fault of the server's: with one
    # create under way it was refused for them, though the server went on to create it.
    for stray in (
        error("invalid_value", param="audio"),
        error("invalid_value", param="type"),
        error(None, type="server_error"),
    ):
        assert isinstance(stray, ErrorEvent)
        check(
            Connection("t"),
            [
                Ask("create", "a"),
                C("response.create", "a"),
                S(stray),
                Oops("error"),
                S("response.created", "a"),
                Is("a", "opened"),
            ],
        )


def test_item_called_root_is_an_item_like_any_other() -> None:
    # It was mixed up with the start of the conversation: iterating never ended.
    connection = Connection("t")
    connection.receive(conversation_item_added(message("root")), 0.0)
    connection.receive(conversation_item_added(message("item_1"), "root"), 0.0)
    connection.receive(conversation_item_added(message("item_2"), "item_1"), 0.0)
    assert [item.id for item in connection.conversation] == ["root", "item_1", "item_2"]
    assert connection.conversation.delete("root")
    assert [item.id for item in connection.conversation] == ["item_1", "item_2"]


def test_item_that_claims_to_follow_itself_is_appended() -> None:
    # Some servers say so of a duplicate (P-213). Iterating never ended.
    connection = Connection("t")
    connection.receive(conversation_item_added(message("item_1")), 0.0)
    connection.receive(conversation_item_added(message("item_2"), "item_2"), 0.0)
    assert [item.id for item in connection.conversation] == ["item_1", "item_2"]


def test_second_loss_during_a_replay_loses_no_item() -> None:
    # What the first new connection had not yet seen accepted was missing from its snapshot.
    first = Connection("one")
    first.receive(conversation_item_added(message("item_1")), 0.0)
    first.receive(conversation_item_added(message("item_2"), "item_1"), 0.0)
    second = Connection("two")
    second.resume(first.snapshot(), 0.0)
    second.receive(conversation_item_added(message("item_1")), 0.0)
    assert [item.id for item in second.snapshot().items] == ["item_1", "item_2"]


def test_call_whose_output_was_still_to_be_replayed_is_kept() -> None:
    first = Connection("one")
    answer = Item(type="function_call_output", id="item_2", call_id="call_1", output="42")
    first.receive(conversation_item_added(call("1")), 0.0)
    first.receive(conversation_item_added(answer, "item_1"), 0.0)
    second = Connection("two")
    second.resume(first.snapshot(), 0.0)
    second.receive(conversation_item_added(call("1")), 0.0)
    assert [item.type for item in second.snapshot().items] == [
        "function_call",
        "function_call_output",
    ]


def test_audio_appended_after_a_commit_is_not_counted_as_committed() -> None:
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("append_audio", bytes(4800)),
            C("input_audio_buffer.append"),
            Ask("commit_audio"),
            C("input_audio_buffer.commit"),
            Ask("append_audio", bytes(9600)),
            C("input_audio_buffer.append"),
        ]
    )
    from antiphon.wire.server_events import InputAudioBufferCommitted

    play.play(S(InputAudioBufferCommitted(item_id="item_1")))
    assert play.connection.input_audio.uncommitted_bytes == 9600


def test_audio_that_announces_its_response_counts_as_delivered() -> None:
    # Where output is the announcement (P-311), its first piece could not be truncated.
    play = Playbook(Connection("t", Options(announces=False)))
    play.check(
        [
            S("response.output_audio.delta", "v", ms=100),
            Is("v", "opened"),
            Is("v", "output", "100ms"),
            S("response.output_audio.delta", "v", ms=100),
            Is("v", "output", "100ms"),
        ]
    )
    assert delivered_ms(play.connection._delivered, "item_resp_v") == 200


def test_done_that_cannot_be_read_ends_its_response() -> None:
    # It was over only when nothing had come of it for the stall timeout.
    for cancelled in (False, True):
        play = Playbook(Connection("t"))
        play.check(
            [
                *live("a"),
                Ask("create", "b"),
            ]
        )
        if cancelled:
            play.check(
                [Ask("cancel", "a"), C("response.cancel", "a"), Is("a", "ended", "cancelled")]
            )
        response_id = play.connection.unsettled[0].id
        play.check(
            [
                S(malformed("response.done", response_id)),
                Oops("malformed", "a"),
                *([] if cancelled else [Is("a", "ended", "finished")]),
                Is("a", "settled", "unknown (unreadable)"),
                *([Is("interruption", "over")] if cancelled else []),
                C("response.create", "b"),
            ]
        )


def test_done_that_cannot_be_read_and_means_nobody_changes_nothing() -> None:
    play = Playbook(Connection("t"))
    play.check(
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S(malformed("response.done", "resp_stranger")),
            Oops("malformed", "stranger"),
            S("response.created", "a"),
            Is("a", "opened"),
            *finished("a"),
            S(malformed("response.done", "resp_a")),
            Oops("malformed", "a"),
        ]
    )
