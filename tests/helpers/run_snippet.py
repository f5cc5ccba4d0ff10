"""Run a documented python snippet: `python run_snippet.py FILE`.

Top-level `await`, `async with` and `async for` are allowed, as in the documents. An emulator runs
in the same process and the environment variables of the official SDK point to it, so that
`antiphon.connect(model=...)` needs neither a key nor the network. A snippet that brings a server of
its own gets no such help: a reader has no key for it, either. Bounded: a snippet that does not end
is an error.
"""

import ast
import asyncio
import inspect
import os
import sys
from pathlib import Path
from types import CodeType

from antiphon.emulator import Behaviour, EmulatorServer

__all__ = ["compile_snippet", "run_snippet"]

SECONDS = 60.0


def compile_snippet(path: Path) -> CodeType:
    code: CodeType = compile(
        path.read_text(), str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )
    return code


async def run_snippet(path: Path) -> None:
    """Run the file against an emulator; raises what it raises, or TimeoutError."""
    code = compile_snippet(path)
    brings_its_own = "antiphon.emulator" in path.read_text()  # noqa: ASYNC240 - a helper's start
    async with EmulatorServer(Behaviour()) as server:
        if not brings_its_own:
            os.environ["OPENAI_API_KEY"] = "not-a-key"
            os.environ["OPENAI_BASE_URL"] = server.http_url
        async with asyncio.timeout(SECONDS):
            running = eval(code, {"__name__": "__main__", "server": server})
            if inspect.iscoroutine(running):
                await running


if __name__ == "__main__":
    asyncio.run(run_snippet(Path(sys.argv[1])))
