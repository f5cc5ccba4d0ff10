"""What `antiphon serve` tells of what goes on: a line for each thing that an operator looks for.

Payload never reaches it: audio is told as its size, and words as their number, unless frames were
asked for (`-v`), where text is shown and audio is not.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from antiphon.emulator import Engine

__all__ = ["Journal", "to_stderr"]

# A frame of the server's begins with its type; a client may write its own anywhere.
_TYPE = re.compile(rb'^\{"type": ?"([\w.]+)"')
_FRAME_CHARS = 160
_QUIET = (
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_text.delta",
    "response.audio.delta",
    "response.audio_transcript.delta",
    "response.text.delta",
)


@dataclass
class _Session:
    number: int
    begun: float
    # When each response in flight was created, by id.
    created: dict[str, float] = field(default_factory=dict)


class Journal:
    """Tells of sessions, responses, cancels, errors and closes: an `EmulatorServer`'s `watch`.

    Args:
        frames: tell of every frame, too.
        out: where to write.
        clock: seconds, for durations.
    """

    def __init__(
        self,
        *,
        frames: bool = False,
        out: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frames = frames
        self._out = out or sys.stdout
        self._clock = clock
        self._count = 0
        self._sessions: dict[Engine, _Session] = {}

    def __call__(
        self, engine: Engine, way: Literal["client", "server", "gone"], frame: bytes
    ) -> None:
        session = self._sessions.get(engine)
        if session is None:
            self._count += 1
            session = self._sessions[engine] = _Session(self._count, self._clock())
            self._say(session, "connected")
        if way == "gone":
            lasted = self._clock() - session.begun
            left = f", {len(session.created)} in flight" if session.created else ""
            self._say(session, f"gone after {lasted:.1f} s{left}")
            del self._sessions[engine]
        elif way == "server":
            self._from_server(session, frame)
        else:
            self._from_client(session, frame)

    def _from_server(self, session: _Session, frame: bytes) -> None:
        found = _TYPE.match(frame)
        kind = found[1].decode() if found is not None else ""
        if kind in _QUIET and not self._frames:
            return
        event = _read(frame)
        if self._frames:
            self._say(session, f"S< {_shown(event)}")
        match kind:
            case "session.created":
                told = event.get("session") or {}
                self._say(session, f"session {told.get('id')}, model {told.get('model')}")
            case "response.created":
                told = event.get("response") or {}
                session.created[str(told.get("id"))] = self._clock()
                lane = "out of band" if told.get("conversation_id") is None else "default"
                self._say(session, f"{told.get('id')} created, {lane}")
            case "response.done":
                self._done(session, event.get("response") or {})
            case "error":
                error = event.get("error") or {}
                code = error.get("code") or error.get("type")
                self._say(session, f"error {code}: {error.get('message')}")
            case "input_audio_buffer.speech_started":
                self._say(session, "speech began")
            case "input_audio_buffer.speech_stopped":
                self._say(session, "speech ended")

    def _done(self, session: _Session, told: dict[str, Any]) -> None:
        name = str(told.get("id"))
        details = told.get("status_details") or {}
        error = (details.get("error") or {}) if isinstance(details, dict) else {}
        why = ": ".join(str(error[name]) for name in ("code", "message") if error.get(name))
        if not why and isinstance(details, dict):
            why = str(details.get("reason") or "")
        begun = session.created.pop(name, None)
        took = f" after {self._clock() - begun:.2f} s" if begun is not None else ""
        ended = f"{told.get('status')} ({why})" if why else told.get("status")
        self._say(session, f"{name} {ended}{took}")

    def _from_client(self, session: _Session, frame: bytes) -> None:
        if b"input_audio_buffer.append" in frame[:200] and not self._frames:
            return
        event = _read(frame)
        if self._frames:
            self._say(session, f"C> {_shown(event)}")
        if event.get("type") == "response.cancel":
            target = event.get("response_id")
            self._say(session, f"cancel {target}" if target else "cancel without an id")

    def _say(self, session: _Session, what: str) -> None:
        now = time.strftime("%H:%M:%S")
        print(f"{now} #{session.number} {what}", file=self._out, flush=True)


def _read(frame: bytes) -> dict[str, Any]:
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError):
        return {"type": f"no JSON, {len(frame)} bytes"}
    return event if isinstance(event, dict) else {"type": f"no event, {len(frame)} bytes"}


def _shown(event: dict[str, Any]) -> str:
    """A frame on one line: its type first, audio as its size."""
    rest = {key: value for key, value in event.items() if key not in ("type", "event_id")}
    is_audio = "audio" in str(event.get("type")) and "transcript" not in str(event.get("type"))
    text = json.dumps(_without_audio(rest, is_audio), ensure_ascii=False)
    if len(text) > _FRAME_CHARS:
        text = f"{text[:_FRAME_CHARS]}… ({len(text)} characters)"
    return f"{event.get('type')} {text}"


def _without_audio(value: Any, is_audio: bool) -> Any:
    if isinstance(value, dict):
        return {
            key: f"<{len(inner) * 3 // 4} bytes of audio>"
            if isinstance(inner, str) and (key == "audio" or (key == "delta" and is_audio))
            else _without_audio(inner, is_audio)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_audio(inner, is_audio) for inner in value]
    return value


def to_stderr(level: int = logging.WARNING) -> None:
    """Have the emulator's own warnings shown: a brain that cannot be reached, a refused client."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("antiphon serve: %(message)s"))
    log = logging.getLogger("antiphon.emulator")
    log.addHandler(handler)
    log.setLevel(level)
