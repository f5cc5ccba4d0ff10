"""What runs an engine: sockets, memory, threads, virtual time."""

__all__: list[str] = []
