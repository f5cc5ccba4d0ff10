"""A client that dies, hangs, floods or babbles gets a verdict, and everything started is ended."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from antiphon.bench.prove import channel as channel_module
from antiphon.bench.prove import play as play_module
from antiphon.bench.prove import run as run_module
from antiphon.bench.prove.channel import ProcessChannel
from antiphon.bench.prove.run import play_and_keep, prove
from antiphon.bench.prove.scenario import Result, Verdict
from antiphon.bench.prove.scenarios import SCENARIOS

__all__: list[str] = []

HERE = Path(__file__).parent / "wrong"
TURN = SCENARIOS["three-at-once-each-whole"]


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "GOODBYE_S", 0.2)
    monkeypatch.setattr(run_module, "CLOSE_S", 0.2)


def channel_to(name: str) -> ProcessChannel:
    return ProcessChannel([sys.executable, str(HERE / f"{name}.py")], {})


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dies", "ended with status 3"),
        ("floods", "talks without end"),
        ("babbles", "no observation: b'Connected!"),
        ("strange", 'no observation: b\'{"saw": "audio"}'),
    ],
)
async def test_it_gets_a_verdict(name: str, says: str) -> None:
    (result,) = await prove(lambda: channel_to(name), [TURN], lambda _: None)
    assert result.verdict is Verdict.FAIL
    assert says in result.says, result


async def test_its_last_words_are_kept() -> None:
    (result,) = await prove(lambda: channel_to("dies"), [TURN], lambda _: None)
    assert "out of memory" in result.because


async def test_one_that_hangs_is_given_up_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play_module, "FIRST_ANSWER_S", 0.3)
    monkeypatch.setattr(play_module, "ANSWER_S", 0.3)
    channel = channel_to("hangs")
    _, result = await play_and_keep(TURN, channel)
    assert (result.verdict, result.says) == (Verdict.FAIL, "the program hangs in open")
    assert channel.gone, "it would be asked again"
    await channel.stop()
    channel.close()


async def test_the_next_scenario_begins_anew() -> None:
    seen: list[Result] = []
    two = [TURN, SCENARIOS["text-turn"]]
    results = await prove(lambda: channel_to("dies"), two, seen.append, jobs=1)
    assert [one.scenario for one in results] == [one.name for one in two]
    assert all("status 3" in one.says for one in results)
    assert len(seen) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="there are no process groups")
async def test_what_it_started_is_ended_too() -> None:
    channel = channel_to("leaves_a_child")
    record, _ = await play_and_keep(TURN, channel)
    child = int(record.seen.of("error")[0]["what"])
    await channel.stop()
    channel.close()
    # Its parent is gone, so it is the system's to reap.
    await asyncio.to_thread(_wait_for_the_end_of, child)


def _wait_for_the_end_of(pid: int) -> None:
    until = time.monotonic() + 10
    while _alive(pid):
        assert time.monotonic() < until, "it lives on"
        time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as status:
            return status.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not Path("/proc").is_dir()
