"""The races of calls, R-28 to R-35, R-40 and R-42 of docs/protocol.md, as the client sees them.

Each is a trace of the core on a sideband, in every order in which its events can come: exact
moments that no server can be made to hit. What the emulated call makes of the same moments is in
tests/unit/emulator/test_races_of_calls.py, and what comes of both together in
tests/property/test_call_interruptions.py.
"""

from typing import Any

from antiphon.protocol.connection import Connection
from antiphon.protocol.interruption import ReceiptEntry
from antiphon.protocol.options import Options
from antiphon.wire.client_events import OutputAudioBufferClear
from antiphon.wire.server_events import InputAudioBufferSpeechStarted
from tests.helpers.builders import NOT_ACTIVE, message
from tests.helpers.playbook import (
    Ask,
    C,
    Entry,
    Is,
    Oops,
    Playbook,
    S,
    Wait,
    finished,
    live,
    spoken,
)

__all__: list[str] = []

CLEAR = "output_audio_buffer.clear"
NOTHING_PLAYS = "output_audio_buffer_clear_no_active_response"
SPEECH = S(InputAudioBufferSpeechStarted(item_id="said", audio_start_ms=0))
BARGE_IN: list[Entry] = [SPEECH, Is("said", "speech_started")]
# How long a receipt waits for word of how much was heard.
SOON = Options().heard_timeout


def on_call() -> Playbook:
    return Playbook(Connection("t", Options(call=True)))


def started(name: str) -> S:
    return S("output_audio_buffer.started", name)


def stopped(name: str) -> S:
    return S("output_audio_buffer.stopped", name)


def cleared(name: str) -> S:
    return S("output_audio_buffer.cleared", name)


def truncated(name: str, ms: int, **options: Any) -> S:
    return S("conversation.item.truncated", name, ms=ms, **options)


def item(name: str) -> S:
    return S("response.output_item.added", name, item=message(f"item_resp_{name}"))


def speaks(name: str) -> list[Entry]:
    return [*live(name), *spoken(name)]


def nothing_plays(play: Playbook, number: int = -1) -> S:
    """The server's answer to one of our clears."""
    clears = [event for event in play.sent if isinstance(event, OutputAudioBufferClear)]
    return S("error", code=NOTHING_PLAYS, event_id=clears[number].event_id)


def entry_of(play: Playbook) -> ReceiptEntry:
    (entry,) = play.receipt.entries
    return entry


def interrupted_while_it_plays() -> Playbook:
    """Done, heard, and asked to be silent: the clear is on its way."""
    return on_call().check([*speaks("a"), started("a"), *finished("a"), Ask("interrupt"), C(CLEAR)])


# --- our clear and the natural end ----------------------------------------------------------


def test_r28_natural_end_before_the_clear_is_read_is_no_interruption() -> None:
    play = interrupted_while_it_plays()
    play.check([stopped("a"), Is("a", "sound", "played"), Is("interruption", "over")])
    assert entry_of(play).playback == "played" and play.receipt.silenced
    play.check([nothing_plays(play), Oops("absorbed")])


def test_r28_word_that_nothing_plays_may_be_faster_than_word_of_the_end() -> None:
    # P-401: two machines, so the error may come first.
    play = interrupted_while_it_plays()
    play.check([nothing_plays(play), Oops("absorbed")])
    play.check([stopped("a"), Is("a", "sound", "played"), Is("interruption", "over")])
    assert entry_of(play).playback == "played"


