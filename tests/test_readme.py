"""What the documents tell a reader to run does run.

Every ``python`` and ``console`` block is run, of README.md, CONTRIBUTING.md and all of docs/. Left
alone is one under ``<!-- not run: REASON -->``, and one under ``<!-- drawn: NAME -->``, which
docs/generate.py takes from a file that has tests of its own.

A python block runs as its reader runs it: in a fresh folder, in a process of its own, by `python`,
or by pytest if it defines tests, or with top-level `await` as in `python -m asyncio`. It gets no
key, and no option of pytest's; a document that tells its reader to point `OPENAI_BASE_URL` to
`antiphon serve` has it pointed to an emulator. Of a console block the
lines that start with ``$`` are run, in the repository; where output is shown it must be what comes,
with ``...`` for anything. A server runs until its block ends, on a free port, and what is exported
holds until then. What is to be installed is tried by test_package.py.
"""

import doctest
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from antiphon.emulator import ThreadedServer
from tests.helpers.run_snippet import awaits_at_top_level, refused_when_typed

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
RUNNER = ROOT / "tests" / "helpers" / "run_snippet.py"
SECONDS = 300  # a hundred scenarios in one command, on a machine that does more besides

BLOCK = re.compile(
    r"(?P<left><!-- (?:not run|drawn): [^>]+? -->\n+)?"
    r"^```(?P<kind>python|console)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# This very test runs under it; test_architecture.py sees to it that CI runs it and nothing else.
UNDER_TEST = "make test"
FORMAT = "make format"
INSTALL = "pip install "
SERVERS = (
    "antiphon serve",
    "python examples/browser_bridge/server.py",
    "python examples/browser_call/server.py",
)
PORT = "8765"
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md")
# What a checkout has beside what git keeps.
NOT_SOURCES = shutil.ignore_patterns(".git", ".venv", ".*cache", ".hypothesis", "build", "dist")


@dataclass(frozen=True)
class Block:
    place: str
    kind: str
    text: str


def blocks_in(text: str, place: str) -> list[Block]:
    """The blocks of a document that are to be run."""
    found = []
    for match in BLOCK.finditer(text):
        if match["left"] is None:
            line = text.count("\n", 0, match.start("text"))
            found.append(Block(f"{place}:{line}", match["kind"], match["text"]))
    return found


def pages() -> list[Path]:
    return [path for page in PAGES for path in sorted(ROOT.glob(page))]


def blocks() -> list[Block]:
    return [
        block
        for path in pages()
        for block in blocks_in(path.read_text(), path.relative_to(ROOT).as_posix())
    ]


def of_kind(kind: str) -> list[object]:
    return [pytest.param(b, id=b.place) for b in blocks() if b.kind == kind]


def commands(text: str) -> list[tuple[str, str]]:
    """(command, output shown) of a console block; comments after `#` stay with the command."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        elif found:
            command, shown = found[-1]
            found[-1] = (command, f"{shown}{line}\n")
    return found


def environment() -> dict[str, str]:
    """This process's environment, with our commands first and nothing secret or of make's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "OPENAI_", "PYTEST_"))
    }
    kept["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    kept["COLUMNS"] = "100"
    kept["DEMO"] = "--fast"  # what a reader watches for ten seconds takes one here
    return kept


def run(*command: str, cwd: Path, **changes: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**environment(), **changes},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command[-1]!r} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


@contextmanager
def serving(command: str, shown: str, told: dict[str, str]) -> Iterator[None]:
    """Have a server run, which must show what is shown, and end well at Ctrl-C."""
    settings, program = assignments(shlex.split(command))
    server = subprocess.Popen(
        program,
        env={**environment(), "PYTHONUNBUFFERED": "1", **told, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )
    assert server.stdout is not None
    try:
        came = ""
        while line := server.stdout.readline():
            came += line
            if matches(shown, came):
                break
        assert came and matches(shown, came), came
        yield
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=SECONDS)
    # uvicorn shuts down, and then ends by the very signal, as a shell expects it.
    assert server.returncode in (0, -signal.SIGINT)


