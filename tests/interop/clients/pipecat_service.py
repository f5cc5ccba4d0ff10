"""pipecat: `OpenAIRealtimeLLMService` in a pipeline, with its context aggregators."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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

from tests.interop.clients.stage import Stage, perform

__all__: list[str] = []


async def get_weather(params: Any, city: str) -> None:
    """The weather in a city.

    Args:
        city: which one.
    """
    await params.result_callback({"weather": f"sunny in {city}"})


class Watch(FrameProcessor):
    """Tells of the frames that pass, and lets a scenario wait for them."""

    def __init__(self, stage: Stage, place: str) -> None:
        super().__init__()
        self._stage = stage
        self._place = place
        self._seen: list[Frame] = []
        self._news = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._tell(frame)
        self._seen.append(frame)
        self._news.set()
        await self.push_frame(frame, direction)

    def _tell(self, frame: Frame) -> None:
        match frame:
            case TTSAudioRawFrame():
                self._stage.tell("audio", pcm=frame.audio)
            case LLMTextFrame():
                self._stage.tell("text", text=frame.text)
            case TranscriptionFrame():
                self._stage.tell("heard", text=frame.text)
            case ErrorFrame():
                self._stage.tell("error", what=frame.error)
            case TTSStartedFrame() | TTSStoppedFrame() | LLMFullResponseEndFrame():
                self._stage.tell(type(frame).__name__)

    async def until(self, kind: type[Frame], times: int = 1, after: str = "") -> None:
        """Return when so many frames of a kind have passed, after a text perhaps."""
        while not self._has(kind, times, after):
            self._news.clear()
            await self._news.wait()

    def _has(self, kind: type[Frame], times: int, after: str) -> bool:
        started = not after
        for frame in self._seen:
            started = started or (isinstance(frame, LLMTextFrame) and frame.text == after)
            times -= started and isinstance(frame, kind)
        return times <= 0


class Bot:
    """A running pipeline."""

    def __init__(self, stage: Stage, settings: events.SessionProperties, tools: list[Any]) -> None:
        self.service = OpenAIRealtimeLLMService(
            api_key="unused",
            base_url=stage.url,
            settings=OpenAIRealtimeLLMService.Settings(
                model="gpt-realtime", session_properties=settings
            ),
        )
        self.context = LLMContext([], ToolsSchema(standard_tools=tools))
        aggregators = LLMContextAggregatorPair(self.context)
        # Transcriptions travel up from the service, everything else down.
        self.above = Watch(stage, "above")
        self.below = Watch(stage, "below")
        self.worker = PipelineWorker(
            Pipeline(
                [
                    aggregators.user(),
                    self.above,
                    self.service,
                    self.below,
                    aggregators.assistant(),
                ]
            ),
            params=PipelineParams(enable_metrics=False),
            enable_rtvi=False,
        )

    async def ask(self, words: str) -> None:
        self.context.add_message({"role": "user", "content": words})
        await self.worker.queue_frames([LLMContextFrame(self.context)])

    async def played(self) -> None:
        """What an output transport says when everything was heard."""
        await self.worker.queue_frames([BotStoppedSpeakingFrame()])

    async def speak(self, stage: Stage) -> None:
        for piece in stage.spoken():
            frame = InputAudioRawFrame(audio=piece, sample_rate=24000, num_channels=1)
            await self.worker.queue_frames([frame])


@asynccontextmanager
async def running(
    stage: Stage, tools: list[Any] | None = None, *, vad: bool = False, **settings: Any
) -> AsyncIterator[Bot]:
    hears: dict[str, Any] = {"turn_detection": False}
    if vad:
        hears = {
            "turn_detection": events.TurnDetection(silence_duration_ms=300),
            "transcription": events.InputAudioTranscription(),
        }
    audio = events.AudioConfiguration(input=events.AudioInput(**hears))
    bot = Bot(stage, events.SessionProperties(audio=audio, **settings), tools or [])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(bot.worker)
    task = asyncio.create_task(runner.run())
    try:
        await bot.below.until(StartFrame)
        yield bot
    finally:
        await bot.worker.cancel()
        await task


async def text_turn(stage: Stage) -> None:
    async with running(stage, output_modalities=["text"]) as bot:
        await bot.ask("Hello there.")
        await bot.below.until(LLMFullResponseEndFrame)


async def audio_turn(stage: Stage) -> None:
    async with running(stage, vad=True) as bot:
        # As its examples do: the bot greets, which also sets the conversation up.
        await bot.ask("Greet me.")
        await bot.below.until(TTSStoppedFrame)
        await bot.played()
        stage.tell("greeted")
        await bot.speak(stage)
        await bot.below.until(TTSStoppedFrame, 2)
        await bot.above.until(TranscriptionFrame)


async def tool_round(stage: Stage) -> None:
    async with running(stage, [get_weather], output_modalities=["text"]) as bot:
        await bot.ask("What is the weather in Oslo?")
        await bot.below.until(LLMTextFrame)
        await bot.below.until(LLMFullResponseEndFrame, 2)


async def interruption(stage: Stage) -> None:
    async with running(stage) as bot:
        await bot.ask("Tell me a long story.")
        await bot.below.until(TTSAudioRawFrame, 5)
        await bot.worker.queue_frames([InterruptionFrame()])
        await bot.below.until(InterruptionFrame)
        await bot.below.until(LLMFullResponseEndFrame)


async def barge_in(stage: Stage) -> None:
    async with running(stage, vad=True) as bot:
        await bot.ask("Tell me a long story.")
        await bot.below.until(TTSAudioRawFrame, 5)
        await bot.speak(stage)
        await bot.below.until(TTSStoppedFrame, after="Sunny.")


class Aside(events.ResponseProperties):
    """Its own properties know no out-of-band responses."""

    conversation: str = "none"
    metadata: dict[str, str] = {"purpose": "aside"}


class AsideEvent(events.ResponseCreateEvent):
    """The event that asks for one."""

    response: Aside = Aside()


async def aside(bot: Bot) -> None:
    await bot.service.send_client_event(AsideEvent())


async def two_in_flight(stage: Stage) -> None:
    async with running(stage) as bot:
        await bot.ask("Tell me something.")
        await bot.below.until(TTSStartedFrame)
        await aside(bot)
        await bot.below.until(LLMFullResponseEndFrame, 2)


async def bare_cancel(stage: Stage) -> None:
    async with running(stage) as bot:
        await bot.ask("Greet me.")
        await bot.below.until(LLMFullResponseEndFrame)
        await bot.played()
        stage.tell("greeted")
        await aside(bot)
        await bot.below.until(TTSAudioRawFrame, 3, after="An aside.")
        await bot.worker.queue_frames([InterruptionFrame()])
        await bot.above.until(ErrorFrame)


async def reconnect(stage: Stage) -> None:
    async with running(stage, vad=True) as bot:
        await bot.ask("Hello there.")
        await bot.below.until(LLMFullResponseEndFrame)
        await bot.played()
        stage.tell("cut me")
        try:
            async with asyncio.timeout(1):
                await bot.above.until(ErrorFrame)
        except TimeoutError:
            stage.tell("nothing said")
        # Its users' way back. Only a spoken turn is answered after it.
        await bot.service.reset_conversation()
        await bot.speak(stage)
        await bot.below.until(TTSStoppedFrame, after="I am back.")


if __name__ == "__main__":
    logger.remove()
    perform(
        text_turn,
        audio_turn,
        tool_round,
        interruption,
        barge_in,
        two_in_flight,
        bare_cancel,
        reconnect,
    )
