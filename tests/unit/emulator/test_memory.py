"""The emulator in memory, on virtual time."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from antiphon.emulator import (
    Behaviour,
    Faults,
    MemoryConnector,
    MemoryTransport,
    Pace,
    Script,
    after,
    on,
    run_virtual,
    say,
)
from antiphon.exceptions import ConnectError

__all__: list[str] = []

URL = "ws://emulator/v1/realtime?model=gpt-realtime"
Test = Callable[[], Coroutine[Any, Any, None]]


class Handler:
    """Keeps what comes, with its time."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.lost: list[tuple[int | None, str]] = []
        self.gone = asyncio.Event()

    def frame_received(self, data: bytes, is_text: bool) -> None:
        assert is_text
        assert self.lost == []
        self.events.append(json.loads(data))
        self.times.append(asyncio.get_running_loop().time())

    def connection_lost(self, code: int | None, reason: str) -> None:
        self.lost.append((code, reason))
        self.gone.set()

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]


def on_virtual_time(test: Test) -> Callable[[], None]:
    def run() -> None:
        run_virtual(test())

    run.__name__ = test.__name__
    return run


async def connect(
    connector: MemoryConnector | None = None, url: str = URL
) -> tuple[MemoryTransport, Handler]:
    handler = Handler()
    transport = await (connector or MemoryConnector())(url, {}, handler)
    return transport, handler


CREATE = b'{"type":"response.create"}'


@on_virtual_time
async def test_a_response_comes_at_its_pace() -> None:
    connector = MemoryConnector(Behaviour(), Script([say("Hi.", ms=1000)]))
    transport, handler = await connect(connector)
    transport.send_text(CREATE)
    await asyncio.sleep(10)
    assert handler.kinds()[0] == "session.created"
    assert handler.kinds()[-2:] == ["response.done", "rate_limits.updated"]
    # 40 ms to the first output, then nine gaps of 20 ms.
    assert handler.times[-1] == pytest.approx(0.22)
    assert connector.sessions[0].received_of("response.create")


@on_virtual_time
async def test_nothing_is_delivered_before_the_connector_returns() -> None:
    handler = Handler()
    connecting = MemoryConnector()(URL, {}, handler)
    transport = await connecting
    assert handler.events == []
    await asyncio.sleep(0.001)
    assert handler.kinds() == ["session.created"]
    assert transport.pending_bytes() == 0


@on_virtual_time
async def test_frames_keep_their_order_and_come_one_a_turn() -> None:
    script = Script([say("Hi.", ms=1000)])
    transport, handler = await connect(MemoryConnector(Behaviour(pace=Pace.instant()), script))
    transport.send_text(CREATE)
    seen = 0
    while "response.done" not in handler.kinds():
        await asyncio.sleep(0)
        assert len(handler.events) - seen <= 1
        seen = len(handler.events)
    ids = [event["event_id"] for event in handler.events]
    assert len(ids) == len(set(ids)) == seen


@on_virtual_time
async def test_latency_counts_each_way() -> None:
    transport, handler = await connect(MemoryConnector(latency_s=0.3))
    transport.send_text(b'{"type":"input_audio_buffer.clear"}')
    assert transport.pending_bytes() > 0
    await transport.drain()
    await asyncio.sleep(1)
    assert handler.times == [pytest.approx(0.3), pytest.approx(0.6)]


@on_virtual_time
async def test_client_closes() -> None:
    connector = MemoryConnector()
    transport, handler = await connect(connector)
    transport.send_text(CREATE)
    transport.close(1000, "bye")
    transport.close(4000, "again")
    transport.send_text(CREATE)
    await handler.gone.wait()
    await asyncio.sleep(100)
    assert handler.lost == [(1000, "bye")]
    assert connector.sessions[0].closed
    assert len(connector.sessions[0].received) == 1


@on_virtual_time
async def test_network_is_cut() -> None:
    transport, handler = await connect()
    transport.send_text(CREATE)
    await asyncio.sleep(0.1)
    transport.abort()
    await asyncio.sleep(100)
    assert handler.lost == [(None, "")]
    assert "response.done" not in handler.kinds()


@on_virtual_time
async def test_server_closes_after_what_it_sent() -> None:
    faults = Faults(on("response.done").close(1011, "oops"))
    transport, handler = await connect(MemoryConnector(faults=faults))
    transport.send_text(CREATE)
    await handler.gone.wait()
    assert handler.lost == [(1011, "oops")]
    assert handler.kinds()[-1] == "response.output_item.done"
    await asyncio.sleep(10)
    assert len(handler.lost) == 1


@on_virtual_time
async def test_half_a_frame_is_never_delivered() -> None:
    faults = Faults(on("response.created").half_frame())
    transport, handler = await connect(MemoryConnector(faults=faults))
    transport.send_text(CREATE)
    await handler.gone.wait()
    assert handler.kinds() == ["session.created"]
    assert handler.lost == [(None, "")]


@on_virtual_time
async def test_refused_handshake_raises() -> None:
    connector = MemoryConnector(api_key="good")
    with pytest.raises(ConnectError) as caught:
        await connect(connector)
    assert (caught.value.status, caught.value.code) == (401, "missing_api_key")
    with pytest.raises(ConnectError) as missing:
        await connect(url="ws://emulator/elsewhere")
    assert missing.value.status == 404


@on_virtual_time
async def test_wrong_key_is_told_and_closed() -> None:
    handler = Handler()
    headers = {"Authorization": "Bearer bad"}
    await MemoryConnector(api_key="good")(URL, headers, handler)
    await handler.gone.wait()
    assert handler.kinds() == ["error"]
    assert handler.lost == [(3000, "invalid_request_error.invalid_api_key")]


@on_virtual_time
async def test_each_connection_has_a_session_of_its_own() -> None:
    connector = MemoryConnector(script=Script([say("one"), say("two")]))
    both = [await connect(connector) for _ in range(2)]
    for transport, _ in both:
        transport.send_text(CREATE)
    await asyncio.sleep(5)
    ids = {handler.events[0]["session"]["id"] for _, handler in both}
    assert len(ids) == len(connector.sessions) == len(connector.transports) == 2
    connector.script.assert_consumed()


@on_virtual_time
async def test_timed_faults_come_without_any_traffic() -> None:
    _, handler = await connect(MemoryConnector(faults=Faults(after(5).abort())))
    await handler.gone.wait()
    assert asyncio.get_running_loop().time() == pytest.approx(5)


def test_runs_repeat_exactly() -> None:
    async def main() -> list[dict[str, Any]]:
        transport, handler = await connect(MemoryConnector(seed=3, latency_s=0.01))
        for _ in range(5):
            transport.send_text(CREATE)
            await asyncio.sleep(0.7)
        return handler.events

    assert run_virtual(main()) == run_virtual(main())
