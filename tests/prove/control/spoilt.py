"""antiphon's own program, with places to spoil it."""

from typing import Any

from antiphon.bench.prove.adapters.antiphon_session import AntiphonClient
from antiphon.bench.prove.adapters.stage import Client, Stage

__all__ = ["WRONG", "Spoilt", "wrong"]

WRONG: dict[str, type[Client]] = {}
"""Filled by the modules beside this one."""


def wrong(kind: type["Spoilt"]) -> type["Spoilt"]:
    """List it by its name in words_with_underscores."""
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind.__name__)
    WRONG[name.lstrip("_")] = kind
    return kind


class Spoilt(AntiphonClient):
    """antiphon's program, with places to spoil it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self.dead = False
        self._honest_tell = stage.tell
        self.stage = Stage(lambda told: self._say(told), stage.wav, stage.connector)

    def _say(self, told: dict[str, Any]) -> None:
        if told["saw"] in ("ok", "failed", "unsupported"):
            self._honest_tell(**told)
            return
        kept = None if self.dead else self.spoil(told)
        if kept is not None:
            self._honest_tell(**kept)

    def spoil(self, told: dict[str, Any]) -> dict[str, Any] | None:
        """What becomes of an observation."""
        return told

    async def open(self, **how: Any) -> None:
        await super().open(**how)
        self.session.on("server_event", self.look)

    def look(self, event: Any) -> None:
        """Every event of the server's."""

    async def open_call(self, **where: Any) -> None:
        await super().open_call(**where)
        self.session.on("server_event", self.look)

    def bare_cancel(self) -> None:
        self.session.send_raw({"type": "response.cancel"})
