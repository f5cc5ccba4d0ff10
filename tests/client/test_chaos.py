"""Random work over a random network: whatever happens, everything ends, once, and is told so."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any

import pytest

import antiphon
from antiphon.emulator import (
    Behaviour,
    Chance,
    Faults,
    MemoryConnector,
    Script,
    answer,
    call,
    fail,
    say,
)
from antiphon.emulator.audio import speech
from tests.client.peer import soon, virtual

__all__: list[str] = []

VOICE = speech.user_voice(400) + bytes(48 * 400)
SCRIPT = [
    say("Short.", ms=300),
    say("A longer story than the others.", ms=4000),
    answer(say("One moment.", ms=200), call("lookup", {"city": "Oslo"})),
    fail("server_error", after=say("I was", ms=300)),
]
CHANCES = {
    "clean": Chance(),
    "late": Chance(delay=0.2, max_delay_s=1.5),
    "lossy": Chance(delay=0.1, drop=0.05, duplicate=0.05, malformed=0.05),
    "cut": Chance(delay=0.1, drop=0.02, abort=0.01),
}


class Chaos:
    """One session, and somebody who does with it whatever comes to mind."""

    def __init__(self, session: antiphon.Session, seed: int) -> None:
        self.session = session
        self.random = random.Random(seed)
        self.handles: list[antiphon.ResponseHandle] = []
        self.ends: dict[antiphon.ResponseHandle, int] = {}
        self.receipts: list[antiphon.PendingReceipt] = []
        self.pending: list[Awaitable[Any]] = []
        self.silenced: set[antiphon.ResponseHandle] = set()
        session.on("done", self._done)
        session.on("response", self.handles.append)

    def _done(self, handle: antiphon.ResponseHandle) -> None:
        self.ends[handle] = self.ends.get(handle, 0) + 1

    def act(self) -> None:
        session, chance = self.session, self.random
        match chance.randrange(9):
            case 0 | 1:
                self._make(conversation="none", interruptible=chance.random() < 0.8)
            case 2:
                self._make(on_busy=chance.choice(["queue", "replace", "send"]))
            case 3:
                self._make(timeout=chance.choice([0.05, 1.0, None]))
            case 4:
                meant = list(session.in_flight)
                scope: Any = chance.choice(["all", "default", "out_of_band"])
                self.receipts.append(session.interrupt(scope))
                if scope == "all":
                    self.silenced.update(one for one in meant if one not in session.in_flight)
            case 5 if self.handles:
                handle = chance.choice(self.handles)
                _ = handle.cancel()
                self.silenced.add(handle)
            case 6:
                self.pending.append(session.send_text("Hello."))
            case 7:
                session.append_audio(VOICE)
            case 8 if self.handles:
                self.pending += session.truncate(chance.choice(self.handles), heard_ms=100)

    def _make(self, **what: Any) -> None:
        handle = self.session.create_response(**what)
        self.handles.append(handle)
        handle.subscribe(lambda _: self._heard(handle))

    def _heard(self, handle: antiphon.ResponseHandle) -> None:
        assert handle not in self.silenced, "I1"


@pytest.mark.parametrize("limit", [None, 1, 3])
@pytest.mark.parametrize("network", CHANCES)
@pytest.mark.parametrize("seed", range(3))
@virtual
async def test_everything_ends(
    seed: int, network: str, limit: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(seed)
    behaviour = Behaviour().but(
        created_latency_ms=chance.choice([0, 50, 800]),
        cancel_latency_ms=chance.choice([0, 20, 500]),
        slot_free_at=chance.choice([0, 30]),
        error_event_id_echo=chance.choice(["always", "never"]),
        cancel_repeat_before_done=chance.choice(["silent", "error"]),
    )
    script = Script([one.always() for one in chance.sample(SCRIPT, 1)])
    connector = MemoryConnector(
        behaviour,
        script,
        seed=seed,
        faults=Faults(chance=CHANCES[network]),
        latency_s=chance.choice([0.0, 0.08]),
    )
    options = antiphon.Options(create_timeout=3.0, settle_timeout=1.5, stall_timeout=6.0)
    policy = antiphon.ReconnectPolicy(
        attempts=50, first_delay=0.05, max_delay=0.2, rotate_after=20.0, rotate_latest=25.0
    )
    session = antiphon.connect(
        url="ws://localhost/v1/realtime",
        connector=connector,
        options=options,
        reconnect=policy,
        max_in_flight=limit,
        connect_timeout=2.0,
    ).begin()
    chaos = Chaos(session, seed)
    for _ in range(150):
        if session._shell.over:
            break  # a network so bad that it was given up
        chaos.act()
        await asyncio.sleep(chance.choice([0.0, 0.0, 0.05, 0.4]))
    for receipt in chaos.receipts:
        await soon(receipt, within=30.0)
    for pending in chaos.pending:
        with_answer = asyncio.ensure_future(_quiet(pending))
        await soon(with_answer, within=60.0)
    await asyncio.sleep(2.0)
    await soon(session.close())
    for handle in chaos.handles:
        outcome = await soon(handle.done, within=0.001)
        assert outcome == handle.outcome
        assert handle.audio.ended and handle.text_stream.ended and handle.calls.ended
        await _quiet(handle.created)
    assert {chaos.ends[handle] for handle in chaos.handles} == {1}, "I6: each settles once"
    assert session.in_flight == ()
    assert session.counters["internal_errors"] == 0
    assert [one for one in caplog.records if one.exc_info] == []
    for engine in connector.sessions:
        for cancel in engine.received_of("response.cancel"):
            assert cancel.get("response_id"), "I4"


async def _quiet(what: Awaitable[Any]) -> None:
    try:
        await what
    except antiphon.RealtimeError:
        pass
