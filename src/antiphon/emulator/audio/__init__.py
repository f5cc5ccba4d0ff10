"""Sound: formats, made-up speech, voice activity, the turns that it makes."""

__all__: list[str] = []
