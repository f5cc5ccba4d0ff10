"""What the clients' programs share: commands in, observations out, one line of JSON each.

Needs nothing but the standard library, so that it runs in any environment:

    class Mine(Client):
        async def open(self, *, url, http_url, text, vad, tool): ...
        async def ask(self, *, reader, words, patience=None): ...

    if __name__ == "__main__":
        perform(Mine)
"""

import asyncio
import base64
import json
import os
import sys
import traceback
import wave
from collections.abc import Callable
from typing import Any

__all__ = ["PLAYER", "SILENCE_MS", "Client", "Obedient", "Stage", "Unsupported", "perform"]

# More than any turn detection here waits for.
SILENCE_MS = 800
# The reader of a client that has one output for all that is said.
PLAYER = "player"


class Unsupported(Exception):
    """The client has no such thing; the scenario is not applicable."""


class Stage:
    """Where to tell what was observed.

    Args:
        write: takes one observation.
        wav: the user's spoken question: mono PCM16 of 24 kHz.
        connector: for antiphon's own, where there are no sockets.
    """

    def __init__(
        self, write: Callable[[dict[str, Any]], None], wav: str, connector: Any = None
    ) -> None:
        self._write = write
        self.wav = wav
        self.connector = connector

    def tell(self, saw: str, **facts: Any) -> None:
        """Report an observation; `bytes` are PCM16."""
        shown = {
            name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
            for name, value in facts.items()
        }
        self._write({"saw": saw, **shown})

    def spoken(self, part: str = "", chunk_ms: int = 100) -> list[bytes]:
        """The spoken question, 24 kHz PCM16, with silence after it, in pieces.

        Args:
            part: only the `voice`, or only the `silence` after it; by default both.
            chunk_ms: length of a piece.
        """
        pcm = b""
        if part != "silence":
            with wave.open(self.wav) as recording:
                pcm = recording.readframes(recording.getnframes())
        if part != "voice":
            pcm += bytes(48 * SILENCE_MS)
        size = 48 * chunk_ms
        return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


