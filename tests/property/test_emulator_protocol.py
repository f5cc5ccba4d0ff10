"""Whatever a client sends, in whatever order, the emulator keeps to its own protocol.

A client that knows no manners talks to the emulator under random knobs: sensible events, events at
the wrong time, and nonsense. After each step, and at the end:

- the engine has not raised;
- a response has one `response.created` before anything else of it, at most one `response.done`,
  and nothing after that;
- the default conversation has one response at a time;
- every error that names an event names one that was sent;
- the audio of each response is whole, in order, and its own;
- in the end every response is done.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from antiphon.emulator import Behaviour, Script, answer, call, fail, incomplete, say, silence
from antiphon.emulator.audio import speech
from antiphon.emulator.knobs.choices import (
    ActiveErrorForm,
    CancelCloseItems,
    CancelNoIdScope,
    CancelOutputInDone,
    CancelTarget,
    CreateWhenBusy,
    Dialect,
    DuplicateItemId,
    EarlyCancel,
    ErrorCodePlace,
    ItemsAnnounced,
    MultiItemDoneOrder,
    OldDoneVsNewCreated,
    OutOfBand,
    SupersededDone,
    TranscriptionTiming,
    UnknownFieldReply,
    VadCreateWhenBusy,
)
from tests.helpers.emulated import Emulated, Json, user_text

__all__: list[str] = []

ANSWERS = [
    say("A story of some length, told at leisure."),
    say("Hi.", ms=100),
    silence(),
    answer(say("One moment."), call("lookup", {"city": "Oslo"})),
    answer(call("f", {"a": "long " * 20}), say("And so on.", ms=400)),
    fail(after=say("I was")),
    incomplete(after=say("You should")),
]
VOICE = speech.user_voice(300)
ITEM_IDS = ["item_a", "item_b", "item_c", "no_such_item", "", "root"]


def value_of(kind: type[StrEnum]) -> st.SearchStrategy[StrEnum]:
    return st.sampled_from(list(kind))


KNOBS = st.fixed_dictionaries(
    {
        "cancel_no_id_scope": value_of(CancelNoIdScope),
        "cancel_target": value_of(CancelTarget),
        "cancel_before_created": value_of(EarlyCancel),
        "cancel_latency_ms": st.sampled_from([0, 20, 300]),
        "straggler_deltas": st.integers(0, 3),
        "cancel_close_items": value_of(CancelCloseItems),
        "cancel_output_in_done": value_of(CancelOutputInDone),
        "created_latency_ms": st.sampled_from([0, 0, 100]),
        "slot_free_at": st.sampled_from([0, 0, 100]),
        "old_done_vs_new_created": value_of(OldDoneVsNewCreated),
        "max_parallel_oob": st.sampled_from([None, 0, 2]),
        "out_of_band": value_of(OutOfBand),
        "oob_emits_conversation_items": st.booleans(),
        "vad_interrupts_oob": st.booleans(),
        "vad_create_when_busy": value_of(VadCreateWhenBusy),
        "create_when_busy": value_of(CreateWhenBusy),
        "superseded_done": value_of(SupersededDone),
        "active_error_form": value_of(ActiveErrorForm),
        "reads_while_responding": st.sampled_from([True, True, True, False]),
        "error_code_place": value_of(ErrorCodePlace),
        "items_announced": value_of(ItemsAnnounced),
        "unknown_field": value_of(UnknownFieldReply),
        "multi_item_done_order": value_of(MultiItemDoneOrder),
        "duplicate_item_id": value_of(DuplicateItemId),
        "transcription_timing": value_of(TranscriptionTiming),
        "dialect": st.sampled_from([Dialect.GA, Dialect.AZURE_GA]),
    }
)


class RudeClient(RuleBasedStateMachine):
    """Sends anything at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.client = Emulated()
        self.behaviour = Behaviour()
        self.seen = 0
        self.created: dict[str, Json] = {}
        self.done: dict[str, Json] = {}
        self.default: list[str] = []
        self.sent_ids: set[str] = set()
        self.audio: dict[str, int] = {}
        self.calls: list[str] = []

    @initialize(knobs=KNOBS, answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=12))
    def connect(self, knobs: Json, answers: list[Any]) -> None:
        self.behaviour = Behaviour().but(**knobs)
        script = Script(answers, otherwise=say("Well."))
        self.client = Emulated(self.behaviour, script, keep_hello=True)

    def send(self, kind: str, **fields: Any) -> None:
        event_id = f"e{len(self.sent_ids)}"
        self.sent_ids.add(event_id)
        self.client.send(kind, event_id=event_id, **fields)

    # Sensible

    @rule(conversation=st.sampled_from(["auto", "none"]), text=st.booleans())
    def create(self, conversation: str, text: bool) -> None:
        modality = ["text"] if text else ["audio"]
        self.send(
            "response.create",
            response={"conversation": conversation, "output_modalities": modality},
        )

    @rule()
    def cancel_bare(self) -> None:
        self.send("response.cancel")

    @rule(data=st.data())
    def cancel_by_id(self, data: st.DataObject) -> None:
        known = [*self.created, "resp_never_was"]
        self.send("response.cancel", response_id=data.draw(st.sampled_from(known)))

    @rule(item_id=st.sampled_from(ITEM_IDS), previous=st.sampled_from(ITEM_IDS))
    def create_item(self, item_id: str, previous: str) -> None:
        item = user_text("Hm.", id=item_id) if item_id else user_text("Hm.")
        self.send("conversation.item.create", item=item, previous_item_id=previous)

    @rule(data=st.data())
    def answer_call(self, data: st.DataObject) -> None:
        call_id = data.draw(st.sampled_from([*self.calls, "call_never_was"]))
        item = {"type": "function_call_output", "call_id": call_id, "output": "42"}
        self.send("conversation.item.create", item=item)

    @rule(data=st.data(), action=st.sampled_from(["retrieve", "delete", "truncate"]))
    def touch_item(self, data: st.DataObject, action: str) -> None:
        known = [*self.client.engine.item_ids, "no_such_item"]
        fields: Json = {"item_id": data.draw(st.sampled_from(known))}
        if action == "truncate":
            fields |= {"content_index": data.draw(st.integers(0, 1))}
            fields |= {"audio_end_ms": data.draw(st.integers(0, 3000))}
        self.send(f"conversation.item.{action}", **fields)

    @rule(audio=st.sampled_from([VOICE, bytes(48 * 300), bytes(48 * 30), b""]))
    def speak(self, audio: bytes) -> None:
        self.client.speak(audio)
        self.sent_ids |= {f"c{n}" for n in range(self.client._sent + 1)}

    @rule(kind=st.sampled_from(["commit", "clear"]))
    def touch_buffer(self, kind: str) -> None:
        self.send(f"input_audio_buffer.{kind}")

    @rule(
        detection=st.sampled_from(
            [
                None,
                {"type": "server_vad", "idle_timeout_ms": 5000},
                {"type": "server_vad", "interrupt_response": False},
                {"type": "semantic_vad", "eagerness": "high"},
            ]
        ),
        transcription=st.sampled_from([None, {"model": "whisper-1"}]),
    )
    def update(self, detection: Json | None, transcription: Json | None) -> None:
        heard = {"turn_detection": detection, "transcription": transcription}
        self.send("session.update", session={"type": "realtime", "audio": {"input": heard}})

    @rule(seconds=st.sampled_from([0.005, 0.05, 0.3, 2.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.client.run(seconds)

    # Not sensible

    @rule(frame=st.binary(max_size=30))
    def send_bytes(self, frame: bytes) -> None:
        self.client.send_raw(frame)

    @rule(
        event=st.dictionaries(
            st.sampled_from(["type", "event_id", "response", "item", "session", "audio"]),
            st.none()
            | st.integers()
            | st.text(max_size=5)
            | st.sampled_from(["response.create", "session.update", "conversation.item.create"])
            | st.lists(st.integers(), max_size=2),
            max_size=4,
        )
    )
    def send_nonsense(self, event: Json) -> None:
        if isinstance(event.get("event_id"), str):
            self.sent_ids.add(event["event_id"])
        self.client.send_raw(event)

    # What must hold

    @invariant()
    def protocol_is_kept(self) -> None:
        events, self.seen = self.client.events[self.seen :], len(self.client.events)
        for event in events:
            handler = self.CHECKS.get(event["type"])
            if handler is not None:
                handler(self, event)
            elif event["type"] == "response.cancelled":  # P-466: it names nothing
                assert self.behaviour.cancel_target is CancelTarget.NOTHING
            elif event["type"].startswith("response."):
                self.check_output(event)
        self.check_engine()

    def check_created(self, event: Json) -> None:
        response = event["response"]
        one = response["id"]
        assert one not in self.created
        self.created[one] = response
        if response["conversation_id"] is not None:
            overlap = self.behaviour.old_done_vs_new_created is OldDoneVsNewCreated.CREATED_FIRST
            omitted = self.behaviour.superseded_done is SupersededDone.OMITTED
            if not (overlap or omitted):
                assert self.default == [], "two responses in the default conversation"
            self.default.append(one)

    def check_done(self, event: Json) -> None:
        response = event["response"]
        one = response["id"]
        assert one in self.created
        assert one not in self.done
        assert response["status"] in ("completed", "cancelled", "incomplete", "failed")
        assert response["metadata"] == self.created[one]["metadata"]
        usage = response["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        self.done[one] = response
        if one in self.default:
            self.default.remove(one)

    def check_output(self, event: Json) -> None:
        one = event["response_id"]
        assert one in self.created, event["type"]
        assert one not in self.done, event["type"]
        if event["type"] == "response.function_call_arguments.delta":
            self.calls.append(event["call_id"])

    def check_audio(self, event: Json) -> None:
        import pybase64

        self.check_output(event)
        one = event["response_id"]
        (span,) = speech.spans(pybase64.b64decode(event["delta"]))
        assert span.tag == speech.tag_of(one)
        assert span.start_ms == self.audio.get(one, 0)
        self.audio[one] = span.end_ms

    def check_error(self, event: Json) -> None:
        assert event["error"]["event_id"] is None or event["error"]["event_id"] in self.sent_ids

    CHECKS: dict[str, Callable[["RudeClient", Json], None]] = {
        "response.created": check_created,
        "response.done": check_done,
        "response.output_audio.delta": check_audio,
        "error": check_error,
    }

    def check_engine(self) -> None:
        active = set(self.client.engine.active_responses)
        assert active.isdisjoint(self.done)
        dropped = self.behaviour.superseded_done is SupersededDone.OMITTED
        if not dropped:
            assert set(self.created) - set(self.done) <= active

    def teardown(self) -> None:
        self.client.run(600)
        self.protocol_is_kept()
        if self.behaviour.superseded_done is not SupersededDone.OMITTED:
            idle = set(self.created) - set(self.done)
            # Only an idle turn may have begun one just now.
            assert len(idle) <= 1
        ids = [event["event_id"] for event in self.client.events]
        assert len(ids) == len(set(ids))


TestRudeClient = RudeClient.TestCase
TestRudeClient.settings = settings(max_examples=60, stateful_step_count=40)
