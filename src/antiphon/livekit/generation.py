"""One response as the framework reads it: a stream of messages and a stream of function calls.

Each response has its own, and each message its own streams, found by item id; there is no current
one. Everything ends when the response ends, is cancelled or is lost.
"""

import asyncio
from typing import Any, Literal

from livekit.agents import llm
from livekit.agents.utils import aio

from antiphon import Cause, FunctionCall, ResponseHandle
from antiphon.livekit.audio import frame
from antiphon.livekit.compat import known
from livekit import rtc

__all__ = ["Generation"]

Modalities = list[Literal["text", "audio"]]

_SPOKEN: Modalities = ["audio", "text"]
_WRITTEN: Modalities = ["text"]


class _Message:
    """The streams of one message."""

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        self.text: aio.Chan[str] = aio.Chan()
        self.audio: aio.Chan[rtc.AudioFrame] = aio.Chan()
        self.modalities: asyncio.Future[Modalities] = asyncio.Future()
        self.words = ""

    def settle(self, modalities: Modalities) -> None:
        if not self.modalities.done():
            self.modalities.set_result(list(modalities))

    def say(self, words: str) -> None:
        self.words += words
        if not self.text.closed:
            self.text.send_nowait(words)

    def sound(self, pcm: bytes) -> None:
        if not self.audio.closed:
            self.audio.send_nowait(frame(pcm))

    def end(self, modalities: Modalities, *, discard: bool = False) -> None:
        self.settle(modalities)
        _close(self.text, discard)
        _close(self.audio, discard)


class Generation:
    """What one response produces.

    Args:
        handle: the response.
        audio_output: whether audio is to be expected, or text alone.
        user_initiated: whether `generate_reply` asked for it.
    """

    def __init__(
        self, handle: ResponseHandle, *, audio_output: bool, user_initiated: bool = False
    ) -> None:
        self.handle = handle
        self.user_initiated = user_initiated
        self.audio_output = audio_output
        self._modalities = _SPOKEN if audio_output else _WRITTEN
        self._messages: dict[str, _Message] = {}
        self._message_stream: aio.Chan[llm.MessageGeneration] = aio.Chan()
        self._function_stream: aio.Chan[llm.FunctionCall] = aio.Chan()
        handle.subscribe(self._feed, streams=False)

    def event(self) -> llm.GenerationCreatedEvent:
        return known(
            llm.GenerationCreatedEvent,
            message_stream=self._message_stream,
            function_stream=self._function_stream,
            user_initiated=self.user_initiated,
            response_id=self.handle.id,
        )

    @property
    def words(self) -> dict[str, str]:
        """What was said or written, by item id."""
        return {item_id: message.words for item_id, message in self._messages.items()}

    def call(self, call: FunctionCall) -> None:
        """A function is to be called; it comes from a completed item (P-61)."""
        if not self._function_stream.closed:
            self._function_stream.send_nowait(
                llm.FunctionCall(
                    id=call.item_id or call.call_id,
                    call_id=call.call_id,
                    name=call.name,
                    arguments=call.arguments,
                )
            )

    def end(self) -> None:
        """Nothing more comes; of a response that was cancelled here, not even what is unread (I1).

        Calling it again changes nothing.
        """
        discard = self.handle.cause is Cause.CANCELLED
        for message in self._messages.values():
            message.end(self._modalities, discard=discard)
        _close(self._function_stream, discard)
        _close(self._message_stream, discard)

    def _feed(self, event: Any) -> None:
        match event.type:
            case "response.output_audio.delta":
                message = self._message(event)
                message.settle(_SPOKEN)
                message.sound(event.delta)
            case "response.output_audio_transcript.delta":
                self._message(event).say(event.delta)
            case "response.output_text.delta":
                self._message(event).say(event.delta)
            case "response.output_item.added" if event.item.type == "message":
                self._open(event.item.id or _position(event))
            case "response.content_part.added":
                # P-129: the part's type is "text" or "audio", with GA servers too.
                self._message(event).settle(_WRITTEN if event.part.type == "text" else _SPOKEN)
            case "response.output_item.done" if event.item.type == "message":
                message = self._open(event.item.id or _position(event))
                message.end(self._modalities)

    def _message(self, event: Any) -> _Message:
        return self._open(event.item_id or _position(event))

    def _open(self, item_id: str) -> _Message:
        """The message of this id; some servers do not announce it (P-311), so on first sight."""
        message = self._messages.get(item_id)
        if message is None:
            message = self._messages[item_id] = _Message(item_id)
            if self._modalities is _WRITTEN:
                message.audio.close()
                message.settle(_WRITTEN)
            if not self._message_stream.closed:
                self._message_stream.send_nowait(
                    known(
                        llm.MessageGeneration,
                        message_id=item_id,
                        text_stream=message.text,
                        audio_stream=message.audio,
                        modalities=message.modalities,
                    )
                )
        return message


def _close(stream: aio.Chan[Any], discard: bool) -> None:
    while discard and not stream.empty():
        stream.recv_nowait()
    stream.close()


def _position(event: Any) -> str:
    """A name for an item of a server that gives it none."""
    return f"item_{event.response_id or ''}{event.output_index or 0}"
