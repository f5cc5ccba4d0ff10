"""What sessions of the LiveKit plugin cost: memory and processor time, many in one process.

    python -m benchmarks.livekit_cost --sessions 50 --seconds 10 [--plugin stock]

A server in a process of its own answers; every session sends microphone audio in real time and
reads a spoken reply at the same time. Prints one line of JSON. The time of the framework around
the session (rooms, codecs, turn taking) is not in it.
"""

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from typing import Any

__all__: list[str] = []

SERVER = """
import asyncio
from antiphon.emulator import Behaviour, EmulatorServer, Pace, Script, say
async def main():
    behaviour = Behaviour(pace=Pace.real_time())
    async with EmulatorServer(behaviour, Script([say("On and on.", ms=600_000).always()])) as it:
        print(it.http_url, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def memory_mb() -> float:
    gc.collect()
    with open("/proc/self/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) / 1024


async def measure(url: str, plugin: str, sessions: int, seconds: float) -> dict[str, Any]:
    from livekit import rtc

    if plugin == "antiphon":
        from livekit.plugins import antiphon as chosen
    else:
        from livekit.plugins import openai as chosen  # type: ignore[no-redef]

    model = chosen.realtime.RealtimeModel(base_url=url, api_key="x", turn_detection=None)
    first = model.session()  # whatever is loaded once
    await first.generate_reply()
    await asyncio.sleep(0.5)
    before = memory_mb()
    made = [model.session() for _ in range(sessions)]
    await asyncio.sleep(2)  # connected and configured by then; nothing is streaming yet
    after = memory_mb()
    frame = rtc.AudioFrame(bytes(960), 24000, 1, 480)
    got = 0

    async def listen(session: Any) -> None:
        nonlocal got
        generation = await session.generate_reply()
        async for message in generation.message_stream:
            async for one in message.audio_stream:
                got += one.samples_per_channel

    async def talk(session: Any) -> None:
        due = time.perf_counter()
        while True:
            session.push_audio(frame)
            due += 0.02
            await asyncio.sleep(max(0, due - time.perf_counter()))

    tasks = [asyncio.create_task(run(one)) for one in made for run in (listen, talk)]
    await asyncio.sleep(3)
    cpu, heard = time.process_time(), got
    await asyncio.sleep(seconds)
    cpu, heard = time.process_time() - cpu, got - heard
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for session in (first, *made):
        await session.aclose()
    await model.aclose()
    return {
        "plugin": plugin,
        "sessions": sessions,
        "memory_kb_per_session": round((after - before) * 1024 / sessions),
        "cpu_percent_per_session": round(100 * cpu / seconds / sessions, 3),
        "audio_heard_in_real_time": round(heard / 24000 / seconds / sessions, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--plugin", choices=["antiphon", "stock"], default="antiphon")
    given = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdout=subprocess.PIPE, env=os.environ, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        print(json.dumps(asyncio.run(measure(url, given.plugin, given.sessions, given.seconds))))
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
