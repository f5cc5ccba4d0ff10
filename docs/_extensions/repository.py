"""README.md is the first page, and links to files that are no pages lead to the repository.

The pages are read on the repository's own site, too, where `../examples/hello.py` is a link; here
there is no such page, so it leads to the file at the address that pyproject.toml names.
"""

import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

__all__ = ["setup", "with_addresses"]

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"(!?\[[^\]]*\])\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")


def _address() -> str:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    return f"{urls['Repository']}/blob/main"


def with_addresses(text: str, here: Path, page: Path) -> str:
    """The text with its links as they have to be on a page of the site.

    Args:
        text: Markdown.
        here: the folder that its links count from.
        page: the folder of the page on which they will stand.
    """

    def link(match: re.Match[str]) -> str:
        says, target, anchor = match[1], match[2], match[3] or ""
        path = (here / target).resolve()
        if not path.is_relative_to(ROOT):
            return match[0]
        is_page = path.is_relative_to(DOCS) and path.suffix in (".md", ".svg", ".png")
        if is_page and path.name != "template.md":
            return f"{says}({_relative(path, page)}{anchor})"
        return f"{says}({_address()}/{path.relative_to(ROOT).as_posix()})"

    return LINK.sub(link, text)


def _relative(path: Path, page: Path) -> str:
    up = 0
    while not path.is_relative_to(page):
        page, up = page.parent, up + 1
    return "../" * up + path.relative_to(page).as_posix()


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = (DOCS / docname).parent
    text = with_addresses(source[0], page, page)
    if docname == "index":
        text = with_addresses((ROOT / "README.md").read_text(), ROOT, page) + "\n" + text
    source[0] = text


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True}
