"""Scenarios played within one event loop, on virtual time: no socket, no process."""

import asyncio
from collections.abc import Callable
from typing import Any

from antiphon.bench.prove.adapters.stage import Client, Obedient, Stage
from antiphon.bench.prove.channel import SPOKEN
from antiphon.bench.prove.play import Play
from antiphon.bench.prove.record import Json, Record
from antiphon.bench.prove.run import closed, judge
from antiphon.bench.prove.scenario import Result, Scenario
from antiphon.emulator import MemoryConnector

__all__ = ["LocalChannel", "play_here"]


class LocalChannel:
    """A client in this event loop.

    Args:
        kind: makes the client.
        record: where its observations go.
        connector: connects it.
    """

    def __init__(self, kind: Callable[[Stage], Client], record: Record, connector: Any) -> None:
        self._stage = Stage(record.observe, str(SPOKEN), connector)
        self._client = Obedient(kind, self._stage)
        self._commands: asyncio.Queue[Json] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._work())
        self.warm = True
        self.gone = ""

    def send(self, command: Json) -> None:
        """Give a command."""
        self._commands.put_nowait(command)

    async def _work(self) -> None:
        while True:
            await self._client.obey(await self._commands.get())

    async def stop(self) -> None:
        """Obey no more."""
        self._task.cancel()
        await asyncio.wait([self._task])


async def play_here(scenario: Scenario, kind: Callable[[Stage], Client]) -> Result:
    """Play one scenario in this event loop, without sockets."""
    record = Record(asyncio.get_running_loop().time)
    connector = MemoryConnector(
        scenario.behaviour,
        scenario.script(),
        faults=scenario.faults,
        seed=scenario.name,
        watch=record.watch,
        latency_s=0.002,
    )
    channel = LocalChannel(kind, record, connector)

    def cut() -> None:
        for transport in connector.transports:
            transport.abort()

    where = {"url": "ws://emulator/v1/realtime", "http_url": "http://emulator/v1"}
    play = Play(channel, record, cut, where, connector.calls)
    result = await judge(scenario, play, str)
    await closed(play)
    await channel.stop()
    return result
