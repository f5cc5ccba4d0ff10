"""Tools that measure: what a server bears, and what a session costs."""

__all__: list[str] = []
