"""One program for each client: it makes the client do what a scenario says, and tells what came.

`stage.py` is what they share. Those of other people's clients run in environments without antiphon.
"""

__all__: list[str] = []
