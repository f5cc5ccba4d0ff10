"""Odd ways of the server, and what the responses of a connection do to one another.

The ordinary ways are in test_races_of_cancels.py and test_races_of_creates.py.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from antiphon.protocol.connection import Connection
from antiphon.protocol.lifecycle import Tolerance
from antiphon.protocol.options import DEFAULT_TOLERANCES, Options
from antiphon.protocol.response import Lane
from antiphon.wire.items import Item
from tests.helpers.builders import (
    ACTIVE,
    NOT_ACTIVE,
    audio_delta,
    call,
    conversation_item_added,
    created,
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

SUPERSEDING = DEFAULT_TOLERANCES | {Tolerance.SUPERSEDES}


def connection(**options: Any) -> Connection:
    return Connection("t", Options(**options))


def strict(**options: Any) -> Connection:
    return connection(tolerances=frozenset(), **options)


# --- output before its response -------------------------------------------------------------------


def test_early_output_is_delivered_in_order_once_its_response_is_named() -> None:
    play = check(
        connection(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.output_item.added", "a", item=message("item_1")),
            S("response.output_audio.delta", "a", item_id="item_1"),
            S("response.output_item.done", "a", item=call("1")),
            S("response.output_text.delta", "a"),
            S("response.created", "a"),
            Is("a", "opened"),
            Is("a", "output", "response.output_item.added"),
            Is("a", "output", "100ms"),
            Is("a", "output", "response.output_item.done"),
            Is("a", "call", "call_1"),
            Is("a", "output", "la"),
            S("response.output_text.delta", "a", text="on"),
            Is("a", "output", "on"),
        ],
    )
    assert play["a"].item_ids == ["item_1"]
    assert delivered_ms(play.connection._delivered, "item_1") == 100


def test_early_output_and_the_end_without_a_name() -> None:
    check(
        connection(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.output_text.delta", "a"),
            S("response.done", "a"),
            Is("a", "opened"),
            Is("a", "output", "la"),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
        ],
    )


def test_early_output_of_a_stranger_and_its_end() -> None:
    check(
        connection(),
        [
            S("response.output_text.delta", "v"),
            S("response.done", "v"),
            Is("v", "opened"),
            Is("v", "output", "la"),
            Is("v", "ended", "finished"),
            Is("v", "settled", "completed"),
        ],
    )


def test_early_output_of_nobody_is_dropped_in_time() -> None:
    play = check(
        connection(create_timeout=10.0),
        [
            S("response.output_text.delta", "v"),
            Wait(9.0),
            S("response.output_text.delta", "v"),
            Wait(1.0),
            Oops("unrouted", "v"),
            S("response.created", "v"),
            Is("v", "opened"),
        ],
    )
    assert play["v"].kept == []


def test_early_output_is_bounded_and_the_rest_reported() -> None:
    check(
        connection(kept_events=2),
        [
            S("response.output_text.delta", "v"),
            S("response.output_text.delta", "w"),
            S("response.output_text.delta", "v"),
            Oops("unrouted", "v"),
            S("response.output_text.delta", "u"),
            Oops("unrouted", "u"),
            S("response.created", "v"),
            Is("v", "opened"),
            Is("v", "output", "la"),
            S("response.output_text.delta", "u"),
        ],
    )


def test_early_output_is_forbidden_by_the_strict_table() -> None:
    play = check(strict(), [S("response.output_text.delta", "v"), Oops("violation", "v")])
    assert play.connection._responses._by_id == {} and play.connection.next_deadline() is None


def test_early_output_that_may_be_wanted_survives_an_interruption() -> None:
    # x was not meant, and its name has not come: the output may be its.
    check(
        connection(),
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.output_text.delta", "x"),
            Ask("interrupt", "default"),
            Is("interruption", "over"),
            S("response.created", "x"),
            Is("x", "opened"),
            Is("x", "output", "la"),
        ],
    )


def test_early_output_that_was_stopped_is_that_of_the_cancelled_create() -> None:
    # The cancel went out by the id of the output, so it is not sent again with the name.
    play = check(
        connection(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.output_text.delta", "a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            S("response.output_text.delta", "a"),
            S("response.created", "a"),
            S("response.output_text.delta", "a"),
            S("error", cancel="a", code=NOT_ACTIVE),
            Oops("absorbed", "a"),
            Is("a", "settled", "unknown (not_active)"),
            Is("interruption", "over"),
        ],
    )
    assert play.receipt.entries[0].cancel_sent


def test_early_output_that_was_stopped_is_not_that_of_a_later_create() -> None:
    # Only a server that keeps to nothing would say so; the create is answered all the same.
    check(
        connection(),
        [
            S("response.output_text.delta", "a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("interruption", "over"),
            Ask("create", "a"),
            Wait(5.0),
            C("response.create", "a"),
            S("response.created", "a"),
            Oops("violation", "a"),
            Wait(15.0),
            Is("a", "ended", "timed_out"),
            Is("a", "settled", "timed_out (unanswered)"),
        ],
    )


def test_early_output_of_a_response_given_up_is_dropped_with_its_name() -> None:
    check(
        connection(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("cancel", "a"),
            Is("a", "ended", "cancelled"),
            Wait(5.0),
            Is("a", "settled", "unsettled"),
            Is("interruption", "over"),
            S("response.output_text.delta", "a"),
            S("response.created", "a"),
            C("response.cancel", "a"),
        ],
    )


def test_output_is_the_announcement_where_there_is_no_other() -> None:
    # P-311: servers that send no `response.created`.
    play = check(
        connection(announces=False),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.output_audio.delta", "a"),
            Is("a", "opened"),
            Is("a", "output", "100ms"),
            S("response.done", "a", metadata=None),
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
        ],
    )
    assert delivered_ms(play.connection._delivered, "item_resp_a") == 100


def test_end_without_a_name_is_forbidden_by_the_strict_table() -> None:
    play = check(
        strict(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.done", "a"),
            Oops("violation", "a"),
            S("response.created", "a"),
            Is("a", "opened"),
        ],
    )
    assert play["a"].resource is None


# --- names ----------------------------------------------------------------------------------------


def test_response_created_twice_is_a_violation_of_that_response_only() -> None:
    check(
        connection(),
        [
            *live("a"),
            S("response.created", "a"),
            Oops("violation", "a"),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
        ],
    )


@pytest.mark.parametrize("over", [False, True])
def test_id_of_another_response_cannot_be_taken(over: bool) -> None:
    play = check(connection(), [*live("a")])
    if over:
        play.check([*finished("a")])
    play.check(
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.created", "x", id="resp_a"),
            Oops("violation", "a"),
            S("response.created", "x"),
            Is("x", "opened"),
        ]
    )


def test_second_response_without_an_id_is_refused_while_the_first_runs() -> None:
    # P-311: their output could not be told apart.
    check(
        connection(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", id=None),
            Is("a", "opened"),
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.created", "x", id=None),
            Oops("violation"),
            S("response.output_text.delta", "a", id=None),
            Is("a", "output", "la"),
        ],
    )


def test_next_response_without_an_id_is_another_one() -> None:
    play = Playbook(connection())
    for _ in range(2):
        play.play(S("response.created", "nameless", id=None))
        play.play(S("response.done", "nameless", id=None))
    assert len(play.connection._responses._machine.finished) == 2


def test_metadata_of_the_servers_own_response_is_the_callers_to_read() -> None:
    play = check(
        connection(),
        [S(created("resp_v", metadata={"topic": "x", "antiphon": "another"})), Is("v", "opened")],
    )
    assert play["v"].metadata == {"topic": "x"} and play["v"].from_server


@pytest.mark.parametrize(
    ("told", "lane"),
    [("default", Lane.DEFAULT), ("out_of_band", Lane.OUT_OF_BAND), (None, Lane.DEFAULT)],
)
def test_lane_of_the_servers_own_response_is_as_it_tells(told: str | None, lane: Lane) -> None:
    play = check(connection(), [S("response.created", "v", lane=told), Is("v", "opened")])
    assert play["v"].lane is lane


def test_order_decides_where_metadata_does_not_come_back() -> None:
    # P-309.
    check(
        connection(echoes_metadata=False),
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", metadata=None),
            Is("a", "opened"),
            S("response.done", "x", metadata=None),
            Is("x", "opened"),
            Is("x", "ended", "finished"),
            Is("x", "settled", "completed"),
            S("response.created", "v", metadata=None),
            Is("v", "opened"),
        ],
    )


# --- items ----------------------------------------------------------------------------------------


def test_items_without_an_id_are_delivered_and_not_listed() -> None:
    play = check(
        connection(),
        [
            *live("a"),
            S("response.output_item.added", "a", item=Item(type="message")),
            Is("a", "output", "response.output_item.added"),
        ],
    )
    assert play["a"].item_ids == []


def test_late_items_are_not_listed_but_kept_out_of_the_conversation() -> None:
    play = check(
        connection(),
        [
            *live("x", **OOB),
            *finished("x"),
            S("response.output_item.added", "x", item=message("item_late")),
            S(conversation_item_added(message("item_late"))),
        ],
    )
    assert play["x"].item_ids == [] and len(play.connection.conversation) == 0


def test_items_out_of_band_are_remembered_within_bounds() -> None:
    # I9.
    play = check(connection(remembered=1), [*live("x", **OOB)])
    for number in range(20):
        play.play(S("response.output_item.added", "x", item=message(f"item_{number}")))
    assert len(play.connection._items._out_of_band) == 4
    assert "item_19" in play.connection._items._out_of_band


def test_items_that_came_early_stay_out_of_the_conversation_though_they_are_dropped() -> None:
    play = check(
        connection(),
        [
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            Ask("cancel", "x"),
            Is("x", "ended", "cancelled"),
            S("response.output_item.added", "x", item=message("item_x")),
            S("response.output_text.delta", "x"),
            S("response.created", "x"),
            C("response.cancel", "x"),
            S(conversation_item_added(message("item_x"))),
        ],
    )
    assert len(play.connection.conversation) == 0 and play["x"].item_ids == ["item_x"]


def test_items_of_a_default_response_are_in_the_conversation() -> None:
    play = check(connection(), [*live("a")])
    play.play(S("response.output_item.added", "a", item=message("item_a")))
    play.check([S(conversation_item_added(message("item_a"))), *finished("a")])
    assert [item.id for item in play.connection.conversation] == ["item_a"]


def test_audio_is_counted_per_item_and_part() -> None:
    play = check(connection(), [*live("a")])
    parts = [("item_1", 0), ("item_2", 0), ("item_1", 0), ("item_1", 1), ("item_1", 0)]
    for item_id, content_index in parts:
        delta = audio_delta("resp_a", 10, item_id=item_id)
        play.check([S(replace(delta, content_index=content_index)), Is("a", "output", "10ms")])
    playback = play.connection._delivered
    assert [delivered_ms(playback, *part) for part in dict.fromkeys(parts)] == [30, 10, 10]


# --- admission ------------------------------------------------------------------------------------


def test_replace_on_a_free_lane_is_a_create_like_any_other() -> None:
    check(connection(), [*live("a", on_busy="replace")])


def test_replace_does_not_stop_what_may_not_be_interrupted() -> None:
    check(
        connection(),
        [
            *live("a", interruptible=False),
            Ask("create", "b", on_busy="replace"),
            *finished("a")[:1],
            Is("a", "ended", "finished"),
            Is("a", "settled", "completed"),
            C("response.create", "b"),
        ],
    )


def test_replace_waits_its_turn_under_a_limit() -> None:
    check(
        connection(max_in_flight=1),
        [
            *live("x", **OOB),
            Ask("create", "a", on_busy="replace"),
            S("response.done", "x"),
            Is("x", "ended", "finished"),
            Is("x", "settled", "completed"),
            C("response.create", "a"),
        ],
    )


def test_pause_grows_until_the_server_takes_it() -> None:
    play = Playbook(connection(busy_backoff=0.5))
    play.check([Ask("create", "a"), C("response.create", "a")])
    for pause in (1.0, 2.0, 2.0):
        play.check(
            [
                S("error", create="a", code=ACTIVE),
                Wait(pause - 0.01),
                Wait(0.01),
                C("response.create", "a"),
            ]
        )


def test_refused_out_of_band_create_waits_and_is_tried_again() -> None:
    # P-306: one slot in all.
    check(
        connection(busy_backoff=0.5),
        [
            *live("a"),
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("error", create="x", code=ACTIVE),
            Wait(1.0),
            C("response.create", "x"),
        ],
    )


def test_cancel_that_found_nothing_frees_the_lane() -> None:
    check(
        connection(),
        [
            *live("a"),
            Ask("interrupt"),
            C("response.cancel", "a"),
            Is("a", "ended", "cancelled"),
            Ask("create", "b"),
            S("error", cancel="a", code=NOT_ACTIVE),
            Oops("absorbed", "a"),
            Is("a", "settled", "unknown (not_active)"),
            Is("interruption", "over"),
            C("response.create", "b"),
        ],
    )


def test_cancelled_create_is_refused_for_good() -> None:
    check(
        connection(),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            S("error", create="a", code="server_error"),
            Is("a", "settled", "cancelled (never_created, server_error)"),
            Is("interruption", "over"),
        ],
    )


def test_late_refusal_does_not_undo_a_timeout() -> None:
    check(
        connection(),
        [
            Ask("create", "a", timeout=1.0),
            C("response.create", "a"),
            Wait(1.0),
            Is("a", "ended", "timed_out"),
            S("error", create="a", code="server_error"),
            Is("a", "settled", "timed_out (unanswered, server_error)"),
        ],
    )


def test_without_a_server_creates_wait_whatever_the_lane() -> None:
    play = Playbook(Connection("t", online=False))
    play.check([Ask("create", "x", **OOB), Ask("create", "a", on_busy="send")])
    assert [one.state for one in play.connection.unsettled] == ["queued", "queued"]
    for sent in (2, 0):
        assert len(play.connection.go_online(play.now)) == sent
