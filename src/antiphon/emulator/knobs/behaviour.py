"""Every knob of the emulator, typed, with its default and the facts it varies.

What docs/protocol.md knows for certain is code; what it grades as unknown, or saw
differ between servers, is a field of `Behaviour`. The default of a field is the
documented behaviour or, where nothing is documented, the best guess of
docs/protocol.md ("Knobs"). Those of calls are in calls.py; named sets of knobs are in profiles.py.
"""

import dataclasses
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from antiphon.emulator.knobs.calls import CallKnobs
from antiphon.emulator.knobs.choices import (
    ActiveErrorForm,
    AuthFailure,
    BadJsonReply,
    CancelCloseItems,
    CancelFunctionArgs,
    CancelledItems,
    CancelNoIdScope,
    CancelOutputInDone,
    CancelReply,
    CancelTarget,
    CancelUsage,
    ConversationCreated,
    CreateWhenBusy,
    Dialect,
    DuplicateItemId,
    EarlyCancel,
    ErrorCodePlace,
    EventIdEcho,
    EventIdPlace,
    Expiry,
    ItemsAnnounced,
    ItemsDuringResponse,
    MissingModel,
    MultiItemDoneOrder,
    OldDoneVsNewCreated,
    OutOfBand,
    PendingCall,
    RateLimitsUpdated,
    RepeatReply,
    ResponseDoneOnFailure,
    SupersededDone,
    TranscriptionTiming,
    TruncateReply,
    UnknownEventReply,
    UnknownFieldReply,
    VadCreateWhenBusy,
    Voices,
)
from antiphon.emulator.knobs.pace import Pace
from antiphon.models import DEFAULT_MODEL

__all__ = ["Behaviour", "knobs"]

_NOT_NEGATIVE = (
    "cancel_latency_ms",
    "straggler_deltas",
    "created_latency_ms",
    "slot_free_at",
    "max_parallel_oob",
    "sideband_ready_ms",
    "max_sidebands",
    "output_started_latency_ms",
    "output_stopped_latency_ms",
    "refer_latency_ms",
)


