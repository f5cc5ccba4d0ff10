"""antiphon taken apart: the stages of an interruption, and its transport without the session."""

import statistics
import time
from typing import Any

import antiphon_session
import bare
import common

_NAMES = ("core_us", "frames_us", "write_us", "streams_us")


def load() -> None:
    antiphon_session.load()
    bare.load()


async def connect(url: str, sink: common.Sink) -> Any:
    return Session((await antiphon_session.connect(url, sink)).session)


class Session:
    """Where the time of `interrupt()` goes: marks are set where one stage ends."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self._marks: list[int] = []
        self._taken: list[list[int]] = []
        for part, name in ((session._shell, "_carry_out"), (session._outbox, "flush")):
            kind = type(part)  # the parts have slots; and there is one session in this process
            setattr(kind, name, self._marked(getattr(kind, name)))

    def _marked(self, stage: Any) -> Any:
        def run(*args: Any) -> None:
            self._marks.append(time.perf_counter_ns())
            stage(*args)
            self._marks.append(time.perf_counter_ns())

        return run

    def push(self, pcm: bytes) -> None:
        self.session._lifeline.link.transport.send_text(bare.append(pcm))

    def interrupt(self, ids: list[str]) -> None:
        self._marks.clear()
        begin = time.perf_counter_ns()
        self.session.interrupt()
        if len(self._marks) == 4:  # around the cancels: the write of all of them
            core, begun, written, over = self._marks
            self._taken.append([core - begin, begun - core, written - begun, over - written])

    @property
    def stages(self) -> dict[str, float]:
        """The medians, in µs."""
        columns = zip(_NAMES, zip(*self._taken, strict=True), strict=False)
        return {name: statistics.median(column) / 1000 for name, column in columns}


if __name__ == "__main__":
    common.main(load, connect)
