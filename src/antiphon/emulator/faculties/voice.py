"""Ears and a mouth, offline: PocketSphinx hears, hibari speaks. English both.

Both packages carry their models, so that nothing is downloaded: `pip install 'antiphon[voice]'`.
"""

import os
import sys
import threading
from array import array
from importlib.util import find_spec
from typing import Any

from antiphon.emulator.audio.formats import PCM16, AudioFormat, decode_g711, encode_g711
from antiphon.emulator.audio.speech import block_ms
from antiphon.exceptions import MissingDependency

__all__ = ["Voice"]

_HEARING_RATE = 16_000
# PocketSphinx keeps Python's lock while it works. In pieces of 20 ms, each a few milliseconds of
# work, it never keeps the event loop's thread waiting for long.
_PIECE_BYTES = _HEARING_RATE // 50 * 2
# Without these it takes twice as long, and holds the lock at the end for a fifth of the audio's
# length; on clean speech it hears one word in a hundred more.
_HEARING = {"maxhmmpf": 3000, "maxwpf": 5, "fwdflat": False}
# Mean cepstrum of common speech, as one decoder found it, to begin each turn with.
_COMMON_VOICE = "41.00,-5.29,-0.12,5.09,2.48,-4.07,-1.37,-1.78,-5.08,-2.05,-6.45,-1.42,1.17"
# Silence put around what was said: a word that begins with the audio is often missed.
_PADDING = bytes(_HEARING_RATE // 10 * 2)
# Of longer audio the end is heard, so that one turn cannot occupy the ears for ever.
MAX_HEARD_S = 60
_SAME_EVERY_TIME = 0


class Voice:
    """Transcribes and speaks. Its methods may be called from any thread, one call at a time each.

    Models are loaded at first use, or by `load`: about two seconds and 300 MB, once.

    Args:
        speed: of speech; 0.5 is slow, 2.0 fast.

    Raises:
        MissingDependency: a package is not installed.
    """

    def __init__(self, *, speed: float = 1.0) -> None:
        for package in ("pocketsphinx", "hibari", "soxr"):
            if find_spec(package) is None:
                raise MissingDependency(
                    f"hearing and speaking need {package}: pip install 'antiphon[voice]'"
                )
        self._speed = speed
        self._ears: Any = None
        self._mouth: Any = None
        self._ears_lock = threading.Lock()
        self._mouth_lock = threading.Lock()

    def load(self) -> None:
        """Load both models now."""
        with self._ears_lock:
            self._load_ears()
        with self._mouth_lock:
            self._load_mouth()

    def hear(self, audio: bytes, form: AudioFormat = PCM16) -> str:
        """What was said, in lower case without punctuation; "" if nothing was understood.

        Args:
            audio: at most the last `MAX_HEARD_S` seconds of it are listened to.
            form: its format.
        """
        samples = _for_ears(audio[-MAX_HEARD_S * 1000 * form.bytes_per_ms :], form)
        with self._ears_lock:
            ears = self._load_ears()
            # What it adapted itself to before was somebody else's voice, in another session.
            ears.set_cmn(_COMMON_VOICE)
            ears.start_utt()
            try:
                for at in range(0, len(samples), _PIECE_BYTES):
                    ears.process_raw(samples[at : at + _PIECE_BYTES], full_utt=False)
            finally:
                ears.end_utt()
            found = ears.hyp()
        return "" if found is None else str(found.hypstr)

    def speak(self, words: str, form: AudioFormat = PCM16) -> bytes:
        """Say something, the same every time.

        Args:
            words: what to say.
            form: the format wanted.

        Returns:
            Audio in whole blocks (`speech.block_ms`); b"" for words that have no sound.
        """
        with self._mouth_lock:
            wave = self._load_mouth()(words, speed=self._speed, seed=_SAME_EVERY_TIME)
        if not len(wave):
            return b""
        if form.rate != PCM16.rate:
            import soxr

            wave = soxr.resample(wave, PCM16.rate, form.rate)
        samples = (wave.clip(-1.0, 1.0) * 32767).astype("<i2").tobytes()
        data = samples if form.sample_bytes == 2 else encode_g711(_array(samples), form.name)
        block = block_ms(form) * form.bytes_per_ms
        quiet = b"\0" if form.sample_bytes == 2 else encode_g711(array("h", [0]), form.name)
        return data + quiet * (-len(data) % block)

    def _load_ears(self) -> Any:
        if self._ears is None:
            from pocketsphinx import Decoder

            self._ears = Decoder(samprate=_HEARING_RATE, loglevel="FATAL", **_HEARING)
        return self._ears

    def _load_mouth(self) -> Any:
        if self._mouth is None:
            # onnxruntime, which hibari runs on, tells its maker of its use, and keeps an id for
            # that in the user's home, unless it is told not to before it is imported.
            os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
            from hibari import Hibari

            self._mouth = Hibari()
            self._mouth("Ready.")  # the first words take ten times as long as the others
        return self._mouth


def _for_ears(audio: bytes, form: AudioFormat) -> bytes:
    import numpy
    import soxr

    if form.sample_bytes == 2:
        samples = numpy.frombuffer(audio, dtype="<i2")
    else:
        samples = numpy.frombuffer(decode_g711(audio, form.name), dtype=numpy.int16)
    heard = soxr.resample(samples, form.rate, _HEARING_RATE)
    data: bytes = heard.astype("<i2").tobytes()
    return _PADDING + data + _PADDING


def _array(samples: bytes) -> "array[int]":
    values = array("h", samples)
    if sys.byteorder == "big":
        values.byteswap()
    return values
