"""The walks of docs/architecture.md are walked: a debugger set on each step would stop, in order.

A walk is a numbered list under a heading "The walk of …", whose steps name a place as
`file`: `Name`. Each is played here with a profiler that notes the functions which are entered.
"""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

import antiphon
from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, say

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "antiphon"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PLACE = re.compile(r"`([\w/]+/\w+\.py)`:\s+`([\w.]+)`")
WALK = re.compile(r"^#+ (The walk of [^\n]+)\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
SECONDS = 30

Place = tuple[str, str]


def walks() -> dict[str, list[Place]]:
    """The places of each walk, in the order of the page."""
    return {heading: PLACE.findall(text) for heading, text in WALK.findall(PAGE)}


@contextmanager
def noting(entered: list[Place]) -> Iterator[None]:
    """Note each function of the package that is entered."""
    known: dict[CodeType, Place | None] = {}

    def profile(frame: FrameType, event: str, arg: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in known:
            path = Path(code.co_filename)
            inside = path.is_relative_to(PACKAGE)
            known[code] = (
                (path.relative_to(PACKAGE).as_posix(), code.co_qualname) if inside else None
            )
        place = known[code]
        if place is not None:
            entered.append(place)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)


def missing(walk: list[Place], entered: list[Place]) -> Place | None:
    """The first step that was not entered after the one before it; None if all were."""
    at = 0
    for step in walk:
        try:
            at = entered.index(step, at) + 1
        except ValueError:
            return step
    return None


async def a_delta(session: antiphon.Session) -> None:
    reply = session.create_response()
    await anext(aiter(reply.audio))


async def an_interruption(session: antiphon.Session) -> None:
    await session.interrupt()


async def a_held_create(session: antiphon.Session) -> None:
    first = session.create_response()
    second = session.create_response()
    _ = first.cancel()
    await second.created


async def a_cancel(session: antiphon.Session) -> None:
    await session.interrupt()


PLAYS: dict[str, Callable[[antiphon.Session], Awaitable[None]]] = {
    "The walk of a delta": a_delta,
    "The walk of an interruption": an_interruption,
    "The walk of a held create": a_held_create,
    "The walk of a cancel in the emulator": a_cancel,
}


@pytest.mark.parametrize("heading", PLAYS)
async def test_a_debugger_would_stop_at_each_step(heading: str) -> None:
    walk = walks()[heading]
    assert len(walk) >= 5
    entered: list[Place] = []
    script = Script([say("One, two, three.", ms=60_000).always()])
    async with (
        asyncio.timeout(SECONDS),
        EmulatorServer(Behaviour(pace=Pace.real_time()), script) as server,
        antiphon.connect(url=server.url) as session,
    ):
        if PLAYS[heading] in (an_interruption, a_cancel):
            await a_delta(session)
        with noting(entered):
            await PLAYS[heading](session)
    assert missing(walk, entered) is None


def test_every_walk_of_the_page_is_played() -> None:
    assert list(walks()) == list(PLAYS)


def test_a_step_that_is_never_reached_is_seen() -> None:
    entered = [("a.py", "f"), ("b.py", "g")]
    assert missing([("a.py", "f"), ("b.py", "g")], entered) is None
    assert missing([("b.py", "g"), ("a.py", "f")], entered) == ("a.py", "f")
    assert missing([("a.py", "f"), ("a.py", "f")], entered) == ("a.py", "f")
