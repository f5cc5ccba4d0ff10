"""What import-linter cannot say about the architecture.

import-linter (pyproject.toml) checks the direction of imports between the layers. Here: which
outside packages a layer may touch, that the emulator's list of friends is exact, that the LiveKit
plugin keeps to public names, and that no package escapes the contracts by being new.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

__all__: list[str] = []

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
PACKAGE = SRC / "antiphon"

# What of antiphon a package may import, itself aside. A name stands for all that is below it,
# except "antiphon", which stands for the names its __init__ exports.
MAY_IMPORT = {
    "exceptions": set[str](),
    "lazy": set[str](),
    "models": set[str](),
    "wire": {"antiphon.exceptions"},
    "protocol": {"antiphon.exceptions", "antiphon.wire"},
    "client": {"antiphon.exceptions", "antiphon.models", "antiphon.wire", "antiphon.protocol"},
    "audio": {
        "antiphon.exceptions",
        "antiphon.lazy",
        "antiphon.protocol",
        "antiphon.client",
    },
    "tools": {"antiphon.exceptions", "antiphon.protocol", "antiphon.client"},
    "emulator": {"antiphon.exceptions", "antiphon.lazy", "antiphon.models", "antiphon.wire"},
    "livekit": {"antiphon", "antiphon.exceptions", "antiphon.models"},
}
# Above these stand packages that may import everything below them; import-linter orders them.
UNRESTRICTED = {"__init__", "bench", "cli", "__main__"}

# The only packages from outside that a layer may import, beside a standard library without these:
ONLY_OUTSIDE = {
    "exceptions": set[str](),
    "wire": {"msgspec", "pybase64"},
    "protocol": {"msgspec"},
}
NO_CLOCK_NO_IO = {
    "asyncio", "concurrent", "datetime", "http", "multiprocessing", "os", "pathlib", "queue",
    "random", "secrets", "select", "selectors", "signal", "socket", "ssl", "subprocess", "sys",
    "threading", "time", "urllib", "uuid",
}  # fmt: skip

LINES_IN_ONE_SITTING = 700


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[str, str]]:
    """Every import as (module, name), at any depth; `name` is "" for a plain `import module`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")
            if node.level:
                base = base[: len(base) - node.level + is_package]
            target = ".".join([*(base if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                yield target, alias.name


def imports_of(path: Path) -> list[tuple[str, str]]:
    return list(imports(path.read_text(), module_name(path), is_package=path.name == "__init__.py"))


def allowed_inside(layer: str, target: str, name: str) -> bool:
    """Whether `from target import name` keeps to what this layer may know of antiphon."""
    reached = f"{target}.{name}" if name and (SRC / target.replace(".", "/")).is_dir() else target
    own = f"antiphon.{layer}"
    for friend in (own, *MAY_IMPORT[layer]):
        if friend == "antiphon":
            if target == "antiphon" and not is_module(reached):
                return True
        elif target == friend or f"{reached}.".startswith(f"{friend}."):
            return True
    return False


def is_module(dotted: str) -> bool:
    path = SRC / dotted.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def foreign_private(target: str, name: str) -> bool:
    """Whether this reaches for something that LiveKit, or anyone else, keeps to itself."""
    dotted = [*target.split("."), name]
    private = any(part.startswith("_") and not part.startswith("__") for part in dotted)
    stock_plugin = f"{target}.{name}.".startswith("livekit.plugins.openai.")
    return private or stock_plugin


def source_files(*parts: str) -> list[Path]:
    return sorted(PACKAGE.joinpath(*parts).rglob("*.py"))


def top_level_names() -> list[str]:
    return sorted(
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))
    )


@pytest.mark.parametrize("name", top_level_names())
def test_every_package_is_under_a_contract(name: str) -> None:
    assert name in MAY_IMPORT or name in UNRESTRICTED, (
        f"antiphon.{name} is new: give it a place in the layers of pyproject.toml "
        "and in MAY_IMPORT or UNRESTRICTED here"
    )


@pytest.mark.parametrize("layer", sorted(MAY_IMPORT))
def test_layer_imports_only_its_friends(layer: str) -> None:
    strangers = [
        f"{path.relative_to(SRC)}: {target} {name}".strip()
        for path in source_files()
        if layer_of(path) == layer
        for target, name in imports_of(path)
        if target.split(".")[0] == "antiphon" and not allowed_inside(layer, target, name)
    ]
    assert strangers == []


@pytest.mark.parametrize("layer", sorted(ONLY_OUTSIDE))
def test_lower_layers_touch_few_outside_packages(layer: str) -> None:
    import sys

    allowed = ONLY_OUTSIDE[layer] | set(sys.stdlib_module_names) | {"antiphon"}
    outside = {
        f"{path.relative_to(SRC)}: {target}"
        for path in source_files()
        if layer_of(path) == layer
        for target, _ in imports_of(path)
        if target.split(".")[0] not in allowed
    }
    assert outside == set()


def test_protocol_has_no_clock_no_randomness_no_io() -> None:
    found = {
        f"{path.relative_to(SRC)}: {target}"
        for path in source_files("protocol")
        for target, _ in imports_of(path)
        if target.split(".")[0] in NO_CLOCK_NO_IO
    }
    assert found == set()


def test_livekit_plugin_uses_public_names_only() -> None:
    # One module hands on the stock plugin's other names, lazily: code that changes its one import
    # finds them there. It uses none of them.
    hands_on = "livekit/plugins/antiphon/realtime.py"
    found = [
        f"{path.relative_to(SRC)}: {target} {name}".strip()
        for path in [*source_files("livekit"), *sorted((SRC / "livekit").rglob("*.py"))]
        for target, name in imports_of(path)
        if not f"{target}.".startswith("antiphon.livekit.") and foreign_private(target, name)
    ]
    handed_on = (
        f"{hands_on}: livekit.plugins.openai realtime",
        f"{hands_on}: livekit.plugins.openai.realtime ",
    )
    found = [one for one in found if not one.startswith(handed_on)]
    assert found == []


def test_namespace_packages_have_no_init() -> None:
    # livekit and livekit.plugins are shared with other distributions (PEP 420): an __init__.py of
    # ours there would hide theirs.
    assert [
        p
        for p in (SRC / "livekit", SRC / "livekit" / "plugins")
        if p.joinpath("__init__.py").exists()
    ] == []


def test_package_declares_its_types() -> None:
    assert (PACKAGE / "py.typed").is_file()


def test_files_can_be_read_in_one_sitting() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines}"
        for path in [*source_files(), *sorted((ROOT / "tests").rglob("*.py"))]
        if (lines := len(path.read_text().splitlines())) > LINES_IN_ONE_SITTING
    ]
    assert long == []


