"""Microphone audio on its way to the server: in what format, and in what pieces."""

from collections.abc import Mapping
from typing import Any

from antiphon.client.arguments import as_bytes
from antiphon.client.audio import ToFormat, check_rate, format_in
from antiphon.client.batch import AudioBatch
from antiphon.client.outbox import Outbox
from antiphon.client.pending import PendingRequest
from antiphon.client.shell import Shell
from antiphon.exceptions import LocalProtocolError, StreamOverflow

__all__ = ["AudioIn"]

# P-101: a server takes 15 MiB of base64 in one append, which is 11.25 MiB of audio.
_APPEND_LIMIT = 8 * 1024 * 1024


class AudioIn:
    """Takes a session's microphone audio.

    Args:
        shell: whose current connection counts it.
        outbox: sends it.
        config: what the first server is going to be asked for.
        batch_ms: gather so much before it is sent; 0 sends each piece as it comes.
        max_pending_bytes: how much may wait for the network.
    """

    __slots__ = (
        "_asked_format",
        "_batch",
        "_config",
        "_converters",
        "_max_pending_bytes",
        "_outbox",
        "_shell",
    )

    def __init__(
        self,
        shell: Shell,
        outbox: Outbox,
        config: Mapping[str, Any],
        *,
        batch_ms: int,
        max_pending_bytes: int,
    ) -> None:
        self._shell = shell
        self._outbox = outbox
        self._config = config
        self._max_pending_bytes = max_pending_bytes
        self._batch = AudioBatch(batch_ms, self._send) if batch_ms else None
        # The format of an update that the server has not answered yet.
        self._asked_format: tuple[PendingRequest[Any], str] | None = None
        # What makes PCM16 of a rate what the session takes, by rate and format.
        self._converters: dict[tuple[int, str], ToFormat] = {}

    def append(self, audio: bytes | bytearray | memoryview, sample_rate: int | None) -> None:
        """As `Session.append_audio`, which has looked whether the session is open.

        Raises:
            LocalProtocolError, StreamOverflow, MissingDependency: as there.
        """
        if type(audio) is not bytes:
            audio = as_bytes("audio", audio)
        if self._asked_format is None and self._shell.connection.input_audio.bytes_per_ms == 48:
            form = "audio/pcm"
        else:
            form = self._format()
        if sample_rate is not None:
            # What has a rate is PCM16, whatever the session's format is.
            audio = self._converted(audio, sample_rate, form)
        elif form == "audio/pcm" and len(audio) % 2:
            raise _half_a_sample(audio)
        if not audio:
            return
        if self._outbox.pending_bytes > self._max_pending_bytes:
            raise StreamOverflow(
                f"more than {self._max_pending_bytes} bytes wait for the network; "
                "await session.drain() between pieces"
            )
        if self._batch is None:
            self._send(audio)
        else:
            self._gather(self._batch, audio)

    def flush(self) -> None:
        """Send what is still held back here: a commit is about to follow."""
        converters, self._converters = self._converters, {}
        for converter in converters.values():
            if not (rest := converter.process(b"", last=True)):
                continue
            if self._batch is None:
                self._send(rest)
            else:
                self._gather(self._batch, rest)
        if self._batch is not None:
            self._batch.flush()

    def drop(self) -> None:
        """Forget what is held back here."""
        self._converters.clear()
        if self._batch is not None:
            self._batch.drop()

    def asked(self, pending: PendingRequest[Any], config: Mapping[str, Any]) -> None:
        """The server is asked for this configuration, perhaps for another format with it."""
        if (form := format_in(config, "input")) is not None:
            self._asked_format = (pending, form)

    def _gather(self, batch: AudioBatch, audio: bytes) -> None:
        batch.add(audio, self._shell.connection.input_audio.bytes_per_ms)

    def _send(self, audio: bytes) -> None:
        # No timer needs to be looked at.
        shell = self._shell
        for start in range(0, len(audio), _APPEND_LIMIT):
            piece = audio[start : start + _APPEND_LIMIT]
            if self._outbox.transport is not None:
                self._outbox.send(shell.connection.append_audio(piece))
            elif dropped := shell.connection.hold_audio(piece):
                shell.counters["audio_bytes_dropped_offline"] += dropped
        if shell.callbacks.due:
            shell.callbacks.run()

    def _format(self) -> str:
        """What the server will take audio for when it gets there: as asked, until it answers."""
        if self._asked_format is not None:
            pending, form = self._asked_format
            if not pending.done:
                return form
            self._asked_format = None
        in_force = self._shell.connection.session
        # Before the server has said anything, what it is going to be asked for.
        return format_in(in_force or self._config, "input") or "audio/pcm"

    def _converted(self, audio: bytes, sample_rate: int, form: str) -> bytes:
        check_rate(sample_rate)
        if len(audio) % 2:
            raise _half_a_sample(audio)
        if form == "audio/pcm" and sample_rate == 24000:
            return audio
        converter = self._converters.get((sample_rate, form))
        if converter is None:
            converter = self._converters[sample_rate, form] = ToFormat(sample_rate, form)
        return converter.process(audio)


def _half_a_sample(audio: bytes) -> LocalProtocolError:
    return LocalProtocolError(f"{len(audio)} bytes are no whole number of samples")
