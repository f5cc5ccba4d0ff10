"""openai-agents: `RealtimeRunner` and `RealtimeSession`, with their WebSocket model.

A response out of band is asked for by the raw message that it lets its users send.
"""

import asyncio
from typing import Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime.model_inputs import RealtimeModelSendInterrupt, RealtimeModelSendRawMessage
from agents.realtime.openai_realtime import OpenAIRealtimeSIPModel
from stage import Client, Stage, perform

__all__ = ["AgentsClient"]

VAD = {"type": "server_vad", "silence_duration_ms": 300, "interrupt_response": True}


class AgentsClient(Client):
    """Reads the session's events, which carry the response's id."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        # Replies in the conversation carry no name of its user's: they come as they were asked for.
        self._asked: list[str] = []
        self._names: dict[str, str] = {}
        self._open: list[str] = []

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        settings: dict[str, Any] = {"turn_detection": VAD if vad else None}
        if vad:
            settings["input_audio_transcription"] = {"model": "gpt-4o-mini-transcribe"}
        if text:
            settings["modalities"] = ["text"]
        await self._run(RealtimeRunner(self._agent(tool)), settings, url=url)

    async def open_call(
        self, *, url: str, http_url: str, call_id: str, vad: bool, tool: bool
    ) -> None:
        # On a telephone the server refuses how long a silence is to be (P-346).
        settings = {"turn_detection": {"type": "server_vad"} if vad else None}
        runner = RealtimeRunner(self._agent(tool), model=OpenAIRealtimeSIPModel())
        await self._run(runner, settings, url=f"{url}?call_id={call_id}", call_id=call_id)

    def _agent(self, tool: bool) -> Any:
        tell = self.stage.tell

        @function_tool
        async def get_weather(city: str, seconds: float = 0.0) -> str:
            """The weather in a city."""
            tell("tool", city=city)
            await asyncio.sleep(seconds)
            return f"sunny in {city}"

        return RealtimeAgent(
            name="tester", instructions="Be brief.", tools=[get_weather] if tool else []
        )

    async def _run(self, runner: Any, settings: dict[str, Any], **where: Any) -> None:
        config: Any = {"api_key": "unused", "initial_model_settings": settings, **where}
        self._session = await runner.run(model_config=config)
        await self._session.__aenter__()
        self._loop = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for event in self._session:
                self._tell(event)
        except Exception as error:
            self.stage.tell("session over", error=type(error).__name__, said=str(error))
        self.stage.tell("connection", state="over")
        # Whoever reads the session's events has learnt it.
        for reader in self._open:
            self.stage.tell("ended", reader=reader, how="lost")

    def _tell(self, event: Any) -> None:
        """Report what a user of this client looks at."""
        tell = self.stage.tell
        match event.type:
            case "audio":
                found = event.audio.response_id
                reader = self._names.get(found, found)
                tell("audio", reader=reader, pcm=event.audio.data, response=found)
            case "audio_interrupted":
                tell("audio interrupted")
            case "tool_end":
                tell("tool end", arguments=event.arguments, output=event.output)
            case "history_updated":
                tell("history", items=[shown(item) for item in event.history])
            case "error":
                tell("error", what=str(event.error))
            case "raw_model_event" if event.data.type == "raw_server_event":
                self._raw(event.data.data)
            case kind:
                tell("session event", type=kind)

    def _raw(self, event: dict[str, Any]) -> None:
        tell = self.stage.tell
        match event["type"]:
            case "response.created":
                self._named(event["response"])
            case "response.output_text.delta":
                reader = self._names.get(event["response_id"], event["response_id"])
                tell("text", reader=reader, text=event["delta"])
            case "response.done":
                response = event["response"]
                facts = {"response": response["id"], "metadata": response.get("metadata")}
                tell("done", status=response["status"], **facts)
                reader = self._named(response)
                tell("ended", reader=reader, how=response["status"])
                if reader in self._open:
                    self._open.remove(reader)
            case kind:
                tell("event", type=kind)

    def _named(self, response: dict[str, Any]) -> str:
        found = response.get("id") or ""
        metadata = response.get("metadata") or {}
        if found not in self._names:
            if "reader" in metadata:
                self._names[found] = metadata["reader"]
            elif self._asked:
                self._names[found] = self._asked.pop(0)
        return self._names.get(found, found)

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        self._asked.append(reader)
        self._open.append(reader)
        await self._session.send_message(words)

    async def aside(self, *, reader: str, words: str) -> None:
        self._open.append(reader)
        wanted = {
            "conversation": "none",
            "instructions": words,
            "metadata": {"reader": reader},
        }
        message: Any = {"type": "response.create", "other_data": {"response": wanted}}
        await self._session.model.send_event(RealtimeModelSendRawMessage(message=message))

    async def speak(self, *, part: str = "") -> None:
        for piece in self.stage.spoken(part):
            await self._session.send_audio(piece)

    async def interrupt(self) -> None:
        await self._session.interrupt()

    async def forced_interrupt(self) -> None:
        """The interruption that cancels under turn detection, too."""
        await self._session.model.send_event(RealtimeModelSendInterrupt(force_response_cancel=True))

    async def close(self) -> None:
        self._loop.cancel()
        await self._session.close()


def shown(item: Any) -> dict[str, Any]:
    if item.type == "message":
        words = [
            getattr(part, "text", None) or getattr(part, "transcript", None)
            for part in item.content
        ]
        return {"role": item.role, "words": words}
    return {"call": item.name, "output": item.output}


if __name__ == "__main__":
    perform(AgentsClient)
