"""Test an agent of your own against the emulator: pytest examples/test_my_agent.py

The fixtures `realtime_server` and `realtime_url` come with antiphon; pytest-asyncio runs the
coroutines. Steps that were left over fail the test. Your agent may be written with any client, in
any process: it only needs the address.
"""

import asyncio

import pytest

import antiphon
from antiphon.emulator import Faults, ThreadedServer, call, fail, on, say

pytestmark = pytest.mark.asyncio


class Agent:
    """What is under test: it answers the telephone, and can look up an order."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.said: list[str] = []

    async def answer(self, question: str) -> None:
        async with antiphon.connect(url=self.url) as session:
            await session.send_text(question)
            try:
                self.said.append(await self._reply(session))
            except antiphon.ResponseFailed:
                self.said.append("One moment, please.")

    async def _reply(self, session: antiphon.Session) -> str:
        reply = session.create_response()
        async for wanted in reply.calls:
            await session.send_function_output(wanted.call_id, '{"arrives": "Tuesday"}')
            reply = session.create_response()
        return await reply.text()


async def test_it_looks_up_the_order_and_says_what_it_found(
    realtime_server: ThreadedServer,
) -> None:
    realtime_server.play(
        call("look_up_order", {"order": 7}),
        say("It comes on Tuesday.").when(tool_output="Tuesday"),
    )
    agent = Agent(realtime_server.url)
    await agent.answer("Where is my bicycle?")
    assert agent.said == ["It comes on Tuesday."]


async def test_it_apologises_when_the_model_fails(realtime_server: ThreadedServer) -> None:
    realtime_server.play(fail("rate_limit_exceeded", after=say("It comes")))
    agent = Agent(realtime_server.url)
    await agent.answer("Where is my bicycle?")
    assert agent.said == ["One moment, please."]


async def test_it_has_patience_with_a_slow_server(realtime_server: ThreadedServer) -> None:
    realtime_server.behave("openai-2025-06-03", created_latency_ms=200)
    realtime_server.fail(Faults(on("response.done").delay(0.2)))
    agent = Agent(realtime_server.url)
    async with asyncio.timeout(10):
        await agent.answer("Count to three.")
    assert agent.said == ["One, two, three."]
