"""Clients that are wrong on purpose, each in one way: what every scenario must be able to catch.

Each is antiphon's own program with one thing spoilt, and is named for what a scenario asks of it.
"""

from tests.prove.control import calls, conversations
from tests.prove.control.spoilt import WRONG

__all__ = ["RIGHT", "WRONG"]

RIGHT = {**conversations.RIGHT, **calls.RIGHT}
"""Who passes what antiphon's plain program does not, by scenario."""
