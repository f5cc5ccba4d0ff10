"""Measures antiphon beside a C floor, bare libraries and other clients. See README.md."""

__all__: list[str] = []
