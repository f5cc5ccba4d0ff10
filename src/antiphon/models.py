"""The models that are asked for where nobody names one. Changed here, they change everywhere.

OpenAI switches models off some time after it names their successors (P-479): `gpt-realtime` on
2027-01-20, `gpt-4o-mini-transcribe` and `whisper-1` on 2027-02-26.
"""

__all__ = ["AZURE_TRANSCRIPTION_MODEL", "DEFAULT_MODEL", "DEFAULT_TRANSCRIPTION_MODEL"]

DEFAULT_MODEL = "gpt-realtime-2.1"
"""What speaks."""

DEFAULT_TRANSCRIPTION_MODEL = "gpt-transcribe"
"""What writes down what it hears, for the LiveKit plugin, which asks for one unless told not to."""

AZURE_TRANSCRIPTION_MODEL = "whisper-1"
"""The same on Azure, which switches off on days of its own and has not named a successor."""
