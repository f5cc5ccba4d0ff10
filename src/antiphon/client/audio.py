"""Resampling of the microphone, for callers whose audio is not in the session's rate."""

from typing import Any

from antiphon.exceptions import LocalProtocolError, MissingDependency

__all__ = ["Resampler"]


class Resampler:
    """A stream of PCM16 from one rate to another. Keeps the filter's state between calls.

    Args:
        from_rate: Hz of what is given.
        to_rate: Hz of what is returned.

    Raises:
        MissingDependency: the package `soxr` is not installed.
        LocalProtocolError: a rate is not positive.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise LocalProtocolError(f"no sample rate: {min(from_rate, to_rate)} Hz")
        try:
            import soxr
        except ImportError as missing:
            raise MissingDependency(
                f"resampling {from_rate} Hz to {to_rate} Hz needs soxr: "
                "pip install 'antiphon[audio]'"
            ) from missing
        # soxr: libsoxr's bindings, maintained, wheels for every platform, the usual reference for
        # quality; numpy comes with it. Loaded only here, so that nobody else pays for it.
        self._stream: soxr.ResampleStream = soxr.ResampleStream(
            from_rate, to_rate, 1, dtype="int16", quality="HQ"
        )

    def process(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Resample mono PCM16 little-endian; `last` flushes what the filter still holds."""
        import numpy

        samples: Any = numpy.frombuffer(pcm, dtype="<i2")
        resampled: bytes = self._stream.resample_chunk(samples, last=last).tobytes()
        return resampled
