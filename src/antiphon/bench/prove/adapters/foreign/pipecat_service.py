"""pipecat: `OpenAIRealtimeLLMService` in a pipeline, with its context aggregators.

Its frames carry no response's id: there is one output. A response out of band is asked for by an
event of one's own, which the service sends.
"""

import asyncio
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMMessagesAppendFrame,
    LLMTextFrame,
    StartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.workers.runner import WorkerRunner
from stage import PLAYER, Client, Stage, perform

__all__ = ["PipecatClient"]


class Watch(FrameProcessor):
    """Tells of the frames that pass."""

    def __init__(self, stage: Stage, started: asyncio.Event | None = None) -> None:
        super().__init__()
        self._stage = stage
        self._started = started
        self.ended: Any = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._tell(frame)
        if isinstance(frame, StartFrame) and self._started is not None:
            self._started.set()
        await self.push_frame(frame, direction)

    def _tell(self, frame: Frame) -> None:
        tell = self._stage.tell
        match frame:
            case TTSAudioRawFrame():
                tell("audio", reader=PLAYER, pcm=frame.audio)
            case LLMTextFrame():
                tell("text", reader=PLAYER, text=frame.text)
            case TranscriptionFrame():
                tell("heard", text=frame.text)
            case ErrorFrame():
                tell("error", what=frame.error)
            case LLMFullResponseEndFrame():
                tell("LLMFullResponseEndFrame")
                tell("ended", reader=PLAYER, how="ended")
            case InterruptionFrame() if self._started is not None:
                tell("InterruptionFrame")
            case TTSStartedFrame() | TTSStoppedFrame():
                tell(type(frame).__name__)
                if isinstance(frame, TTSStoppedFrame) and self.ended is not None:
                    self.ended()


class Aside(events.ResponseProperties):
    """Its own properties know no out-of-band responses."""

    conversation: str = "none"
    metadata: dict[str, str] = {"purpose": "aside"}


class AsideEvent(events.ResponseCreateEvent):
    """The event that asks for one."""

    response: Aside = Aside()


class PipecatClient(Client):
    """A running pipeline."""

    _begun = False

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        tell = self.stage.tell

        async def get_weather(params: Any, city: str, seconds: float = 0.0) -> None:
            """The weather in a city.

            Args:
                city: which one.
                seconds: how long to take.
            """
            tell("tool", city=city)
            await asyncio.sleep(seconds)
            await params.result_callback({"weather": f"sunny in {city}"})

        hears: dict[str, Any] = {"turn_detection": False}
        if vad:
            hears = {
                "turn_detection": events.TurnDetection(silence_duration_ms=300),
                "transcription": events.InputAudioTranscription(),
            }
        settings: dict[str, Any] = {"output_modalities": ["text"]} if text else {}
        audio = events.AudioConfiguration(input=events.AudioInput(**hears))
        self._service = OpenAIRealtimeLLMService(
            api_key="unused",
            base_url=url,
            settings=OpenAIRealtimeLLMService.Settings(
                model="gpt-realtime",
                session_properties=events.SessionProperties(audio=audio, **settings),
            ),
        )
        self._context = LLMContext([], ToolsSchema(standard_tools=[get_weather] if tool else []))
        aggregators = LLMContextAggregatorPair(self._context)
        started = asyncio.Event()
        # Transcriptions travel up from the service, everything else down.
        above, below = Watch(self.stage), Watch(self.stage, started)
        below.ended = self._played
        self._worker = PipelineWorker(
            Pipeline([aggregators.user(), above, self._service, below, aggregators.assistant()]),
            params=PipelineParams(enable_metrics=False),
            enable_rtvi=False,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._running = asyncio.create_task(runner.run())
        await started.wait()

    def _played(self) -> None:
        """What an output transport says when everything was heard."""
        frames = [BotStoppedSpeakingFrame()]
        self._saying = asyncio.create_task(self._worker.queue_frames(frames))

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        message = {"role": "user", "content": words}
        if self._begun:
            # Past the user aggregator, which would keep it: the service puts it in, and the
            # assistant aggregator asks for the answer.
            await self._service.queue_frame(LLMMessagesAppendFrame([message], run_llm=True))
            return
        self._begun = True
        self._context.add_message(message)
        await self._worker.queue_frames([LLMContextFrame(self._context)])

    async def aside(self, *, reader: str, words: str) -> None:
        await self._service.send_client_event(AsideEvent(response=Aside(instructions=words)))

    async def speak(self, *, part: str = "") -> None:
        for piece in self.stage.spoken(part):
            frame = InputAudioRawFrame(audio=piece, sample_rate=24000, num_channels=1)
            await self._worker.queue_frames([frame])

    async def interrupt(self) -> None:
        await self._worker.queue_frames([InterruptionFrame()])

    async def reset(self) -> None:
        """Its user's way back after a lost connection."""
        await self._service.reset_conversation()

    async def close(self) -> None:
        await self._worker.cancel()
        await self._running


if __name__ == "__main__":
    logger.remove()
    perform(PipecatClient)
