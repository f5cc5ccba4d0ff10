"""What the model says: by a test's script, or by the small built-in conversation."""

__all__: list[str] = []
