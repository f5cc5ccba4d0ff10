"""What the documents point to is there: files, functions, links."""

import importlib
import re
from functools import reduce
from pathlib import Path

import pytest

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "antiphon"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()

LINK = re.compile(r"\]\(([^)#\s]+)[^)\s]*\)")
FILE = re.compile(r"`([\w/]+/\w+\.py)`")
FRAGMENT = re.compile(r"(\+[\w-]+|\d+)\.(added|changed|fixed|removed)\.md")
# `client/link.py`: `Link.frame_received`
PLACE = re.compile(r"`([\w/]+/\w+\.py)`:\s+`([\w.]+)`")


def resolved(path: str, name: str) -> object:
    """The function or class of this name in a module of the package."""
    module = importlib.import_module(f"antiphon.{path.removesuffix('.py').replace('/', '.')}")
    return reduce(getattr, name.split("."), module)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [one for one in LINK.findall(page.read_text()) if "://" not in one]
    assert [one for one in targets if not (page.parent / one).exists()] == []


def test_files_named_in_the_architecture_exist() -> None:
    named = set(FILE.findall(ARCHITECTURE))
    assert len(named) > 20
    missing = [p for p in named if not ((PACKAGE / p).is_file() or (ROOT / p).is_file())]
    assert missing == []


@pytest.mark.parametrize(("path", "name"), PLACE.findall(ARCHITECTURE))
def test_places_on_the_walk_exist(path: str, name: str) -> None:
    assert callable(resolved(path, name))


def test_fragments_of_the_changelog_are_named_as_towncrier_reads_them() -> None:
    # Without the "+" the first word would be printed as the number of an issue.
    names = [one.name for one in (ROOT / "changelog.d").glob("*.md") if one.name != "README.md"]
    assert [one for one in names if not FRAGMENT.fullmatch(one)] == []


def test_the_walk_is_found() -> None:
    assert ("client/picows_socket.py", "_Listener.on_ws_frame") in PLACE.findall(ARCHITECTURE)
    assert len(PLACE.findall(ARCHITECTURE)) >= 12
    with pytest.raises(AttributeError):
        resolved("client/link.py", "Link.no_such_thing")
