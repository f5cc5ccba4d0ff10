"""The protocol core of the emulated server: no sockets, no clock of its own."""

__all__: list[str] = []
