"""The probe and the emulator on virtual time, near each other or far apart."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from antiphon.bench.probe import ALL, Experiment, Plan, probe
from antiphon.bench.probe.dialling import Dial, Ear, Wire
from antiphon.bench.probe.posting import Answer, Post, Request
from antiphon.bench.probe.run import shown
from antiphon.bench.report import Report, Setting
from antiphon.cli.demo.files import spoken_sentence
from antiphon.emulator import Behaviour, MemoryConnector, Script, run_virtual
from antiphon.emulator.engine.engine import DEFAULT_EPOCH
from antiphon.emulator.running.rest import HttpRequest
from tests.bench.probe.browser import browsers

__all__ = ["URL", "Far", "in_memory", "probed", "settings", "shown_as"]

URL = "ws://127.0.0.1/v1/realtime"


class Far:
    """A network in between: each frame takes `delay_s` give or take `jitter_s`, in order.

    Args:
        dial: what it leads to.
        delay_s, jitter_s: seconds, one way.
        seed: the delays follow from it.
    """

    def __init__(self, dial: Dial, delay_s: float, jitter_s: float, seed: int = 0) -> None:
        self._dial = dial
        self._delays = (delay_s - jitter_s, delay_s + jitter_s)
        self._random = random.Random(seed)

    async def __call__(self, url: str, headers: Mapping[str, str], ear: Ear) -> Wire:
        down, up = self._lane(), self._lane()

        class Near:
            def frame_received(self, data: bytes, is_text: bool) -> None:
                down(lambda: ear.frame_received(data, is_text))

            def connection_lost(self, code: int | None, reason: str) -> None:
                down(lambda: ear.connection_lost(code, reason))

        wire = await self._dial(url, headers, Near())

        class Away:
            def send_text(self, *messages: bytes) -> None:
                up(lambda: wire.send_text(*messages))

            def close(self, code: int = 1000, reason: str = "") -> None:
                up(lambda: wire.close(code, reason))

        return Away()

    def _lane(self) -> Callable[[Callable[[], None]], None]:
        loop = asyncio.get_running_loop()
        last = 0.0

        def put(deliver: Callable[[], None]) -> None:
            nonlocal last
            # A later frame does not overtake; timers of the same moment would have no order.
            last = max(last + 1e-6, loop.time() + self._random.uniform(*self._delays))
            loop.call_at(last, deliver)

        return put


def probed(
    behaviour: Behaviour | None = None,
    *,
    script: Script | None = None,
    api_key: str | None = None,
    far: tuple[float, float, int] | None = None,
    dial: Dial | None = None,
    experiments: "tuple[Experiment, ...]" = ALL,
    url: str = URL,
    calls: bool = False,
    media: str = "",
    **options: object,
) -> Report:
    """The report on an emulator, or on what `dial` leads to.

    Args:
        behaviour: of the emulator.
        script: what it answers.
        api_key: the only one it lets in, which the probe has.
        far: delay and jitter in seconds one way, and a seed.
        dial: another server.
        experiments: which.
        url: the address.
        calls: make calls, too.
        media: who holds theirs: "" nobody, "browser", or "only browser" where nothing plays to
            nobody.
        **options: of `Plan`.
    """

    async def main() -> Report:
        memory = MemoryConnector(behaviour, script, api_key=api_key)
        door: Dial = dial or memory
        if far is not None:
            door = Far(door, *far)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        settled = {"clip": spoken_sentence(), **options}
        if calls:
            settled["post"] = in_memory(memory)
        if media:
            settled["peer"] = browsers(memory, only_peers=media == "only browser")
        settled.setdefault("wall", lambda: DEFAULT_EPOCH + asyncio.get_running_loop().time())
        plan = Plan(url=url, headers=headers, dial=door, **settled)  # type: ignore[arg-type]
        report = await probe(plan, experiments=experiments)
        # Whatever was seen, each was hung up; one that nobody knows the id of cannot be.
        assert len(memory.calls) == (0 if memory.behaviour.location else 1)
        return report

    return run_virtual(main())


def in_memory(memory: MemoryConnector) -> Post:
    """Requests to an emulator in this event loop."""

    async def posted(request: Request) -> Answer:
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers["content-type"] = "multipart/form-data" if request.parts else request.media_type
        parts = {name: data for name, (_, data) in request.parts.items()}
        path = urlsplit(request.url).path
        asked = HttpRequest(request.method, path, headers, request.body, parts or None)
        reply = await memory.rest.handle(asked)
        named = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, {**named, "content-type": reply.media_type}, reply.body)

    return posted


def settings(report: Report) -> dict[str, Setting]:
    """The knobs that were found, by name."""
    return {one.name: one for one in report.subjects[0].settings}


def shown_as(behaviour: Behaviour) -> dict[str, str]:
    """Every knob of a behaviour, as a report shows it."""
    return {
        spec.name: shown(getattr(behaviour, spec.name))
        for spec in dataclasses.fields(Behaviour)
        if spec.name != "pace"
    }
