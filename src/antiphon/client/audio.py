"""Audio between a caller's rate and the session's format, whichever that is (P-240)."""

from collections.abc import Mapping
from typing import Any

from antiphon.client.g711 import G711_RATE, decode_g711, encode_g711
from antiphon.exceptions import LocalProtocolError, MissingDependency

__all__ = ["FromFormat", "Resampler", "ToFormat", "check_rate", "format_in"]

PCM_RATE = 24000
"""Hz of PCM16 on the wire."""


def format_in(session: Mapping[str, Any], side: str) -> str | None:
    """The name of the audio format in a session's configuration; None where it names none.

    Args:
        session: a configuration in GA's shape, or a part of one.
        side: `"input"` or `"output"`.
    """
    found: Any = session
    for name in ("audio", side, "format", "type"):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, str) else None


def check_rate(sample_rate: Any) -> None:
    """Refuse what is no sample rate."""
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int) or sample_rate <= 0:
        shown = sample_rate if isinstance(sample_rate, (int, float)) else type(sample_rate).__name__
        raise LocalProtocolError(f"sample_rate is {shown}; it must be Hz, such as 16000")


class ToFormat:
    """PCM16 of one rate, made what the session takes. Keeps the filter's state between calls.

    Args:
        sample_rate: Hz of what is given.
        form: the session's format: `"audio/pcm"`, `"audio/pcmu"` or `"audio/pcma"`.
    """

    def __init__(self, sample_rate: int, form: str) -> None:
        self._form = form
        rate = PCM_RATE if form == "audio/pcm" else G711_RATE
        self._resampler = Resampler(sample_rate, rate) if sample_rate != rate else None

    def process(self, pcm: bytes, *, last: bool = False) -> bytes:
        """Convert mono PCM16 little-endian; `last` flushes what the filter still holds."""
        if self._resampler is not None:
            pcm = self._resampler.process(pcm, last=last)
        return pcm if self._form == "audio/pcm" else encode_g711(pcm, self._form)


class FromFormat:
    """The other way: what the session sends, made PCM16 of one rate."""

    def __init__(self, form: str, sample_rate: int) -> None:
        self._form = form
        rate = PCM_RATE if form == "audio/pcm" else G711_RATE
        self._resampler = Resampler(rate, sample_rate) if sample_rate != rate else None

    def process(self, audio: bytes, *, last: bool = False) -> bytes:
        """Convert one piece; `last` flushes what the filter still holds."""
        pcm = audio if self._form == "audio/pcm" else decode_g711(audio, self._form)
        return pcm if self._resampler is None else self._resampler.process(pcm, last=last)


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
        check_rate(from_rate)
        check_rate(to_rate)
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
