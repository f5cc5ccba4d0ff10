"""antiphon as a plugin of LiveKit Agents: `from livekit.plugins import antiphon`."""

import logging
from importlib.metadata import version

from livekit.agents import Plugin

from . import realtime

__all__ = ["AntiphonPlugin", "realtime"]


class AntiphonPlugin(Plugin):
    """Tells the framework which plugin this is. There is nothing to download."""

    def __init__(self) -> None:
        super().__init__(
            __name__, version("antiphon"), __package__, logging.getLogger("antiphon.livekit")
        )


Plugin.register_plugin(AntiphonPlugin())
