"""The demonstration as a live picture in the terminal."""

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

import antiphon
from antiphon.cli.demo.claims import Claim
from antiphon.cli.demo.observer import BYTES_PER_S, Line, Observer, Track

__all__ = ["ScreenView"]

_FRAMES_PER_S = 12
_TRACE_LINES = 14  # at most; fewer where the terminal is low
_OTHER_LINES = 13  # of the picture: title, act, responses, frames
_WIDE = 96  # columns from which there is room for the words
_BAR_S = 12  # seconds of audio at which a bar is full
_BAR_WIDTH = 10
_SAYS = 22  # characters of the transcript's end

_STATE = {"active": "bold green", "completed": "green", "cancelled": "yellow"}
_MARK = {"C>": "bold cyan", "S<": "magenta", "=": "bold", "!": "bold red"}
_HELD = {True: ("✓", "bold green"), False: ("✗", "bold red"), None: ("·", "dim")}


class ScreenView:
    """Draws a dozen times a second; the last picture stays, the report follows it.

    Args:
        console: where to draw; default: the terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self._observer: Observer | None = None
        self._title = ""
        self._act = ""
        self._lines: deque[Line] = deque(maxlen=_TRACE_LINES)
        self._live = Live(console=self.console, auto_refresh=False)
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "ScreenView":
        self._live.start()
        self._drawing = asyncio.get_running_loop().create_task(self._draw())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.gather(self._drawing, return_exceptions=True)
        self._live.update(self.picture(), refresh=True)
        self._live.stop()

    def watch(self, observer: Observer) -> None:
        """This is what is shown."""
        self._observer = observer

    def title(self, text: str) -> None:
        """Where it plays."""
        self._title = text

    def announce(self, text: str) -> None:
        """What happens next."""
        self._act = text

    def tell(self, line: Line) -> None:
        """One line of the trace."""
        self._lines.append(line)

    async def _draw(self) -> None:
        while True:
            self._live.update(self.picture(), refresh=True)
            await asyncio.sleep(1 / _FRAMES_PER_S)

    # --- the picture ----------------------------------------------------------------------------

    def picture(self) -> RenderableType:
        """What there is to see at this moment."""
        tracks = self._observer.tracks if self._observer is not None else []
        return Group(
            Text(self._title, style="dim", no_wrap=True, overflow="ellipsis"),
            Text(),
            Text(f"▸ {self._act}", style="bold"),
            Panel(
                self._responses(tracks), title="responses", title_align="left", border_style="dim"
            ),
            Panel(self._wire(), title=self._wire_title(), title_align="left", border_style="dim"),
        )

    def _responses(self, tracks: Sequence[Track]) -> Table:
        table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
        table.add_column("response", width=11, no_wrap=True)
        table.add_column("lane", width=11, no_wrap=True)
        table.add_column("state", width=10, no_wrap=True)
        table.add_column("heard", width=_BAR_WIDTH + 14, no_wrap=True)
        table.add_column("discarded", width=9, justify="right", no_wrap=True)
        wide = self.console.width >= _WIDE
        if wide:
            table.add_column("says", ratio=1, no_wrap=True, overflow="ellipsis")
        for track in tracks:
            state = _state(track)
            table.add_row(
                Text(track.label, style="bold"),
                str(track.handle.lane).replace("_", " "),
                Text(state, style=_STATE.get(state, "")),
                _bar(track),
                f"{track.discarded} B" if track.discarded else "",
                *([Text(_last_words(track.words), style="dim")] if wide else []),
            )
        for _ in range(4 - len(tracks)):
            table.add_row()
        return table

    def _wire(self) -> Group:
        room = min(_TRACE_LINES, max(3, self.console.size.height - _OTHER_LINES))
        drawn = [_trace_line(line) for line in list(self._lines)[-room:]]
        return Group(*drawn, *(Text() for _ in range(room - len(drawn))))

    def _wire_title(self) -> str:
        sent = self._observer.microphone if self._observer is not None else 0
        return f"on the wire (C> sent, S< received; microphone: {sent / BYTES_PER_S:.1f} s sent)"

    # --- the report -----------------------------------------------------------------------------

    def report(
        self,
        observer: Observer,
        receipt: antiphon.Receipt,
        claims: Sequence[Claim],
        files: Sequence[Path],
    ) -> None:
        """What became of everything."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for head in ("receipt", "lane", "outcome", "cancel sent", "id"):
            table.add_column(head, no_wrap=True)
        for entry in receipt.entries:
            outcome = str(entry.outcome.kind)
            table.add_row(
                Text(entry.purpose or "reply", style="bold"),
                str(entry.lane).replace("_", " "),
                Text(outcome, style=_STATE.get(outcome, "")),
                "yes" if entry.cancel_sent else "no",
                Text(entry.response_id or "(none)", style="dim"),
            )
        self.console.print(Rule(style="dim"))
        if receipt.entries:
            self.console.print(table)
            self.console.print()
        for claim in claims:
            mark, style = _HELD[claim.holds]
            self.console.print(
                Text.assemble((mark, style), f" {claim.says}  ", (claim.seen, "dim"))
            )
        if files:
            self.console.print()
            self.console.print(
                Text.assemble("What was heard of each response: ", (str(files[0].parent), "bold"))
            )
            self.console.print(Text("  ".join(path.name for path in files), style="dim"))


def _state(track: Track) -> str:
    outcome = track.handle.outcome
    return str(outcome.kind) if outcome is not None else track.handle.state.replace("_", " ")


def _bar(track: Track) -> Text:
    seconds = len(track.heard) / BYTES_PER_S
    full = min(_BAR_WIDTH, round(seconds / _BAR_S * _BAR_WIDTH))
    colour = "green" if track.handle.outcome is None else "bright_black"
    return Text.assemble(
        ("━" * full, colour),
        " " * (_BAR_WIDTH - full),
        f" {seconds:4.1f} s",
        (f" {len(track.heard) / 1000:3.0f} kB", "dim"),
    )


def _last_words(words: str) -> str:
    """The end of what was said, from the beginning of a word."""
    return words if len(words) <= _SAYS else words[-_SAYS:].partition(" ")[2]


def _trace_line(line: Line) -> Text:
    text = line.text
    for word in text.split():
        if word.startswith("resp_"):
            text = text.replace(word, _short(word))
    important = line.mark == "C>" and "cancel" in text
    return Text.assemble(
        (f"{line.at:7.3f} ", "dim"),
        (f"{line.mark:<2} ", _MARK.get(line.mark, "")),
        (text, "bold" if important else ""),
        overflow="ellipsis",
        no_wrap=True,
    )


def _short(response_id: str | None) -> str:
    """An id, short enough for one line and still told from its neighbours."""
    if response_id is None:
        return "(none)"
    return response_id if len(response_id) <= 16 else f"resp_…{response_id[-6:]}"
