"""Draw docs/images/demo.svg: the terminal in the middle of a real run of `antiphon demo`.

python tools/demo_picture.py docs/images/demo.svg
"""

import asyncio
import io
import sys
import tempfile
from pathlib import Path

from rich.console import Console, RenderableType

from antiphon.cli.demo import perform
from antiphon.cli.demo.observer import BYTES_PER_S
from antiphon.cli.demo.screen import ScreenView

__all__ = ["main"]

WIDTH, HEIGHT = 100, 40
# rich's own template, without the font that it would fetch from elsewhere.
TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Photographer(ScreenView):
    """Keeps the picture of the moment when the next reply is well under way."""

    def __init__(self) -> None:
        super().__init__(
            Console(file=io.StringIO(), force_terminal=True, width=WIDTH, height=HEIGHT)
        )
        self.taken: str | None = None

    def picture(self) -> RenderableType:
        whole = super().picture()
        tracks = self._observer.tracks if self._observer is not None else []
        if self.taken is None and len(tracks) == 4 and len(tracks[3].heard) > BYTES_PER_S:
            console = Console(
                record=True,
                file=io.StringIO(),
                force_terminal=True,
                width=WIDTH,
                height=HEIGHT,
                highlight=False,
            )
            console.print(whole)
            self.taken = console.export_svg(
                title="antiphon demo", code_format=TEMPLATE, unique_id="antiphon"
            )
        return whole


def main(target: Path) -> None:
    photographer = Photographer()
    with tempfile.TemporaryDirectory() as folder:
        status = asyncio.run(perform(photographer, Path(folder)))
    assert status == 0 and photographer.taken is not None, "the run did not do what it claims"
    # Trailing blanks would trouble editors and reviewers, and mean nothing here.
    lines = [line.rstrip() for line in photographer.taken.splitlines()]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