def test_r28_clear_that_is_read_in_time_cuts_it() -> None:
    play = interrupted_while_it_plays()
    play.check([cleared("a")])
    play.check([truncated("a", 900), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert (entry_of(play).playback, entry_of(play).heard_ms) == ("cleared", 900)
    play.check([stopped("a"), Wait(60.0)])  # a word too many, and nothing comes of it
    assert entry_of(play).playback == "cleared"


# --- in the gap between `done` and `started` ------------------------------------------------


def interrupted_in_the_gap() -> Playbook:
    return on_call().check([*speaks("a"), *finished("a"), Ask("interrupt"), C(CLEAR)])


def test_r29_clear_that_is_read_in_the_gap_silences_what_was_due() -> None:
    play = interrupted_in_the_gap()
    play.check([cleared("a"), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 0
    play.check([Wait(60.0)])


def test_r29_sound_that_begins_before_the_clear_is_read_is_cut_by_it() -> None:
    # It is not known here whether that clear came before or after, so another one is sent.
    play = interrupted_in_the_gap()
    play.check([started("a"), C(CLEAR), cleared("a")])
    play.check([truncated("a", 40), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 40
    play.check([nothing_plays(play), Oops("absorbed")])


def test_r29_sound_that_begins_after_the_clear_found_nothing_is_cut_by_the_next() -> None:
    play = interrupted_in_the_gap()
    silent: list[Entry] = [Is("a", "sound", "none"), Is("interruption", "over"), Oops("absorbed")]
    play.check([nothing_plays(play), *silent])
    play.check([started("a"), C(CLEAR), cleared("a"), Wait(60.0)])  # I10
    assert (entry_of(play).playback, entry_of(play).heard_ms) == ("none", 0)


# --- `started` and a cancelled `done` -------------------------------------------------------


def cancelled_unheard() -> Playbook:
    """Its cancel is on its way; nothing of it was heard."""
    return on_call().check(
        [*live("a"), Ask("interrupt"), C("response.cancel", "a"), Is("a", "ended", "cancelled")]
    )


CANCELLED: list[Entry] = [
    S("response.done", "a", status="cancelled", reason="client_cancelled"),
    Is("a", "settled", "cancelled (client_cancelled)"),
]


def test_r30_sound_that_begins_after_the_cancelled_done_is_cleared() -> None:
    # P-406, I10: there was no sound, so the cancel seemed enough.
    play = cancelled_unheard()
    play.check([*CANCELLED, Is("a", "sound", "none"), Is("interruption", "over")])
    assert entry_of(play).playback == "none"
    play.check([started("a"), C(CLEAR), cleared("a"), Wait(60.0)])


def test_r30_sound_that_begins_before_the_cancelled_done_is_cleared() -> None:
    play = cancelled_unheard()
    play.check([item("a"), started("a"), C(CLEAR), *CANCELLED, cleared("a")])
    play.check([truncated("a", 60), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 60


# --- a clear aimed at one, read when the next one plays -------------------------------------


def clear_while_the_next_is_made() -> Playbook:
    """Of the next there is nothing to hear yet, so the clear goes out for the first."""
    play = on_call().check([*speaks("a"), started("a"), *finished("a"), *live("b")])
    return play.check([Ask("cancel", "a"), C(CLEAR)])


def test_r31_clear_that_comes_in_time_hits_the_one_it_was_meant_for() -> None:
    play = clear_while_the_next_is_made()
    play.check([cleared("a")])
    play.check([truncated("a", 500), Is("a", "sound", "cleared"), Is("interruption", "over")])
    play.check([started("b"), *finished("b"), stopped("b"), Is("b", "sound", "played")])


def test_r31_clear_that_comes_late_hits_the_next_one_which_is_told() -> None:
    # P-410: a clear names nothing. Who waits for the next one is told that it was cut.
    play = clear_while_the_next_is_made()
    play.check([stopped("a"), Is("a", "sound", "played"), Is("interruption", "over")])
    play.check([*spoken("b"), started("b"), cleared("b"), Is("b", "sound", "cleared")])
    play.check([truncated("b", 20)])
    assert entry_of(play).playback == "played"
    playout = play["b"].playout
    assert playout is not None and playout.heard_ms == 20
    play.check([*finished("b"), Wait(60.0)])


# --- whose `stopped` ------------------------------------------------------------------------


def test_r32_stopped_of_the_last_answer_ends_that_one_only() -> None:
    play = on_call().check([*speaks("a"), started("a"), *finished("a"), *speaks("b")])
    play.check([stopped("a"), Is("a", "sound", "played"), started("b"), *finished("b")])
    assert play.connection.playouts.audible == [play["b"]]
    play.check([stopped("b"), Is("b", "sound", "played")])


def test_r32_stopped_of_the_last_answer_after_the_next_has_begun_ends_that_one_only() -> None:
    play = on_call().check([*speaks("a"), started("a"), *finished("a"), *speaks("b")])
    play.check([started("b"), *finished("b"), stopped("a"), Is("a", "sound", "played")])
    assert play.connection.playouts.audible == [play["b"]]
    play.check([Ask("interrupt"), C(CLEAR), cleared("b")])
    play.check([truncated("b", 300), Is("b", "sound", "cleared"), Is("interruption", "over")])


# --- the server's own clear and ours --------------------------------------------------------


def test_r33_server_that_was_faster_leaves_our_clear_nothing() -> None:
    play = interrupted_while_it_plays()
    play.check([*BARGE_IN, cleared("a")])
    play.check([truncated("a", 700), Is("a", "sound", "cleared"), Is("interruption", "over")])
    play.check([nothing_plays(play), Oops("absorbed")])
    assert entry_of(play).heard_ms == 700


def test_r33_server_that_was_faster_still_is_not_asked_again() -> None:
    play = on_call().check([*speaks("a"), started("a"), *finished("a"), *BARGE_IN])
    play.check([cleared("a"), Is("a", "sound", "cleared"), truncated("a", 700)])
    play.check([Ask("interrupt"), Is("interruption", "over")])
    assert play.receipt.entries == (), "nothing is in flight"


def test_r33_server_that_is_slower_has_nothing_left_to_clear() -> None:
    play = interrupted_while_it_plays()
    play.check([cleared("a")])
    play.check([truncated("a", 700), Is("a", "sound", "cleared"), Is("interruption", "over")])
    play.check([*BARGE_IN, Wait(60.0)])


# --- two controllers ------------------------------------------------------------------------


def test_r34_done_of_the_others_cancel_settles_ours() -> None:
    play = cancelled_unheard()
    play.check([*CANCELLED, Is("a", "sound", "none"), Is("interruption", "over")])
    play.check([S("error", code=NOT_ACTIVE, cancel="a"), Oops("absorbed"), Wait(60.0)])
    assert str(entry_of(play).outcome) == "cancelled (client_cancelled)"


def test_r34_error_for_ours_before_the_done_of_the_others_cancel_settles_it_too() -> None:
    # P-11: a second cancel may be refused while the first is carried out. It is being stopped, and
    # nobody says by whom; what begins to play of it all the same is cleared.
    play = cancelled_unheard()
    over: list[Entry] = [Is("a", "settled", "unknown (not_active)"), Is("a", "sound", "none")]
    refused = S("error", code=NOT_ACTIVE, cancel="a")
    play.check([refused, Oops("absorbed", "a"), *over, Is("interruption", "over")])
    play.check([started("a"), C(CLEAR), cleared("a")])
    play.check([S("response.done", "a", status="cancelled", reason="client_cancelled")])
    play.check([Wait(60.0)])


def test_r34_what_another_created_before_we_interrupt_is_stopped_by_its_id() -> None:
    # P-379: it is known by its `response.created`.
    play = on_call().check(
        [
            S("response.created", "b"),
            Is("b", "opened"),
            Ask("interrupt"),
            C("response.cancel", "b"),
            Is("b", "ended", "cancelled"),
            S("response.done", "b", status="cancelled", reason="client_cancelled"),
            Is("b", "settled", "cancelled (client_cancelled)"),
            Is("b", "sound", "none"),
            Is("interruption", "over"),
        ]
    )
    assert entry_of(play).response_id == "resp_b"


def test_r34_what_another_created_while_we_interrupt_is_not_meant() -> None:
    play = on_call().check([Ask("interrupt"), Is("interruption", "over")])
    play.check(
        [S("response.created", "b"), Is("b", "opened"), *finished("b"), Is("b", "sound", "none")]
    )
    assert play.receipt.entries == ()


# --- what is said to another controller -----------------------------------------------------


def test_r35_anothers_refused_cancel_says_nothing_of_ours() -> None:
    # P-380: on some servers all get the errors of all. Its event id is not one of ours.
    play = cancelled_unheard()
    play.check([S("error", code=NOT_ACTIVE, event_id="c1"), Oops("absorbed")])
    assert not play.interruptions[-1].settled
    play.check([*CANCELLED, Is("a", "sound", "none"), Is("interruption", "over")])


def test_r35_anothers_refused_clear_says_nothing_of_ours() -> None:
    play = interrupted_while_it_plays()
    play.check([S("error", code=NOTHING_PLAYS, event_id="c1"), Oops("error")])
    play.check([cleared("a")])
    play.check([truncated("a", 900), Is("a", "sound", "cleared"), Is("interruption", "over")])


# --- the server's own `truncated`, and another controller's truncate ------------------------


def cut_by_another_at(ms: int) -> Playbook:
    """It plays, and somebody else has said how much of it was heard, in their opinion."""
    return on_call().check([*speaks("a"), started("a"), *finished("a"), truncated("a", ms)])


def test_r40_anothers_claim_is_not_taken_for_what_was_heard() -> None:
    # I13: 3000 ms were claimed when 1900 had been played. The receipt waits for the server's own.
    play = cut_by_another_at(3000)
    play.check([Ask("interrupt"), C(CLEAR), cleared("a")])
    play.check([truncated("a", 1900), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 1900


def test_r40_nor_when_it_crosses_our_clear() -> None:
    play = on_call().check([*speaks("a"), started("a"), *finished("a")])
    play.check([Ask("interrupt"), C(CLEAR)])
    play.check([truncated("a", 3000), cleared("a")])
    play.check([truncated("a", 1900), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 1900


def test_r40_shorter_claim_of_anothers_is_all_that_is_ever_told() -> None:
    # The item is shorter already than what was heard, so the server says nothing of its own.
    play = cut_by_another_at(500)
    play.check([Ask("interrupt"), C(CLEAR), cleared("a"), Wait(SOON / 2)])
    play.check([Wait(SOON), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 500, "never more than was"


def test_r40_claim_that_comes_after_the_servers_own_word_changes_nothing() -> None:
    play = interrupted_while_it_plays()
    play.check([cleared("a")])
    play.check([truncated("a", 700), Is("a", "sound", "cleared"), Is("interruption", "over")])
    play.check([truncated("a", 3000)])
    playout = play["a"].playout
    assert playout is not None and playout.heard_ms == 700


def test_r40_claim_about_what_is_played_to_its_end_says_nothing_of_it() -> None:
    play = cut_by_another_at(500)
    play.check([stopped("a"), Is("a", "sound", "played"), Wait(60.0)])
    playout = play["a"].playout
    assert playout is not None and playout.heard_ms is None


def test_what_was_heard_of_several_items_is_their_sum() -> None:
    # An item that was not reached is cut at 0, which is not what was heard of the response.
    play = on_call().check([*speaks("a")])
    second = S("response.output_item.added", "a", item=message("item_2"))
    play.check([second, Is("a", "output", "response.output_item.added")])
    play.check([started("a"), *finished("a"), *BARGE_IN])
    play.check(
        [
            cleared("a"),
            Is("a", "sound", "cleared"),
            truncated("a", 400),
            truncated("a", 0, item_id="item_2"),
        ]
    )
    playout = play["a"].playout
    assert playout is not None and playout.heard_ms == 400


# --- `truncated` before its `cleared`, or after the next turn has begun ---------------------


def test_r42_truncated_before_its_cleared_is_what_was_heard() -> None:
    play = interrupted_while_it_plays()
    play.check([truncated("a", 800), cleared("a"), Wait(SOON / 2)])
    play.check([Wait(SOON), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms == 800


def test_r42_truncated_before_the_cleared_of_a_barge_in_is_what_was_heard() -> None:
    play = on_call().check([*speaks("a"), started("a"), *finished("a"), *BARGE_IN])
    play.check([truncated("a", 800), cleared("a"), Is("a", "sound", "cleared"), Wait(SOON)])
    playout = play["a"].playout
    assert playout is not None and playout.heard_ms == 800


def test_r42_truncated_after_the_next_turn_is_that_of_the_last_answer() -> None:
    play = on_call().check([*speaks("a"), started("a"), *finished("a"), *BARGE_IN])
    play.check([cleared("a"), Is("a", "sound", "cleared")])
    play.check([S("response.created", "b"), Is("b", "opened"), *spoken("b"), started("b")])
    play.check([truncated("a", 800)])
    of_a, of_b = play["a"].playout, play["b"].playout
    assert of_a is not None and of_a.heard_ms == 800
    assert of_b is not None and of_b.heard_ms is None and of_b.audible


def test_r42_receipt_does_not_wait_for_a_truncated_that_comes_so_late() -> None:
    play = interrupted_while_it_plays()
    play.check([cleared("a")])
    play.check([Wait(SOON), Is("a", "sound", "cleared"), Is("interruption", "over")])
    assert entry_of(play).heard_ms is None
    play.check([truncated("a", 800)])
    playout = play["a"].playout
    assert playout is not None and playout.heard_ms == 800
