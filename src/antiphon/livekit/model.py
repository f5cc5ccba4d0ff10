"""The model that an `AgentSession` is given: options, capabilities, and a factory of sessions."""

import logging
import os
import weakref
from collections.abc import Sequence
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import aiohttp
from livekit.agents import llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from livekit.agents.utils import is_given

from antiphon.livekit.compat import known
from antiphon.livekit.options import (
    AZURE_TRANSCRIPTION,
    AZURE_TURN_DETECTION,
    DEFAULTS,
    InterruptOutOfBand,
    ModelOptions,
    address,
    on_this_machine,
    read,
    read_given,
    server_only_interrupts,
    server_takes_turns,
)
from antiphon.livekit.session import RealtimeSession
from antiphon.models import DEFAULT_MODEL

__all__ = ["DEFAULT_MODEL", "RealtimeModel"]

logger = logging.getLogger("antiphon.livekit")

_DEFAULT_BASE_URL = "https://api.openai.com/v1"
_DEFAULT_VOICE = DEFAULTS["voice"]
_DEFAULT_SESSION_DURATION = 20 * 60.0


class RealtimeModel(llm.RealtimeModel):
    """A Realtime endpoint, for `AgentSession(llm=…)`.

    Takes what the OpenAI plugin's model takes, with the same defaults but for two models that have
    successors (P-479); types of the openai package and plain dicts are both fine.

    Args:
        model: the model's name.
        voice: a voice's name, or `{"id": …}`.
        modalities: `["text"]` for text alone; by default spoken, with a transcript.
        tool_choice: whether tools are called: `"auto"`, `"none"`, `"required"`, or a function.
        base_url: `https://…/v1`; default `OPENAI_BASE_URL`, else OpenAI's.
        input_audio_transcription: how the user's speech is transcribed; None for not at all.
        input_audio_noise_reduction: `"near_field"`, `"far_field"`, or None.
        turn_detection: the server's turn detection; None leaves turns to the framework.
        speed: of speech, 0.25 to 1.5.
        tracing, truncation, reasoning: as in the API's session object.
        api_key: default `OPENAI_API_KEY`.
        http_session: opens the WebSocket, for a proxy or certificates of its own. By default
            antiphon opens it itself.
        azure_deployment, entra_token, api_version: Azure; see `with_azure`.
        max_session_duration: seconds after which a fresh connection takes over at a quiet moment;
            None for as long as the server allows.
        conn_options: how often, and how soon, to connect again.
        max_in_flight: at most so many responses at once. 1 is the model of the stock plugin, where
            out-of-band responses wait for their turn too; None for as many as the server takes.
        interrupt_out_of_band: which of the framework's interruptions stop responses out of band
            too. `"always"`: each, and the framework also interrupts before a tool's reply and at
            a handoff; `"on_speech"`: only those since the user has spoken; `"never"`.
        temperature: not an option of the API any more; ignored.

    Raises:
        ValueError: an option's value cannot mean anything, or there is no API key (a server on
            this machine needs none). The message begins with the option's name.
    """

    def __init__(
        self,
        *,
        model: str = DEFAULT_MODEL,
        voice: Any = _DEFAULT_VOICE,
        modalities: NotGivenOr[Sequence[Literal["text", "audio"]]] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice | None] = NOT_GIVEN,
        base_url: NotGivenOr[str] = NOT_GIVEN,
        input_audio_transcription: NotGivenOr[Any] = NOT_GIVEN,
        input_audio_noise_reduction: NotGivenOr[Any] = NOT_GIVEN,
        turn_detection: NotGivenOr[Any] = NOT_GIVEN,
        speed: NotGivenOr[float] = NOT_GIVEN,
        tracing: NotGivenOr[Any] = NOT_GIVEN,
        truncation: NotGivenOr[Any] = NOT_GIVEN,
        reasoning: NotGivenOr[Any] = NOT_GIVEN,
        api_key: str | None = None,
        http_session: aiohttp.ClientSession | None = None,
        azure_deployment: str | None = None,
        entra_token: str | None = None,
        api_version: str | None = None,
        max_session_duration: NotGivenOr[float | None] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        max_in_flight: int | None = None,
        interrupt_out_of_band: InterruptOutOfBand = "always",
        temperature: NotGivenOr[float] = NOT_GIVEN,
    ) -> None:
        settings = DEFAULTS | read_given(
            voice=voice,
            tool_choice=tool_choice,
            input_audio_transcription=input_audio_transcription,
            input_audio_noise_reduction=input_audio_noise_reduction,
            turn_detection=turn_detection,
            speed=speed,
            tracing=tracing,
            truncation=truncation,
            reasoning=reasoning,
        )
        spoken = read("modalities", modalities if is_given(modalities) else ["text", "audio"])
        super().__init__(
            capabilities=known(
                llm.RealtimeCapabilities,
                message_truncation=True,
                turn_detection=server_takes_turns(settings["turn_detection"]),
                user_transcription=settings["input_audio_transcription"] is not None,
                auto_tool_reply_generation=False,
                audio_output="audio" in spoken,
                manual_function_calls=True,
                can_disable_turn_detection=not is_given(turn_detection),
                mutable_chat_context=True,
                mutable_instructions=True,
                mutable_tools=True,
                per_response_tool_choice=True,
            )
        )
        if is_given(temperature):
            logger.warning("temperature is no option of the Realtime API any more; ignored")
        api_version = api_version or os.environ.get("OPENAI_API_VERSION")
        azure = any(part is not None for part in (api_version, entra_token, azure_deployment))
        url = address(
            base_url if is_given(base_url) else _base_url(azure),
            model=(azure_deployment or model) if azure else model,
            azure=azure,
            api_version=api_version if azure else None,
        )
        api_key = api_key or os.environ.get("OPENAI_API_KEY")
        self.options = ModelOptions(
            model=read("model", model),
            modalities=spoken,
            settings=settings,
            url=url,
            headers=_headers(api_key, entra_token, azure, needed=not on_this_machine(url)),
            azure=azure,
            beta=azure and api_version is not None,
            max_session_duration=read(
                "max_session_duration",
                max_session_duration
                if is_given(max_session_duration)
                else _DEFAULT_SESSION_DURATION,
            ),
            conn_options=read("conn_options", conn_options),
            max_in_flight=read("max_in_flight", max_in_flight),
            interrupt_out_of_band=read("interrupt_out_of_band", interrupt_out_of_band),
        )
        self.http_session = http_session
        self._sessions: weakref.WeakSet[RealtimeSession] = weakref.WeakSet()
        self._warn()

    @classmethod
    def with_azure(
        cls,
        *,
        azure_deployment: str,
        azure_endpoint: str | None = None,
        api_key: str | None = None,
        entra_token: str | None = None,
        api_version: str | None = None,
        base_url: str | None = None,
        voice: Any = _DEFAULT_VOICE,
        modalities: NotGivenOr[Sequence[Literal["text", "audio"]]] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice | None] = NOT_GIVEN,
        input_audio_transcription: NotGivenOr[Any] = NOT_GIVEN,
        input_audio_noise_reduction: NotGivenOr[Any] = NOT_GIVEN,
        turn_detection: NotGivenOr[Any] = NOT_GIVEN,
        speed: NotGivenOr[float] = NOT_GIVEN,
        tracing: NotGivenOr[Any] = NOT_GIVEN,
        truncation: NotGivenOr[Any] = NOT_GIVEN,
        reasoning: NotGivenOr[Any] = NOT_GIVEN,
        http_session: aiohttp.ClientSession | None = None,
        max_session_duration: NotGivenOr[float | None] = NOT_GIVEN,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        max_in_flight: int | None = None,
        interrupt_out_of_band: InterruptOutOfBand = "always",
        temperature: NotGivenOr[float] = NOT_GIVEN,
    ) -> Self:
        """A deployment on Azure OpenAI.

        Args:
            azure_deployment: the deployment's name.
            azure_endpoint: `https://NAME.openai.azure.com`; default `AZURE_OPENAI_ENDPOINT`.
            api_key: default `AZURE_OPENAI_API_KEY`.
            entra_token: an Entra ID token, instead of a key.
            api_version: the preview API, with the beta's event names; without it, the GA one.
            base_url: the whole address, instead of `azure_endpoint`.
            input_audio_transcription, turn_detection: as in the constructor, with the defaults
                that suit Azure.
            voice, modalities and the rest: as in the constructor.

        Raises:
            ValueError: no credentials, no endpoint, two endpoints, or an option is wrong.
        """
        api_key = api_key or os.environ.get("AZURE_OPENAI_API_KEY")
        if api_key is None and entra_token is None:
            raise ValueError("api_key: pass it or entra_token, or set AZURE_OPENAI_API_KEY")
        if base_url is not None and azure_endpoint is not None:
            raise ValueError("base_url: give it or azure_endpoint, not both")
        if base_url is None:
            endpoint = azure_endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
            if endpoint is None:
                raise ValueError("azure_endpoint: pass it, or set AZURE_OPENAI_ENDPOINT")
            base_url = f"{endpoint.rstrip('/')}/openai"
        given = is_given(turn_detection)
        made = cls(
            azure_deployment=azure_deployment,
            api_key=api_key,
            entra_token=entra_token,
            api_version=api_version,
            base_url=base_url,
            input_audio_transcription=(
                input_audio_transcription
                if is_given(input_audio_transcription)
                else AZURE_TRANSCRIPTION
            ),
            turn_detection=turn_detection if given else AZURE_TURN_DETECTION,
            voice=voice,
            modalities=modalities,
            tool_choice=tool_choice,
            input_audio_noise_reduction=input_audio_noise_reduction,
            speed=speed,
            tracing=tracing,
            truncation=truncation,
            reasoning=reasoning,
            http_session=http_session,
            max_session_duration=max_session_duration,
            conn_options=conn_options,
            max_in_flight=max_in_flight,
            interrupt_out_of_band=interrupt_out_of_band,
            temperature=temperature,
        )
        # Azure's default is not the caller's wish: the framework may switch it off.
        made.capabilities.can_disable_turn_detection = not given
        return made

    @property
    def model(self) -> str:
        return self.options.model

    @property
    def provider(self) -> str:
        """The host that serves the model."""
        return urlsplit(self.options.url).netloc

    def session(self, *, turn_detection_disabled: bool = False) -> RealtimeSession:
        """A new conversation. It connects in the background; close it with `aclose()`.

        Args:
            turn_detection_disabled: the framework takes the turns, whatever the model's options
                say; the model itself is left as it is.
        """
        session = RealtimeSession(self, turn_detection_disabled=turn_detection_disabled)
        self._sessions.add(session)
        return session

    def update_options(
        self,
        *,
        voice: NotGivenOr[Any] = NOT_GIVEN,
        turn_detection: NotGivenOr[Any] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice | None] = NOT_GIVEN,
        input_audio_transcription: NotGivenOr[Any] = NOT_GIVEN,
        input_audio_noise_reduction: NotGivenOr[Any] = NOT_GIVEN,
        max_response_output_tokens: NotGivenOr[int | Literal["inf"] | None] = NOT_GIVEN,
        speed: NotGivenOr[float] = NOT_GIVEN,
        tracing: NotGivenOr[Any] = NOT_GIVEN,
        truncation: NotGivenOr[Any] = NOT_GIVEN,
        reasoning: NotGivenOr[Any] = NOT_GIVEN,
        temperature: NotGivenOr[float] = NOT_GIVEN,
    ) -> None:
        """Change options for sessions to come and for those that are open.

        Raises:
            ValueError: a value cannot mean anything; nothing was changed.
        """
        given = read_given(
            voice=voice,
            turn_detection=turn_detection,
            tool_choice=tool_choice,
            input_audio_transcription=input_audio_transcription,
            input_audio_noise_reduction=input_audio_noise_reduction,
            max_response_output_tokens=max_response_output_tokens,
            speed=speed,
            tracing=tracing,
            truncation=truncation,
            reasoning=reasoning,
        )
        settings = self.options.settings
        settings |= given
        self.capabilities.turn_detection = server_takes_turns(settings["turn_detection"])
        self.capabilities.user_transcription = settings["input_audio_transcription"] is not None
        if "turn_detection" in given:
            self._warn()
        for session in self._sessions:
            session.change(given)

    def _warn(self) -> None:
        if server_only_interrupts(self.options.settings["turn_detection"]):
            logger.warning(
                "turn_detection: create_response=False leaves turns to the framework, but the "
                "server still interrupts; pass interrupt_response=False as well"
            )

    async def aclose(self) -> None:
        """Nothing is open but the sessions, which are closed by whoever made them."""


def _base_url(azure: bool) -> str:
    if not azure:
        return os.environ.get("OPENAI_BASE_URL") or _DEFAULT_BASE_URL
    endpoint = os.environ.get("AZURE_OPENAI_ENDPOINT")
    if endpoint is None:
        raise ValueError("base_url: pass it, or set AZURE_OPENAI_ENDPOINT")
    return f"{endpoint.rstrip('/')}/openai"


def _headers(
    api_key: str | None, entra_token: str | None, azure: bool, *, needed: bool
) -> dict[str, str]:
    if not azure and api_key is None and needed:
        raise ValueError("api_key: pass it, or set OPENAI_API_KEY")
    headers = {"User-Agent": "antiphon (LiveKit Agents)"}
    if azure:
        if entra_token:
            headers["Authorization"] = f"Bearer {entra_token}"
        if api_key:
            headers["api-key"] = api_key
    elif api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return headers
