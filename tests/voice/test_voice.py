"""Real speech both ways: the recogniser, the synthesiser, and a server that has them."""

import asyncio
import difflib
import os
import re
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import pytest

import antiphon.cli.demo
from antiphon.emulator import (
    Behaviour,
    EmulatorServer,
    MemoryConnector,
    Pace,
    Script,
    Voice,
    run_virtual,
    say,
)
from antiphon.emulator.audio import speech
from antiphon.emulator.audio.formats import PCM16, PCMA, PCMU, AudioFormat
from antiphon.exceptions import MissingDependency
from tests.voice.talk import talk

__all__: list[str] = []

ORDERED = Path(antiphon.cli.demo.__file__).parent / "spoken.wav"
WEATHER = Path(__file__).parent.parent / "data" / "what_is_the_weather.wav"
FAST = Behaviour(pace=Pace.instant())


@pytest.fixture(scope="session")
def voice() -> Voice:
    made = Voice()
    made.load()
    return made


QUIET = """
import sys
from antiphon.emulator import Voice
assert "onnxruntime" not in sys.modules
assert Voice().speak("Good morning.")
assert "onnxruntime" in sys.modules
"""


def test_speaking_leaves_no_trace_at_home_and_asks_nobody(tmp_path: Path) -> None:
    # onnxruntime would write a device id below the home, and look up a host of its maker's. In a
    # namespace without a network it could not reach one, and here all that it writes is seen.
    alone = ["unshare", "-rn"] if shutil.which("unshare") else []
    if alone and subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        alone = []  # not allowed here; the rest holds all the same
    settings = {**os.environ, "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        settings.pop(name, None)
    command = [*alone, sys.executable, "-c", QUIET]
    done = subprocess.run(
        command, env=settings, cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert list(tmp_path.rglob("*")) == []


def test_it_speaks_where_nothing_can_be_written() -> None:
    settings = {**os.environ, "HOME": "/dev/null/nowhere", "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"):
        settings.pop(name, None)
    command = [sys.executable, "-c", QUIET]
    done = subprocess.run(command, env=settings, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()


def recorded(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24000, 1, 2)
        samples: bytes = file.readframes(file.getnframes())
    return samples


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def same_words(heard: str, said: str) -> bool:
    """Whether at most one word in eight is another. Floating point differs between machines."""
    matcher = difflib.SequenceMatcher(None, words(heard), words(said), autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return same >= len(words(said)) * 7 / 8 - 0.5


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (ORDERED, "Where is the bicycle that I ordered last week?"),
        (WEATHER, "What is the weather in Oslo today?"),
    ],
)
def test_a_recorded_sentence_is_heard_word_for_word(voice: Voice, path: Path, said: str) -> None:
    heard = voice.hear(recorded(path))
    assert same_words(heard, said)
    assert voice.hear(recorded(path)) == heard  # whatever was heard in between


def test_silence_and_nothing_have_no_words(voice: Voice) -> None:
    assert len(words(voice.hear(bytes(48 * 500)))) <= 1
    assert len(words(voice.hear(b""))) <= 1


def test_what_is_spoken_can_be_heard(voice: Voice) -> None:
    spoken = voice.speak("The parcel will arrive on Monday morning.")
    assert 1500 < len(spoken) // 48 < 5000
    assert same_words(voice.hear(spoken), "the parcel will arrive on monday morning")
    assert voice.speak("The parcel will arrive on Monday morning.") == spoken


@pytest.mark.parametrize("form", [PCM16, PCMU, PCMA])
def test_speech_comes_in_whole_blocks_of_any_format(voice: Voice, form: AudioFormat) -> None:
    spoken = voice.speak("One, two.", form)
    assert len(spoken) % (speech.block_ms(form) * form.bytes_per_ms) == 0
    assert 500 < len(spoken) // form.bytes_per_ms < 3000
    assert isinstance(voice.hear(spoken, form), str)


def test_words_without_a_sound_are_empty(voice: Voice) -> None:
    assert voice.speak("🙂") == b""


async def test_a_spoken_turn_is_transcribed_and_answered_aloud(voice: Voice) -> None:
    async with EmulatorServer(FAST, voice=voice) as server, talk(server.url) as client:
        await client.configure(audio={"input": {"transcription": {"model": "any"}}})
        await client.speak(recorded(ORDERED))
        response = await client.done()
    heard = [one for one in client.events if one["type"].endswith("transcription.completed")]
    assert len(heard) == 1
    assert same_words(heard[0]["transcript"], "where is the bicycle that i ordered last week")
    said = response["output"][0]["content"][0]["transcript"]
    assert words(said) == ["you", "said", *words(heard[0]["transcript"])]
    audio = client.audio(response["id"])
    # Real words, and still marked as this response's.
    assert same_words(voice.hear(audio), said)
    (span,) = speech.spans(audio)
    assert (span.tag, span.start_ms) == (speech.tag_of(response["id"]), 0)


async def test_the_user_can_interrupt_what_is_being_spoken(voice: Voice) -> None:
    story = " ".join(f"This is sentence number {number}." for number in range(1, 40))
    slow = Behaviour(pace=Pace.real_time())
    script = Script([say(story), say("Yes?")])
    async with EmulatorServer(slow, script, voice=voice) as server, talk(server.url) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.speak(recorded(WEATHER))
        cut = await client.done()
        assert cut["status"] == "cancelled"
        # The story takes more than a minute to tell.
        assert len(client.audio(cut["id"])) < 48_000 * 15
        assert (await client.done())["output"][0]["content"][0]["transcript"] == "Yes?"


async def test_a_length_that_a_script_gives_holds_for_speech(voice: Voice) -> None:
    script = Script([say("One.", ms=3000), say("One two three four five six.", ms=700)])
    async with EmulatorServer(FAST, script, voice=voice) as server, talk(server.url) as client:
        for length in (3000, 700):
            await client.send("response.create")
            response = await client.done()
            assert len(client.audio(response["id"])) == length * 48


def test_in_memory_it_hears_and_speaks_within_virtual_time(voice: Voice) -> None:
    received: list[bytes] = []

    class Handler:
        def frame_received(self, data: bytes, is_text: bool) -> None:
            received.append(data)

        def connection_lost(self, code: int | None, reason: str) -> None:
            pass

    async def main() -> None:
        connector = MemoryConnector(FAST, Script([say("Hello.")]), voice=voice)
        transport = await connector("ws://emulator/v1/realtime", {}, Handler())
        transport.send_text(b'{"type":"response.create"}')

        await asyncio.sleep(1)
        assert list(connector.sessions[0].finished_responses.values()) == ["completed"]

    run_virtual(main())
    assert any(b"response.output_audio.delta" in frame for frame in received)


@pytest.mark.parametrize("package", ["pocketsphinx", "hibari", "soxr"])
def test_a_missing_package_is_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(
        "antiphon.emulator.faculties.voice.find_spec",
        lambda name: None if name == package else object(),
    )
    with pytest.raises(MissingDependency, match=rf"{package}: pip install 'antiphon\[voice\]'"):
        Voice()
