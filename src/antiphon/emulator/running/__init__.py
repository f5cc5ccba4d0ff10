"""What runs an engine: sockets, memory, threads; and who makes its calls."""

__all__: list[str] = []
