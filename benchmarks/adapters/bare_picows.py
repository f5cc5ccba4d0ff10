"""picows, msgspec and pybase64, and nothing else."""

from typing import Any

import bare
import common

picows: Any = None


def load() -> None:
    global picows
    import picows as module

    picows = module
    bare.load()


async def connect(url: str, sink: common.Sink) -> Any:
    frame_type, text = bare.decoder(sink), picows.WSMsgType.TEXT

    class Listener(picows.WSListener):  # type: ignore[name-defined,misc]
        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == text:
                frame_type(frame.get_payload_as_memoryview())

    transport, _ = await picows.ws_connect(Listener, url, max_frame_size=1 << 24)
    transport.send(text, bare.SESSION_UPDATE)
    return Session(transport, text)


class Session:
    def __init__(self, transport: Any, text: Any) -> None:
        self.transport, self.text = transport, text

    def push(self, pcm: bytes) -> None:
        self.transport.send(self.text, bare.append(pcm))

    def interrupt(self, ids: list[str]) -> None:
        for response_id in ids:
            self.transport.send(self.text, (bare.CANCEL % response_id).encode())


if __name__ == "__main__":
    common.main(load, connect)
