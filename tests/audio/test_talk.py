"""examples/talk.py from WAV to WAV: what is in the second file is what would have been heard."""

import asyncio
import re
import sys
import wave
from pathlib import Path

from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, say
from antiphon.emulator.audio import speech
from tests.helpers.command import environment

__all__: list[str] = []

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "talk.py"
SECONDS = 50


def question(path: Path, *parts: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(b"".join(parts))


async def talk(tmp_path: Path, server: EmulatorServer) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLE), "question.wav", "answer.wav"),
        cwd=tmp_path,
        env=environment(OPENAI_BASE_URL=server.http_url, OPENAI_API_KEY="not-a-key"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def heard(tmp_path: Path) -> list[tuple[int, int]]:
    """From which to which ms each reply was heard. A machine that stalls may leave gaps in it."""
    with wave.open(str(tmp_path / "answer.wav")) as file:
        spans = speech.spans(file.readframes(file.getnframes()))
    replies: dict[int, tuple[int, int]] = {}
    for span in spans:
        if span.tag is None:
            continue  # silence
        start, end = replies.get(span.tag, (span.start_ms, span.start_ms))
        assert span.start_ms == end, "in order, and nothing twice"
        replies[span.tag] = (start, span.end_ms)
    return list(replies.values())


async def test_a_question_is_answered_into_the_file(tmp_path: Path) -> None:
    question(tmp_path / "question.wav", speech.user_voice(700))
    async with EmulatorServer(Behaviour(), Script([say("On Tuesday.", ms=900)])) as server:
        out = await talk(tmp_path, server)
    assert heard(tmp_path) == [(0, 900)]
    assert out == "heard 900 ms of a reply\n"


async def test_who_speaks_into_the_answer_hears_no_more_of_it(tmp_path: Path) -> None:
    silence = bytes(48 * 2000)
    question(tmp_path / "question.wav", speech.user_voice(700), silence, speech.user_voice(700))
    answers = Script([say("A long answer.", ms=20_000), say("Yes?", ms=300)])
    # All of it is generated long before it is heard: what is stopped is the sound.
    async with EmulatorServer(Behaviour(pace=Pace(speed=50)), answers) as server:
        out = await talk(tmp_path, server)
        (session,) = server.sessions
        frames = [one for one in session.received if isinstance(one, dict)]
    (cut,) = [one for one in frames if one["type"] == "conversation.item.truncate"]
    (start, end), second = heard(tmp_path)
    assert start == 0 < cut["audio_end_ms"] <= end < 20_000
    assert second == (0, 300)
    assert re.findall(r"heard (\d+) ms", out) == [str(cut["audio_end_ms"]), "300"]
