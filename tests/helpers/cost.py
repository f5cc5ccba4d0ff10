"""To measure what the work costs: a session without a network, and a count of calls."""

import gc
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from antiphon.client.endpoint import Endpoint
from antiphon.client.handle import ResponseHandle
from antiphon.client.link import Link
from antiphon.client.session import Session
from antiphon.client.transport import PicowsConnector
from antiphon.wire.dialects import GA
from antiphon.wire.items import ResponseResource
from antiphon.wire.server_events import ResponseCreated, ResponseOutputAudioDelta, SessionCreated
from tests.helpers.server_codec import ServerCodec

__all__ = ["CODEC", "NoNetwork", "audio_delta", "calls_in", "flowing", "name"]

CODEC = ServerCodec()


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


def flowing() -> tuple[Session, Link, ResponseHandle]:
    """A session with one response, `resp_1`, in the middle of its output."""
    session = Session(Endpoint("ws://localhost", {}, GA), PicowsConnector())  # never used
    lifeline = session._lifeline
    link = lifeline._dial.link(lifeline, session._shell.connection)
    link.transport = NoNetwork()
    lifeline.attach(link)
    link.frame_received(CODEC.encode(SessionCreated(session={})), True)
    handle = session.create_response()
    name(link, handle, "resp_1")
    return session, link, handle


def name(link: Link, handle: ResponseHandle, response_id: str) -> ResponseResource:
    """The server announces the response of this handle."""
    key = handle._response.key
    assert key is not None
    resource = ResponseResource(id=response_id, metadata={"antiphon": key})
    link.frame_received(CODEC.encode(ResponseCreated(response=resource)), True)
    return resource


def audio_delta(number: int, pcm: bytes) -> bytes:
    """The frame of one delta of `resp_1`."""
    return CODEC.encode(
        ResponseOutputAudioDelta(
            event_id=f"event_{number:021}",
            response_id="resp_1",
            item_id="item_1",
            output_index=0,
            content_index=0,
            delta=pcm,
        )
    )


def calls_in(work: Callable[[], object]) -> int:
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
