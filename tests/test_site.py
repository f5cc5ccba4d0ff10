"""The site is built without a warning, its links lead somewhere, and nothing public is missing."""

import importlib
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.helpers.chromium import CHROMIUM, opened

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
SECONDS = 300

pytestmark = pytest.mark.timeout(SECONDS)


class Page(HTMLParser):
    """What a page links to, and what may be linked to on it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if name := given.get("id"):
            self.anchors.add(name)
        if tag == "a" and (href := given.get("href")):
            self.links.append(href)
        if tag == "img" and (source := given.get("src")):
            self.links.append(source)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [*(sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q"),
         *("-d", str(folder / "state"), str(ROOT / "docs"), str(folder / "html"))],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html")}


def test_every_link_within_the_site_leads_somewhere(pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                dead.append(f"{path.name}: {link}")
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].anchors:
                    dead.append(f"{path.name}: {link}")
    assert dead == []
    assert sum(len(page.links) for page in pages.values()) > 1000


def test_a_fact_is_a_link_wherever_it_is_named(site: Path, pages: dict[Path, Page]) -> None:
    for name in ("reference/session.html", "livekit.html"):
        page = pages[site / name]
        assert [one for one in page.links if "protocol.html#P-" in one]


@pytest.mark.parametrize(
    ("package", "page"),
    [
        ("antiphon", "session responses errors"),
        ("antiphon.audio", "audio"),
        ("antiphon.emulator", "emulator"),
    ],
)
def test_the_reference_has_every_public_name(
    pages: dict[Path, Page], package: str, page: str
) -> None:
    described = {
        anchor.rpartition(".")[2]
        for path, one in pages.items()
        if path.parent.name == "reference" and path.stem in page.split()
        for anchor in one.anchors
    }
    assert set(importlib.import_module(package).__all__) - described == set()


WIDTHS = (390, 1020, 1280, 1340, 1600)
# What is wider than the screen and does not scroll by itself, and pictures that do not come.
WRONG = """
(() => {
  const root = document.documentElement;
  const broken = [...document.images].filter((one) => !one.complete || !one.naturalWidth);
  const wide = root.scrollWidth > root.clientWidth ? [`${root.scrollWidth} wide`] : [];
  return JSON.stringify([...wide, ...broken.map((one) => one.getAttribute("src"))]);
})()
"""


@pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no chromium here: apt-get install chromium"
)
async def test_no_page_is_wider_than_the_screen(
    site: Path, pages: dict[Path, Page], tmp_path: Path
) -> None:
    wrong = []
    async with opened((site / "index.html").as_uri(), tmp_path) as page:
        for path in sorted(pages):
            await page.open(path.as_uri())
            for width in WIDTHS:
                await page.widen(width)
                found = json.loads(await page.run(WRONG))
                wrong += [f"{path.name} at {width}: {one}" for one in found]
    assert wrong == []
