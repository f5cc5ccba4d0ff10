"""Every example runs, against the emulator, and prints what it promises."""

import asyncio
import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from antiphon.emulator import EmulatorServer
from antiphon.emulator.audio import speech
from tests.helpers.command import environment

__all__: list[str] = []

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
SECONDS = 30


async def run(example: str, *arguments: str) -> str:
    """What it prints."""
    async with EmulatorServer() as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / example), *arguments),
            env=environment(OPENAI_BASE_URL=server.http_url, OPENAI_API_KEY="not-a-key"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_hello_prints_the_reply() -> None:
    assert await run("hello.py", "Count to three.") == "One, two, three.\n(completed)\n"


async def test_out_of_band_keeps_the_answers_apart() -> None:
    out = await run("out_of_band.py")
    assert out.startswith("reply: I am sorry. It comes on Tuesday. (2.")
    assert out.endswith("mood: yes\ntopic: A late delivery\nitems in the conversation: 2\n")


async def test_interrupt_stops_what_it_means_and_goes_on() -> None:
    assert await run("interrupt.py") == (
        "reply (default): cancelled (client_cancelled)\n"
        "summary (out_of_band): cancelled (client_cancelled)\n"
        "audit: completed\n"
        "next: What else can I do for you?\n"
    )


async def test_tools_are_run_and_answered() -> None:
    assert await run("tools.py") == (
        '(delivery of order 7 is looked up)\nThe tool answered: {"day":"Tuesday"}\n'
    )


@pytest.mark.parametrize("rate", [24_000, 48_000])
async def test_spoken_turn_keeps_the_answer(tmp_path: Path, rate: int) -> None:
    question, answer = tmp_path / "question.wav", tmp_path / "answer.wav"
    voice = speech.user_voice(600)
    if rate == 48_000:
        voice = b"".join(voice[at : at + 2] * 2 for at in range(0, len(voice), 2))
    with wave.open(str(question), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(voice)
    out = await run("spoken_turn.py", str(question), str(answer))
    assert "turn: speech_started\nturn: speech_stopped\nturn: committed\n" in out
    with wave.open(str(answer)) as file:
        (span,) = speech.spans(file.readframes(file.getnframes()))
    assert span.start_ms == 0 and span.end_ms > 500


def test_the_tests_of_test_my_agent_pass() -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-c", os.devnull, "-o", "asyncio_default_fixture_loop_scope=function"),
            str(EXAMPLES / "test_my_agent.py"),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_every_example_is_run_by_some_test() -> None:
    tests = [path.read_text() for path in (EXAMPLES.parent / "tests").rglob("test_*.py")]
    running = "".join(text for text in tests if "examples" in text)
    assert [one.name for one in EXAMPLES.glob("*.py") if one.stem not in running] == []


async def test_livekit_agent_talks_in_writing() -> None:
    pytest.importorskip("livekit.agents")
    said = ("console", "--text", "What is the weather in Oslo?", "Thank you.")
    out = await run("livekit_agent.py", *said)
    lines = [line for line in out.splitlines() if line.startswith(("you: ", "agent: ", "("))]
    assert lines[0] == "you: What is the weather in Oslo?"
    assert lines[1].startswith("(get_weather {")
    assert lines[2].startswith("agent: The tool answered: It is sunny in ")
    assert lines[3:] == ["you: Thank you.", "agent: You said: Thank you."]


async def test_livekit_agent_reads_what_is_typed() -> None:
    pytest.importorskip("livekit.agents")
    async with EmulatorServer() as server:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(EXAMPLES / "livekit_agent.py"), "console", "--text"),
            env=environment(OPENAI_BASE_URL=server.http_url),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(SECONDS):
            out, _ = await process.communicate(b"Hello.\nGoodbye.\n")
    assert process.returncode == 0
    assert out.decode() == "agent: You said: Hello.\nagent: You said: Goodbye.\n"
