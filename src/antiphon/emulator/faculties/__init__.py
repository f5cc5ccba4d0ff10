"""Ears, mouth and brain, and the work that the engine asks of them."""

__all__: list[str] = []
