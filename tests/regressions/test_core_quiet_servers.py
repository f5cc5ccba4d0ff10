"""Servers that leave something out, and errors that do not say whom they answer.

Each trace is the smallest that once went wrong.
"""

import sys
from collections.abc import Callable

import pytest

from antiphon.protocol.connection import Connection
from antiphon.protocol.delivered import TruncatePoint
from antiphon.protocol.lifecycle import Tolerance
from antiphon.protocol.options import Options
from antiphon.wire import server_events as said
from antiphon.wire.items import ContentPart, Item
from tests.helpers.builders import (
    ACTIVE,
    audio_delta,
    call,
    conversation_item_added,
    conversation_item_done,
    created,
    done,
    item_added,
    item_done,
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
    finished,
    live,
    turn,
)

__all__: list[str] = []

BUSY = (
    "Conversation already has an active response in progress: resp_{}. Wait until the response "
    "is finished before creating a new one."
)


# --- metadata that does not come back (P-36, P-309) -----------------------------------------------


@pytest.mark.parametrize("lane", [None, "default"])
def test_lone_create_is_answered_by_what_nothing_else_explains(lane: str | None) -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "a", lane=lane, metadata=None),
            Oops("violation", "a"),
            Is("a", "opened"),
            *finished("a"),
            # Learned: now the order tells, of two at once too, and it is not said again.
            Ask("create", "b"),
            C("response.create", "b"),
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.created", "x", lane="out_of_band", metadata=None),
            Is("x", "opened"),
            S("response.created", "b", lane=lane, metadata=None),
            Is("b", "opened"),
        ],
    )


def test_one_that_was_cancelled_is_cancelled_by_the_id_so_told() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("interrupt"),
            Is("a", "ended", "cancelled"),
            S("response.created", "a", metadata=None),
            Oops("violation", "a"),
            C("response.cancel", "a"),
        ],
    )


def test_what_a_turn_explains_is_the_turns() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            *turn("u"),
            S("response.created", "v", metadata=None),
            Is("v", "opened"),
            *finished("v"),
            S("response.created", "a"),
            Is("a", "opened"),
        ],
    )


def test_where_metadata_was_seen_to_come_back_nothing_without_is_ours() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            *finished("a"),
            Ask("create", "b"),
            C("response.create", "b"),
            S("response.created", "v", metadata=None),
            Is("v", "opened"),
            S("response.created", "b"),
            Is("b", "opened"),
        ],
    )


def test_of_two_creates_none_is_guessed() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.created", "v", metadata=None),
            Is("v", "opened"),
        ],
    )


def test_out_of_band_response_elsewhere_is_not_the_default_create() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("response.created", "v", metadata=None, lane="out_of_band"),
            Is("v", "opened"),
        ],
    )


def test_reply_to_a_turn_does_not_land_in_an_out_of_band_response() -> None:
    check(
        Connection("t", Options(echoes_metadata=False)),
        [
            *turn("u"),
            Ask("create", "x", **OOB),
            C("response.create", "x"),
            S("response.created", "v", metadata=None),
            Is("v", "opened"),
            S("response.created", "x", metadata=None, lane="out_of_band"),
            Is("x", "opened"),
        ],
    )


@pytest.mark.parametrize(
    "meanwhile",
    [
        said.InputAudioBufferSpeechStarted(item_id="u2"),
        said.SessionUpdated(
            session={"audio": {"input": {"turn_detection": {"create_response": False}}}}
        ),
    ],
)
def test_turn_that_will_not_be_answered_explains_nothing(meanwhile: said.ServerEvent) -> None:
    connection = Connection("t")
    for event in (
        said.InputAudioBufferSpeechStopped(item_id="u"),
        meanwhile,
        said.InputAudioBufferSpeechStopped(item_id="u2"),
        said.InputAudioBufferSpeechStarted(item_id="u3"),
    ):
        connection.receive(event, 0.0)
    assert not connection.input_audio.awaits_reply


# --- whose create was refused (P-49, P-85) --------------------------------------------------------


