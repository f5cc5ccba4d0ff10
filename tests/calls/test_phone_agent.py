"""examples/phone_agent.py: rung by the emulator's signed webhook, until one side hangs up."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from antiphon.emulator import Behaviour, EmulatorServer, Script, call, say
from antiphon.emulator.running.webhook import DEFAULT_SECRET
from tests.helpers.command import environment

__all__: list[str] = []

EXAMPLE = Path(__file__).parents[2] / "examples" / "phone_agent.py"
SECONDS = 50
GREETING = say("Good morning, the bicycle shop.", ms=1500)


class Agent:
    """The example, in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def says(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.readline()).decode().strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port


@asynccontextmanager
async def ringing(script: Script) -> AsyncIterator[tuple[EmulatorServer, Agent, str]]:
    address = f"http://127.0.0.1:{(port := free_port())}/"
    async with (
        asyncio.timeout(SECONDS),
        EmulatorServer(Behaviour(), script, webhook_url=address) as server,
    ):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLE)),
            env=environment(
                OPENAI_BASE_URL=server.http_url,
                OPENAI_API_KEY="not-a-key",
                OPENAI_WEBHOOK_SECRET=DEFAULT_SECRET,
                PORT=str(port),
            ),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            agent = Agent(process)
            assert "Running on" in await agent.says()
            await agent.says()  # "(Press CTRL+C to quit)"
            yield server, agent, address
        finally:
            process.terminate()
            await process.communicate()


async def test_a_call_is_answered_greeted_and_hung_up_after_the_goodbye() -> None:
    script = Script([GREETING, call("hang_up", {}), say("Goodbye.", ms=1200)])
    async with ringing(script) as (server, agent, _):
        rung = await server.ring([("From", "sip:caller@example.org")])
        assert await agent.says() == "greeting: played"
        rung.speech(700)
        assert await agent.says() == "goodbye: played"
        await rung.over.wait()
        assert list(rung.engine.finished_responses.values()) == ["completed"] * 3


async def test_a_webhook_that_is_delivered_twice_is_one_call() -> None:
    # a second accept would be refused, and a second session would greet again.
    async with ringing(Script([GREETING.always()])) as (server, agent, _):
        rung = await server.ring(deliveries=3)
        assert await agent.says() == "greeting: played"
        assert rung.sidebands == 1
        assert len(rung.engine.finished_responses) == 1


async def test_a_caller_who_hangs_up_ends_it() -> None:
    async with ringing(Script([GREETING])) as (server, agent, _):
        rung = await server.ring()
        assert await agent.says() == "greeting: played"
        rung.hang_up()
        assert await agent.says() == "the caller has hung up"


async def test_a_stranger_gets_401_and_nothing_else_happens() -> None:
    async with ringing(Script([])) as (server, _, address), aiohttp.ClientSession() as http:
        for headers in (
            {},
            {"webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,"},
        ):
            async with http.post(address, data=b"{}", headers=headers) as reply:
                assert reply.status == 401
        assert len(server.calls) == 0
