"""Run a documented python snippet as `python -m asyncio` would: `python run_snippet.py FILE`.

Top-level `await`, `async with` and `async for` are allowed. It needs nothing but Python, and gives
the snippet nothing that it does not bring or find in the environment. Bounded: a snippet that does
not end is an error.
"""

import ast
import asyncio
import codeop
import inspect
import sys
from pathlib import Path
from types import CodeType

__all__ = ["awaits_at_top_level", "compile_snippet", "refused_when_typed", "run_snippet"]

SECONDS = 60.0


def compile_snippet(text: str, name: str = "snippet") -> CodeType:
    code: CodeType = compile(text, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


def awaits_at_top_level(text: str) -> bool:
    """Whether plain `python FILE` would refuse it."""
    return bool(compile_snippet(text).co_flags & inspect.CO_COROUTINE)


def refused_when_typed(text: str) -> str:
    """The first line that the prompt of `python -m asyncio` does not take; "" if it takes them all.

    A prompt ends a block at the first empty line, and ends it at nothing else.
    """
    compiler = codeop.CommandCompiler()
    compiler.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    typed: list[str] = []
    for line in [*text.splitlines(), ""]:
        typed.append(line)
        try:
            whole = compiler("\n".join(typed))
        except SyntaxError:
            return line
        if whole is not None:
            typed.clear()
    return typed[0] if typed else ""


async def run_snippet(code: CodeType) -> None:
    """Raises what it raises, or TimeoutError."""
    async with asyncio.timeout(SECONDS):
        running = eval(code, {"__name__": "__main__"})
        if inspect.iscoroutine(running):
            await running


if __name__ == "__main__":
    path = Path(sys.argv[1])
    asyncio.run(run_snippet(compile_snippet(path.read_text(), str(path))))
