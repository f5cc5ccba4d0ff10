"""The values of the knobs that are a choice; what each knob means is in behaviour.py."""

from enum import StrEnum

__all__ = [
    "ActiveErrorForm",
    "AuthFailure",
    "BadJsonReply",
    "CancelCloseItems",
    "CancelFunctionArgs",
    "CancelNoIdScope",
    "CancelOutputInDone",
    "CancelReply",
    "CancelTarget",
    "CancelUsage",
    "CancelledItems",
    "ConversationCreated",
    "CreateWhenBusy",
    "Dialect",
    "DuplicateItemId",
    "EarlyCancel",
    "ErrorCodePlace",
    "EventIdEcho",
    "EventIdPlace",
    "Expiry",
    "ItemsAnnounced",
    "ItemsDuringResponse",
    "MissingModel",
    "MultiItemDoneOrder",
    "OldDoneVsNewCreated",
    "OutOfBand",
    "PendingCall",
    "RateLimitsUpdated",
    "RepeatReply",
    "ResponseDoneOnFailure",
    "SupersededDone",
    "TranscriptionTiming",
    "TruncateReply",
    "UnknownEventReply",
    "UnknownFieldReply",
    "VadCreateWhenBusy",
    "Voices",
]


class CancelNoIdScope(StrEnum):
    """What a `response.cancel` without `response_id` stops."""

    DEFAULT_CONVERSATION = "default_conversation"
    ONLY_IF_SINGLE = "only_if_single"
    NEXT_RESPONSE = "next_response"
    ANY = "any"


class CancelTarget(StrEnum):
    """Whether `response_id` in a cancel counts at all."""

    BY_ID = "by_id"
    IGNORES_ID = "ignores_id"
    UNSUPPORTED = "unsupported"
    NOTHING = "nothing"


class CancelReply(StrEnum):
    """What a cancel that hits nothing gets."""

    ERROR = "error"
    SILENT = "silent"
    OTHER_CODE = "other_code"


class RepeatReply(StrEnum):
    """What a second cancel of a response gets before that response's `response.done`."""

    SILENT = "silent"
    ERROR = "error"


class EarlyCancel(StrEnum):
    """What a cancel does to a response that is accepted but not created yet."""

    NO_EFFECT = "no_effect"
    CANCELS = "cancels"


class CancelCloseItems(StrEnum):
    """Which `done` events the open items of a cancelled response get."""

    FULL = "full"
    OUTPUT_ITEM_ONLY = "output_item_only"
    NONE = "none"


class CancelOutputInDone(StrEnum):
    """What `response.done.output` holds after a cancel."""

    PARTIAL = "partial"
    EMPTY = "empty"


class CancelUsage(StrEnum):
    """What `response.done.usage` holds after a cancel."""

    PARTIAL = "partial"
    ZEROS = "zeros"
    NULL = "null"


class CancelFunctionArgs(StrEnum):
    """Whether a cut function call gets `function_call_arguments.done` with partial JSON."""

    PARTIAL = "partial"
    NONE = "none"


class OldDoneVsNewCreated(StrEnum):
    """Order of a cancelled response's done and the created of the one that follows it."""

    DONE_FIRST = "done_first"
    CREATED_FIRST = "created_first"


class OutOfBand(StrEnum):
    """Where a response with `conversation: "none"` runs."""

    SEPARATE = "separate"
    SHARED_SLOT = "shared_slot"
    IGNORED = "ignored"


class VadCreateWhenBusy(StrEnum):
    """What becomes of turn detection's own response when the default lane is taken."""

    DROPPED = "dropped"
    ERROR = "error"
    QUEUED = "queued"


class CreateWhenBusy(StrEnum):
    """What becomes of a `response.create` for a lane that is taken."""

    ERROR = "error"
    QUEUE = "queue"
    SUPERSEDE = "supersede"


class SupersededDone(StrEnum):
    """Whether a superseded response still gets its `response.done`."""

    SENT = "sent"
    OMITTED = "omitted"


