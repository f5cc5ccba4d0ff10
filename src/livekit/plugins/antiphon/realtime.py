"""The Realtime model, where the OpenAI plugin has its own.

What the OpenAI plugin has beside it is of another API, and stays the OpenAI plugin's: those names
are found here too where it is installed, so that one changed import breaks no code.
"""

from typing import TYPE_CHECKING, Any

from antiphon.livekit import LiveKitResponse, RealtimeModel, RealtimeSession

if TYPE_CHECKING:
    from livekit.plugins.openai.realtime import (
        GPTLiveDelegation,
        GPTLiveModel,
        GPTLiveSession,
        GPTLiveVoices,
        InferenceRealtimeModel,
        ResponsesDelegationOptions,
    )

__all__ = [
    "GPTLiveDelegation",
    "GPTLiveModel",
    "GPTLiveSession",
    "GPTLiveVoices",
    "InferenceRealtimeModel",
    "LiveKitResponse",
    "RealtimeModel",
    "RealtimeSession",
    "ResponsesDelegationOptions",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        where = f"{name} is livekit-plugins-openai's (another API than Realtime's)"
        try:
            from livekit.plugins.openai import realtime as stock
        except ImportError:
            raise AttributeError(
                f"{where}: install that too, then import it from livekit.plugins.openai.realtime"
            ) from None
        try:
            return getattr(stock, name)
        except AttributeError:
            raise AttributeError(f"{where}, and its installed version has no such name") from None

    def __dir__() -> list[str]:
        return sorted([*globals(), *__all__])
