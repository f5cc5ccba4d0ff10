"""Where the sentences about interruption are played: one session, one emulated server.

A sentence is a coroutine that takes a `Stage`. `@sentence` makes a test of it for each carrier (the
engine in memory on virtual time, a real socket) and each model (many responses at once, one at a
time), and `test_every_knob.py` plays it once more for each way in which a server may behave.

After each play the stage checks what must hold whatever happened: `Stage.leave`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

import antiphon
from antiphon.emulator import (
    Behaviour,
    EmulatorServer,
    Engine,
    Faults,
    MemoryConnector,
    Pace,
    Script,
    run_virtual,
    say,
)
from antiphon.emulator.audio import speech
from antiphon.wire.server_events import ServerEvent

__all__ = ["CARRIERS", "CUE", "LONG", "MODELS", "SENTENCES", "Ear", "Sentence", "Stage", "sentence"]

T = TypeVar("T")
Play = Callable[["Stage"], Awaitable[None]]

CARRIERS = ("memory", "socket")
MODELS = ("many", "single")
# Real seconds that no play comes near; in memory they are virtual.
PATIENCE_S = 20.0
LONG = say("A long story about a fox, a hen and a river that had no bridge.", ms=60_000).always()
# What a server does when the play says so, over a socket as in memory: an event of this type comes
# only in answer to the client, so what is held back for it comes neither sooner nor later.
CUE = "input_audio_buffer.cleared"


@dataclass
class Ear:
    """Everything of one response that reaches anybody."""

    handle: antiphon.ResponseHandle
    audio: bytearray = field(default_factory=bytearray)
    text: list[str] = field(default_factory=list)
    calls: list[antiphon.FunctionCall] = field(default_factory=list)
    events: list[ServerEvent] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    spoke: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def heard(self) -> tuple[int, int, int, int]:
        """How much of everything; it must not grow after an interruption."""
        return len(self.audio), len(self.text), len(self.calls), len(self.events)

    @property
    def whole(self) -> bool:
        """Whether this is, byte for byte, what the server said, from its first millisecond on.

        The audio of a response carries its id in every millisecond, so this cannot be true of
        another one's, nor where something is missing, doubled or out of place.
        """
        said = speech.synthesize(self.handle.id or "", 0, self.heard_ms)
        return bool(said) and bytes(self.audio) == said

    @property
    def heard_ms(self) -> int:
        return len(self.audio) // 48


class Stage:
    """One session with one emulated server.

    Args:
        carrier: `memory` or `socket`.
        model: `many`, or `single` for `max_in_flight=1`.
        behaviour: how the server behaves where a play does not say otherwise.
        options: the client's, likewise.
        dialect: `beta` for a server with the beta's event names.
    """

    def __init__(
        self,
        carrier: str = "memory",
        model: str = "many",
        behaviour: Behaviour | None = None,
        options: dict[str, Any] | None = None,
        dialect: str | None = None,
    ) -> None:
        self.carrier = carrier
        self.model = model
        # Real time is dear: over a socket the model speaks twice as fast as it does by default.
        self.behaviour = behaviour or (
            Behaviour() if carrier == "memory" else Behaviour(pace=Pace(speed=10.0))
        )
        self._options = options or {}
        self._dialect = dialect
        self._loop = asyncio.get_running_loop()
        self._server: EmulatorServer | None = None
        self._connector: MemoryConnector | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.ears: list[Ear] = []
        self.made: list[antiphon.ResponseHandle] = []
        self.reports: list[antiphon.Report] = []
        self.server_events: list[Any] = []
        self.session: antiphon.Session

    @property
    def single(self) -> bool:
        return self.model == "single"

    async def enter(
        self,
        *,
        script: Script | None = None,
        faults: Faults | None = None,
        profile: Behaviour | None = None,
        latency_s: float = 0.0,
        reconnect: antiphon.ReconnectPolicy | None = None,
        session: dict[str, Any] | None = None,
        options: dict[str, Any] | None = None,
        **knobs: Any,
    ) -> antiphon.Session:
        """Raise the curtain: a server that behaves so, and a session with it.

        `latency_s` is of the memory carrier; a real socket has its own.
        """
        behaviour = (profile or self.behaviour).but(**knobs)
        script = script or Script([LONG])
        chosen = antiphon.Options(**{**self._options, **(options or {})})
        settings: dict[str, Any] = {
            "max_in_flight": 1 if self.single else None,
            "options": chosen,
            "reconnect": reconnect or antiphon.ReconnectPolicy(attempts=0),
            "session": session,
            "dialect": self._dialect,
        }
        if self.carrier == "memory":
            self._connector = MemoryConnector(behaviour, script, faults=faults, latency_s=latency_s)
            settings |= {"url": "ws://localhost/v1/realtime", "connector": self._connector}
        else:
            self._server = EmulatorServer(behaviour, script, faults=faults)
            await self._server.start()
            settings["url"] = self._server.url
        self.session = await antiphon.connect(**settings)
        self.session.on("report", self.reports.append)
        self.session.on("server_event", self.server_events.append)
        return self.session

    async def leave(self) -> None:
        """Close, and check what must hold after every play."""
        session = self.session
        await self.soon(session.close())
        assert session.in_flight == ()
        for handle in self.made:
            assert handle.outcome is not None, "I3: every response settles, on close too"
            assert handle.audio.ended and handle.text_stream.ended and handle.calls.ended
            assert await self.soon(handle.done) == handle.outcome
        for ear in self.ears:
            await self.soon(ear.over.wait())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert session.counters["internal_errors"] == 0
        if self._server is not None:
            await self._server.stop()
        leaked = asyncio.all_tasks() - {asyncio.current_task()}
        assert not leaked, f"tasks left behind: {leaked}"
        for engine in self.engines:
            asked = [one.get("response_id") for one in engine.received_of("response.cancel")]
            known = [one for one in asked if one is not None]
            assert len(known) == len(set(known)), "no id is cancelled twice"

    # --- the server's side ----------------------------------------------------------------------

    @property
    def engines(self) -> list[Engine]:
        source = self._server or self._connector
        assert source is not None
        return source.sessions

    @property
    def server(self) -> Engine:
        return self.engines[-1]

    def received(self, kind: str) -> list[dict[str, Any]]:
        """The client's frames of one type, as the server read them."""
        return self.server.received_of(kind)

    @property
    def cancelled_ids(self) -> list[str | None]:
        """`response_id` of every `response.cancel` that the server received."""
        return [one.get("response_id") for one in self.received("response.cancel")]

    def status_of(self, handle: antiphon.ResponseHandle) -> str | None:
        """What became of it on the server."""
        return self.server.finished_responses.get(handle.id or "")

    def cut(self) -> None:
        """The network is gone."""
        if self._connector is not None:
            self._connector.transports[-1].abort()
        else:
            assert self._server is not None
            engines = list(self._server.sessions)
            self._server.clear()
            self._server.sessions.extend(engines)

    # --- the client's side ----------------------------------------------------------------------

    def ask(self, **what: Any) -> antiphon.ResponseHandle:
        """Create a response in the default conversation."""
        handle = self.session.create_response(**what)
        self.made.append(handle)
        return handle

    def ask_aside(self, **what: Any) -> antiphon.ResponseHandle:
        """Create an out-of-band response."""
        return self.ask(conversation="none", **what)

    def listen(self, handle: antiphon.ResponseHandle) -> Ear:
        """Read everything of a response, as it comes."""
        ear = Ear(handle)
        self.ears.append(ear)

        def note(event: ServerEvent) -> None:
            ear.events.append(event)
            if event.type in (
                "response.output_text.delta",
                "response.function_call_arguments.delta",
            ):
                ear.spoke.set()

        def hear(chunk: bytes) -> None:
            ear.audio.extend(chunk)
            ear.spoke.set()

        handle.subscribe(note)

        async def read() -> None:
            async def drain(stream: antiphon.Stream[T], take: Callable[[T], object]) -> None:
                try:
                    async for element in stream:
                        take(element)
                except antiphon.RealtimeError as error:
                    ear.errors.append(error)

            await asyncio.gather(
                drain(handle.audio, hear),
                drain(handle.text_stream, ear.text.append),
                drain(handle.calls, ear.calls.append),
            )
            ear.over.set()

        self._tasks.add(self._loop.create_task(read()))
        return ear

    def listen_all(self, *handles: antiphon.ResponseHandle) -> list[Ear]:
        return [self.listen(handle) for handle in handles]

    def running(self, ears: Sequence[Ear]) -> list[Ear]:
        """Those whose response the server runs at the same time: in the single model, the first."""
        return list(ears[:1]) if self.single else list(ears)

    async def until_speaking(self, *ears: Ear) -> None:
        """Wait until these are being heard."""
        for ear in ears:
            await self.soon(ear.spoke.wait())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so on the server, which has no events to wait for."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.002)

    async def until_told(self, count: int, kind: str) -> None:
        """Wait until the server has received so many events of a type."""
        await self.until(lambda: len(self.received(kind)) >= count)

    def cue(self) -> None:
        """Let the server send what it holds back for the `CUE`, in order, before what it answers
        to anything asked from now on."""
        _ = self.session.clear_audio()

    async def soon(self, what: Awaitable[T]) -> T:
        """Await it, but not for ever."""
        async with asyncio.timeout(PATIENCE_S):
            return await what

    async def settled(self, receipt: antiphon.PendingReceipt) -> antiphon.Receipt:
        return await self.soon(receipt)

    async def pause(self, seconds: float) -> None:
        """Let the server go on, as the story tells; nothing is waited for by this."""
        await asyncio.sleep(seconds if self.carrier == "memory" else seconds / 2)

    @contextmanager
    def nothing_more_from(self, *ears: Ear) -> Iterator[None]:
        """What has been heard by now is all that will ever be."""
        before = [ear.heard for ear in ears]
        yield
        assert [ear.heard for ear in ears] == before, "I1: heard after the interruption"


