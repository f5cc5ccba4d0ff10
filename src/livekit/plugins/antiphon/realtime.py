"""The Realtime model, where the OpenAI plugin has its own."""

from antiphon.livekit import LiveKitResponse, RealtimeModel, RealtimeSession

__all__ = ["LiveKitResponse", "RealtimeModel", "RealtimeSession"]
