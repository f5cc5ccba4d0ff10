"""How servers differ: every knob, its values, and what one server or another was seen to do."""

__all__: list[str] = []
