"""When it happened: the times of one response, for figures of latency."""

import msgspec

__all__ = ["ResponseTimes"]


class ResponseTimes(msgspec.Struct, frozen=True, kw_only=True):
    """When what happened to a response: seconds on the clock of the session's event loop.

    That is `asyncio.get_running_loop().time()`: it never goes back, and its zero means nothing, so
    only differences say something (with uvloop in whole milliseconds). What came from the server is
    stamped when its event was read, what went there when it was given to the socket. None: it has
    not happened, never will, or was not seen from here. As things stood when it was asked for; ask
    again for what came later.

    Each is not earlier than the one before it, with three exceptions: `first_heard` and
    `cancel_sent` have no fixed place (a player plays on when all is settled, and any moment may be
    interrupted), and a response that was given up may be announced, and so cancelled, after it was
    settled.

    Attributes:
        asked: `create_response` was called; None where the server made it of its own accord.
        sent: the create went out: the one that counted, where one was refused as busy before. Later
            than `asked` where it waited for its turn, or for a connection.
        created: the server announced it, or, where it never does, the first that came of it. None
            where it was met in the middle, as on a call that was joined late, or again.
        first_text: the first words reached `text_stream`: of the text, or of the transcript, which
            runs ahead of the sound.
        first_audio: the first audio reached `audio`. It arrived; when it is heard is another
            matter. None on a call, whose audio never comes here (P-378).
        first_heard: the first of it was heard, where anybody can know: a player of `antiphon.audio`
            gave it to the device, or the call said that it plays (P-400).
        cancel_sent: `response.cancel` went out. Asked for before the server had announced the
            response, it goes with the announcement.
        settled: how it ended is known: by the server's word, a deadline, or the loss of the line.
    """

    asked: float | None = None
    sent: float | None = None
    created: float | None = None
    first_text: float | None = None
    first_audio: float | None = None
    first_heard: float | None = None
    cancel_sent: float | None = None
    settled: float | None = None

    @property
    def waited(self) -> float | None:
        """Seconds from `asked` until it was sent: for its turn, or for a connection."""
        return _between(self.asked, self.sent)

    @property
    def to_first_text(self) -> float | None:
        """Seconds from `asked` to the first words; None for what the server made by itself."""
        return _between(self.asked, self.first_text)

    @property
    def to_first_audio(self) -> float | None:
        """Seconds from `asked` to the first audio; None for what the server made by itself."""
        return _between(self.asked, self.first_audio)

    @property
    def cancel_took(self) -> float | None:
        """Seconds from the cancel on the wire until what became of it was known."""
        return _between(self.cancel_sent, self.settled)


def _between(start: float | None, end: float | None) -> float | None:
    return end - start if start is not None and end is not None else None
