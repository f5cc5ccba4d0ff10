"""What a session remembers: its configuration, its conversation, what is to happen later."""

__all__: list[str] = []
