"""Plays scenarios with a client, and says what came of each."""

import asyncio
import ssl
import time
import traceback
from collections.abc import Callable, Mapping, Sequence

from antiphon.bench.prove.channel import ProcessChannel
from antiphon.bench.prove.play import ClientGone, Play
from antiphon.bench.prove.record import Record
from antiphon.bench.prove.scenario import Failure, NotApplicable, Result, Scenario, Verdict
from antiphon.emulator import EmulatorServer

__all__ = ["closed", "judge", "play_and_keep", "play_scenario", "prove"]

# A scenario that is not over by then has gone wrong in a way that nobody thought of.
SCENARIO_LIMIT_S = 60.0
CLOSE_S = 5.0


async def prove(
    new_channel: Callable[[], ProcessChannel],
    scenarios: Sequence[Scenario],
    on_result: Callable[[Result], None],
    *,
    jobs: int = 5,
    leaves: Mapping[str, str] | None = None,
) -> list[Result]:
    """Play scenarios, several at a time, in processes that play many each.

    Args:
        new_channel: makes a way to the client; one for each job.
        scenarios: which.
        on_result: is given each result as it comes.
        jobs: how many at once.
        leaves: scenarios or groups that are not applicable, and why.

    Returns:
        Results in the order of the scenarios.
    """
    results: dict[str, Result] = {}
    for scenario in scenarios:
        reason = (leaves or {}).get(scenario.name) or (leaves or {}).get(scenario.group)
        if reason:
            results[scenario.name] = Result(scenario.name, Verdict.NOT_APPLICABLE, reason)
            on_result(results[scenario.name])
    left = [scenario for scenario in reversed(scenarios) if scenario.name not in results]

    async def work() -> None:
        channel = new_channel()
        try:
            while left:
                result = await play_scenario(left.pop(), channel)
                results[result.scenario] = result
                on_result(result)
        finally:
            await channel.stop()
            channel.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(jobs, len(left))):
            group.create_task(work())
    return [results[scenario.name] for scenario in scenarios]


async def play_scenario(scenario: Scenario, channel: ProcessChannel) -> Result:
    """Play one scenario over a real socket."""
    _, result = await play_and_keep(scenario, channel)
    return result


async def play_and_keep(
    scenario: Scenario, channel: ProcessChannel, tls: ssl.SSLContext | None = None
) -> tuple[Record, Result]:
    """As `play_scenario`, with what happened.

    Args:
        scenario: which.
        channel: the way to the client.
        tls: for a client that insists on it, whose process trusts what it shows.
    """
    record = Record(asyncio.get_running_loop().time)
    server = EmulatorServer(
        scenario.behaviour,
        scenario.script(),
        faults=scenario.faults,
        seed=scenario.name,
        watch=record.watch,
        tls=tls or False,
    )
    async with server:
        await channel.start(record)
        where = {"url": server.url, "http_url": server.http_url}
        play = Play(channel, record, server.clear, where, server.calls)
        result = await judge(scenario, play, channel.last_words)
        if not await closed(play):
            await channel.stop()
            channel.gone = "ended, since it did not close its conversation"
    return record, result


async def closed(play: Play) -> bool:
    """Whether the client has ended its conversation when it was told to."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await play.do("close")
    except (Failure, NotApplicable, ClientGone, TimeoutError):
        return False
    return True


async def judge(scenario: Scenario, play: Play, last_words: Callable[[], str]) -> Result:
    """Play a scenario to its end, whatever the client does."""
    began = time.monotonic()
    verdict, says, because = Verdict.PASS, "", ""
    try:
        async with asyncio.timeout(SCENARIO_LIMIT_S):
            await scenario.play(play)
    except NotApplicable as reason:
        verdict, says = Verdict.NOT_APPLICABLE, str(reason)
    except Failure as failure:
        verdict, says, because = Verdict.FAIL, failure.loss, failure.because
    except ClientGone as gone:
        verdict, says, because = Verdict.FAIL, f"the program is gone: {gone}", last_words()
    except TimeoutError:
        verdict, says = Verdict.FAIL, f"nothing comes of it within {SCENARIO_LIMIT_S:g} s"
    except Exception:
        # Of the scenario's own making: a client never heard of, or a fault of ours.
        verdict, says = Verdict.FAIL, "it told something that could not be judged"
        because = traceback.format_exc()
    trace = play.record.trace() if verdict is Verdict.FAIL else ()
    return Result(scenario.name, verdict, says, because, trace, time.monotonic() - began)
