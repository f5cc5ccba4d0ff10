"""Somebody's own model as the emulator's brain, over an OpenAI-compatible endpoint.

    EmulatorServer(brain=ChatBrain("http://127.0.0.1:8080/v1", "my-model"))

It speaks the chat-completions protocol as a stream of server-sent events, which llama.cpp, vLLM,
Ollama, LocalAI and many more understand. What it is asked for and what it answers is never logged.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from antiphon.emulator.faculties.chat import Chat
from antiphon.exceptions import MissingDependency

if TYPE_CHECKING:
    import aiohttp

__all__ = ["BrainError", "Called", "ChatBrain", "Finished", "Said", "Thought"]

Json = dict[str, Any]
# A model that runs wild is stopped: about an hour of speech.
MAX_CHARACTERS = 50_000
MAX_CALLS = 64
CONNECT_TIMEOUT_S = 10.0


class BrainError(Exception):
    """The endpoint did not answer as it should.

    Args:
        code: for programs: `brain_unreachable`, `brain_timeout`, `brain_refused` or
            `brain_confused`.
        message: for people; holds nothing of the conversation.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Said:
    """More words."""

    words: str


@dataclass(frozen=True, slots=True)
class Called:
    """A function is called; arguments as the model wrote them."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is complete, or cut short: the endpoint's `finish_reason`."""

    reason: str


Thought = Said | Called | Finished


class ChatBrain:
    """A chat-completions endpoint.

    Args:
        url: its base, such as `http://127.0.0.1:8080/v1`, or the whole address ending in
            `/chat/completions`.
        model: the model's name there.
        api_key: sent as a bearer token; None sends none.
        timeout_s: seconds without a byte after which an answer has failed.
        options: more fields of the request, such as `{"temperature": 0.7}`.

    Raises:
        MissingDependency: aiohttp is not installed.
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 60.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if find_spec("aiohttp") is None:
            raise MissingDependency(
                "a brain over HTTP needs aiohttp: pip install 'antiphon[voice]'"
            )
        base = url.rstrip("/")
        self.url = base if base.endswith("/chat/completions") else f"{base}/chat/completions"
        self.model = model
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._timeout_s = timeout_s
        self._options = dict(options or {})

    async def think(self, chat: Chat) -> AsyncGenerator[Thought, None]:
        """Answer, as it comes; the last thought is `Finished`.

        Closing the generator, or cancelling the task that reads it, ends the request at once.

        Raises:
            BrainError: the endpoint cannot be reached, refuses, is silent for too long, or says
                what is no chat completion.
        """
        import aiohttp

        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._timeout_s
        )
        answer = _Answer()
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, json=self._body(chat), headers=self._headers) as response,
            ):
                if response.status >= 400:
                    raise BrainError("brain_refused", f"The model answered HTTP {response.status}.")
                async for chunk in _chunks(response):
                    words = answer.take(chunk)
                    if words:
                        yield Said(words)
                    if answer.is_too_long:
                        break
        except TimeoutError:
            raise BrainError("brain_timeout", "The model did not answer in time.") from None
        except aiohttp.ClientConnectionError as error:
            kind = type(error).__name__
            raise BrainError(
                "brain_unreachable", f"The model cannot be reached ({kind})."
            ) from None
        except (aiohttp.ClientError, ValueError, TypeError, AttributeError, KeyError) as error:
            kind = type(error).__name__
            raise BrainError(
                "brain_confused", f"The model's answer makes no sense ({kind})."
            ) from None
        for call in answer.calls():
            yield call
        yield Finished(answer.reason)

    def _body(self, chat: Chat) -> Json:
        body: Json = {"model": self.model, "messages": list(chat.messages), "stream": True}
        if chat.tools:
            body["tools"] = list(chat.tools)
            body["tool_choice"] = chat.tool_choice
            if not chat.parallel_tool_calls:
                body["parallel_tool_calls"] = False
        if chat.max_tokens is not None:
            body["max_tokens"] = chat.max_tokens
        return body | self._options


async def _chunks(response: "aiohttp.ClientResponse") -> AsyncIterator[Json]:
    """The objects of a stream of events, or the one object of a server that does not stream."""
    if response.content_type == "application/json":
        whole: Json = await response.json()
        yield {"choices": [_as_chunk(choice) for choice in whole["choices"][:1]]}
        return
    async for line in response.content:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        chunk = json.loads(data)
        if "error" in chunk:
            raise BrainError("brain_refused", "The model gave up in the middle of its answer.")
        yield chunk


def _as_chunk(choice: Json) -> Json:
    message = dict(choice["message"])
    calls = message.get("tool_calls") or []
    message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
    return {"delta": message, "finish_reason": choice.get("finish_reason")}


@dataclass(slots=True)
class _Call:
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class _Answer:
    """What has come so far. Calls arrive in parts, by their index."""

    reason: str = "stop"
    length: int = 0
    parts: dict[int, _Call] = field(default_factory=dict)

    def take(self, chunk: Json) -> str:
        """Take in a chunk; the words that are new in it."""
        choices = chunk.get("choices") or []
        if not choices:
            return ""  # such as the one with the usage
        choice = choices[0]
        self.reason = choice.get("finish_reason") or self.reason
        delta = choice.get("delta") or {}
        for part in delta.get("tool_calls") or []:
            self._take_call(part)
        words = str(delta.get("content") or "")
        self.length += len(words)
        return words

    def _take_call(self, part: Json) -> None:
        index = int(part.get("index") or 0)
        if index not in self.parts and len(self.parts) >= MAX_CALLS:
            raise ValueError("too many calls")
        call = self.parts.setdefault(index, _Call())
        function = part.get("function") or {}
        # Some servers repeat the name in every part.
        call.name = str(function.get("name") or "") or call.name
        call.arguments += str(function.get("arguments") or "")
        self.length += len(str(function.get("arguments") or ""))

    @property
    def is_too_long(self) -> bool:
        if self.length <= MAX_CHARACTERS:
            return False
        self.reason = "length"
        return True

    def calls(self) -> list[Called]:
        """The calls, in order; none of an answer that was cut short, whose last may be half."""
        if self.reason == "length":
            return []
        made = [self.parts[index] for index in sorted(self.parts)]
        return [Called(call.name, call.arguments or "{}") for call in made if call.name]
