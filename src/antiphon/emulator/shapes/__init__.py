"""What events look like: checked on the way in, and renamed for other dialects."""

__all__: list[str] = []