@pytest.mark.parametrize("on_busy", ["queue", "send", "reject"])
def test_error_that_names_an_unknown_obstacle_may_be_about_this_very_response(on_busy: str) -> None:
    # Turn detection's create was refused because of `a`, whose name is still on its way.
    check(
        Connection("t"),
        [
            Ask("create", "a", on_busy=on_busy),
            C("response.create", "a"),
            S("error", code=ACTIVE, message=BUSY.format("a")),
            Oops("error"),
            Wait(1.0),
            S("response.created", "a"),
            Is("a", "opened"),
            *finished("a"),
        ],
    )


def test_who_was_refused_shows_when_the_obstacle_gets_its_name() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            *turn("u"),
            S("error", code=ACTIVE, message=BUSY.format("v")),
            Oops("error"),
            S("response.created", "v"),
            Is("v", "opened"),
            *finished("v"),
            C("response.create", "a"),
        ],
    )


def test_obstacle_that_is_known_is_evidence_enough() -> None:
    check(
        Connection("t"),
        [
            *live("v"),
            Ask("create", "a", on_busy="send"),
            C("response.create", "a"),
            S("error", code=ACTIVE, message=BUSY.format("v")),
            Is("a", "ended", "rejected"),
            Is("a", "settled", f"rejected ({ACTIVE})"),
        ],
    )


def test_without_any_name_the_deadline_decides() -> None:
    check(
        Connection("t"),
        [
            Ask("create", "a"),
            C("response.create", "a"),
            S("error", code=ACTIVE, message=BUSY.format("v")),
            Oops("error"),
            Wait(9.0),
            Wait(1.0),
            Is("a", "ended", "timed_out"),
        ],
    )


# --- a failure without a `done` (P-305) -----------------------------------------------------------


def test_error_after_which_nothing_more_comes_was_the_end() -> None:
    play = check(
        Connection("t"),
        [
            *live("a"),
            Ask("create", "b"),
            S("error", code="inference_failed", type="server_error"),
            Oops("error"),
            Wait(4.9),
            Wait(0.1),
            Is("a", "ended", "finished"),
            Is("a", "settled", "failed (inference_failed)"),
            C("response.create", "b"),
        ],
    )
    assert play["a"].outcome is not None and play["a"].outcome.error is not None


def test_error_after_which_it_goes_on_was_none() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            S("error", code="hiccup", type="server_error"),
            Oops("error"),
            Wait(4.0),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
            Wait(59.0),
            S("response.output_text.delta", "a"),
            Is("a", "output", "la"),
        ],
    )


def test_error_that_may_be_of_one_of_two_ends_neither() -> None:
    check(
        Connection("t"),
        [
            *live("a"),
            *live("x", **OOB),
            S("error", code="inference_failed", type="server_error"),
            Oops("error"),
            Wait(30.0),
        ],
    )


def test_objection_to_something_that_was_sent_ends_nothing() -> None:
    check(
        Connection("t"),
        [*live("a"), S("error", code="x", param="y"), Oops("error"), Wait(30.0)],
    )


# --- items that are only told by their response (P-136, P-295) ------------------------------------


def words(connection: Connection) -> list[str | None]:
    parts = (part for item in connection.conversation for part in item.content or ())
    return [part.text or part.transcript or None for part in parts]


SPOKEN = ContentPart(type="output_audio", transcript="The code word is cobalt.")
BEGUN = Item(type="message", id="item_a", role="assistant", status="in_progress", content=[])
SAID = Item(type="message", id="item_a", role="assistant", status="completed", content=[SPOKEN])


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    "told",
    [[item_done("resp_a", SAID)], [done("resp_a", output=[SAID])]],
    ids=["item_done", "done"],
)
def test_what_was_said_is_learned_from_whatever_tells_it(
    told: list[said.ServerEvent], announced: bool
) -> None:
    play = Playbook(Connection("t"))
    play.check([*live("a")])
    play.connection.receive(item_added("resp_a", BEGUN), 0.0)
    if announced:
        play.connection.receive(conversation_item_added(BEGUN), 0.0)
    for event in told:
        play.connection.receive(event, 0.0)
    assert words(play.connection) == ["The code word is cobalt."]
    (item,) = play.connection.snapshot().items
    assert item.content == [ContentPart(type="output_text", text="The code word is cobalt.")]


