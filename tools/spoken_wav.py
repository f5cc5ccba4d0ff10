"""Make the spoken sentence that `antiphon demo` uses as its microphone.

    apt-get install flite
    python tools/spoken_wav.py src/antiphon/cli/demo/spoken.wav

The voice is `slt` of CMU Flite. Flite and its voices may be used, changed and distributed without
restriction, speech made with them included (see spoken.txt beside the file).
"""

import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import numpy
import soxr

__all__ = ["SENTENCE", "main"]

SENTENCE = "Where is the bicycle that I ordered last week?"
VOICE = "slt"
RATE = 24_000
PEAK = 0.7  # of full scale: loud enough for any voice detector, and no clipping
SILENT = 150  # of 32767; quieter samples at either end are cut off
MARGIN = RATE // 20  # 50 ms are left at either end, so that no sound is clipped


def speak(sentence: str) -> tuple[int, "numpy.ndarray[tuple[int], numpy.dtype[numpy.int16]]"]:
    """What Flite makes of a sentence: its rate, and mono PCM16."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "flite.wav"
        subprocess.run(["flite", "-voice", VOICE, "-t", sentence, "-o", str(path)], check=True)
        with wave.open(str(path)) as file:
            return file.getframerate(), numpy.frombuffer(
                file.readframes(file.getnframes()), dtype="<i2"
            )


def main(target: Path) -> None:
    rate, spoken = speak(SENTENCE)
    loud = numpy.flatnonzero(numpy.abs(spoken.astype(int)) > SILENT)
    samples = soxr.resample(spoken.astype("float64") / 32768, rate, RATE, quality="VHQ")
    scale = RATE / rate
    start = max(0, int(loud[0] * scale) - MARGIN)
    samples = samples[start : int(loud[-1] * scale) + MARGIN]
    samples = numpy.round(samples * (PEAK * 32767 / numpy.abs(samples).max())).astype("<i2")
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    print(f"{target}: {len(samples) / RATE:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
