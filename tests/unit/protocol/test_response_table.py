"""The table of `protocol/lifecycle.py`: complete, sound, every row played and named."""

import itertools
from collections.abc import Iterator

import pytest

from antiphon.exceptions import LocalProtocolError, RemoteProtocolError
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Effects, Ended, Opened, Output, Send, Settled
from antiphon.protocol.lifecycle import (
    TOLERANCES,
    TRANSITIONS,
    Action,
    ResponseInput,
    ResponseState,
    Row,
    Table,
    Tolerance,
    table_for,
)
from antiphon.protocol.options import Options
from antiphon.protocol.response import Lane, Response, illegal
from antiphon.wire.client_events import ResponseCancel, ResponseCreate
from tests.helpers.builders import ACTIVE, NOT_ACTIVE
from tests.helpers.playbook import Ask, Lose, Playbook, S, Step, Wait

__all__: list[str] = []

_S, _I, _A = ResponseState, ResponseInput, Action

# What each row is for, and what it must say: a row that is not named here, a name without its row,
# and a row that says something else are failures. Written down a second time on purpose: a test
# that took its expectation from the table could not see the table change.
ROWS: dict[tuple[ResponseState, ResponseInput], tuple[str, Row]] = {
    (_S.IDLE, _I.SEND_CREATE): (
        "a create is sent when its lane is free",
        ((_A.SEND_CREATE,), _S.REQUESTED),
    ),
    (_S.IDLE, _I.HOLD_CREATE): ("a create waits when its lane is taken", ((), _S.QUEUED)),
    (_S.IDLE, _I.RECV_CREATED): (
        "a response of the server's own making is ours to read",
        ((_A.OPEN,), _S.ACTIVE),
    ),
    (_S.QUEUED, _I.SEND_CREATE): (
        "a held create is sent when its turn comes",
        ((_A.SEND_CREATE,), _S.REQUESTED),
    ),
    (_S.QUEUED, _I.RECV_CREATED): (
        "a create refused by mistake was accepted after all",
        ((_A.OPEN,), _S.ACTIVE),
    ),
    (_S.QUEUED, _I.SEND_CANCEL): (
        "a held create is never sent once it is cancelled",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.QUEUED, _I.CREATE_TIMEOUT): (
        "a held create is given up at its own deadline",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.QUEUED, _I.LOST): (
        "a held create goes with the connection",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.IDLE, _I.DISOWN): (
        "made for a create that nobody waits for any more",
        ((), _S.ABANDONED),
    ),
    (_S.REQUESTED, _I.RECV_CREATED): ("the server names the response", ((_A.OPEN,), _S.ACTIVE)),
    (_S.REQUESTED, _I.SEND_CANCEL): (
        "a cancel before the name waits for it",
        ((_A.END,), _S.CANCEL_DEFERRED),
    ),
    (_S.REQUESTED, _I.CREATE_ERROR): (
        "the server refuses the create",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.REQUESTED, _I.CREATE_BUSY): (
        "the lane was taken by somebody else: try again",
        ((), _S.QUEUED),
    ),
    (_S.REQUESTED, _I.CREATE_TIMEOUT): (
        "the server does not answer the create in time",
        ((_A.END,), _S.CANCEL_DEFERRED),
    ),
    (_S.REQUESTED, _I.LOST): (
        "the connection goes before the name comes",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.CANCEL_DEFERRED, _I.RECV_CREATED): (
        "the name comes, and the cancel goes out by it",
        ((_A.SEND_CANCEL,), _S.CANCELLING),
    ),
    (_S.CANCEL_DEFERRED, _I.SEND_CANCEL): (
        "cancelled again before the name: nothing more to do",
        ((), _S.CANCEL_DEFERRED),
    ),
    (_S.CANCEL_DEFERRED, _I.CREATE_ERROR): (
        "cancelled, and then refused: nothing to cancel",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (_S.CANCEL_DEFERRED, _I.CREATE_BUSY): (
        "cancelled, and then refused as busy: not tried again",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (_S.CANCEL_DEFERRED, _I.SETTLE_TIMEOUT): (
        "cancelled, and never named: the caller is released",
        ((_A.SETTLE,), _S.ABANDONED),
    ),
    (_S.CANCEL_DEFERRED, _I.LOST): (
        "cancelled before its name, and the connection goes",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (_S.ABANDONED, _I.RECV_CREATED): (
        "named long after it was given up: cancelled, never heard",
        ((_A.SEND_CANCEL,), _S.REVOKING),
    ),
    (_S.ABANDONED, _I.SEND_CANCEL): ("cancelled again after it was given up", ((), _S.ABANDONED)),
    (_S.ACTIVE, _I.RECV_OUTPUT): ("output is delivered", ((_A.DELIVER,), _S.ACTIVE)),
    (_S.ACTIVE, _I.RECV_DONE): (
        "the natural end, or the server's own cancel",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.ACTIVE, _I.SEND_CANCEL): (
        "a cancel ends the streams at once and goes out by id",
        ((_A.SEND_CANCEL, _A.END), _S.CANCELLING),
    ),
    (_S.ACTIVE, _I.STALLED): (
        "the server fell silent in the middle of it",
        ((_A.SEND_CANCEL, _A.END), _S.CANCELLING),
    ),
    (_S.ACTIVE, _I.LOST): (
        "the connection goes in the middle of it",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (_S.CANCELLING, _I.RECV_OUTPUT): (
        "stragglers of a cancelled response reach nobody",
        ((_A.DISCARD,), _S.CANCELLING),
    ),
    (_S.CANCELLING, _I.RECV_DONE): (
        "the server confirms the cancel, or had finished before it",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (_S.CANCELLING, _I.SEND_CANCEL): (
        "cancelled again: no second cancel is sent",
        ((), _S.CANCELLING),
    ),
    (_S.CANCELLING, _I.CANCEL_ERROR): ("there was nothing to cancel", ((_A.SETTLE,), _S.CLOSED)),
    (_S.CANCELLING, _I.SETTLE_TIMEOUT): (
        "the server never confirms the cancel",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (_S.CANCELLING, _I.LOST): (
        "the connection goes before the cancel is confirmed",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (_S.REVOKING, _I.RECV_OUTPUT): (
        "output of a response given up reaches nobody",
        ((_A.DISCARD,), _S.REVOKING),
    ),
    (_S.REVOKING, _I.RECV_DONE): ("a response given up ends", ((), _S.CLOSED)),
    (_S.REVOKING, _I.SEND_CANCEL): ("cancelled again while it is being revoked", ((), _S.REVOKING)),
    (_S.REVOKING, _I.CANCEL_ERROR): ("a response given up was over already", ((), _S.CLOSED)),
    (_S.REVOKING, _I.SETTLE_TIMEOUT): (
        "the server never confirms the end of one given up",
        ((), _S.CLOSED),
    ),
    (_S.CLOSED, _I.RECV_OUTPUT): (
        "output after the end reaches nobody",
        ((_A.DISCARD,), _S.CLOSED),
    ),
    (_S.CLOSED, _I.RECV_DONE): ("a second end changes nothing", ((), _S.CLOSED)),
    (_S.CLOSED, _I.SEND_CANCEL): ("a cancel after the end sends nothing", ((), _S.CLOSED)),
    (_S.CLOSED, _I.CANCEL_ERROR): (
        "the error of a cancel that crossed the natural end",
        ((), _S.CLOSED),
    ),
}
TOLERATED_ROWS: dict[tuple[Tolerance, ResponseState, ResponseInput], tuple[str, Row]] = {
    (Tolerance.OUTPUT_BEFORE_CREATED, _S.IDLE, _I.RECV_OUTPUT): (
        "output before the name is kept",
        ((_A.KEEP,), _S.IDLE),
    ),
    (Tolerance.OUTPUT_BEFORE_CREATED, _S.IDLE, _I.SEND_CANCEL): (
        "an interruption stops what only its output has shown",
        ((_A.SEND_CANCEL,), _S.REVOKING),
    ),
    (Tolerance.OUTPUT_BEFORE_CREATED, _S.REVOKING, _I.RECV_CREATED): (
        "the name of what was stopped before it had one",
        ((), _S.REVOKING),
    ),
    (Tolerance.DONE_WITHOUT_CREATED, _S.IDLE, _I.RECV_DONE): (
        "an end without a beginning",
        ((_A.OPEN, _A.END, _A.SETTLE), _S.CLOSED),
    ),
    (Tolerance.DONE_WITHOUT_CREATED, _S.QUEUED, _I.RECV_DONE): (
        "a create refused by mistake is over already",
        ((_A.OPEN, _A.END, _A.SETTLE), _S.CLOSED),
    ),
    (Tolerance.DONE_WITHOUT_CREATED, _S.REQUESTED, _I.RECV_DONE): (
        "the end is the first that is heard of it",
        ((_A.OPEN, _A.END, _A.SETTLE), _S.CLOSED),
    ),
    (Tolerance.DONE_WITHOUT_CREATED, _S.CANCEL_DEFERRED, _I.RECV_DONE): (
        "cancelled before its name, and over without one",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (Tolerance.DONE_WITHOUT_CREATED, _S.ABANDONED, _I.RECV_DONE): (
        "given up, and over without a name",
        ((), _S.CLOSED),
    ),
    (Tolerance.DONE_WITHOUT_CREATED, _S.CLOSED, _I.RECV_CREATED): (
        "the beginning after the end",
        ((), _S.CLOSED),
    ),
    (Tolerance.SUPERSEDES, _S.ACTIVE, _I.SUPERSEDED): (
        "a newer response ends it without a word",
        ((_A.END, _A.SETTLE), _S.CLOSED),
    ),
    (Tolerance.SUPERSEDES, _S.CANCELLING, _I.SUPERSEDED): (
        "a newer response ends it before its cancel is confirmed",
        ((_A.SETTLE,), _S.CLOSED),
    ),
    (Tolerance.SUPERSEDES, _S.REVOKING, _I.SUPERSEDED): (
        "a newer response ends one given up",
        ((), _S.CLOSED),
    ),
}

# How a response called "a" gets into a state...
HELD: list[Step] = [S("response.created", "other"), Ask("create", "a", timeout=10.0)]
ASKED: list[Step] = [Ask("create", "a")]
NAMED: list[Step] = [*ASKED, S("response.created", "a")]
WAY_TO: dict[ResponseState, list[Step]] = {
    _S.IDLE: [],
    _S.QUEUED: HELD,
    _S.REQUESTED: ASKED,
    _S.CANCEL_DEFERRED: [*ASKED, Ask("cancel", "a")],
    _S.ABANDONED: [*ASKED, Ask("cancel", "a"), Wait(5.0)],
    _S.ACTIVE: NAMED,
    _S.CANCELLING: [*NAMED, Ask("cancel", "a")],
    _S.REVOKING: [*ASKED, Ask("cancel", "a"), Wait(5.0), S("response.created", "a")],
    _S.CLOSED: [*NAMED, Ask("cancel", "a"), S("response.done", "a")],
}
# ... and how each input comes about, in most states ...
FIRE: dict[ResponseInput, list[Step]] = {
    _I.SEND_CREATE: [Ask("create", "a")],
    _I.HOLD_CREATE: [S("response.created", "other"), Ask("create", "a")],
    # Together with another one: a cancel of nothing but what is over does not get so far.
    _I.SEND_CANCEL: [S("response.created", "more", lane="out_of_band"), Ask("cancel", "a", "more")],
    _I.RECV_CREATED: [S("response.created", "a")],
    _I.RECV_OUTPUT: [S("response.output_text.delta", "a")],
    _I.RECV_DONE: [S("response.done", "a")],
    _I.CREATE_ERROR: [S("error", create="a", code="server_error")],
    _I.CREATE_BUSY: [S("error", create="a", code=ACTIVE)],
    _I.CREATE_TIMEOUT: [Wait(10.0)],
    _I.CANCEL_ERROR: [S("error", cancel="a", code=NOT_ACTIVE)],
    _I.SETTLE_TIMEOUT: [Wait(5.0)],
    _I.STALLED: [Wait(60.0)],
    _I.SUPERSEDED: [S("response.created", "newer")],
    _I.LOST: [Lose()],
}
# ... and in the others.
FIRE_HERE: dict[tuple[ResponseState, ResponseInput], list[Step]] = {
    (_S.QUEUED, _I.SEND_CREATE): [S("response.done", "other")],
    (_S.IDLE, _I.SEND_CANCEL): [S("response.output_text.delta", "a"), Ask("interrupt")],
}
# The server knows nothing of a create that was never sent.
WAY_HERE: dict[tuple[ResponseState, ResponseInput], list[Step]] = {
    (_S.QUEUED, _I.RECV_CREATED): [*ASKED, S("error", create="a", code=ACTIVE)],
    (_S.QUEUED, _I.RECV_DONE): [*ASKED, S("error", create="a", code=ACTIVE)],
    (_S.REVOKING, _I.RECV_CREATED): [S("response.output_text.delta", "a"), Ask("interrupt")],
}
EMPTY = [
    (state, fired)
    for state, fired in itertools.product(ResponseState, ResponseInput)
    if fired not in TRANSITIONS[state]
]
EVERY_CHOICE = [
    frozenset(chosen)
    for count in range(len(Tolerance) + 1)
    for chosen in itertools.combinations(Tolerance, count)
]


class Rows(dict[ResponseInput, Row]):
    """The rows of one state, which remember what was looked up."""

    def __init__(self, state: ResponseState, rows: dict[ResponseInput, Row]) -> None:
        super().__init__(rows)
        self.state = state
        self.fired: list[tuple[ResponseState, ResponseInput]] = []

    def get(self, fired: ResponseInput, default: Row | None = None) -> Row | None:  # type: ignore[override]
        self.fired.append((self.state, fired))
        return super().get(fired, default)


def under_watch(tolerances: frozenset[Tolerance]) -> tuple[Playbook, dict[ResponseState, Rows]]:
    connection = Connection("t", Options(tolerances=tolerances))
    watched = {state: Rows(state, rows) for state, rows in table_for(tolerances).items()}
    connection._responses._machine.table = watched  # type: ignore[assignment]
    return Playbook(connection), watched


def responses_called_a(play: Playbook) -> list[Response]:
    """By name, or by id where no reader knows of it."""
    try:
        return [play["a"]]
    except KeyError:
        known = play.connection._responses._by_id.get("resp_a")
        return [known] if known is not None else []


def actions_seen(effects: Effects, response: Response) -> list[Action]:
    seen: list[Action] = []
    for effect in effects:
        match effect:
            case Send(event=ResponseCreate() as event):
                metadata = (event.response.metadata if event.response else None) or {}
                if metadata.get("antiphon") == response.key:
                    seen.append(Action.SEND_CREATE)
            case Send(event=ResponseCancel(response_id=response_id)):
                if response_id == response.id:
                    seen.append(Action.SEND_CANCEL)
            case Opened() | Output() | Ended() | Settled() if effect.response is response:
                action = {
                    Opened: Action.OPEN,
                    Output: Action.DELIVER,
                    Ended: Action.END,
                    Settled: Action.SETTLE,
                }
                seen.append(action[type(effect)])
    return seen


def play_row(
    state: ResponseState, fired: ResponseInput, row: Row, tolerances: frozenset[Tolerance]
) -> None:
    play, watched = under_watch(tolerances)
    for step in WAY_HERE.get((state, fired), WAY_TO[state]):
        play.play(step)
    before = responses_called_a(play)
    assert [one.state for one in before] in ([state], []), "the way led elsewhere"
    for rows in watched.values():
        rows.fired.clear()
    effects: Effects = []
    for step in FIRE_HERE.get((state, fired), FIRE[fired]):
        play.play(step)
        effects += play.effects
    (response,) = responses_called_a(play)
    actions, target = row
    invisible = {Action.KEEP, Action.DISCARD}
    assert response.state is target
    assert actions_seen(effects, response) == [one for one in actions if one not in invisible]
    assert (len(response.kept) > 0) is (Action.KEEP in actions)
    if fired is not _I.RECV_OUTPUT:  # that column is read from a copy of its own
        assert (state, fired) in watched[state].fired


def strict_rows() -> Iterator[object]:
    for (state, fired), (name, row) in ROWS.items():
        if fired is _I.DISOWN:
            continue  # the next row follows at once: see the test of its own
        yield pytest.param(state, fired, row, id=f"{state} {fired}: {name}")


def tolerated_rows() -> Iterator[object]:
    for (tolerance, state, fired), (name, row) in TOLERATED_ROWS.items():
        yield pytest.param(tolerance, state, fired, row, id=f"{state} {fired}: {name}")


def test_every_state_has_its_rows() -> None:
    assert list(TRANSITIONS) == list(ResponseState)
    assert all(TRANSITIONS.values())


def test_every_input_has_a_row_somewhere() -> None:
    everything = table_for(frozenset(Tolerance))
    assert {fired for rows in everything.values() for fired in rows} == set(ResponseInput)


def test_the_tables_say_what_is_written_here_and_nothing_else() -> None:
    assert {key: row for key, (_, row) in ROWS.items()} == {
        (state, fired): row for state, rows in TRANSITIONS.items() for fired, row in rows.items()
    }
    assert {key: row for key, (_, row) in TOLERATED_ROWS.items()} == {
        (tolerance, state, fired): row
        for tolerance, table in TOLERANCES.items()
        for state, rows in table.items()
        for fired, row in rows.items()
    }


def test_names_tell_the_rows_apart() -> None:
    names = [name for name, _ in (*ROWS.values(), *TOLERATED_ROWS.values())]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("state", "fired", "row"), [*strict_rows()])
def test_row(state: ResponseState, fired: ResponseInput, row: Row) -> None:
    play_row(state, fired, row, frozenset())


def test_what_is_made_for_a_create_that_is_settled_is_disowned_and_cancelled_by_its_id() -> None:
    play, watched = under_watch(frozenset())
    for step in (*NAMED, S("response.done", "a")):
        play.play(step)
    assert play.play(S("response.created", "a", id="resp_late")) == ["C> response.cancel late"]
    assert watched[_S.IDLE].fired[-1] == (_S.IDLE, _I.DISOWN)
    assert watched[_S.ABANDONED].fired == [(_S.ABANDONED, _I.RECV_CREATED)]


@pytest.mark.parametrize(("tolerance", "state", "fired", "row"), [*tolerated_rows()])
def test_tolerated_row(
    tolerance: Tolerance, state: ResponseState, fired: ResponseInput, row: Row
) -> None:
    play_row(state, fired, row, frozenset({tolerance}))


@pytest.mark.parametrize(("state", "fired"), EMPTY)
def test_empty_cell_blames_the_one_who_fired(state: ResponseState, fired: ResponseInput) -> None:
    response = Response(1, lane=Lane.DEFAULT)
    response.state, response.id = state, "resp_a"
    error = illegal(response, fired)
    ours = fired in (_I.SEND_CREATE, _I.HOLD_CREATE, _I.SEND_CANCEL)
    assert isinstance(error, LocalProtocolError if ours else RemoteProtocolError)
    assert fired in str(error) and state in str(error)
    if isinstance(error, RemoteProtocolError):
        assert error.response_id == "resp_a"


def test_a_cancel_is_allowed_in_every_state_that_a_caller_can_see() -> None:
    # Cancelling twice, too late or too early is harmless.
    assert [state for state in ResponseState if _I.SEND_CANCEL not in TRANSITIONS[state]] == [
        _S.IDLE
    ]


def test_tolerances_forgive_only_what_the_strict_table_forbids() -> None:
    for tolerance, table in TOLERANCES.items():
        for state, rows in table.items():
            assert not rows.keys() & TRANSITIONS[state].keys(), f"{tolerance} overrides {state}"


def test_tolerances_do_not_contradict_each_other() -> None:
    for one, other in itertools.combinations(TOLERANCES.values(), 2):
        for state in one.keys() & other.keys():
            assert not one[state].keys() & other[state].keys()


def test_merging_tolerances_leaves_the_strict_table_alone() -> None:
    before = {state: dict(rows) for state, rows in TRANSITIONS.items()}
    merged = table_for(frozenset(Tolerance))
    assert before == TRANSITIONS
    assert sum(map(len, merged.values())) == len(ROWS) + len(TOLERATED_ROWS)
    assert table_for(frozenset()) == TRANSITIONS


@pytest.mark.parametrize("tolerances", EVERY_CHOICE, ids=lambda one: "+".join(one) or "strict")
def test_output_never_moves_a_response(tolerances: frozenset[Tolerance]) -> None:
    # That column is read without its states, for every delta goes through it.
    for state, rows in table_for(tolerances).items():
        assert rows.get(_I.RECV_OUTPUT, ((), state))[1] is state


def walks(table: Table) -> Iterator[tuple[ResponseState, ResponseInput, tuple[Action, ...], Row]]:
    """Every row, with everything that may have been done on the way to it."""
    start: tuple[ResponseState, frozenset[Action]] = (_S.IDLE, frozenset())
    seen, waiting = {start}, [start]
    while waiting:
        state, done = waiting.pop()
        for fired, row in table[state].items():
            yield state, fired, tuple(done), row
            actions, target = row
            # A create may be sent again, and output may come again: these are not counted.
            once = {_ for _ in actions if _ not in (Action.DELIVER, Action.DISCARD, Action.KEEP)}
            after = (target, done | once)
            if after not in seen:
                seen.add(after)
                waiting.append(after)


@pytest.mark.parametrize("tolerances", EVERY_CHOICE, ids=lambda one: "+".join(one) or "strict")
def test_no_walk_through_the_table_breaks_an_invariant(tolerances: frozenset[Tolerance]) -> None:
    table = table_for(tolerances)
    for state, fired, before, (actions, target) in walks(table):
        where = f"{state} {fired} after {before}"
        done = list(before)
        for action in actions:
            match action:
                case Action.DELIVER:
                    assert Action.OPEN in done and Action.END not in done, f"I1 {where}"
                case Action.OPEN:
                    assert not {Action.OPEN, Action.END} & set(done), f"I5 {where}"
                case Action.END:
                    assert Action.END not in done, f"I3 {where}"
                case Action.SETTLE:
                    assert Action.SETTLE not in done, f"I6 {where}"
                    assert Action.END in done, f"I3 {where}"
                case Action.SEND_CANCEL:
                    assert Action.SEND_CANCEL not in done, f"I4 {where}"
            done.append(action)
        known = {Action.OPEN, Action.SEND_CREATE} & set(done) or _S.QUEUED in (state, target)
        if target is _S.CLOSED and known:
            assert {Action.END, Action.SETTLE} <= set(done), f"I3 {where}"


@pytest.mark.parametrize("tolerances", EVERY_CHOICE, ids=lambda one: "+".join(one) or "strict")
def test_every_walk_can_end_without_the_servers_help(tolerances: frozenset[Tolerance]) -> None:
    # I3: nothing hangs. Wherever a reader waits, time alone or the loss of the connection ends it.
    table = table_for(tolerances)
    unsettled = {
        _S.QUEUED,
        _S.REQUESTED,
        _S.CANCEL_DEFERRED,
        _S.ACTIVE,
        _S.CANCELLING,
    }
    time = {_I.CREATE_TIMEOUT, _I.SETTLE_TIMEOUT, _I.STALLED}
    for state in unsettled:
        actions, target = table[state][_I.LOST]
        assert Action.SETTLE in actions and target is _S.CLOSED
        at, rings = state, 0
        while at in unsettled:
            (fired,) = time & table[at].keys()
            at, rings = table[at][fired][1], rings + 1
            assert rings <= 2
    assert time & table[_S.REVOKING].keys()
