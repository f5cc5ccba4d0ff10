"""The client's half of the protocol, without I/O: what every event means and what follows from it.

Start at `response`: its table says everything that can happen to one response. `connection` is the
way in.
"""

__all__: list[str] = []
