"""The least that a client of any WebSocket library does with a frame: whose audio is it."""

from typing import Any

from common import Sink

__all__ = ["CANCEL", "SESSION_UPDATE", "append", "decoder", "load"]

SESSION_UPDATE = b'{"type":"session.update","session":{"type":"realtime"}}'
CANCEL = '{"type":"response.cancel","response_id":"%s"}'

msgspec: Any = None
pybase64: Any = None


def load() -> None:
    global msgspec, pybase64
    import msgspec as msgspec_module
    import pybase64 as pybase64_module

    msgspec, pybase64 = msgspec_module, pybase64_module


def decoder(sink: Sink) -> Any:
    """Return a function from a text frame's bytes to nothing: the sink gets the audio."""
    delta = "response.output_audio.delta"

    class Event(msgspec.Struct):  # type: ignore[name-defined,misc]
        type: str
        response_id: str = ""
        delta: msgspec.Raw = msgspec.Raw(b"")  # type: ignore[name-defined]

    parse = msgspec.json.Decoder(Event).decode
    decode = pybase64.b64decode
    stream, forget = sink.stream, sink.forget

    def frame(data: Any) -> None:
        event = parse(data)
        if event.type == delta:
            text = memoryview(event.delta)[1:-1]
            stream(event.response_id).audio(decode(text, validate=True))
        elif event.type == "response.output_audio.done":
            forget(event.response_id)

    return frame


def stdlib_decoder(sink: Sink) -> Any:
    """The same with json and base64 of the standard library."""
    import base64
    import json

    loads, decode = json.loads, base64.b64decode
    stream, forget = sink.stream, sink.forget

    def frame(data: Any) -> None:
        event = loads(data)
        kind = event["type"]
        if kind == "response.output_audio.delta":
            stream(event["response_id"]).audio(decode(event["delta"]))
        elif kind == "response.output_audio.done":
            forget(event["response_id"])

    return frame


def append(pcm: bytes) -> bytes:
    """Return the event that sends `pcm`."""
    audio: bytes = pybase64.b64encode(pcm)
    return b'{"type":"input_audio_buffer.append","audio":"' + audio + b'"}'
