"""The values of the knobs of calls that are a choice; what each knob means is in calls.py."""

from enum import StrEnum

__all__ = [
    "CallEndClose",
    "CallIdStyle",
    "CallMedia",
    "ClearIdle",
    "ClearScope",
    "ClearWhileGenerating",
    "ClearedFor",
    "Dtmf",
    "EventAudience",
    "HangupGone",
    "NestedUpdate",
    "OutputStarted",
    "PlaybackOrder",
    "Refer",
    "SidebandAppend",
    "SidebandModelToo",
    "SidebandOverflow",
    "SidebandUnknownCall",
    "SipTurnDetectionLimits",
]


class CallMedia(StrEnum):
    """What plays the sound of a call."""

    VIRTUAL = "virtual"
    NONE = "none"
    WEBRTC = "webrtc"


class SidebandUnknownCall(StrEnum):
    """How a sideband to an unknown or ended call is refused."""

    HTTP_404_JSON = "http_404_json"
    HTTP_404_EMPTY = "http_404_empty"


class SidebandOverflow(StrEnum):
    """What happens to one sideband more than are allowed."""

    HTTP_409 = "http_409"
    REPLACE_OLDEST = "replace_oldest"


class SidebandModelToo(StrEnum):
    """What a sideband gets that names a model beside the call."""

    ACCEPT = "accept"
    HTTP_400 = "http_400"


class SidebandAppend(StrEnum):
    """What becomes of audio that is appended over a sideband."""

    ERROR = "error"
    ACCEPT = "accept"
    IGNORE = "ignore"


class EventAudience(StrEnum):
    """Who gets what one controller's event causes."""

    STATE_TO_ALL = "state_to_all"
    ALL_TO_ALL = "all_to_all"
    OWN_ONLY = "own_only"


class OutputStarted(StrEnum):
    """When a response's sound begins, and `output_audio_buffer.started` with it."""

    FIRST_AUDIO = "first_audio"
    AFTER_TRANSCRIPT = "after_transcript"
    AFTER_DONE = "after_done"


class PlaybackOrder(StrEnum):
    """What becomes of a response's sound while another one's plays."""

    QUEUE = "queue"
    LOST = "lost"
    OVERLAP = "overlap"


class ClearScope(StrEnum):
    """What a clear drops."""

    ALL = "all"
    PLAYING_ONLY = "playing_only"


class ClearedFor(StrEnum):
    """Which of the responses that a clear dropped get `output_audio_buffer.cleared`."""

    PLAYING = "playing"
    EACH = "each"
    NONE = "none"


class ClearWhileGenerating(StrEnum):
    """What a clear without a cancel means for what is generated afterwards."""

    LATER_AUDIO_PLAYS = "later_audio_plays"
    LATER_AUDIO_DROPPED = "later_audio_dropped"
    CANCELS = "cancels"


class ClearIdle(StrEnum):
    """What a clear gets when there is nothing to drop."""

    ERROR = "error"
    SILENT = "silent"
    CLEARED = "cleared"


class CallEndClose(StrEnum):
    """What sidebands see of the end of their call."""

    ABRUPT = "abrupt"
    CLOSE_1000 = "close_1000"
    CLOSE_1001 = "close_1001"
    STAYS_OPEN = "stays_open"


class HangupGone(StrEnum):
    """What `hangup` of a call that is over gets."""

    HTTP_400 = "http_400"
    HTTP_404 = "http_404"
    HTTP_200 = "http_200"


class Refer(StrEnum):
    """What `refer` gets; with `http_200_nothing` the call goes on as if nothing had been asked."""

    HTTP_200 = "http_200"
    HTTP_500 = "http_500"
    HTTP_200_NOTHING = "http_200_nothing"


class SipTurnDetectionLimits(StrEnum):
    """Whether a telephone call takes the numbers of `server_vad`."""

    REFUSED = "refused"
    TAKEN = "taken"


class NestedUpdate(StrEnum):
    """What a `session.update` does to the parts of `audio.input` that it does not name."""

    MERGED = "merged"
    REPLACED = "replaced"


class CallIdStyle(StrEnum):
    """What call ids look like."""

    U_SUFFIX = "u_suffix"
    HEX = "hex"
    UUID = "uuid"


class Dtmf(StrEnum):
    """What is made of keys that a caller presses."""

    EVENT_ONLY = "event_only"
    AS_TEXT = "as_text"
