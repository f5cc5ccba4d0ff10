"""Change the core on purpose, and see whether a test fails: `make mutants`. Not in `make test`.

Each mutant is one change. In the table of responses: a row removed, led elsewhere, or silenced. In
the modules of `--rules`: a condition turned round, a statement left out, a comparison moved by one.
One that lives is a rule that no test holds: write the test, as a trace in tests/regressions.
The working tree is not touched: mutants are made in a copy.
"""

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Mutant", "main", "mutants_of_rules", "mutants_of_table"]

ROOT = Path(__file__).parent.parent
PROTOCOL = Path("src/antiphon/protocol")
TABLES = ("TRANSITIONS", "TOLERANCES")
TESTS = (
    "tests/unit/protocol",
    "tests/regressions",
    "tests/property/test_interleavings.py",
    "tests/calls",
)
SECONDS = 300
# It compares the table with what is written down, so no mutant of a row could live. What is asked
# here is whether the row's effect is seen.
NOT_THIS_ONE = "test_the_tables_say_what_is_written_here_and_nothing_else"


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        file: relative to the repository.
        start, end: the characters of the file that it replaces.
        text: what stands there instead.
        says: what it does, for a reader.
    """

    file: Path
    start: int
    end: int
    text: str
    says: str

    def applied(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]


class Places:
    """Characters of a source text by the line and column that its syntax tree names."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def span(self, node: ast.AST) -> tuple[int, int]:
        at = vars(node)
        return (
            self._lines[at["lineno"] - 1] + at["col_offset"],
            self._lines[at["end_lineno"] - 1] + at["end_col_offset"],
        )

    def text(self, node: ast.AST) -> str:
        start, end = self.span(node)
        return self.source[start:end]


def table_of(path: Path) -> Path:
    """The module below `path` in which the table of responses stands."""
    found = [
        one for one in sorted(path.glob("*.py")) if "TRANSITIONS: Table = {" in one.read_text()
    ]
    (only,) = found
    return only


def rows(tree: ast.Module) -> Iterator[tuple[ast.Dict, int, str]]:
    """Every row: the dict that it is in, its place there, and its state and input in words."""
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.target.id in TABLES and isinstance(node.value, ast.Dict):
                yield from _rows(node.value, ())


def _rows(table: ast.Dict, above: tuple[str, ...]) -> Iterator[tuple[ast.Dict, int, str]]:
    for index, (key, value) in enumerate(zip(table.keys, table.values, strict=True)):
        name = ast.unparse(key).rpartition(".")[2] if key is not None else "**"
        if isinstance(value, ast.Dict):
            yield from _rows(value, (*above, name))
        elif isinstance(value, ast.Tuple):
            yield table, index, " ".join((*above, name))


def mutants_of_table(file: Path, source: str) -> Iterator[Mutant]:
    """Each row removed, each led to its own state and to CLOSED, each without its actions.

    Args:
        file: relative to the repository.
        source: its text.
    """
    tree, places = ast.parse(source), Places(source)
    found = list(rows(tree))
    for table, index, name in found:
        key, row = table.keys[index], table.values[index]
        assert key is not None and isinstance(row, ast.Tuple)
        actions, target = row.elts
        end = places.span(row)[1]
        comma = 1 if source[end : end + 1] == "," else 0
        yield Mutant(file, places.span(key)[0], end + comma, "", f"{name}: removed")
        own = f"_S.{name.split()[-2]}"
        for state in sorted({own, "_S.CLOSED"} - {ast.unparse(target)}):
            yield Mutant(file, *places.span(target), state, f"{name}: leads to {state}")
        if isinstance(actions, ast.Tuple) and actions.elts:
            yield Mutant(file, *places.span(actions), "()", f"{name}: does nothing")


def mutants_of_rules(file: Path, source: str) -> Iterator[Mutant]:
    """Conditions turned round, statements left out, comparisons and constants changed.

    Args:
        file: relative to the repository.
        source: its text.
    """
    places = Places(source)
    for function in ast.walk(ast.parse(source)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in ast.walk(function):
            where = f"{function.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.If | ast.While | ast.IfExp):
                test = places.text(node.test)
                yield Mutant(
                    file, *places.span(node.test), f"(not ({test}))", f"{where}: not {test}"
                )
            elif isinstance(node, ast.BoolOp):
                words = (" and ", " or ") if isinstance(node.op, ast.And) else (" or ", " and ")
                text = places.text(node).replace(*words)
                yield Mutant(file, *places.span(node), text, f"{where}: {words[1].strip()}")
            elif isinstance(node, ast.Compare) and isinstance(
                node.ops[0], ast.Lt | ast.LtE | ast.Gt
            ):
                words = {
                    ast.Lt: (" < ", " <= "),
                    ast.LtE: (" <= ", " < "),
                    ast.Gt: (" > ", " >= "),
                }[type(node.ops[0])]
                text = places.text(node).replace(*words, 1)
                yield Mutant(file, *places.span(node), text, f"{where}: {text}")
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                text = places.text(node).splitlines()[0]
                yield Mutant(file, *places.span(node), "pass", f"{where}: without {text}")
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
                text = places.text(node).splitlines()[0]
                yield Mutant(file, *places.span(node), "pass", f"{where}: without {text}")


def copies(count: int, folder: Path) -> list[Path]:
    made = []
    for number in range(count):
        copy = folder / str(number)
        for part in ("src", "tests", "tools", "docs", "pyproject.toml"):
            source = ROOT / part
            if source.is_dir():
                skip = shutil.ignore_patterns("__pycache__", ".cache")
                shutil.copytree(source, copy / part, ignore=skip)
            else:
                copy.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy / part)
        made.append(copy)
    return made


def dies(mutant: Mutant, copy: Path) -> bool:
    """Whether a test fails under it, or it does not even load."""
    path = copy / mutant.file
    source = path.read_text()
    path.write_text(mutant.applied(source))
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-x",
                "-p",
                "no:cacheprovider",
                "-k",
                f"not {NOT_THIS_ONE}",
                *TESTS,
            ],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(source)


def chosen(args: argparse.Namespace) -> list[Mutant]:
    table = table_of(ROOT / PROTOCOL).relative_to(ROOT)
    every = list(mutants_of_table(table, (ROOT / table).read_text()))
    for name in args.rules:
        file = PROTOCOL / f"{name}.py"
        every += mutants_of_rules(file, (ROOT / file).read_text())
    loadable = [one for one in every if _compiles(one)]
    return loadable[:: args.every]


def _compiles(mutant: Mutant) -> bool:
    try:
        compile(mutant.applied((ROOT / mutant.file).read_text()), str(mutant.file), "exec")
    except SyntaxError:
        return False
    return True


def main(argv: list[str] | None = None) -> int:
    """Try them all, print the survivors, and return 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--rules",
        nargs="*",
        default=["admission", "interruption", "machine"],
        help="modules of protocol/ to change, beside the table",
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try one of N")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args(argv)
    wanted = chosen(args)
    alive: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.jobs) as pool:
        free = copies(args.jobs, Path(folder))

        def attempt(mutant: Mutant) -> tuple[Mutant, bool]:
            copy = free.pop()
            try:
                return mutant, dies(mutant, copy)
            finally:
                free.append(copy)

        for number, (mutant, died) in enumerate(pool.map(attempt, wanted), 1):
            print(
                f"{number}/{len(wanted)} {'died' if died else 'LIVES'}: {mutant.says}", flush=True
            )
            if not died:
                alive.append(mutant)
    print(f"{len(wanted) - len(alive)} of {len(wanted)} mutants died")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
