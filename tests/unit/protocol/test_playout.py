"""The table of `protocol/playout.py`: every row stands here, and each is played."""

import itertools

import pytest

from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Effects, PlaybackEnded, Send, Silence
from antiphon.protocol.options import Options
from antiphon.protocol.playout import (
    AUDIBLE,
    PLAYOUT,
    SETTLED,
    PlaybackKind,
    Playout,
    PlayoutAction,
    PlayoutInput,
    PlayoutState,
)
from antiphon.protocol.response import Lane, Response
from antiphon.wire.client_events import OutputAudioBufferClear

__all__: list[str] = []

_S, _I, _K = PlayoutState, PlayoutInput, PlaybackKind

# State, input, what is done, next state, what is said if that settles it, and what it is for.
ROWS = """
silent    sound         -        due       -         there is something to hear
silent    started       -        playing   -         it is heard before anybody told of audio
silent    stopped       settle   over      played    attached while it played
silent    cleared       settle   over      cleared   attached while it played, and then cut
silent    ask_clear     -        unwanted  -         nothing to hear yet, and none wanted
silent    unheard       settle   over      none      a text, a call, or cancelled in time
silent    lost          settle   over      lost      nobody will tell
due       started       -        playing   -         the first sample
due       stopped       settle   over      played    too short for its beginning to be told
due       cleared       settle   over      cleared   cut in the gap before its beginning
due       ask_clear     clear    clearing  -         interrupted in the gap before its beginning
due       unheard       settle   over      none      a player took on what had no sound
due       overdue       settle   over      none      a call without media never begins
due       lost          settle   over      lost      the connection goes in the gap
playing   stopped       settle   over      played    the last sample
playing   ran_dry       -        due       -         the model was too slow for the ear
playing   cleared       settle   over      cleared   a barge-in, or another controller
playing   ask_clear     clear    clearing  -         interrupted
playing   overdue       settle   over      played    another one plays: its end was missed
playing   lost          settle   over      lost      the connection goes while it plays
unwanted  started       clear    clearing  -         it is heard although it was cancelled
unwanted  keep          -        playing   -         heard, and only with others to be silenced
unwanted  stopped       settle   over      played    it was heard, and faster than anybody
unwanted  cleared       settle   refused   cleared   a barge-in was faster
unwanted  unheard       settle   refused   none      cancelled before it had a sound
unwanted  overdue       settle   refused   none      cancelled, and never heard
unwanted  outwaited     settle   refused   unsettled another one plays on before it
unwanted  lost          settle   refused   lost      the connection goes before it was heard
clearing  started       clear    clearing  -         what came after the clear is cleared as well
clearing  keep          -        playing   -         it plays again, and others wait behind it
clearing  stopped       settle   over      played    the natural end was faster
clearing  cleared       -        measuring -         silent
clearing  nothing_plays -        measuring -         there was nothing to clear
clearing  overdue       settle   refused   unsettled nobody answers the clear
clearing  lost          settle   refused   lost      the connection goes before it is silent
measuring started       clear    clearing  -         it plays again
measuring keep          -        playing   -         it plays again, with others behind it
measuring stopped       settle   over      played    the clear found nothing: it was over
measuring measured      settle   refused   cleared   so much was heard
measuring overdue       settle   refused   cleared   nobody says how much was heard
measuring lost          settle   refused   cleared   silent, and the connection goes
over      started       -        playing   -         it was given up, and is heard after all
refused   started       clear    refused   -         heard long after it was refused
refused   keep          -        playing   -         heard long after, with others behind it
"""
CELLS = [line.split(maxsplit=5) for line in ROWS.strip().splitlines()]
NAMED = {(state, fired) for state, fired, *_ in CELLS}


def playing(state: str, *, call: bool = True) -> tuple[Connection, Response, Playout]:
    """A response whose playout is in this state."""
    connection = Connection("t", Options(call=call))
    response = Response(1, lane=Lane.DEFAULT)
    playout = connection.playouts.of(response)
    playout.state = _S(state)
    playout.sound = True
    playout.begun = state in ("playing", "measuring")
    playout.cut = state == "measuring"
    return connection, response, playout


def fire(connection: Connection, response: Response, fired: str) -> Effects:
    assert response.playout is not None
    effects: Effects = []
    connection.playouts._fire(response, response.playout, _I(fired), 0.0, effects)
    connection.playouts._send_clear(0.0, effects)
    return effects


def seen(effects: Effects) -> str:
    names = {PlaybackEnded: "settle", Silence: "clear"}
    done = ["clear" if isinstance(one, Send) else names[type(one)] for one in effects]
    return ",".join(done) or "-"


@pytest.mark.parametrize("local", [False, True], ids=["call", "local"])
@pytest.mark.parametrize(
    ("state", "fired", "actions", "target", "kind"),
    [pytest.param(*cell[:5], id=f"{cell[0]} {cell[1]}: {cell[5]}") for cell in CELLS],
)
def test_row(state: str, fired: str, actions: str, target: str, kind: str, local: bool) -> None:
    connection, response, playout = playing(state, call=not local)
    effects = fire(connection, response, fired)
    assert playout.state == target
    assert seen(effects) == actions
    assert (playout.kind or "-") == kind
    for effect in effects:
        if isinstance(effect, Send):
            assert type(effect.event) is OutputAudioBufferClear and not local


def test_every_row_of_the_table_stands_here() -> None:
    assert {(s, i) for s, rows in PLAYOUT.items() for i in rows} == NAMED
    assert list(PLAYOUT) == list(PlayoutState)
    assert {i for rows in PLAYOUT.values() for i in rows} == set(PlayoutInput)


@pytest.mark.parametrize(
    ("state", "fired"),
    [pair for pair in itertools.product(PlayoutState, PlayoutInput) if pair not in NAMED],
)
def test_whatever_else_is_said_changes_nothing(state: PlayoutState, fired: PlayoutInput) -> None:
    connection, response, playout = playing(state)
    assert fire(connection, response, fired) == []
    assert playout.state is state


def test_whoever_waits_is_told_without_anybodys_help() -> None:
    # I3: time alone, or the loss of the connection, ends the wait for silence.
    for state in (_S.UNWANTED, _S.CLEARING, _S.MEASURING):
        for fired in (_I.OVERDUE, _I.LOST):
            actions, target = PLAYOUT[state][fired]
            assert PlayoutAction.SETTLE in actions and target in SETTLED


def test_what_was_asked_to_be_silent_is_never_left_to_play() -> None:
    # I10 on a call: in every state that follows an ASK_CLEAR, a `started` is answered by a clear.
    asked = {_S.UNWANTED, _S.CLEARING, _S.MEASURING, _S.REFUSED}
    for state in asked:
        assert PlayoutAction.CLEAR in PLAYOUT[state][_I.STARTED][0]
    for state in AUDIBLE - asked:
        actions, target = PLAYOUT[state][_I.ASK_CLEAR]
        assert PlayoutAction.CLEAR in actions and target in asked
