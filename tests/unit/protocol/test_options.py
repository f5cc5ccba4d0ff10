"""What is known to suit a server."""

import pytest

from antiphon.exceptions import LocalProtocolError
from antiphon.protocol.lifecycle import Tolerance
from antiphon.protocol.options import Options

__all__: list[str] = []


def test_what_is_known_of_a_server_is_set_and_may_be_overruled() -> None:
    known = Options.for_server("speaches", create_timeout=30.0)
    assert not known.echoes_metadata and Tolerance.SUPERSEDES in known.tolerances
    assert known.create_timeout == 30.0
    assert Options.for_server("speaches", echoes_metadata=True).echoes_metadata
    assert Options.for_server("localai").echoes_metadata


def test_server_of_which_nothing_is_known_is_told_by_name() -> None:
    with pytest.raises(LocalProtocolError, match="'openai'; there is 'aimock', 'localai'"):
        Options.for_server("openai")