class Client:
    """One conversation with a client. What it does not override, it does not have.

    It tells, as it happens, by `self.stage.tell`:

    * `audio(reader=, pcm=)`: what a reader was given, PCM16 of 24 kHz; `reader` is the name given
      to `ask` or `aside` where the client tells replies apart, the response's id where it hands
      that on, and `PLAYER` where it has one output for everything;
    * `text(reader=, text=)`: words, in the same way;
    * `ended(reader=, how=, error=)`: that reply is over, as the client's user learns it; `how` is
      `completed`, `cancelled`, `failed`, `lost`, or what the client says;
    * `tool(city=)`: the tool was run; `called(reader=, name=, arguments=)`: it is to be run;
    * `error(what=)`: an error that the client reports to its user;
    * `connection(state=)`: `lost`, `back`, or `over`;
    * `receipt(entries=)`: what became of what was interrupted, where that can be awaited; each
      with its `id` and `outcome`, and `heard_ms` where it is on a call;
    * `taken(call_id=)`: a call is to be accepted;
    * `heard_out(reader=, how=)`: the answer to `until_heard`;
    * `answered(ok=)`: whether the server took what `note` or `configure` asked for.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def open(self, *, url: str, http_url: str, text: bool, vad: bool, tool: bool) -> None:
        """Connect.

        Args:
            url: `ws://…/v1/realtime`; any key will do.
            http_url: `http://…/v1`, for clients that take a base URL.
            text: replies are to be written, not spoken.
            vad: with server VAD, 300 ms of silence, and transcription; otherwise without.
            tool: with the tool `get_weather(city, seconds)`, which takes so long and answers
                `sunny in CITY`.
        """
        raise Unsupported("it cannot connect")

    async def open_call(
        self, *, url: str, http_url: str, call_id: str, vad: bool, tool: bool
    ) -> None:
        """Join a call, beside the caller: the session is there, and the sound is elsewhere.

        Args:
            url, http_url: as for `open`; the call is at `url` with `?call_id=`.
            call_id: the call's id.
            vad: it has server VAD, and is to keep it; otherwise it has none.
            tool: as for `open`.
        """
        raise Unsupported("it cannot join a call")

    async def rung(self, *, body: str, headers: dict[str, str], secret: str) -> None:
        """A webhook has been delivered: tell `taken(call_id=)` for a call that is to be accepted.

        Args:
            body: of the HTTP request.
            headers: its HTTP headers.
            secret: `whsec_…`, that of the project whose calls these are.
        """
        raise Unsupported("it takes no webhooks")

    async def ask(self, *, reader: str, words: str, patience: float | None = None) -> None:
        """Say something as the user and ask for a reply in the default conversation.

        Args:
            reader: a name for the reply.
            words: what the user says.
            patience: seconds after which to give it up, where the client lets its user say so.
        """
        raise Unsupported("it cannot be asked")

    async def aside(self, *, reader: str, words: str) -> None:
        """Ask for a response out of band, with these words as instructions."""
        raise Unsupported("no responses out of band")

    async def speak(self, *, part: str = "") -> None:
        """Send the spoken question, as `Stage.spoken` gives it."""
        raise Unsupported("no audio input")

    async def interrupt(self) -> None:
        """Stop all that is being said. Return at once; tell the receipt when there is one."""
        raise Unsupported("nothing to interrupt with")

    async def cancel(self, *, reader: str) -> None:
        """Stop one reply, and no other."""
        raise Unsupported("no way to stop one reply alone")

    async def truncate(self, *, reader: str, heard_ms: int) -> None:
        """Tell the server that no more than this of a reply was heard."""
        raise Unsupported("its user cannot tell what was heard")

    async def note(self, *, words: str, after: str | None = None) -> None:
        """Add a message of the user's, without asking for a reply; `answered(ok=)` tells whether
        the server took it.

        Args:
            words: the message.
            after: insert it after this reply's message.
        """
        raise Unsupported("no items without a reply")

    async def configure(self, *, session: dict[str, Any]) -> None:
        """Change the session by these fields; `answered(ok=)` tells whether the server did."""
        raise Unsupported("nobody is told whether the server changed the session")

    async def until_heard(self, *, reader: str, patience: float) -> None:
        """On a call: tell `heard_out(reader=, how=)` when a reply's last word has been heard.

        Args:
            reader: the reply's.
            patience: seconds after which to tell it in any case.
        """
        raise Unsupported("its user reads for himself what is still being heard")

    async def forget(self, *, reader: str) -> None:
        """Take a reply's message out of the conversation."""
        raise Unsupported("no way to delete an item")

    async def remember(self) -> None:
        """Take a copy of the conversation, for `rewrite`."""
        raise Unsupported("no chat context to write back")

    async def rewrite(self, *, words: str) -> None:
        """Make the conversation the copy taken before, with a message of the user's added."""
        raise Unsupported("no chat context to write back")

    async def close(self) -> None:
        """End the conversation."""


class Obedient:
    """Carries out commands; a conversation lasts from `open` to `close`."""

    def __init__(self, kind: Callable[[Stage], Client], stage: Stage) -> None:
        self._kind = kind
        self._stage = stage
        self._client: Client | None = None

    async def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command and tell so."""
        number, name = command.pop("n"), command.pop("do")
        new = name in ("open", "open_call") or (name == "rung" and self._client is None)
        try:
            if new:
                self._client = self._kind(self._stage)
            if self._client is not None:
                await getattr(self._client, name)(**command)
            elif name != "close":
                raise Unsupported("not connected")
        except Unsupported as reason:
            if new:
                self._client = None
            self._stage.tell("unsupported", n=number, why=str(reason))
        except Exception:
            self._stage.tell("failed", n=number, trace=traceback.format_exc())
        else:
            self._stage.tell("ok", n=number)
        if name == "close":
            self._client = None


def perform(kind: Callable[[Stage], Client]) -> None:
    """Obey the commands on stdin until it ends."""
    # Whatever a library prints must not land among the observations.
    out = os.dup(1)
    os.dup2(2, 1)

    def write(observation: dict[str, Any]) -> None:
        line = json.dumps(observation, default=str).encode() + b"\n"
        while line:
            line = line[os.write(out, line) :]

    asyncio.run(_perform(Obedient(kind, Stage(write, os.environ["PROVE_WAV"]))))


async def _perform(client: Obedient) -> None:
    while line := await asyncio.to_thread(sys.stdin.readline):
        await client.obey(json.loads(line))
