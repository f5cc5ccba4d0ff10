"""The example of a browser call, in a real headless Chromium: it hears the answer, and silence.

Without a Chromium this is skipped, and says so; where `CI` is set it must run.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, say
from tests.helpers.chromium import CHROMIUM, opened
from tests.helpers.command import environment

__all__: list[str] = []

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser_call" / "server.py"
FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    # A peer on the same machine, without asking a network for addresses.
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
)
# Five minutes, generated in a moment: if it falls silent within the test it was made to.
LONG = say("A story that goes on and on for quite a while.", ms=300_000)
LOUD = 0.005
# Twenty looks in a row, at the page's own pace of one in 50 ms.
IN_A_ROW = 20
COUNTS = """
(() => {
  const loud = Number(document.body.dataset.loudest ?? -1) >= %(loud)s;
  const heard = document.body.dataset.loudest !== undefined;
  window.inARow = heard && loud === %(sound)s ? (window.inARow ?? 0) + 1 : 0;
  return window.inARow >= %(times)s;
})()
"""

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="no chromium here: apt-get install chromium"
)


def hears(*, sound: bool) -> str:
    """True when the page has heard sound, or silence, for a while without a break."""
    return COUNTS % {"loud": LOUD, "sound": str(sound).lower(), "times": IN_A_ROW}


@pytest.fixture
async def emulator() -> AsyncIterator[EmulatorServer]:
    behaviour = Behaviour().but(call_media="webrtc", pace=Pace.instant())
    async with EmulatorServer(behaviour, Script([LONG.always()])) as server:
        yield server


@pytest.fixture
async def address(emulator: EmulatorServer) -> AsyncIterator[str]:
    """The example's own server, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLE)),
        env=environment(
            OPENAI_BASE_URL=emulator.http_url, OPENAI_API_KEY="not-a-key", PORT=str(port)
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    first = await process.stdout.readline()
    assert b"Running on" in first, first
    drained = asyncio.create_task(process.stdout.read())
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    await drained
    await process.wait()


@needs_chromium
@pytest.mark.timeout(180)
async def test_a_browser_hears_the_answer_and_silence_after_stop(
    emulator: EmulatorServer, address: str, tmp_path: Path
) -> None:
    assert CHROMIUM is not None, "CI has no chromium: .ci/run installs it"
    async with opened(address, tmp_path, FLAGS) as page:
        await page.click("call")
        await page.click("say")  # which waits until the data channel is open
        await page.until(hears(sound=True))
        (call,) = emulator.calls
        assert call.sidebands == 1
        await page.click("stop")
        await page.until(hears(sound=False))
        # The sound alone was stopped: the call is up, and the next answer is heard.
        await page.click("say")
        await page.until(hears(sound=True))
        await page.click("hang-up")
        await call.over.wait()
    # Both were done long before: what fell silent was the sound alone.
    assert list(call.engine.finished_responses.values()) == ["completed", "completed"]
    assert len(call.engine.received_of("output_audio_buffer.clear")) == 1
