"""The LiveKit Agents plugin: `AgentSession(llm=antiphon.livekit.RealtimeModel(...))`.

Also as `from livekit.plugins import antiphon`, then `antiphon.realtime.RealtimeModel(...)`.
"""

from antiphon.livekit.audio import LiveKitResponse
from antiphon.livekit.model import RealtimeModel
from antiphon.livekit.session import RealtimeSession

__all__ = ["LiveKitResponse", "RealtimeModel", "RealtimeSession"]
