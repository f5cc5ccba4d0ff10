"""Servers that others wrote, each in an environment of its own and on the loopback."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from antiphon.bench.prove.environments import Environment, NodeEnvironment, PythonEnvironment

__all__ = ["CACHE", "SERVERS", "Running", "Server"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = ROOT / ".cache" / "conformance"
START_S = 120.0


@dataclass(frozen=True)
class Running:
    """A server that answers.

    Args:
        url: its address.
        key: what it lets in, or "" for everybody.
    """

    url: str
    key: str = ""


@dataclass(frozen=True)
class Server:
    """A server that can be run here.

    Args:
        name: in the report.
        version: of it.
        profile: the emulator's that is to behave like it.
        environment: where it is installed; None for our own.
    """

    name: str
    version: str
    profile: str
    environment: Environment | None = field(default=None)

    @contextlib.contextmanager
    def running(self) -> Iterator[Running]:
        """Install it if need be, start it, and end it afterwards."""
        if self.environment is not None:
            self.environment.build(CACHE)
        with contextlib.ExitStack() as stack:
            yield stack.enter_context(_STARTS[self.name](self))


class _WithoutRequirements(PythonEnvironment):
    """As `PythonEnvironment`, with one package more that comes without what it requires."""

    def _install(self, folder: Path) -> None:
        super()._install(folder)
        pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
        self._run(*pip, "install", "--quiet", "--no-deps", "speech-to-speech==1.1.0")


@contextlib.contextmanager
def _emulator(server: Server) -> Iterator[Running]:
    port = _free_port()
    serve = [sys.executable, "-m", "antiphon", "serve", "--port", str(port)]
    # With media, since the probe is the browser: without, it is documented, and nobody can speak.
    with _process([*serve, "--set", "call_media=webrtc"], port):
        yield Running(f"ws://127.0.0.1:{port}/v1/realtime")


@contextlib.contextmanager
def _aimock(server: Server) -> Iterator[Running]:
    assert server.environment is not None
    folder, port = server.environment.folder(CACHE), _free_port()
    cli = folder / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    fixtures = str(HERE / "servers" / "aimock.json")
    node = str(shutil.which("node"))
    # A pause between pieces: an answer at once could not be met in its middle.
    command = [node, str(cli), "-p", str(port), "-f", fixtures, "--latency", "20"]
    with _process(command, port):
        yield Running(f"ws://127.0.0.1:{port}/v1/realtime")


@contextlib.contextmanager
def _litellm(server: Server) -> Iterator[Running]:
    assert server.environment is not None
    behind, port = _free_port(), _free_port()
    key = f"sk-{secrets.token_hex(24)}"
    serve = [sys.executable, "-m", "antiphon", "serve", "--port", str(behind)]
    # Cut, so that it shows how it passes that on.
    serve += ["--set", "bad_json_reply=cut"]
    with tempfile.TemporaryDirectory() as folder, _process(serve, behind):
        config = Path(folder) / "litellm.yaml"
        text = (HERE / "servers" / "litellm.yaml").read_text()
        config.write_text(text.replace("BACKEND", f"http://127.0.0.1:{behind}/v1"))
        # Not by its script, whose first line names the folder in which it was installed.
        python, *_ = server.environment.command(config, CACHE)
        command = [python, "-c", "from litellm import run_server; run_server()"]
        command += ["--config", str(config), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--telemetry", "False"]
        settings = {"LITELLM_MASTER_KEY": key, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with _process(command, port, **settings):
            yield Running(f"ws://127.0.0.1:{port}/v1/realtime?model=gpt-realtime", key)


@contextlib.contextmanager
def _speech_to_speech(server: Server) -> Iterator[Running]:
    assert server.environment is not None
    port = _free_port()
    script = HERE / "servers" / "speech_to_speech_server.py"
    with _process([*server.environment.command(script, CACHE), str(port)], port):
        yield Running(f"ws://127.0.0.1:{port}/v1/realtime")


@contextlib.contextmanager
def _process(command: list[str], port: int, **settings: str) -> Iterator[None]:
    """A server of somebody else's: started, waited for, ended."""
    log = tempfile.TemporaryFile()
    process = subprocess.Popen(
        command,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        _wait_for(port, process, log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        log.close()


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log.seek(0)
            said = log.read()[-2000:].decode("utf-8", "replace")
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{said}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)  # there is nothing to wait on but the port itself
    raise RuntimeError(f"{process.args!r} did not listen within {START_S:.0f} s")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


_STARTS = {
    "antiphon serve": _emulator,
    "aimock": _aimock,
    "litellm": _litellm,
    "speech-to-speech": _speech_to_speech,
}


def _wanted(name: str) -> Path:
    return HERE / "requirements" / name


SERVERS = {
    server.name: server
    for server in (
        Server("antiphon serve", "", "openai"),
        Server("aimock", "1.43.0", "aimock", NodeEnvironment("aimock", _wanted("aimock.json"))),
        Server(
            "speech-to-speech",
            "1.1.0",
            "speech-to-speech",
            _WithoutRequirements("speech_to_speech", _wanted("speech_to_speech.txt")),
        ),
        Server(
            "litellm",
            "1.106.2, in front of antiphon serve",
            "litellm",
            PythonEnvironment("litellm", _wanted("litellm.txt")),
        ),
    )
}
