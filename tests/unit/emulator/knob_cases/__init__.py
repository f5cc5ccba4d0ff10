"""Cases of the knobs, gathered by test_knobs.py."""

__all__: list[str] = []
