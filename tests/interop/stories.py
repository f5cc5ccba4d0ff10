"""What is played with other people's clients, beyond the scenarios of `antiphon prove`.

Each story drives the client and waits until it is over; what came of it is asserted in the tests.
"""

import ssl
from collections.abc import Awaitable, Callable

import pytest

from antiphon.bench.prove.channel import ProcessChannel
from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Record
from antiphon.bench.prove.run import play_and_keep
from antiphon.bench.prove.scenario import Scenario, Verdict
from antiphon.emulator import Behaviour, Engine, Pace, Script, say
from antiphon.emulator.audio import speech

__all__ = [
    "SIDE_BY_SIDE_MS",
    "Story",
    "ClientUnderTest",
    "audio_turn",
    "barge_in",
    "deltas",
    "done",
    "heard_whole",
    "interop",
    "reconnect",
    "seen",
    "sent_by",
    "side_by_side",
    "statuses",
    "text_turn",
    "tool_round",
    "two_in_flight",
]

Story = Callable[[Play], Awaitable[None]]

SIDE_BY_SIDE_MS = 8_000
"""How long each of two responses is that are to run at once. At four times the speed of speech a
client has two seconds to ask for the second one, on a machine that may be busy."""


def side_by_side() -> Script:
    """The two responses of `two_in_flight`."""
    slow = Pace(speed=4)
    return Script([say(word, ms=SIDE_BY_SIDE_MS).paced(slow) for word in ("One.", "Two.")])


def interop(name: str) -> list[pytest.MarkDecorator]:
    """Marks of a module that plays one client, in one process."""
    return [pytest.mark.interop(name), pytest.mark.asyncio(loop_scope="module")]


class ClientUnderTest:
    """One client, in a process that plays many stories.

    Args:
        channel: the way to it.
        tls: for a client that insists on it.
    """

    def __init__(self, channel: ProcessChannel, tls: ssl.SSLContext | None = None) -> None:
        self._channel = channel
        self._tls = tls

    async def play(
        self, story: Story, script: Script | None = None, behaviour: Behaviour | None = None
    ) -> Record:
        """Have the client play a story to its end, against a server of its own."""
        scenario = Scenario(
            name=getattr(story, "__name__", "story"),
            group="turns",
            expects="",
            reproduces=(),
            facts="",
            play=story,
            control="",
            script=lambda: script or Script(),
            behaviour=behaviour or Behaviour(),
        )
        record, result = await play_and_keep(scenario, self._channel, self._tls)
        lines = "\n".join(f"{line.at_ms:7.0f} {line.side:6} {line.text}" for line in result.trace)
        assert result.verdict is Verdict.PASS, f"{result.says}\n{result.because}\n{lines}"
        return record

    async def close(self) -> None:
        """End the process."""
        await self._channel.stop()
        self._channel.close()


# Waiting


async def seen(play: Play, saw: str, times: int = 1) -> None:
    """Wait until the client has told so many things of a kind."""
    enough = await play.until(lambda: len(play.record.seen.of(saw)) >= times, 20)
    play.check(enough, f"the client told of {saw!r} less than {times} times")


async def done(play: Play, times: int = 1) -> None:
    """Wait until the client has seen so many responses end."""
    await seen(play, "done", times)


async def deltas(play: Play, times: int) -> None:
    """Wait until the client has told of so many pieces of audio."""
    await seen(play, "audio", times)


# Stories


async def text_turn(play: Play) -> None:
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting", 20)


async def audio_turn(play: Play) -> None:
    await play.open(vad=True)
    await play.do("speak")
    await done(play)
    await seen(play, "heard")


async def tool_round(play: Play) -> None:
    await play.open(text=True, tool=True)
    await play.ask("question", "What is the weather in Oslo?")
    await seen(play, "done", 2)


async def barge_in(play: Play) -> None:
    await play.open(vad=True)
    await play.ask("story", "Tell me a long story.")
    await deltas(play, 5)
    await play.do("speak")
    await done(play, 2)


async def two_in_flight(play: Play) -> None:
    await play.open()
    await play.ask("one", "Tell me something.")
    await play.until(lambda: play.record.told("response.created") != [], 5)
    await play.aside("two", "And an aside.")
    await done(play, 2)


async def reconnect(play: Play) -> None:
    """For clients that come back by themselves."""
    await play.open(text=True)
    await play.ask("greeting", "Hello there.")
    await play.ended("greeting", 20)
    play.cut()
    await play.until(lambda: any(one["state"] == "back" for one in _connections(play)), 20)
    await play.ask("again", "Are you back?")
    await play.until(lambda: play.record.seen.words().endswith("I am back."), 20)
    await play.ended("again", 20)


def _connections(play: Play) -> list[dict[str, object]]:
    return play.record.seen.of("connection")


# Looking


def heard_whole(pcm: bytes, response_id: str, length_ms: int) -> None:
    """Assert that audio is that of one response: all of it, in order, once."""
    assert speech.spans(pcm) == [speech.Span(speech.tag_of(response_id), 0, length_ms)]


def sent_by(engine: Engine) -> list[str]:
    """Types of what the client sent, in order; of a run of audio only the first."""
    kinds = [one["type"] if isinstance(one, dict) else "junk" for one in engine.received]
    audio = "input_audio_buffer.append"
    return [
        kind for n, kind in enumerate(kinds) if n == 0 or (kind, kinds[n - 1]) != (audio, audio)
    ]


def statuses(engine: Engine) -> list[str]:
    """How the responses ended, in order."""
    return list(engine.finished_responses.values())