def test_arguments_of_a_call_are_learned_too() -> None:
    play = Playbook(Connection("t"))
    play.check([*live("a")])
    begun = call("1", status="in_progress", arguments="")
    whole = call("1", arguments='{"order":7}')
    output = Item(type="function_call_output", id="out_1", call_id="call_1", output="Tue")
    for event in (
        conversation_item_added(begun),
        item_done("resp_a", whole),
        conversation_item_added(output),
        done("resp_a", output=[whole]),
    ):
        play.connection.receive(event, 0.0)
    asked, answered = play.connection.snapshot().items
    assert (asked.arguments, answered.output) == ('{"order":7}', "Tue")
    assert not play.connection.conversation.owes, "it has its output"


def test_what_was_cut_stays_cut() -> None:
    play = Playbook(Connection("t"))
    play.check([*live("a")])
    for event in (
        conversation_item_added(BEGUN),
        said.ConversationItemTruncated(item_id="item_a", content_index=0, audio_end_ms=100),
        item_done("resp_a", SAID),
        done("resp_a", output=[SAID]),
    ):
        play.connection.receive(event, 0.0)
    assert words(play.connection) == [None]


def test_items_out_of_band_are_learned_from_nobody() -> None:
    play = Playbook(Connection("t"))
    play.check([*live("x", **OOB)])
    for event in (
        item_added("resp_x", BEGUN),
        item_done("resp_x", SAID),
        done("resp_x", lane="out_of_band", output=[SAID]),
    ):
        play.connection.receive(event, 0.0)
    assert len(play.connection.conversation) == 0


def test_item_deleted_while_it_is_spoken_stays_deleted() -> None:
    play = Playbook(Connection("t"))
    play.check([*live("a")])
    for event in (
        conversation_item_added(BEGUN),
        said.ConversationItemDeleted(item_id="item_a"),
        conversation_item_done(SAID),
        item_done("resp_a", SAID),
        done("resp_a", output=[SAID]),
    ):
        play.connection.receive(event, 0.0)
    assert len(play.connection.conversation) == 0
    assert play.connection.snapshot().items == ()
    _ = play.connection.create_item(message("item_a"), 0.0)
    play.connection.receive(conversation_item_added(message("item_a")), 0.0)
    assert len(play.connection.conversation) == 1, "asked for anew"


# --- truncation that a server does not have (P-299) -----------------------------------------------


def test_truncation_is_not_asked_for_where_there_is_none() -> None:
    play = Playbook(Connection("t"))
    play.check([*live("a")])
    play.connection.receive(audio_delta("resp_a", 1000, item_id="item_a"), 0.0)
    assert play.connection.truncate_points(["item_a"], 100) != []
    play.check(
        [
            Ask("truncate_item", TruncatePoint("item_a", 0, 100)),
            C("conversation.item.truncate", "item_a"),
            S("error", request="truncate_item", code="invalid_value", param="type"),
            Oops("refused", "conversation.item.truncate RequestError"),
        ]
    )
    assert play.connection.truncate_points(["item_a"], 100) == []


# --- what a flood costs ---------------------------------------------------------------------------


def calls_in(work: Callable[[], object]) -> int:
    made = 0

    def count(*_: object) -> None:
        nonlocal made
        made += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("tolerances", [Options().tolerances, {Tolerance.SUPERSEDES}])
def test_announcement_costs_the_same_whatever_else_runs(tolerances: set[Tolerance]) -> None:
    connection = Connection("t", Options(tolerances=frozenset(tolerances)))

    def announce(number: int) -> int:
        return calls_in(lambda: connection.receive(created(f"resp_{number}"), 0.0))

    for number in range(10):
        early = announce(number)
    for number in range(10, 2000):
        connection.receive(created(f"resp_{number}"), 0.0)
    assert announce(2000) <= 2 * early
