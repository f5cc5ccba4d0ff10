"""Docstrings are written to be read by `help()`; here they are made reStructuredText.

The one thing that has to change: a block that is indented after an empty line is code.
"""

from typing import Any

from sphinx.application import Sphinx

__all__ = ["marked", "setup"]


def marked(lines: list[str]) -> list[str]:
    """The lines with a directive before each indented block that follows an empty line."""
    result: list[str] = []
    in_code = False
    for number, line in enumerate(lines):
        indented = line.startswith("    ")
        begins = indented and not in_code and (number == 0 or not lines[number - 1].strip())
        if begins:
            kind = "text" if "─" in "".join(lines[number : number + 3]) else "python"
            result += [f".. code-block:: {kind}", ""]
            in_code = True
        elif line.strip() and not indented:
            in_code = False
        result.append(line)
    return result


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = marked(lines)
    if what in ("attribute", "data", "property"):
        # napoleon takes what stands before a colon on the first line for the type.
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx; before napoleon, which also listens to this event (default 500)."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"parallel_read_safe": True}
