"""The bridge of a page and a session: what the page hears, what stays in the conversation."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from antiphon.emulator import Behaviour, EmulatorServer, Script, say
from antiphon.emulator.audio import speech
from tests.helpers.command import environment

__all__: list[str] = []

BRIDGE = Path(__file__).parent.parent.parent / "examples" / "browser_bridge" / "server.py"
SECONDS = 40
SILENCE = bytes(48 * 900)  # 900 ms: longer than the pause that ends a turn


@asynccontextmanager
async def bridge(server: EmulatorServer) -> AsyncIterator[str]:
    """The example as its reader starts it; gives the address of its page."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(BRIDGE)),
        env=environment(OPENAI_BASE_URL=server.http_url, OPENAI_API_KEY="not-a-key", PORT="0"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        said = ""
        while (found := re.search(r"running on (http://\S+)", said)) is None:
            line = await process.stderr.readline()
            assert line, said
            said += line.decode()
        yield found[1]
    finally:
        process.terminate()
        await process.communicate()


class Page:
    """Stands in for the page: counts what it is sent, and answers as the page does."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.sound: dict[int, bytes] = {}
        self.told: list[dict[str, Any]] = []

    async def until(self, *, told: str = "", sound_of: int | None = None) -> None:
        """Take what comes until something is told, or sound of this reply has come."""
        while True:
            message = await self.socket.recv()
            if isinstance(message, bytes):
                reply = max(self.sound)
                self.sound[reply] += message
                if reply == sound_of:
                    return
                continue
            said = json.loads(message)
            self.told.append(said)
            if "reply" in said:
                self.sound.setdefault(said["reply"], b"")
            if told in said:
                return


@asynccontextmanager
async def page(*steps: Any) -> AsyncIterator[tuple[Page, EmulatorServer]]:
    async with (
        asyncio.timeout(SECONDS),
        EmulatorServer(Behaviour(), Script(steps)) as server,
        bridge(server) as address,
        connect(f"{address.replace('http', 'ws')}/talk", max_size=None) as socket,
    ):
        yield Page(socket), server


async def test_a_spoken_turn_is_answered_whole() -> None:
    async with page(say("On Tuesday.", ms=800)) as (caller, _):
        await caller.socket.send(speech.user_voice(700) + SILENCE)
        await caller.until(told="ended")
    assert len(caller.sound[0]) == 800 * 48
    assert caller.told[-1] == {"reply": 0, "ended": "completed"}


async def test_a_caller_who_speaks_silences_the_reply_and_what_was_heard_stays() -> None:
    async with page(say("It comes on Tuesday.", ms=60_000), say("Yes?", ms=300)) as (
        caller,
        server,
    ):
        await caller.socket.send(speech.user_voice(700) + SILENCE)
        await caller.until(sound_of=0)
        await caller.socket.send(speech.user_voice(700))
        await caller.until(told="stop")
        heard_ms = len(caller.sound[0]) // 48 - 20
        await caller.socket.send(json.dumps({"heard": [[0, heard_ms]]}))
        await caller.socket.send(SILENCE)
        after_stop = len(caller.sound[0])
        await caller.until(sound_of=1)
        assert len(caller.sound[0]) == after_stop, "sound of a reply that was interrupted"
        (session,) = server.sessions
        frames = [one for one in session.received if isinstance(one, dict)]
        sent = [one for one in frames if one["type"] == "conversation.item.truncate"]
        (truncate,) = sent
        assert truncate["audio_end_ms"] == heard_ms


async def test_a_page_that_talks_nonsense_harms_nothing() -> None:
    async with page(say("On Tuesday.", ms=800)) as (caller, _):
        for nonsense in (
            "",
            "{",
            "[]",
            '{"heard": 1}',
            '{"heard": [[7, 100]]}',
            '{"heard": [[0, -1]]}',
        ):
            await caller.socket.send(nonsense)
        await caller.socket.send(b"1")  # half a sample
        await caller.socket.send(speech.user_voice(700) + SILENCE)
        await caller.until(told="ended")
    assert caller.told[-1] == {"reply": 0, "ended": "completed"}
