"""A page in the system's headless Chromium, driven by its DevTools protocol.

Own code, since it is this much: the library that would do it brings a second node of 145 MB.
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

__all__ = ["CHROMIUM", "Page", "PageError", "opened"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
# Nothing here takes a page longer; how long a page is watched is the test's own bound.
SECONDS = 120


class PageError(RuntimeError):
    """What the browser, or a script in the page, had to object."""


class Page:
    """One page. Every call waits for the page, at most `SECONDS`."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self._session: dict[str, str] = {}
        self._asked = 0

    async def begin(self) -> None:
        """Make the page, still blank."""
        target = await self._ask("Target.createTarget", url="about:blank")
        attached = await self._ask(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = {"sessionId": attached["sessionId"]}
        await self._ask("Page.enable")

    async def open(self, address: str) -> None:
        """Load this address; return when the page has been loaded whole."""
        await self.run("window.left = true")  # by which what is there now is known
        went = await self._ask("Page.navigate", url=address)
        if "errorText" in went:
            raise PageError(f"{address}: {went['errorText']}")
        await self.until("!window.left && document.readyState === 'complete'")

    async def widen(self, width: int) -> None:
        """Show it so many pixels wide, a narrow page as a telephone does."""
        mobile = width < 600
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": mobile}
        await self._ask("Emulation.setDeviceMetricsOverride", **size)

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is awaited.

        Raises:
            PageError: it threw.
        """
        done = await self._ask(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        if "exceptionDetails" in done:
            raise PageError(json.dumps(done["exceptionDetails"]))
        return done["result"].get("value")

    async def until(self, condition: str) -> None:
        """Return when this expression is true; the page looks every 50 ms, by its own clock."""
        await self.run(
            "new Promise((done) => { const look = () => "
            f"({condition}) ? done(true) : setTimeout(look, 50); look(); }})"
        )

    async def click(self, id_: str) -> None:
        """Click on the element of this id as soon as it can be."""
        element = f"document.getElementById({json.dumps(id_)})"
        await self.until(f"{element} && !{element}.disabled")
        await self.run(f"{element}.click()")

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._asked += 1
        asked = {"id": self._asked, "method": method, "params": params, **self._session}
        await self._wire.send(json.dumps(asked))
        async with asyncio.timeout(SECONDS):
            async for frame in self._wire:
                answer = json.loads(frame)  # or an event, of which none is needed
                if answer.get("id") == self._asked:
                    if "error" in answer:
                        raise PageError(f"{method}: {answer['error']['message']}")
                    result: dict[str, Any] = answer["result"]
                    return result
        raise PageError(f"{method}: the browser has ended")


@asynccontextmanager
async def opened(address: str, folder: Path, flags: Sequence[str] = ()) -> AsyncIterator[Page]:
    """A page at this address, in a browser of its own that keeps its profile in the folder."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, *FLAGS, f"--user-data-dir={folder}", *flags, "about:blank"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    drained: asyncio.Task[bytes] | None = None
    try:
        said = b""
        async with asyncio.timeout(SECONDS):
            while (found := LISTENING.search(said)) is None:
                line = await process.stderr.readline()
                if not line:
                    raise PageError(f"{CHROMIUM} did not start:\n{said.decode(errors='replace')}")
                said += line
        drained = asyncio.create_task(process.stderr.read())
        async with connect(found[1].decode(), max_size=None, proxy=None) as wire:
            page = Page(wire)
            await page.begin()
            await page.open(address)
            yield page
    finally:
        if process.returncode is None:
            process.terminate()
        if drained is not None:
            await drained
        await process.wait()