def _knob(default: Any, says: str, facts: str) -> Any:
    return field(default=default, metadata={"says": says, "facts": facts})


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour(CallKnobs):
    """How the emulated server behaves: one value per knob.

    Frozen; make a variant with `behaviour.but(cancel_latency_ms=0)`. Durations are in
    milliseconds unless the name says otherwise. Profiles are `antiphon.emulator.profile(name)`.
    """

    # Cancelling
    cancel_no_id_scope: CancelNoIdScope = _knob(
        CancelNoIdScope.DEFAULT_CONVERSATION,
        "What a cancel without `response_id` stops. `next_response` is the hazard of P-15: with "
        "nothing in progress it stops the next default response as soon as that is created.",
        "P-2 to P-5, P-15",
    )
    cancel_target: CancelTarget = _knob(
        CancelTarget.BY_ID,
        "Whether the id in a cancel counts. `ignores_id`: every cancel is treated as one without "
        "id; `unsupported`: every cancel gets a server error; `nothing`: every cancel is answered "
        "by `response.cancelled` and stops nothing.",
        "P-1, P-304, P-307, P-309, P-466",
    )
    cancel_no_match_reply: CancelReply = _knob(
        CancelReply.ERROR, "Reply to a cancel without id that hits nothing.", "P-6, P-9, P-13"
    )
    cancel_unknown_or_finished_id: CancelReply = _knob(
        CancelReply.ERROR,
        "Reply to a cancel that names an unknown id or a finished response.",
        "P-10, P-14, P-293",
    )
    cancel_repeat_before_done: RepeatReply = _knob(
        RepeatReply.SILENT, "Reply to a second cancel before the first one's done.", "P-11"
    )
    cancel_before_created: EarlyCancel = _knob(
        EarlyCancel.NO_EFFECT,
        "What a cancel does while a response is accepted but not created (`created_latency_ms`).",
        "P-12",
    )
    cancel_latency_ms: float = _knob(
        20.0, "From a cancel that was accepted to that response's done.", "P-14, P-45, P-64"
    )
    straggler_deltas: int = _knob(
        1, "Deltas of a cancelled response still sent before its done.", "P-64"
    )
    cancel_close_items: CancelCloseItems = _knob(
        CancelCloseItems.FULL,
        "Which done events the open items of a cancelled response get.",
        "P-60, P-69, P-71",
    )
    cancel_output_in_done: CancelOutputInDone = _knob(
        CancelOutputInDone.PARTIAL, "`response.done.output` after a cancel.", "P-62, P-70"
    )
    cancel_usage: CancelUsage = _knob(
        CancelUsage.PARTIAL,
        "`response.done.usage` after a cancel; `partial` is zeros if nothing was produced.",
        "P-62, P-168",
    )
    cancel_function_args: CancelFunctionArgs = _knob(
        CancelFunctionArgs.PARTIAL,
        "Whether a cut call gets `function_call_arguments.done` with truncated JSON.",
        "P-60, P-61",
    )

    # Lanes
    created_latency_ms: float = _knob(
        0.0, "From an accepted create to its `response.created`.", "P-12, P-44"
    )
    slot_free_at: float = _knob(
        0.0, "Milliseconds from `response.done` until its lane is free again.", "P-45, P-47"
    )
    old_done_vs_new_created: OldDoneVsNewCreated = _knob(
        OldDoneVsNewCreated.DONE_FIRST,
        "Whether a response that replaces a cancelled one waits for the old one's done.",
        "P-66",
    )
    max_parallel_oob: int | None = _knob(
        None, "Out-of-band responses allowed at once; none for no limit.", "P-40"
    )
    out_of_band: OutOfBand = _knob(
        OutOfBand.SEPARATE,
        'Where `conversation: "none"` runs: beside the default lane, in the one slot that all '
        "share, or (ignored) in the default conversation like any other.",
        "P-30, P-31, P-305, P-306",
    )
    oob_emits_conversation_items: bool = _knob(
        False, "Whether out-of-band items emit `conversation.item.added` and `.done`.", "P-41"
    )
    vad_interrupts_oob: bool = _knob(
        False, "Whether speech cancels out-of-band responses too.", "P-192"
    )
    vad_create_when_busy: VadCreateWhenBusy = _knob(
        VadCreateWhenBusy.DROPPED,
        "What becomes of turn detection's own response when the default lane is taken.",
        "P-49",
    )
    vad_while_responding: bool = _knob(
        True, "Whether turn detection listens while a default response runs.", "P-299"
    )
    create_when_busy: CreateWhenBusy = _knob(
        CreateWhenBusy.ERROR,
        "What becomes of a `response.create` for a lane that is taken.",
        "P-42, P-46, P-303, P-309",
    )
    superseded_done: SupersededDone = _knob(
        SupersededDone.SENT,
        "Whether a superseded response gets its `response.done`.",
        "P-303, P-309",
    )
    active_error_form: ActiveErrorForm = _knob(
        ActiveErrorForm.WITH_ID, "Form of the active-response error.", "P-42, P-43"
    )
    reads_while_responding: bool = _knob(
        True,
        "Whether client events are read while a response runs; if not, they wait for its end.",
        "P-466",
    )
    metadata_echo: bool = _knob(
        True, "Whether responses carry the metadata of their create.", "P-36, P-309"
    )

    # Errors
    error_event_id_echo: EventIdEcho = _knob(
        EventIdEcho.ALWAYS,
        "Which errors name the client event they answer; `per_code`: all but those of "
        "`error_codes_without_echo`.",
        "P-83 to P-86",
    )
    error_codes_without_echo: frozenset[str] = _knob(
        frozenset({"item_delete_invalid_item_id", "invalid_tool_call_id"}),
        "The codes that do not echo under `per_code`.",
        "P-85",
    )
    error_event_id_place: EventIdPlace = _knob(
        EventIdPlace.ERROR, "Where the echo stands.", "P-83, P-305"
    )
    error_code_place: ErrorCodePlace = _knob(
        ErrorCodePlace.CODE, "Where the code of an error stands.", "P-82, P-306"
    )
    bad_json_reply: BadJsonReply = _knob(
        BadJsonReply.ERROR,
        "Reply to a frame that is no JSON object: an error with null event_id, close 1007, close "
        "1011, or the connection is cut (1006).",
        "P-88, P-467",
    )
    unknown_event: UnknownEventReply = _knob(
        UnknownEventReply.ERROR, "Reply to an event of unknown type.", "P-87, P-305, P-466"
    )
    unsupported_events: frozenset[str] = _knob(
        frozenset(), "Client events that count as unknown here.", "P-87, P-466, P-467"
    )
    unknown_field: UnknownFieldReply = _knob(
        UnknownFieldReply.ERROR,
        "Reply to a field that the schema does not have, in a session or in any event; `ignore` "
        "takes the rest of the event.",
        "P-89, P-466, P-467",
    )
    response_done_on_failure: ResponseDoneOnFailure = _knob(
        ResponseDoneOnFailure.ALWAYS,
        "Whether a failed response gets `response.done`, or an `error` event instead.",
        "P-160, P-305",
    )

    # Items
    multi_item_done_order: MultiItemDoneOrder = _knob(
        MultiItemDoneOrder.BATCHED,
        "Whether the items of one response are closed together at its end, or each at its own.",
        "P-138, P-139",
    )
    max_id_chars: int = _knob(
        32, "How long the ids of items and calls may be that a client gives.", "P-214, P-216"
    )
    duplicate_item_id: DuplicateItemId = _knob(
        DuplicateItemId.APPEND, "What a client item with an existing id gets.", "P-213"
    )
    previous_item_id_quirk: bool = _knob(
        False,
        "`conversation.item.done.previous_item_id` is null when the predecessor is the first item.",
        "P-142",
    )
    items_announced: ItemsAnnounced = _knob(
        ItemsAnnounced.ADDED,
        "How items become known: `added` and `done` for all; `created`: only the client's, by "
        "`conversation.item.created` alone; `halves`: the client's by `added` alone, the server's "
        "own by `done` alone.",
        "P-117, P-466, P-467",
    )
    item_done: bool = _knob(True, "Whether `conversation.item.done` is sent.", "P-136, P-295")
    items_during_response: ItemsDuringResponse = _knob(
        ItemsDuringResponse.AT_ONCE,
        "When an item created during a default response is added.",
        "P-143, P-308",
    )
    cancelled_items: CancelledItems = _knob(
        CancelledItems.KEPT,
        "Whether what a cancelled response had said stays in the conversation.",
        "P-68, P-307",
    )
    pending_call: PendingCall = _knob(
        PendingCall.ACCEPTED,
        "What a `response.create` gets while a function call has no output.",
        "P-308",
    )
    truncate_reply: TruncateReply = _knob(
        TruncateReply.ACKNOWLEDGED, "What a truncate gets.", "P-106, P-299, P-308"
    )
    transcription_timing: TranscriptionTiming = _knob(
        TranscriptionTiming.AFTER_ITEM,
        "When the transcription of user audio arrives: after its item, before its item exists, "
        "or after the reply's done.",
        "P-186, P-187",
    )
    transcription_latency_ms: float = _knob(
        40.0, "From the item of user audio to its transcription's first event.", "P-186"
    )

    # Extras on the wire
    dialect: Dialect = _knob(
        Dialect.GA, "Names and shapes on the wire.", "P-127, P-128, P-290 to P-299"
    )
    rate_limits_updated: RateLimitsUpdated = _knob(
        RateLimitsUpdated.AFTER_DONE, "When `rate_limits.updated` is sent.", "P-144"
    )
    conversation_created: ConversationCreated = _knob(
        ConversationCreated.NEVER, "Whether `conversation.created` is sent.", "P-116, P-295"
    )
    ping_interval_s: float = _knob(
        0.0, "Seconds between `ping` events, a type of xAI's; 0 sends none.", "P-295"
    )
    obfuscation: bool = _knob(False, "`obfuscation` on text-like deltas.", "P-126")
    phase: bool = _knob(False, "`phase` on output items.", "P-126")

    # Session
    model: str = _knob(DEFAULT_MODEL, "The model when the URL names none.", "P-254")
    voice: str = _knob("marin", "The voice until the client sets one.", "P-255")
    voices: Voices = _knob(Voices.OPENAI, "Which voices are taken: OpenAI's, or any name.", "P-268")
    silence_duration_ms: int = _knob(
        200,
        "Default `silence_duration_ms` of server_vad; 200 was observed on gpt-realtime.",
        "P-181",
    )
    session_max_s: float = _knob(3600.0, "Seconds a session may last.", "P-257, P-258")
    expiry: Expiry = _knob(Expiry.CLOSE_1001, "How its end is told.", "P-259, P-260")
    auth_failure: AuthFailure = _knob(
        AuthFailure.HTTP_401_OR_CLOSE_3000,
        "How a key is refused: 401 if missing and 101, error, close 3000 if wrong; or always 401.",
        "P-261, P-262",
    )
    behind_proxy: bool = _knob(
        False,
        "Whether a proxy stands in front: a close other than 1000 is preceded by an error without "
        "event id and code, and a cut connection becomes close 1011.",
        "P-468",
    )
    missing_model: MissingModel = _knob(
        MissingModel.ACCEPT,
        "A connection without `?model=`: taken as `model` (kind to hand-written clients), or "
        "refused with close 4000 as OpenAI does.",
        "P-265",
    )

    # Generation
    pace: Pace = _knob(
        Pace(), "How fast output is produced; see `Pace`. Not a guess about any server.", "P-65"
    )

    def __post_init__(self) -> None:
        for name in _NOT_NEGATIVE:
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative")
        # Values from a file or a command line come as strings; enum fields take them by value.
        for spec in dataclasses.fields(self):
            kind = spec.type
            value = getattr(self, spec.name)
            if isinstance(kind, type) and issubclass(kind, StrEnum) and not isinstance(value, kind):
                object.__setattr__(self, spec.name, kind(value))

    def but(self, **changes: Any) -> "Behaviour":
        """This behaviour with some knobs changed.

        Args:
            **changes: knob names with their values; an enum's value may be given as a string.

        Raises:
            TypeError: a name is not a knob.
            ValueError: a value is not one of the knob's.
        """
        return dataclasses.replace(self, **changes)


def knobs() -> list[tuple[str, Any, str, str]]:
    """Name, default, meaning and facts (P-n) of every knob, in order."""
    return [
        (spec.name, spec.default, spec.metadata["says"], spec.metadata["facts"])
        for spec in dataclasses.fields(Behaviour)
    ]
