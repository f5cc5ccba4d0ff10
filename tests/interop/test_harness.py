"""The harness tells right from wrong."""

import pytest

from antiphon.emulator.audio import speech
from tests.interop.harness import Observed, heard_whole

__all__: list[str] = []

PCM = speech.synthesize("resp_a", 0, 300)


def test_heard_whole_accepts_whole_audio_only() -> None:
    heard_whole(PCM, "resp_a", 300)
    with_a_hole = PCM[: 48 * 100] + PCM[48 * 150 :]
    for wrong in (PCM[: 48 * 200], with_a_hole, PCM + PCM, b""):
        with pytest.raises(AssertionError):
            heard_whole(wrong, "resp_a", 300)
    with pytest.raises(AssertionError):
        heard_whole(PCM, "resp_b", 300)


def test_one_wants_exactly_one() -> None:
    seen = Observed([{"saw": "text", "text": "a"}, {"saw": "text", "text": "b"}])
    assert seen.words() == "ab"
    with pytest.raises(AssertionError, match="2 times"):
        seen.one("text")
    with pytest.raises(AssertionError, match="0 times"):
        seen.one("done")
