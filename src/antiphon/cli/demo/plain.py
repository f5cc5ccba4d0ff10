"""The demonstration as plain text: the trace as it comes, and a report at the end."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import antiphon
from antiphon.cli.console import nobody_reads
from antiphon.cli.demo.claims import Claim
from antiphon.cli.demo.observer import BYTES_PER_S, Line, Observer, Track

__all__ = ["MARKS", "PlainView", "heard", "table"]

MARKS = {True: "ok", False: "FAILED", None: "-"}


class PlainView:
    """Prints; needs nothing of the terminal, and is fit for logs and pipes."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout

    async def __aenter__(self) -> "PlainView":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def watch(self, observer: Observer) -> None:
        """This is what will be shown. Nothing to do: the trace is told line by line."""

    def title(self, text: str) -> None:
        """Where it plays."""
        self._print(text)

    def announce(self, text: str) -> None:
        """What happens next."""
        self._print(f"\n# {text}")

    def tell(self, line: Line) -> None:
        """One line of the trace."""
        self._print(str(line))

    def report(
        self,
        observer: Observer,
        receipt: antiphon.Receipt,
        claims: Sequence[Claim],
        files: Sequence[Path],
    ) -> None:
        """What became of everything."""
        self._print("\nResponses")
        self._rows(
            ("response", "lane", "state", "heard", "discarded", "id"),
            [
                (
                    track.label,
                    _lane(track),
                    track.state,
                    heard(track),
                    f"{track.discarded} B",
                    _id(track),
                )
                for track in observer.tracks
            ],
        )
        if receipt.entries:
            self._print("\nReceipt of interrupt()")
            self._rows(
                ("response", "lane", "outcome", "cancel sent", "id"),
                [
                    (
                        entry.purpose or "reply",
                        str(entry.lane).replace("_", " "),
                        str(entry.outcome),
                        "yes" if entry.cancel_sent else "no",
                        entry.response_id or "(none)",
                    )
                    for entry in receipt.entries
                ],
            )
        self._print("\nWhat held")
        self._rows(
            ("", "", ""), [(MARKS[claim.holds], claim.says, f"({claim.seen})") for claim in claims]
        )
        if files:
            self._print(f"\nWhat was heard of each response, and the trace: {files[0].parent}")
            for path in files:
                self._print(f"  {path.name}")

    def _rows(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        for line in table(head, rows):
            self._print(f"  {line}")

    def _print(self, text: str) -> None:
        try:
            print(text, file=self._out, flush=True)
        except BrokenPipeError:
            nobody_reads()


def heard(track: Track) -> str:
    """How much of a response reached its reader: seconds and bytes."""
    size = len(track.heard)
    return f"{size / BYTES_PER_S:.1f} s, {size} B"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with aligned columns; a head of empty strings is left out."""
    shown = [head, *rows] if any(head) else list(rows)
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


def _lane(track: Track) -> str:
    return str(track.handle.lane).replace("_", " ")


def _id(track: Track) -> str:
    return track.handle.id or "(none)"
