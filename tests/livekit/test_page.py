"""docs/livekit.md and the suite agree on where the stock plugin differs."""

import ast
import re
from pathlib import Path

__all__: list[str] = []

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "livekit.md").read_text()


def named_differences() -> set[str]:
    """What the tests give to `both()`."""
    return {
        argument.value
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "both"
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def test_every_difference_has_its_section_and_its_test() -> None:
    section = PAGE.partition("## Side by side")[2].partition("## Versions")[0]
    described = set(re.findall(r"^### (.+)$", section, re.MULTILINE))
    untested = {"Other differences, not of behaviour under test"}
    assert described - untested == named_differences()


def test_the_page_names_the_versions_that_are_tested() -> None:
    root = HERE.parents[1]
    (newest,) = re.findall(r"^livekit-agents==(.+)$", (root / "constraints.txt").read_text(), re.M)
    (oldest,) = re.findall(r"^livekit-agents==(.+)$", (HERE / "oldest.txt").read_text(), re.M)
    (bound,) = re.findall(r'"livekit-agents>=([\d.]+),<2"', (root / "pyproject.toml").read_text())
    assert oldest.startswith(bound)
    assert f"livekit-agents {newest} and with {oldest}" in PAGE
