"""antiphon's own `Session`, used as its README says."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Literal

import antiphon
from antiphon.bench.prove.adapters.stage import Client, Stage, perform
from antiphon.models import DEFAULT_TRANSCRIPTION_MODEL

__all__ = ["AntiphonClient"]

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "seconds": {"type": "number"}},
        "required": ["city"],
    },
}
HEARS: dict[str, Any] = {
    "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
    "transcription": {"model": DEFAULT_TRANSCRIPTION_MODEL},
}


class AntiphonClient(Client):
    """A user of antiphon: one task reads each response."""

    session: antiphon.Session
    settings: dict[str, Any] = {}
    playback: Literal["exact", "always"] = "exact"

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.handles: dict[str, antiphon.ResponseHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers = 0

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        config: dict[str, Any] = {"type": "realtime"}
        config["audio"] = {"input": HEARS if vad else {"turn_detection": None}}
        if text:
            config["output_modalities"] = ["text"]
        if tool:
            config["tools"] = [WEATHER]
        self.begin(url=url, session=config)

    async def open_call(
        self, *, url: str, http_url: str, call_id: str, vad: bool, tool: bool
    ) -> None:
        # All that is said on a call is to stop, be it known here or not.
        self.playback = "always"
        more: dict[str, Any] = {"session": {"tools": [WEATHER]}} if tool else {}
        self.begin(url=url, call_id=call_id, **more)

    def begin(self, **where: Any) -> None:
        self.stage.tell("can", awaitable=True)
        settings = {"connector": self.stage.connector, **self.settings}
        connecting = antiphon.connect(api_key="unused", **where, **settings)
        session = self.session = connecting.begin()
        session.on("response", self._answered)
        session.on("report", self._reported)
        session.on("disconnected", lambda _: self.stage.tell("connection", state="lost"))
        session.on("reconnected", lambda _: self.stage.tell("connection", state="back"))
        session.on("closed", lambda _: self.stage.tell("connection", state="over"))
        session.on("turn", lambda turn: self.stage.tell("turn", what=str(turn)))

    def _reported(self, report: antiphon.Report) -> None:
        if report.kind == "error":
            self.stage.tell("error", what=report.detail)
        else:
            self.stage.tell("report", kind=str(report.kind), detail=report.detail)

    def _answered(self, handle: antiphon.ResponseHandle) -> None:
        """The server made a response of its own accord: the answer to what the user said."""
        self._answers += 1
        self.start_reading(f"answer {self._answers}", handle)

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        _ = self.session.send_text(words)
        self.start_reading(reader, self.session.create_response(timeout=patience))

    async def aside(self, *, reader: str, words: str) -> None:
        handle = self.session.create_response(instructions=words, conversation="none")
        self.start_reading(reader, handle)

    def start_reading(self, reader: str, handle: antiphon.ResponseHandle) -> None:
        self.handles[reader] = handle
        self.spawn(self._read(reader, handle))

    async def _read(self, reader: str, handle: antiphon.ResponseHandle) -> None:
        parts = (self._listen(reader, handle), self._look(reader, handle))
        ends = await asyncio.gather(*parts, return_exceptions=True)
        outcome = await handle.done
        wrong = [type(end).__name__ for end in ends if end is not None]
        self.stage.tell("ended", reader=reader, how=str(outcome.kind), error=", ".join(wrong))

    async def _listen(self, reader: str, handle: antiphon.ResponseHandle) -> None:
        async for pcm in handle.audio:
            self.stage.tell("audio", reader=reader, pcm=pcm)

    async def _look(self, reader: str, handle: antiphon.ResponseHandle) -> None:
        async for part in handle.text_stream:
            self.stage.tell("text", reader=reader, text=part)
        calls = [call async for call in handle.calls]
        for call in calls:
            facts = {"name": call.name, "arguments": call.arguments}
            self.stage.tell("called", reader=reader, **facts)
        if calls:
            self.answer_calls(reader, calls)

    def answer_calls(self, reader: str, calls: list[antiphon.FunctionCall]) -> None:
        """Run what was called, hand in the outputs, and have one reply made of them all."""
        for call in calls:
            try:
                output = f"sunny in {call.parsed()['city']}"
            except ValueError as error:
                output = f"error: {error}"
            _ = self.session.send_function_output(call.call_id, output)
        self.start_reading(f"{reader}, with the tool", self.session.create_response())

    async def speak(self, *, part: str = "") -> None:
        for piece in self.stage.spoken(part):
            self.session.append_audio(piece)

    async def interrupt(self) -> None:
        self.spawn(self._receive(self.session.interrupt(playback=self.playback)))

    async def _receive(self, receipt: Any) -> None:
        entries = (await receipt).entries
        told = [
            {
                "id": entry.response_id,
                "outcome": str(entry.outcome.kind),
                "heard_ms": entry.heard_ms,
            }
            for entry in entries
        ]
        self.stage.tell("receipt", entries=told)

    async def cancel(self, *, reader: str) -> None:
        _ = self.handles[reader].cancel()

    async def truncate(self, *, reader: str, heard_ms: int) -> None:
        for request in self.session.truncate(self.handles[reader], heard_ms=heard_ms):
            self.spawn(self._settled(request, quiet=True))

    async def note(self, *, words: str, after: str | None = None) -> None:
        item: dict[str, Any] = {"type": "message", "role": "user"}
        item["content"] = [{"type": "input_text", "text": words}]
        previous = self.handles[after].item_ids[0] if after is not None else None
        self.spawn(self._settled(self.session.create_item(item, previous_item_id=previous)))

    async def configure(self, *, session: dict[str, Any]) -> None:
        self.spawn(self._settled(self.session.update(session)))

    async def until_heard(self, *, reader: str, patience: float) -> None:
        self.spawn(self._hear_out(reader, patience))

    async def _hear_out(self, reader: str, patience: float) -> None:
        how = await self.handles[reader].played(timeout=patience)
        self.stage.tell("heard_out", reader=reader, how=str(how))

    async def forget(self, *, reader: str) -> None:
        for item_id in self.handles[reader].item_ids:
            self.spawn(self._settled(self.session.delete_item(item_id), quiet=True))

    async def _settled(self, request: Any, *, quiet: bool = False) -> None:
        try:
            await request
        except antiphon.RealtimeError as error:
            if quiet:
                self.stage.tell("error", what=str(error))
            else:
                self.stage.tell("answered", ok=False, what=type(error).__name__)
        else:
            if not quiet:
                self.stage.tell("answered", ok=True)

    async def close(self) -> None:
        await self.session.close()
        for task in list(self._tasks):
            task.cancel()


if __name__ == "__main__":
    perform(AntiphonClient)
