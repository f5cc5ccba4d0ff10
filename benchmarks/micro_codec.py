"""`python -m benchmarks.micro_codec`: what reading and writing one frame costs.

Beside each figure stands the standard library doing the least of the same work (`json` and
`base64`, no types and no checks). Best of several runs, in µs; the machine's other work only
ever adds to it.
"""

import base64
import json
import os
import timeit
from collections.abc import Callable

import msgspec

from antiphon.wire.client_events import InputAudioBufferAppend
from antiphon.wire.codec import Codec
from antiphon.wire.dialects import BETA, GA, Dialect
from antiphon.wire.items import ContentPart, Item, ResponseResource, Usage
from antiphon.wire.server_events import (
    ResponseDone,
    ResponseOutputAudioDelta,
    ResponseOutputTextDelta,
    ServerEvent,
)

__all__: list[str] = []

PCM = os.urandom(4800)  # 100 ms of PCM16 LE at 24 kHz

PLACE = {
    "event_id": "event_D9QnZ2ExAmPlE0123456789",
    "response_id": "resp_D9QnZ2ExAmPlE0123456789",
    "item_id": "item_D9QnZ2ExAmPlE0123456789",
}
AUDIO = ResponseOutputAudioDelta(**PLACE, output_index=0, content_index=0, delta=PCM)
TEXT = ResponseOutputTextDelta(**PLACE, output_index=0, content_index=0, delta="Hello there,")
DONE = ResponseDone(
    event_id=PLACE["event_id"],
    response=ResponseResource(
        id=PLACE["response_id"],
        status="completed",
        status_details=None,
        output=[
            Item(
                id=PLACE["item_id"],
                type="message",
                role="assistant",
                status="completed",
                content=[ContentPart(type="output_audio", transcript="Hello there, " * 20)],
            )
        ],
        conversation_id="conv_D9QnZ2ExAmPlE0123456789",
        output_modalities=["audio"],
        usage=Usage(total_tokens=300, input_tokens=100, output_tokens=200),
        metadata={"key": "value"},
    ),
)
APPEND = InputAudioBufferAppend(audio=PCM)
BETA_SPELLING = {
    b'"output_modalities":["audio"]': b'"modalities":["text","audio"]',
    b'"type":"response.output_': b'"type":"response.',
    b'"type":"output_audio"': b'"type":"audio"',
}


def cost_us(call: Callable[[], object]) -> float:
    """Return what one call costs, in µs."""
    number, _ = timeit.Timer(call).autorange()
    return min(timeit.repeat(call, number=max(1, number // 4), repeat=15)) / (number // 4) * 1e6


def stdlib_decode(frame: bytes, *, audio: bool) -> object:
    event = json.loads(frame)
    return base64.b64decode(event["delta"]) if audio else event


def stdlib_append(audio: bytes) -> bytes:
    encoded = base64.b64encode(audio).decode()
    return json.dumps({"type": "input_audio_buffer.append", "audio": encoded}).encode()


def row(name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    mine, plain = cost_us(ours), cost_us(theirs)
    print(f"{name:44} {mine:8.2f} {plain:10.2f} {plain / mine:8.1f}x")


def frame_of(event: ServerEvent, dialect: Dialect) -> bytes:
    frame = msgspec.json.encode(event)
    if dialect is BETA:
        for name, beta_name in BETA_SPELLING.items():
            frame = frame.replace(name, beta_name)
    return frame


def decode_row(name: str, event: ServerEvent, dialect: Dialect) -> None:
    codec = Codec(dialect)
    frame = frame_of(event, dialect)
    audio = isinstance(event, ResponseOutputAudioDelta)
    assert codec.decode(frame) == event
    row(
        f"decode {name} ({len(frame)} bytes, {dialect})",
        lambda: codec.decode(frame),
        lambda: stdlib_decode(frame, audio=audio),
    )


if __name__ == "__main__":
    print(f"{'':44} {'antiphon':>8} {'stdlib':>10} {'gain':>9}")
    for dialect in (GA, BETA):
        decode_row("audio delta", AUDIO, dialect)
        decode_row("text delta", TEXT, dialect)
        decode_row("response.done", DONE, dialect)
    encode = Codec().encode
    row("encode input_audio_buffer.append", lambda: encode(APPEND), lambda: stdlib_append(PCM))
