"""What one event costs, counted in calls: repeatable on any machine, whatever else it is doing.

A budget that is exceeded is no bug by itself. Look at what the change does for every delta; if it
must, raise the budget and say why in the commit.
"""

import asyncio
import gc
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from antiphon.client.endpoint import Endpoint
from antiphon.client.link import Link
from antiphon.client.session import Session
from antiphon.client.transport import PicowsConnector
from antiphon.wire.client_events import InputAudioBufferAppend
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import GA
from antiphon.wire.items import ResponseResource
from antiphon.wire.server_events import (
    ResponseCreated,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    SessionCreated,
)

__all__: list[str] = []

EVENTS = 200
CODEC = Codec()
AUDIO = [
    CODEC.encode_server(
        ResponseOutputAudioDelta(
            event_id=f"event_{number:021}",
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            content_index=0,
            delta=bytes(4800),
        )
    )
    for number in range(EVENTS)
]
TEXT = [
    CODEC.encode_server(
        ResponseOutputTextDelta(
            event_id=f"event_{number:021}",
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            content_index=0,
            delta="word ",
        )
    )
    for number in range(EVENTS)
]


class NoNetwork:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.written: deque[tuple[bytes, ...]] = deque(maxlen=8)

    def send_text(self, *messages: bytes) -> None:
        self.written.append(messages)

    def pending_bytes(self) -> int:
        return 0

    async def drain(self) -> None:
        pass

    def close(self, code: int = 1000, reason: str = "") -> None:
        pass


def flowing() -> tuple[Session, Link, Any]:
    """A session with one response in the middle of its output."""

    session = Session(Endpoint("ws://localhost", {}, GA), PicowsConnector())  # never used
    link = Link(session, session._connection)
    link.transport = NoNetwork()
    session._link = link
    link.frame_received(CODEC.encode_server(SessionCreated(session={})), True)
    handle = session.create_response()
    key = handle._response.key
    assert key is not None
    created = ResponseCreated(response=ResponseResource(id="resp_1", metadata={"antiphon": key}))
    link.frame_received(CODEC.encode_server(created), True)
    return session, link, handle


def calls_in(work: Callable[[], None]) -> int:
    """Calls of Python and C functions that this makes."""
    made = 0

    def count(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal made
        made += event in ("call", "c_call")

    gc.disable()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return made


@pytest.mark.parametrize(("kind", "budget"), [("audio", 28), ("text", 23)])
async def test_calls_per_delta(kind: str, budget: int) -> None:
    _, link, handle = flowing()
    frames = AUDIO if kind == "audio" else TEXT
    stream = handle.audio if kind == "audio" else handle.text_stream
    link.frame_received(frames[0], True)  # what is only done once

    def deliver() -> None:
        for frame in frames:
            link.frame_received(frame, True)

    per_event = calls_in(deliver) / EVENTS
    assert stream.buffered == (EVENTS + 1) * (4800 if kind == "audio" else 5)
    assert per_event <= budget, f"{per_event} calls per delta"


async def test_calls_per_piece_of_microphone_audio() -> None:
    session, _, _ = flowing()
    session.append_audio(bytes(960))

    def speak() -> None:
        for _ in range(EVENTS):
            session.append_audio(bytes(960))

    assert calls_in(speak) / EVENTS <= 20
    assert CODEC.encode(InputAudioBufferAppend(audio=b"\0\0")).endswith(b'"AAA="}')


async def test_an_interruption_of_eight_is_one_write() -> None:
    session, link, _ = flowing()
    for number in range(7):
        key = session.create_response(conversation="none")._response.key
        assert key is not None
        resource = ResponseResource(id=f"resp_x{number}", metadata={"antiphon": key})
        link.frame_received(CODEC.encode_server(ResponseCreated(response=resource)), True)
    transport = link.transport
    assert isinstance(transport, NoNetwork)
    transport.written.clear()

    def interrupt() -> None:
        _ = session.interrupt()

    made = calls_in(interrupt)
    assert [len(messages) for messages in transport.written] == [8]
    assert len(set(transport.written[0])) == 8
    assert made / 8 <= 42, f"{made / 8} calls per cancel"


async def test_memory_is_flat_over_many_responses() -> None:
    session, link, first = flowing()
    del first

    async def one(number: int) -> None:
        handle = session.create_response(conversation="none")
        key = handle._response.key
        assert key is not None
        resource = ResponseResource(id=f"resp_x{number}", metadata={"antiphon": key})
        link.frame_received(CODEC.encode_server(ResponseCreated(response=resource)), True)
        done = CODEC.encode_server(ResponseCreated(response=resource)).replace(
            b"response.created", b"response.done"
        )
        link.frame_received(done.replace(b'"id"', b'"status":"completed","id"'), True)
        assert (await handle.done).kind == "completed"

    for number in range(600):  # more than are remembered
        await one(number)
    gc.collect()
    before = sys.getallocatedblocks()
    for number in range(600, 2600):
        await one(number)
    gc.collect()
    grown = sys.getallocatedblocks() - before
    assert grown < 500, f"{grown} blocks more after 2000 responses"
    await asyncio.sleep(0)
