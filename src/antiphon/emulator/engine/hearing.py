"""What the user said: known from the client, from the script, or by listening."""

from collections.abc import Callable

from antiphon.emulator.audio.formats import AudioFormat
from antiphon.emulator.engine.core import Core
from antiphon.emulator.faculties.work import Failed, Heard, Result, Transcribe
from antiphon.emulator.scripts.script import Misheard
from antiphon.emulator.state.conversation import ConversationItem

__all__ = ["Hearing"]

# How long listening may take; a minute of speech takes about ten seconds.
PATIENCE_S = 60.0

Then = Callable[[str | Misheard], None]


def _nothing(heard: str | Misheard) -> None:
    pass


class Hearing:
    """Finds out what was said in user items."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: list[Callable[[], None]] = []

    def after_next(self, action: Callable[[], None]) -> None:
        """Do something when one more item that is listened to is understood, or is not."""
        self._waiting.append(action)

    def hear(
        self, item: ConversationItem, audio: AudioFormat, then: Then = _nothing, *, known: str = ""
    ) -> None:
        """Set the item's transcript, now or when it is known.

        Args:
            item: with the audio to listen to.
            audio: that audio's format.
            then: called with what was heard, maybe before this returns.
            known: the words, if the client gave them.
        """
        core = self._core
        if not core.desk.faculties.hears:
            heard = core.script.hear()
            self._understood(item, known or heard, then)
        elif known or not item.audio:
            self._understood(item, known, then)
        else:
            item.is_unheard = True
            self._listen(item, Transcribe(item.audio, audio), then)

    def _listen(self, item: ConversationItem, work: Transcribe, then: Then) -> None:
        def on_result(result: Result) -> None:
            overdue.cancel()
            item.is_unheard = False
            self._understood(item, _outcome(result), then)
            waiting, self._waiting = self._waiting, []
            for action in waiting:
                action()

        def give_up() -> None:
            self._core.desk.drop(work_id)
            on_result(Failed("transcription_timeout", "The audio was not transcribed in time."))

        work_id = self._core.desk.ask(work, on_result)
        overdue = self._core.later(PATIENCE_S, give_up)

    @staticmethod
    def _understood(item: ConversationItem, heard: str | Misheard, then: Then) -> None:
        item.transcript = heard if isinstance(heard, str) else ""
        then(heard)


def _outcome(result: Result) -> str | Misheard:
    if isinstance(result, Heard):
        return result.words
    if isinstance(result, Failed):
        return Misheard(result.code, result.message, result.type)
    return Misheard("server_error", "The audio was answered by something else.", "server_error")
