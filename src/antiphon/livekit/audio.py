"""Audio in the framework's frames: the microphone's way in, and a response's way out."""

from collections.abc import AsyncIterator, Iterable, Iterator

from antiphon import ResponseHandle
from antiphon.livekit.options import SAMPLE_RATE
from livekit import rtc

__all__ = ["FrameConverter", "LiveKitResponse", "frame", "to_pcm"]

# What is sent at once: 100 ms of PCM16.
_CHUNK = SAMPLE_RATE // 10 * 2


class LiveKitResponse(ResponseHandle):
    """antiphon's handle of a response, with its audio as frames."""

    __slots__ = ()

    @property
    def audio_frames(self) -> AsyncIterator[rtc.AudioFrame]:
        """The audio as it comes, mono at 24 kHz, for `AgentSession.say(text, audio=…)` or a track.

        It reads `audio`: use one of the two, once. It ends as `audio` does.
        """
        return self._frames()

    async def _frames(self) -> AsyncIterator[rtc.AudioFrame]:
        async for pcm in self.audio:
            yield frame(pcm)


def frame(pcm: bytes) -> rtc.AudioFrame:
    """PCM16 LE, mono, 24 kHz as a frame. Half a sample at the end is dropped."""
    samples = len(pcm) // 2
    return rtc.AudioFrame(
        data=pcm[: samples * 2],
        sample_rate=SAMPLE_RATE,
        num_channels=1,
        samples_per_channel=samples,
    )


class FrameConverter:
    """Turns frames of any rate and number of channels into pieces of 100 ms for the server."""

    def __init__(self) -> None:
        self._resampler: rtc.AudioResampler | None = None
        self._rate = SAMPLE_RATE
        self._rest = bytearray()
        self.uncommitted_ms = 0.0
        """How much was handed out since the last commit or clear, in ms."""

    def push(self, given: rtc.AudioFrame) -> Iterator[bytes]:
        """Pieces of PCM16 LE, mono, 24 kHz, as soon as they are full."""
        if given.sample_rate != self._rate:
            self._rate = given.sample_rate
            self._resampler = (
                None if given.sample_rate == SAMPLE_RATE else _resampler(given.sample_rate)
            )
        for resampled in _resampled(self._resampler, _mono(given)):
            self._rest += resampled.data.tobytes()
        while len(self._rest) >= _CHUNK:
            piece = bytes(self._rest[:_CHUNK])
            del self._rest[:_CHUNK]
            yield self._count(piece)

    def flush(self) -> Iterator[bytes]:
        """What is left over: it belongs to this turn, not to the next."""
        if self._rest:
            piece = bytes(self._rest)
            self._rest.clear()
            yield self._count(piece)

    def clear(self) -> None:
        """Forget what is left over."""
        self._rest.clear()
        self.uncommitted_ms = 0.0

    def _count(self, piece: bytes) -> bytes:
        self.uncommitted_ms += len(piece) * 1000 / (2 * SAMPLE_RATE)
        return piece


def to_pcm(frames: rtc.AudioFrame | Iterable[rtc.AudioFrame]) -> bytes:
    """Whole frames as PCM16 LE, mono, 24 kHz."""
    pcm = bytearray()
    resampler: rtc.AudioResampler | None = None
    rate = SAMPLE_RATE
    for given in [frames] if isinstance(frames, rtc.AudioFrame) else frames:
        if given.sample_rate != rate:
            rate = given.sample_rate
            resampler = None if rate == SAMPLE_RATE else _resampler(rate)
        for resampled in _resampled(resampler, _mono(given)):
            pcm += resampled.data.tobytes()
    if resampler is not None:
        for rest in resampler.flush():
            pcm += rest.data.tobytes()
    return bytes(pcm)


def _resampler(rate: int) -> rtc.AudioResampler:
    return rtc.AudioResampler(input_rate=rate, output_rate=SAMPLE_RATE, num_channels=1)


def _resampled(
    resampler: rtc.AudioResampler | None, given: rtc.AudioFrame
) -> Iterable[rtc.AudioFrame]:
    return [given] if resampler is None else resampler.push(given)


def _mono(given: rtc.AudioFrame) -> rtc.AudioFrame:
    channels = given.num_channels
    if channels == 1:
        return given
    import numpy  # the framework brings it; only stereo needs it

    samples = numpy.frombuffer(given.data, dtype="<i2").reshape(-1, channels)
    mixed = samples.mean(axis=1).astype("<i2")
    return rtc.AudioFrame(
        data=mixed.tobytes(),
        sample_rate=given.sample_rate,
        num_channels=1,
        samples_per_channel=len(mixed),
    )
