"""Beyond one machine: the framework's own dispatch runs jobs on several workers."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from livekit.protocol import agent

from antiphon.emulator import call, say
from tests.livekit.harness import emulated, until
from tests.livekit.peers.dispatch import Dispatch

__all__: list[str] = []

AGENT = Path(__file__).parent / "peers" / "worker_agent.py"
ROOT = Path(__file__).parents[2]
JOBS = 8


@asynccontextmanager
async def worker(url: str, openai_url: str, reports: Path) -> AsyncIterator[None]:
    """A real worker in a process of its own."""
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": openai_url,
        "OPENAI_API_KEY": "test",
        "ANTIPHON_TEST_REPORTS": str(reports),
        "PYTHONPATH": str(ROOT),
    }
    with (reports / "workers.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "livekit.agents", "start", str(AGENT),
            "--url", url, "--api-key", "key", "--api-secret", "secret" * 8, "--dev",
            env=environment, cwd=reports,
            stdout=log, stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                os.killpg(process.pid, 9)
                await process.wait()


async def test_eight_jobs_on_two_workers(tmp_path: Path) -> None:
    # Every job asks, calls the tool with its own number, answers, and is judged beside it.
    steps = [
        step
        for number in range(JOBS)
        for step in (
            call("look_up", {"number": str(number)}).when(contains=f"job{number}:"),
            say(f"Done with {number}.").when(tool_output=f"number {number} is fine"),
        )
    ]
    verdict = say("fine").when(lane="out_of_band").always()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(emulated(*steps, verdict))
        dispatch = await stack.enter_async_context(Dispatch())
        for _ in range(2):
            await stack.enter_async_context(worker(dispatch.url, server.http_url, tmp_path))
        await until(lambda: len(dispatch.workers) == 2, within=30)
        taken = await asyncio.gather(
            *(dispatch.assign(f"job{number}", f"number {number}") for number in range(JOBS))
        )
        await until(lambda: len(dispatch.ended) == JOBS, within=50)

        assert set(dispatch.ended.values()) == {agent.JS_SUCCESS}
        assert Counter(one.id for one in taken) == {"AW_0": 4, "AW_1": 4}
        assert len(server.sessions) == JOBS

    reports: list[dict[str, Any]] = [
        json.loads((tmp_path / f"job{number}.json").read_text()) for number in range(JOBS)
    ]
    assert [one["answer"] for one in reports] == [f"Done with {n}." for n in range(JOBS)]
    assert {one["tools"] for one in reports} == {1}
    assert {one["guard"] for one in reports} == {"fine"}
    # question, call, output, answer: nothing of the guard's
    assert {one["chat"] for one in reports} == {4}
    assert len({one["pid"] for one in reports}) == JOBS
