"""Named sets of knobs: servers as they were documented or seen to behave (P-290 to P-311)."""

from types import MappingProxyType

from antiphon.emulator.knobs.behaviour import Behaviour
from antiphon.emulator.knobs.call_choices import CallIdStyle, Dtmf
from antiphon.emulator.knobs.choices import (
    ActiveErrorForm,
    BadJsonReply,
    CancelFunctionArgs,
    CancelledItems,
    CancelNoIdScope,
    CancelReply,
    CancelTarget,
    ConversationCreated,
    CreateWhenBusy,
    Dialect,
    ErrorCodePlace,
    EventIdEcho,
    EventIdPlace,
    ItemsAnnounced,
    ItemsDuringResponse,
    MultiItemDoneOrder,
    OutOfBand,
    PendingCall,
    RateLimitsUpdated,
    ResponseDoneOnFailure,
    SupersededDone,
    TruncateReply,
    UnknownEventReply,
    UnknownFieldReply,
    Voices,
)

__all__ = ["PROFILES", "profile"]

_OPENAI = Behaviour()

PROFILES = MappingProxyType(
    {
        # As documented.
        "openai": _OPENAI,
        # P-4: a bare cancel stops nothing while several responses are in flight.
        "openai-2025-06-03": _OPENAI.but(
            model="gpt-4o-realtime-preview-2025-06-03",
            voice="alloy",
            cancel_no_id_scope=CancelNoIdScope.ONLY_IF_SINGLE,
        ),
        # P-290, P-85
        "azure": _OPENAI.but(
            dialect=Dialect.AZURE_GA,
            rate_limits_updated=RateLimitsUpdated.NEVER,
            error_event_id_echo=EventIdEcho.PER_CODE,
        ),
        # P-291, P-292
        "azure-beta": _OPENAI.but(
            dialect=Dialect.VOICE_LIVE,
            voices=Voices.ANY,
            voice="alloy",
            rate_limits_updated=RateLimitsUpdated.NEVER,
            error_event_id_echo=EventIdEcho.PER_CODE,
            item_done=False,
            silence_duration_ms=500,
        ),
        # P-293 to P-299; of calls P-441, P-460
        "xai": _OPENAI.but(
            dialect=Dialect.XAI,
            max_id_chars=64,  # its own call ids have 36 (P-295)
            voices=Voices.ANY,
            model="grok-voice",
            voice="ara",
            conversation_created=ConversationCreated.AFTER_SESSION_CREATED,
            rate_limits_updated=RateLimitsUpdated.NEVER,
            cancel_no_match_reply=CancelReply.OTHER_CODE,
            cancel_unknown_or_finished_id=CancelReply.OTHER_CODE,
            multi_item_done_order=MultiItemDoneOrder.ITEM_BY_ITEM,
            item_done=False,
            truncate_reply=TruncateReply.UNSUPPORTED,
            vad_while_responding=False,
            ping_interval_s=10.0,
            call_id_style=CallIdStyle.UUID,
            dtmf=Dtmf.AS_TEXT,
        ),
        # P-303 to P-305
        "localai": _OPENAI.but(
            create_when_busy=CreateWhenBusy.SUPERSEDE,
            cancel_target=CancelTarget.IGNORES_ID,
            cancel_no_match_reply=CancelReply.SILENT,
            out_of_band=OutOfBand.IGNORED,
            voices=Voices.ANY,
            max_id_chars=512,
            response_done_on_failure=ResponseDoneOnFailure.NEVER,
            unknown_event=UnknownEventReply.IGNORE,
            error_event_id_place=EventIdPlace.OUTER,
            rate_limits_updated=RateLimitsUpdated.NEVER,
        ),
        # P-309
        "speaches": _OPENAI.but(
            create_when_busy=CreateWhenBusy.SUPERSEDE,
            superseded_done=SupersededDone.OMITTED,
            voices=Voices.ANY,
            max_id_chars=512,
            cancel_target=CancelTarget.UNSUPPORTED,
            out_of_band=OutOfBand.IGNORED,
            metadata_echo=False,
            rate_limits_updated=RateLimitsUpdated.NEVER,
        ),
        # P-306 to P-308, P-467: as of 1.1.0
        "speech-to-speech": _OPENAI.but(
            out_of_band=OutOfBand.SHARED_SLOT,
            active_error_form=ActiveErrorForm.SHORT,
            error_code_place=ErrorCodePlace.TYPE,
            voices=Voices.ANY,
            max_id_chars=512,
            bad_json_reply=BadJsonReply.CUT,
            unknown_field=UnknownFieldReply.IGNORE,
            unsupported_events=frozenset(
                {"conversation.item.retrieve", "input_audio_buffer.clear"}
            ),
            cancel_target=CancelTarget.IGNORES_ID,
            cancel_no_id_scope=CancelNoIdScope.ANY,
            cancel_no_match_reply=CancelReply.SILENT,
            cancel_latency_ms=0.0,
            straggler_deltas=0,
            cancel_function_args=CancelFunctionArgs.NONE,
            multi_item_done_order=MultiItemDoneOrder.ITEM_BY_ITEM,
            truncate_reply=TruncateReply.SILENT,
            items_announced=ItemsAnnounced.CREATED,
            items_during_response=ItemsDuringResponse.AFTER_DONE,
            cancelled_items=CancelledItems.REMOVED,
            pending_call=PendingCall.ERROR,
            rate_limits_updated=RateLimitsUpdated.NEVER,
        ),
        # P-466: a mock, as of 1.43
        "aimock": _OPENAI.but(
            reads_while_responding=False,
            voices=Voices.ANY,
            max_id_chars=512,
            cancel_target=CancelTarget.NOTHING,
            out_of_band=OutOfBand.IGNORED,
            metadata_echo=False,
            error_event_id_echo=EventIdEcho.NEVER,
            unknown_event=UnknownEventReply.IGNORE,
            unknown_field=UnknownFieldReply.IGNORE,
            unsupported_events=frozenset(
                {
                    "conversation.item.delete",
                    "conversation.item.retrieve",
                    "output_audio_buffer.clear",
                }
            ),
            items_announced=ItemsAnnounced.HALVES,
            multi_item_done_order=MultiItemDoneOrder.ITEM_BY_ITEM,
            truncate_reply=TruncateReply.SILENT,
            rate_limits_updated=RateLimitsUpdated.NEVER,
            phase=True,
        ),
        # P-468, P-480: LiteLLM's proxy in front of OpenAI, as of 1.106.2
        "litellm": _OPENAI.but(behind_proxy=True, location=False),
    }
)


def profile(name: str) -> Behaviour:
    """The behaviour of a named server.

    Raises:
        ValueError: there is no profile of this name.
    """
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(PROFILES)
        raise ValueError(f"no profile {name!r}; there are: {known}") from None
