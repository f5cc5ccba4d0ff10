"""Whatever controllers and a caller do, the playback of a call stays what a listener could hear."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.emulator import Behaviour, Script, answer, say, text
from antiphon.emulator.engine.call import CallState
from tests.helpers.on_call import Controller, Json, OnCall

__all__: list[str] = []

SCRIPT = (
    say("A long one that goes on for a while.", ms=3000).when(contains="long").always(),
    answer(say("Two", ms=700), say("items.", ms=900)).when(contains="items").always(),
    text("Only words.").when(contains="words").always(),
)
KNOBS: dict[str, list[Any]] = {
    "output_started": ["first_audio", "after_transcript", "after_done"],
    "output_started_latency_ms": [0.0, 60.0, 400.0],
    "output_stopped_latency_ms": [0.0, 20.0],
    "playback_order": ["queue", "lost", "overlap"],
    "clear_scope": ["all", "playing_only"],
    "cleared_for": ["playing", "each", "none"],
    "auto_truncated": [True, False],
    "clear_while_generating": ["later_audio_plays", "later_audio_dropped", "cancels"],
    "clear_idle": ["error", "silent", "cleared"],
    "vad_clears_oob": [True, False],
    "vad_interrupts_oob": [True, False],
    "cancel_latency_ms": [0.0, 20.0, 200.0],
    "straggler_deltas": [0, 1, 3],
    "cancelled_items": ["kept", "removed"],
    "create_when_busy": ["error", "queue", "supersede"],
    "event_audience": ["state_to_all", "all_to_all", "own_only"],
    "multi_item_done_order": ["batched", "item_by_item"],
}
ACTS = st.sampled_from(
    ["create", "out_of_band", "items", "words", "cancel", "clear", "speech", "truncate", "delete"]
)
STEPS = st.lists(st.tuples(ACTS, st.sampled_from([0.0, 0.02, 0.09, 0.3, 1.1])), max_size=14)


def act(story: OnCall, side: Controller, what: str) -> None:
    latest = [event["response"]["id"] for event in side.all("response.created")][-1:]
    items = story.call.engine.item_ids[-1:]
    match what:
        case "create" | "out_of_band" | "items" | "words":
            said = {"items": "items", "words": "words"}.get(what, "long")
            content = [{"type": "input_text", "text": said}]
            item = {"type": "message", "role": "user", "content": content}
            params: Json = {"input": [item]}
            if what == "out_of_band":
                params["conversation"] = "none"
            side.send("response.create", response=params)
        case "cancel":
            for response_id in latest:
                side.send("response.cancel", response_id=response_id)
        case "clear":
            side.clear()
        case "speech":
            story.speech(200)
        case "truncate":
            for item_id in items:
                fields = {"item_id": item_id, "content_index": 0, "audio_end_ms": 100}
                side.send("conversation.item.truncate", **fields)
        case "delete":
            for item_id in items:
                side.send("conversation.item.delete", item_id=item_id)


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in KNOBS.items()}), STEPS
)
def test_playback_is_what_a_listener_could_hear(
    knobs: dict[str, Any], steps: list[tuple[str, float]]
) -> None:
    behaviour = Behaviour().but(**knobs)
    story = OnCall(behaviour, Script(SCRIPT, otherwise=say("Yes?", ms=300)))
    side, other = story.attach(), story.attach()
    for what, pause in steps:
        act(story, side, what)
        story.run(pause)
    story.run(60.0)
    assert story.call.state is CallState.UP
    assert story.call.engine.active_responses == []

    # What plays for one is what plays for all.
    assert side.playback() == other.playback()
    playing: set[str] = set()
    for what, response_id in side.playback():
        if what == "started":
            if behaviour.playback_order != "overlap" and behaviour.cleared_for != "none":
                assert not playing, "one after the other"
            playing.add(response_id)
        elif what == "stopped":
            assert response_id in playing, "nothing stops that did not start"
            playing.discard(response_id)
        else:
            playing.discard(response_id)
    if behaviour.cleared_for == "each":
        assert playing == set(), "everything that started has ended"

    # Nobody heard more of an item than there was of it.
    for event in side.all("conversation.item.truncated"):
        assert 0 <= event["audio_end_ms"] <= 3000
    # And nothing plays on for nobody: a clear finds nothing.
    side.forget()
    side.clear()
    assert side.heard() == []
    assert "stopped" not in [what for what, _ in side.playback()]
