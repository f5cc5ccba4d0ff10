"""A core on a sideband against the emulated call: whatever crosses, I3 and I10 to I13 hold.

The two were written independently. Between them lies a network that takes its time in both
directions, so that every race of docs/protocol.md (R-28 to R-34, R-40, R-42) comes about: what was
asked is read late, what was done is heard of late, and the knobs decide what the gateway makes of
it. What a listener hears is taken from the gateway itself.
"""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from antiphon.emulator import Behaviour, Script, answer, say, text
from antiphon.protocol.connection import Connection
from antiphon.protocol.effects import Effects, Interrupted, Send
from antiphon.protocol.interruption import Interruption, PlaybackMode, Receipt, Scope
from antiphon.protocol.options import Options
from antiphon.protocol.playouts import is_wanted
from antiphon.protocol.response import Response
from antiphon.wire.client_events import (
    OutputAudioBufferClear,
    ResponseCancel,
    ResponseCreateParams,
)
from antiphon.wire.codec import Codec
from antiphon.wire.items import ContentPart, Item
from tests.helpers.on_call import OnCall
from tests.helpers.watch import GIVEN_UP, check_order

__all__: list[str] = []

CODEC = Codec()
TICK = 0.01
SCRIPT = (
    say("A long one that goes on for a while.", ms=3000).when(contains="long").always(),
    answer(say("Two", ms=700), say("items.", ms=900)).when(contains="items").always(),
    say("Ah.", ms=120).when(contains="short").always(),
    text("Only words.").when(contains="words").always(),
)
KNOBS: dict[str, list[Any]] = {
    "call_media": ["virtual", "virtual", "virtual", "none"],
    "output_started": ["first_audio", "after_transcript", "after_done"],
    "output_started_latency_ms": [0.0, 60.0, 400.0],
    "output_stopped_latency_ms": [0.0, 20.0],
    "playback_order": ["queue", "queue", "lost"],
    "clear_scope": ["all", "playing_only"],
    "cleared_for": ["playing", "each", "none"],
    "cleared_response_id": [True, False],
    "auto_truncated": [True, False],
    "clear_while_generating": ["later_audio_plays", "later_audio_dropped", "cancels"],
    "clear_idle": ["error", "silent", "cleared"],
    "vad_clears_oob": [True, False],
    "vad_interrupts_oob": [True, False],
    "cancel_latency_ms": [0.0, 20.0, 200.0],
    "straggler_deltas": [0, 1, 3],
    "cancelled_items": ["kept", "removed"],
    "event_audience": ["state_to_all", "all_to_all"],
    "multi_item_done_order": ["batched", "item_by_item"],
}
ACTS = st.sampled_from(
    [
        "create", "out_of_band", "items", "short", "words", "kept",
        "interrupt", "interrupt default", "interrupt out_of_band", "interrupt always",
        "interrupt never", "cancel", "speech", "another cancels", "another clears",
        "another truncates",
    ]
)  # fmt: skip
STEPS = st.lists(st.tuples(ACTS, st.sampled_from([0.0, 0.02, 0.09, 0.3, 1.1])), max_size=14)
DELAYS = st.sampled_from([0.0, 0.01, 0.05, 0.15])


