"""What one event costs, counted in calls: repeatable on any machine, whatever else it is doing.

A budget that is exceeded is no bug by itself. Look at what the change does for every delta; if it
must, raise the budget and say why in the commit.
"""

import asyncio
import gc
import sys

import pytest

from antiphon.wire.client_events import InputAudioBufferAppend
from antiphon.wire.codec import Codec
from antiphon.wire.server_events import ResponseCreated, ResponseOutputTextDelta
from tests.helpers.cost import CODEC, NoNetwork, audio_delta, calls_in, flowing, name

__all__: list[str] = []

EVENTS = 200
AUDIO = [audio_delta(number, bytes(4800)) for number in range(EVENTS)]
TEXT = [
    CODEC.encode(
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
    assert Codec().encode(InputAudioBufferAppend(audio=b"\0\0")).endswith(b'"AAA="}')


async def test_an_interruption_of_eight_is_one_write() -> None:
    session, link, _ = flowing()
    for number in range(7):
        name(link, session.create_response(conversation="none"), f"resp_x{number}")
    transport = link.transport
    assert isinstance(transport, NoNetwork)
    transport.written.clear()

    made = calls_in(session.interrupt)
    assert [len(messages) for messages in transport.written] == [8]
    assert len(set(transport.written[0])) == 8
    assert made / 8 <= 42, f"{made / 8} calls per cancel"


async def test_memory_is_flat_over_many_responses() -> None:
    session, link, first = flowing()
    del first

    async def one(number: int) -> None:
        handle = session.create_response(conversation="none")
        resource = name(link, handle, f"resp_x{number}")
        done = CODEC.encode(ResponseCreated(response=resource)).replace(
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
