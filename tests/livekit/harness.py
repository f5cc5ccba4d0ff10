"""Both plugins behind one door: open a session against the emulator, and see all that it tells."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from livekit.agents import APIConnectOptions, APIError, llm

from antiphon.emulator import Answer, EmulatorServer, Engine, Faults, Pace, Script, profile, say
from antiphon.emulator.audio import speech
from livekit import rtc

__all__ = [
    "BOTH",
    "EVENTS",
    "PLUGINS",
    "RETRY",
    "Spoken",
    "Watched",
    "both",
    "emulated",
    "open_session",
    "plugin_module",
    "pushed",
    "until",
]

PLUGINS = ("antiphon", "stock")
BOTH = pytest.mark.parametrize("plugin", PLUGINS)
EVENTS = (
    "input_speech_started",
    "input_speech_stopped",
    "input_audio_transcription_completed",
    "generation_created",
    "session_reconnected",
    "metrics_collected",
    "remote_item_added",
    "error",
)
# Soon enough for a test, often enough to see that it is done.
RETRY = APIConnectOptions(max_retry=3, retry_interval=0.05, timeout=5.0)


def emulated(
    *steps: Answer,
    hears: Sequence[str] = (),
    faults: Faults | None = None,
    api_key: str | None = None,
    seed: int = 0,
    of: str = "openai",
    **knobs: Any,
) -> EmulatorServer:
    """A server that answers with these steps, then "Yes.", at once unless its pace is given.

    Args:
        of: the profile that the knobs are laid over.
    """
    knobs = {
        "pace": Pace.instant(),
        "cancel_latency_ms": 5,
        "transcription_latency_ms": 5,
        **knobs,
    }
    script = Script(steps, hears=list(hears), otherwise=say("Yes."))
    return EmulatorServer(
        profile(of).but(**knobs), script, faults=faults, api_key=api_key, seed=seed
    )


def both(difference: str = "") -> pytest.MarkDecorator:
    """Run a test with both plugins.

    Args:
        difference: names the section of docs/livekit.md that says how the stock plugin differs.
            It must fail then: a difference that has gone is news.
    """
    if not difference:
        return BOTH
    mark = pytest.mark.xfail(strict=True, reason=difference)
    return pytest.mark.parametrize("plugin", ["antiphon", pytest.param("stock", marks=mark)])


def plugin_module(name: str) -> ModuleType:
    if name == "antiphon":
        from livekit.plugins import antiphon

        return antiphon
    from livekit.plugins import openai

    return openai


@dataclass
class Spoken:
    """All that one message of a generation gave its reader."""

    item_id: str
    modalities: list[str]
    text: str
    pcm: bytes

    @property
    def tags(self) -> set[int]:
        """Which responses its audio came from."""
        return {span.tag for span in speech.spans(self.pcm) if span.tag is not None}


@dataclass
class Read:
    """A generation that is being read to its end, as the framework does."""

    event: llm.GenerationCreatedEvent
    messages: list[Spoken] = field(default_factory=list)
    calls: list[llm.FunctionCall] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None

    @property
    def id(self) -> str:
        assert self.event.response_id is not None
        return self.event.response_id

    @property
    def text(self) -> str:
        return "".join(one.text for one in self.messages)

    async def whole(self, within: float = 5.0) -> "Read":
        assert self.task is not None
        async with asyncio.timeout(within):
            await asyncio.shield(self.task)
        return self


class Watched:
    """A session with everything that it emitted, in order."""

    def __init__(self, session: Any, model: Any, server: EmulatorServer) -> None:
        self.session = session
        self.model = model
        self.server = server
        self.log: list[tuple[str, Any]] = []
        self.reads: list[Read] = []
        self._arrived = asyncio.Event()
        for name in EVENTS:
            session.on(name, self._recorder(name))

    def _recorder(self, name: str) -> Callable[[Any], None]:
        def record(event: Any) -> None:
            # The metrics of a connection come when they come; they are looked at by themselves.
            if name != "metrics_collected" or getattr(event, "request_id", None):
                self.log.append((name, event))
            if name == "generation_created":
                self.reads.append(self.read(event))
            self._arrived.set()

        return record

    # --- what was told --------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.log]

    def all(self, name: str) -> list[Any]:
        return [event for told, event in self.log if told == name]

    async def told(self, name: str, count: int = 1, within: float = 5.0) -> Any:
        """Wait until `name` was told so often; the last of these."""
        await until(lambda: len(self.all(name)) >= count, self._arrived, within)
        return self.all(name)[count - 1]

    def chat(self) -> list[tuple[str, str]]:
        """Role and text of the messages; kind and content of the rest."""
        found = []
        for item in self.session.chat_ctx.items:
            if item.type == "message":
                found.append((item.role, item.text_content or ""))
            elif item.type == "function_call":
                found.append(("call", f"{item.name}{item.arguments}"))
            else:
                found.append(("output", item.output))
        return found

    # --- reading --------------------------------------------------------------------------------

    def read(self, event: llm.GenerationCreatedEvent) -> Read:
        read = Read(event)

        async def message(one: llm.MessageGeneration) -> None:
            text, pcm = asyncio.create_task(_all(one.text_stream)), bytearray()
            async for frame in one.audio_stream:
                assert (frame.sample_rate, frame.num_channels) == (24000, 1)
                pcm += frame.data.tobytes()
            read.messages.append(
                Spoken(one.message_id, list(await one.modalities), await text, bytes(pcm))
            )

        async def messages() -> None:
            async for one in event.message_stream:
                await message(one)

        async def calls() -> None:
            async for one in event.function_stream:
                read.calls.append(one)

        async def everything() -> None:
            await asyncio.gather(messages(), calls())

        read.task = asyncio.create_task(everything())
        return read

    async def reply(self, **given: Any) -> Read:
        """`generate_reply`, read to its end."""
        event = await self.session.generate_reply(**given)
        return await self.read_of(event).whole()

    def read_of(self, event: llm.GenerationCreatedEvent) -> Read:
        """What is read of a generation that was announced."""
        (found,) = [one for one in self.reads if one.event is event]
        return found

    # --- the server -----------------------------------------------------------------------------

    @property
    def engine(self) -> Engine:
        """The server's side of the latest connection."""
        return self.server.sessions[-1]

    async def received(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """What the server got of this type, once it got so many."""
        await until(lambda: len(self.server.sessions) > 0)
        await until(lambda: len(self.engine.received_of(kind)) >= count)
        return self.engine.received_of(kind)

    async def settled(self) -> None:
        """Wait until the server has answered everything sent so far."""
        await until(lambda: len(self.server.sessions) > 0)
        ctx = self.session.chat_ctx.copy()
        mark = ctx.add_message(role="system", content="(mark)")
        await self.session.update_chat_ctx(ctx)
        ctx = self.session.chat_ctx.copy()
        ctx.items = [item for item in ctx.items if item.id != mark.id]
        await self.session.update_chat_ctx(ctx)
        self.log = [
            (name, event)
            for name, event in self.log
            if not (name == "remote_item_added" and event.item.id == mark.id)
        ]


@asynccontextmanager
async def open_session(
    plugin: str,
    server: EmulatorServer,
    *,
    turn_detection_disabled: bool = False,
    make: Callable[..., Any] | None = None,
    **options: Any,
) -> AsyncIterator[Watched]:
    """A session of this plugin, closed at the end."""
    if "base_url" not in options:
        options["base_url"] = server.http_url
    options = {"api_key": "test", "conn_options": RETRY, **options}
    model = (make or plugin_module(plugin).realtime.RealtimeModel)(**options)
    session = model.session(turn_detection_disabled=turn_detection_disabled)
    watched = Watched(session, model, server)
    try:
        yield watched
    finally:
        async with asyncio.timeout(5):
            try:
                # After a fatal error the stock plugin raises it again here.
                with suppress(*([APIError] if plugin == "stock" else [])):
                    await session.aclose()
            finally:
                await model.aclose()


async def until(
    holds: Callable[[], bool], changed: asyncio.Event | None = None, within: float = 5.0
) -> None:
    """Wait until it holds, looking again at every change, or often where none is told."""
    async with asyncio.timeout(within):
        while not holds():
            if changed is None:
                await asyncio.sleep(0.002)
            else:
                changed.clear()
                await changed.wait()


def pushed(session: Any, pcm: bytes, *, rate: int = 24000, channels: int = 1) -> None:
    """Push audio in frames of 10 ms, as the framework does."""
    size = rate // 100 * 2 * channels
    for start in range(0, len(pcm), size):
        piece = pcm[start : start + size]
        session.push_audio(rtc.AudioFrame(piece, rate, channels, len(piece) // 2 // channels))


def ids(items: Sequence[Any]) -> list[str]:
    return [item.id for item in items]


async def _all(stream: Any) -> str:
    return "".join([part async for part in stream])
