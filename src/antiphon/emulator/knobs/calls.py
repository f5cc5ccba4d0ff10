"""The knobs that are effective on calls only: browser and telephone calls with sidebands."""

from dataclasses import dataclass, field
from typing import Any

from antiphon.emulator.knobs.call_choices import (
    CallEndClose,
    CallIdStyle,
    CallMedia,
    ClearedFor,
    ClearIdle,
    ClearScope,
    ClearWhileGenerating,
    Dtmf,
    EventAudience,
    HangupGone,
    NestedUpdate,
    OutputStarted,
    PlaybackOrder,
    Refer,
    SidebandAppend,
    SidebandModelToo,
    SidebandOverflow,
    SidebandUnknownCall,
    SipTurnDetectionLimits,
)

__all__ = ["CallKnobs"]


def _knob(default: Any, says: str, facts: str) -> Any:
    return field(default=default, metadata={"says": says, "facts": facts})


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKnobs:
    """How calls behave: the part of `Behaviour` that no plain WebSocket session meets."""

    # Media
    call_media: CallMedia = _knob(
        CallMedia.VIRTUAL,
        "What plays. `virtual`: a clock plays in real time to nobody, with all events; `none`: a "
        "call whose ICE never completed, no playback event ever; `webrtc`: a real peer (the extra "
        "`webrtc`).",
        "P-337",
    )

    # Sidebands
    sideband_session_created: bool = _knob(
        False, "Whether a sideband begins with `session.created`.", "P-373, P-374"
    )
    sideband_unknown_call: SidebandUnknownCall = _knob(
        SidebandUnknownCall.HTTP_404_JSON,
        "How a sideband to an unknown or ended call is refused.",
        "P-384",
    )
    sideband_ready_ms: float = _knob(
        0.0, "How long after `accept` or the 201 attaching still gets 404.", "P-385"
    )
    max_sidebands: int | None = _knob(
        None, "Sidebands that a call may have at once; none for no limit.", "P-381"
    )
    sideband_overflow: SidebandOverflow = _knob(
        SidebandOverflow.HTTP_409,
        "What happens to one more: it is refused, or the oldest is closed.",
        "P-381",
    )
    sideband_model_too: SidebandModelToo = _knob(
        SidebandModelToo.ACCEPT, "`model` beside `call_id` in the address.", "P-371"
    )
    sideband_append: SidebandAppend = _knob(
        SidebandAppend.ERROR, "Audio appended on a sideband.", "P-382"
    )
    event_audience: EventAudience = _knob(
        EventAudience.STATE_TO_ALL,
        "Who gets acknowledgements and errors: all get acknowledgements and the cause its errors; "
        "all get both; or the cause alone gets both.",
        "P-380",
    )

    # Playback
    output_started: OutputStarted = _knob(
        OutputStarted.FIRST_AUDIO,
        "When a response's sound begins: after its first audio, after its whole transcript, or "
        "after its `response.done`.",
        "P-402, P-405, P-406",
    )
    output_started_latency_ms: float = _knob(
        60.0,
        "How long after that; without effect on `after_transcript`.",
        "P-402, P-405, P-406",
    )
    output_stopped_latency_ms: float = _knob(
        20.0, "From the last sample to `output_audio_buffer.stopped`.", "P-403"
    )
    playback_order: PlaybackOrder = _knob(
        PlaybackOrder.QUEUE,
        "Several responses with sound: one after the other; the later one's is lost (an old bug); "
        "or all at once.",
        "P-407",
    )
    clear_scope: ClearScope = _knob(ClearScope.ALL, "What a clear drops.", "P-414")
    cleared_for: ClearedFor = _knob(
        ClearedFor.PLAYING, "Which of the responses dropped get `cleared`.", "P-414, P-416"
    )
    cleared_response_id: bool = _knob(True, "Whether `cleared` names the response.", "P-416")
    auto_truncated: bool = _knob(
        True,
        "`conversation.item.truncated` by itself, after `cleared`; never for out-of-band items.",
        "P-412, P-421, P-428",
    )
    clear_while_generating: ClearWhileGenerating = _knob(
        ClearWhileGenerating.LATER_AUDIO_PLAYS,
        "What a clear without a cancel means for what is generated afterwards.",
        "P-413",
    )
    clear_idle: ClearIdle = _knob(
        ClearIdle.ERROR,
        "A clear with nothing to drop; the error's code is "
        "`output_audio_buffer_clear_no_active_response`.",
        "P-415",
    )
    vad_clears_oob: bool = _knob(
        True, "Whether a barge-in clears the sound of out-of-band responses.", "P-427"
    )

    # The call and its end
    call_end_close: CallEndClose = _knob(
        CallEndClose.ABRUPT,
        "What sidebands see when a telephone's caller hangs up.",
        "P-451, P-453",
    )
    call_end_close_webrtc: CallEndClose = _knob(
        CallEndClose.CLOSE_1000,
        "What they see when a browser leaves, and of `hangup` and `refer`.",
        "P-452, P-454",
    )
    hangup_gone: HangupGone = _knob(
        HangupGone.HTTP_400, "`hangup` of a call that is over.", "P-344"
    )
    accept_gone: int = _knob(
        404, "HTTP status of `accept` when the caller has gone.", "P-343, P-362"
    )
    refer: Refer = _knob(
        Refer.HTTP_200,
        "`refer`: the call leaves for its target after `refer_latency_ms`; a failure; or nothing, "
        "silently.",
        "P-342, P-345, P-443",
    )
    refer_latency_ms: float = _knob(500.0, "From `refer` to the end of the call here.", "P-443")
    sip_turn_detection_limits: SipTurnDetectionLimits = _knob(
        SipTurnDetectionLimits.REFUSED,
        "`threshold`, `prefix_padding_ms` and `silence_duration_ms` on a telephone call.",
        "P-346",
    )
    nested_update: NestedUpdate = _knob(
        NestedUpdate.MERGED,
        "What a `session.update` on a call does to the parts of `audio.input` it does not name.",
        "P-348",
    )
    call_id_style: CallIdStyle = _knob(
        CallIdStyle.U_SUFFIX, "What call ids look like.", "P-336, P-460, P-461"
    )
    location: bool = _knob(
        True,
        "Whether the answer to an offer has `Location`, and browsers may see it.",
        "P-332, P-464",
    )
    dtmf: Dtmf = _knob(
        Dtmf.EVENT_ONLY,
        "Keys that a caller presses: events only, or also a user item with the keys after `#` or "
        "2.5 s, and a response to it.",
        "P-440, P-441",
    )
