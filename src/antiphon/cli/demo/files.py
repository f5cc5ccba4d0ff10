"""The demonstration's audio: the spoken sentence it comes with, and what it leaves behind."""

import wave
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from antiphon.cli.demo.observer import Line, Track

__all__ = ["RATE", "leave", "spoken_sentence"]

RATE = 24_000


def spoken_sentence() -> bytes:
    """Somebody asks a question: PCM16 little-endian, mono, 24 kHz (see spoken.txt)."""
    with (
        resources.files("antiphon.cli.demo").joinpath("spoken.wav").open("rb") as raw,
        wave.open(raw) as file,
    ):
        pcm: bytes = file.readframes(file.getnframes())
    return pcm


def leave(folder: Path, tracks: Iterable[Track], trace: Iterable[Line]) -> list[Path]:
    """Write a WAV of what was heard of each response, and the trace.

    Args:
        folder: made if it is missing.
        tracks: the responses, in order.
        trace: what went over the wire.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, track in enumerate(tracks, 1):
        path = folder / f"{number}-{track.label.replace(' ', '-')}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(bytes(track.heard))
        written.append(path)
    path = folder / "trace.txt"
    path.write_text("".join(f"{line}\n" for line in trace), encoding="utf-8")
    return [*written, path]
