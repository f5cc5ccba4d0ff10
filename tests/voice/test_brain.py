"""A chat-completions endpoint as the emulator's brain, over real sockets."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterator

import pytest
from aiohttp import web

from antiphon.emulator import Behaviour, ChatBrain, EmulatorServer, Pace, Script, say
from antiphon.emulator.audio import speech
from antiphon.emulator.faculties.brain import BrainError, Called, Finished, Said, Thought
from antiphon.emulator.faculties.chat import Chat
from antiphon.exceptions import MissingDependency
from tests.voice.chat_server import ChatServer, chat_server, finish, part_of_call, said, streams
from tests.voice.talk import SECONDS, Talk, talk

__all__: list[str] = []

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CHAT = Chat(({"role": "user", "content": "hello"},))


@pytest.fixture
async def chat() -> AsyncIterator[ChatServer]:
    async with chat_server() as server:
        yield server


@pytest.fixture
async def client(chat: ChatServer) -> AsyncGenerator[Talk, None]:
    brain = ChatBrain(chat.url, "small", "sesame")
    fast = Behaviour(pace=Pace.instant())
    async with EmulatorServer(fast, brain=brain) as server, talk(server.url) as made:
        yield made


async def thoughts(brain: ChatBrain, about: Chat = CHAT) -> list[Thought]:
    async with asyncio.timeout(SECONDS):
        return [thought async for thought in brain.think(about)]


async def test_a_conversation_with_a_tool_call(chat: ChatServer, client: Talk) -> None:
    chat.answers = [
        streams(
            said("Let me"),
            said(" look. "),
            part_of_call("", name="weather"),
            part_of_call('{"city":'),
            part_of_call(' "Oslo"}'),
            finish("tool_calls"),
        ),
        streams(said("It rains "), said("in Oslo."), finish()),
    ]
    await client.configure(
        instructions="Be short.", tools=[WEATHER], output_modalities=["text"], tool_choice="auto"
    )
    await client.say("How is the weather in Oslo?")
    await client.send("response.create")
    first = await client.done()
    assert first["status"] == "completed"
    message, call = first["output"]
    assert message["content"][0]["text"] == "Let me look. "
    assert call["name"] == "weather"
    assert json.loads(call["arguments"]) == {"city": "Oslo"}

    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "rain"}
    await client.send("conversation.item.create", item=output)
    await client.send("response.create")
    second = await client.done()
    assert second["output"][0]["content"][0]["text"] == "It rains in Oslo."

    assert chat.keys == ["Bearer sesame"] * 2
    asked, then = chat.asked
    assert (asked["model"], asked["stream"], asked["tool_choice"]) == ("small", True, "auto")
    assert asked["tools"][0]["function"]["parameters"] == WEATHER["parameters"]
    assert asked["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "How is the weather in Oslo?"},
    ]
    made = {"name": "weather", "arguments": call["arguments"]}
    assert then["messages"][2:] == [
        {
            "role": "assistant",
            "content": "Let me look. ",
            "tool_calls": [{"id": call["call_id"], "type": "function", "function": made}],
        },
        {"role": "tool", "tool_call_id": call["call_id"], "content": "rain"},
    ]


async def test_without_a_voice_its_answers_are_a_tone_with_a_transcript(
    chat: ChatServer, client: Talk
) -> None:
    chat.answers = [streams(said("One two three. Four five"), said(" six."), finish())]
    await client.send("response.create")
    response = await client.done()
    words = response["output"][0]["content"][0]["transcript"]
    assert words == "One two three. Four five six."
    (span,) = speech.spans(client.audio(response["id"]))
    assert span.tag == speech.tag_of(response["id"])


async def test_a_first_sentence_is_spoken_before_the_brain_has_finished(
    chat: ChatServer, client: Talk
) -> None:
    rest = asyncio.Event()
    chat.answers = [streams(said("One two three. "), said("Four"), then=rest)]
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    rest.set()
    assert (await client.done())["output"][0]["content"][0]["transcript"] == "One two three. Four"


async def test_barge_in_ends_the_request_and_the_next_turn_is_answered(
    chat: ChatServer, client: Talk
) -> None:
    never = asyncio.Event()
    chat.answers = [
        streams(said("A very long story. It began "), then=never),
        streams(said("Yes?"), finish()),
    ]
    await client.send("response.create")
    await client.until("response.output_audio.delta")
    await client.speak(speech.user_voice(600))
    cut = await client.done()
    assert cut["status"] == "cancelled"
    assert cut["status_details"]["reason"] == "turn_detected"
    async with asyncio.timeout(SECONDS):
        await chat.left.wait()
    assert (await client.done())["output"][0]["content"][0]["transcript"] == "Yes?"


async def test_a_lost_connection_ends_the_request(chat: ChatServer) -> None:
    chat.answers = [streams(said("A very long story. It began "), then=asyncio.Event())]
    async with EmulatorServer(brain=ChatBrain(chat.url, "small")) as server:
        async with talk(server.url) as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")
        async with asyncio.timeout(SECONDS):
            await chat.left.wait()


async def test_a_response_beside_the_conversation_has_its_own_context(
    chat: ChatServer, client: Talk
) -> None:
    chat.answers = [streams(said("happy"), finish())]
    await client.say("not for this one")
    content = [{"type": "input_text", "text": "The mood of: hooray?"}]
    await client.send(
        "response.create",
        response={
            "conversation": "none",
            "input": [{"type": "message", "role": "user", "content": content}],
            "instructions": "One word.",
            "output_modalities": ["text"],
            "max_output_tokens": 50,
        },
    )
    assert (await client.done())["output"][0]["content"][0]["text"] == "happy"
    assert [one["content"] for one in chat.asked[0]["messages"]] == [
        "One word.",
        "The mood of: hooray?",
    ]
    assert chat.asked[0]["max_tokens"] == 50


async def test_a_script_goes_first(chat: ChatServer) -> None:
    chat.answers = [streams(said("thought"), finish())]
    brain = ChatBrain(chat.url, "small")
    script = Script([say("as written")])
    async with EmulatorServer(script=script, brain=brain) as server, talk(server.url) as client:
        await client.configure(output_modalities=["text"])
        said_so = []
        for _ in range(2):
            await client.send("response.create")
            said_so.append((await client.done())["output"][0]["content"][0]["text"])
    assert said_so == ["as written", "thought"]
    assert chat.keys == [None]


async def test_a_brain_that_is_down_fails_the_response_and_the_session_lives_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    brain = ChatBrain(f"http://127.0.0.1:{port}/v1", "small")
    async with EmulatorServer(brain=brain) as server, talk(server.url) as client:
        for _ in range(2):
            await client.send("response.create")
            response = await client.done()
            assert response["status"] == "failed"
            error = response["status_details"]["error"]
            assert (error["type"], error["code"]) == ("server_error", "brain_unreachable")


# The brain alone


@pytest.mark.parametrize(
    ("reason", "details"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
async def test_an_answer_cut_short_is_incomplete(
    chat: ChatServer, client: Talk, reason: str, details: str
) -> None:
    chat.answers = [streams(said("And so"), finish(reason))]
    await client.send("response.create")
    response = await client.done()
    assert response["status_details"] == {"type": "incomplete", "reason": details}


async def test_a_server_that_does_not_stream(chat: ChatServer) -> None:
    call = {"id": "x", "type": "function", "function": {"name": "look", "arguments": ""}}
    message = {"role": "assistant", "content": "Well.", "tool_calls": [call]}
    whole = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response(whole)

    chat.answers = [answer]
    brain = ChatBrain(f"{chat.url}/chat/completions", "small")
    assert await thoughts(brain) == [Said("Well."), Called("look", "{}"), Finished("tool_calls")]


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("data: {nonsense\n\n", 200, "brain_confused"),
        ('data: ["no object"]\n\n', 200, "brain_confused"),
        ('data: {"choices": [{"delta": {"tool_calls": [7]}}]}\n\n', 200, "brain_confused"),
        ('data: {"error": {"message": "secret"}}\n\n', 200, "brain_refused"),
        ("data: " + "x" * 500_000, 200, "brain_confused"),
        ("who are you?", 401, "brain_refused"),
    ],
)
async def test_what_makes_no_sense_is_an_error_with_a_code(
    chat: ChatServer, text: str, status: int, code: str
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(text=text, status=status, content_type="text/event-stream")

    chat.answers = [answer]
    with pytest.raises(BrainError) as caught:
        await thoughts(ChatBrain(chat.url, "small"))
    assert caught.value.code == code
    assert "secret" not in str(caught.value)


async def test_a_silent_brain_is_given_up(chat: ChatServer) -> None:
    chat.answers = [streams(said("Hm"), then=asyncio.Event())]
    with pytest.raises(BrainError) as caught:
        await thoughts(ChatBrain(chat.url, "small", timeout_s=0.2))
    assert caught.value.code == "brain_timeout"


async def test_a_brain_that_runs_wild_is_stopped(chat: ChatServer) -> None:
    chat.answers = [streams(*[said("more and more " * 1000)] * 10, finish())]
    found = await thoughts(ChatBrain(chat.url, "small"))
    assert found[-1] == Finished("length")
    assert len(found) < 8


async def test_calls_of_an_answer_cut_short_are_not_made(chat: ChatServer) -> None:
    chat.answers = [streams(part_of_call('{"ci', name="weather"), finish("length"))]
    assert await thoughts(ChatBrain(chat.url, "small")) == [Finished("length")]


async def test_more_options_go_into_the_request(chat: ChatServer) -> None:
    chat.answers = [streams(finish())]
    await thoughts(ChatBrain(chat.url, "small", options={"temperature": 0.5}))
    assert chat.asked[0]["temperature"] == 0.5


def test_without_aiohttp_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("antiphon.emulator.faculties.brain.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'antiphon\[voice\]'"):
        ChatBrain("http://127.0.0.1:1/v1", "small")
