"""Work that the engine does not do itself: hearing, thinking and speaking.

The engine asks for it by an `Ask` effect and goes on; whoever drives the engine does it, and brings
what comes of it to `Engine.answered`, piece by piece. What is asked for and what comes back is
listed here, and nothing else passes.
"""

from dataclasses import dataclass

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.faculties.chat import Chat
from antiphon.emulator.scripts.script import Ending, Output

__all__ = [
    "NO_FACULTIES",
    "Ended",
    "Faculties",
    "Failed",
    "Heard",
    "Opened",
    "Piece",
    "Respond",
    "Result",
    "Transcribe",
    "Words",
    "Work",
]


@dataclass(frozen=True, slots=True)
class Faculties:
    """What can be asked for; what cannot be is made up by the engine itself.

    Args:
        hears: user audio is transcribed; otherwise the script says what was heard.
        speaks: speech is spoken; otherwise it is a tone.
        thinks: answers that no script gives are thought of; otherwise the built-in conversation
            gives them.
    """

    hears: bool = False
    speaks: bool = False
    thinks: bool = False


NO_FACULTIES = Faculties()


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Say what was said in `audio`. Answered by one `Heard` or `Failed`."""

    audio: bytes
    format: AudioFormat


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer, in pieces: `Opened`, then its `Words`, for each item; `Ended` or `Failed` at last.

    Args:
        modality: `audio` or `text`, for what can be either.
        format: of the audio wanted.
        outputs: the items to speak, if they are known.
        chat: what to think about, if they are not.
    """

    modality: str
    format: AudioFormat
    outputs: tuple[Output, ...] = ()
    chat: Chat | None = None


Work = Transcribe | Respond


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said; "" for nothing that could be understood."""

    words: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An item begins, and the one before it is complete. Of `output`, the words count for nothing:
    they follow."""

    output: Output


@dataclass(frozen=True, slots=True)
class Words:
    """More of the item that was opened last.

    Args:
        text: words, or a part of a call's arguments.
        audio: the same spoken, in whole blocks of the format asked for (see `speech.block_ms`);
            None leaves it to the engine's tone.
    """

    text: str
    audio: bytes | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is complete; or not, as `ending` says. None is the script's own."""

    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The work failed; nothing more comes of it."""

    code: str
    message: str
    type: str = "server_error"


Piece = Opened | Words | Ended
Result = Heard | Piece | Failed
