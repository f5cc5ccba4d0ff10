"""Public names that are imported when they are first used.

pytest loads the emulator's plugin in every project where antiphon is installed, and with it this
package: what a test run does not use it should not pay for.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from sys import modules
from typing import Any

__all__ = ["lazily"]


def lazily(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's `__getattr__` (PEP 562).

    Args:
        package: the package's `__name__`.
        homes: module below the package to the names that it gives, separated by spaces; a name may
            be that of a module of its own.
    """
    home = {name: module for module, names in homes.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place = f"{package}.{home[name]}"
        try:
            value = getattr(import_module(place), name)
        except AttributeError:
            value = import_module(f"{place}.{name}")
        setattr(modules[package], name, value)
        return value

    return load
