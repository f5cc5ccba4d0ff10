"""The `antiphon` command."""

from antiphon.cli.main import main

__all__ = ["main"]