def test_ci_runs_the_documented_command() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    commands = [line for line in script.splitlines() if re.match(r"(exec )?make\b", line)]
    assert commands == ["make test"]
    assert "$ make test" in (ROOT / "README.md").read_text()


# The checks above are only worth something if they see what they look for.


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("import time", ("time", "")),
        ("def f():\n    from time import monotonic", ("time", "monotonic")),
        ("from . import codec", ("antiphon.wire", "codec")),
        ("from .ids import x", ("antiphon.wire.ids", "x")),
        ("from ..protocol.response import Lane", ("antiphon.protocol.response", "Lane")),
    ],
)
def test_imports_are_seen_at_any_depth(line: str, expected: tuple[str, str]) -> None:
    assert list(imports(line, "antiphon.wire.items")) == [expected]


def test_relative_import_in_a_package_counts_from_the_package() -> None:
    assert list(imports("from .ids import x", "antiphon.wire", is_package=True)) == [
        ("antiphon.wire.ids", "x")
    ]


@pytest.mark.parametrize(
    ("layer", "target", "name", "allowed"),
    [
        ("emulator", "antiphon.wire.items", "Item", True),
        ("emulator", "antiphon.emulator.knobs.pace", "Pace", True),
        ("emulator", "antiphon.protocol.response", "Lane", False),
        ("emulator", "antiphon", "protocol", False),
        ("emulator", "antiphon", "wire", True),
        ("emulator", "antiphon", "connect", False),
        ("wire", "antiphon.wired", "x", False),
        ("livekit", "antiphon", "connect", True),
        ("livekit", "antiphon", "protocol", False),
        ("livekit", "antiphon.client.session", "Session", False),
    ],
)
def test_friends_are_told_from_strangers(layer: str, target: str, name: str, allowed: bool) -> None:
    assert allowed_inside(layer, target, name) is allowed


@pytest.mark.parametrize(
    ("target", "name", "private"),
    [
        ("livekit.agents.llm", "RealtimeModel", False),
        ("livekit.agents.llm._realtime", "x", True),
        ("livekit.agents.llm", "_x", True),
        ("livekit.plugins.openai", "realtime", True),
        ("livekit.plugins", "openai", True),
        ("livekit.agents", "__version__", False),
    ],
)
def test_private_names_are_recognised(target: str, name: str, private: bool) -> None:
    assert foreign_private(target, name) is private
