"""Without livekit-agents there is nothing to test here."""

import pytest

__all__: list[str] = []

pytest.importorskip("livekit.agents")
