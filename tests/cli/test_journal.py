"""What `antiphon serve` tells of sessions, responses, cancels, errors and closes."""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import antiphon
from antiphon.cli.journal import Journal
from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, fail, say, text

__all__: list[str] = []

SECONDS = 20


@asynccontextmanager
async def told(
    *steps: Any, frames: bool = False
) -> AsyncIterator[tuple[antiphon.Session, io.StringIO]]:
    """A session with a server that keeps a journal, and the journal; whole once it is left."""
    out = io.StringIO()
    journal = Journal(frames=frames, out=out, clock=lambda: 0.0)
    behaviour = Behaviour(pace=Pace.real_time())
    async with (
        EmulatorServer(behaviour, Script(steps), watch=journal) as server,
        asyncio.timeout(SECONDS),
    ):
        async with antiphon.connect(url=server.url) as session:
            yield session, out
        await server.wait_idle()


def lines(out: io.StringIO) -> list[str]:
    """Without the time of day, and with names in place of ids."""
    text_ = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", out.getvalue())
    names: dict[str, str] = {}
    for found in re.findall(r"(?:resp|sess)_\w+", text_):
        kind = found[:4]
        names.setdefault(found, f"{kind}{sum(one.startswith(kind) for one in names.values()) + 1}")
    for found, name in names.items():
        text_ = text_.replace(found, name)
    return text_.splitlines()


async def test_an_interruption_is_told_line_by_line() -> None:
    async with told(say("One, two.", ms=60_000), text("yes")) as (session, out):
        reply = session.create_response()
        await anext(aiter(reply.audio))
        verdict = session.create_response(conversation="none", output_modalities=["text"])
        assert await verdict.text() == "yes"
        await session.interrupt()
    model = session.config["model"]
    assert lines(out) == [
        "#1 connected",
        f"#1 session sess1, model {model}",
        "#1 resp1 created, default",
        "#1 resp2 created, out of band",
        "#1 resp2 completed after 0.00 s",
        "#1 cancel resp1",
        "#1 resp1 cancelled (client_cancelled) after 0.00 s",
        "#1 gone after 0.0 s",
    ]


async def test_a_bare_cancel_and_an_error_are_told() -> None:
    async with told() as (session, out):
        refused = asyncio.Event()
        session.on("error", lambda _: refused.set())
        session.send_raw({"type": "response.cancel"})
        await refused.wait()
    assert lines(out)[2] == "#1 cancel without an id"
    assert lines(out)[3].startswith("#1 error response_cancel_not_active: ")


async def test_why_a_response_failed_is_told() -> None:
    async with told(fail("brain_unreachable", "The model cannot be reached.")) as (session, out):
        with pytest.raises(antiphon.ResponseFailed):
            await session.create_response().text()
    assert (
        "#1 resp1 failed (brain_unreachable: The model cannot be reached.) after 0.00 s"
        in lines(out)
    )


async def test_frames_show_words_and_only_the_size_of_audio() -> None:
    async with told(say("Hello.", ms=100), frames=True) as (session, out):
        session.append_audio(b"\1\0" * 480)
        assert await session.create_response().text() == "Hello."
    came = out.getvalue()
    assert '{"audio": "<960 bytes of audio>"}' in came
    assert re.search(r"response.output_audio.delta .*<\d+ bytes of audio>", came)
    assert '"Hello' in came
    assert "AQABAA" not in came


@pytest.mark.parametrize("frame", [b"{", b"[" * 100_000, b"[]", b"\xff"])
def test_what_is_no_event_is_told_and_nothing_breaks(frame: bytes) -> None:
    out = io.StringIO()
    engine: Any = object()
    Journal(frames=True, out=out)(engine, "client", frame)
    assert "#1 C> no " in out.getvalue()
