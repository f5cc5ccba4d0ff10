"""Playback of one response: what is still to be heard of it, and what was asked to be silent.

Generation (`lifecycle.py`) and playback end at different times: every server speaks faster than it
is heard, so the last word is played seconds after `response.done` (P-403, P-404). A response is
therefore two things in flight, and this is the second. Every rule about it is a row of PLAYOUT.

Whoever plays fires the inputs: the output buffer of a call (`output_audio_buffer.*`, P-400), a
player in this process, or, for a program that reads `handle.audio` itself, the stream that holds
what was not read yet. The same rows hold for all of them.

An empty cell means that nothing happens. Events of a call's playback come from another machine
than the rest (P-401), so none of them is ever out of order.
"""

from enum import StrEnum

import msgspec

from antiphon.protocol.deadlines import Deadline

__all__ = [
    "AUDIBLE",
    "PLAYOUT",
    "PlaybackKind",
    "Playout",
    "PlayoutAction",
    "PlayoutInput",
    "PlayoutState",
    "PlayoutTable",
    "SETTLED",
]


class PlaybackKind(StrEnum):
    """What became of the sound of a response, in one word."""

    NONE = "none"
    """There was nothing to hear, or it was stopped before any of it was."""
    PLAYED = "played"
    """Played to its end; with a reader of `handle.audio`, handed over to its end."""
    CLEARED = "cleared"
    """Stopped: the rest is heard by nobody. With a reader, what it had not read was dropped."""
    KEPT = "kept"
    """Left alone: what would have silenced it would have silenced something else, too (P-410), or
    the caller asked for generation only."""
    UNSETTLED = "unsettled"
    """Asked to be silent, and nobody confirmed it within the deadline."""
    LOST = "lost"
    """The connection went: a call may go on playing it."""


class PlayoutState(StrEnum):
    SILENT = "silent"
    """Nothing of it is to be heard, as far as is known."""
    DUE = "due"
    """There is sound; playing has not begun (P-405)."""
    PLAYING = "playing"
    """It is being heard."""
    UNWANTED = "unwanted"
    """Asked to be silent before there was anything to hear: its cancel is enough, unless it
    begins to play all the same (P-406)."""
    CLEARING = "clearing"
    """The player was told to drop it."""
    MEASURING = "measuring"
    """Silent. How much of it was heard, or that it was all of it, is told in a moment or never
    (P-421, P-428)."""
    OVER = "over"
    """Nothing more is heard of it."""
    REFUSED = "refused"
    """As OVER, but asked to be silent: should it begin to play after all, it is cleared."""


class PlayoutInput(StrEnum):
    SOUND = "sound"
    """Audio of it exists: a part, a transcript, or bytes that wait for a reader."""
    STARTED = "started"
    STOPPED = "stopped"
    RAN_DRY = "ran_dry"
    """As STOPPED, while more is being generated."""
    CLEARED = "cleared"
    ASK_CLEAR = "ask_clear"
    KEEP = "keep"
    """It began to play, and nothing can silence it without silencing what is wanted (P-410)."""
    UNHEARD = "unheard"
    """Its generation is over, and no audio came of it."""
    MEASURED = "measured"
    """How much was heard is known, or nobody will ever tell."""
    NOTHING_PLAYS = "nothing_plays"
    """The player says that it plays nothing (P-415)."""
    OVERDUE = "overdue"
    OUTWAITED = "outwaited"
    """Its deadline has come while another one plays, before which it cannot begin (P-407)."""
    LOST = "lost"


class PlayoutAction(StrEnum):
    CLEAR = "clear"
    """Tell the player to drop it."""
    SETTLE = "settle"


PlayoutRow = tuple[tuple[PlayoutAction, ...], PlayoutState]
PlayoutTable = dict[PlayoutState, dict[PlayoutInput, PlayoutRow]]

_S, _I, _A = PlayoutState, PlayoutInput, PlayoutAction