def assignments(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """`A=b program ...`: the variables, and what they are for."""
    set_: dict[str, str] = {}
    while words and re.match(r"[A-Z_]+=", words[0]):
        name, _, set_[name] = words.pop(0).partition("=")
    return set_, words


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port: int = one.getsockname()[1]
    return port


def matches(shown: str, came: str) -> bool:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return not shown.strip() or doctest.OutputChecker().check_output(shown, came, flags)


@pytest.mark.timeout(SECONDS + 10)
@pytest.mark.parametrize("block", of_kind("python"))
def test_python_block_runs(block: Block, tmp_path: Path) -> None:
    with ThreadedServer() as server:
        command = runner(block.text, sys.executable, tmp_path)
        run(*command, cwd=tmp_path, **told_to_set(block, server))


def runner(text: str, python: str, folder: Path) -> list[str]:
    """Write the snippet into this folder; the command that runs it there."""
    if "def test_" in text:
        (folder / "test_snippet.py").write_text(text)
        return [python, "-m", "pytest", "-q", "test_snippet.py"]
    (folder / "snippet.py").write_text(text)
    helper = [str(RUNNER)] if awaits_at_top_level(text) else []
    return [python, *helper, "snippet.py"]


def told_to_set(block: Block, server: ThreadedServer) -> dict[str, str]:
    """The environment variables that the document tells its reader to set, and no other."""
    document = (ROOT / block.place.partition(":")[0]).read_text()
    told = {"OPENAI_BASE_URL": server.http_url} if "OPENAI_BASE_URL=" in document else {}
    if 'environ["AZURE_' in block.text:
        told |= {"AZURE_OPENAI_ENDPOINT": server.http_url.removesuffix("/v1")}
        told |= {"AZURE_OPENAI_API_KEY": "any"}
    return told


@pytest.mark.timeout(SECONDS + 10)
@pytest.mark.parametrize("block", of_kind("console"))
def test_console_block_runs(block: Block, tmp_path: Path) -> None:
    port = str(free_port())
    found = commands(block.text.replace(PORT, port))
    assert found, "a console block without a command"
    told = {"PORT": str(free_port())}  # of the examples that serve
    with ExitStack() as servers:
        for command, shown in found:
            plain = command.split("#")[0].strip()
            program = shlex.join(assignments(shlex.split(plain))[1])
            if plain.startswith("export "):
                told |= assignments(shlex.split(plain)[1:])[0]
            elif program.startswith(SERVERS):
                where = f" --port {port}" if program.startswith("antiphon") else ""
                servers.enter_context(serving(f"{plain}{where}", shown, told))
            elif plain != UNDER_TEST and not plain.startswith(INSTALL):
                place = copied(tmp_path) if plain == FORMAT else ROOT
                came = run("bash", "-euo", "pipefail", "-c", command, cwd=place, **told)
                assert matches(shown, came), came


def copied(folder: Path) -> Path:
    """This checkout's files, for what changes them; its commands are those that run this."""
    copy = folder / "copy"
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCES)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in ("venv", "run", "dev"):  # or make would install the copy, into what it links to
        (copy / ".venv" / f".antiphon-{stamp}").touch()
    return copy


def test_no_command_hides_in_a_block_of_another_kind() -> None:
    kinds = re.compile(r"^```(?!console\n)[^\n]*\n\$ ", re.MULTILINE)
    assert [str(path) for path in pages() if kinds.search(path.read_text())] == []


def test_both_kinds_are_found_in_every_place() -> None:
    assert {b.kind for b in blocks()} == {"python", "console"}
    places = {b.place.partition(":")[0] for b in blocks()}
    assert {"README.md", "CONTRIBUTING.md", "docs/client.md", "docs/prove.md"} <= places


def test_marks_leave_blocks_out() -> None:
    text = (
        "```python\na\n```\n"
        "<!-- drawn: b -->\n\n```python\nb\n```\n"
        "<!-- not run: needs a key -->\n```console\n$ c\n```\n"
        "```text\nd\n```\n"
        "<!-- said: otherwise -->\n```console\n$ e\n```\n"
    )
    assert [b.text for b in blocks_in(text, "x")] == ["a\n", "$ e\n"]


def test_commands_are_split_from_their_output() -> None:
    assert commands("$ one\n1\n2\n$ two\n") == [("one", "1\n2\n"), ("two", "")]


def test_a_failing_command_fails() -> None:
    with pytest.raises(AssertionError, match="ended with 3"):
        run("bash", "-c", "exit 3", cwd=ROOT)


def test_output_must_match_where_it_is_shown() -> None:
    assert matches("", "anything\n")
    assert matches("a ... c\n", "a b c\n")
    assert not matches("a\n", "b\n")


def test_a_snippet_with_await_is_told_from_a_program() -> None:
    assert awaits_at_top_level("async with a:\n    pass\n")
    assert not awaits_at_top_level("async def main():\n    await a\n")


def test_what_awaits_at_the_top_level_can_be_typed_at_the_prompt() -> None:
    """README and docs/client.md say so; before Python 3.13 a prompt takes a paste line by line."""
    refused = {block.place: refused_when_typed(block.text) for block in blocks() if is_typed(block)}
    assert len(refused) > 10
    assert {place: line for place, line in refused.items() if line} == {}


def is_typed(block: Block) -> bool:
    return block.kind == "python" and awaits_at_top_level(block.text)


def test_a_prompt_ends_a_block_at_an_empty_line_and_at_nothing_else() -> None:
    block = "async with a:\n    await b\n"
    assert refused_when_typed(f"import a\n\n{block}\nc = 1\n") == ""
    assert refused_when_typed(f"{block}\n    c = 1\n") == "    c = 1"
    assert refused_when_typed(f"{block}c = 1\n") == "c = 1"


def test_a_python_block_is_given_no_key_and_no_option(tmp_path: Path) -> None:
    assert not [name for name in environment() if name.startswith(("OPENAI_", "PYTEST_"))]
    command = runner("async def test_it():\n    assert False\n", sys.executable, tmp_path)
    with pytest.raises(AssertionError, match="async def functions are not natively supported"):
        run(*command, cwd=tmp_path)
