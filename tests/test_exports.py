"""Every module says what it exports, and says so truthfully."""

import importlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

__all__: list[str] = []

SRC = Path(__file__).parent.parent / "src"


def modules() -> list[str]:
    names = []
    for path in sorted((SRC / "antiphon").rglob("*.py")):
        if "foreign" in path.parts:
            continue  # programs that run in environments of their own
        parts = path.relative_to(SRC).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def load(name: str) -> ModuleType:
    return importlib.import_module(name)


def exported(module: ModuleType) -> list[str]:
    names = getattr(module, "__all__", None)
    assert isinstance(names, list), f"{module.__name__} has no __all__"
    return names


def own_public_definitions(module: ModuleType) -> set[str]:
    """Public classes and functions that this module itself defines."""
    return {
        name
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
        and not name.startswith("_")
    }


@pytest.mark.parametrize("name", modules())
def test_all_names_exist_and_are_listed_once(name: str) -> None:
    module = load(name)
    names = exported(module)
    assert [n for n in names if not hasattr(module, n)] == []
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", modules())
def test_module_says_what_it_is_for(name: str) -> None:
    assert (load(name).__doc__ or "").strip()


def documented(value: object) -> bool:
    """Whether a class or function has a docstring of its own, neither inherited nor generated."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return True
    text = (vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__) or ""
    return text.strip() != "" and not text.startswith(f"{value.__name__}(")


def test_public_names_of_the_package_are_documented() -> None:
    package = load("antiphon")
    names = exported(package)
    assert "connect" in names
    assert [name for name in names if not documented(getattr(package, name))] == []


@pytest.mark.parametrize("name", modules())
def test_module_exports_every_public_thing_it_defines(name: str) -> None:
    module = load(name)
    assert own_public_definitions(module) - set(exported(module)) == set()


def test_generated_and_inherited_docstrings_do_not_count() -> None:
    @dataclass
    class Generated:
        x: int = 0

    class Inherited(ValueError):
        pass

    assert not documented(Generated)
    assert not documented(Inherited)
    assert documented(documented)
