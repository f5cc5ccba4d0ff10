"""Sound for a program of your own: a player, a microphone, and what they play to and listen to.

    async with (
        antiphon.connect() as session,
        Player(session, SoundCardSpeaker()),
        Microphone(session, SoundCardMicrophone()),
    ):
        await session.closed

The player knows to the millisecond what was heard. When the user begins to speak, or `interrupt()`
is called, it falls silent at once, and the conversation is cut at what was heard. All sound is
PCM16 little-endian, mono.
"""

from typing import TYPE_CHECKING

from antiphon.lazy import lazily

if TYPE_CHECKING:
    from antiphon.audio.device import SoundCardMicrophone, SoundCardSpeaker
    from antiphon.audio.microphone import Microphone, Source, WavSource
    from antiphon.audio.player import Player
    from antiphon.audio.sinks import CallbackSink, Sink, WavSink, WriterSink

__all__ = [
    "CallbackSink",
    "Microphone",
    "Player",
    "Sink",
    "SoundCardMicrophone",
    "SoundCardSpeaker",
    "Source",
    "WavSink",
    "WavSource",
    "WriterSink",
]

# As above; loaded when first used.
_HOMES = {
    "device": "SoundCardMicrophone SoundCardSpeaker",
    "microphone": "Microphone Source WavSource",
    "player": "Player",
    "sinks": "CallbackSink Sink WavSink WriterSink",
}

__getattr__ = lazily(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
