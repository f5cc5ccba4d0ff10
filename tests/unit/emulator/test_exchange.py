"""Calls in memory, on virtual time: placed, rung, joined over the same address as everything."""

import asyncio
import json
from typing import Any

import pytest

from antiphon.emulator import Behaviour, Faults, MemoryConnector, Script, on, run_virtual, say
from antiphon.emulator.engine.call import CallKind, CallState
from antiphon.emulator.engine.lines import LineKind
from antiphon.emulator.shapes.errors import Refusal
from antiphon.exceptions import ConnectError

__all__: list[str] = []

Json = dict[str, Any]
LONG = say("One two three four five six seven eight nine ten.", ms=4000)


class Peer:
    """A client's end: what it was told, and how it ended."""

    def __init__(self) -> None:
        self.frames: list[Json] = []
        self.closed: tuple[int | None, str] | None = None

    def frame_received(self, data: bytes, is_text: bool) -> None:
        self.frames.append(json.loads(data))

    def connection_lost(self, code: int | None, reason: str) -> None:
        self.closed = code, reason

    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]


def joined(call_id: str) -> str:
    return f"wss://emulator/v1/realtime?call_id={call_id}"


def test_a_sideband_and_a_browser_on_one_session() -> None:
    # P-370
    async def main() -> None:
        connector = MemoryConnector(script=Script([LONG]))
        call = connector.calls.place({"instructions": "Be brief."})
        browser, guard = Peer(), Peer()
        channel = await connector.data_channel(call, browser)
        sideband = await connector(joined(call.id), {}, guard)
        await asyncio.sleep(1.0)
        assert browser.kinds() == ["session.created"]
        assert guard.kinds() == []
        channel.send_text(b'{"type":"response.create"}')
        await asyncio.sleep(1.0)
        sideband.send_text(b'{"type":"output_audio_buffer.clear"}')
        await asyncio.sleep(1.0)
        assert guard.kinds()[-2:] == ["output_audio_buffer.cleared", "conversation.item.truncated"]
        assert browser.kinds()[1:] == guard.kinds()
        assert sideband.engine is channel.engine is call.engine
        assert connector.sessions == [call.engine]

    run_virtual(main())


def test_closing_a_sideband_does_not_end_the_call() -> None:
    # P-386
    async def main() -> None:
        connector = MemoryConnector()
        call = connector.calls.place()
        peer = Peer()
        sideband = await connector(joined(call.id), {}, peer)
        sideband.close()
        await asyncio.sleep(0.1)
        assert peer.closed == (1000, "")
        assert call.state is CallState.UP
        assert call.sidebands == 0
        await connector(joined(call.id), {}, Peer())
        assert call.sidebands == 1

    run_virtual(main())


def test_a_sideband_of_a_call_that_is_over_is_refused() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        call = connector.calls.place()
        peer = Peer()
        await connector(joined(call.id), {}, peer)
        call.hang_up()
        await asyncio.sleep(0.1)
        assert peer.closed == (1000, "")
        with pytest.raises(ConnectError) as refused:
            await connector(joined(call.id), {}, Peer())
        assert (refused.value.status, refused.value.code) == (404, "call_id_not_found")
        assert len(connector.calls) == 0

    run_virtual(main())


def test_a_call_that_rings_is_joined_only_after_it_was_accepted() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        call = connector.calls.ring({"From": "sip:+15550100@example.com"})
        assert call.kind is CallKind.SIP
        with pytest.raises(ConnectError):
            await connector(joined(call.id), {}, Peer())
        with pytest.raises(Refusal):
            call.accept({"type": "realtime", "nonsense": 1})
        call.accept({"type": "realtime", "instructions": "Be brief."})
        peer = Peer()
        await connector(joined(call.id), {}, peer)
        call.press("5")
        await asyncio.sleep(0.1)
        assert peer.kinds() == ["input_audio_buffer.dtmf_event_received"]
        call.hang_up()
        await asyncio.sleep(0.1)
        assert peer.closed == (None, "")
        assert call.over.is_set()

    run_virtual(main())


def test_keys_that_are_on_no_telephone_are_refused() -> None:
    async def main() -> None:
        call = MemoryConnector().calls.ring()
        call.accept({"type": "realtime"})
        with pytest.raises(ValueError, match="no key 'x'"):
            call.press("1x")

    run_virtual(main())


def test_a_session_that_cannot_be_leaves_no_call() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        with pytest.raises(Refusal):
            connector.calls.place({"nonsense": 1})
        assert len(connector.calls) == 0

    run_virtual(main())


def test_calls_of_one_emulator_do_not_hear_each_other() -> None:
    async def main() -> None:
        connector = MemoryConnector(script=Script([LONG.always()]))
        first, second = connector.calls.place(), connector.calls.place()
        assert first.id != second.id
        one, other = Peer(), Peer()
        sideband = await connector(joined(first.id), {}, one)
        await connector(joined(second.id), {}, other)
        sideband.send_text(b'{"type":"response.create"}')
        await asyncio.sleep(1.0)
        assert "response.done" in one.kinds()
        assert other.frames == []
        first.hang_up()
        await asyncio.sleep(1.0)
        assert second.state is CallState.UP

    run_virtual(main())


def test_a_line_that_is_lost_at_once_is_no_line() -> None:
    async def main() -> None:
        connector = MemoryConnector(Behaviour(sideband_session_created=True), latency_s=0.1)
        call = connector.calls.place()
        peer = Peer()
        transport = await connector(joined(call.id), {}, peer)
        transport.abort()
        await asyncio.sleep(1.0)
        assert call.sidebands == 0
        assert peer.closed == (None, "")
        assert peer.frames == []

    run_virtual(main())


def test_sidebands_are_cut_and_the_call_and_its_browser_live_on() -> None:
    async def main() -> None:
        connector = MemoryConnector(script=Script([LONG]))
        call = connector.calls.place()
        browser, guard = Peer(), Peer()
        channel = await connector.data_channel(call, browser)
        await connector(joined(call.id), {}, guard)
        call.cut_sidebands()
        await asyncio.sleep(1.0)
        assert guard.closed == (None, "")
        assert (browser.closed, call.state, call.sidebands, call.joined) == (
            None,
            CallState.UP,
            0,
            1,
        )
        await connector(joined(call.id), {}, Peer())
        assert (call.sidebands, call.joined) == (1, 2)
        channel.send_text(b'{"type":"response.create"}')
        await asyncio.sleep(2.0)
        assert "response.done" in browser.kinds()

    run_virtual(main())


def test_a_line_without_faults_has_none_of_those_of_the_others() -> None:
    async def main() -> None:
        faults = Faults(on("session.updated").drop())
        call = MemoryConnector(faults=faults).calls.place()
        told: dict[bool, list[Any]] = {True: [], False: []}
        for faultless, effects in told.items():
            number = call.join(LineKind.SIDEBAND, effects.extend, faultless=faultless)
        call.receive(number, b'{"type":"session.update","session":{"type":"realtime"}}', True)
        kinds = {
            faultless: [json.loads(effect.data)["type"] for effect in effects]
            for faultless, effects in told.items()
        }
        assert kinds == {True: ["session.updated"], False: []}

    run_virtual(main())


def test_closing_ends_every_call() -> None:
    async def main() -> None:
        connector = MemoryConnector()
        up, rings = connector.calls.place(), connector.calls.ring()
        connector.calls.close()
        assert up.state is rings.state is CallState.OVER
        assert list(connector.calls) == []

    run_virtual(main())
