"""What a response answers: by script, by the built-in conversation, or by work done elsewhere."""

from collections.abc import Callable
from typing import Any

from antiphon.emulator.engine.core import Core
from antiphon.emulator.engine.generation import Feed, plan, plan_from
from antiphon.emulator.engine.hearing import Hearing
from antiphon.emulator.engine.prompting import Context
from antiphon.emulator.engine.response import Phase, Response
from antiphon.emulator.faculties.chat import chat_of
from antiphon.emulator.faculties.work import Ended, Failed, Respond, Result
from antiphon.emulator.scripts.builtin import converse
from antiphon.emulator.scripts.script import Answer, OutputKind, Prompt

__all__ = ["Answers"]

Json = dict[str, Any]
# How long the output of a response may pause before it fails.
PATIENCE_S = 90.0


class Answers:
    """Gives responses their steps.

    Args:
        core: what is shared.
        hearing: for when the user is understood.
        go_on: called when there is more for a response whose steps had run dry.
    """

    def __init__(self, core: Core, hearing: Hearing, go_on: Callable[[Response], None]) -> None:
        self._core = core
        self._go_on = go_on
        self._hearing = hearing

    def begin(self, response: Response, params: Json, context: Context) -> None:
        """Set the response's steps: now, or when what the user said last is understood."""
        if context.is_unheard:
            self._hearing.after_next(lambda: self._heard(response, params, context))
        else:
            self._answer(response, params, context)

    def drop(self, response: Response) -> None:
        """Nothing more is wanted."""
        if response.work_id is not None:
            self._core.desk.drop(response.work_id)
            response.work_id = None

    def overdue(self, response: Response) -> None:
        """Its output has paused for too long."""
        self.drop(response)
        if response.feed is not None:
            response.feed.put(Failed("model_timeout", "The model did not answer in time."))
            self._go_on(response)

    def _heard(self, response: Response, params: Json, context: Context) -> None:
        if response.phase not in (Phase.ACCEPTED, Phase.GENERATING):
            return
        self.begin(response, params, context)
        if response.steps is not None and response.phase is Phase.GENERATING:
            self._go_on(response)

    def _answer(self, response: Response, params: Json, context: Context) -> None:
        core = self._core
        prompt = self._prompt(response, params, context)
        answer = core.script.respond(prompt)
        if answer is None and not core.desk.faculties.thinks:
            answer = converse(prompt)
        pace = (answer and answer.own_pace) or core.behaviour.pace
        if answer is not None:
            response.ending = answer.ending
            if not self._is_spoken(response, answer):
                response.steps = plan(
                    answer, modality=response.modality, pace=pace, audio=response.audio
                )
                return
        work = self._work(response, params, context, answer)
        feed = response.feed = Feed(lambda: self._proceed(response))
        response.steps = plan_from(
            feed, modality=response.modality, pace=pace, audio=response.audio
        )
        response.work_id = core.desk.ask(work, lambda result: self._fed(response, result))

    def _is_spoken(self, response: Response, answer: Answer) -> bool:
        return (
            self._core.desk.faculties.speaks
            and response.modality == "audio"
            and any(item.kind is OutputKind.SPEECH for item in answer.items)
        )

    def _work(
        self, response: Response, params: Json, context: Context, answer: Answer | None
    ) -> Respond:
        if answer is not None:
            return Respond(response.modality, response.audio, outputs=answer.items)
        config = self._core.session.config
        chat = chat_of(
            params.get("instructions") or config["instructions"],
            context.items,
            tools=config["tools"] if params.get("tools") is None else params["tools"],
            tool_choice=params.get("tool_choice") or config["tool_choice"],
            max_output_tokens=response.max_output_tokens,
            parallel_tool_calls=config["parallel_tool_calls"] is not False,
        )
        return Respond(response.modality, response.audio, chat=chat)

    def _proceed(self, response: Response) -> None:
        if response.work_id is not None:
            self._core.desk.proceed(response.work_id)

    def _fed(self, response: Response, result: Result) -> None:
        assert response.feed is not None, "work was asked for together with its feed"
        response.feed.put(result)
        if isinstance(result, Ended | Failed):
            response.work_id = None
        if response.is_dry:
            self._go_on(response)

    def _prompt(self, response: Response, params: Json, context: Context) -> Prompt:
        config = self._core.session.config
        return Prompt(
            lane=response.lane,
            turn=response.turn,
            automatic=response.automatic,
            text=context.text,
            instructions=params.get("instructions") or "",
            session_instructions=config["instructions"],
            metadata=params.get("metadata") or {},
            modality=response.modality,
            tools=config["tools"] if params.get("tools") is None else params["tools"],
            tool_choice=params.get("tool_choice") or config["tool_choice"],
            tool_output=context.tool_output,
        )