PLAYOUT: PlayoutTable = {
    # State: SILENT. Where this client attached in the middle of a call, STOPPED and CLEARED may be
    # the first thing that it hears of a response (P-377).
    _S.SILENT: {
        _I.SOUND: ((), _S.DUE),
        _I.STARTED: ((), _S.PLAYING),
        _I.STOPPED: ((_A.SETTLE,), _S.OVER),
        _I.CLEARED: ((_A.SETTLE,), _S.OVER),
        _I.ASK_CLEAR: ((), _S.UNWANTED),
        _I.UNHEARD: ((_A.SETTLE,), _S.OVER),
        _I.LOST: ((_A.SETTLE,), _S.OVER),
    },
    # State: DUE. A short answer may be done before it begins to play (P-405): it is in flight all
    # the same. A call without media never begins (P-337), hence OVERDUE. A player in this process
    # takes a response on before it knows that there is nothing to hear of it, hence UNHEARD.
    _S.DUE: {
        _I.STARTED: ((), _S.PLAYING),
        _I.STOPPED: ((_A.SETTLE,), _S.OVER),
        _I.CLEARED: ((_A.SETTLE,), _S.OVER),
        _I.ASK_CLEAR: ((_A.CLEAR,), _S.CLEARING),
        _I.UNHEARD: ((_A.SETTLE,), _S.OVER),
        _I.OVERDUE: ((_A.SETTLE,), _S.OVER),
        _I.LOST: ((_A.SETTLE,), _S.OVER),
    },
    # State: PLAYING. OVERDUE: another one plays by now, so its `stopped` was missed (P-407).
    _S.PLAYING: {
        _I.STOPPED: ((_A.SETTLE,), _S.OVER),
        _I.RAN_DRY: ((), _S.DUE),
        _I.CLEARED: ((_A.SETTLE,), _S.OVER),
        _I.ASK_CLEAR: ((_A.CLEAR,), _S.CLEARING),
        _I.OVERDUE: ((_A.SETTLE,), _S.OVER),
        _I.LOST: ((_A.SETTLE,), _S.OVER),
    },
    _S.UNWANTED: {
        _I.STARTED: ((_A.CLEAR,), _S.CLEARING),
        _I.KEEP: ((), _S.PLAYING),
        _I.STOPPED: ((_A.SETTLE,), _S.OVER),
        _I.CLEARED: ((_A.SETTLE,), _S.REFUSED),
        _I.UNHEARD: ((_A.SETTLE,), _S.REFUSED),
        _I.OVERDUE: ((_A.SETTLE,), _S.REFUSED),
        _I.OUTWAITED: ((_A.SETTLE,), _S.REFUSED),
        _I.LOST: ((_A.SETTLE,), _S.REFUSED),
    },
    # State: CLEARING. The natural end may be faster (P-403). What was generated after the clear
    # may begin to play anew (P-413).
    _S.CLEARING: {
        _I.STARTED: ((_A.CLEAR,), _S.CLEARING),
        _I.KEEP: ((), _S.PLAYING),
        _I.STOPPED: ((_A.SETTLE,), _S.OVER),
        _I.CLEARED: ((), _S.MEASURING),
        _I.NOTHING_PLAYS: ((), _S.MEASURING),
        _I.OVERDUE: ((_A.SETTLE,), _S.REFUSED),
        _I.LOST: ((_A.SETTLE,), _S.REFUSED),
    },
    # State: MEASURING. Where the clear found nothing, the natural end was faster, but the
    # word of it may be slower than that of the error (P-401).
    _S.MEASURING: {
        _I.STARTED: ((_A.CLEAR,), _S.CLEARING),
        _I.KEEP: ((), _S.PLAYING),
        _I.STOPPED: ((_A.SETTLE,), _S.OVER),
        _I.MEASURED: ((_A.SETTLE,), _S.REFUSED),
        _I.OVERDUE: ((_A.SETTLE,), _S.REFUSED),
        _I.LOST: ((_A.SETTLE,), _S.REFUSED),
    },
    # State: OVER. A playback that was given up may begin after all; it can be stopped then.
    _S.OVER: {
        _I.STARTED: ((), _S.PLAYING),
    },
    # State: REFUSED. The receipt was given; the record goes on doing what was asked (ADR-0007).
    _S.REFUSED: {
        _I.STARTED: ((_A.CLEAR,), _S.REFUSED),
        _I.KEEP: ((), _S.PLAYING),
    },
}

# Something of it is heard, or will be: what `interrupt()` has to silence.
AUDIBLE = frozenset({_S.DUE, _S.PLAYING, _S.CLEARING})
# Whoever waits for it has been told.
SETTLED = frozenset({_S.OVER, _S.REFUSED})


class Playout(msgspec.Struct, eq=False):
    """The playback of one response. Plain data; only `Playouts` changes it.

    Attributes:
        local: whether it is played in this process; else by a call.
        state: where it stands in the table.
        kind: what became of it; None until it is settled.
        heard_ms: how much of it was heard, in ms, never more than was; None: not known.
        begun: whether any of it was heard.
        cut: whether it was stopped before its end, as far as is known.
        clear_event_id: the latest clear that was to silence it.
        sound: whether any audio of it was made.
        generated: whether its generation is over.
        missed: whether it may have begun, and ended, unseen: the line was lost meanwhile.
        told_ms: how much of each of its items the server kept, as it said, in ms.
        deadline: when to look at it again.
    """

    local: bool
    state: PlayoutState = PlayoutState.SILENT
    kind: PlaybackKind | None = None
    heard_ms: int | None = None
    begun: bool = False
    cut: bool = False
    clear_event_id: str | None = None
    sound: bool = False
    generated: bool = False
    missed: bool = False
    told_ms: dict[str, int] = {}
    deadline: Deadline | None = None

    @property
    def audible(self) -> bool:
        """Whether something of it is heard, or will be."""
        return self.state in AUDIBLE

    @property
    def settled(self) -> bool:
        """Whether what became of it is known."""
        return self.state in SETTLED