class Meeting:
    """A core, a call, what is on its way between them, and a listener at the call."""

    def __init__(self, knobs: dict[str, Any], up_s: float, down_s: float) -> None:
        self.story = OnCall(Behaviour().but(**knobs), Script(SCRIPT, otherwise=say("Yes?", ms=300)))
        self.side, self.other = self.story.attach(), self.story.attach()
        self.core = Connection("t", Options(call=True))
        self.up_s, self.down_s = up_s, down_s
        self._seen = 0
        self._up: list[tuple[float, bytes]] = []
        self._down: list[tuple[float, bytes]] = []
        self.mine: list[Response] = []
        self.interruptions: dict[Interruption, PlaybackMode] = {}
        self.asked: dict[Interruption, float] = {}
        self.over: dict[Interruption, tuple[float, Receipt]] = {}
        # By response id: ms heard; and when it was heard last.
        self.heard: dict[str, float] = {}
        self.last_heard: dict[str, float] = {}
        self.log: list[str] = []
        # Whether it was ever asked to clear whatever else that would silence.
        self._always = False

    # --- time -----------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        until = self.story.now + seconds
        while self.story.now < until - 1e-9:
            self.story.run(TICK)
            self._listen()
            self._carry()

    def _carry(self) -> None:
        now = self.story.now
        while self._up and self._up[0][0] <= now + 1e-9:
            _, frame = self._up.pop(0)
            self._listen()
            self.log.append(f"{now:.2f} > {json.loads(frame)['type']}")
            self.story.call.receive(self.side.number, frame, now)
            self.story.take()
        for event in self.side.events[self._seen :]:
            self._down.append((now + self.down_s, json.dumps(event).encode()))
        self._seen = len(self.side.events)
        while self._down and self._down[0][0] <= now + 1e-9:
            _, frame = self._down.pop(0)
            said = CODEC.decode(frame)
            self.log.append(f"{now:.2f} < {said.type} {getattr(said, 'response_id', '')}")
            self.take(self.core.receive(said, now))
        self.take(self.core.advance(now))

    def _listen(self) -> None:
        now = self.story.now
        engine: Any = self.story.call.engine
        for track in engine.gateway._tracks:
            heard = track.heard_ms(now)
            if heard > self.heard.get(track.response.id, 0.0):
                self.heard[track.response.id] = heard
                self.last_heard[track.response.id] = now

    def take(self, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._up.append((self.story.now + self.up_s, CODEC.encode(effect.event)))
                if isinstance(effect.event, OutputAudioBufferClear):
                    self._note_clear()
                elif isinstance(effect.event, ResponseCancel):
                    assert effect.event.response_id, "I4"
            elif isinstance(effect, Interrupted):
                assert effect.interruption not in self.over, "I3: over twice"
                receipt = effect.interruption.receipt()
                self.over[effect.interruption] = (self.story.now, receipt)

    def _note_clear(self) -> None:
        wanted = [*filter(is_wanted, self.core.playouts.audible)]
        if not self._always:
            assert not wanted, f"I12: {wanted} would fall silent too\n{self.trace()}"

    # --- acts -----------------------------------------------------------------------------------

    def act(self, what: str) -> None:
        now = self.story.now
        self.log.append(f"{now:.2f} * {what}")
        match what.split():
            case ["create" | "out_of_band" | "items" | "short" | "words" | "kept" as kind]:
                said = kind if kind in ("items", "short", "words") else "long"
                item = Item(
                    type="message",
                    role="user",
                    content=[ContentPart(type="input_text", text=said)],
                )
                params = ResponseCreateParams(input=[item])
                if kind in ("out_of_band", "short", "kept"):
                    params = ResponseCreateParams(input=[item], conversation="none")
                response, effects = self.core.create_response(
                    params, now, interruptible=kind != "kept"
                )
                self.mine.append(response)
                self.take(effects)
            case ["interrupt", *how]:
                word = how[0] if how else "all"
                scope: Scope = "all" if word in ("always", "never", "all") else word  # type: ignore[assignment]
                mode: PlaybackMode = word if word in ("always", "never") else "exact"  # type: ignore[assignment]
                self._interrupted(mode, *self.core.interrupt(scope, now, playback=mode))
            case ["cancel"] if self.mine:
                self._interrupted("exact", *self.core.cancel(self.mine[-1:], now))
            case ["speech"]:
                self.story.speech(200)
            case ["another", "cancels"]:
                for created in self.other.all("response.created")[-1:]:
                    self.other.send("response.cancel", response_id=created["response"]["id"])
            case ["another", "clears"]:
                self.other.clear()
            case ["another", "truncates"]:
                # At more than was heard, often: it may say what it likes, up to what there is.
                for item_id in self.story.call.engine.item_ids[-1:]:
                    cut = {"item_id": item_id, "content_index": 0, "audio_end_ms": 2500}
                    self.other.send("conversation.item.truncate", **cut)

    def _interrupted(
        self, mode: PlaybackMode, interruption: Interruption, effects: Effects
    ) -> None:
        self._always = self._always or mode == "always"
        self.interruptions[interruption] = mode
        self.asked[interruption] = self.story.now
        self.take(effects)

    def trace(self) -> str:
        return "\n".join(self.log)


@settings(max_examples=100, deadline=None)
@example(
    {"clear_scope": "playing_only"},
    0.05,
    0.05,
    [("create", 0.3), ("kept", 1.1), ("interrupt", 0.3)],
)
@example({}, 0.05, 0.05, [("create", 1.1), ("another truncates", 0.0), ("interrupt", 0.3)])
@given(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in KNOBS.items()}),
    DELAYS,
    DELAYS,
    STEPS,
)
def test_an_interruption_means_what_is_heard(
    knobs: dict[str, Any], up_s: float, down_s: float, steps: list[tuple[str, float]]
) -> None:
    meeting = Meeting(knobs, up_s, down_s)
    meeting.run(0.2)
    for what, pause in steps:
        meeting.act(what)
        meeting.run(pause)
    meeting.run(30.0)
    core, trace = meeting.core, meeting.trace()

    # I3: nothing hangs, whatever the gateway keeps to itself.
    assert set(meeting.over) == set(meeting.interruptions), f"I3\n{trace}"
    assert core.unsettled == (), f"I3\n{trace}"

    # I11 and I10: after it was said to be silent, a sound lasts no longer than until a clear that
    # answers its beginning is read: it began, that was told, the clear was sent.
    crossing = up_s + down_s + 3 * TICK
    for interruption, (when, receipt) in meeting.over.items():
        assert receipt.asked == meeting.asked[interruption] <= when
        for entry in receipt.entries:
            check_order(entry.times, given_up=entry.outcome.kind in GIVEN_UP)
            assert entry.times.settled is not None and entry.times.settled <= when
    for response in meeting.mine:
        assert response.times.first_audio is None, "it never comes over a sideband (P-378)"
        # What a listener heard, the call had told of (P-400).
        assert response.times.first_heard is not None or response.id not in meeting.heard, trace
    head_only = knobs.get("clear_scope") == "playing_only"
    for when, receipt in meeting.over.values():
        for entry in receipt.silenced:
            response_id = entry.response_id or ""
            heard, last = (
                meeting.heard.get(response_id, 0.0),
                meeting.last_heard.get(response_id, 0),
            )
            if head_only and entry.heard_ms == 0:
                # P-414, the guess that fails: what waited was not dropped with what played, and
                # nobody says so. It is cleared as soon as it begins, unless others wait behind it.
                continue
            assert last <= when + crossing, f"I11: {entry} heard until {last:.2f}\n{trace}"
            assert entry.heard_ms is None or entry.heard_ms <= heard + 1, f"I13: {entry}\n{trace}"
            assert entry.playback != "played" or heard > 0, f"{entry}\n{trace}"