class ActiveErrorForm(StrEnum):
    """The form of the error for a lane that is taken."""

    WITH_ID = "with_id"
    SHORT = "short"
    CODE_NULL = "code_null"


class EventIdEcho(StrEnum):
    """Which errors name the client event they answer."""

    ALWAYS = "always"
    NEVER = "never"
    PER_CODE = "per_code"


class EventIdPlace(StrEnum):
    """Where the echo stands: in the error object, or (LocalAI) in the event's own id."""

    ERROR = "error"
    OUTER = "outer"


class ErrorCodePlace(StrEnum):
    """Where an error's code stands: in `code`, or (with `code` null) in `type`."""

    CODE = "code"
    TYPE = "type"


class RateLimitsUpdated(StrEnum):
    """When `rate_limits.updated` is sent."""

    AFTER_DONE = "after_done"
    AFTER_CREATED = "after_created"
    NEVER = "never"


class ConversationCreated(StrEnum):
    """Whether `conversation.created` is sent."""

    NEVER = "never"
    AFTER_SESSION_CREATED = "after_session_created"


class MultiItemDoneOrder(StrEnum):
    """When the items of one response are closed."""

    BATCHED = "batched"
    ITEM_BY_ITEM = "item_by_item"


class DuplicateItemId(StrEnum):
    """What a client item with the id of an existing item gets."""

    APPEND = "append"
    IGNORE = "ignore"
    ERROR = "error"


class ResponseDoneOnFailure(StrEnum):
    """Whether a failed response gets `response.done`, or an `error` event instead."""

    ALWAYS = "always"
    NEVER = "never"


class Expiry(StrEnum):
    """How the end of the session's time is told."""

    CLOSE_1001 = "close_1001"
    ERROR_AND_CLOSE = "error_and_close"
    ERROR_ONLY = "error_only"


class AuthFailure(StrEnum):
    """How a missing or a wrong key is refused."""

    HTTP_401_OR_CLOSE_3000 = "http_401_or_close_3000"
    ALWAYS_401 = "always_401"


class BadJsonReply(StrEnum):
    """What a frame gets that is no JSON object."""

    ERROR = "error"
    CLOSE = "close"
    CLOSE_1011 = "close_1011"
    CUT = "cut"


class UnknownEventReply(StrEnum):
    """What an event of unknown type gets."""

    ERROR = "error"
    IGNORE = "ignore"


class UnknownFieldReply(StrEnum):
    """What a field that the schema does not have gets."""

    ERROR = "error"
    IGNORE = "ignore"


class Dialect(StrEnum):
    """Names and shapes on the wire."""

    GA = "ga"
    BETA = "beta"
    AZURE_GA = "azure_ga"
    VOICE_LIVE = "voice_live"
    XAI = "xai"


class TruncateReply(StrEnum):
    """What `conversation.item.truncate` gets."""

    ACKNOWLEDGED = "acknowledged"
    SILENT = "silent"
    UNSUPPORTED = "unsupported"


class ItemsAnnounced(StrEnum):
    """By which `conversation.item.*` events items become known."""

    ADDED = "added"
    CREATED = "created"
    HALVES = "halves"


class ItemsDuringResponse(StrEnum):
    """When an item that a client creates during a default response is added."""

    AT_ONCE = "at_once"
    AFTER_DONE = "after_done"


class CancelledItems(StrEnum):
    """Whether the items of a cancelled response stay in the conversation."""

    KEPT = "kept"
    REMOVED = "removed"


class PendingCall(StrEnum):
    """What a `response.create` gets while a function call has no output."""

    ACCEPTED = "accepted"
    ERROR = "error"


class TranscriptionTiming(StrEnum):
    """When the transcription of the user's audio arrives."""

    AFTER_ITEM = "after_item"
    BEFORE_ITEM = "before_item"
    AFTER_RESPONSE = "after_response"


class MissingModel(StrEnum):
    """What a connection without `?model=` gets."""

    ACCEPT = "accept"
    CLOSE_4000 = "close_4000"


class Voices(StrEnum):
    """Which voices a session may have."""

    OPENAI = "openai"
    ANY = "any"