@dataclass(frozen=True)
class Sentence:
    """One sentence about interruption, and how it is played."""

    number: int
    name: str
    play: Play
    models: tuple[str, ...]
    is_control: bool
    """It is about the server alone: what a client meets that does not name the response."""


SENTENCES: list[Sentence] = []


def perform(play: Play, carrier: str, model: str, **stage: Any) -> None:
    """Play a sentence once."""

    async def main() -> None:
        on_stage = Stage(carrier, model, **stage)
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(context)
        )
        await play(on_stage)
        await on_stage.leave()
        assert failures == []

    if carrier == "memory":
        run_virtual(main(), limit_s=600.0)
    else:
        asyncio.run(main())


def sentence(
    number: int,
    *,
    models: tuple[str, ...] = MODELS,
    is_control: bool = False,
) -> Callable[[Play], Callable[[str, str], None]]:
    """A play as a test, on each carrier and for each model."""

    def make(play: Play) -> Callable[[str, str], None]:
        name = getattr(play, "__name__", "")
        SENTENCES.append(Sentence(number, name, play, models, is_control))

        @pytest.mark.parametrize("model", models)
        @pytest.mark.parametrize("carrier", CARRIERS)
        def test(carrier: str, model: str) -> None:
            perform(play, carrier, model)

        test.__name__ = test.__qualname__ = name
        test.__doc__ = play.__doc__
        test.__module__ = play.__module__
        return test

    return make
